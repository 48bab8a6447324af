"""The Range header: RFC 9110, 14."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to before ``end`` of a file."""

    first: int
    end: int

    def __len__(self) -> int:
        """Bytes in it."""
        return self.end - self.first


class UnsatisfiableError(ValueError):
    """The file has none of the bytes that were asked for."""


def wanted_range(header: str, size: int) -> ByteRange | None:
    """The part of a file of ``size`` bytes that a Range header asks for.

    None means the whole file: for several ranges at once, for another unit and for what cannot be
    read (14.2 permits it). Raise `UnsatisfiableError` where there is nothing to send.
    """
    match = _ONE_RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, suffix = (None if text is None else int(text) for text in match.groups())
    if suffix is not None:
        found = ByteRange(max(size - suffix, 0), size)
    else:
        assert first is not None, "one of the two forms matched"
        if last is not None and last < first:
            return None  # 14.1.1: not a range at all
        found = ByteRange(first, size if last is None else min(last + 1, size))
    if found.first >= found.end:
        raise UnsatisfiableError(header)
    return found
