"""Parsing the Range header (RFC 9110, 14)."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes of a file from ``first`` up to, but not including, ``end``."""

    first: int
    end: int

    def __len__(self) -> int:
        """Return the number of bytes in the range."""
        return self.end - self.first


class UnsatisfiableError(ValueError):
    """The file has none of the requested bytes."""


def wanted_range(header: str, size: int) -> ByteRange | None:
    """Return the part of a file of ``size`` bytes that a Range header requests.

    Return None for the whole file: if the header has several ranges or another unit, or cannot be
    parsed (14.2 permits to ignore it). Raise `UnsatisfiableError` if there is nothing to send.
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
            return None  # 14.1.1: not a valid range
        found = ByteRange(first, size if last is None else min(last + 1, size))
    if found.first >= found.end:
        raise UnsatisfiableError(header)
    return found
