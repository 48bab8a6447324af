"""permessage-deflate (RFC 7692) for messages that many connections share; no I/O.

Every message is compressed by itself, without context takeover in either direction. So all
connections with the same window get the same bytes, and an update for a thousand subscribers is
compressed once. With a context for each connection, each would need some 300 KB, and every update
would be compressed for each subscriber.
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
"""Shorter messages are sent uncompressed, which the extension permits: they would hardly shrink."""

FRAME_BYTES_MAX = 1024 * 1024
"""Longer messages are sent uncompressed too: compressing this many bytes delays all clients by
some 10 ms."""

REMEMBERED_BYTES_MAX = 8 * 1024 * 1024
"""Size of the cached messages, uncompressed and compressed, which other connections may need: two
of the largest values by default."""

_LEVEL = 1  # compresses JSON nearly as well as 6, in a third of the time
_MESSAGE_END = b"\x00\x00\xff\xff"  # removed from each message: RFC 7692, 7.2.1


def offered() -> "ServerPerMessageDeflateFactory":
    """Return the parameters of the extension that the server agrees to."""
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    return ServerPerMessageDeflateFactory(
        server_no_context_takeover=True, client_no_context_takeover=True
    )


class Compressor:
    """Compresses finished frames, for one size of window (8 to 15 bits)."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._remembered: OrderedDict[bytes, bytes] = OrderedDict()
        self._remembered_bytes = 0

    def __call__(self, frame: bytes) -> bytes:
        """Return the compressed frame, or ``frame`` itself if compressing would not help."""
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
    """One `Compressor` for each window size that a connection has negotiated."""

    def __init__(self) -> None:
        self._by_window: dict[int, Compressor] = {}

    def of(self, window_bits: int) -> Compressor:
        """Return the compressor for a window size, the same for all connections."""
        if window_bits not in self._by_window:
            self._by_window[window_bits] = Compressor(window_bits)
        return self._by_window[window_bits]

    def agreed(self, extensions: "Sequence[Extension]") -> Compressor | None:
        """Return the compressor for the negotiated extensions; None without compression."""
        from websockets.extensions.permessage_deflate import PerMessageDeflate

        for extension in extensions:
            if isinstance(extension, PerMessageDeflate):
                return self.of(extension.local_max_window_bits)
        return None
