"""A bar that shows on a terminal how much of a task is done."""

import time
from typing import Self

from dunena.desktop.terminal import overwrite

_SECONDS_BETWEEN = 0.1
_BAR_CHARS = 20


class ProgressLine:
    """A callable for the amount done; the end of its ``with`` clears the line."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._next_at = 0.0

    def __call__(self, done: int) -> None:
        """Show the bar for ``done`` of the total, unless it was shown a moment ago."""
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + _SECONDS_BETWEEN
            overwrite(bar(self._what, done, self._total))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._next_at:
            overwrite("")


def bar(what: str, done: int, total: int) -> str:
    """Make the bar's line, which fits a terminal of 80 columns."""
    share = min(1.0, done / total) if total else 1.0
    filled = round(share * _BAR_CHARS)
    return f"{what} [{'#' * filled}{'.' * (_BAR_CHARS - filled)}] {done:,} of {total:,}"
