"""When what is done once a second is done next: together, so that an idle server wakes once."""

import math
from typing import Final

_LEAST: Final = 0.5  # a timer may come a little early, and must not come twice for one second


def seconds_to_next(now_seconds: float) -> float:
    """Return how long to wait, from a time of the loop's clock on, until a whole second of it.

    That is between half a second and one and a half. All timers that use it come due together.
    """
    wait = math.floor(now_seconds) + 1 - now_seconds
    return wait if wait >= _LEAST else wait + 1
