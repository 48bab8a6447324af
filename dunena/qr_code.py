"""QR codes of short texts, as a picture and as lines for a terminal; no I/O.

`segno` is imported when the first one is made. Of it only the bits are used: its own pictures need
the standard library's XML, which the executable does without.
"""

from collections.abc import Sequence
from itertools import groupby

TEXT_BYTES_MAX = 500
"""A text of a QR code, in bytes of UTF-8: longer than addresses are. The more it has, the closer a
phone must come to read it."""

BORDER_MODULES = 4
"""The quiet zone around a code, which ISO/IEC 18004 demands, in modules, its smallest squares."""

_ERROR_CORRECTION = "m"  # 15 %: for a screen that reflects
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}

Rows = Sequence[Sequence[int]]


class TextTooLongError(ValueError):
    """The text has more than `TEXT_BYTES_MAX` bytes."""


def qr_svg(text: str) -> bytes:
    """Return a QR code as an SVG without a size of its own: dark on white, whatever the theme.

    Raise `TextTooLongError`.
    """
    rows = _rows_of(text)
    size = len(rows)
    path = "".join(
        f"M{x} {y}h{width}v1h-{width}z"
        for y, row in enumerate(rows)
        for x, width in _dark_runs(row)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}"'
        f' shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{size}v{size}H0z"/>'
        f'<path fill="#000" d="{path}"/></svg>'
    ).encode()


def qr_lines(text: str) -> list[str]:
    """Return a QR code as lines of half blocks: two rows of modules a line, dark modules drawn.

    They are to be shown black on white. Raise `TextTooLongError`.
    """
    rows = _rows_of(text)
    empty = [0] * len(rows)
    upper, lower = rows[::2], [*rows[1::2], empty]
    pairs = (zip(*two, strict=True) for two in zip(upper, lower, strict=False))
    return ["".join([_HALVES[pair] for pair in pair_row]) for pair_row in pairs]


def _rows_of(text: str) -> list[list[int]]:
    """Return the modules, 1 for dark, with the quiet zone around them."""
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise TextTooLongError(f"The text has more than {TEXT_BYTES_MAX} bytes")
    import segno

    code = segno.make(text, error=_ERROR_CORRECTION, micro=False)
    return [list(row) for row in code.matrix_iter(border=BORDER_MODULES)]


def _dark_runs(row: Sequence[int]) -> list[tuple[int, int]]:
    """Return where runs of dark modules begin in a row, and how long they are."""
    runs, x = [], 0
    for is_dark, group in groupby(row):
        width = len(list(group))
        if is_dark:
            runs.append((x, width))
        x += width
    return runs
