"""Compressed messages of a client into what they would be without compression; no I/O.

permessage-deflate (RFC 7692, 7.2.2), step by step: a message a thousand times as long as what was
sent for it takes as many turns as one that was sent whole.
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
    """One connection's; every message is compressed by itself.

    `take` begins with a frame; then `step` until it gives what came of it. ``is_busy`` says that a
    frame is being inflated, ``bytes`` how much of its message is.
    """

    def __init__(self, window_bits: int, message_bytes_max: int) -> None:
        self._window_bits = window_bits
        self._message_bytes_max = message_bytes_max
        self._machine = zlib.decompressobj(-window_bits)
        self._goes_on = False  # a compressed message has begun, and more frames of it come
        self._first = 0
        self._input = b""
        self._pieces: list[bytes] = []  # put together once: a long message is not copied twice
        self.is_busy = False
        self.bytes = 0

    def take(self, frame: bytes) -> bool:
        """Begin with a client's whole frame; False if it is none that is compressed."""
        first = frame[0]
        opcode = first & 0x0F
        if opcode >= _FIRST_CONTROL_OPCODE:
            return False
        if opcode == _CONTINUATION:
            if not self._goes_on or first & _COMPRESSED:
                return False  # only the first frame says it: RFC 7692, 6
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
        """The payload without compression once it is whole; raises `FrameError`."""
        try:
            piece = self._machine.decompress(self._input, INFLATE_STEP_BYTES)
        except zlib.error:
            raise FrameError(1002, "decompression failed") from None
        self._input = self._machine.unconsumed_tail
        self._pieces.append(piece)
        self.bytes += len(piece)
        if self.bytes > self._message_bytes_max:
            raise FrameError(1009, f"message over {self._message_bytes_max} bytes inflated")
        if len(piece) == INFLATE_STEP_BYTES or self._input:
            return None
        payload, self._pieces = b"".join(self._pieces), []
        self.is_busy = False
        return payload

    def stop(self) -> None:
        """Let go what there is: nothing will come of it."""
        self._input, self._pieces = b"", []
        self.is_busy = self._goes_on = False

    @property
    def first(self) -> int:
        """The first byte of the frame, as it would be without compression."""
        return self._first


def new_inflater(extensions: Sequence[Extension], limits: Limits) -> Inflater | None:
    """One for what client and server agreed on; None without compression."""
    for extension in extensions:
        if isinstance(extension, PerMessageDeflate):
            bytes_max = max(INFLATED_BYTES_MAX, limits.value_bytes_max + 65_536)
            return Inflater(
                extension.remote_max_window_bits, min(bytes_max, limits.message_bytes_max)
            )
    return None


def plain_frame(first: int, payload: bytes) -> bytes:
    """A client's frame, with a mask that changes nothing."""
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
