"""The lane of a WebSocket: its order, and what waits while the log works."""

from itertools import cycle
from typing import Any

import orjson
import pytest

from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import EVERYTHING
from dunena.persistence.log import RefusalKind
from dunena.server.outbox import Outbox
from dunena.server.shared import lane, parked_requests
from dunena.server.websocket.connection import WebSocketConnection
from dunena.server.websocket.handshake import AcceptedHandshake
from tests.support.shared_rooms import Cluster, SharedRooms
from tests.unit.test_websocket_connection import Transport

TEXT, PING, CLOSE = 0x81, 0x89, 0x88


def frame(head: int, payload: bytes) -> bytes:
    """A masked frame of a client."""
    mask = b"abcd"
    assert len(payload) < 126
    masked = bytes(byte ^ key for byte, key in zip(payload, cycle(mask), strict=False))
    return bytes([head, 0x80 | len(payload)]) + mask + masked


def said(message: dict[str, Any]) -> bytes:
    return frame(TEXT, orjson.dumps(message))


class Peer:
    """A whole WebSocket connection to a node."""

    def __init__(self, node: SharedRooms) -> None:
        self.node = node
        self.transport = Transport()
        transport: Any = self.transport
        outbox = Outbox(transport, node.tick.schedule_flush, lambda: None, node.telemetry)
        self.connection = WebSocketConnection(
            node.context,
            AcceptedHandshake(Dialect.OBJECT_STORE, (), b"", grant=EVERYTHING),
            transport,
            outbox,
        )
        self.connection.begin(b"", b"", has_peer_ended=False)

    def send(self, *frames: bytes) -> None:
        self.connection.data_received(b"".join(frames))
        self.node.run()

    def heard(self) -> list[Any]:
        """The messages and the heads of other frames that have arrived since the last call."""
        self.node.run()
        stream, self.transport.written = self.transport.written, b""
        found: list[Any] = []
        while stream:
            head, size = stream[0], stream[1]
            payload, stream = stream[2 : 2 + size], stream[2 + size :]
            found.append(orjson.loads(payload) if head == TEXT else head)
        return found


def test_what_only_reads_waits_for_the_writes_before_it_and_input_with_it() -> None:
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    peer.send(
        said({"action": "set", "key": "a", "value": 1, "id": 1}),
        said({"action": "get", "key": "a"}),
        said({"action": "set", "key": "a", "value": 2, "id": 2}),
        frame(PING, b"x"),
        said({"action": "get", "key": "a"}),
    )
    assert peer.heard() == []
    assert not peer.transport.is_reading
    cluster.work()
    peer.node.run()
    cluster.work()
    first, one, second, pong, two = peer.heard()
    assert (first["id"], one["value"], second["id"], pong, two["value"]) == (1, 1, 2, 0x8A, 2)
    assert peer.transport.is_reading


def test_a_ping_is_answered_behind_the_writes_before_it_and_keeps_none_waiting() -> None:
    cluster = Cluster(1).load()
    node = cluster.nodes[0]
    peer = Peer(node)
    for number in range(3):
        peer.send(
            said({"action": "set", "key": "a", "value": number, "id": number}),
            said({"action": "ping", "id": f"after {number}"}),
            said({"action": "ping", "id": f"again {number}"}),
        )
    assert peer.heard() == []
    assert peer.transport.is_reading
    cluster.work()
    ids = [f"{word}{number}" for number in range(3) for word in ("", "after ", "again ")]
    assert [str(message["id"]) for message in peer.heard() if "id" in message] == ids
    assert len(node.log.numbers) <= 2, "one for the first, one for those that waited meanwhile"
    peer.send(said({"action": "ping", "id": "at once"}))
    assert [message["id"] for message in peer.heard()] == ["at once"]


def test_pings_count_among_what_runs_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "LANE_REQUESTS_MAX", 3)
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    ping = said({"action": "ping", "id": "p"})
    peer.send(said({"action": "set", "key": "a", "value": 1, "id": "s"}), ping, ping)
    assert peer.transport.is_reading
    peer.send(ping)
    assert not peer.transport.is_reading
    cluster.work()
    assert [message["id"] for message in peer.heard()] == ["s", "p", "p", "p"]
    assert peer.transport.is_reading


def test_pings_of_a_lost_connection_are_forgotten() -> None:
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    peer.send(said({"action": "set", "key": "a", "value": 1}), said({"action": "ping"}))
    peer.connection.connection_lost(None)
    cluster.work()
    assert peer.heard() == []


def test_a_close_frame_waits_for_the_answers_before_it() -> None:
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    peer.send(
        said({"action": "set", "key": "a", "value": 1, "id": 1}),
        frame(CLOSE, (1000).to_bytes(2)),
    )
    assert peer.heard() == []
    cluster.work()
    answer, end = peer.heard()
    assert (answer["id"], end) == (1, CLOSE)
    assert peer.transport.ends == ["eof"]


def test_a_lost_connection_answers_nothing_and_its_change_is_made() -> None:
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    peer.send(
        said({"action": "set", "key": "a", "value": 1, "id": 1}),
        said({"action": "get", "key": "a"}),
    )
    peer.connection.connection_lost(None)
    cluster.work()
    assert peer.heard() == []
    assert peer.node.store.table.find("", "a") is not None
    assert peer.node.coordinator.requests.count == 0


def test_so_many_requests_of_one_connection_run_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "LANE_REQUESTS_MAX", 3)
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    for number in range(8):
        peer.send(said({"action": "set", "key": "a", "value": number, "id": number}))
    assert peer.node.coordinator.requests.count == 3
    assert not peer.transport.is_reading
    for _ in range(3):
        cluster.work()
    assert [answer["id"] for answer in peer.heard()] == list(range(8))
    assert peer.transport.is_reading


def test_so_many_bytes_of_one_connection_run_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "LANE_BYTES_MAX", 100)
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    for number in range(4):
        peer.send(said({"action": "set", "key": "a", "value": "x" * 40, "id": number}))
    assert peer.node.coordinator.requests.count == 1
    for _ in range(4):
        cluster.work()
    assert [answer["id"] for answer in peer.heard()] == list(range(4))


def test_a_full_server_lets_connections_wait_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked_requests, "PARKED_REQUESTS_MAX", 2)
    cluster = Cluster(1).load()
    peers = [Peer(cluster.nodes[0]) for _ in range(3)]
    for peer in peers:
        for number in range(2):
            peer.send(said({"action": "set", "key": "a", "value": 1, "id": number}))
    assert cluster.nodes[0].coordinator.requests.count == 2
    for _ in range(4):
        cluster.work()
    for peer in peers:
        assert [answer["id"] for answer in peer.heard()] == [0, 1]


def test_a_server_that_stops_answers_what_waits_and_nothing_more() -> None:
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    peer.send(said({"action": "set", "key": "a", "value": 1, "id": 1}))
    stopped: list[bool] = []
    peer.node.coordinator.requests.stop(lambda: stopped.append(True))
    peer.send(said({"action": "set", "key": "a", "value": 2, "id": 2}))
    assert peer.heard() == []
    cluster.work()
    (answer,) = peer.heard()
    assert answer["id"] == 1
    assert stopped == [True]


def test_what_is_no_message_is_answered_in_its_place() -> None:
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    peer.send(said({"action": "set", "key": "a", "value": 1, "id": 1}), frame(TEXT, b"{"))
    assert peer.heard() == []
    cluster.work()
    answer, error = peer.heard()
    assert answer["id"] == 1
    assert "error" in error


def test_refusals_are_answered_in_the_form_of_the_request() -> None:
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    peer.send(
        said({"action": "set", "key": "a", "value": 1, "id": 1}),
        said({"action": "set", "key": "a", "value": 1}),
    )
    cluster.nodes[0].log.refuse(RefusalKind.UNAVAILABLE)
    first, second = peer.heard()
    text = "Storage error: no quorum; nothing was stored"
    assert first == {"error": text, "code": "unavailable", "id": 1}
    assert second == {"error": text}


def test_a_watch_is_told_before_the_reply_to_a_write() -> None:
    cluster = Cluster(1).load()
    peer = Peer(cluster.nodes[0])
    peer.send(said({"action": "watch", "key": "a"}))
    peer.heard()
    peer.send(said({"action": "set", "key": "a", "value": 1, "id": 1}))
    cluster.work()
    update, answer = peer.heard()
    assert update["update"]["changes"][0]["value"] == 1
    assert answer["id"] == 1
