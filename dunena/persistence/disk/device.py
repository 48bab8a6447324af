"""Forcing written data to the device, in the way that each system supports."""

import errno
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from dunena.plain_files import NOT_FOLLOWING, FileKind, kind_at

fcntl: Any = None if sys.platform == "win32" else import_module("fcntl")
"""The module fcntl, which Windows lacks; its constants differ between systems."""

_NO_FULL_SYNC = frozenset({errno.ENOTSUP, errno.EINVAL, errno.ENOTTY})
"""Errors of file systems that cannot make a drive flush its cache."""


def force(descriptor: int) -> None:
    """Force the data of an open file, or the names in an open folder, to the device.

    On macOS `fsync` leaves data in the drive's cache, which a power cut clears. There F_FULLFSYNC
    is used, and `fsync` where the file system does not support it.
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
    """Force a file or folder to the device; do nothing for anything else at its path."""
    kind = kind_at(path)
    if kind is FileKind.FOLDER:
        sync_folder(path)
    elif kind is FileKind.FILE:
        # Windows forces only a file that is open for writing.
        _sync_path(path, os.O_RDWR if sys.platform == "win32" else NOT_FOLLOWING)


def sync_folder(folder: str) -> None:
    """Force the names in a folder to the device; Windows does so by itself."""
    if sys.platform != "win32":
        with suppress(NotADirectoryError):  # others replaced the folder
            _sync_path(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync_path(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        force(descriptor)
    finally:
        os.close(descriptor)
