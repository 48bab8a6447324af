"""A connection answers the same whichever way its frames took, and however they were cut."""

from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import EVERYTHING
from dunena.dialects.views import Views
from dunena.server.compression import Compressors
from dunena.server.context import Context
from dunena.server.handshake import Opening
from dunena.server.outbox import Outbox
from dunena.server.peers import Proxies
from dunena.server.registry import Registry
from dunena.server.websocket import WebSocketConnection
from dunena.settings import Settings
from tests.support.rooms import Rooms


class StillLoop:
    """A loop whose time stands still."""

    def time(self) -> float:
        return 0.0

    def call_later(self, *_arguments: object) -> None:
        """Nothing comes later."""


class Transport:
    """Remembers what was done to it, in order."""

    def __init__(self) -> None:
        self.written = b""
        self.ends: list[str] = []

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

    def resume_reading(self) -> None:
        """The peer goes on."""


class Peer:
    """A connection with a transport of its own and a store of its own."""

    def __init__(self, dialect: Dialect) -> None:
        self.rooms = Rooms()
        self.transport = Transport()
        loop: Any = StillLoop()
        nobody: Any = None
        context = Context(
            loop=loop,
            settings=Settings(),
            views=Views(self.rooms.core),
            tick=self.rooms.tick,
            bulk=nobody,
            admission=nobody,
            routes=nobody,
            registry=Registry(loop, 10),
            proxies=Proxies([]),
            telemetry=self.rooms.telemetry,
            compressors=Compressors(),
            new_id=lambda: "id",
            date=lambda: "",
        )
        transport: Any = self.transport
        outbox = Outbox(transport, self.rooms.tick.spoke, lambda: None, self.rooms.telemetry)
        self.connection = WebSocketConnection(
            context, Opening(dialect, (), b"", grant=EVERYTHING), transport, outbox
        )
        self.connection.begin(b"", b"", has_peer_ended=False)

    def hear(self, stream: bytes, cuts: list[int]) -> tuple[bytes, list[str]]:
        """Receive a stream in pieces; everything that was said and done in answer."""
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if start < end:
                self.connection.data_received(stream[start:end])
        self.rooms.tick.end()
        self.rooms.tick.end()
        return self.transport.written, self.transport.ends


@dataclass
class Piece:
    """Something a client sends: as one frame, and where it is text, also in fragments."""

    payload: bytes
    opcode: Opcode = Opcode.TEXT
    raw: bytes | None = None

    def whole(self) -> bytes:
        return self.raw or Frame(self.opcode, self.payload).serialize(mask=True)

    def fragments(self, at: int) -> bytes:
        if self.raw is not None or self.opcode is not Opcode.TEXT:
            return self.whole()
        first = Frame(Opcode.TEXT, self.payload[:at], fin=False)
        rest = Frame(Opcode.CONT, self.payload[at:])
        return first.serialize(mask=True) + rest.serialize(mask=True)


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
def test_both_ways_give_the_same_answers(
    dialect: Dialect, pieces: list[Piece], data: st.DataObject
) -> None:
    stream = b"".join(piece.whole() for piece in pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    slow = b"".join(
        piece.fragments(data.draw(st.integers(0, len(piece.payload)))) for piece in pieces
    )
    assert Peer(dialect).hear(stream, cuts) == Peer(dialect).hear(slow, [])


def test_a_stream_may_be_cut_anywhere() -> None:
    pieces = [
        Piece(b'{"action":"subscribe","key":"k"}'),
        Piece(b'{"action":"set","key":"k","value":"' + b"x" * 200 + b'"}'),
        Piece(b"hello", Opcode.PING),
        Piece(b'{"action":"get","key":"k"}'),
        Piece((1000).to_bytes(2), Opcode.CLOSE),
    ]
    stream = b"".join(piece.whole() for piece in pieces)
    whole = Peer(Dialect.OBJECT_STORE).hear(stream, [])
    assert whole[1] == ["eof"]
    for cut in range(1, len(stream)):
        assert Peer(Dialect.OBJECT_STORE).hear(stream, [cut]) == whole
    assert Peer(Dialect.OBJECT_STORE).hear(stream, list(range(1, len(stream)))) == whole
