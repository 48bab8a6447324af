"""Detecting a port in use on systems that let two programs bind it.

Windows, and macOS with asyncio's options, bind 127.0.0.1 even if another program listens on the
same port of all addresses; then it is not defined which of the two a client reaches.
"""

import asyncio
import sys

from dunena.settings import ANY_HOSTS, is_loopback_host

ANSWER_SECONDS_MAX = 0.25
"""Time to wait for an answer: a program on this machine answers at once, but Windows takes seconds
to report that none listens."""

_LOOPBACKS = ("127.0.0.1", "::1")  # programs differ in which one they use for `localhost`


async def is_taken(host: str, port: int) -> bool:
    """Return whether another program answers where a server on this host and port would."""
    if sys.platform not in ("win32", "darwin") or port == 0:
        return False  # Linux refuses to bind a port in use
    if host not in ANY_HOSTS and not is_loopback_host(host):
        return False
    return any(await asyncio.gather(*(_answers(one, port) for one in _LOOPBACKS)))


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError is an OSError
        return False
    writer.close()
    return True
