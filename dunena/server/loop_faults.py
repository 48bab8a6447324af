"""Handling errors that asyncio reports: one helpful log line instead of a traceback each time."""

import asyncio
import errno
import logging
import sys
from contextlib import suppress
from typing import Any

from dunena.server.shortage import Shortage

DESCRIPTORS_RESERVED = 64
"""File descriptors reserved for other things than connections: files, the watcher, the loop."""

_MACOS_OPEN_MAX = 10_240
"""What macOS permits where it refuses more, whatever its hard limit says (setrlimit(2))."""

_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SECONDS_BETWEEN_LINES = 10.0

_log = logging.getLogger(__name__)


def connections_max(wanted: int) -> int:
    """Return the number of connections the system has descriptors for, at most ``wanted``.

    Raise the limit of this process as far as permitted first.
    """
    if sys.platform == "win32":
        return wanted  # Windows has no such limit for sockets
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted + DESCRIPTORS_RESERVED
    if hard != resource.RLIM_INFINITY:
        target = min(target, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        soft = _raise_limit(soft, hard, target)
    if soft == resource.RLIM_INFINITY:
        return wanted
    # Of a very low limit half is for connections.
    return min(wanted, max(soft - DESCRIPTORS_RESERVED, soft // 2))


def _raise_limit(soft: int, hard: int, target: int) -> int:
    """Raise the limit on open files to ``target``, or less; return what it is then."""
    if sys.platform == "win32":
        return soft
    import resource

    for wanted in (target, min(target, _MACOS_OPEN_MAX)):
        if wanted > soft:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # macOS may give less
    _log.warning("the limit on open files (ulimit -n) cannot be raised and stays at %d", soft)
    return soft


class LoopFaults:
    """An asyncio exception handler that logs each kind of fault rarely.

    ``shortage`` is told of connections that cannot be accepted for want of descriptors.
    """

    def __init__(self, shortage: Shortage) -> None:
        self._shortage = shortage
        self._silent_until = 0.0
        self._untold = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log one fault, unless it is expected or was logged a moment ago."""
        fault = context.get("exception")
        if isinstance(fault, OSError) and fault.errno in _OUT_OF_DESCRIPTORS:
            self._shortage.tell(
                f"no new connections for now: {fault.strerror}",
                "close some, or raise the limit on open files (ulimit -n)",
            )
            return
        if isinstance(fault, ValueError) and "_start_serving" in repr(context.get("handle")):
            return  # without descriptors asyncio accepts again later: here after the port closed
        if isinstance(fault, OSError) and "accept_coro" in repr(context.get("future")):
            return  # asyncio's second report of an error that `accepting` has handled
        # A client that triggers a bug may do so again and again, and must not flood the log.
        if loop.time() < self._silent_until:
            self._untold += 1
            return
        self._silent_until = loop.time() + _SECONDS_BETWEEN_LINES
        if self._untold:
            _log.error("%d more faults since the last one that was reported", self._untold)
            self._untold = 0
        loop.default_exception_handler(context)
