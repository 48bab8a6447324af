"""A WebSocket connection gives the same replies on both paths and from any chunks."""

import gc
import re
import weakref
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import EVERYTHING
from dunena.dialects.views import Views
from dunena.frames import text_frame
from dunena.server.access.peers import Proxies
from dunena.server.access.refusals import Refusals
from dunena.server.compression import Compressors
from dunena.server.context import Context
from dunena.server.limits import (
    FRAME_BYTES,
    INFLATE_STEP_BYTES,
    INFLATED_BYTES_MAX,
    TURN_BYTES_MAX,
    TURN_LOOK_BYTES,
    TURN_MS,
    UNFINISHED_BYTES_MIN,
)
from dunena.server.outbox import Outbox
from dunena.server.registry import Registry
from dunena.server.websocket.connection import WebSocketConnection
from dunena.server.websocket.handshake import AcceptedHandshake
from dunena.settings import Settings
from tests.support.rooms import Rooms


class StillLoop:
    """A loop whose time stands still, or moves by ``step`` with each look at it."""

    def __init__(self) -> None:
        self.now = self.step = 0.0

    def time(self) -> float:
        self.now += self.step
        return self.now

    def call_later(self, *_arguments: object) -> None:
        """Nothing comes later."""


class Transport:
    """Remembers what was done to it, in order."""

    def __init__(self) -> None:
        self.written = b""
        self.ends: list[str] = []
        self.is_reading = True
        self.unsent_bytes = 0

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def write(self, data: bytes) -> None:
        assert not self.ends, "nothing comes after the end"
        self.written += data

    def write_eof(self) -> None:
        self.ends.append("eof")

    def abort(self) -> None:
        self.ends.append("abort")

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """The peer waits."""
        self.is_reading = False

    def resume_reading(self) -> None:
        """The peer goes on."""
        self.is_reading = True


class Peer:
    """A connection with a transport of its own and a store of its own."""

    def __init__(
        self,
        dialect: Dialect,
        extensions: tuple[PerMessageDeflate, ...] = (),
        registry: Registry | None = None,
    ) -> None:
        self.rooms = Rooms()
        self.transport = Transport()
        self.loop = StillLoop()
        loop: Any = self.loop
        nobody: Any = None
        self.context = Context(
            loop=loop,
            settings=Settings(),
            views=Views(self.rooms.services),
            tick=self.rooms.tick,
            sessions=self.rooms.sessions_on(loop),
            bulk=nobody,
            admission=nobody,
            routes=nobody,
            registry=registry or Registry(loop, 10),
            refusals=Refusals(Settings(), 3000),
            proxies=Proxies([]),
            telemetry=self.rooms.telemetry,
            compressors=Compressors(),
            pacer=self.rooms.pacer,
            new_id=lambda: "id",
            date=lambda: "",
        )
        self.connection = self.connect(dialect, extensions)

    def connect(
        self, dialect: Dialect, extensions: tuple[PerMessageDeflate, ...] = ()
    ) -> WebSocketConnection:
        """Another connection, which says everything to the same transport."""
        transport: Any = self.transport
        outbox = Outbox(
            transport, self.rooms.tick.schedule_flush, lambda: None, self.rooms.telemetry
        )
        connection = WebSocketConnection(
            self.context,
            AcceptedHandshake(dialect, extensions, b"", grant=EVERYTHING),
            transport,
            outbox,
        )
        connection.begin(b"HTTP", b"", has_peer_ended=False)
        return connection

    def hear(self, stream: bytes, cuts: list[int]) -> tuple[bytes, list[str]]:
        """Receive a stream in pieces; everything that was said and done in answer."""
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if start < end:
                self.connection.data_received(stream[start:end])
        self.go_round(8)
        return self.transport.written, self.transport.ends

    def go_round(self, times: int = 1) -> None:
        """Let the loop go round: everything that is to come soon comes."""
        for _ in range(times):
            soon, self.rooms.soon[:] = list(self.rooms.soon), []
            for action in soon:
                action()

    def receive(self, stream: bytes) -> None:
        """Receive all of it at once, as the loop reads it."""
        self.connection.data_received(stream)


@dataclass
class Piece:
    """Something a client sends: as one frame, and where it is text, also in fragments."""

    payload: bytes
    opcode: Opcode = Opcode.TEXT
    raw: bytes | None = None

    def unfragmented(self) -> bytes:
        return self.raw or Frame(self.opcode, self.payload).serialize(mask=True)

    def fragments(self, at: int) -> bytes:
        if self.raw is not None or self.opcode is not Opcode.TEXT:
            return self.unfragmented()
        first = Frame(Opcode.TEXT, self.payload[:at], fin=False)
        rest = Frame(Opcode.CONT, self.payload[at:])
        return first.serialize(mask=True) + rest.serialize(mask=True)


GET_K = b'{"action":"get","key":"k"}'
MISSING_K = text_frame(b'{"key":"k","value":null}')
KEYS = st.sampled_from(["k", "l", "ünïcödé"])
MESSAGES = (
    st.builds(lambda key: {"action": "get", "key": key}, KEYS)
    | st.builds(lambda key: {"action": "subscribe", "key": key}, KEYS)
    | st.builds(lambda key: {"action": "unsubscribe", "key": key}, KEYS)
    | st.builds(
        lambda key, value: {"action": "set", "key": key, "value": value},
        KEYS,
        st.integers(-(2**63), 2**64 - 1) | st.text(max_size=200),
    )
    | st.builds(lambda number: {"type": "ping", "id": number}, st.integers(0, 9))
    | st.sampled_from([{"action": "what"}, [], 1, {"type": "get"}])
)
TEXTS = st.builds(lambda message: Piece(orjson.dumps(message)), MESSAGES)
OTHERS = st.sampled_from(
    [
        Piece(b"\xff\xfe"),  # no UTF-8
        Piece(b"{"),
        Piece(b""),
        Piece(b"hello", Opcode.PING),
        Piece(b"", Opcode.PONG),
        Piece(b'{"action":"get","key":"k"}', Opcode.BINARY),
        Piece((1000).to_bytes(2) + b"bye", Opcode.CLOSE),
        Piece(b"", raw=b"\xc1\x80\x00\x00\x00\x00"),  # a reserved bit
        Piece(b"", raw=b"\x80\x80\x00\x00\x00\x00"),  # goes on with nothing
        Piece(b"", raw=b"\x81\x02{}"),  # not masked
    ]
)


@given(
    st.sampled_from([Dialect.AUTO, Dialect.OBJECT_STORE]),
    st.lists(TEXTS | TEXTS | TEXTS | OTHERS, max_size=8),
    st.data(),
)
def test_fast_and_slow_paths_give_the_same_replies(
    dialect: Dialect, pieces: list[Piece], data: st.DataObject
) -> None:
    pieces = [Piece(GET_K), *pieces]
    stream = b"".join(piece.unfragmented() for piece in pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    slow = b"".join(
        piece.fragments(data.draw(st.integers(0, len(piece.payload)))) for piece in pieces
    )
    written, ends = Peer(dialect).hear(stream, cuts)
    assert MISSING_K in written
    assert (written, ends) == Peer(dialect).hear(slow, [])


def test_replies_are_the_same_wherever_the_stream_is_cut() -> None:
    pieces = [
        Piece(b'{"action":"subscribe","key":"k"}'),
        Piece(b'{"action":"set","key":"k","value":"' + b"x" * 200 + b'"}'),
        Piece(b"hello", Opcode.PING),
        Piece(b'{"action":"get","key":"k"}'),
        Piece((1000).to_bytes(2), Opcode.CLOSE),
    ]
    stream = b"".join(piece.unfragmented() for piece in pieces)
    whole = Peer(Dialect.OBJECT_STORE).hear(stream, [])
    value = text_frame(b'{"key":"k","value":"' + b"x" * 200 + b'"}')
    close = Frame(Opcode.CLOSE, (1000).to_bytes(2)).serialize(mask=False)
    pong = Frame(Opcode.PONG, b"hello").serialize(mask=False)
    written, ends = whole
    assert written.startswith(b"HTTP")
    assert written.count(value) == 2, "what is followed and what is asked for"
    assert written.count(pong) == 1
    assert written.endswith(close)
    assert ends == ["eof"]
    for cut in range(1, len(stream)):
        assert Peer(Dialect.OBJECT_STORE).hear(stream, [cut]) == whole
    assert Peer(Dialect.OBJECT_STORE).hear(stream, list(range(1, len(stream)))) == whole


X = b"x" * 20_000
LONG_VALUES = {
    "a string": b'"%b"' % X,
    "letters of two bytes": b'"%b"' % (b"\xc3\xbc" * 10_000),
    "an escape": b'"%b\\n%b"' % (X, X),
    "a string and another field": b'"%b","ttl":60000' % X,
    "a string in an array": b'["%b"]' % X,
    "many strings": b"[%b0]" % (b'"x",' * 10_000),
    "a control character": b'"%b\n"' % X,
    "no UTF-8": b'"%b\xff"' % X,
    "half a letter": b'"%b\xc3"' % X,
    "no end of the string": b'"%b' % X,
    "the value twice": b'"%b","value":"%b"' % (X, X),
    "an integer past 64 bits": b'"%b","n":18446744073709551616' % X,
}


@pytest.mark.parametrize("value", LONG_VALUES.values(), ids=LONG_VALUES)
def test_long_messages_are_answered_the_same_wherever_they_are_cut(value: bytes) -> None:
    pieces = [
        Piece(b'{"action":"subscribe","key":"k"}'),
        Piece(b'{"action":"set","key":"k","value":%b}' % value),
        Piece(b"hello", Opcode.PING),
        Piece(b'{"action":"get","key":"k"}'),
        Piece((1000).to_bytes(2), Opcode.CLOSE),
    ]
    before, large, *after = (piece.unfragmented() for piece in pieces)
    stream = b"".join((before, large, *after))
    whole = Peer(Dialect.OBJECT_STORE).hear(stream, [])
    slow = b"".join(piece.fragments(10_001) for piece in pieces)
    assert Peer(Dialect.OBJECT_STORE).hear(slow, []) == whole
    start, end = len(before), len(before) + len(large)
    near = [*range(start - 1, start + 50), *range(end - 12, len(stream))]
    for cut in near:
        assert Peer(Dialect.OBJECT_STORE).hear(stream, [cut]) == whole
        cuts = sorted((cut, start + 9_000, start + 9_001))
        assert Peer(Dialect.OBJECT_STORE).hear(stream, cuts) == whole
    assert Peer(Dialect.OBJECT_STORE).hear(stream, near) == whole


# --- turns ---

SET = Frame(Opcode.TEXT, b'{"action":"set","key":"k","value":1}').serialize(mask=True)
GET = Frame(Opcode.TEXT, GET_K).serialize(mask=True)
FLOODS = {
    "sets without replies": SET,
    "empty continuations": Frame(Opcode.CONT, b"", fin=False).serialize(mask=True),
    "messages in two frames": Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True)
    + Frame(Opcode.CONT, b"").serialize(mask=True),
    "pings": Frame(Opcode.PING, b"").serialize(mask=True),
}
FIRST_FRAGMENT = Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True)


def frames_left(peer: Peer) -> int:
    return len(peer.connection._reader)


@pytest.mark.parametrize("kind", FLOODS)
def test_a_turn_ends_after_a_limited_number_of_frames_of_any_kind(kind: str) -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    begun = FIRST_FRAGMENT if kind == "empty continuations" else b""
    peer.receive(begun)
    flood = FLOODS[kind]
    peer.receive(flood * 5_000)
    done_bytes = len(flood) * 5_000 - frames_left(peer)
    assert 0 < done_bytes / len(flood) <= TURN_BYTES_MAX / FRAME_BYTES + 16
    assert not peer.transport.is_reading, "what comes next waits in the system"
    rounds = 0
    while frames_left(peer):
        before = frames_left(peer)
        peer.go_round()
        rounds += 1
        assert before - frames_left(peer) <= done_bytes
        assert rounds < 100
    assert rounds >= 4
    assert peer.transport.is_reading


def test_a_turn_ends_after_its_time_limit() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    peer.loop.step = TURN_MS / 1000
    peer.receive(SET * 1_000)
    done = 1_000 - frames_left(peer) // len(SET)
    assert done <= 2 * TURN_LOOK_BYTES / FRAME_BYTES


def test_a_turn_ends_after_one_large_message() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    value = b'"' + b"x" * TURN_BYTES_MAX + b'"'
    large = Frame(Opcode.TEXT, b'{"action":"set","key":"k","value":%s}' % value).serialize(
        mask=True
    )
    peer.receive(large * 3)
    left = [frames_left(peer) // len(large)]
    while left[-1]:
        peer.go_round()
        left.append(frames_left(peer) // len(large))
    assert sorted(set(left), reverse=True) == [2, 1, 0]


@pytest.mark.parametrize("is_in_fragments", [False, True])
@pytest.mark.parametrize("is_slow", [False, True])
def test_unfinished_messages_count_against_a_budget(is_in_fragments: bool, is_slow: bool) -> None:
    loop: Any = StillLoop()
    registry = Registry(loop, 10, messages_bytes_max=5 * UNFINISHED_BYTES_MIN)
    largest, other = (Peer(Dialect.AUTO, registry=registry) for _ in range(2))

    def begin(peer: Peer, size: int) -> None:
        if is_in_fragments:
            data = Frame(Opcode.TEXT, b"x" * size, fin=False).serialize(mask=True)
        else:
            data = Frame(Opcode.TEXT, b"x" * (size + 1)).serialize(mask=True)[:-1]
        step = 1000 if is_slow else len(data)
        for start in range(0, len(data), step):
            peer.receive(data[start : start + step])
        peer.connection.sweep(0.0)
        peer.go_round(8)

    def was_refused(peer: Peer) -> bool:
        return (1013).to_bytes(2) in peer.transport.written

    begin(largest, 3 * UNFINISHED_BYTES_MIN + 1)
    assert not was_refused(largest)
    begin(other, 2 * UNFINISHED_BYTES_MIN)
    largest.go_round(8)
    assert was_refused(largest)
    assert not was_refused(other)
    assert registry.messages.bytes >= 2 * UNFINISHED_BYTES_MIN
    assert frames_left(largest) == 0
    other.connection.connection_lost(None)
    assert registry.messages.bytes == 0


def test_a_small_number_of_requests_does_not_read_the_clock() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    before = peer.loop.now
    peer.loop.step = 1.0
    peer.receive(GET * 10)
    assert peer.loop.now == before
    assert frames_left(peer) == 0
    peer.go_round()
    assert peer.transport.written.count(MISSING_K) == 10


def test_replies_keep_their_order_over_several_turns() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    for number in range(3_000):
        peer.connection._reader.feed(
            Frame(Opcode.TEXT, b'{"action":"get","key":"k%d"}' % number).serialize(mask=True)
        )
    peer.receive(GET)
    written = [len(peer.transport.written)]
    for _ in range(20):
        peer.go_round()
        written.append(len(peer.transport.written))
    assert sum(a < b for a, b in pairwise(written)) >= 2, "a tick each"
    keys = re.findall(rb'"key":"k([0-9]+)"', peer.transport.written)
    assert keys == [b"%d" % number for number in range(3_000)]


def test_a_lost_connection_gets_no_further_turns() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    peer.receive(SET * 3_000)
    written = peer.rooms.store.revision
    peer.connection.connection_lost(None)
    peer.go_round(3)
    assert peer.rooms.store.revision == written < 3_000
    assert frames_left(peer) == 0


def test_a_lost_connection_is_freed_without_garbage_collection() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    peer.receive(GET + FIRST_FRAGMENT + GET[:5])
    peer.go_round(4)
    peer.connection.pause_writing()
    transport, number = weakref.ref(peer.transport), id(peer.connection)
    gc.disable()
    try:
        peer.connection.connection_lost(None)
        peer.go_round(4)
        del peer.connection, peer.transport
        assert transport() is None
        assert number not in map(id, gc.get_objects())
    finally:
        gc.enable()


def test_a_shutdown_between_turns_waits_for_the_peers_close() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    peer.receive(SET * 3_000)
    peer.connection.shut_down()
    peer.go_round(10)
    assert peer.transport.is_reading, "the peer's close is still to come"


def test_bytes_after_a_broken_frame_are_discarded_while_closing() -> None:
    peer = Peer(Dialect.OBJECT_STORE)
    peer.connection.shut_down()
    peer.connection.data_received(b"\x83\x80" + bytes(4))  # there is no such opcode
    for _ in range(10):
        peer.connection.data_received(bytes(100_000))
    assert len(peer.connection._reader) == 0
    peer.rooms.tick.end()
    close = Frame(Opcode.CLOSE, b"\x03\xe9server stopped").serialize(mask=False)
    assert peer.transport.written.endswith(close)


# --- compression ---


def squeezed(payload: bytes) -> bytes:
    """A message as permessage-deflate has it."""
    machine = zlib.compressobj(9, wbits=-15)
    data = machine.compress(payload) + machine.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(b"\x00\x00\xff\xff")


def compressed_frames(payload: bytes, count: int = 1) -> bytes:
    """A message as a client sends it, in so many frames."""
    data = squeezed(payload)
    size = -(-len(data) // count)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(
        with_rsv1(
            Frame(Opcode.CONT if number else Opcode.TEXT, part, fin=number == len(parts) - 1),
            is_set=not number,
        )
        for number, part in enumerate(parts)
    )


def with_rsv1(frame: Frame, *, is_set: bool = True) -> bytes:
    """A frame's bytes with the bit that says that it is compressed."""
    first, *rest = frame.serialize(mask=True)
    return bytes((first | 0x40 if is_set else first, *rest))


def compressing_peer(registry: Registry | None = None) -> Peer:
    extension = PerMessageDeflate(
        remote_no_context_takeover=True,
        local_no_context_takeover=True,
        remote_max_window_bits=15,
        local_max_window_bits=15,
    )
    return Peer(Dialect.OBJECT_STORE, (extension,), registry)


def sent_texts(peer: Peer) -> list[bytes]:
    """The payloads of the text frames that the server sent, inflated where they were compressed."""
    stream = peer.transport.written.removeprefix(b"HTTP")
    texts = []
    while stream:
        head, size, start = stream[0], stream[1], 2
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(stream[2:start])
        payload, stream = stream[start : start + size], stream[start + size :]
        if head & 0x40:
            payload = zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")
        if head & 0x0F == Opcode.TEXT:
            texts.append(payload)
    return texts


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 10, INFLATE_STEP_BYTES, 3 * INFLATE_STEP_BYTES + 7])
def test_a_compressed_message_is_inflated_and_answered(count: int, size: int) -> None:
    peer = compressing_peer()
    message = b'{"action":"set","key":"k","value":"%b"}' % (b"x" * size)
    ping = Frame(Opcode.PING, b"hello").serialize(mask=True)
    peer.receive(compressed_frames(message, count) + ping + compressed_frames(GET_K) + GET)
    peer.go_round(20)
    assert b"hello" in peer.transport.written
    entry = peer.rooms.services.store.get("", "k", 0)
    assert entry is not None
    assert entry.value == b'"%b"' % (b"x" * size)
    assert sent_texts(peer) == [b'{"key":"k","value":"%b"}' % (b"x" * size)] * 2
    assert peer.transport.ends == []


def test_large_compressed_messages_are_inflated_one_per_turn() -> None:
    peer = compressing_peer()
    large = INFLATED_BYTES_MAX - 1000
    stream = compressed_frames(b" " * large)
    assert len(stream) < large / 500
    peer.receive(stream * 3)
    registry = peer.connection._context.registry
    turns = 0
    most = 0
    while not peer.transport.is_reading:
        before = peer.connection._inflater.bytes
        peer.go_round()
        after = peer.connection._inflater.bytes
        if after >= before:
            assert after - before <= TURN_BYTES_MAX + INFLATE_STEP_BYTES
        most = max(most, registry.inflating.bytes)
        turns += 1
        assert turns < 1_000
    assert turns >= 3 * large // (TURN_BYTES_MAX + INFLATE_STEP_BYTES)
    assert most <= large, "one message at a time"
    assert registry.inflating.bytes == 0


@pytest.mark.parametrize("count", [1, 3])
def test_a_message_over_the_limit_when_inflated_closes_with_1009(count: int) -> None:
    peer = compressing_peer()
    peer.receive(compressed_frames(b" " * (INFLATED_BYTES_MAX + 1), count))
    peer.go_round(100)
    assert (1009).to_bytes(2) in peer.transport.written
    assert peer.connection._context.registry.inflating.bytes == 0


def test_invalid_compressed_data_closes_with_1002() -> None:
    peer = compressing_peer()
    peer.receive(with_rsv1(Frame(Opcode.TEXT, b"\xff\xff\xff")))
    peer.go_round(3)
    assert (1002).to_bytes(2) in peer.transport.written


@pytest.mark.parametrize("opcode", [Opcode.CONT, Opcode.PING])
def test_a_compression_bit_outside_a_first_data_frame_closes_with_1002(opcode: Opcode) -> None:
    peer = compressing_peer()
    begun = FIRST_FRAGMENT if opcode is Opcode.CONT else b""
    peer.receive(begun + with_rsv1(Frame(opcode, b"")))
    peer.go_round(3)
    assert (1002).to_bytes(2) in peer.transport.written


def test_inflated_bytes_of_all_connections_have_a_budget() -> None:
    registry = compressing_peer().connection._context.registry
    registry.inflating._bytes_max = INFLATED_BYTES_MAX
    first, second = compressing_peer(registry), compressing_peer(registry)
    stream = compressed_frames(b" " * (INFLATED_BYTES_MAX - 1000))
    first.receive(stream)
    first.go_round(10)
    second.receive(stream)
    for _ in range(100):
        second.go_round()
        first.go_round()
        assert registry.inflating.bytes <= INFLATED_BYTES_MAX
    assert (1013).to_bytes(2) in first.transport.written
    assert (1013).to_bytes(2) not in second.transport.written


# --- others ---


def test_a_heavy_connection_waits_after_another_had_a_whole_turn() -> None:
    peer, other = Peer(Dialect.OBJECT_STORE), Peer(Dialect.OBJECT_STORE)
    other.connection._tick = peer.rooms.tick
    other.connection._outbox._schedule_flush = peer.rooms.tick.schedule_flush
    peer.receive(SET * 3_000)
    other.receive(GET)  # is new: nobody knows what it will ask for
    assert frames_left(other) == len(GET)
    peer.go_round(20)
    assert frames_left(other) == 0
    other.connection.sweep(1.0)
    other.connection.sweep(2.0)  # had no whole turn for a while
    peer.receive(SET * 3_000)
    other.receive(GET)
    assert frames_left(other) == 0
    other.go_round()
    assert other.transport.written.count(MISSING_K) == 2


def test_an_idle_connection_consists_of_few_objects() -> None:
    peer = Peer(Dialect.DUNENA)
    peer.go_round(8)
    gc.collect()
    before = len(gc.get_objects())
    connections = [peer.connect(Dialect.DUNENA) for _ in range(100)]
    peer.go_round(8)
    gc.collect()
    # The connection, its outbox and what that calls, the session, the conversation, the
    # subscriptions, the frame reader, the message receiver and the turn.
    assert (len(gc.get_objects()) - before) // len(connections) <= 9


def test_nothing_is_kept_of_a_special_frame_or_a_compressed_message() -> None:
    peer = compressing_peer()
    ping = Frame(Opcode.PING, b"hello").serialize(mask=True)
    peer.receive(compressed_frames(GET_K, 2) + ping)
    peer.go_round(8)
    assert b"hello" in peer.transport.written
    assert peer.connection._special is None
    assert peer.connection._inflater is not None
    assert peer.connection._inflater._machine is None
