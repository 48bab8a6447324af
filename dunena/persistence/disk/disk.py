"""The operations on the disk that keeping values is made of.

Everything that journal, records and files do to the disk goes through `Disk`, so that a test can
put a disk in its place that tears writes, forgets what was not synced, fills up, or stops between
any two operations.

What each operation promises. ``replace_file`` and ``rename`` are atomic: another program, and a
crash of this one, sees before or after. Nothing is on the device itself before ``sync`` (of a
file's content and of the names in its folder).

Paths are whole ones, as text: a folder of many keys is read and written in a loop where a path
object would cost more than the call it is for.
"""

import errno
import itertools
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from dunena.plain_files import (
    NOT_FOLLOWING,
    FileKind,
    NotPlainError,
    is_junction,
    kind_at,
    kind_of,
    open_plain,
    read_open,
)

fcntl: Any = None if sys.platform == "win32" else import_module("fcntl")
"""What only some systems have, and of it not all the same."""

_SYNC_ONE_BY_ONE_MAX = 64  # past it, one sync of everything costs less than one of each

_SHARING_ERRORS = frozenset({5, 32, 33})
"""Windows' access denied, sharing violation and lock violation: what an antivirus, an indexer or
a sync folder that looks at a file causes, for some milliseconds."""

_SHARING_WAITS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

_NO_FULL_SYNC = frozenset({errno.ENOTSUP, errno.EINVAL, errno.ENOTTY})
"""What file systems that cannot say that a drive should empty its cache answer."""

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would change line ends
_CREATING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY
_MODE = 0o666  # less what the user's mask takes away
_INODE_MAX = 2**63 - 1  # some systems use all 64 bits, and a record has signed ones


class Stamp(NamedTuple):
    """What tells one content of a file from another without reading it."""

    inode: int
    modified_ns: int
    size: int


class Draft(NamedTuple):
    """A file that is written and not in its place yet; ``stamp`` is what it will have there."""

    path: str
    stamp: Stamp


class Names(NamedTuple):
    """What is in a folder; ``others`` are links, pipes and the like, which are neither."""

    folders: list[str]
    files: list[str]
    others: list[str]


class AppendFile(Protocol):
    """A file that only grows at its end; all methods raise OSError."""

    @property
    def inode(self) -> int:
        """Of the file that is open, whatever its name is of by now."""

    def append(self, data: bytes) -> None:
        """Add all of the data; when it fails, a part of it may be there."""

    def cut(self, size: int) -> None:
        """Take away everything behind the first ``size`` bytes."""

    def sync(self) -> None:
        """Force what was appended to the device; may be called from another thread."""

    def close(self) -> None:
        """Close the file."""


class Disk(Protocol):
    """A file system; every method raises OSError as the real one does."""

    def read(self, path: str, bytes_max: int | None = None) -> bytes:
        """A file's content; raises as `read_stamped` does."""

    def read_stamped(self, path: str, bytes_max: int | None = None) -> tuple[bytes, Stamp]:
        """A file's content, and its stamp from before it was read.

        Only of a plain file: `NotPlainError` for a link and anything else; `FileTooLargeError` for
        more than ``bytes_max`` bytes.
        """

    def stamp(self, path: str) -> Stamp | None:
        """Of what is there now, whatever it is; None where nothing is."""

    def kind(self, path: str) -> FileKind | None:
        """What is there now; None where nothing is."""

    def is_link_to_folder(self, path: str) -> bool:
        """Whether a link is there that leads to a folder."""

    def names(self, folder: str) -> Names:
        """What is in a folder, in no order."""

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there, and not a link to one."""

    def identity(self, folder: str) -> tuple[int, ...] | None:
        """What tells a folder from any other that takes its name; None where none is."""

    def exists(self, path: str) -> bool:
        """Whether anything is there, a link included."""

    def make_folder(self, path: str) -> None:
        """With its parents; it may be there already."""

    def replace_file(self, path: str, content: bytes, temporary: str, *, sync: bool) -> Stamp:
        """Make ``path`` hold ``content``, by way of a draft in the folder ``temporary``.

        With ``sync``, content and name are on the device when it returns. When it fails, the path
        is as it was. A file there keeps its mode; anything that is no file is not replaced.
        """

    def write_draft(
        self, path: str, content: bytes, temporary: str, *, sync: bool = False
    ) -> Draft:
        """The first half of `replace_file`: a file for ``path``, in the folder ``temporary``.

        When it fails, nothing of it is left. With ``sync`` its content is on the device.
        """

    def put_in_place(self, draft: Draft, path: str) -> Stamp:
        """The second half: the draft becomes ``path``; the stamp of the file that is there now.

        It is the draft's, except where the system lets no file be put in that one's place (a
        single file that is mounted into a container): that is written over, which a crash can
        leave half done. When it fails, the path is as it was, and the draft is gone.
        """

    def discard(self, draft: Draft) -> None:
        """Remove a draft that is not wanted after all; never fails."""

    def rename(self, source: str, target: str) -> None:
        """Move a file or folder; a file that was at the target is gone."""

    def remove(self, path: str) -> None:
        """Remove a file; it may be gone already. What is no plain file is left where it is."""

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""

    def append_to(self, path: str) -> AppendFile:
        """Open a file for appending; it is made if it is not there."""

    def sync(self, paths: set[str]) -> None:
        """Force files, folders, and the names of all in their folders to the device.

        One that is gone is passed over, since its name is gone on the device then; so is what is
        neither file nor folder. May be called from another thread.
        """


class RealDisk:
    """The machine's file system."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._drafts = itertools.count()

    def read(self, path: str, bytes_max: int | None = None) -> bytes:
        return self.read_stamped(path, bytes_max)[0]

    def read_stamped(self, path: str, bytes_max: int | None = None) -> tuple[bytes, Stamp]:
        descriptor, status = open_plain(path, follow=False)
        try:
            return read_open(descriptor, status, path, bytes_max), _stamp_of(status)
        finally:
            os.close(descriptor)

    def stamp(self, path: str) -> Stamp | None:
        try:
            return _stamp_of(os.lstat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def kind(self, path: str) -> FileKind | None:
        return kind_at(path)

    def is_link_to_folder(self, path: str) -> bool:
        return self.kind(path) is FileKind.LINK and os.path.isdir(path)

    def names(self, folder: str) -> Names:
        names = Names([], [], [])
        with os.scandir(folder) as found:
            for item in found:
                if item.is_file(follow_symlinks=False):
                    names.files.append(item.name)
                elif _is_folder(item):
                    names.folders.append(item.name)
                else:
                    names.others.append(item.name)
        return names

    def is_folder(self, path: str) -> bool:
        try:
            return self.kind(path) is FileKind.FOLDER
        except OSError:
            return False

    def identity(self, folder: str) -> tuple[int, ...] | None:
        try:
            status = os.lstat(folder)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def make_folder(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def replace_file(self, path: str, content: bytes, temporary: str, *, sync: bool) -> Stamp:
        draft = self.write_draft(path, content, temporary, sync=sync)
        stamp = self.put_in_place(draft, path)
        if sync:
            _sync_folder(parent_of(path))
        return stamp

    def write_draft(
        self, path: str, content: bytes, temporary: str, *, sync: bool = False
    ) -> Draft:
        replaced = _plain_status(path)
        draft = join(temporary, f"{self._process}-{next(self._drafts)}.tmp")
        try:
            return Draft(draft, _write_new(draft, content, replaced, sync=sync))
        except OSError:
            with suppress(OSError):
                os.unlink(draft)
            raise

    def put_in_place(self, draft: Draft, path: str) -> Stamp:
        try:
            _retry_while_shared(os.replace, draft.path, path)
        except OSError as error:
            try:
                if error.errno != errno.EBUSY:
                    raise
                return _write_over(path, draft)  # a file that is a mount of its own
            finally:
                self.discard(draft)
        return draft.stamp

    def discard(self, draft: Draft) -> None:
        with suppress(OSError):
            os.unlink(draft.path)

    def rename(self, source: str, target: str) -> None:
        _retry_while_shared(os.replace, source, target)

    def remove(self, path: str) -> None:
        if self.kind(path) is FileKind.FILE:
            with suppress(FileNotFoundError):
                _retry_while_shared(os.unlink, path)

    def remove_folder(self, path: str) -> None:
        os.rmdir(path)

    def append_to(self, path: str) -> AppendFile:
        return _RealAppendFile(os.open(path, _APPENDING, _MODE))

    def sync(self, paths: set[str]) -> None:
        # Elsewhere than on Linux this call does not wait for the device.
        if len(paths) > _SYNC_ONE_BY_ONE_MAX and sys.platform == "linux":
            os.sync()
            return
        for path in paths:
            with suppress(FileNotFoundError):
                _sync_file(path)
        for folder in {parent_of(path) for path in paths}:
            with suppress(FileNotFoundError):
                _sync_folder(folder)


class _RealAppendFile:
    __slots__ = ("_descriptor", "_inode")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._inode = _stamp_of(os.fstat(descriptor)).inode

    @property
    def inode(self) -> int:
        return self._inode

    def append(self, data: bytes) -> None:
        _write_all(self._descriptor, data)

    def cut(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        force(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def force(descriptor: int) -> None:
    """Force what was written to an open file, or the names in an open folder, to the device.

    On macOS `fsync` leaves it in the drive's own cache, which a power cut empties; there is another
    call, which not every file system takes.
    """
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:
        try:
            fcntl.fcntl(descriptor, full_sync)
        except OSError as error:
            if error.errno not in _NO_FULL_SYNC:
                raise
        else:
            return
    os.fsync(descriptor)


def join(folder: str, name: str) -> str:
    """The path of a name in a folder."""
    return f"{folder}{os.sep}{name}"


def parent_of(path: str) -> str:
    """The folder that a path's name is in."""
    return path.rpartition(os.sep)[0]


def name_of(path: str) -> str:
    """The name at the end of a path."""
    return path.rpartition(os.sep)[2]


def _is_folder(item: os.DirEntry[str]) -> bool:
    if not item.is_dir(follow_symlinks=False):
        return False
    return sys.platform != "win32" or not is_junction(item.stat(follow_symlinks=False))


def _write_new(path: str, content: bytes, replaced: os.stat_result | None, *, sync: bool) -> Stamp:
    descriptor = os.open(path, _CREATING, _MODE)
    try:
        _write_all(descriptor, content)
        status = os.fstat(descriptor)
        if replaced is not None:
            _take_after(descriptor, status, replaced)
        if sync:
            force(descriptor)
        return _stamp_of(status)
    finally:
        os.close(descriptor)


def _plain_status(path: str) -> os.stat_result | None:
    """Of the file that is to be replaced; None without one. Raises `NotPlainError` and OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise NotPlainError(path, kind_of(status.st_mode))
    return status


def _take_after(descriptor: int, status: os.stat_result, replaced: os.stat_result) -> None:
    """Give a draft the owner, where that is permitted, and the mode of the file it replaces."""
    if sys.platform == "win32":
        return  # both are in lists of another kind, which a new file gets from its folder
    owner = replaced.st_uid, replaced.st_gid
    is_anothers = owner != (status.st_uid, status.st_gid)
    if is_anothers:
        try:
            os.fchown(descriptor, *owner)
        except OSError:
            with suppress(OSError):
                os.fchown(descriptor, -1, replaced.st_gid)
    if is_anothers or replaced.st_mode != status.st_mode:
        with suppress(OSError):  # a file system without modes
            os.fchmod(descriptor, stat.S_IMODE(replaced.st_mode))


def _write_over(path: str, draft: Draft) -> Stamp:
    source, status = open_plain(draft.path, follow=False)
    try:
        content = read_open(source, status, draft.path, None)
    finally:
        os.close(source)
    descriptor = os.open(path, NOT_FOLLOWING | os.O_WRONLY)
    try:
        _write_all(descriptor, content)
        os.ftruncate(descriptor, len(content))
        return _stamp_of(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    if written < len(data):  # a full disk, or a signal
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(descriptor, view) :]


def _stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino & _INODE_MAX, status.st_mtime_ns, status.st_size)


def _retry_while_shared(action: Callable[..., object], *paths: str) -> None:
    """Do something to a file that Windows may refuse for a moment; other refusals are final."""
    for wait in _SHARING_WAITS_SECONDS:
        try:
            action(*paths)
        except OSError as error:
            if getattr(error, "winerror", None) not in _SHARING_ERRORS:
                raise
            time.sleep(wait)
        else:
            return
    action(*paths)


def _sync_file(path: str) -> None:
    """Force a file or folder to the device; whatever else took the name is none of ours."""
    kind = kind_at(path)
    if kind is FileKind.FOLDER:
        _sync_folder(path)
    elif kind is FileKind.FILE:
        # Windows forces only what is open for writing.
        _sync_path(path, os.O_RDWR if sys.platform == "win32" else NOT_FOLLOWING)


def _sync_folder(folder: str) -> None:
    """Force the names in a folder to the device, where a system can (Windows does by itself)."""
    if sys.platform != "win32":
        with suppress(NotADirectoryError):  # what took its name is none of ours
            _sync_path(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync_path(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        force(descriptor)
    finally:
        os.close(descriptor)
