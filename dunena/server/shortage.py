"""Refusals of connections for want of room: a warning once a minute, and a check of `/health`."""

import logging
import time
from collections.abc import Callable

PERIOD_SECONDS = 60.0
"""Time between two warnings, and after the last refusal until `Shortage.reason` is None again."""

_log = logging.getLogger(__name__)


class Shortage:
    """Says whether a server refuses connections because it can have no more of them.

    ``clock_seconds`` is a monotonic clock.
    """

    def __init__(self, clock_seconds: Callable[[], float] = time.monotonic) -> None:
        self._clock_seconds = clock_seconds
        self._reason = ""
        self._lasts_until = 0.0
        self._warns_at: dict[str, float] = {}

    @property
    def reason(self) -> str | None:
        """Why a connection was refused in the last minute; None if none was."""
        return self._reason if self._clock_seconds() < self._lasts_until else None

    def tell(self, reason: str, remedy: str) -> None:
        """Report one refusal; log it, unless that was done for this reason a moment ago."""
        now = self._clock_seconds()
        self._reason, self._lasts_until = reason, now + PERIOD_SECONDS
        if now >= self._warns_at.get(reason, now):
            self._warns_at[reason] = now + PERIOD_SECONDS
            _log.warning("%s; %s", reason, remedy)
