"""The clocks that tell the protocol how long ago a request was sent."""

import time

from dunena.client.requests import ClockTimes


def read_clocks() -> ClockTimes:
    """Return the time of a monotonic clock and the time of day, in seconds."""
    return time.monotonic(), time.time()
