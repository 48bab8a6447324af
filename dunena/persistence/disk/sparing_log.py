"""Warnings that other hands can cause as often as they like, so that no log is filled by them."""

import logging

LINES_MAX = 20
PERIOD_SECONDS = 60.0
"""So many lines in so long are read by people; of more of them the number is enough."""


class SparingLog:
    """Warns at most `LINES_MAX` times in a period, and then says how many were left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._until = 0.0
        self._count = 0

    def warn(self, text: str, now: float) -> None:
        """Log a line, or count it; ``now`` in seconds of any clock that only goes forward."""
        if now >= self._until:
            if self._count > LINES_MAX:
                self._log.warning("%d more warnings were left out", self._count - LINES_MAX)
            self._until, self._count = now + PERIOD_SECONDS, 0
        self._count += 1
        if self._count <= LINES_MAX:
            self._log.warning("%s", text)
        if self._count == LINES_MAX:
            self._log.warning("more of these are left out for a minute; /health has them")
