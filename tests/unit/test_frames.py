"""Cutting bytes into frames, whatever the cuts they arrived in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from dunena.frames import FrameError, FrameReader, text_frame

LIMIT = 100_000


def client_frame(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


def taken(reader: FrameReader, count: int = 1_000) -> list[tuple[bool, bytes]]:
    """Frames that are whole now, each with whether it is an ordinary message."""
    found: list[tuple[bool, bytes]] = []
    while len(found) < count and (frame := reader.next()) is not None:
        found.append((reader.is_message, frame))
    return found


def expected(frame: bytes) -> tuple[bool, bytes]:
    """The same of one frame, by the library's own reader."""
    buffer = StreamReader()
    buffer.feed_data(frame)
    parser = Frame.parse(buffer.read_exact, mask=True)
    with pytest.raises(StopIteration) as stopped:
        next(parser)
    parsed = stopped.value.value
    is_message = parsed.fin and parsed.opcode is Opcode.TEXT
    return is_message, bytes(parsed.data) if is_message else frame


@given(
    st.lists(
        st.builds(
            client_frame,
            st.binary(max_size=70) | st.integers(120, 70_000).map(bytes),
            st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]),
            fin=st.booleans(),
        ),
        max_size=5,
    ),
    st.data(),
)
def test_frames_come_out_whole_however_they_were_cut(
    frames: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader(LIMIT)
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        found += taken(reader)
    assert found == [expected(frame) for frame in frames]
    assert len(reader) == 0


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6), st.data())
def test_frames_not_taken_stay_in_order(sizes: list[int], data: st.DataObject) -> None:
    """Whoever stops in the middle, and is fed more, loses nothing."""
    frames = [client_frame(bytes([number]) * size) for number, size in enumerate(sizes)]
    stream = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader(LIMIT)
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        found += taken(reader, data.draw(st.integers(0, 3)))
    found += taken(reader)
    assert found == [expected(frame) for frame in frames]


def test_in_a_message_of_fragments_no_frame_is_ordinary() -> None:
    frame = client_frame(b"text")
    reader = FrameReader(LIMIT)
    for is_in_message, found in ((True, (False, frame)), (False, (True, b"text"))):
        reader.is_in_message = is_in_message
        reader.feed(frame)
        assert taken(reader) == [found]


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"\x81\x05", 1002),  # not masked
        (b"\x88\x00", 1002),  # not masked, the shortest of all
        (b"\xc1\x85", 1002),  # reserved bit 1
        (b"\xa1\x85", 1002),  # reserved bit 2
        (b"\x91\x85", 1002),  # reserved bit 3
        (b"\x83\x85", 1002),  # no such opcode
        (b"\x8b\x85", 1002),  # no such control opcode
        (b"\x89\xfe", 1002),  # a ping over 125 bytes
        (b"\x09\x85", 1002),  # a ping in fragments
        (b"\x81\xff" + (LIMIT + 1).to_bytes(8), 1009),
        (b"\x81\xff" + (2**63).to_bytes(8), 1009),
    ],
)
def test_a_bad_head_is_refused_before_its_payload_comes(head: bytes, code: int) -> None:
    reader = FrameReader(LIMIT)
    for position in range(len(head)):
        reader.feed(head[position : position + 1])
        if position < len(head) - 1:
            assert reader.next() is None
    with pytest.raises(FrameError) as caught:
        reader.next()
    assert caught.value.code == code


def test_a_payload_of_just_the_limit_is_taken() -> None:
    frame = client_frame(bytes(LIMIT), Opcode.BINARY)
    reader = FrameReader(LIMIT)
    reader.feed(frame)
    assert taken(reader) == [(False, frame)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_text_frame_is_what_the_library_would_send(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
