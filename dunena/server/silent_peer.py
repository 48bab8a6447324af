"""Letting the system end a connection whose peer takes nothing, as one that is gone without a word.

A peer that only receives is never heard, and what is written for one that is gone waits in the
system, which by itself tries for a quarter of an hour.
"""

import asyncio
import socket
import sys
from contextlib import suppress


def _option() -> tuple[int, int] | None:
    """Return the system's TCP option for this, and its units in a second; None if it has none."""
    if sys.platform.startswith("linux"):
        return socket.TCP_USER_TIMEOUT, 1000
    if sys.platform == "darwin":
        return 0x80, 1  # TCP_RXT_CONNDROPTIME, for which Python has no name
    if sys.platform == "win32":
        return 5, 1  # TCP_MAXRT, for which Python has no name
    return None


def end_after_silence(transport: asyncio.BaseTransport, seconds: int) -> None:
    """Let a connection end when its peer has taken nothing of what was sent for ``seconds``.

    Do nothing where the system cannot do that.
    """
    found = transport.get_extra_info("socket")
    option = _option()
    if found is not None and option is not None:
        number, units = option
        with suppress(OSError):  # it is lost already, or no TCP
            found.setsockopt(socket.IPPROTO_TCP, number, seconds * units)
