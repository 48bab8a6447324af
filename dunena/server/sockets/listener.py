"""Accepting connections in the poll."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from dunena.server.sockets.poller import READABLE, Pollable, Poller
from dunena.server.sockets.transport import SocketTransport

_ACCEPTED_AT_ONCE_MAX: Final = 64
_RETRY_SECONDS: Final = 0.1
"""Pause after there was no descriptor for a connection. Those that wait may have gone meanwhile, as
after a flood: each takes its turn, and one that came later is not to wait for seconds."""


class SocketListener(Pollable):
    """One listening socket, bound already; its connections are `SocketTransport`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        bound: socket.socket,
        make_protocol: Callable[[], Any],
        backlog: int,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._poller = poller
        self._socket = bound
        self._fd: int = bound.fileno()
        self._make_protocol = make_protocol
        self._backlog = backlog
        self._is_serving = False
        bound.setblocking(False)

    async def start_serving(self) -> None:
        """Accept connections; raise `OSError` if another program listens there by now."""
        self._socket.listen(self._backlog)
        self._is_serving = True
        self._poller.add(self._fd, self, READABLE)

    def close(self) -> None:
        """Stop accepting connections; open ones are not affected."""
        if self._is_serving:
            self._is_serving = False
            self._poller.remove(self._fd)
        self._socket.close()

    def ready(self, events: int) -> None:
        """Accept connections that wait; a portion, as the next poll tells of the others."""
        for _ in range(_ACCEPTED_AT_ONCE_MAX):
            try:
                connected, peername = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._begin(connected, peername)

    def broken(self, error: Exception) -> None:
        """Report a bug; the listener goes on."""
        self._loop.call_exception_handler({"message": "Accept failed", "exception": error})

    def _begin(self, connected: socket.socket, peername: Any) -> None:
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # it is lost already
            connected.close()
            return
        protocol = self._make_protocol()
        transport = SocketTransport(self._loop, self._poller, connected, peername, protocol)
        try:
            transport.begin()
        except Exception as error:  # noqa: BLE001 - a bug ends one connection, not the others
            transport.broken(error)

    def _pause(self, error: OSError) -> None:
        """Accept again later: the error would come again at once."""
        self._loop.call_exception_handler(
            {"message": "Accept failed on a socket", "exception": error}
        )
        self._poller.change(self._fd, 0)
        self._loop.call_later(_RETRY_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._is_serving:
            self._poller.change(self._fd, READABLE)
