"""Control frames, fragments and the closing handshake, without a connection."""

import pytest
from websockets.frames import Close, Frame, Opcode

from dunena.frames import FrameError, FrameReader
from dunena.server.websocket.special_frames import SpecialFrames

MESSAGE_BYTES_MAX = 1_000


def new_frames() -> tuple[SpecialFrames, FrameReader]:
    reader = FrameReader(MESSAGE_BYTES_MAX)
    return SpecialFrames(reader, MESSAGE_BYTES_MAX), reader


def sent(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's frame."""
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


def close_code(piece: bytes) -> int:
    """Of a server's close frame."""
    assert piece[0] == 0x88
    return Close.parse(piece[2:]).code


def test_a_ping_is_answered_with_a_pong_of_its_payload() -> None:
    frames, _ = new_frames()
    assert frames.receive(sent(Opcode.PING, b"hello"), takes_messages=True) is None
    assert frames.take_output() == [b"\x8a\x05hello"]
    assert frames.take_output() == []
    assert not frames.has_ended


def test_a_pong_is_not_answered() -> None:
    frames, _ = new_frames()
    assert frames.receive(sent(Opcode.PONG, b""), takes_messages=True) is None
    assert frames.take_output() == []


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_a_fragmented_message_is_returned_with_its_last_fragment(opcode: Opcode) -> None:
    frames, reader = new_frames()
    assert frames.receive(sent(opcode, b"ab", fin=False), takes_messages=True) is None
    assert reader.is_in_message
    assert frames.unfinished_bytes == 2
    assert frames.receive(sent(Opcode.CONT, b"c", fin=False), takes_messages=True) is None
    assert frames.unfinished_bytes == 3
    message = frames.receive(sent(Opcode.CONT, b"d"), takes_messages=True)
    assert message == (b"abcd", opcode is Opcode.TEXT)
    assert not reader.is_in_message
    assert frames.unfinished_bytes == 0


def test_a_ping_between_fragments_does_not_end_the_message() -> None:
    frames, _ = new_frames()
    frames.receive(sent(Opcode.TEXT, b"a", fin=False), takes_messages=True)
    frames.receive(sent(Opcode.PING, b""), takes_messages=True)
    assert frames.take_output() == [b"\x8a\x00"]
    assert frames.receive(sent(Opcode.CONT, b"b"), takes_messages=True) == (b"ab", True)


def test_a_binary_frame_is_returned_as_a_message() -> None:
    frames, _ = new_frames()
    assert frames.receive(sent(Opcode.BINARY, b"ab"), takes_messages=True) == (b"ab", False)


def test_a_text_fragment_of_invalid_utf_8_is_a_1007_error() -> None:
    frames, _ = new_frames()
    with pytest.raises(FrameError) as caught:
        frames.receive(sent(Opcode.TEXT, b"\xff", fin=False), takes_messages=True)
    assert caught.value.code == 1007


def test_messages_are_ignored_with_takes_messages_false() -> None:
    frames, reader = new_frames()
    assert frames.receive(sent(Opcode.BINARY, b"ab"), takes_messages=False) is None
    assert frames.receive(sent(Opcode.TEXT, b"\xff", fin=False), takes_messages=False) is None
    assert not reader.is_in_message


@pytest.mark.parametrize("is_in_message", [False, True])
def test_a_close_frame_is_answered_and_ends_the_connection(is_in_message: bool) -> None:
    frames, _ = new_frames()
    if is_in_message:
        frames.receive(sent(Opcode.TEXT, b"a", fin=False), takes_messages=True)
    frames.receive(sent(Opcode.CLOSE, (1000).to_bytes(2)), takes_messages=True)
    piece, end = frames.take_output()
    assert close_code(piece) == 1000
    assert end == b""
    assert frames.has_ended


@pytest.mark.parametrize("is_in_message", [False, True])
def test_the_reply_to_a_close_frame_ends_the_connection(is_in_message: bool) -> None:
    frames, _ = new_frames()
    if is_in_message:
        frames.receive(sent(Opcode.TEXT, b"a", fin=False), takes_messages=True)
    frames.close(1001, "server stopped")
    (piece,) = frames.take_output()
    assert close_code(piece) == 1001
    assert not frames.has_ended
    frames.receive(sent(Opcode.CLOSE, (1001).to_bytes(2)), takes_messages=False)
    assert frames.take_output() == [b""]
    assert frames.has_ended


def test_a_continuation_without_a_message_closes_with_1002() -> None:
    frames, _ = new_frames()
    frames.receive(sent(Opcode.CONT, b""), takes_messages=True)
    piece, end = frames.take_output()
    assert close_code(piece) == 1002
    assert end == b""
    assert frames.has_ended


def test_fail_sends_the_close_code_and_ends_the_connection() -> None:
    frames, _ = new_frames()
    frames.receive(sent(Opcode.TEXT, b"a", fin=False), takes_messages=True)
    frames.fail(1013, "too much")
    piece, end = frames.take_output()
    assert close_code(piece) == 1013
    assert end == b""
    assert frames.unfinished_bytes == 0
    assert frames.has_ended
