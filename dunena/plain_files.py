"""Safe reading of files that other programs made: never blocking, and only up to a size limit.

A path may lead to something else than a plain file. Opening a pipe waits for its other end, reading
a device may never end, a sparse file of gigabytes takes no space on the disk but would fill the
memory, and a link leads elsewhere. So a file is opened without blocking, its type is checked, and
it is read up to a limit.
"""

import errno
import os
import stat
from enum import StrEnum
from typing import NoReturn

# Windows lacks O_NONBLOCK, O_NOCTTY and O_NOFOLLOW. Making a link there needs rights that few users
# have; links are found by their path (`kind_at`) before a file is opened.
READING = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)  # otherwise Windows changes line ends
    | getattr(os, "O_NONBLOCK", 0)  # otherwise a pipe without a writer blocks
    | getattr(os, "O_NOCTTY", 0)  # otherwise a terminal may become the controlling one
)
NOT_FOLLOWING = READING | getattr(os, "O_NOFOLLOW", 0)
_CAN_REFUSE_LINKS = hasattr(os, "O_NOFOLLOW")

_PIECE_BYTES = 1 << 20


class FileKind(StrEnum):
    """The type of what is at a path, in words for messages."""

    FILE = "a file"
    FOLDER = "a folder"
    LINK = "a link"
    PIPE = "a pipe"
    SOCKET = "a socket"
    DEVICE = "a device"


class NotPlainError(OSError):
    """Something else than a plain file is at the path; ``kind`` is its type."""

    def __init__(self, path: str, kind: FileKind) -> None:
        super().__init__(errno.EINVAL, f"{kind}, not a plain file", path)
        self.kind = kind


class FileTooLargeError(OSError):
    """The file has more than ``bytes_max`` bytes."""

    def __init__(self, path: str, bytes_max: int) -> None:
        super().__init__(errno.EFBIG, f"more than {bytes_max} bytes", path)


def kind_of(mode: int) -> FileKind:
    """Return the type that an ``st_mode`` stands for."""
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
    """Return the type of what is at a path, without following a link; None if there is nothing.

    Raise OSError if the path cannot be examined.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileKind.LINK if is_junction(status) else kind_of(status.st_mode)


def is_junction(status: os.stat_result) -> bool:
    """Return whether it is a junction: Windows's link to a folder that needs no special rights."""
    tag: int = getattr(status, "st_reparse_tag", 0)
    return tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)


def open_plain(path: str, *, follow: bool) -> tuple[int, os.stat_result]:
    """Open a plain file for reading; return its descriptor and `os.fstat` result.

    ``follow`` permits that the path is a link. Raise `NotPlainError` for anything but a plain file,
    and OSError if it cannot be opened.
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
    """Read all of an open file; ``status`` is its `os.fstat` result.

    Raise `FileTooLargeError` if it has more than ``bytes_max`` bytes (None: no limit), without
    reading much more than these.
    """
    if bytes_max is not None and status.st_size > bytes_max:
        raise FileTooLargeError(path, bytes_max)
    try:
        content = os.read(descriptor, status.st_size + 1)
    except (MemoryError, OverflowError):  # a sparse file may claim any size
        raise FileTooLargeError(path, status.st_size - 1) from None
    if len(content) <= status.st_size:
        return content
    pieces, size = [content], len(content)  # the file has grown since
    while piece := os.read(descriptor, _PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if bytes_max is not None and size > bytes_max:
            raise FileTooLargeError(path, bytes_max)
    return b"".join(pieces)


def read_plain(path: str, bytes_max: int, *, follow: bool = True) -> bytes:
    """Return a plain file's content; raise `NotPlainError`, `FileTooLargeError` and OSError."""
    descriptor, status = open_plain(path, follow=follow)
    try:
        return read_open(descriptor, status, path, bytes_max)
    finally:
        os.close(descriptor)


def require_plain(path: str, bytes_max: int) -> None:
    """Check a file that a library will open by its path: raise what `read_plain` would raise."""
    descriptor, status = open_plain(path, follow=True)
    os.close(descriptor)
    if status.st_size > bytes_max:
        raise FileTooLargeError(path, bytes_max)


def _explain(path: str, *, follow: bool) -> None:
    """Raise `NotPlainError` if a path could not be opened because it is no plain file."""
    try:
        status = os.stat(path) if follow else os.lstat(path)
    except OSError:
        return
    if not stat.S_ISREG(status.st_mode):
        _refuse(path, kind_of(status.st_mode))


def _refuse(path: str, kind: FileKind) -> NoReturn:
    raise NotPlainError(path, kind) from None
