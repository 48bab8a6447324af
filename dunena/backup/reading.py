"""Reading and checking a backup, which may come from anybody; no I/O but that of the open file.

What the zip claims is not believed: no more is unpacked than its own size permits, each name is
compared with the one that the key or page has, and every value is parsed.
"""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from dunena.backup.form import (
    ENTRIES,
    LINE_BYTES_MAX,
    MANIFEST,
    MANIFEST_BYTES_MAX,
    PAGES,
    VALUES,
    BackupError,
    Checksum,
    EntryLine,
    Manifest,
    decode_line,
    decode_manifest,
    value_file,
)
from dunena.store.values import InvalidJsonError, decode
from dunena.windows_names import is_plain_name

EXPORTED = "dunena.jsonl"
"""The one file in a zip of `dunena export`."""

PIECE_BYTES: Final = 256 * 1024

_RATIO_MAX = 1_040
"""How many times its size deflated content has at most: 1,032, and the ends."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # APPNOTE 4.4.4
_NAME_CHARS_SHOWN = 80


class KeptEntry:
    """A key's entry in a backup; ``value`` is read from the file each time.

    ``expires_at`` is Unix ms by the clock of the wall; the others are as in a store's entry.
    """

    __slots__ = ("_backup", "_file", "expires_at", "key", "ns", "then")

    def __init__(self, backup: "BackupReader", line: EntryLine) -> None:
        self._backup = backup
        self._file = line.file
        self.ns = line.ns
        self.key = line.key
        self.expires_at = line.expires_at
        self.then = line.then

    @property
    def value(self) -> bytes:
        """The encoded value; raise `BackupError` if it cannot be read."""
        return self._backup.content(self._file)


class BackupReader:
    """A backup in an open file of ``size`` bytes; raise `BackupError` if it is none.

    ``bytes_max`` limits what is unpacked of it all together; None for no limit. ``entries`` and
    ``pages``, the names of these with slashes, are in the order of the zip. What they contain was
    not looked at before `check`.
    """

    def __init__(self, file: IO[bytes], size: int, bytes_max: int | None = None) -> None:
        with _told():
            self._zip = zipfile.ZipFile(file)
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            _refuse_strange(member)
            if member.filename in self._members:
                raise BackupError(f"{_shown(member.filename)} is in it twice")
            self._members[member.filename] = member
        self._refuse_bomb(size, bytes_max)
        if MANIFEST not in self._members:
            raise BackupError(
                "it is an export: dunena import reads it"
                if EXPORTED in self._members
                else f"it is no backup of dunena, or was cut off: there is no {MANIFEST} in it"
            )
        self.manifest: Manifest = decode_manifest(self.content(MANIFEST, MANIFEST_BYTES_MAX))
        self.entries = [KeptEntry(self, line) for line in self._lines()]
        self.pages = [name.removeprefix(PAGES) for name in self._members if name.startswith(PAGES)]
        self._refuse_unlisted()

    def check(self, progress: Callable[[int], None] = lambda _done: None) -> None:
        """Read everything once; raise `BackupError` unless it is as it was made.

        ``progress`` is called with the number of files that are checked so far.
        """
        checksum = Checksum()
        for done, name in enumerate(self._members):
            if name == MANIFEST:
                continue
            digest, pieces = hashlib.sha256(), []
            for piece in self.pieces(name):
                digest.update(piece)
                if name.startswith(VALUES):
                    pieces.append(piece)
            checksum.add(name, digest.hexdigest())
            if name.startswith(VALUES):
                _check_value(name, b"".join(pieces))
            progress(done)
        if checksum.text != self.manifest.sha256:
            raise BackupError("it was changed since it was made: its checksum is another one")

    def content(self, name: str, bytes_max: int | None = None) -> bytes:
        """Return the content of a file in the zip; raise `BackupError` if it cannot be read."""
        member = self._members[name]
        if bytes_max is not None and member.file_size > bytes_max:
            raise BackupError(f"{_shown(name)} in it is larger than any that dunena made")
        return b"".join(self.pieces(name))

    def page(self, name: str) -> Iterator[bytes]:
        """Yield the content of a page in pieces; raise `BackupError` if it cannot be read."""
        return self.pieces(f"{PAGES}{name}")

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file in the zip in pieces, no more than the zip said it has."""
        with _told(), self._zip.open(self._members[name]) as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    # --- inside ---

    def _refuse_bomb(self, size: int, bytes_max: int | None) -> None:
        members = self._members.values()
        unpacked = sum(member.file_size for member in members)
        packed = sum(member.compress_size for member in members)
        if packed > size or any(
            member.file_size > member.compress_size * _RATIO_MAX for member in members
        ):
            raise BackupError("it claims more content than it can have")
        if bytes_max is not None and unpacked > bytes_max:
            raise BackupError(
                f"unpacked it has {unpacked:,} bytes, which is more than {bytes_max:,}"
            )

    def _lines(self) -> Iterator[EntryLine]:
        if ENTRIES not in self._members:
            raise BackupError(f"it is damaged: there is no {ENTRIES} in it")
        rest = b""
        for piece in self.pieces(ENTRIES):
            *lines, rest = (rest + piece).split(b"\n")
            for raw in lines:
                yield decode_line(raw)
            if len(rest) > LINE_BYTES_MAX:
                raise BackupError(f"a line of {ENTRIES} in it is longer than any that dunena made")
        if rest:
            raise BackupError(f"{ENTRIES} in it was cut off")

    def _refuse_unlisted(self) -> None:
        """Raise `BackupError` unless each file is a listed key's or a page, and none is missing."""
        listed: set[str] = set()
        for entry in self.entries:
            file = value_file(entry.ns, entry.key)
            if entry._file != file or file in listed:
                raise BackupError(f"{ENTRIES} in it has a wrong line for the key {entry.key!r}")
            if file not in self._members:
                raise BackupError(f"the value of {entry.key!r} is missing in it")
            listed.add(file)
        for name in self._members:
            is_page = name.startswith(PAGES)
            if not is_page and name not in listed and name not in (ENTRIES, MANIFEST):
                raise BackupError(f"{_shown(name)} in it is of no key")
            if is_page and not all(map(is_plain_name, name.removeprefix(PAGES).split("/"))):
                raise BackupError(f"{_shown(name)} in it is no name of a page")
        counted = (len(self.entries), len(self.pages))
        if counted != (self.manifest.keys, self.manifest.pages):
            raise BackupError(
                f"it has {counted[0]:,} keys and {counted[1]:,} pages, and was made with "
                f"{self.manifest.keys:,} and {self.manifest.pages:,}"
            )


def _refuse_strange(member: zipfile.ZipInfo) -> None:
    name = _shown(member.filename)
    if member.flag_bits & _ENCRYPTED:
        raise BackupError(f"{name} in it is encrypted")
    if member.compress_type not in _METHODS:
        raise BackupError(f"{name} in it is packed in another way than dunena does")
    if member.is_dir() or ".." in member.filename.split("/") or member.filename.startswith("/"):
        raise BackupError(f"{name} in it is of no key")


def _check_value(name: str, raw: bytes) -> None:
    try:
        decode(raw)
    except InvalidJsonError as error:
        raise BackupError(f"{_shown(name)} in it is no JSON: {error}") from None


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the zip library raises for a file that is no good zip into `BackupError`."""
    try:
        yield
    except zipfile.BadZipFile as error:
        raise BackupError(f"it is no zip, or a damaged one: {error}") from None
    except (
        EOFError, LookupError, NotImplementedError, OverflowError, RuntimeError, ValueError,
        struct.error, zlib.error,
    ) as error:  # fmt: skip
        raise BackupError(f"it is a damaged zip: {error or 'it was cut off'}") from None


def _shown(name: str) -> str:
    """Return a name from the zip as one short line."""
    return ascii(name[:_NAME_CHARS_SHOWN])[1:-1]
