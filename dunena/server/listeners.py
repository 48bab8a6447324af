"""The listening sockets of a server: one port at every address of its host.

``localhost`` has two addresses, and programs differ in which one they try first: a server that
listens on one only may not be found, or another program may have the same port at the other one.
The name is not looked up (RFC 6761, 6.3). ``::`` and "" are all addresses of both kinds, on two
sockets: one socket for both would report IPv4 peers by mapped IPv6 addresses.
If the system lacks one of a host's addresses, as IPv6 in many containers, the others are used.
"""

import asyncio
import errno
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, Self

from dunena.server.event_loop import poller_of
from dunena.server.limits import TLS_SECONDS_MAX
from dunena.server.sockets.listener import SocketListener

LOCALHOST = ("127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")

_MEANT = {"localhost": LOCALHOST, "::": EVERYWHERE, "": EVERYWHERE}

_BACKLOG = 1024  # connections that wait to be accepted: all clients of a show reconnect at once
_FREE_PORT_TRIES = 50  # to find a port that is free at every address; nearly always the second is

_ALONE: int = getattr(socket, "SO_EXCLUSIVEADDRUSE", 0)  # only Windows has it
_REFUSED = frozenset({errno.EADDRINUSE, errno.EACCES})
_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})

_SocketAddress = tuple[socket.AddressFamily, tuple[Any, ...]]


class BindError(Exception):
    """The server cannot listen on ``address``; ``error`` is the system's reason."""

    def __init__(self, address: str, error: OSError) -> None:
        super().__init__(f"{address}: {error}")
        self.address = address
        self.error = error


class Listeners:
    """The listening sockets of a server; ``addresses`` are their hosts and ports as in a URL."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.port: int = sockets[0].getsockname()[1]
        self.addresses = tuple(_shown(one) for one in sockets)
        self._sockets = sockets
        self._servers: list[asyncio.Server | SocketListener] = []

    @classmethod
    async def open(
        cls,
        loop: asyncio.AbstractEventLoop,
        make_protocol: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
    ) -> Self:
        """Bind the port without accepting connections yet; raise `BindError`.

        ``port`` 0 chooses a free one; ``tls`` None is without TLS.
        """
        listeners = cls(open_sockets(host, port))
        poller = poller_of(loop)
        for one in listeners._sockets:
            if poller is not None and tls is None:
                listener = SocketListener(loop, poller, one, make_protocol, _BACKLOG)
                listeners._servers.append(listener)
                continue
            server = await loop.create_server(
                make_protocol,
                sock=one,
                ssl=tls,
                ssl_handshake_timeout=TLS_SECONDS_MAX if tls else None,
                backlog=_BACKLOG,
                start_serving=False,
            )
            listeners._servers.append(server)
        return listeners

    async def start_serving(self) -> None:
        """Accept connections; raise `BindError` if another program listens there by now."""
        for server, address in zip(self._servers, self.addresses, strict=True):
            try:
                await server.start_serving()
            except OSError as error:
                raise BindError(address.rpartition(":")[0].strip("[]"), error) from error

    def close(self) -> None:
        """Stop accepting connections; open ones are not affected."""
        for server in self._servers:
            server.close()


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Bind one socket for each address of a host, all at one port; raise `BindError`."""
    socket_addresses = _socket_addresses_of(host, port)
    tries = _FREE_PORT_TRIES if port == 0 else 1
    while True:
        tries -= 1
        try:
            return _bind_all(socket_addresses, port)
        except BindError as error:
            if error.error.errno != errno.EADDRINUSE or not tries:
                raise


def _socket_addresses_of(host: str, port: int) -> list[_SocketAddress]:
    found: list[_SocketAddress] = []
    for name in _MEANT.get(host.lower().rstrip("."), (host,)):
        try:
            infos = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            if name == host:
                raise BindError(host, error) from error
            continue  # a system without IPv6 may not even read its addresses
        found += [
            (family, socket_address) for family, _kind, _protocol, _name, socket_address in infos
        ]
    return list(dict.fromkeys(found))


def _bind_all(socket_addresses: list[_SocketAddress], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    missing: BindError | None = None
    try:
        for family, (address, _port, *rest) in socket_addresses:
            try:
                bound.append(_bind(family, (address, port, *rest)))
            except OSError as error:
                failure = BindError(str(address), error)
                if error.errno not in _NOT_HERE:
                    raise failure from error
                missing = missing or failure
                continue
            port = bound[-1].getsockname()[1]
        if missing is not None and not bound:
            raise missing
    except BindError:
        for one in bound:
            one.close()
        raise
    return bound


def _bind(family: socket.AddressFamily, socket_address: tuple[Any, ...]) -> socket.socket:
    if sys.platform == "win32":
        return bind_alone(family, socket_address)
    # The option permits to bind while connections of a former server linger. On Windows these do
    # not matter, and the option would share the port with other programs.
    return _bound(family, socket_address, socket.SO_REUSEADDR)


def bind_alone(family: int, socket_address: tuple[Any, ...]) -> socket.socket:
    """Bind a socket on Windows with exclusive use of its port, or without if that fails.

    Without exclusive use any program may bind the port of another one at some addresses. But an
    exclusive port cannot be bound while connections of a former server linger: a client that reads
    nothing would prevent a restart.
    """
    try:
        return _bound(family, socket_address, _ALONE)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
    return _bound(family, socket_address, None)


def _bound(family: int, socket_address: tuple[Any, ...], option: int | None) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        if option is not None:
            one.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(socket_address)
    except OSError:
        one.close()
        raise
    return one


def _shown(one: socket.socket) -> str:
    host, port = one.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
