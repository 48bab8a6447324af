"""A connection that sends a stream of events: comments, its end, its memory."""

import gc
from inspect import signature
from typing import Any

import pytest

from dunena.dialects.grants import EVERYTHING
from dunena.server.handlers import Handlers
from dunena.server.http import event_stream
from dunena.server.http.event_stream import EventStream
from dunena.server.http.message import Request, Response
from dunena.server.limits import (
    COMMENT_SECONDS,
    LINGER_BYTES_MAX,
    REQUEST_SECONDS_MAX,
    STREAM_SILENT_SECONDS_MAX,
)
from tests.unit.test_http_connection import Peer

WATCH = b"GET /watch?key=k HTTP/1.1\r\nHost: h\r\n\r\n"
COMMENT = b"4\r\n: \n\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

OTHERS = len(signature(Handlers).parameters) - 1
"""What else the handlers are made of; a stream needs none of it."""


class StreamPeer(Peer):
    """A connection whose request for a stream was answered."""

    def __init__(self, rest: bytes = b"") -> None:
        super().__init__()
        nobody: Any = None
        handlers = Handlers(self.context.views, *[nobody] * OTHERS)

        def respond(request: Request, now: int) -> Response:
            request.grant = EVERYTHING
            return handlers.watch(request, now)

        self.routes.respond = respond  # type: ignore[method-assign]
        self.receive(WATCH + rest)
        self.end_tick()

    @property
    def stream(self) -> EventStream:
        assert isinstance(self.transport.protocol, EventStream)
        return self.transport.protocol

    def end_tick(self) -> None:
        self.rooms.tick.end()

    def written(self) -> bytes:
        """What was written since the last call."""
        self.end_tick()
        data, self.transport.written = self.transport.written, b""
        return data

    def set(self, value: bytes) -> None:
        self.rooms.tick.run(lambda _m, _now: self.rooms.store.set("", "k", value), None)


def test_the_system_is_to_end_a_stream_whose_client_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[object, int]] = []
    monkeypatch.setattr(
        event_stream, "end_after_silence", lambda *arguments: asked.append(arguments)
    )
    peer = StreamPeer()
    assert asked == [(peer.transport, STREAM_SILENT_SECONDS_MAX)]


def test_a_comment_is_sent_every_15_seconds() -> None:
    peer = StreamPeer()
    peer.written()
    began = peer.loop.time()
    sent = []
    for second in range(1, 61):
        peer.stream.sweep(began + second)
        sent.append(peer.written())
    assert [number + 1 for number, data in enumerate(sent) if data] == [15, 30, 45, 60]
    assert set(sent) == {b"", COMMENT}


def test_no_comment_waits_for_a_reader_that_is_too_slow() -> None:
    peer = StreamPeer()
    peer.written()
    peer.stream.pause_writing()
    for second in range(1, 50):
        peer.stream.sweep(peer.loop.time() + second * COMMENT_SECONDS / 10)
    assert peer.written() == b""


def test_a_slow_reader_gets_only_the_newest_value() -> None:
    peer = StreamPeer()
    peer.written()
    peer.stream.pause_writing()
    for number in range(1000):
        peer.set(b"%d" % number)
        peer.end_tick()
    assert peer.written() == b""
    peer.stream.resume_writing()
    data = peer.written()
    assert data.count(b"event: update") == 1
    assert b'"value":999' in data


def test_a_client_that_goes_on_sending_is_ended() -> None:
    peer = StreamPeer()
    piece = bytes(1024 * 1024)
    for _ in range(LINGER_BYTES_MAX // len(piece)):
        peer.stream.data_received(piece)
    assert peer.transport.ends == []
    peer.stream.data_received(b"x")
    assert peer.transport.ends == ["abort"]


def test_after_a_shutdown_nothing_more_is_told_and_the_end_is_limited() -> None:
    peer = StreamPeer()
    peer.written()
    peer.stream.shut_down()
    peer.set(b"1")
    assert peer.written() == LAST_CHUNK
    assert peer.transport.ends == ["close"]
    now = peer.loop.time()
    peer.stream.sweep(now + REQUEST_SECONDS_MAX - 1)
    assert peer.transport.ends == ["close"]
    peer.stream.sweep(now + REQUEST_SECONDS_MAX)
    assert peer.transport.ends == ["close", "abort"]


@pytest.mark.parametrize("is_in_update", [True, False])
def test_a_lost_stream_leaves_nothing_behind(*, is_in_update: bool) -> None:
    peer = StreamPeer()
    assert peer.rooms.telemetry.event_streams == 1
    assert peer.rooms.telemetry.http_connections == 0
    assert peer.rooms.services.hub.subscription_count == 1
    if is_in_update:
        peer.stream.pause_writing()
        peer.set(b'"' + b"x" * 1_000_000 + b'"')
        peer.end_tick()
    peer.stream.connection_lost(None)
    assert peer.rooms.telemetry.event_streams == 0
    assert peer.rooms.services.hub.subscription_count == 0
    assert peer.rooms.services.watches.feed_count == 0
    peer.set(b"2")
    peer.end_tick()


def test_the_connection_before_a_stream_is_freed_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        peer = StreamPeer()
        before = id(peer.connection)
        del peer.connection
        assert before not in map(id, gc.get_objects())
    finally:
        gc.enable()
