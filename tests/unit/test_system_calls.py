"""The system calls of connections: Python's own in a checkout, the compiled ones in a wheel."""

import os
import select
import socket
import sys
from collections.abc import Iterator

import pytest

from dunena.server.sockets import system_calls
from dunena.server.sockets.poller import READABLE, WRITABLE
from dunena.server.sockets.system_calls import RECEIVED_BYTES_MAX, receive, send

if sys.platform == "win32":
    pytest.skip("connections are asyncio's on Windows", allow_module_level=True)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    own, peer = socket.socketpair()
    with own, peer:
        own.setblocking(False)
        peer.setblocking(False)
        yield own, peer


def test_what_came_is_received_and_nothing_is_none(pair: Pair) -> None:
    own, peer = pair
    assert receive(own.fileno()) is None
    peer.send(b"hello")
    assert receive(own.fileno()) == b"hello"
    assert receive(own.fileno()) is None
    peer.close()
    assert receive(own.fileno()) == b""


def test_a_part_is_received_at_once(pair: Pair) -> None:
    own, peer = pair
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * RECEIVED_BYTES_MAX)
    sent = peer.send(bytes(2 * RECEIVED_BYTES_MAX))
    received = receive(own.fileno())
    assert received is not None
    assert len(received) <= RECEIVED_BYTES_MAX < sent


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_what_the_system_takes_is_sent(pair: Pair, kind: type[bytes] | type[memoryview]) -> None:
    own, peer = pair
    assert send(own.fileno(), kind(b"hello")) == 5
    assert peer.recv(10) == b"hello"


def test_a_full_socket_takes_a_part_and_then_nothing(pair: Pair) -> None:
    own, peer = pair
    large = os.urandom(1 << 16) * 100
    taken = 0
    while sent := send(own.fileno(), memoryview(large)[taken:]):
        taken += sent
    assert 0 < taken < len(large)
    received = b""
    while len(received) < taken:
        received += peer.recv(1 << 20)
    assert received == large[:taken]


def test_a_lost_connection_is_an_error_of_its_kind(pair: Pair) -> None:
    own, peer = pair
    peer.close()
    with pytest.raises(BrokenPipeError):
        send(own.fileno(), b"x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        receive(-1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        send(-1, b"x")


@pytest.mark.skipif(system_calls.wait is None, reason="a checkout asks Python's epoll itself")
def test_a_wait_tells_what_is_ready(pair: Pair) -> None:
    assert system_calls.wait is not None
    own, peer = pair
    with select.epoll() as epoll:
        epoll.register(own.fileno(), READABLE)
        assert system_calls.wait(epoll.fileno(), 0) == []
        assert system_calls.wait(epoll.fileno(), 1) == []
        peer.send(b"x")
        assert system_calls.wait(epoll.fileno(), -1) == [own.fileno(), READABLE]
        epoll.modify(own.fileno(), READABLE | WRITABLE)
        assert system_calls.wait(epoll.fileno(), 1000) == [own.fileno(), READABLE | WRITABLE]
    with pytest.raises(OSError, match="Bad file descriptor"):
        system_calls.wait(-1, 0)
