"""Connections in the poll of the loop, over real sockets, with either poller."""

import asyncio
import errno
import select
import selectors
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from dunena.server.event_loop import PollingLoop
from dunena.server.sockets.epoll import EpollPoller
from dunena.server.sockets.listener import SocketListener
from dunena.server.sockets.poller import Poller, SelectorPoller
from dunena.server.sockets.transport import SocketTransport

if sys.platform == "win32":
    pytest.skip("connections are asyncio's on Windows", allow_module_level=True)

WAIT_SECONDS = 10
POLLERS: list[Callable[[], Poller]] = [SelectorPoller]
if hasattr(select, "epoll"):
    POLLERS.append(EpollPoller)


class Protocol:
    """Notes its calls, and answers with ``answer`` what it receives."""

    def __init__(self, answer: Callable[[bytes], bytes] = lambda data: data) -> None:
        self.calls: list[str] = []
        self.received = b""
        self.answer = answer
        self.stays_open = False
        self.transport: SocketTransport

    def connection_made(self, transport: SocketTransport) -> None:
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.transport.write(self.answer(data))

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.stays_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.calls.append("lost" if error is None else f"lost: {type(error).__name__}")


class Case:
    """A loop that runs only as long as a test waits, and its connections."""

    def __init__(self, poller: Poller) -> None:
        self.loop = PollingLoop(poller)
        self.poller = poller
        self.reported: list[object] = []
        self.loop.set_exception_handler(
            lambda _loop, context: self.reported.append(context["exception"])
        )
        self._peers: list[socket.socket] = []
        self._transports: list[SocketTransport] = []

    def connect(self, protocol: Protocol) -> socket.socket:
        """Return the peer of a new connection."""
        own, peer = socket.socketpair()
        own.setblocking(False)
        peer.settimeout(WAIT_SECONDS)
        transport = SocketTransport(self.loop, self.poller, own, ("10.0.0.1", 5), protocol)
        transport.begin()
        self._transports.append(transport)
        self._peers.append(peer)
        return peer

    def wait(self, condition: Callable[[], bool]) -> None:
        """Run the loop until a condition holds."""

        async def look() -> None:
            for _ in iter(condition, True):
                await asyncio.sleep(0)

        self.loop.run_until_complete(asyncio.wait_for(look(), WAIT_SECONDS))

    def turn(self) -> None:
        """Run the loop for some iterations, in which nothing is expected to happen."""

        async def pass_by() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        self.loop.run_until_complete(pass_by())

    def close(self) -> None:
        for transport in self._transports:
            transport.abort()
        self.turn()
        for peer in self._peers:
            peer.close()
        self.loop.close()


@pytest.fixture(params=POLLERS, ids=lambda poller: poller.__name__)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    made = Case(request.param())
    yield made
    made.close()


def receive_all(case: Case, peer: socket.socket, size: int) -> bytes:
    """What a peer reads, which lets the loop run in between."""
    peer.setblocking(False)
    received = b""

    def read() -> bool:
        nonlocal received
        with suppress(BlockingIOError):
            received += peer.recv(1 << 20)
        return len(received) >= size

    case.wait(read)
    return received


def test_a_message_is_answered(case: Case):
    protocol = Protocol(bytes.upper)
    peer = case.connect(protocol)
    peer.sendall(b"hello")
    case.wait(lambda: protocol.received != b"")
    assert peer.recv(100) == b"HELLO"
    assert protocol.calls == ["made"]


def test_a_transport_tells_its_peer_and_its_socket(case: Case):
    seen: list[object] = []

    class Curious(Protocol):
        def connection_made(self, transport: SocketTransport) -> None:
            super().connection_made(transport)
            seen.append(transport.get_extra_info("peername"))

    protocol = Curious()
    peer = case.connect(protocol)
    assert seen == [("10.0.0.1", 5)], "who was accepted, also if it is gone by now"
    assert protocol.transport.get_extra_info("peername") == peer.getsockname()
    peer.close()
    assert isinstance(protocol.transport.get_extra_info("socket"), socket.socket)
    assert protocol.transport.get_extra_info("sslcontext") is None


def test_what_the_system_does_not_take_is_sent_later(case: Case):
    protocol = Protocol()
    peer = case.connect(protocol)
    large = bytes(range(256)) * 40_000
    protocol.transport.write(large)
    protocol.transport.write(b"end")
    assert protocol.transport.get_write_buffer_size() > 0
    assert protocol.calls == ["made", "pause"]
    assert receive_all(case, peer, len(large) + 3) == large + b"end"
    case.wait(lambda: protocol.calls[-1] == "resume")
    assert protocol.transport.get_write_buffer_size() == 0


def test_a_closed_transport_sends_the_rest_first(case: Case):
    protocol = Protocol()
    peer = case.connect(protocol)
    large = b"x" * 5_000_000
    protocol.transport.write(large)
    protocol.transport.close()
    assert protocol.transport.is_closing()
    assert len(receive_all(case, peer, len(large))) == len(large)
    case.wait(lambda: "lost" in protocol.calls)
    assert peer.recv(1) == b""


def test_a_connection_is_lost_in_a_later_iteration(case: Case):
    protocol = Protocol()
    case.connect(protocol)
    protocol.transport.close()
    assert "lost" not in protocol.calls
    case.wait(lambda: protocol.calls == ["made", "lost"])


def test_an_aborted_transport_drops_the_rest(case: Case):
    protocol = Protocol()
    peer = case.connect(protocol)
    protocol.transport.write(b"x" * 5_000_000)
    protocol.transport.abort()
    protocol.transport.abort()
    protocol.transport.close()
    protocol.transport.write(b"more")
    assert protocol.transport.get_write_buffer_size() == 0
    case.wait(lambda: "lost" in protocol.calls)
    assert protocol.calls.count("lost") == 1
    received = b""
    while data := peer.recv(1 << 20):
        received += data
    assert len(received) < 5_000_000


def test_a_peer_that_ends_closes_the_connection(case: Case):
    protocol = Protocol()
    peer = case.connect(protocol)
    peer.sendall(b"last")
    peer.shutdown(socket.SHUT_WR)
    case.wait(lambda: "lost" in protocol.calls)
    assert protocol.calls == ["made", "eof", "lost"]
    assert peer.recv(100) == b"last"


def test_half_a_connection_stays_open_if_wanted(case: Case):
    protocol = Protocol()
    protocol.stays_open = True
    peer = case.connect(protocol)
    peer.shutdown(socket.SHUT_WR)
    case.wait(lambda: "eof" in protocol.calls)
    protocol.transport.resume_reading()
    case.turn()
    assert protocol.calls == ["made", "eof"], "the end is told once"
    protocol.transport.write(b"still here")
    assert peer.recv(100) == b"still here"
    protocol.transport.write_eof()
    protocol.transport.write(b"dropped")
    assert peer.recv(100) == b""


def test_the_end_of_a_direction_comes_after_what_waits(case: Case):
    protocol = Protocol()
    peer = case.connect(protocol)
    large = b"x" * 5_000_000
    protocol.transport.write(large)
    protocol.transport.write_eof()
    assert len(receive_all(case, peer, len(large))) == len(large)
    peer.setblocking(True)
    case.turn()
    assert peer.recv(1) == b""


def test_a_peer_that_is_gone_is_noticed_when_writing(case: Case):
    protocol = Protocol()
    peer = case.connect(protocol)
    protocol.transport.pause_reading()
    peer.close()
    protocol.transport.write(b"x")
    case.wait(lambda: protocol.calls[-1].startswith("lost"))
    assert protocol.calls[-1] == "lost: BrokenPipeError"
    assert case.reported == [], "a peer may leave"


def test_a_paused_transport_receives_later(case: Case):
    protocol = Protocol()
    peer = case.connect(protocol)
    protocol.transport.pause_reading()
    peer.sendall(b"early")
    case.turn()
    assert protocol.received == b""
    protocol.transport.resume_reading()
    case.wait(lambda: protocol.received == b"early")


def test_a_bug_ends_one_connection_and_is_reported(case: Case):
    def fail(_data: bytes) -> bytes:
        raise ZeroDivisionError

    broken, whole = Protocol(fail), Protocol()
    first, second = case.connect(broken), case.connect(whole)
    first.sendall(b"a")
    second.sendall(b"b")
    case.wait(lambda: whole.received == b"b" and "lost: ZeroDivisionError" in broken.calls)
    assert [type(error) for error in case.reported] == [ZeroDivisionError]
    assert second.recv(10) == b"b"


def test_a_module_that_is_gone_ends_one_connection(case: Case):
    """What PyInstaller's loader raises for it would end the server."""

    def fail(_data: bytes) -> bytes:
        raise SystemExit("moved or deleted")

    broken, whole = Protocol(fail), Protocol()
    first, second = case.connect(broken), case.connect(whole)
    first.sendall(b"a")
    second.sendall(b"b")
    case.wait(lambda: whole.received == b"b" and "lost: ImportError" in broken.calls)
    assert [str(error) for error in case.reported] == ["moved or deleted"]


def test_a_batch_ends_once_after_all_that_was_ready(case: Case):
    ends: list[str] = []

    def answer(data: bytes) -> bytes:
        assert case.poller.after_batch(lambda: ends.append("".join(order)))
        order.append(data.decode())
        return data

    order: list[str] = []
    peers = [case.connect(Protocol(answer)) for _ in range(3)]
    assert not case.poller.after_batch(lambda: None), "nothing is served now"
    for peer in peers:
        peer.sendall(b"x")
    case.wait(lambda: len(ends) == 3)
    assert ends == ["xxx"] * 3


def test_a_bug_after_a_batch_is_reported_and_the_loop_goes_on(case: Case):
    def answer(data: bytes) -> bytes:
        case.poller.after_batch(lambda: 1 // 0)
        return data

    protocol = Protocol(answer)
    peer = case.connect(protocol)
    for part in (b"1", b"2"):
        peer.sendall(part)
        case.wait(lambda part=part: protocol.received.endswith(part))
    assert [type(error) for error in case.reported] == [ZeroDivisionError] * 2


def test_other_sockets_are_left_to_the_loop(case: Case):
    seen: list[bytes] = []
    own, peer = socket.socketpair()
    with own, peer:
        own.setblocking(False)
        case.loop.add_reader(own, lambda: seen.append(own.recv(10)))
        assert case.poller.get_key(own).fileobj in (own, own.fileno())
        assert own in case.poller.get_map()
        peer.sendall(b"a")
        case.wait(lambda: seen != [])
        written: list[int] = []
        case.loop.add_writer(own, lambda: written.append(1))
        case.wait(lambda: written != [])
        case.loop.remove_writer(own)
        assert case.loop.remove_reader(own)
        assert own not in case.poller.get_map()
    assert seen == [b"a"]


def test_the_poller_refuses_what_selectors_refuse(case: Case):
    own, peer = socket.socketpair()
    with own, peer:
        case.poller.register(own, selectors.EVENT_READ)
        with pytest.raises(KeyError):
            case.poller.register(own, selectors.EVENT_READ)
        case.poller.modify(own, selectors.EVENT_READ | selectors.EVENT_WRITE, "data")
        ((key, events),) = case.poller.select(0)
        assert (key.data, events) == ("data", selectors.EVENT_WRITE)
        case.poller.unregister(own)
        with pytest.raises(KeyError):
            case.poller.unregister(own)
        with pytest.raises(KeyError):
            case.poller.get_key(own)
    assert case.poller.select(0) == []


class Full(socket.socket):
    """A listening socket on a system that is short of something, for ``failures`` times."""

    failures = 1

    def accept(self):
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "no descriptors")
        return super().accept()


def test_a_listener_accepts_again_after_a_shortage(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dunena.server.sockets.listener._RETRY_SECONDS", 0)
    bound = Full(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind(("127.0.0.1", 0))
    protocols: list[Protocol] = []

    def make() -> Protocol:
        protocols.append(Protocol())
        return protocols[-1]

    listener = SocketListener(case.loop, case.poller, bound, make, 10)
    case.loop.run_until_complete(listener.start_serving())
    with socket.create_connection(bound.getsockname()) as peer:
        peer.sendall(b"hello")
        case.wait(lambda: protocols != [] and protocols[0].received == b"hello")
        assert peer.recv(10) == b"hello"
        assert [error.errno for error in case.reported] == [errno.EMFILE]
        listener.close()
        peer.sendall(b" again")
        case.wait(lambda: protocols[0].received.endswith(b"again"))
        assert peer.recv(10) == b" again", "open connections are not affected"
    case.wait(lambda: "lost" in protocols[0].calls)
