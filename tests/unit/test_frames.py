"""Cutting bytes into frames, whatever the cuts they arrived in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from dunena.frames import FrameCutter, FrameError, text_frame

LIMIT = 100_000


def client_frame(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


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
    cutter = FrameCutter(LIMIT)
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        cutter.feed(stream[start:end])
        found += list(cutter.cut())
    assert found == frames
    assert len(cutter) == 0


def test_frames_not_taken_stay() -> None:
    frames = [client_frame(b"1"), client_frame(b"2")]
    cutter = FrameCutter(LIMIT)
    cutter.feed(b"".join(frames))
    assert next(cutter.cut()) == frames[0]
    assert list(cutter.cut()) == frames[1:]


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
    cutter = FrameCutter(LIMIT)
    for position in range(len(head)):
        cutter.feed(head[position : position + 1])
        if position < len(head) - 1:
            assert list(cutter.cut()) == []
    with pytest.raises(FrameError) as caught:
        next(cutter.cut())
    assert caught.value.code == code


def test_a_payload_of_just_the_limit_is_taken() -> None:
    frame = client_frame(bytes(LIMIT), Opcode.BINARY)
    cutter = FrameCutter(LIMIT)
    cutter.feed(frame)
    assert list(cutter.cut()) == [frame]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_text_frame_is_what_the_library_would_send(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
