"""The lock of a folder, which one process holds as long as it uses the folder.

It is the system's own lock of a file, as filelock takes it, whose import would be a tenth of a
server's start. So both exclude each other, and what is not plain is left to filelock.
"""

import errno
import os
import sys
from pathlib import Path
from typing import Any

_HELD = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK})
_FILE_MODE = 0o644


class FolderLockedError(Exception):
    """Another holds the lock."""


class FolderLock:
    """The lock on ``file``, which is made when it is first locked and stays when it is released."""

    __slots__ = ("_descriptor", "_file", "_other")

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._other: Any = None  # filelock's, where the system's is not used directly

    def acquire(self) -> None:
        """Lock at once; raise `FolderLockedError`, or OSError if the file cannot be locked."""
        if sys.platform == "win32":
            self._acquire_other()
            return
        import fcntl

        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _HELD:
                raise FolderLockedError from None
            if error.errno != errno.ENOSYS:
                raise
            self._acquire_other()
        else:
            self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock; do nothing if it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and sys.platform != "win32":
            import fcntl

            # Not by closing alone: a fork of this process may have the file, too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
        if self._other is not None:
            self._other.release()

    def _acquire_other(self) -> None:
        from filelock import FileLock, Timeout

        self._other = FileLock(self._file, thread_local=False)
        try:
            self._other.acquire(blocking=False)
        except Timeout:
            raise FolderLockedError from None
