"""The implementation of `Disk` for the machine's file system."""

import errno
import itertools
import os
import stat
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from dunena.persistence.disk.device import force, sync_file, sync_folder
from dunena.persistence.disk.disk import AppendFile, Draft, Names, Stamp, join, parent_of
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

_SYNC_ONE_BY_ONE_MAX = 64  # above this, one sync of everything is cheaper

_SHARING_ERRORS = frozenset({5, 32, 33})
"""Windows' errors access denied, sharing violation and lock violation: antivirus programs, indexers
and cloud folders cause them for some milliseconds while they read a file."""

_SHARING_WAITS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

_BINARY = getattr(os, "O_BINARY", 0)  # otherwise Windows converts line ends
_CREATING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY
_MODE = 0o666  # minus the bits of the user's umask
_INODE_MAX = 2**63 - 1  # some systems use 64 bits, and records have signed numbers


class RealDisk:
    """The machine's file system; `Disk` describes the methods."""

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
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise

    def make_root(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def replace_file(self, path: str, content: bytes, temporary: str, *, sync: bool) -> Stamp:
        draft = self.write_draft(path, content, temporary, sync=sync)
        stamp = self.put_in_place(draft, path)
        if sync:
            sync_folder(parent_of(path))
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
                return _write_over(path, draft)  # the file itself is a mount point
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

    def sync(self, paths: Collection[str]) -> None:
        # Only on Linux does this call wait for the device.
        if len(paths) > _SYNC_ONE_BY_ONE_MAX and sys.platform == "linux":
            os.sync()
            return
        for path in paths:
            with suppress(FileNotFoundError):
                sync_file(path)
        for folder in {parent_of(path) for path in paths}:
            with suppress(FileNotFoundError):
                sync_folder(folder)


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
    """Return the status of a file to replace, None if there is none.

    Raise `NotPlainError` for anything but a plain file, and OSError.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise NotPlainError(path, kind_of(status.st_mode))
    return status


def _take_after(descriptor: int, status: os.stat_result, replaced: os.stat_result) -> None:
    """Give a draft the mode of the file it replaces, and the owner if that is permitted."""
    if sys.platform == "win32":
        return  # access control lists, which a new file gets from its folder
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
    """Call ``action``, again and again while Windows refuses it because others use the file."""
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
