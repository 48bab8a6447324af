"""What is in the ``.dunena/`` of the first programs, before folders had a version (version 0).

- A record of a name, an expiry or a revision was its content alone, without a checksum.
- A segment of the journal had no header. A line was ``<CRC-32> [[kind, revision, ns, key,
  expires_at, value], ...]``; a clear had only its first two members, a delete the first four. The
  checksum did not include the segment's name, and the first invalid line ended the segment.

Each is written anew in the form that `records` and `journal_format` describe. What is neither of
the older form nor of the present one is left to those, as damaged.
"""

import zlib
from typing import Any

import orjson

from dunena.persistence.disk.disk import Disk, join
from dunena.persistence.disk.files import name_hash
from dunena.persistence.disk.journal_format import encode_line, header_line, lines_of, seed_of
from dunena.persistence.disk.journal_reader import SUFFIX
from dunena.persistence.disk.records import Records
from dunena.store.entry import ChangeKind

_CHECKSUM_BYTES = 9  # the checksum of a line and the space after it
_BYTES_MAX = 1 << 16  # of a record


def renew_older_forms(disk: Disk, records: Records, journal: str) -> list[str]:
    """Write everything of an older form anew; return the paths. Raise OSError.

    If it is interrupted, the next call does the rest: what has the present form is left alone.
    """
    renewed = []
    for path, purpose, content in _older_records(disk, records):
        records.rewrite(path, purpose, content)
        renewed.append(path)
    if disk.is_folder(journal):
        for name in sorted(disk.names(journal).files):
            path = join(journal, name)
            text = _renewed_segment(name, disk.read(path)) if name.endswith(SUFFIX) else None
            if text is not None:
                disk.replace_file(path, text, records.temporary, sync=True)
                renewed.append(path)
    return renewed


def _older_records(disk: Disk, records: Records) -> list[tuple[str, str, bytes]]:
    """Return path, purpose and content of each record of an older form."""
    found = []
    for name in disk.names(records.names).files:
        path = join(records.names, name)
        content = _content(disk, path)
        if content is not None and _is_name(name, content):
            found.append((path, "name", content))
    for name in disk.names(records.expiries).files:
        path = join(records.expiries, name)
        content = _content(disk, path)
        if content is not None and _is_expiry(records, path, content):
            found.append((path, "expiry", content))
    for path, purpose in ((records.revision_path, "revision"), (records.flushed_path, "shown")):
        content = _content(disk, path)
        if content is not None and content.isdigit():
            found.append((path, purpose, content))
    return found


def _content(disk: Disk, path: str) -> bytes | None:
    try:
        return disk.read(path, _BYTES_MAX)
    except OSError:
        return None  # the reader of the record reports it


def _is_name(record: str, content: bytes) -> bool:
    try:
        return name_hash(content.decode()) == record
    except UnicodeDecodeError:
        return False


def _is_expiry(records: Records, path: str, content: bytes) -> bool:
    try:
        members = orjson.loads(content)
        return (
            records.expiry_path(members["file"]) == path
            and type(members["expiresAt"]) is int
            and type(members["checksum"]) is int
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _renewed_segment(name: str, text: bytes) -> bytes | None:
    """Return a segment of the older form in the present one; None for any other.

    What follows the last valid line is copied as it is: its reader judges it.
    """
    seed = seed_of(name)
    if any(line.members is not None for line in lines_of(name, text)):
        return None  # of the present form
    lines, position = [], 0
    while (end := text.find(b"\n", position)) >= 0:
        changes = _older_commit(text[position:end])
        if changes is None:
            break
        lines.append(encode_line(seed, [0, *map(_present_change, changes)]))
        position = end + 1
    if not lines:
        return None
    return b"".join([header_line(seed, forces=False), *lines, text[position:]])


def _older_commit(line: bytes) -> list[list[Any]] | None:
    """Decode a line of the older form; None if it is not valid."""
    payload = line[_CHECKSUM_BYTES:]
    if line[:_CHECKSUM_BYTES] != b"%08x " % zlib.crc32(payload):
        return None
    try:
        changes = orjson.loads(payload)
    except ValueError:
        return None
    is_commit = isinstance(changes, list) and changes and all(map(_is_change, changes))
    return changes if is_commit else None


def _is_change(change: object) -> bool:
    return isinstance(change, list) and len(change) in {2, 4, 6} and type(change[1]) is int


def _present_change(change: list[Any]) -> list[Any]:
    kind, revision, *rest = change
    if kind == ChangeKind.CLEAR.value:
        return [kind, revision, ""]  # no stamps: the files of that time are not known
    ns, key, *more = rest
    return [kind, revision, ns, key, None, *more]
