"""An HTTP connection: turns, budgets, and closing while the peer still sends."""

import gc
import weakref
from typing import Any

import pytest

from dunena.dialects.grants import EVERYTHING
from dunena.dialects.views import Views
from dunena.server.access.peers import Proxies
from dunena.server.access.refusals import Refusals
from dunena.server.compression import Compressors
from dunena.server.context import Context
from dunena.server.http.connection import HttpConnection
from dunena.server.http.message import Request, Response
from dunena.server.limits import BATCH_BYTES_MAX, LINGER_BYTES_MAX, LINGER_SECONDS_MAX, TURN_MS
from dunena.server.registry import Registry
from dunena.server.websocket.connection import WebSocketConnection
from dunena.settings import Settings
from tests.support.rooms import Rooms
from tests.unit.test_websocket_connection import SET, StillLoop, Transport

GET = b"GET /get/a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /set HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class StubRoutes:
    """Answers everything with its path, and takes the bodies it is told to."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.takes_bodies = True
        self.body = b""

    def wants_body(self, request: Request) -> bool:
        request.is_admitted = self.takes_bodies
        if not self.takes_bodies:
            request.refusal = Response.error(401, "Unauthorized")
        return self.takes_bodies

    def refusal_of_upgrade(self) -> None:
        return None

    def readable(self, _request: Request, response: Response) -> Response:
        return response

    def respond(self, request: Request, _now: int) -> Response:
        self.answered.append(request.target)
        request.grant = EVERYTHING
        return request.refusal or Response(200, self.body)


class StubAdmission:
    """Lets everybody in."""

    def refusal(self, request: Request, *, needs_token: bool) -> None:
        assert needs_token
        request.grant = EVERYTHING


class HttpTransport(Transport):
    """The same for HTTP; one that ``is_slow`` has enough after the next bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.is_slow = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.is_slow:
            self.is_slow = False
            self.protocol.pause_writing()

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol

    def get_extra_info(self, _name: str) -> None:
        return None

    def close(self) -> None:
        self.ends.append("close")


class Peer:
    """A connection with a transport of its own."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.rooms = Rooms()
        self.loop = StillLoop()
        self.routes = StubRoutes()
        loop: Any = self.loop
        nobody: Any = None
        routes: Any = self.routes
        admission: Any = StubAdmission()
        self.registry = registry or Registry(loop, 1000)
        self.context = Context(
            loop=loop,
            settings=Settings(),
            views=Views(self.rooms.services),
            tick=self.rooms.tick,
            sessions=self.rooms.sessions_on(loop),
            bulk=nobody,
            admission=admission,
            routes=routes,
            registry=self.registry,
            refusals=Refusals(Settings(), 3000),
            proxies=Proxies([]),
            telemetry=self.rooms.telemetry,
            compressors=Compressors(),
            pacer=self.rooms.pacer,
            new_id=lambda: "id",
            date=lambda: "",
        )
        self.transport = HttpTransport()
        transport: Any = self.transport
        self.connection = HttpConnection(self.context)
        transport.set_protocol(self.connection)
        self.connection.connection_made(transport)

    def receive(self, data: bytes) -> None:
        self.connection.data_received(data)

    def go_round(self, times: int = 1) -> None:
        for _ in range(times):
            soon, self.rooms.soon[:] = list(self.rooms.soon), []
            for action in soon:
                action()


def test_a_turn_ends_after_a_limited_number_of_requests() -> None:
    peer = Peer()
    peer.receive(GET * 1_000)
    done = len(peer.routes.answered)
    assert 0 < done <= 80
    assert not peer.transport.is_reading
    peer.go_round(3)
    assert done < len(peer.routes.answered) < 5 * done
    peer.go_round(100)
    assert len(peer.routes.answered) == 1_000
    assert peer.transport.is_reading
    assert peer.transport.written.count(b"HTTP/1.1 200") == 1_000


def test_a_turn_ends_after_its_time_limit() -> None:
    peer = Peer()
    peer.loop.step = TURN_MS / 1000
    peer.receive(GET * 1_000)
    assert len(peer.routes.answered) <= 2


def test_a_single_request_reads_the_clock_only_for_the_time_of_the_next_one() -> None:
    peer = Peer()
    looks = peer.loop.now
    peer.loop.step = 1.0
    peer.receive(GET)
    assert len(peer.routes.answered) == 1
    assert peer.loop.now == looks + 1.0


def test_a_refused_body_is_discarded_and_the_response_is_delivered() -> None:
    peer = Peer()
    peer.routes.takes_bodies = False
    peer.receive(POST)
    peer.go_round()
    assert peer.transport.written.startswith(b"HTTP/1.1 401")
    assert peer.transport.ends == ["eof"], "the peer may still send"
    for _ in range(10):
        peer.receive(bytes(100_000))
    assert peer.connection._requests.parser.held_bytes < 1_000
    assert peer.transport.ends == ["eof"]
    peer.connection.eof_received()
    peer.go_round()
    assert peer.transport.ends == ["eof", "close"]


def test_a_peer_that_keeps_sending_after_a_refusal_is_aborted() -> None:
    peer = Peer()
    peer.routes.takes_bodies = False
    peer.receive(POST)
    peer.go_round()
    piece = bytes(1024 * 1024)
    for _ in range(LINGER_BYTES_MAX // len(piece) + 1):
        peer.receive(piece)
    assert peer.transport.ends == ["eof", "abort"]


def test_a_peer_that_does_not_close_after_a_refusal_is_aborted() -> None:
    peer = Peer()
    peer.routes.takes_bodies = False
    peer.receive(POST)
    peer.go_round()
    peer.connection.sweep(LINGER_SECONDS_MAX - 1)
    assert peer.transport.ends == ["eof"]
    peer.connection.sweep(LINGER_SECONDS_MAX + 1)
    assert peer.transport.ends == ["eof", "abort"]


def test_body_bytes_count_against_the_budget_only_while_they_arrive() -> None:
    peer = Peer()
    peer.receive(POST + bytes(500_000))
    peer.go_round(10)
    assert peer.registry.bodies.bytes >= 500_000
    peer.receive(bytes(500_000))
    peer.go_round(10)
    assert len(peer.routes.answered) == 1
    assert (peer.registry.bodies.bytes, peer.registry.strangers.bytes) == (0, 0)


@pytest.mark.parametrize("is_lost", [True, False])
def test_the_largest_body_gets_503_when_all_exceed_the_budget(is_lost: bool) -> None:
    registry = Peer().registry
    first, second = Peer(registry), Peer(registry)
    registry.bodies._bytes_max = 900_000
    first.receive(POST + bytes(600_000))
    first.go_round(10)
    if is_lost:
        first.connection.connection_lost(None)
    second.receive(POST + bytes(400_000))
    second.go_round(10)
    first.go_round(10)
    assert second.transport.written == b""
    assert first.transport.written.startswith(b"HTTP/1.1 503") is not is_lost
    assert registry.bodies.bytes < 500_000


def test_a_connection_counts_as_a_stranger_until_a_request_is_admitted() -> None:
    peer = Peer()
    assert peer.registry.strangers.bytes > 0
    peer.receive(GET)
    assert peer.registry.strangers.bytes == 0


def test_a_lost_connection_is_freed_without_garbage_collection() -> None:
    peer = Peer()
    peer.receive(GET + GET[:-4] + b"\r\nX: " + b"x" * 1000)
    peer.connection.pause_writing()
    transport, number = weakref.ref(peer.transport), id(peer.connection)
    gc.disable()
    try:
        peer.connection.connection_lost(None)
        peer.rooms.tick.end()
        peer.transport.protocol = None
        del peer.connection, peer.transport
        peer.rooms.soon.clear()
        assert transport() is None
        assert number not in map(id, gc.get_objects())
    finally:
        gc.enable()


def test_an_upgrade_after_unread_responses_is_handed_over_once() -> None:
    """Callbacks of the HTTP connection for the next flush must do nothing afterwards."""
    peer = Peer()
    peer.routes.body = bytes(BATCH_BYTES_MAX // 2)
    peer.transport.is_slow = True
    peer.receive(GET * 2 + UPGRADE + SET * 5_000)
    peer.go_round()
    assert isinstance(peer.transport.protocol, HttpConnection), "it waits for the peer to read"
    assert not peer.transport.is_reading
    peer.connection.resume_writing()
    successor = peer.transport.protocol
    assert isinstance(successor, WebSocketConnection)
    rounds = 0
    while len(successor._reader):
        assert not peer.transport.is_reading, "the WebSocket reads when it has done what it has"
        peer.go_round()
        rounds += 1
    assert rounds >= 4
    assert peer.transport.is_reading
    assert peer.rooms.store.revision == 5_000
    assert peer.transport.written.count(b"HTTP/1.1 101") == 1
