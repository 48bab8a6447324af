"""What Linux tells of the folders it watches: inotify(7), by way of the C library.

Libraries that do this for all systems give names as text, which a name on Linux need not be, and
keep to themselves that the system's queue overflowed: then nobody knows what was missed.
"""

import ctypes
import os
import select
import struct
import sys
from typing import Final, NamedTuple

assert sys.platform == "linux", "it is there alone"

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name behind it
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
    """``name`` is in the folder of that watch; empty for the folder itself."""

    watch: int
    mask: int
    name: bytes


class Inotify:
    """One queue of the system's; every method raises OSError, `wake` and `close` apart."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _last_error()
        self._woken, self._waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def watch(self, folder: bytes) -> int:
        """Watch a folder, not what is in folders in it; the same watch for the same folder."""
        mask = _CHANGES | DELETE_SELF | _ONLY_FOLDERS | _FOLLOW_NO_LINK
        watch: int = self._library.inotify_add_watch(
            self._descriptor, ctypes.c_char_p(folder), ctypes.c_uint32(mask)
        )
        if watch < 0:
            raise _last_error()
        return watch

    def unwatch(self, watch: int) -> None:
        """Watch a folder no more; it may be gone already."""
        self._library.inotify_rm_watch(self._descriptor, watch)

    def wait(self, timeout_ms: int) -> bool:
        """Until there are events, somebody calls `wake`, or the time is over; whether any came."""
        return any(ready == self._descriptor for ready, _ in self._poll.poll(timeout_ms))

    def read(self) -> list[InotifyEvent]:
        """What the queue holds, or a part of it."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return []
        events, at = [], 0
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            events.append(InotifyEvent(watch, mask, data[at : at + length].rstrip(b"\0")))
            at += length
        return events

    def wake(self) -> None:
        """End `wait`, now and from now on; any thread."""
        os.write(self._waking, b"x")

    def close(self) -> None:
        """Let go of it; the thread that waited has ended."""
        for descriptor in (self._descriptor, self._woken, self._waking):
            os.close(descriptor)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
