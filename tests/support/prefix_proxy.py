"""A reverse proxy that shows a server below a path, as nginx does with `location /store/`."""

import re
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

SECONDS_MAX = 30
_HEAD_END = b"\r\n\r\n"


class PrefixProxy:
    """Listens on a free port; requests below ``prefix`` are passed on without it, others get 404.

    The Host header is passed on as it came. A connection carries one request, or a WebSocket.
    """

    def __init__(self, port: int, prefix: str) -> None:
        self._target = ("127.0.0.1", port)
        self._prefix = prefix.encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                peer, _ = self._listener.accept()
                self._sockets.append(peer)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            head, rest = _read_head(peer)
            line, _, headers = head.partition(b"\r\n")
            method, target, version = line.split(b" ")
            if not target.startswith(self._prefix + b"/"):
                peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            if not re.search(rb"(?im)^upgrade:", headers):
                headers = re.sub(rb"(?im)^connection:[^\r]*\r\n", b"", headers)
                headers = b"Connection: close\r\n" + headers
            line = b" ".join((method, target[len(self._prefix) :], version))
            with socket.create_connection(self._target, SECONDS_MAX) as server:
                self._sockets.append(server)
                server.sendall(line + b"\r\n" + headers + _HEAD_END + rest)
                back = threading.Thread(target=_copy, args=(server, peer), daemon=True)
                back.start()
                _copy(peer, server)
                back.join(SECONDS_MAX)


def _read_head(peer: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while _HEAD_END not in data:
        part = peer.recv(65_536)
        if not part:
            raise ConnectionError("the peer has gone")
        data += part
    head, _, rest = data.partition(_HEAD_END)
    return head, rest


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
