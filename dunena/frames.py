"""WebSocket framing that needs no connection: a client's bytes into frames, text frames out.

Rule: RFC 6455, 5.2. The protocol object that answers for a connection is fed whole frames only, so
the only things decided here are where a frame ends, what its head alone proves to be wrong (waiting
for the payload of such a frame would let a peer hold the connection with it), and whether it is the
ordinary frame, a whole text message, for which the protocol object has nothing to do.
"""

from typing import Final

try:
    from websockets.speedups import apply_mask as apply_mask
except ImportError:  # where it has no compiled part
    from websockets.utils import apply_mask as apply_mask

_FIN: Final = 0x80
_MASKED: Final = 0x80
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_CONTROL_PAYLOAD_MAX: Final = 125
_OPCODES = frozenset({0x0, 0x1, 0x2, 0x8, 0x9, 0xA})
_FIRST_CONTROL_OPCODE: Final = 0x8
_MASK_BYTES: Final = 4
TEXT_OPCODE: Final = 0x1

TEXT_HEAD: Final = _FIN | TEXT_OPCODE
"""The first byte of a whole text frame without extension bits."""

_SHORT_HEAD: Final = 2 + _MASK_BYTES
_SHORT_MIN: Final = _MASKED  # a length in seven bits, masked
_SHORT_END: Final = _MASKED | _LENGTH_16

PING = b"\x89\x00"
"""A server's ping without a payload."""

PONG_HEAD = 0x8A
"""The first byte of every pong."""


class FrameError(Exception):
    """A frame's head breaks a rule; ``code`` is the close code of RFC 6455, 7.4.1."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def text_frame(payload: bytes) -> bytes:
    """A server's whole, unmasked, uncompressed text frame."""
    size = len(payload)
    if size < _LENGTH_16:
        return b"\x81%c%b" % (size, payload)
    if size < 1 << 16:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), payload)


def compressed_text_frame(data: bytes) -> bytes:
    """A text frame of data that permessage-deflate compressed: RSV1 is set (RFC 7692, 6)."""
    return b"\xc1" + text_frame(data)[1:]


def payload_of(frame: bytes) -> bytes:
    """What a frame that `text_frame` made holds."""
    if frame[1] < _LENGTH_16:
        return frame[2:]
    return frame[4:] if frame[1] == _LENGTH_16 else frame[10:]


class FrameReader:
    """Bytes of a client in, frames out, whatever the cuts they arrived in.

    `next` gives one frame at a time. The ordinary one, a whole text message, comes as its unmasked
    payload and sets ``is_message``; every other one comes as it was sent and clears it. While
    ``is_in_message`` (a message in fragments was begun) no frame is ordinary.
    """

    __slots__ = (
        "_at",
        "_data",
        "_late",
        "_late_bytes",
        "_payload_bytes_max",
        "_reserved_bits",
        "_wanted",
        "is_in_message",
        "is_message",
    )

    def __init__(self, payload_bytes_max: int, *, has_extension: bool = False) -> None:
        self._data = b""
        self._at = 0  # what stands before it in the data was taken
        self._late: list[bytes] = []  # came behind a frame that is not whole
        self._late_bytes = 0
        self._wanted = 0  # no look at the data is worth it before this many bytes
        self._payload_bytes_max = payload_bytes_max
        # RSV1 belongs to permessage-deflate (RFC 7692, 6); the others to nothing we speak.
        self._reserved_bits = 0x30 if has_extension else 0x70
        self.is_in_message = False
        self.is_message = False

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        if not self._data:
            self._data = data
            self._wanted = 0
            return
        # A long frame is put together once, not at every read.
        self._late.append(data)
        self._late_bytes += len(data)
        if len(self._data) - self._at + self._late_bytes >= self._wanted:
            self._data = b"".join((self._data[self._at :], *self._late))
            self._at = self._late_bytes = self._wanted = 0
            self._late.clear()

    def __len__(self) -> int:
        """Bytes received and not yet taken."""
        return len(self._data) - self._at + self._late_bytes

    @property
    def unfinished_bytes(self) -> int:
        """Of these, what has come of a frame that is not whole."""
        return len(self) if self._wanted else 0

    def drop(self) -> None:
        """Forget what was not taken: nobody wants it any more."""
        self._data = b""
        self._late.clear()
        self._at = self._late_bytes = self._wanted = 0

    def next(self) -> bytes | None:
        """The next frame, or None until more is fed; raises `FrameError`."""
        data, at = self._data, self._at
        size = len(data)
        if at + _SHORT_HEAD <= size and data[at] == TEXT_HEAD and not self.is_in_message:
            # The short way for nearly every frame there is; `_next` does the same and the rest.
            length = data[at + 1]
            if _SHORT_MIN <= length < _SHORT_END:
                start = at + _SHORT_HEAD
                end = start + length - _MASKED
                if end <= size:
                    self._at = end
                    self.is_message = True
                    return apply_mask(data[start:end], data[at + 2 : start])
        return self._next()

    def _next(self) -> bytes | None:
        data, at = self._data, self._at
        left = len(data) - at
        if left < 2:
            self._wait(2)
            return None
        head, length = self._measure(left)
        if left < head + length:
            self._wait(head + length)
            return None
        start, end = at + head, at + head + length
        self._at = end
        self.is_message = data[at] == TEXT_HEAD and not self.is_in_message
        if self.is_message:
            return apply_mask(data[start:end], data[start - _MASK_BYTES : start])
        return data[at:end]

    def _wait(self, wanted: int) -> None:
        """Keep what is left of the data, and nothing of what was taken."""
        self._data = self._data[self._at :]
        self._at = 0
        self._wanted = wanted

    def _measure(self, left: int) -> tuple[int, int]:
        """Sizes of the frame's head and payload; a head that is not whole has no payload."""
        at = self._at
        first, second = self._data[at], self._data[at + 1]
        opcode = first & 0x0F
        length = second & 0x7F
        if first & self._reserved_bits:
            raise FrameError(1002, "reserved bits must be 0")
        if opcode not in _OPCODES:
            raise FrameError(1002, f"invalid opcode: {opcode:#x}")
        if not second & _MASKED:
            raise FrameError(1002, "a client's frames must be masked")  # RFC 6455, 5.1
        if opcode >= _FIRST_CONTROL_OPCODE:
            if length > _CONTROL_PAYLOAD_MAX:
                raise FrameError(1002, "control frame too long")
            if not first & _FIN:
                raise FrameError(1002, "fragmented control frame")
        head = 2
        if length >= _LENGTH_16:
            head += 2 if length == _LENGTH_16 else 8
            if left < head:
                return head, 0
            length = int.from_bytes(self._data[at + 2 : at + head], "big")
        if length > self._payload_bytes_max:
            raise FrameError(1009, f"message over {self._payload_bytes_max} bytes")
        return head + _MASK_BYTES, length
