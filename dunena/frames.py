"""WebSocket framing that needs no connection: cutting bytes into whole frames, and text frames out.

Rule: RFC 6455, 5.2. The protocol object that answers for a connection is fed whole frames only, so
the only thing decided here is where a frame ends, and what its head alone proves to be wrong:
waiting for the payload of such a frame would let a peer hold the connection with it.
"""

from collections.abc import Iterator

_FIN = 0x80
_MASKED = 0x80
_LENGTH_16 = 126
_LENGTH_64 = 127
_CONTROL_PAYLOAD_MAX = 125
_OPCODES = frozenset({0x0, 0x1, 0x2, 0x8, 0x9, 0xA})
_FIRST_CONTROL_OPCODE = 0x8
TEXT_OPCODE = 0x1


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
        return bytes((_FIN | TEXT_OPCODE, size)) + payload
    if size < 1 << 16:
        return bytes((_FIN | TEXT_OPCODE, _LENGTH_16)) + size.to_bytes(2) + payload
    return bytes((_FIN | TEXT_OPCODE, _LENGTH_64)) + size.to_bytes(8) + payload


class FrameCutter:
    """Bytes of a client in, whole frames out, whatever the cuts they arrived in."""

    __slots__ = ("_buffer", "_payload_bytes_max", "_reserved_bits", "_wanted")

    def __init__(self, payload_bytes_max: int, *, has_extension: bool = False) -> None:
        self._buffer = bytearray()
        self._wanted = 2  # no look at the buffer is worth it before this many bytes
        self._payload_bytes_max = payload_bytes_max
        # RSV1 belongs to permessage-deflate (RFC 7692, 6); the others to nothing we speak.
        self._reserved_bits = 0x30 if has_extension else 0x70

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        self._buffer += data

    def __len__(self) -> int:
        """Bytes received and not yet cut."""
        return len(self._buffer)

    def cut(self) -> Iterator[bytes]:
        """Each whole frame; what is left stays for the next call. Raises `FrameError`.

        The caller may stop in the middle: frames not taken stay in the buffer.
        """
        while len(self._buffer) >= self._wanted:
            head, payload = self._measure()
            self._wanted = head + payload
            if len(self._buffer) < self._wanted:
                return
            frame = bytes(self._buffer[: self._wanted])
            del self._buffer[: self._wanted]
            self._wanted = 2
            yield frame

    def _measure(self) -> tuple[int, int]:
        """Sizes of the first frame's head and payload; a head that is not whole has no payload."""
        first, second = self._buffer[0], self._buffer[1]
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
            if len(self._buffer) < head:
                return head, 0
            length = int.from_bytes(self._buffer[2:head])
        if length > self._payload_bytes_max:
            raise FrameError(1009, f"message over {self._payload_bytes_max} bytes")
        return head + 4, length
