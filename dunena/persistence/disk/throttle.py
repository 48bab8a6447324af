"""How often something costly is done that is asked for again and again."""

PERIOD_SECONDS = 0.9
"""Between two times under constant demand: once a second, whatever the thread that does it adds.
After as long a rest, demand counts as new."""

FIRST_PAUSE_SECONDS = 0.02
PAUSE_GROWTH = 5
"""The first time comes at once; from then on each pause is longer than the one before, up to the
period, so that two changes by hand are both seen at once and a stream of them is not."""


class Pace:
    """Times in seconds of any clock that only goes forward."""

    __slots__ = ("_seconds", "until")

    def __init__(self) -> None:
        self._seconds = 0.0
        self.until = float("-inf")

    def is_rested(self, now: float) -> bool:
        """Whether the last time is so long ago that it does not count."""
        return self.until + PERIOD_SECONDS < now

    def done(self, now: float) -> None:
        """Note that the work was done: not again before ``until``."""
        if self.is_rested(now):
            self._seconds = FIRST_PAUSE_SECONDS
        else:
            self._seconds = min(self._seconds * PAUSE_GROWTH, PERIOD_SECONDS)
        self.until = now + self._seconds
