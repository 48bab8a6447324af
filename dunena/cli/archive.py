"""Files that hold a store's values: JSON Lines, either plain or as the one member of a zip.

A line is one entry: ``{"key", "value"}``, with ``ns``, ``expiresAt`` (Unix ms) and ``then`` (what
is merged into the value at that time) if it has them.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from dunena.backup.form import MANIFEST
from dunena.cli.failure import fail
from dunena.client.errors import NoAnswerError
from dunena.plain_files import FileKind, kind_at
from dunena.store.values import without_mark

MEMBER = "dunena.jsonl"
"""Name of the one member of a zip."""

ZIP_SUFFIX = ".zip"


def line(ns: str, listed: dict[str, Any], expires_at: int | None) -> bytes:
    """Encode an entry as one line of JSON, line end included.

    ``listed`` has its ``key``, its ``value`` (any JSON value or an `orjson.Fragment`), and its
    ``then`` if it has one; ``expires_at`` is in Unix ms.
    """
    entry: dict[str, object] = {"key": listed["key"]}
    if ns:
        entry["ns"] = ns
    entry["value"] = listed["value"]
    if expires_at is not None:
        entry["expiresAt"] = expires_at
    if "then" in listed:
        entry["then"] = listed["then"]
    return orjson.dumps(entry) + b"\n"


def entry_of(raw: bytes, number: int) -> dict[str, Any]:
    """Decode the entry in line ``number`` (from 1); end the program if the line holds none."""
    try:
        entry = orjson.loads(without_mark(raw) if number == 1 else raw)
    except orjson.JSONDecodeError as error:
        fail(f"line {number} is no JSON: {error}")
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str) or "value" not in entry:
        fail(f'line {number} is no entry: {{"key": ..., "value": ...}} is one')
    return entry


@contextmanager
def open_lines(path: Path) -> Iterator[IO[bytes]]:
    """Open the lines of a file, or of the member of a zip; end the program if it is unreadable."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if MANIFEST in archive.namelist():
                    fail(f"{path} is a backup: dunena restore reads it")
            with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as lines:
                yield lines
        else:
            with path.open("rb") as lines:
                yield lines
    except KeyError:
        fail(f"{path} was not exported by dunena: there is no {MEMBER} in it")
    except NoAnswerError:  # of the server that the lines are for
        raise
    except (OSError, zipfile.BadZipFile) as error:
        fail(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")


class PartialExport:
    """An unfinished export: a file beside the wanted one, which the next export continues.

    ``last`` is the namespace and key of the last whole line, None if there is no line yet;
    ``count`` is the number of lines, ``in_last_ns`` the number of lines in the last line's
    namespace.
    """

    def __init__(self, path: Path, server: str) -> None:
        path = _plain_target(path)
        # Values of two servers must never get into one file.
        self._path = path.with_name(f"{path.name}.{server.replace(':', '-')}.part")
        self._wanted = path
        self.count = 0
        self.in_last_ns = 0
        self.last: tuple[str, str] | None = None
        self._file = self._path.open("a+b")
        self._read()

    def add(self, place: tuple[str, str], raw: bytes) -> None:
        """Append one encoded line; ``place`` is its namespace and key."""
        self._file.write(raw)
        self._note(place)

    def flush(self) -> None:
        """Hand the added lines to the system, so that they stay if the program is killed."""
        self._file.flush()

    def close(self) -> None:
        """Close the file and leave it for the next export to continue."""
        self._file.close()

    def finish(self) -> None:
        """Replace the wanted file by this one, packed as a zip if the wanted name says so."""
        self._file.close()
        if self._wanted.suffix.lower() == ZIP_SUFFIX:
            packed = self._path.with_suffix(ZIP_SUFFIX)
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(self._path, MEMBER)
            packed.replace(self._wanted)
            self._path.unlink()
        else:
            self._path.replace(self._wanted)

    def _read(self) -> None:
        """Read the lines that are there, and truncate the file after the last whole one."""
        self._file.seek(0)
        end = 0
        for raw in self._file:
            if not raw.endswith(b"\n"):
                break
            entry = orjson.loads(raw)
            self._note((entry.get("ns", ""), entry["key"]))
            end += len(raw)
        self._file.truncate(end)
        self._file.seek(end)

    def _note(self, place: tuple[str, str]) -> None:
        same_ns = self.last is not None and self.last[0] == place[0]
        self.in_last_ns = self.in_last_ns + 1 if same_ns else 1
        self.last = place
        self.count += 1


def _plain_target(path: Path) -> Path:
    """Resolve the path of the file to replace: the target, if the path is a link.

    End the program if something else than a plain file is there.
    """
    if kind_at(str(path)) is FileKind.LINK:
        path = path.resolve()
    kind = kind_at(str(path))
    if kind not in (FileKind.FILE, None):
        fail(f"{path} is {kind}, not a plain file: nothing was exported")
    return path
