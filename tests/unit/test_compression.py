"""Compressed messages: correct, and made once for all followers."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from dunena.dialects.dialect import Dialect
from dunena.frames import text_frame
from dunena.server.compression import (
    FRAME_BYTES_MAX,
    FRAME_BYTES_MIN,
    REMEMBERED_BYTES_MAX,
    Compressor,
    Compressors,
)
from tests.support.rooms import Rooms


def read_as(window_bits: int, stream: bytes) -> list[bytes]:
    """Messages as a client with this window reads them, by websockets' own reader."""
    extension = PerMessageDeflate(
        remote_no_context_takeover=True,
        local_no_context_takeover=True,
        remote_max_window_bits=window_bits,
        local_max_window_bits=15,
    )
    buffer = StreamReader()
    buffer.feed_data(stream)
    buffer.feed_eof()
    messages = []
    while not (yield_from(buffer.at_eof())):
        frame = yield_from(Frame.parse(buffer.read_exact, mask=False, extensions=[extension]))
        assert frame.opcode is Opcode.TEXT
        messages.append(bytes(frame.data))
    return messages


def yield_from(generator):
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    return stopped.value.value


@given(
    st.lists(st.binary(max_size=300) | st.integers(0, 70_000).map(lambda n: b"ab" * n), max_size=5),
    st.integers(9, 15),
)
def test_a_client_inflates_the_payloads_that_were_compressed(
    payloads: list[bytes], window_bits: int
) -> None:
    compressor = Compressor(window_bits)
    stream = b"".join(compressor(text_frame(payload)) for payload in payloads)
    assert read_as(window_bits, stream) == payloads


def test_a_message_is_compressed_once_while_it_is_cached(monkeypatch) -> None:
    made = []
    real = zlib.compressobj

    def counted(*args, **options):
        made.append(args)
        return real(*args, **options)

    monkeypatch.setattr(zlib, "compressobj", counted)
    compressor = Compressor(15)
    first = text_frame(b"ab" * 1_000)
    assert compressor(first) is compressor(text_frame(b"ab" * 1_000))
    assert len(made) == 1
    large = FRAME_BYTES_MAX - 100
    count = REMEMBERED_BYTES_MAX // large + 1
    for number in range(count):
        compressor(text_frame(bytes([65 + number]) * large))
    compressor(first)
    assert len(made) == count + 2, "what is remembered is bounded"


def test_a_frame_of_the_maximum_size_is_not_compressed() -> None:
    frame = text_frame(b"a" * FRAME_BYTES_MAX)
    assert Compressor(15)(frame) is frame


def test_short_control_and_incompressible_frames_are_not_compressed() -> None:
    compressor = Compressor(15)
    short = text_frame(b"a" * (FRAME_BYTES_MIN - 3))
    dense = text_frame(bytes(range(256)))
    for frame in (short, dense, b"\x89\x00", b"HTTP/1.1 101 Switching Protocols\r\n" * 10):
        assert compressor(frame) is frame
    assert compressor(text_frame(b"a" * FRAME_BYTES_MIN))[0] == 0xC1


def test_followers_with_equal_window_bits_are_sent_the_same_bytes() -> None:
    rooms = Rooms()
    compressors = Compressors()
    clients = [rooms.client(Dialect.OBJECT_STORE) for _ in range(3)]
    for client, window_bits in zip(clients, (15, 15, 9), strict=True):
        client.outbox.rewire(lambda: None, compressors.of(window_bits))
        client.ask({"action": "subscribe", "key": "k"})
    for number in range(2):
        clients[0].say({"action": "set", "key": "k", "value": [number, "ab" * 1_000]})
    rooms.tick.end()
    first, second, small = (b"".join(client.wire.writes) for client in clients)
    assert clients[0].wire.writes[0] is clients[1].wire.writes[0]
    assert first == second != small
    assert len(first) < 200
    assert read_as(15, first) == read_as(9, small)
    assert [m[:26] for m in read_as(15, first)] == [
        b'{"key":"k","value":[%d,"aba' % number for number in range(2)
    ]
