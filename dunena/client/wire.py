"""A minimal HTTP/1.1 client for one connection, with a blocking socket.

The standard library's client parses headers with its mail package, whose import takes longer than a
small command runs. So answers are parsed by httptools, which the server uses for requests.
"""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    import ssl

    from dunena.client.address import Address

READ_BYTES = 65_536

HEAD_BYTES_MAX = 131_072
"""Bytes of an answer before its body; a dunena sends fewer."""

_PORTS = {False: 80, True: 443}
_FINAL = 200  # lower statuses are interim responses (RFC 9110, 15.2)


class WireError(Exception):
    """The received bytes are no complete HTTP answer; the text says why."""


class Wire:
    """Sends requests one after another; opens the connection at the first.

    After an `OSError` or a `WireError` of any method it has to be closed.
    """

    def __init__(
        self, address: "Address", timeout: float | None, tls: "ssl.SSLContext | None"
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._tls = tls
        self._socket: socket.socket | None = None

    def exchange(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Iterator[bytes]]:
        """Send a request; return the status of its answer, and its body, piece by piece.

        Raise `OSError` or `WireError`, as the next piece does. All pieces have to be taken before
        the next request.
        """
        if self._socket is None:
            self._socket = self._connected()
        self._socket.sendall(self._request(method, target, body, headers))
        answer = _Answer()
        while not answer.has_head:
            answer.take(self._socket.recv(READ_BYTES))
        return answer.status, self._body(answer, self._socket)

    def close(self) -> None:
        """Close the socket, if it is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # --- inside ---

    def _body(self, answer: "_Answer", connection: socket.socket) -> Iterator[bytes]:
        yield from answer.take_body()
        while not answer.is_complete:
            answer.take(connection.recv(READ_BYTES))
            yield from answer.take_body()
        if answer.is_last:
            self.close()

    def _connected(self) -> socket.socket:
        address = self._address
        made = socket.create_connection((address.host, address.port), self._timeout)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _encrypted(made, address.host, self._tls) if address.is_secure else made
        except BaseException:
            made.close()
            raise

    def _request(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> bytes:
        fields = {"Host": self._host(), "Accept-Encoding": "identity", **headers}
        if body is not None or method == "POST":
            fields["Content-Length"] = str(len(body or b""))
        if any(end in value for value in fields.values() for end in "\r\n"):
            raise ValueError("the value of a header is one line")
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")

    def _host(self) -> str:
        """Make the Host header's value (RFC 9110, 7.2), without the scheme's default port."""
        address = self._address
        host = address.host
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        if ":" in host:
            host = f"[{host.partition('%')[0]}]"  # the zone after % means something here only
        return host if address.port == _PORTS[address.is_secure] else f"{host}:{address.port}"


class _Answer:
    """One answer, and whether it ends the connection; httptools calls the methods ``on_...``."""

    def __init__(self) -> None:
        self.status = 0
        self.has_head = False
        self.is_complete = False
        self.is_last = False
        self._ends_with_connection = True
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._parser = httptools.HttpResponseParser(self)

    def take(self, data: bytes) -> None:
        """Parse received bytes; no bytes mean that the connection ended. Raise `WireError`."""
        if not data:
            if not (self.has_head and self._ends_with_connection):
                raise WireError("the connection ended before the answer did")
            self.is_complete = self.is_last = True
            return
        if not self.has_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX + READ_BYTES:
                raise WireError(f"more than {HEAD_BYTES_MAX} bytes before the body")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise WireError("another protocol than HTTP") from None
        except httptools.HttpParserError as error:
            raise WireError(str(error)) from None

    def take_body(self) -> list[bytes]:
        """Return the pieces of the body that were received since the last call."""
        pieces, self._body = self._body, []
        return pieces

    def on_header(self, name: bytes, _value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.has_head = self.status >= _FINAL

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self.status >= _FINAL:
            self.is_complete = True
            self.is_last = not self._parser.should_keep_alive()


def _encrypted(made: socket.socket, host: str, tls: "ssl.SSLContext | None") -> socket.socket:
    """Start TLS on a connection; without a context, trust the system's certificates."""
    if tls is None:
        from dunena.tls_trust import make_context

        tls = make_context()
        tls.set_alpn_protocols(["http/1.1"])
    return tls.wrap_socket(made, server_hostname=host)
