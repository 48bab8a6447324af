"""The form of a backup: the names of its files, its manifest and its checksum; no I/O.

A backup is a zip file with, in this order,

- ``values/``: a file for each key with its value, byte for byte as the store has it, in the folder
  of its namespace if it has one. Files are named as in a server's folder on Windows
  (`dunena.persistence.file_system`), so that the zip can be unpacked on every system;
- ``pages/``: the files of the folder of pages;
- ``entries.jsonl``: a line of JSON for each key, in the order of the files: ``file``, ``key`` and,
  if it has them, ``ns``, ``expiresAt`` (Unix ms by the clock of the wall) and ``then``;
- ``manifest.json``: what the backup is. A backup that was cut off has none.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from dunena.persistence.file_system import key_file_name, namespace_folder_name
from dunena.store.names import is_name

FORMAT = 1
"""Version of the form. A reader refuses a later one."""

VALUES = "values/"
PAGES = "pages/"
ENTRIES = "entries.jsonl"
MANIFEST = "manifest.json"

MANIFEST_BYTES_MAX = 1_048_576
LINE_BYTES_MAX = 64 * 1024 * 1024
"""A line of ``entries.jsonl``: names, and a ``then`` that may be as large as a value."""

LEFT_OUT_MAX = 1_000
"""Files of pages that a manifest names as left out."""


class BackupError(Exception):
    """The file is no backup, or a damaged one; the text says so in one sentence."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is: the contents of ``manifest.json``.

    ``dunena`` is the version that made it, ``made_at`` Unix ms, ``revision`` that of the last
    change in it. ``value_bytes`` is the size of all values. ``left_out`` has the pages that could
    not be read, with the reasons. ``sha256`` is the checksum (`Checksum`).
    """

    dunena: str
    made_at: int
    revision: int
    keys: int
    namespaces: int
    expiring: int
    value_bytes: int
    pages: int
    sha256: str
    left_out: list[str] = field(default_factory=list)

    def encode(self) -> bytes:
        """Encode it as the content of the file."""
        moment = datetime.fromtimestamp(self.made_at / 1000, UTC)
        fields = {
            "format": FORMAT,
            "dunena": self.dunena,
            "madeAt": self.made_at,
            "date": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "revision": self.revision,
            "keys": self.keys,
            "namespaces": self.namespaces,
            "expiring": self.expiring,
            "bytes": self.value_bytes,
            "pages": self.pages,
            "leftOut": self.left_out,
            "sha256": self.sha256,
        }
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2) + b"\n"


def decode_manifest(content: bytes) -> Manifest:
    """Decode the content of ``manifest.json``; raise `BackupError`."""
    try:
        fields = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise BackupError(f"{MANIFEST} in it is no JSON") from None
    version = fields.get("format") if isinstance(fields, dict) else None
    if not isinstance(version, int) or version < 1:
        raise BackupError(f"{MANIFEST} in it is not that of a backup")
    if version > FORMAT:
        raise BackupError(
            f"it was made by dunena {fields.get('dunena')}, which is newer: use that one"
        )
    names = ("madeAt", "revision", "keys", "namespaces", "expiring", "bytes", "pages")
    numbers = [fields.get(name) for name in names]
    left_out = fields.get("leftOut")
    texts = [fields.get("dunena"), fields.get("sha256")]
    if (
        not all(isinstance(number, int) and 0 <= number < 2**63 for number in numbers)
        or not all(isinstance(text, str) for text in texts)
        or not isinstance(left_out, list)
        or not all(isinstance(one, str) for one in left_out)
    ):
        raise BackupError(f"{MANIFEST} in it is not complete")
    return Manifest(
        dunena=fields["dunena"],
        made_at=fields["madeAt"],
        revision=fields["revision"],
        keys=fields["keys"],
        namespaces=fields["namespaces"],
        expiring=fields["expiring"],
        value_bytes=fields["bytes"],
        pages=fields["pages"],
        sha256=fields["sha256"],
        left_out=left_out,
    )


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One line of ``entries.jsonl``; ``then`` is encoded JSON, or None."""

    file: str
    ns: str
    key: str
    expires_at: int | None
    then: bytes | None

    def encode(self) -> bytes:
        """Encode the line, with its end."""
        fields: dict[str, Any] = {"file": self.file, "key": self.key}
        if self.ns:
            fields["ns"] = self.ns
        if self.expires_at is not None:
            fields["expiresAt"] = self.expires_at
        if self.then is not None:
            fields["then"] = orjson.Fragment(self.then)
        return orjson.dumps(fields) + b"\n"


def decode_line(raw: bytes) -> EntryLine:
    """Decode one line; raise `BackupError`."""
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BackupError(f"a line of {ENTRIES} in it is no JSON") from None
    if not isinstance(fields, dict):
        raise BackupError(f"a line of {ENTRIES} in it is no object")
    file, key, ns = fields.get("file"), fields.get("key"), fields.get("ns", "")
    expires_at = fields.get("expiresAt")
    if not isinstance(file, str) or not isinstance(key, str) or not isinstance(ns, str):
        raise BackupError(f"a line of {ENTRIES} in it names no file and key")
    if not is_name(key) or (ns and not is_name(ns)):
        raise BackupError(f"{ENTRIES} in it has a name that no key can have: {key[:80]!r}")
    if expires_at is not None and (type(expires_at) is not int or abs(expires_at) >= 2**63):
        raise BackupError(f"the expiry of {key!r} in it is no time")
    then = orjson.dumps(fields["then"]) if "then" in fields else None
    if then is not None and expires_at is None:
        raise BackupError(f"{key!r} in it has no time for its then")
    return EntryLine(file, ns, key, expires_at, then)


class Checksum:
    """The checksum of a backup, over all files before the manifest.

    It is the SHA-256 of what the program `sha256sum` prints for these files in the order of the
    zip: for each a line with its SHA-256, two spaces and its name.
    """

    __slots__ = ("_total",)

    def __init__(self) -> None:
        self._total = hashlib.sha256()

    def add(self, name: str, digest: str) -> None:
        """Add a file by the SHA-256 of its content, in hexadecimal digits."""
        self._total.update(f"{digest}  {name}\n".encode())

    @property
    def text(self) -> str:
        """The checksum of the files so far, in hexadecimal digits."""
        return self._total.hexdigest()


def value_file(ns: str, key: str) -> str:
    """Return the name of a key's file in the zip; different keys have different ones."""
    name = key_file_name(key, folds_case=True).text
    folder = f"{namespace_folder_name(ns, folds_case=True).text}/" if ns else ""
    return f"{VALUES}{folder}{name}"
