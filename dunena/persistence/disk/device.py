"""Forcing what was written to the device, as each system and file system can."""

import errno
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from dunena.plain_files import NOT_FOLLOWING, FileKind, kind_at

fcntl: Any = None if sys.platform == "win32" else import_module("fcntl")
"""What only some systems have, and of it not all the same."""

_NO_FULL_SYNC = frozenset({errno.ENOTSUP, errno.EINVAL, errno.ENOTTY})
"""What file systems that cannot say that a drive should empty its cache answer."""


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


def sync_file(path: str) -> None:
    """Force a file or folder to the device; whatever else took the name is none of ours."""
    kind = kind_at(path)
    if kind is FileKind.FOLDER:
        sync_folder(path)
    elif kind is FileKind.FILE:
        # Windows forces only what is open for writing.
        _sync_path(path, os.O_RDWR if sys.platform == "win32" else NOT_FOLLOWING)


def sync_folder(folder: str) -> None:
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
