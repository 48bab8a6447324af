"""TLS contexts that answer a client which speaks HTTP without TLS.

asyncio ends a connection whose handshake fails and drops its output before it reports the failure.
So the answer is sent as a part of the handshake, which then waits until the client closes the
connection or the time for the handshake is over.
"""

import ssl
from typing import Any

from dunena.server.http.message import Request, Response, serialize

SPEAKS_TLS = "This port speaks https and wss"

_BEGINS_LIKE_HTTP = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
"""OpenSSL's reason codes for bytes that begin with a method of HTTP."""


class _Tls(ssl.SSLObject):
    """The TLS object of one connection."""

    _pipes: tuple[ssl.MemoryBIO, ssl.MemoryBIO]
    _is_plain = False

    def use(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        """Set the buffers of received bytes and of bytes to send."""
        self._pipes = incoming, outgoing

    def do_handshake(self) -> None:
        """Do a step of the handshake; answer HTTP without TLS, then raise `SSLWantReadError`."""
        if not self._is_plain:
            try:
                super().do_handshake()
            except ssl.SSLError as error:
                if error.reason not in _BEGINS_LIKE_HTTP:
                    raise
                self._is_plain = True
                self._pipes[1].write(_refusal())
            else:
                return
        self._pipes[0].read()  # discards the rest of the request
        raise ssl.SSLWantReadError


class _Context(ssl.SSLContext):
    """A TLS context whose objects are `_Tls`."""

    sslobject_class = _Tls

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any
    ) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, *args, **options)
        assert isinstance(made, _Tls)
        made.use(incoming, outgoing)
        return made


def make_context() -> ssl.SSLContext:
    """Make a server's TLS context, for TLS 1.2 and newer."""
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _refusal() -> bytes:
    from email.utils import formatdate  # imported here, as a start does not need it

    response = Response.error(400, SPEAKS_TLS)
    response.closes = True
    return serialize(Request(), response, formatdate(usegmt=True))
