"""The server's time: Unix ms that go forward whatever somebody does to the wall clock.

Keys expire by it, so a key lives as long as its sender said. By the wall clock, one that is set
three days ahead ended every key with a shorter life at once, and one that is set back kept them for
days. Machines without a battery do so at every start: they begin at some old date, and are told the
right one a moment later.

The wall clock is read at the start and counted on from there, by the system's clock that only goes
forward and that goes on while the machine sleeps: who closes a laptop for the night finds no key of
yesterday. All times of a server come from this one clock, so that a reply's ``timestamp``, an
event's and an entry's ``expiresAt`` can be compared; after a step they differ from the wall clock
by it until the next start. To adopt the step instead, every deadline would have to be moved with
it, in memory, in the journal and on disk.

On disk it must be the wall clock, for a clock that only goes forward begins anew with the machine.
So a deadline is written down with the step that is known by then (``step_ms``): what remains of a
life is right by the wall clock at the moment of writing. What was written before a step stays.

Two clocks of one machine never run at quite the same pace. Such small differences are followed.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

DRIFT_MS_MAX = 100
"""Between two looks, a second apart, no clock drifts so far; services that keep the time set it
instead of slowing it down for more."""

_NS_PER_MS = 1_000_000


def _sleepless_ns() -> Callable[[], int]:
    if sys.platform == "linux":
        return partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)
    return time.monotonic_ns


sleepless_ns: Callable[[], int] = _sleepless_ns()
"""A clock that only goes forward, and does so while the machine sleeps, ns."""


class Clock:
    """A function that gives the time, Unix ms.

    ``step_ms`` is how far the wall clock was set ahead of it since the start (behind: negative), as
    of the last `look`. ``forward_ns`` only goes forward; it may stop while the machine sleeps, as
    Python's own does, which takes half the time to ask: every tick does.
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
        """Compare with the others, once a second; how far the wall clock was set since, ms."""
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
