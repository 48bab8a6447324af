"""A relay to a server that holds answers back and cuts connections, when a test says so."""

import socket
import threading
import time
from contextlib import suppress
from typing import Self

SECONDS_MAX = 30


class CuttingProxy:
    """Relays a free port to a port of this machine, each piece of an answer ``delay`` s later."""

    def __init__(self, target_port: int, delay: float = 0.0) -> None:
        self._delay = delay
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._may_answer = threading.Event()
        self._may_answer.set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def hold_answers(self) -> None:
        """Relay nothing to clients until the next `cut`."""
        self._may_answer.clear()

    def cut(self) -> None:
        """Close all connections; what was held back is lost. New connections are relayed."""
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._may_answer.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                peer, _ = self._listener.accept()
                self._sockets.append(peer)
                threading.Thread(target=self._relay, args=(peer,), daemon=True).start()

    def _relay(self, peer: socket.socket) -> None:
        with (
            suppress(OSError),
            peer,
            socket.create_connection(self._target, SECONDS_MAX) as server,
        ):
            self._sockets.append(server)
            back = threading.Thread(target=self._answer, args=(server, peer), daemon=True)
            back.start()
            _copy(peer, server)
            back.join(SECONDS_MAX)

    def _answer(self, server: socket.socket, peer: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                time.sleep(self._delay)
                assert self._may_answer.wait(SECONDS_MAX)
                peer.sendall(data)
        with suppress(OSError):
            peer.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
