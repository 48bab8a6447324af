"""Watching folders on Linux by inotify(7), through the C library.

Libraries for all systems return names as text, but a name on Linux may be any bytes. They also do
not report that the system's queue overflowed, so that missed changes stay unknown.
"""

import ctypes
import os
import select
import struct
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

assert sys.platform == "linux", "it is there alone"

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_READ_BYTES = 1 << 18

MODIFY: Final = 0x2
ATTRIB: Final = 0x4
CLOSE_WRITE: Final = 0x8
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
DELETE: Final = 0x200
DELETE_SELF: Final = 0x400
UNMOUNT: Final = 0x2000
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
IS_FOLDER: Final = 0x40000000
_ONLY_FOLDERS = 0x01000000
_FOLLOW_NO_LINK = 0x02000000

_CHANGES = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE


class InotifyEvent(NamedTuple):
    """An event of inotify; ``name`` is in the watched folder, empty for the folder itself."""

    watch: int
    mask: int
    name: bytes


class Inotify:
    """One inotify queue; all methods but `wake` and `close` raise OSError."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _last_error()
        self._woken, self._waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        self._wake_poll = select.poll()
        self._wake_poll.register(self._woken, select.POLLIN)

    def watch(self, folder: bytes) -> int:
        """Watch a folder without its subfolders; return the watch's number, one per folder."""
        mask = _CHANGES | DELETE_SELF | _ONLY_FOLDERS | _FOLLOW_NO_LINK
        watch: int = self._library.inotify_add_watch(
            self._descriptor, ctypes.c_char_p(folder), ctypes.c_uint32(mask)
        )
        if watch < 0:
            raise _last_error()
        return watch

    def unwatch(self, watch: int) -> None:
        """Stop watching a folder, which may be removed already."""
        self._library.inotify_rm_watch(self._descriptor, watch)

    def wait(self, timeout_ms: int) -> bool:
        """Wait for events, `wake` or the timeout (negative: none); return whether events came."""
        return any(ready == self._descriptor for ready, _ in self._poll.poll(timeout_ms))

    def rest(self, timeout_ms: int) -> bool:
        """Wait for the timeout, whatever happens in the folder; return False after `wake`."""
        return not self._wake_poll.poll(timeout_ms)

    def read(self) -> Iterator[InotifyEvent]:
        """Yield events from the queue, all or a part of them; do not block.

        They are not all there at once: the garbage collector would look through them.
        """
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            yield InotifyEvent(watch, mask, data[at : at + length].rstrip(b"\0"))
            at += length

    def wake(self) -> None:
        """End the present and all later calls of `wait` and `rest`; any thread may call it."""
        os.write(self._waking, b"x")

    def close(self) -> None:
        """Close the descriptors; no thread may be in `wait`."""
        for descriptor in (self._descriptor, self._woken, self._waking):
            os.close(descriptor)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
