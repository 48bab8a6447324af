"""A message that comes in several frames: RFC 6455, 5.4; no I/O."""

import codecs

from websockets.frames import Frame, Opcode

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Fragments:
    """The frames of one message so far; ``opcode`` is that of the first, and of the message.

    Raises UnicodeDecodeError as soon as a text can be none any more, however long it goes on.
    """

    __slots__ = ("_data", "_decoder", "opcode")

    def __init__(self, first: Frame) -> None:
        self.opcode = first.opcode
        self._data = bytearray()
        self._decoder = _new_decoder() if first.opcode is Opcode.TEXT else None
        self.add(first)

    def __len__(self) -> int:
        """Bytes of them."""
        return len(self._data)

    def add(self, frame: Frame) -> None:
        """The next frame, which is not the last; what has come in whole is looked at by others."""
        self._data += frame.data
        if self._decoder is not None:
            self._decoder.decode(frame.data)

    def end(self, frame: Frame) -> bytes:
        """The last frame; the whole message."""
        return bytes(self._data + frame.data)
