"""The server's clock, as far as the client can know it."""

from collections import deque
from typing import NamedTuple

SAMPLES_MAX = 8
"""Pings that are compared: the one with the shortest way there and back says the most."""


class _Sample(NamedTuple):
    """The clock of the server minus the own one, in ms; it may be wrong by ``error``."""

    offset: float
    error: float


class ServerClock:
    """Tells the time of the server's clock by the own monotonic one."""

    __slots__ = ("_best", "_samples")

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES_MAX)
        self._best: _Sample | None = None

    def begin(self) -> None:
        """Begin anew with the next pong: a new connection may lead to another server."""
        self._samples.clear()

    def note(self, timestamp: int, sent_at: float, received_at: float) -> None:
        """Take in a pong with the server's Unix ms; the other times are seconds of the own clock.

        Samples that contradict it are dropped: then one of the clocks was set.
        """
        round_trip = max(0.0, received_at - sent_at) * 1000
        # The timestamp is rounded down to a whole ms.
        error = round_trip / 2 + 1
        new = _Sample(timestamp + round_trip / 2 - received_at * 1000, error)
        if any(abs(old.offset - new.offset) > old.error + new.error for old in self._samples):
            self._samples.clear()
        self._samples.append(new)
        self._best = min(self._samples, key=lambda sample: sample.error)

    def time(self, now: float) -> float | None:
        """Return the Unix ms of the server's clock at ``now``; None before the first pong."""
        return None if self._best is None else now * 1000 + self._best.offset
