"""What a person sees while a large folder is read."""

import logging
import time
from typing import Self

from dunena.desktop.terminal import overwrite

QUIET_SECONDS = 1.0
"""A start that takes no longer needs no word."""

LINE_SECONDS, LOG_SECONDS = 0.1, 10.0
"""Between two words on a terminal, and in a log."""

_log = logging.getLogger(__name__)


class LoadingProgress:
    """Call it with the number of keys read so far; the line is gone at the end of the `with`."""

    def __init__(self) -> None:
        self._next_at = time.monotonic() + QUIET_SECONDS
        self._is_shown = False

    def __call__(self, count: int) -> None:
        """So many keys were read."""
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
