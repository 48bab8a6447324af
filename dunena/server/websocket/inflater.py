"""Inflating compressed messages of a client (permessage-deflate, RFC 7692, 7.2.2); no I/O.

It works in steps: a message that inflates to a thousand times its size takes as many turns as an
uncompressed one of that size.
"""

import zlib
from collections.abc import Sequence

from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate

from dunena.frames import FrameError, apply_mask
from dunena.server.limits import INFLATE_STEP_BYTES, INFLATED_BYTES_MAX
from dunena.store.limits import Limits

_FIN = 0x80
_MASKED = 0x80
_COMPRESSED = 0x40  # RSV1: RFC 7692, 6
_LENGTH_16 = 126
_LENGTH_64 = 127
_CONTINUATION = 0x0
_FIRST_CONTROL_OPCODE = 0x8
_MESSAGE_END = b"\x00\x00\xff\xff"
_NO_MASK = bytes(4)


class Inflater:
    """Inflates the messages of one connection, each of which is compressed by itself.

    Call `take` with a frame, then `step` until it returns the payload. ``is_busy``: a frame is
    being inflated. ``bytes`` is the size of its message so far.
    """

    __slots__ = (
        "_first",
        "_goes_on",
        "_input",
        "_machine",
        "_message_bytes_max",
        "_pieces",
        "_window_bits",
        "bytes",
        "is_busy",
    )

    def __init__(self, window_bits: int, message_bytes_max: int) -> None:
        self._window_bits = window_bits
        self._message_bytes_max = message_bytes_max
        # Only while there is a message: it has the last 32 KB that were inflated.
        self._machine: zlib._Decompress | None = None
        self._goes_on = False  # more frames of a compressed message follow
        self._first = 0
        self._input = b""
        self._pieces: list[bytes] | None = None  # joined once: a long message is not copied twice
        self.is_busy = False
        self.bytes = 0

    def take(self, frame: bytes) -> bool:
        """Begin with a client's whole frame; return False if it is not compressed."""
        first = frame[0]
        opcode = first & 0x0F
        if opcode >= _FIRST_CONTROL_OPCODE:
            return False
        if opcode == _CONTINUATION:
            if not self._goes_on or first & _COMPRESSED:
                return False  # only the first frame has RSV1: RFC 7692, 6
        else:
            self._goes_on = bool(first & _COMPRESSED)
            if not self._goes_on:
                return False
            self._machine = zlib.decompressobj(-self._window_bits)
            self.bytes = 0
        self._goes_on = not first & _FIN
        self._first = first & ~_COMPRESSED
        self._input = _payload_of(frame) + (_MESSAGE_END if first & _FIN else b"")
        self._pieces = []
        self.is_busy = True
        return True

    def step(self) -> bytes | None:
        """Inflate some more; return the payload when it is complete. Raise `FrameError`."""
        machine, pieces = self._machine, self._pieces
        assert machine is not None, "a frame was taken"
        assert pieces is not None, "a frame was taken"
        try:
            piece = machine.decompress(self._input, INFLATE_STEP_BYTES)
        except zlib.error:
            raise FrameError(1002, "decompression failed") from None
        self._input = machine.unconsumed_tail
        pieces.append(piece)
        self.bytes += len(piece)
        if self.bytes > self._message_bytes_max:
            raise FrameError(1009, f"message over {self._message_bytes_max} bytes inflated")
        if len(piece) == INFLATE_STEP_BYTES or self._input:
            return None
        self.is_busy = False
        self._pieces = None
        if not self._goes_on:
            self._machine = None
        return b"".join(pieces)

    def stop(self) -> None:
        """Discard the message that is being inflated."""
        self._input, self._pieces, self._machine = b"", None, None
        self.is_busy = self._goes_on = False

    @property
    def first(self) -> int:
        """The first byte of the frame without the bit for compression."""
        return self._first


def new_inflater(extensions: Sequence[Extension], limits: Limits) -> Inflater | None:
    """Make the inflater for the negotiated extensions; None without compression."""
    for extension in extensions:
        if isinstance(extension, PerMessageDeflate):
            bytes_max = max(INFLATED_BYTES_MAX, limits.value_bytes_max + 65_536)
            return Inflater(
                extension.remote_max_window_bits, min(bytes_max, limits.message_bytes_max)
            )
    return None


def plain_frame(first: int, payload: bytes) -> bytes:
    """Make a client's frame of a payload, with a mask of zeros."""
    size = len(payload)
    if size < _LENGTH_16:
        head = bytes((first, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((first, _MASKED | _LENGTH_16)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, _MASKED | _LENGTH_64)) + size.to_bytes(8, "big")
    return b"".join((head, _NO_MASK, payload))


def _payload_of(frame: bytes) -> bytes:
    length = frame[1] & 0x7F
    start = 6 if length < _LENGTH_16 else 8 if length == _LENGTH_16 else 14
    return apply_mask(frame[start:], frame[start - 4 : start])
