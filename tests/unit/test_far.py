"""The relay that the tests of far-away pages go through."""

import asyncio
import socket
import threading
import time

from tests.support.far import Far

SECONDS = 0.05
PIECES = [b"one", b"two", b"x" * 300_000, b"end"]


def echo(listener: socket.socket) -> None:
    peer, _ = listener.accept()
    with peer:
        while data := peer.recv(65_536):
            peer.sendall(data)


def test_all_arrives_in_order_and_late():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Far(listener.getsockname()[1], SECONDS) as far,
    ):
        echoing = threading.Thread(target=echo, args=(listener,))
        echoing.start()

        async def talk() -> tuple[bytes, float]:
            reader, writer = await asyncio.open_connection("127.0.0.1", far.port)
            began = time.monotonic()
            for piece in PIECES:
                writer.write(piece)
            writer.write_eof()
            first = await reader.readexactly(3)
            took = time.monotonic() - began
            rest = await reader.read()
            writer.close()
            return first + rest, took

        answer, took = asyncio.run(talk())
        echoing.join()
    assert answer == b"".join(PIECES)
    assert took >= 2 * SECONDS


def test_a_server_that_is_not_there_ends_the_connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Far(port, SECONDS) as far, socket.create_connection(("127.0.0.1", far.port)) as client:
        assert client.recv(1) == b""
