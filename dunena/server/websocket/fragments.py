"""Joining the fragments of a message (RFC 6455, 5.4); no I/O."""

import codecs

from websockets.frames import Frame, Opcode

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Fragments:
    """The received frames of one message; ``opcode`` is that of the first frame and the message.

    Raises UnicodeDecodeError as soon as a text message cannot be UTF-8 any more.
    """

    __slots__ = ("_data", "_decoder", "opcode")

    def __init__(self, first: Frame) -> None:
        self.opcode = first.opcode
        self._data = bytearray()
        self._decoder = _new_decoder() if first.opcode is Opcode.TEXT else None
        self.add(first)

    def __len__(self) -> int:
        """Return the number of bytes received of the message."""
        return len(self._data)

    def add(self, frame: Frame) -> None:
        """Add the next frame, which must not be the last; check that a text is UTF-8 so far."""
        self._data += frame.data
        if self._decoder is not None:
            self._decoder.decode(frame.data)

    def end(self, frame: Frame) -> bytes:
        """Add the last frame and return the whole message, which the caller checks."""
        return bytes(self._data + frame.data)
