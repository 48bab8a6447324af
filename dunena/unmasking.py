"""Unmasking the payloads of a client's frames (RFC 6455, 5.3), and of long messages in parts."""

from collections.abc import Callable
from typing import Final

try:
    from websockets.speedups import apply_mask as apply_mask
except ImportError:  # websockets was installed without its compiled part
    from websockets.utils import apply_mask as apply_mask

MASK_BYTES: Final = 4

_VIEWED_BYTES: Final = 4096  # from this size on a copy costs more than a view


def _unmask(data: bytes, start: int, end: int) -> bytes:
    """Return the payload that is masked in ``data[start:end]``, right behind its mask."""
    payload = data[start:end] if end - start < _VIEWED_BYTES else memoryview(data)[start:end]
    return apply_mask(payload, data[start - MASK_BYTES : start])


unmask: Callable[[bytes, int, int], bytes] = _unmask

try:
    from dunena import _unmasking
except ImportError:
    pass
else:
    unmask = _unmasking.unmask  # the same in one call, which all but large messages profit from


class LongMessage:
    """A text message whose parts are unmasked as they arrive, when the processor has them at hand.

    ``left`` is how many bytes of it are to come; once there are none, ``payload`` is whole, and
    ``late`` are the bytes that came behind it. ``size`` is the number of bytes of all of them.
    ``is_ascii``: all parts are ASCII.
    """

    __slots__ = ("_mask", "_parts", "is_ascii", "late", "left", "payload", "size")

    def __init__(self, mask: bytes, length: int) -> None:
        self._mask = mask  # of the next part
        self._parts: list[bytes] = []
        self.is_ascii = True
        self.left = length
        self.payload = b""
        self.late: list[bytes] = []
        self.size = 0

    def add(self, data: bytes | memoryview) -> None:
        """Add received bytes."""
        size, left = len(data), self.left
        self.size += size
        if left:
            part = apply_mask(data if size <= left else data[:left], self._mask)
            self._parts.append(part)
            self.is_ascii = self.is_ascii and part.isascii()
            turn = len(part) % MASK_BYTES
            if turn:
                self._mask = self._mask[turn:] + self._mask[:turn]
            self.left = left - len(part)
            if not self.left:
                self.payload = b"".join(self._parts)
                self._parts.clear()
        if size > left:
            self.late.append(bytes(data[left:]))
