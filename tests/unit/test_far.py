"""The delaying relay of the tests that need a slow link."""

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


def test_the_relay_delivers_all_bytes_in_order_with_the_delay():
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


def test_the_relay_closes_the_connection_when_the_server_is_missing():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Far(port, SECONDS) as far, socket.create_connection(("127.0.0.1", far.port)) as client:
        assert client.recv(1) == b""


def test_a_cut_ends_the_connections_on_both_sides():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Far(listener.getsockname()[1], SECONDS) as far,
        socket.create_connection(("127.0.0.1", far.port)) as client,
    ):
        peer, _ = listener.accept()
        with peer:
            client.sendall(b"here")
            assert peer.recv(4) == b"here"
            far.cut()
            assert peer.recv(1) == b""
            assert client.recv(1) == b""
