"""How long to wait before the next try."""

import random
from collections.abc import Callable

FIRST_SECONDS, SECONDS_MAX = 0.2, 5.0


class Backoff:
    """Pauses that double, each shortened at random: many clients do not come in one moment."""

    __slots__ = ("_failures", "_random")

    def __init__(self, random_share: Callable[[], float] = random.random) -> None:
        self._failures = 0
        self._random = random_share

    def next(self) -> float:
        """Seconds until the next try."""
        pause = min(FIRST_SECONDS * 2.0**self._failures, SECONDS_MAX)
        if pause < SECONDS_MAX:
            self._failures += 1
        return pause * (0.5 + self._random() / 2)

    def succeeded(self) -> None:
        """The next failure is a first one."""
        self._failures = 0
