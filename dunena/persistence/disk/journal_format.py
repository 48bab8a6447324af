r"""The format of the journal: encoding and decoding of its lines. No I/O.

A segment is a text file, ``<first revision>-<last revision before it>.log``. Each line is::

    <CRC-32 of the rest, 8 hex digits> <JSON array>\n

The checksum includes the segment's name, so a line is valid only in its own segment. Lines:

- ``["dunena-journal", 3, forces]`` is the first line: the format's version, and whether files were
  forced to the device when the segment was begun. Version 2, which is read too, knew no ``then``.
- ``[synced, [kind, revision, ns, key, stamp, expires_at, value, then], ...]`` is one commit, which
  is valid as a whole or not at all. ``kind`` is a `ChangeKind`'s value; only a set has a value, and
  a ``then`` if something is to be merged into the value at ``expires_at``; a clear has ``[kind,
  revision, stamps]``. Changes up to ``synced`` were on the device when the line was written.
- ``["plan", [ns, key, before, after], ...]``: files are about to be replaced (``after`` null:
  removed), and ``["shown", [ns, key, after], ...]``: they were. A start writes a "shown" line of
  the files that it found for the keys of an earlier run's journal.
- ``["by hand", [ns, key, stamp], ...]``: a start found that others had changed these files, so
  earlier changes of these keys no longer count.
- ``["back", revision]``: commits from that revision on were undone.
- ``["base", revision]`` begins a segment that replaces all earlier ones and is complete if it has
  an ``["end"]``; ``revision`` is the last one that needs no journal.

A stamp (``[inode, modified_ns, size]``, null for no file) describes a key's file as last seen or
written. With it a start distinguishes changes that others made to a file from the server's own.
"""

import base64
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.stamps import StampTable
from dunena.store.entry import Change, ChangeKind, EntryId
from dunena.store.limits import EXPIRES_AT_MS_MAX

# Compiled code finds a final name without a look-up, and the members of a module with two.
_DUMPS: Final = orjson.dumps
_CRC32: Final = zlib.crc32
_FRAGMENT: Final = orjson.Fragment

MAGIC = "dunena-journal"
VERSION = 3
READABLE_VERSIONS = frozenset({2, VERSION})

_CHECKSUM_BYTES = 9  # the checksum of a line and the space after it
_SET: Final[str] = ChangeKind.SET.value


class FileStep(NamedTuple):
    """The change of a key's file from one stamp to the next; None for no file."""

    entry_id: EntryId
    before: Stamp | None
    after: Stamp | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change in the journal; ``value`` is None if it removed the key.

    ``then`` is what is merged into the value at ``expires_at``, None if the key goes at that time.
    ``stamp`` is that of the key's file at that time; a clear has the stamps of all files in
    ``cleared``.
    """

    kind: ChangeKind
    revision: int
    ns: str = ""
    key: str = ""
    stamp: Stamp | None = None
    expires_at: int | None = None
    value: bytes | None = None
    cleared: frozenset[Stamp] = frozenset()
    then: bytes | None = None


@dataclass(slots=True, eq=False)
class FileStates:
    """The stamps that a key's file may have if only this server wrote it; None is no file.

    ``latest`` are the stamps possible if the process was killed, ``seen`` all stamps since the
    journal began: a power cut may bring back any of them. ``is_planned``: a replacement of the file
    was begun.
    """

    seen: set[Stamp | None] = field(default_factory=set)
    latest: set[Stamp | None] = field(default_factory=set)
    is_planned: bool = False

    def changed(self, stamp: Stamp | None) -> None:
        """Add the stamp that the file had when a change of the key was recorded."""
        self.seen.add(stamp)
        if not self.is_planned:
            self.latest = set()
        self.latest.add(stamp)

    def planned(self, before: Stamp | None, after: Stamp | None) -> None:
        """Add both stamps of a replacement that is about to happen."""
        self.seen |= {before, after}
        self.latest = {before, after}
        self.is_planned = True

    def carried_out(self, stamp: Stamp | None) -> None:
        """Add the stamp of the file after its replacement."""
        self.seen.add(stamp)
        self.latest = {stamp}
        self.is_planned = False


class Line(NamedTuple):
    """One line of a segment: its position in the text and its members, None if it is invalid."""

    start: int
    end: int
    members: list[Any] | None


# --- writing ---


def seed_of(name: str) -> int:
    """Return the initial value of the checksums in a segment, made from its name."""
    return zlib.crc32(f"{MAGIC} {name}\n".encode())


def header_line(seed: int, *, forces: bool) -> bytes:
    """Encode the first line of a segment; ``forces``: files are forced to the device."""
    return encode_line(seed, [MAGIC, VERSION, forces])


def commit_line(
    seed: int, synced: int, changes: Sequence[Change], stamps: StampTable, step_ms: int = 0
) -> bytes:
    """Encode a commit; ``step_ms`` is how far the wall clock is ahead of the entries' clock."""
    members: list[Any] = [synced]
    members += [_members(change, stamps, step_ms) for change in changes]
    return encode_line(seed, members)


def plan_line(seed: int, steps: Iterable[FileStep]) -> bytes:
    """Encode the line that is written before files are replaced."""
    return encode_line(
        seed,
        ["plan", *((*step.entry_id, _plain(step.before), _plain(step.after)) for step in steps)],
    )


def carried_out_line(seed: int, steps: Iterable[FileStep]) -> bytes:
    """Encode the line that is written after files were replaced."""
    return encode_line(seed, ["shown", *((*step.entry_id, _plain(step.after)) for step in steps)])


def by_hand_line(seed: int, steps: Iterable[FileStep]) -> bytes:
    """Encode the line about files that others changed while no server ran."""
    return encode_line(seed, ["by hand", *((*step.entry_id, _plain(step.after)) for step in steps)])


def encode_line(seed: int, members: list[Any]) -> bytes:
    """Encode a line with its checksum and line end."""
    payload: bytes = _DUMPS(members)
    return b"%08x %s\n" % (_CRC32(payload, seed), payload)


def _members(change: Change, stamps: StampTable, step_ms: int) -> tuple[Any, ...]:
    entry = change.entry
    if change.cleared is not None:
        return change.kind.value, change.revision, base64.b64encode(stamps.all_numbers()).decode()
    stamp = stamps.numbers_of(change.ns, change.key)
    if entry is None:
        return change.kind.value, change.revision, change.ns, change.key, stamp
    value = _FRAGMENT(entry.value)
    expires_at = entry.expires_at
    if expires_at is not None:
        expires_at = min(expires_at + step_ms, EXPIRES_AT_MS_MAX)
        if entry.then is not None:
            then = orjson.Fragment(entry.then)
            return _SET, change.revision, change.ns, change.key, stamp, expires_at, value, then
    return _SET, change.revision, change.ns, change.key, stamp, expires_at, value


def _plain(stamp: Stamp | None) -> tuple[int, ...] | None:
    """Convert a stamp to a plain tuple, which orjson needs."""
    return None if stamp is None else tuple(stamp)


def _unpacked(text: str) -> frozenset[Stamp]:
    numbers = array("q", base64.b64decode(text))
    return frozenset(map(Stamp, numbers[0::3], numbers[1::3], numbers[2::3]))


# --- reading ---


def lines_of(name: str, text: bytes) -> Iterator[Line]:
    """Yield every line of a segment's text, valid or not; the last one may lack its line end."""
    seed, position = seed_of(name), 0
    while position < len(text):
        end = text.find(b"\n", position)
        if end < 0:
            yield Line(position, len(text), None)
            return
        yield Line(position, end + 1, _decode(seed, text[position:end]))
        position = end + 1


def _decode(seed: int, line: bytes) -> list[Any] | None:
    try:
        checksum, payload = int(line[:8], 16), line[_CHECKSUM_BYTES:]
        if line[8:_CHECKSUM_BYTES] != b" " or zlib.crc32(payload, seed) != checksum:
            return None
        members = orjson.loads(payload)
    except ValueError:
        return None
    return members if isinstance(members, list) and members else None


def recorded(members: list[Any]) -> list[Recorded]:
    """Decode the changes of a commit's line."""
    return [_recorded(*change) for change in members[1:]]


def _recorded(
    kind: str,
    revision: int,
    ns: str,
    key: str = "",
    stamp: list[int] | None = None,
    expires_at: int | None = None,
    *values: Any,
) -> Recorded:
    if kind == ChangeKind.CLEAR.value:
        return Recorded(ChangeKind.CLEAR, revision, cleared=_unpacked(ns))
    value = orjson.dumps(values[0]) if values else None
    then = orjson.dumps(values[1]) if len(values) > 1 else None
    return Recorded(
        ChangeKind(kind), revision, ns, key, stamp_of(stamp), expires_at, value, then=then
    )


def stamp_of(members: list[int] | None) -> Stamp | None:
    """Decode a stamp of a line; None is no file."""
    return None if members is None else Stamp(*members)
