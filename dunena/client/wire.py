"""HTTP over one connection, as much of it as asking a server takes: RFC 9112, by blocking sockets.

The standard library's client reads headers with its parser for mail. Loading that takes longer than
a small command runs, and of all headers an answer's length is the only thing wanted here.
"""

import socket
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import ssl

    from dunena.client.address import Address

LINE_BYTES_MAX = 65_536
HEADERS_MAX = 100
"""What an answer may have at most; who sends more is no server of ours."""

_PORTS = {False: 80, True: 443}
_NO_BODY = (204, 304)


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
        self._reader: BinaryIO

    def exchange(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        if self._socket is None:
            self._socket = self._connected()
            self._reader = self._socket.makefile("rb")
        self._socket.sendall(self._request(method, target, body, headers))
        version, status = self._status()
        while status < 200:  # said meanwhile; what is meant comes after it
            self._headers()
            version, status = self._status()
        fields = self._headers()
        answer, is_last = self._body(status, fields)
        wish = fields.get("connection", "").lower()
        if is_last or "close" in wish or (version == "HTTP/1.0" and "keep-alive" not in wish):
            self.close()
        return status, answer

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._reader.close()
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

    def _line(self, kind: str) -> str:
        line = self._reader.readline(LINE_BYTES_MAX + 1)
        if len(line) > LINE_BYTES_MAX:
            raise WireError(f"got more than {LINE_BYTES_MAX} bytes when reading {kind}")
        return line.decode("latin-1")

    def _status(self) -> tuple[str, int]:
        """The version of HTTP and the status of an answer that begins."""
        line = self._line("status line")
        if not line:
            raise WireError("Remote end closed connection without response")
        version, status, *_ = [*line.split(None, 2), "", ""]
        if not version.startswith("HTTP/") or len(status) != 3 or not status.isdecimal():
            raise WireError(line.strip() or repr(line))
        if not version.startswith("HTTP/1."):
            raise WireError(version)
        return version, int(status)

    def _headers(self) -> dict[str, str]:
        """The fields up to the empty line, by their names in lower case."""
        fields: dict[str, str] = {}
        for _ in range(HEADERS_MAX + 1):
            line = self._line("header line").rstrip("\r\n")
            if not line:
                return fields
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        raise WireError(f"got more than {HEADERS_MAX} headers")

    def _body(self, status: int, fields: dict[str, str]) -> tuple[bytes, bool]:
        """The body, and whether only the end of the connection ended it."""
        if status in _NO_BODY:
            return b"", False
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(), False
        length = fields.get("content-length", "")
        if length.isdecimal():
            return self._exactly(int(length)), False
        return self._reader.read(), True

    def _chunks(self) -> bytes:
        parts = []
        while size := self._chunk_size():
            parts.append(self._exactly(size))
            self._line("chunk")  # the end of its line
        self._headers()  # which may come after the last chunk
        return b"".join(parts)

    def _chunk_size(self) -> int:
        line = self._line("chunk size")
        try:
            return int(line.partition(";")[0], 16)
        except ValueError:
            raise WireError(f"no size of a chunk: {line.strip()!r}") from None

    def _exactly(self, length: int) -> bytes:
        got = self._reader.read(length)
        if len(got) < length:
            missing = length - len(got)
            raise WireError(f"IncompleteRead({len(got)} bytes read, {missing} more expected)")
        return got


def _encrypted(made: socket.socket, host: str, tls: "ssl.SSLContext | None") -> socket.socket:
    """A connection within TLS; without a context the system's certificates are believed."""
    import ssl

    if tls is None:
        tls = ssl.create_default_context()
        tls.set_alpn_protocols(["http/1.1"])
    return tls.wrap_socket(made, server_hostname=host)
