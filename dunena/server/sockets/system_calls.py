"""The system calls of connections: the compiled ones where they were built, or Python's own.

Both do the same. The sockets are those of `dunena.server.sockets` and never block.
"""

import os
from collections.abc import Callable
from typing import Final

RECEIVED_BYTES_MAX: Final = 65_536


def _receive(fd: int) -> bytes | None:
    """Return received bytes, b"" at the end of input, None for none now; raise `OSError`."""
    try:
        return os.read(fd, RECEIVED_BYTES_MAX)
    except (BlockingIOError, InterruptedError):
        return None


def _send(fd: int, data: bytes | memoryview) -> int:
    """Return how many bytes the system took, 0 for none now; raise `OSError`."""
    try:
        return os.write(fd, data)
    except (BlockingIOError, InterruptedError):
        return 0


receive: Callable[[int], bytes | None] = _receive
send: Callable[[int, bytes | memoryview], int] = _send
wait: Callable[[int, int], list[int]] | None = None
"""Returns descriptors that are ready in an epoll, each followed by its events; the wait is in ms,
-1 for without end. None if it was not built."""

try:
    from dunena.server.sockets import _system_calls
except ImportError:
    pass
else:
    receive, send = _system_calls.receive, _system_calls.send
    wait = getattr(_system_calls, "wait", None)
