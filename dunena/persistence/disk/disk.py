"""The operations on the disk that keeping values is made of.

Everything that journal, records and files do to the disk goes through `Disk`, so that a test can
put a disk in its place that tears writes, forgets what was not synced, fills up, or stops between
any two operations.

What each operation promises. ``replace_file`` and ``rename`` are atomic: another program, and a
crash of this one, sees before or after. Nothing is on the device itself before ``sync`` (of a
file's content) or ``sync_folder`` (of the names in it).
"""

import itertools
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

_SYNC_ONE_BY_ONE_MAX = 64  # past it, one sync of everything costs less than one of each

_SHARING_ERRORS = frozenset({5, 32, 33})
"""Windows' access denied, sharing violation and lock violation: what an antivirus, an indexer or
a sync folder that looks at a file causes, for some milliseconds."""

_SHARING_WAITS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one content of a file from another without reading it."""

    inode: int
    modified_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class Item:
    """One name in a folder."""

    path: Path
    is_folder: bool


class AppendFile(Protocol):
    """A file that only grows at its end; all methods raise OSError."""

    def append(self, data: bytes) -> None:
        """Add all of the data; when it fails, a part of it may be there."""

    def cut(self, size: int) -> None:
        """Take away everything behind the first ``size`` bytes."""

    def sync(self) -> None:
        """Force what was appended to the device; may be called from another thread."""

    def close(self) -> None:
        """No more of it."""


class Disk(Protocol):
    """A file system; every method raises OSError as the real one does."""

    def read(self, path: Path) -> bytes:
        """A file's content."""

    def stamp(self, path: Path) -> Stamp | None:
        """Of the file that is there now; None without one."""

    def items(self, folder: Path) -> list[Item]:
        """Files and folders in a folder; links are neither."""

    def is_folder(self, path: Path) -> bool:
        """Whether a folder is there, and not a link to one."""

    def exists(self, path: Path) -> bool:
        """Whether anything is there, a link included."""

    def make_folder(self, path: Path) -> None:
        """With its parents; it may be there already."""

    def replace_file(self, path: Path, content: bytes, temporary: Path, *, sync: bool) -> Stamp:
        """Make ``path`` hold ``content``, by way of a draft in the folder ``temporary``.

        With ``sync``, content and name are on the device when it returns. When it fails, the path
        is as it was.
        """

    def rename(self, source: Path, target: Path) -> None:
        """Move a file or folder; a file that was at the target is gone."""

    def remove(self, path: Path) -> None:
        """Remove a file; it may be gone already."""

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""

    def append_to(self, path: Path) -> AppendFile:
        """Open a file for appending; it is made if it is not there."""

    def sync(self, paths: set[Path]) -> None:
        """Force files, folders, and the names of all in their folders to the device.

        One that is gone is passed over: its name is gone on the device then. May be called from
        another thread.
        """


class RealDisk:
    """The machine's file system."""

    def __init__(self) -> None:
        self._drafts = itertools.count()

    def read(self, path: Path) -> bytes:
        with path.open("rb", buffering=0) as file:
            return file.read()

    def stamp(self, path: Path) -> Stamp | None:
        try:
            return _stamp_of(path.stat(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def items(self, folder: Path) -> list[Item]:
        with os.scandir(folder) as found:
            return [
                Item(Path(item.path), item.is_dir(follow_symlinks=False))
                for item in found
                if not item.is_symlink()
            ]

    def is_folder(self, path: Path) -> bool:
        return path.is_dir() and not path.is_symlink()

    def exists(self, path: Path) -> bool:
        return os.path.lexists(path)

    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def replace_file(self, path: Path, content: bytes, temporary: Path, *, sync: bool) -> Stamp:
        draft = temporary / f"{os.getpid()}-{next(self._drafts)}.tmp"
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
                stamp = _stamp_of(os.fstat(file.fileno()))
            _retry_while_shared(lambda: draft.replace(path))
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        if sync:
            _sync_folder(path.parent)
        return stamp

    def rename(self, source: Path, target: Path) -> None:
        _retry_while_shared(lambda: source.replace(target))

    def remove(self, path: Path) -> None:
        _retry_while_shared(lambda: path.unlink(missing_ok=True))

    def remove_folder(self, path: Path) -> None:
        path.rmdir()

    def append_to(self, path: Path) -> AppendFile:
        return _RealAppendFile(path.open("ab", buffering=0))

    def sync(self, paths: set[Path]) -> None:
        # Elsewhere than on Linux this call does not wait for the device.
        if len(paths) > _SYNC_ONE_BY_ONE_MAX and sys.platform == "linux":
            os.sync()
            return
        for path in paths:
            with suppress(FileNotFoundError):
                _sync_file(path)
        for folder in {path.parent for path in paths}:
            with suppress(FileNotFoundError):
                _sync_folder(folder)


class _RealAppendFile:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:  # an unbuffered write may take a part
            view = view[self._file.write(view) :]

    def cut(self, size: int) -> None:
        self._file.truncate(size)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_mtime_ns, status.st_size)


def _retry_while_shared(action: Callable[[], object]) -> None:
    """Do something to a file that Windows may refuse for a moment; other refusals are final."""
    for wait in _SHARING_WAITS_SECONDS:
        try:
            action()
        except OSError as error:
            if getattr(error, "winerror", None) not in _SHARING_ERRORS:
                raise
            time.sleep(wait)
        else:
            return
    action()


def _sync_file(path: Path) -> None:
    # Windows forces only what is open for writing, and no folders.
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Force the names in a folder to the device, where a system can (Windows does by itself)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
