"""Limiting how often costly work is done that is requested again and again."""

from dunena.store.compiler_hints import mypyc_attr

PERIOD_SECONDS = 0.9
"""Pause under constant demand: the work is done about once a second. After a rest of this time the
pauses begin anew."""

FIRST_PAUSE_SECONDS = 0.02
PAUSE_GROWTH = 5
"""The first pause; each further one is longer, up to the period. So two changes by hand are both
written at once, and a stream of changes is not."""


@mypyc_attr(acyclic=True)
class Pace:
    """The pauses for one piece of work; times are in seconds of any monotonic clock.

    The work should not be done before ``until``.
    """

    __slots__ = ("_seconds", "until")

    def __init__(self) -> None:
        self._seconds = 0.0
        self.until = float("-inf")

    def is_rested(self, now: float) -> bool:
        """Return whether the work was last done so long ago that pauses begin anew."""
        return self.until + PERIOD_SECONDS < now

    def done(self, now: float) -> None:
        """Record that the work was done, and set ``until`` by the next pause."""
        if self.is_rested(now):
            self._seconds = FIRST_PAUSE_SECONDS
        else:
            self._seconds = min(self._seconds * PAUSE_GROWTH, PERIOD_SECONDS)
        self.until = now + self._seconds
