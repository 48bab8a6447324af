"""How TLS begins, and what somebody is told who begins without it.

asyncio ends a connection whose handshake failed, and has dropped what was to be sent by the time
anybody hears of it. So the answer goes out as a part of the handshake, which then waits: for the
peer to close, as it does behind this answer, or for its time to be over.
"""

import ssl
from typing import Any

from dunena.server.http.message import Request, Response, serialize

SPEAKS_TLS = "This port speaks https and wss"

_BEGINS_LIKE_HTTP = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
"""OpenSSL's reasons for bytes that begin with a method of HTTP."""


class _Tls(ssl.SSLObject):
    """One connection's TLS."""

    _pipes: tuple[ssl.MemoryBIO, ssl.MemoryBIO]
    _is_plain = False

    def use(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        """Take the ends of what the peer sends and of what it is sent."""
        self._pipes = incoming, outgoing

    def do_handshake(self) -> None:
        """A step of the handshake; for HTTP without TLS it ends in "more is needed"."""
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
        self._pipes[0].read()  # the rest of the request, which nobody keeps
        raise ssl.SSLWantReadError


class _Context(ssl.SSLContext):
    """One that makes `_Tls`."""

    sslobject_class = _Tls

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any
    ) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, *args, **options)
        assert isinstance(made, _Tls)
        made.use(incoming, outgoing)
        return made


def make_context() -> ssl.SSLContext:
    """A server's context, for TLS 1.2 and newer."""
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _refusal() -> bytes:
    from email.utils import formatdate  # a start listens without it

    response = Response.error(400, SPEAKS_TLS)
    response.closes = True
    return serialize(Request(), response, formatdate(usegmt=True))
