"""The open port: of one asyncio server, or on Windows of one for each address.

There any program may take a part of a port that another one has, unless that one has it alone; and
asyncio does not ask for that.
"""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

_ALONE = getattr(socket, "SO_EXCLUSIVEADDRUSE", 0)  # only Windows has it
_REFUSED = frozenset({errno.EADDRINUSE, errno.EACCES})


class Listener:
    """Servers that are one to whoever has them."""

    def __init__(self, servers: Sequence[asyncio.Server]) -> None:
        self._servers = servers

    @property
    def port(self) -> int:
        """Of the first of its addresses."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    async def start_serving(self) -> None:
        """Answer from now on."""
        for server in self._servers:
            await server.start_serving()

    def close(self) -> None:
        """No new connections."""
        for server in self._servers:
            server.close()


async def open_listener(
    new_protocol: Callable[[], asyncio.BaseProtocol], host: str, port: int, **options: Any
) -> Listener:
    """Take a port, without answering on it yet; ``options`` are those of asyncio's `create_server`.

    Raises OSError.
    """
    loop = asyncio.get_running_loop()
    options |= {"start_serving": False}
    if sys.platform != "win32":
        return Listener([await loop.create_server(new_protocol, host, port, **options)])
    found = await loop.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    servers: list[asyncio.Server] = []
    try:
        for family, address in dict.fromkeys((one[0], one[4]) for one in found):
            bound = bind_alone(family, address)
            servers.append(await loop.create_server(new_protocol, sock=bound, **options))
    except OSError:
        Listener(servers).close()
        raise
    return Listener(servers)


def bind_alone(family: int, address: tuple[Any, ...]) -> socket.socket:
    """A socket that has its port alone, or else as others have theirs.

    Alone it cannot be had while a connection of whoever had it before lingers: a client that reads
    nothing would keep a server from being started again.
    """
    try:
        return _bound(family, address, is_alone=True)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
    return _bound(family, address, is_alone=False)


def _bound(family: int, address: tuple[Any, ...], *, is_alone: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if is_alone:
            bound.setsockopt(socket.SOL_SOCKET, _ALONE, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
