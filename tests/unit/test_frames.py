"""Reading WebSocket frames from any chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from dunena.frames import (
    FrameError,
    FrameReader,
    compressed_text_frame,
    payload_of,
    text_frame,
    text_head,
)

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
def test_frames_are_read_whole_from_any_chunks(frames: list[bytes], data: st.DataObject) -> None:
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
def test_untaken_frames_stay_in_order(sizes: list[int], data: st.DataObject) -> None:
    """A caller that stops in the middle, and feeds more, loses no frame."""
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


def test_a_text_frame_within_a_fragmented_message_is_returned_as_a_raw_frame() -> None:
    frame = client_frame(b"text")
    reader = FrameReader(LIMIT)
    for is_in_message, found in ((True, (False, frame)), (False, (True, b"text"))):
        reader.is_in_message = is_in_message
        reader.feed(frame)
        assert taken(reader) == [found]


@pytest.mark.parametrize(
    ("head", "code", "reason"),
    [
        (b"\x81\x05", 1002, "a client's frames must be masked"),
        (b"\x88\x00", 1002, "a client's frames must be masked"),  # the shortest of all
        (b"\xc1\x85", 1002, "reserved bits must be 0"),
        (b"\xa1\x85", 1002, "reserved bits must be 0"),
        (b"\x91\x85", 1002, "reserved bits must be 0"),
        (b"\x83\x85", 1002, "invalid opcode: 0x3"),
        (b"\x8b\x85", 1002, "invalid opcode: 0xb"),
        (b"\x89\xfe", 1002, "control frame too long"),
        (b"\x09\x85", 1002, "fragmented control frame"),
        (b"\x08\x80", 1002, "fragmented control frame"),
        (b"\x81\xff" + (LIMIT + 1).to_bytes(8), 1009, f"message over {LIMIT} bytes"),
        (b"\x81\xff" + (2**63).to_bytes(8), 1009, f"message over {LIMIT} bytes"),
    ],
)
def test_an_invalid_frame_header_is_refused_before_its_payload_arrives(
    head: bytes, code: int, reason: str
) -> None:
    reader = FrameReader(LIMIT)
    for position in range(len(head)):
        reader.feed(head[position : position + 1])
        if position < len(head) - 1:
            assert reader.next() is None
    with pytest.raises(FrameError) as caught:
        reader.next()
    assert caught.value.code == code
    assert caught.value.reason == str(caught.value) == reason


@pytest.mark.parametrize(
    ("first", "has_extension", "is_taken"),
    [(0xC1, True, True), (0xC1, False, False), (0xA1, True, False), (0x91, True, False)],
)
def test_only_the_first_reserved_bit_is_accepted_and_only_with_an_extension(
    first: int, has_extension: bool, is_taken: bool
) -> None:
    frame = bytes([first]) + client_frame(b"text")[1:]
    reader = FrameReader(LIMIT, has_extension=has_extension)
    reader.feed(frame)
    if is_taken:
        assert taken(reader) == [(False, frame)]
    else:
        with pytest.raises(FrameError, match="reserved bits"):
            reader.next()


def test_a_control_frame_of_125_bytes_is_accepted_and_a_longer_one_refused() -> None:
    frame = client_frame(bytes(125), Opcode.PING)
    reader = FrameReader(LIMIT)
    reader.feed(frame)
    assert taken(reader) == [(False, frame)]
    reader.feed(b"\x89\xfe\x00\x7e")
    with pytest.raises(FrameError, match="too long"):
        reader.next()


def test_a_new_reader_is_empty_and_outside_a_message() -> None:
    reader = FrameReader(LIMIT)
    assert reader.is_in_message is False
    assert reader.is_message is False
    assert len(reader) == reader.unfinished_bytes == 0


def test_received_and_untaken_bytes_are_counted() -> None:
    whole = client_frame(b"text")
    begun = client_frame(bytes(300))[:-1]
    reader = FrameReader(LIMIT)
    reader.feed(whole + whole + begun[:7])
    assert (len(reader), reader.unfinished_bytes) == (2 * len(whole) + 7, 0)
    reader.next()
    assert (len(reader), reader.unfinished_bytes) == (len(whole) + 7, 0)
    assert taken(reader) == [(True, b"text")]
    assert (len(reader), reader.unfinished_bytes) == (7, 7)
    for end in range(8, len(begun) + 1):
        reader.feed(begun[end - 1 : end])
        assert (len(reader), reader.unfinished_bytes) == (end, end)
        assert reader.next() is None
    reader.feed(b"\x00")
    assert (len(reader), reader.unfinished_bytes) == (len(begun) + 1, 0)


def test_a_long_frame_after_a_taken_one_is_assembled_once() -> None:
    begun = client_frame(bytes(300))
    reader = FrameReader(LIMIT)
    reader.feed(client_frame(b"text") + begun[:100])
    assert taken(reader) == [(True, b"text")]
    for start in range(100, 300, 20):
        reader.feed(begun[start : start + 20])
        assert reader._data == begun[:100], "the rest waits beside it"
        assert reader.next() is None
    reader.feed(begun[300:])
    assert reader._data == begun
    assert taken(reader) == [(True, bytes(300))]


LONG = bytes(range(256)) * 160  # 40,960 bytes, of which a wrong mask would spoil each


def test_a_long_message_is_read_from_parts_cut_at_every_place_near_its_ends() -> None:
    frame, ping = client_frame(LONG), client_frame(b"", Opcode.PING)
    stream = frame + ping + client_frame(b"after")
    places = [*range(1, 40), 16_001, 16_002, 16_003, *range(len(frame) - 20, len(stream))]
    for first in places:
        for second in (first, first + 1, first + 7, 30_001, len(frame), len(stream) - 1):
            reader = FrameReader(LIMIT)
            found = []
            for part in (stream[:first], stream[first:second], stream[max(first, second) :]):
                reader.feed(part)
                found += taken(reader)
            assert found == [(True, LONG), (False, ping), (True, b"after")], (first, second)
            assert len(reader) == reader.unfinished_bytes == 0


def test_what_comes_behind_a_long_message_waits_until_that_is_taken() -> None:
    frame, after = client_frame(LONG), client_frame(b"after")
    reader = FrameReader(LIMIT)
    reader.feed(client_frame(b"before") + frame[:20_000])
    assert taken(reader) == [(True, b"before")]
    assert (len(reader), reader.unfinished_bytes) == (20_000, 20_000)
    reader.feed(frame[20_000:] + after)
    reader.feed(after[:3])
    assert (len(reader), reader.unfinished_bytes) == (len(frame) + len(after) + 3, 0)
    reader.feed(after[3:])
    assert taken(reader, 1) == [(True, LONG)]
    assert len(reader) == 2 * len(after)
    assert taken(reader) == [(True, b"after")] * 2


@pytest.mark.parametrize("end", [b"", b"\xc3\xbc", b"\xff"])
def test_a_long_message_tells_whether_it_is_ascii_until_the_next_message(end: bytes) -> None:
    reader = FrameReader(LIMIT)
    for text in (b"x" * 20_000 + end + b"x" * 20_000, b"x" * 40_000 + end):
        frame = client_frame(text)
        for after in (b"\xff", b"\xff" * 200, b"\xff" * 20_000):
            reader.feed(frame[:-3])
            assert reader.next() is None
            reader.feed(frame[-3:] + client_frame(after))
            assert reader.next() == text
            assert reader.is_ascii is text.isascii()
            assert reader.next() == after
            assert not reader.is_ascii


@pytest.mark.parametrize("opcode", [Opcode.BINARY, Opcode.CONT])
def test_a_long_frame_that_is_no_ordinary_one_is_returned_as_received(opcode: Opcode) -> None:
    frame = client_frame(LONG, opcode)
    reader = FrameReader(LIMIT)
    reader.feed(frame[:30_000])
    assert reader.next() is None
    reader.feed(frame[30_000:])
    assert taken(reader) == [(False, frame)]


def test_drop_discards_a_long_message_that_is_not_whole_or_not_taken() -> None:
    frame = client_frame(LONG)
    for cut in (20_000, len(frame)):
        reader = FrameReader(LIMIT)
        reader.feed(frame[:15])
        assert reader.next() is None
        reader.feed(frame[15:cut])
        reader.drop()
        assert len(reader) == reader.unfinished_bytes == 0
        reader.feed(frame)
        assert taken(reader) == [(True, LONG)]


def test_drop_discards_received_bytes_and_the_next_frame_is_read() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(client_frame(b"text") + client_frame(bytes(300))[:50])
    taken(reader)
    reader.feed(bytes(20))
    reader.drop()
    assert len(reader) == reader.unfinished_bytes == 0
    assert reader.next() is None
    frame = client_frame(b"after")
    reader.feed(frame[:1])
    assert reader.next() is None
    assert reader.unfinished_bytes == 1
    reader.feed(frame[1:])
    assert taken(reader) == [(True, b"after")]


def test_a_payload_of_exactly_the_limit_is_accepted() -> None:
    frame = client_frame(bytes(LIMIT), Opcode.BINARY)
    reader = FrameReader(LIMIT)
    reader.feed(frame)
    assert taken(reader) == [(False, frame)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_text_frame_equals_the_serialization_of_the_websockets_library(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert text_head(size) + payload == text_frame(payload)
    assert payload_of(text_frame(payload)) == payload


@pytest.mark.parametrize("size", [0, 125, 126, 65_536])
def test_a_compressed_text_frame_has_the_first_reserved_bit(size: int) -> None:
    payload = b"x" * size
    first, *rest = Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert compressed_text_frame(payload) == bytes((first | 0x40, *rest))
