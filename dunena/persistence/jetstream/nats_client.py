"""The client of nats-py, which only this module imports, fitted for a log."""

import os
import re
import ssl
from collections.abc import Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg as LibraryMessage
from nats.aio.transport import TcpTransport
from nats.errors import Error as NatsError
from nats.errors import UnexpectedEOF

__all__ = ["LibraryMessage", "MessageSink", "NatsClient", "NatsError", "is_end", "reason_of"]

_LOGIN = b"CONNECT "
_ERRNO = re.compile(r"\[Errno (\d+)\]")


class NatsClient(Client):
    """The library's client, changed where it costs too much or cannot be told otherwise."""

    def use_nkey(self, public: str | None) -> None:
        """Log in with an nkey; the library would take one only from a package of its own."""
        self._public_nkey = public

    def abort(self) -> None:
        """Close the socket at once, and forget what was not sent.

        `close` waits for the other side to take it, without end if that hangs.
        """
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def _process_connect_init(self) -> None:
        """Begin the connection, on a transport that is changed as this client is."""
        assert isinstance(self._transport, TcpTransport)
        self._transport = _Transport(self._transport)
        await super()._process_connect_init()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """Close, as the library does on its own too, and forget what was not sent.

        The library would send it. On a socket that was reset uvloop refuses that with a
        RuntimeError, which would end the closing halfway: nobody would be told of it.
        """
        self._pending = []
        self._pending_data_size = 0
        await super()._close(status, do_cbs)

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Parse the headers of a message: the library takes as long for it as for all the rest."""
        try:
            return dict([line.split(": ", 1) for line in raw.decode().strip().split("\r\n")])
        except ValueError:
            return _parse_odd_headers(raw)


class _Transport(TcpTransport):
    """The library's transport, whose connection another one has made."""

    def __init__(self, connected: TcpTransport) -> None:
        vars(self).update(vars(connected))
        self._held = b""

    def write(self, payload: bytes) -> None:
        """Send, and hold the login back until the ping that follows it.

        A server that refuses a login closes the connection. To send the ping failed then, and what
        the server had said was not read any more.
        """
        self._held += payload
        if not payload.startswith(_LOGIN):
            assert self._io_writer is not None, "it is connected"
            self._io_writer.write(self._held)
            self._held = b""

    async def connect_tls(self, *arguments: Any) -> None:
        """Go on with TLS, and tell the reader so.

        Otherwise `asyncio` warns whenever the server closes the connection.
        """
        await super().connect_tls(*arguments)
        assert self._io_writer is not None, "it is connected"
        protocol: Any = self._io_writer.transport.get_protocol()
        protocol._over_ssl = True


class MessageSink:
    """What the library takes for a future that waits for one message, and gets all of them.

    ``subscription`` is the library's, once it is made.

    For a callback it would have a queue and a task, which together cost 8 us a message more.
    """

    def __init__(self, take: Callable[[LibraryMessage], None]) -> None:
        self.set_result = take
        self.is_cancelled = False
        self.subscription: Any = None

    def cancelled(self) -> bool:
        return self.is_cancelled


def _parse_odd_headers(raw: bytes) -> dict[str, str]:
    """Parse headers that a server does not write: without a space, no UTF-8, or none at all."""
    lines = [line.partition(":") for line in raw.decode("utf-8", "replace").split("\r\n")]
    return {name: value.strip() for name, colon, value in lines if colon}


def is_end(error: BaseException) -> bool:
    """Return whether an error of the library ends the connection."""
    return isinstance(error, UnexpectedEOF | OSError)


def reason_of(error: BaseException | None) -> str:
    """Return a text for people about an error of the library or the system."""
    if error is None:
        return "the connection was closed"
    if isinstance(error, UnexpectedEOF):
        return "the server closed the connection"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    # A name with several addresses: `asyncio` puts the errors of all into one text.
    number = _ERRNO.search(str(error)) if isinstance(error, OSError) else None
    if number is not None:
        return os.strerror(int(number[1]))
    text = getattr(error, "strerror", None) or str(error)
    return text.removeprefix("nats: ").strip("'") or type(error).__name__
