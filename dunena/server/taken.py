"""Whether a port is taken where the system would let two programs have it.

Windows, and macOS as asyncio asks it, bind 127.0.0.1 beside a program that has the same port of
all addresses: then it is chance who of the two is reached.
"""

import asyncio
import sys

from dunena.settings import ANY_HOSTS, is_loopback_host

ANSWER_SECONDS_MAX = 0.25
"""Who listens on this machine is reached at once; that nobody does Windows tells after seconds."""

_LOOPBACKS = ("127.0.0.1", "::1")  # `localhost` is either, as each program likes


async def is_taken(host: str, port: int) -> bool:
    """Whether somebody answers already where a server on this host and port would."""
    if sys.platform not in ("win32", "darwin") or port == 0:
        return False  # Linux itself refuses what is taken
    if host not in ANY_HOSTS and not is_loopback_host(host):
        return False
    return any(await asyncio.gather(*(_answers(one, port) for one in _LOOPBACKS)))


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError is one
        return False
    writer.close()
    return True
