"""permessage-deflate (RFC 7692) that fits shared messages; no I/O.

Every message is compressed by itself: without context takeover, in either direction. So what one
connection is sent is what any other with the same window is sent, and an update to a thousand
subscribers is compressed once. A context of its own would cost each connection some 300 KB, and
the server the same work for everyone.
"""

import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from dunena.frames import TEXT_HEAD, compressed_text_frame, payload_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.extensions import Extension
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

FRAME_BYTES_MIN = 128
"""A shorter message goes as it is, which the extension allows: it would hardly shrink."""

FRAME_BYTES_MAX = 1024 * 1024
"""A longer one goes as it is too: everybody would wait for it, some 10 ms for each of these."""

REMEMBERED_BYTES_MAX = 8 * 1024 * 1024
"""Messages that are kept, before and after, since others may be sent the same: two of the largest
values by default."""

_LEVEL = 1  # JSON shrinks nearly as well as at 6, in a third of the time
_MESSAGE_END = b"\x00\x00\xff\xff"  # taken off each message: RFC 7692, 7.2.1


def offered() -> "ServerPerMessageDeflateFactory":
    """What the server agrees to."""
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    return ServerPerMessageDeflateFactory(
        server_no_context_takeover=True, client_no_context_takeover=True
    )


class Compressor:
    """Finished frames into compressed ones, for one size of window (8 to 15 bits)."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._remembered: OrderedDict[bytes, bytes] = OrderedDict()
        self._remembered_bytes = 0

    def __call__(self, frame: bytes) -> bytes:
        """The frame to send in place of a finished one; the same if there is nothing to gain."""
        if frame[0] != TEXT_HEAD or not FRAME_BYTES_MIN <= len(frame) <= FRAME_BYTES_MAX:
            return frame
        remembered = self._remembered.get(frame)
        if remembered is None:
            remembered = self._compress(frame)
            self._remember(frame, remembered)
        return remembered

    def _compress(self, frame: bytes) -> bytes:
        machine = zlib.compressobj(_LEVEL, wbits=-self._window_bits)
        data = machine.compress(payload_of(frame)) + machine.flush(zlib.Z_SYNC_FLUSH)
        compressed = compressed_text_frame(data.removesuffix(_MESSAGE_END))
        return compressed if len(compressed) < len(frame) else frame

    def _remember(self, frame: bytes, compressed: bytes) -> None:
        self._remembered[frame] = compressed
        self._remembered_bytes += len(frame) + len(compressed)
        while self._remembered_bytes > REMEMBERED_BYTES_MAX:
            old, short = self._remembered.popitem(last=False)
            self._remembered_bytes -= len(old) + len(short)


class Compressors:
    """One for each window size that some connection agreed on."""

    def __init__(self) -> None:
        self._by_window: dict[int, Compressor] = {}

    def of(self, window_bits: int) -> Compressor:
        """The one for a window size, the same for everyone."""
        if window_bits not in self._by_window:
            self._by_window[window_bits] = Compressor(window_bits)
        return self._by_window[window_bits]

    def agreed(self, extensions: "Sequence[Extension]") -> Compressor | None:
        """The one for what client and server agreed on; None if they agreed on no compression."""
        from websockets.extensions.permessage_deflate import PerMessageDeflate

        for extension in extensions:
            if isinstance(extension, PerMessageDeflate):
                return self.of(extension.local_max_window_bits)
        return None
