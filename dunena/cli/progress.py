"""A bar that shows how far something is, where somebody looks."""

import time
from typing import Self

from dunena.desktop.terminal import overwrite

_SECONDS_BETWEEN = 0.1
_BAR_CHARS = 20


class ProgressLine:
    """Call it with how much is done; the line is gone at the end of the ``with``."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._next_at = 0.0

    def __call__(self, done: int) -> None:
        """Show that ``done`` of all is done, unless it was shown a moment ago."""
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
    """One line, short enough for any terminal."""
    share = min(1.0, done / total) if total else 1.0
    filled = round(share * _BAR_CHARS)
    return f"{what} [{'#' * filled}{'.' * (_BAR_CHARS - filled)}] {done:,} of {total:,}"
