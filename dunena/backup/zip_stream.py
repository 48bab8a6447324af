"""Writing a zip file from its first byte to its last, without input and output.

The standard library's writer keeps an object of a kilobyte for each file until the end, and a store
has a hundred thousand of them. This one keeps a file's line of the list at the end, some 100 bytes.
The format is that of PKWARE's APPNOTE.TXT 6.3.10; the numbers of its sections are in brackets.
"""

import struct
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

FILE_BYTES_MAX: Final = 2**32 - 2
"""The largest file that needs no second form of its sizes (4.5.3)."""

_STORED, _DEFLATED = 0, 8  # 4.4.5
_NEEDS = 20  # 4.4.3.2: version 2.0, for deflate
_NEEDS_ZIP64 = 45
_MADE_BY_UNIX = 3 << 8 | _NEEDS_ZIP64  # 4.4.2.2: so the attributes are a mode
_PLAIN_FILE = 0o100644 << 16
_UTF_8 = 1 << 11  # 4.4.4: the name is UTF-8
_SIZES_FOLLOW = 1 << 3
_FULL = 2**32 - 1  # 4.4.1.4: the number is in the other form
_FULL_COUNT = 2**16 - 1
_DEFLATE_BYTES_MIN = 256
"""Smaller content is stored as it is: deflating it would save less than it costs."""

_LINES_AT_ONCE = 256

_LOCAL = struct.Struct("<4s5H3I2H")  # 4.3.7
_FOLLOWING = struct.Struct("<4s3I")  # 4.3.9
_LISTED = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_ZIP64_END = struct.Struct("<4sQ2H2I4Q")  # 4.3.14
_ZIP64_PLACE = struct.Struct("<4sIQI")  # 4.3.15
_END = struct.Struct("<4s4H2IH")  # 4.3.16


class Packed(NamedTuple):
    """A file's content as it is in the zip, with the checksum and size of the content itself."""

    method: int
    data: bytes
    crc: int
    size: int


class ZipStream:
    """One zip file; each method returns the bytes that come next in it.

    ``moment`` is the date of all files, without a time zone, as zip files have it.
    """

    def __init__(self, moment: datetime) -> None:
        self._date = max(0, moment.year - 1980) << 9 | moment.month << 5 | moment.day  # 4.4.6
        self._time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
        self._offset = 0
        self._listed: list[bytes] = []
        self._begun: tuple[bytes, int] = (b"", 0)  # the file between `begin` and `end`
        self._deflate = Deflating()

    def add(self, name: str, content: bytes) -> bytes:
        """Add a file whose content is at hand."""
        return self.add_packed(name, pack(content))

    def add_packed(self, name: str, packed: Packed) -> bytes:
        """Add a file that is packed already."""
        encoded = name.encode()
        head = self._head(encoded, 0, packed.method, packed.crc, len(packed.data), packed.size)
        self._list(encoded, 0, packed, len(packed.data), self._offset)
        return self._count(head + encoded + packed.data)

    def begin(self, name: str) -> bytes:
        """Begin a file that comes in pieces, each given to `more`; then call `end`."""
        encoded = name.encode()
        self._begun = (encoded, self._offset)
        self._deflate = Deflating()
        return self._count(self._head(encoded, _SIZES_FOLLOW, _DEFLATED, 0, 0, 0) + encoded)

    def more(self, piece: bytes) -> bytes:
        """Add a piece of the content of the file that was begun."""
        return self._count(self._deflate.add(piece))

    def end(self) -> bytes:
        """End the file that was begun."""
        packed_size, rest = self._deflate.size_with_end()
        encoded, offset = self._begun
        deflate = self._deflate
        self._list(
            encoded, _SIZES_FOLLOW, Packed(_DEFLATED, b"", deflate.crc, deflate.size),
            packed_size, offset,
        )  # fmt: skip
        sizes = _FOLLOWING.pack(b"PK\x07\x08", deflate.crc, packed_size, deflate.size)
        return self._count(rest + sizes)

    def finish(self) -> Iterator[bytes]:
        """End the zip file with the list of its files, in pieces."""
        count, start = len(self._listed), self._offset
        for begin in range(0, count, _LINES_AT_ONCE):
            yield self._count(b"".join(self._listed[begin : begin + _LINES_AT_ONCE]))
        size = self._offset - start
        if count >= _FULL_COUNT or start >= _FULL or size >= _FULL:
            yield _ZIP64_END.pack(
                b"PK\x06\x06", _ZIP64_END.size - 12, _MADE_BY_UNIX, _NEEDS_ZIP64, 0, 0,
                count, count, size, start,
            ) + _ZIP64_PLACE.pack(b"PK\x06\x07", 0, start + size, 1)  # fmt: skip
        shown = min(count, _FULL_COUNT)
        yield _END.pack(b"PK\x05\x06", 0, 0, shown, shown, min(size, _FULL), min(start, _FULL), 0)

    # --- inside ---

    def _count(self, piece: bytes) -> bytes:
        self._offset += len(piece)
        return piece

    def _head(
        self, name: bytes, flags: int, method: int, crc: int, packed_size: int, size: int
    ) -> bytes:
        return _LOCAL.pack(
            b"PK\x03\x04", _NEEDS, _UTF_8 | flags, method, self._time, self._date,
            crc, packed_size, size, len(name), 0,
        )  # fmt: skip

    def _list(self, name: bytes, flags: int, packed: Packed, packed_size: int, at: int) -> None:
        extra = struct.pack("<2HQ", 1, 8, at) if at >= _FULL else b""  # 4.5.3
        needs = _NEEDS_ZIP64 if extra else _NEEDS
        line = _LISTED.pack(
            b"PK\x01\x02", _MADE_BY_UNIX, needs, _UTF_8 | flags, packed.method, self._time,
            self._date, packed.crc, packed_size, packed.size, len(name), len(extra), 0, 0, 0,
            _PLAIN_FILE, min(at, _FULL),
        )  # fmt: skip
        self._listed.append(line + name + extra)


class Deflating:
    """Content that is deflated piece by piece, with its checksum and its sizes."""

    __slots__ = ("_packed_size", "_stream", "crc", "size")

    def __init__(self) -> None:
        self._stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._packed_size = 0
        self.crc = 0
        self.size = 0

    def add(self, piece: bytes) -> bytes:
        """Add a piece; return the deflated bytes that are ready."""
        self.crc = zlib.crc32(piece, self.crc)
        self.size += len(piece)
        ready = self._stream.compress(piece)
        self._packed_size += len(ready)
        return ready

    def size_with_end(self) -> tuple[int, bytes]:
        """End the content; return the size of all deflated bytes, and the last of them."""
        rest = self._stream.flush()
        self._packed_size += len(rest)
        return self._packed_size, rest


def pack(content: bytes) -> Packed:
    """Deflate content if that makes it smaller."""
    crc, size = zlib.crc32(content), len(content)
    if size >= _DEFLATE_BYTES_MIN:
        deflated = zlib.compress(content, wbits=-zlib.MAX_WBITS)
        if len(deflated) < size:
            return Packed(_DEFLATED, deflated, crc, size)
    return Packed(_STORED, content, crc, size)


def packed_whole(deflating: Deflating, data: bytes) -> Packed:
    """Return content that was deflated piece by piece, ``data`` being all deflated bytes."""
    return Packed(_DEFLATED, data, deflating.crc, deflating.size)
