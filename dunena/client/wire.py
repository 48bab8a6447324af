"""HTTP over one connection, as much of it as asking a server takes; blocking sockets.

The standard library's client reads headers with its parser for mail, and loading that takes longer
than a small command runs. So answers are read by the parser that reads the server's requests.
"""

import socket
from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    import ssl

    from dunena.client.address import Address

READ_BYTES = 65_536

HEAD_BYTES_MAX = 131_072
"""Of what stands before a body; who sends more is no server of ours."""

_PORTS = {False: 80, True: 443}
_FINAL = 200  # below it, something is said meanwhile


class WireError(Exception):
    """What came is no whole answer of HTTP; the text says what it is instead."""


class Wire:
    """Requests one after another; the connection is opened when it is needed.

    Every method may raise `OSError` and `WireError`, and is to be closed then.
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
    ) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        if self._socket is None:
            self._socket = self._connected()
        self._socket.sendall(self._request(method, target, body, headers))
        answer = _Answer()
        while not answer.is_complete:
            answer.take(self._socket.recv(READ_BYTES))
        if answer.is_last:
            self.close()
        return answer.status, b"".join(answer.body)

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # --- inside ---

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
        """What the Host header says; the port that goes without saying is left out."""
        address = self._address
        host = address.host
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        if ":" in host:
            host = f"[{host.partition('%')[0]}]"  # the interface behind % is this machine's affair
        return host if address.port == _PORTS[address.is_secure] else f"{host}:{address.port}"


class _Answer:
    """One answer, and what it says of the connection; its methods ``on_...`` are the parser's."""

    def __init__(self) -> None:
        self.status = 0
        self.body: list[bytes] = []
        self.is_complete = False
        self.is_last = False
        self._ends_with_connection = True
        self._has_head = False
        self._head_bytes = 0
        self._parser = httptools.HttpResponseParser(self)

    def take(self, data: bytes) -> None:
        """Some bytes, or none when the connection ended."""
        if not data:
            if not (self._has_head and self._ends_with_connection):
                raise WireError("the connection ended before the answer did")
            self.is_complete = self.is_last = True
            return
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX + READ_BYTES:
                raise WireError(f"more than {HEAD_BYTES_MAX} bytes before the body")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise WireError("another protocol than HTTP") from None
        except httptools.HttpParserError as error:
            raise WireError(str(error)) from None

    def on_header(self, name: bytes, _value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= _FINAL

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        if self.status >= _FINAL:
            self.is_complete = True
            self.is_last = not self._parser.should_keep_alive()


def _encrypted(made: socket.socket, host: str, tls: "ssl.SSLContext | None") -> socket.socket:
    """A connection within TLS; without a context the system's certificates are believed."""
    import ssl

    if tls is None:
        tls = ssl.create_default_context()
        tls.set_alpn_protocols(["http/1.1"])
    return tls.wrap_socket(made, server_hostname=host)
