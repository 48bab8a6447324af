"""The pause before the next attempt to connect."""

import random
from collections.abc import Callable

FIRST_SECONDS, SECONDS_MAX = 0.2, 5.0


class Backoff:
    """Pauses that double, each shortened at random so that clients do not reconnect all at once."""

    __slots__ = ("_failures", "_random")

    def __init__(self, random_share: Callable[[], float] = random.random) -> None:
        self._failures = 0
        self._random = random_share

    def next(self) -> float:
        """Return the seconds to wait until the next attempt, and double the next pause."""
        pause = min(FIRST_SECONDS * 2.0**self._failures, SECONDS_MAX)
        if pause < SECONDS_MAX:
            self._failures += 1
        return pause * (0.5 + self._random() / 2)

    def succeeded(self) -> None:
        """Reset the pause: the next failure counts as the first."""
        self._failures = 0
