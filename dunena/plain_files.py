"""Files that others made: opened without waiting, and read only as far as they may be large.

What stands under a file's name need be no file. Opening a pipe waits for its other end, a device
may never end, a sparse file of gigabytes takes no room on the disk and all of the memory, and a
link leads elsewhere. So a file is opened without waiting, asked what it is, and read up to a bound.
"""

import errno
import os
import stat
from enum import StrEnum
from typing import NoReturn

# Windows has none of the last four; links there need rights that few have, and are asked for by
# name (`kind_at`) before anything is opened.
READING = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)  # Windows would change line ends
    | getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer
    | getattr(os, "O_NOCTTY", 0)  # a terminal would become ours
)
NOT_FOLLOWING = READING | getattr(os, "O_NOFOLLOW", 0)
_CAN_REFUSE_LINKS = hasattr(os, "O_NOFOLLOW")

_PIECE_BYTES = 1 << 20


class FileKind(StrEnum):
    """What stands under a name, in words for people."""

    FILE = "a file"
    FOLDER = "a folder"
    LINK = "a link"
    PIPE = "a pipe"
    SOCKET = "a socket"
    DEVICE = "a device"


class NotPlainError(OSError):
    """Something else than a plain file stands under the name."""

    def __init__(self, path: str, kind: FileKind) -> None:
        super().__init__(errno.EINVAL, f"{kind}, not a plain file", path)
        self.kind = kind


class FileTooLargeError(OSError):
    """The file has more bytes than were to be read."""

    def __init__(self, path: str, bytes_max: int) -> None:
        super().__init__(errno.EFBIG, f"more than {bytes_max} bytes", path)


def kind_of(mode: int) -> FileKind:
    """The kind of what has this ``st_mode``."""
    if stat.S_ISREG(mode):
        return FileKind.FILE
    if stat.S_ISDIR(mode):
        return FileKind.FOLDER
    if stat.S_ISLNK(mode):
        return FileKind.LINK
    if stat.S_ISFIFO(mode):
        return FileKind.PIPE
    return FileKind.SOCKET if stat.S_ISSOCK(mode) else FileKind.DEVICE


def kind_at(path: str) -> FileKind | None:
    """What is at a path itself, no link followed; None where nothing is. Raises OSError."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileKind.LINK if is_junction(status) else kind_of(status.st_mode)


def is_junction(status: os.stat_result) -> bool:
    """Whether it is what Windows has for a link to a folder that needs no rights."""
    tag: int = getattr(status, "st_reparse_tag", 0)
    return tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)


def open_plain(path: str, *, follow: bool) -> tuple[int, os.stat_result]:
    """A plain file's descriptor and state; with ``follow`` there may be links on the way.

    Raises `NotPlainError` for anything else, and OSError.
    """
    if not follow and not _CAN_REFUSE_LINKS and kind_at(path) is FileKind.LINK:
        raise NotPlainError(path, FileKind.LINK)
    try:
        descriptor = os.open(path, READING if follow else NOT_FOLLOWING)
    except OSError:
        _explain(path, follow=follow)
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotPlainError(path, kind_of(status.st_mode))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def read_open(descriptor: int, status: os.stat_result, path: str, bytes_max: int | None) -> bytes:
    """All of an open file; raises `FileTooLargeError` when there is more, having read no more."""
    if bytes_max is not None and status.st_size > bytes_max:
        raise FileTooLargeError(path, bytes_max)
    try:
        content = os.read(descriptor, status.st_size + 1)
    except (MemoryError, OverflowError):  # a sparse file may claim any size
        raise FileTooLargeError(path, status.st_size - 1) from None
    if len(content) <= status.st_size:
        return content
    pieces, size = [content], len(content)  # it grows
    while piece := os.read(descriptor, _PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if bytes_max is not None and size > bytes_max:
            raise FileTooLargeError(path, bytes_max)
    return b"".join(pieces)


def read_plain(path: str, bytes_max: int, *, follow: bool = True) -> bytes:
    """A plain file's content; raises `NotPlainError`, `FileTooLargeError` and OSError."""
    descriptor, status = open_plain(path, follow=follow)
    try:
        return read_open(descriptor, status, path, bytes_max)
    finally:
        os.close(descriptor)


def require_plain(path: str, bytes_max: int) -> None:
    """For what another library opens by its name: raise as `read_plain` would, reading nothing."""
    descriptor, status = open_plain(path, follow=True)
    os.close(descriptor)
    if status.st_size > bytes_max:
        raise FileTooLargeError(path, bytes_max)


def _explain(path: str, *, follow: bool) -> None:
    """Raise `NotPlainError` where that is why something could not be opened."""
    try:
        status = os.stat(path) if follow else os.lstat(path)
    except OSError:
        return
    if not stat.S_ISREG(status.st_mode):
        _refuse(path, kind_of(status.st_mode))


def _refuse(path: str, kind: FileKind) -> NoReturn:
    raise NotPlainError(path, kind) from None
