"""The server's time: Unix ms that always advance, even if the wall clock is set.

Keys expire by this clock, so that a key lives as long as its sender said. If they expired by the
wall clock, setting it three days ahead would end every key with a shorter life at once, and setting
it back would keep keys for days. Machines without a clock battery do this at every start: they
begin at some old date and get the right one a moment later.

The wall clock is read at the start. From then on the time advances by a monotonic clock that also
runs while the machine sleeps, so that keys expire during a laptop's night. All times of a server
come from this clock, so that the ``timestamp`` of replies and events and the ``expiresAt`` of
entries can be compared. After a step of the wall clock they differ from it by that step until the
next start. To adopt the step instead, every deadline would have to be changed, in memory, in the
journal and on disk.

Deadlines on disk are by the wall clock, as a monotonic clock restarts with the machine: a deadline
is written with the step known at that time (``step_ms``) added, so that the remaining life is right
by the wall clock at the time of writing. Deadlines written before a step stay as they are.

Two clocks of one machine drift apart slowly. The server's clock follows such small differences.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

DRIFT_MS_MAX = 100
"""Largest difference that counts as drift: no clock drifts so far between two comparisons, a second
apart; time services step the clock for more instead of slewing it."""

_NS_PER_MS = 1_000_000


def _sleepless_ns() -> Callable[[], int]:
    if sys.platform == "linux":
        return partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)
    return time.monotonic_ns


sleepless_ns: Callable[[], int] = _sleepless_ns()
"""A monotonic clock in ns that also runs while the machine sleeps."""


class Clock:
    """A callable that returns the time in Unix ms.

    ``step_ms`` is how far the wall clock was set ahead of this one since the start (negative:
    behind), as of the last `detect_step`. ``forward_ns`` is a monotonic clock that may stop while
    the machine sleeps, as Python's does: reading it takes half the time, and every tick reads it.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        forward_ns: Callable[[], int] = time.monotonic_ns,
        sleepless_ns: Callable[[], int] = sleepless_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._forward_ns = forward_ns
        self._sleepless_ns = sleepless_ns
        self._offset_ns = wall_ns() - forward_ns()
        self._slept_ns = sleepless_ns() - forward_ns()
        self.step_ms = 0

    def __call__(self) -> int:
        return (self._forward_ns() + self._offset_ns) // _NS_PER_MS

    def detect_step(self) -> int:
        """Compare with the other clocks, once a second; adjust to sleep and drift.

        Return how far the wall clock was set since the last call, in ms.
        """
        slept_ns = self._sleepless_ns() - self._forward_ns()
        self._offset_ns += slept_ns - self._slept_ns
        self._slept_ns = slept_ns
        own_ns = self._forward_ns() + self._offset_ns
        off_ns = self._wall_ns() - own_ns - self.step_ms * _NS_PER_MS
        if abs(off_ns) <= DRIFT_MS_MAX * _NS_PER_MS:
            self._offset_ns += off_ns
            return 0
        off_ms = off_ns // _NS_PER_MS
        self.step_ms += off_ms
        return off_ms
