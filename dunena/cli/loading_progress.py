"""The line that shows how many keys were read while a server starts."""

import logging
import time
from typing import Self

from dunena.desktop.terminal import overwrite

QUIET_SECONDS = 1.0
"""Time before the first line: a shorter start prints none."""

LINE_SECONDS, LOG_SECONDS = 0.1, 10.0
"""Time between two lines on a terminal, and in a log."""

_log = logging.getLogger(__name__)


class LoadingProgress:
    """A callable for the number of keys read so far; the end of its `with` clears the line."""

    def __init__(self) -> None:
        self._next_at = time.monotonic() + QUIET_SECONDS
        self._is_shown = False

    def __call__(self, count: int) -> None:
        """Show that ``count`` keys were read, unless a line was shown a moment ago."""
        now = time.monotonic()
        if now < self._next_at:
            return
        text = f"Reading values: {count:,} keys"
        self._is_shown = overwrite(text)
        if not self._is_shown:
            _log.info("%s", text)
        self._next_at = now + (LINE_SECONDS if self._is_shown else LOG_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            overwrite("")
