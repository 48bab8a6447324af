"""The time of the log, which is that of the servers; no I/O."""

from typing import Final

WINDOW_S: Final = 30.0
"""How long the quickest delivery counts: a new leader's clock may be behind the one before."""


class LogClock:
    """Estimates the log's time from the times of messages.

    A message is delivered some time after it was stored, so the log's time is at least that of the
    message, and the quickest delivery is nearest to it. The estimate is never ahead of the leader's
    clock, except for a while after another leader took over, and never goes back.
    """

    __slots__ = ("_last", "_newest", "_offset", "_offset_before", "_window_end_s")

    def __init__(self) -> None:
        self._last = 0
        self._newest = 0
        self._offset: float | None = None  # the log's time less the own one, in ms
        self._offset_before: float | None = None
        self._window_end_s = 0.0

    @property
    def newest(self) -> int:
        """The latest time that a message had, Unix ms; 0 before the first."""
        return self._newest

    def take(self, timestamp: int, now_s: float) -> None:
        """Learn that a message of this time (Unix ms) was received now."""
        self._newest = max(self._newest, timestamp)
        offset = timestamp - now_s * 1000  # not rounded: it would be up to 1 ms ahead
        if now_s >= self._window_end_s:
            self._offset_before = self._offset
            self._offset = offset
            self._window_end_s = now_s + WINDOW_S
        elif self._offset is None or offset > self._offset:
            self._offset = offset

    def now(self, now_s: float) -> int:
        """Return the log's time in Unix ms; 0 before the first message."""
        if self._offset is None:
            return self._last
        offset = self._offset
        if self._offset_before is not None:
            offset = max(offset, self._offset_before)
        self._last = max(self._last, self._newest, int(now_s * 1000 + offset))
        return self._last
