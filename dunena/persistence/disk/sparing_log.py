"""A limit on warnings that others can cause any number of times, so that they cannot fill a log."""

import logging

LINES_MAX = 20
PERIOD_SECONDS = 60.0
"""Lines in a period: as many as people read; of further ones only the number is logged."""


class SparingLog:
    """Logs at most `LINES_MAX` warnings in a period, and afterwards how many were left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._until = 0.0
        self._count = 0

    def warn(self, text: str, now: float) -> None:
        """Log a line, or count it; ``now`` is in seconds of any monotonic clock."""
        if now >= self._until:
            if self._count > LINES_MAX:
                self._log.warning("%d more warnings were left out", self._count - LINES_MAX)
            self._until, self._count = now + PERIOD_SECONDS, 0
        self._count += 1
        if self._count <= LINES_MAX:
            self._log.warning("%s", text)
        if self._count == LINES_MAX:
            self._log.warning("more of these are left out for a minute; /health has them")
