"""A plain TCP connection as a transport: what the protocols of the server use of asyncio's."""

import asyncio
import socket
from collections import deque
from contextlib import suppress
from typing import Any, Final

from dunena.server.sockets.poller import FAULT, READABLE, WRITABLE, Pollable, Poller
from dunena.server.sockets.system_calls import receive, send

# Compiled code finds a final name without a look-up.
_RECEIVE: Final = receive
_SEND: Final = send

_HIGH_WATER_BYTES: Final = 65_536
_LOW_WATER_BYTES: Final = 16_384


class SocketTransport(Pollable):
    """One connection, from its acceptance until `connection_lost` of its protocol.

    It calls its protocol as asyncio's transports do: `connection_lost` always in a later
    iteration of the loop, the others inside the calls that cause them.
    """

    __slots__ = (
        "_events",
        "_fd",
        "_has_input_ended",
        "_has_written_eof",
        "_is_closing",
        "_is_lost",
        "_is_paused",
        "_loop",
        "_peername",
        "_poller",
        "_protocol",
        "_socket",
        "_unsent",
        "_unsent_bytes",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        connected: socket.socket,
        peername: Any,
        protocol: Any,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._poller = poller
        self._socket = connected
        self._fd: int = connected.fileno()
        self._peername: Any = peername  # until the protocol knows it
        self._protocol = protocol
        self._events = READABLE
        self._unsent: deque[memoryview] | None = None
        self._unsent_bytes = 0
        self._is_paused = False
        self._is_closing = False
        self._is_lost = False
        self._has_input_ended = False
        self._has_written_eof = False

    def begin(self) -> None:
        """Tell the protocol of the connection, and begin to read."""
        self._poller.add(self._fd, self, READABLE)
        self._protocol.connection_made(self)
        self._peername = None

    def ready(self, events: int) -> None:
        """Send what waits, and receive."""
        if events & (WRITABLE | FAULT) and self._unsent_bytes:
            self._send_unsent()
        if events & (READABLE | FAULT) and self._events & READABLE:
            self._receive()

    def broken(self, error: Exception) -> None:
        """Report a bug of the protocol, and end the connection."""
        self._loop.call_exception_handler(
            {"message": "A connection failed", "exception": error, "protocol": self._protocol}
        )
        self._drop(error)

    # --- asyncio ---

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the "socket" or the "peername"; the default for anything else."""
        if name == "socket":
            return self._socket
        if name != "peername":
            return default
        if self._peername is None:
            with suppress(OSError):  # it is lost already
                return self._socket.getpeername()
            return default
        return self._peername

    def set_protocol(self, protocol: Any) -> None:
        """Let another protocol have all further calls."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """Return whether the connection is lost, or will be once everything is sent."""
        return self._is_closing

    def pause_reading(self) -> None:
        """Receive nothing until `resume_reading`."""
        self._want(self._events & ~READABLE)

    def resume_reading(self) -> None:
        """Receive again."""
        if not (self._is_closing or self._has_input_ended):
            self._want(self._events | READABLE)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the system has not taken yet."""
        return self._unsent_bytes

    def write(self, data: bytes) -> None:
        """Send now, or later what the system does not take now."""
        if self._is_lost or self._has_written_eof:
            return
        sent = 0
        if not self._unsent_bytes:
            try:
                sent = _SEND(self._fd, data)
            except OSError as error:
                self._drop(error)
                return
            if sent == len(data):
                return
        self._keep(data, sent)

    def can_write_eof(self) -> bool:
        """Return that a TCP connection can be closed in one direction."""
        return True

    def write_eof(self) -> None:
        """Close the direction to the peer once everything is sent; raise `OSError`."""
        if self._is_closing or self._has_written_eof:
            return
        self._has_written_eof = True
        if not self._unsent_bytes:
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close once everything is sent; receive nothing more."""
        if self._is_closing:
            return
        self._is_closing = True
        self._want(self._events & ~READABLE)
        if not self._unsent_bytes:
            self._lose(None)

    def abort(self) -> None:
        """Close now; what is not sent is dropped."""
        self._drop(None)

    # --- inside ---

    def _want(self, events: int) -> None:
        if events != self._events and not self._is_lost:
            self._events = events
            self._poller.change(self._fd, events)

    def _receive(self) -> None:
        try:
            data = _RECEIVE(self._fd)
        except OSError as error:
            self._drop(error)
            return
        if data:
            self._protocol.data_received(data)
            return
        if data is None:
            return
        self._has_input_ended = True
        self._want(self._events & ~READABLE)
        if not self._protocol.eof_received():
            self.close()

    def _keep(self, data: bytes, sent: int) -> None:
        if self._unsent is None:
            self._unsent = deque()
        self._unsent.append(memoryview(data)[sent:])
        self._unsent_bytes += len(data) - sent
        self._want(self._events | WRITABLE)
        if self._unsent_bytes > _HIGH_WATER_BYTES and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def _send_unsent(self) -> None:
        unsent = self._unsent
        assert unsent is not None
        while unsent:
            piece = unsent[0]
            try:
                sent = _SEND(self._fd, piece)
            except OSError as error:
                self._drop(error)
                return
            self._unsent_bytes -= sent
            if sent < len(piece):
                unsent[0] = piece[sent:]
                break
            unsent.popleft()
        if not self._unsent_bytes:
            self._unsent = None
            self._want(self._events & ~WRITABLE)
        if self._is_paused and self._unsent_bytes <= _LOW_WATER_BYTES:
            self._is_paused = False
            self._protocol.resume_writing()
        if not self._unsent_bytes and not self._is_lost:
            if self._is_closing:
                self._lose(None)
            elif self._has_written_eof:
                try:
                    self._socket.shutdown(socket.SHUT_WR)
                except OSError as error:
                    self._drop(error)

    def _drop(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._unsent = None
            self._unsent_bytes = 0
            self._is_closing = True
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        """Leave the poll now, and tell the protocol in the next iteration."""
        self._poller.remove(self._fd)
        self._events = 0
        self._is_lost = True
        self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        try:
            protocol.connection_lost(error)
        finally:
            self._socket.close()
