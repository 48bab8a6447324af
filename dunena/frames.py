"""WebSocket framing without I/O: splits a client's bytes into frames, and makes text frames.

Rule: RFC 6455, 5.2. The connection's protocol object (of websockets) is given whole frames only. So
this module decides three things: where a frame ends; whether its head breaks a rule, as the server
must not wait for the payload of such a frame; and whether the frame is the ordinary one, a whole
text message, which does not need the protocol object.
"""

from typing import Final

from dunena.unmasking import MASK_BYTES, LongMessage, unmask
from dunena.unmasking import apply_mask as apply_mask

_UNMASK: Final = unmask  # compiled code finds this one without a look-up

_FIN: Final = 0x80
_MASKED: Final = 0x80
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_CONTROL_PAYLOAD_MAX: Final = 125
_OPCODES = frozenset({0x0, 0x1, 0x2, 0x8, 0x9, 0xA})
_FIRST_CONTROL_OPCODE: Final = 0x8
TEXT_OPCODE: Final = 0x1

TEXT_HEAD: Final = _FIN | TEXT_OPCODE
"""First byte of a whole text frame (FIN, opcode 1) without extension bits."""

_LONG_BYTES: Final = 16_384  # from this size on an incomplete message is unmasked in parts

_SHORT_HEAD: Final = 2 + MASK_BYTES
_SHORT_MIN: Final = _MASKED  # mask bit and a length in seven bits
_SHORT_END: Final = _MASKED | _LENGTH_16

PING = b"\x89\x00"
"""A server's ping without a payload."""

PONG_HEAD: Final = 0x8A
"""First byte of every pong (FIN, opcode 10)."""


class FrameError(Exception):
    """The head of a frame breaks a rule; ``code`` is the close code to send (RFC 6455, 7.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


_BYTES: Final = [bytes((value,)) for value in range(256)]
_SHORT_HEADS: Final = [bytes((TEXT_HEAD, size)) for size in range(_LENGTH_16)]


def text_head(size: int) -> bytes:
    """Return what stands in a text frame before a payload of a size: joining costs least so."""
    if size < _LENGTH_16:
        return _SHORT_HEADS[size]
    if size < 1 << 16:
        return b"\x81\x7e" + _BYTES[size >> 8] + _BYTES[size & 0xFF]
    return b"\x81\x7f" + size.to_bytes(8, "big")


def text_frame(payload: bytes) -> bytes:
    """Make a text frame of a whole message, unmasked and uncompressed as servers send it."""
    return text_head(len(payload)) + payload


def compressed_text_frame(data: bytes) -> bytes:
    """Make a text frame of data compressed by permessage-deflate: RSV1 is set (RFC 7692, 6)."""
    return b"\xc1" + text_frame(data)[1:]


def payload_of(frame: bytes) -> bytes:
    """Return the payload of a frame that `text_frame` made."""
    if frame[1] < _LENGTH_16:
        return frame[2:]
    return frame[4:] if frame[1] == _LENGTH_16 else frame[10:]


class FrameReader:
    """Splits the bytes of a client into frames, in whatever pieces they arrive.

    `next` returns one frame at a time. For the ordinary frame, a whole text message, it returns the
    unmasked payload and sets ``is_message``; any other frame it returns as received, and clears
    ``is_message``. While ``is_in_message`` is set (a fragmented message has begun), no frame is
    ordinary. ``is_ascii``: the message is known to be ASCII. ``payload_bytes_max`` limits the
    payload of a frame; ``has_extension`` permits RSV1.
    """

    __slots__ = (
        "_at",
        "_data",
        "_late",
        "_late_bytes",
        "_long",
        "_payload_bytes_max",
        "_reserved_bits",
        "_wanted",
        "is_ascii",
        "is_in_message",
        "is_message",
    )

    def __init__(self, payload_bytes_max: int, *, has_extension: bool = False) -> None:
        self._data = b""
        self._at = 0  # the data before this position was taken
        self._late: list[bytes] | None = None  # received after a frame that is not whole yet
        self._late_bytes = 0
        self._long: LongMessage | None = None  # while its parts arrive, and until it is taken
        self._wanted = 0  # there is no whole frame before this many bytes are there
        self._payload_bytes_max = payload_bytes_max
        # RSV1 belongs to permessage-deflate (RFC 7692, 6); RSV2 and RSV3 have no meaning here.
        self._reserved_bits = 0x30 if has_extension else 0x70
        self.is_ascii = False
        self.is_in_message = False
        self.is_message = False

    def feed(self, data: bytes) -> None:
        """Add received bytes, of which `next` then returns the frames."""
        if not self._data:
            self._data = data
            self._wanted = 0
            return
        long = self._long
        if long is not None:
            long.add(data)
            if not long.left:
                self._wanted = 0
            return
        # The pieces of a long frame are joined once, not at every read.
        late = self._late
        if late is None:
            late = self._late = []
        late.append(data)
        self._late_bytes += len(data)
        if len(self._data) - self._at + self._late_bytes >= self._wanted:
            self._data = b"".join((self._data[self._at :], *late))
            self._at = self._late_bytes = self._wanted = 0
            self._late = None

    def __len__(self) -> int:
        """Return the number of bytes received and not yet taken."""
        long_bytes = 0 if self._long is None else self._long.size
        return len(self._data) - self._at + self._late_bytes + long_bytes

    @property
    def unfinished_bytes(self) -> int:
        """Return how many of the bytes not yet taken belong to a frame that is not whole."""
        return len(self) if self._wanted else 0

    def drop(self) -> None:
        """Discard all bytes that were not taken."""
        self._data = b""
        self._late = None
        self._at = self._late_bytes = self._wanted = 0
        self._long = None

    def next(self) -> bytes | None:
        """Return the next frame, or None until more bytes are fed; raise `FrameError`."""
        data, at = self._data, self._at
        size = len(data)
        if at + _SHORT_HEAD <= size and data[at] == TEXT_HEAD and not self.is_in_message:
            # The fast path for nearly all frames; `_next` handles these and all others.
            length = data[at + 1]
            if _SHORT_MIN <= length < _SHORT_END:
                start = at + _SHORT_HEAD
                end = start + length - _MASKED
                if end <= size:
                    self._at = end
                    self.is_ascii = False
                    self.is_message = True
                    return _UNMASK(data, start, end)
        if at == size:  # as after nearly every frame
            self._data = b""
            self._at = 0
            self._wanted = 2
            return None
        return self._next()

    def _next(self) -> bytes | None:
        if self._long is not None:
            return self._take_long_message(self._long)
        data, at = self._data, self._at
        left = len(data) - at
        if left < 2:
            self._wait(2)
            return None
        head, length = self._measure(left)
        is_message = data[at] == TEXT_HEAD and not self.is_in_message
        start, end = at + head, at + head + length
        if left < head + length:
            if not is_message or length < _LONG_BYTES:
                self._wait(head + length)
            elif left < head:
                self._wait(head)
            else:
                self._begin_long_message(start, length)
            return None
        self._at = end
        self.is_ascii = False
        self.is_message = is_message
        return _UNMASK(data, start, end) if is_message else data[at:end]

    def _begin_long_message(self, start: int, length: int) -> None:
        """Begin to unmask a message whose payload begins at ``start``, and is not whole."""
        data = self._data
        self._long = long = LongMessage(data[start - MASK_BYTES : start], length)
        long.add(memoryview(data)[start:])
        self._data = data[self._at : start]  # the head, until the message is taken
        self._at = 0
        self._wanted = len(self._data) + length

    def _take_long_message(self, long: LongMessage) -> bytes | None:
        if long.left:
            return None
        self._long = None
        self._data = b"".join(long.late)
        self.is_ascii = long.is_ascii
        self.is_message = True
        return long.payload

    def _wait(self, wanted: int) -> None:
        """Discard the bytes that were taken, until ``wanted`` bytes are there."""
        self._data = self._data[self._at :]
        self._at = 0
        self._wanted = wanted

    def _measure(self, left: int) -> tuple[int, int]:
        """Return the sizes of the frame's head and payload in bytes.

        The payload size of a head that is not whole is 0. Raise `FrameError` if it breaks a
        rule.
        """
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
        return head + MASK_BYTES, length
