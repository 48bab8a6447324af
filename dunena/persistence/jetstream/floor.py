"""From which place on the stream still says of every key that it was removed; no I/O.

Theory of operation. What says that a key is gone is kept for an hour. A node that loads knows the
removals that it finds, and has to know after which place none can be missing: a reader that comes
from there can go on. It follows from the age of what it finds, as all that comes after a message of
the last hour is of the last hour too. But a quiet stream has nothing of that age besides the
markers of nodes, of which only the newest are there. So each marker says what its node knows, which
has seen all removals: after which place all of them are younger than an hour. A CLEAR stays in the
stream, so that nobody need remember it.
"""

from collections import deque
from typing import Final

KNOWN_MS: Final = 55 * 60 * 1000
"""Age up to which a removal is certainly in the stream, some minutes less than `TOMBSTONE_S`: the
clocks of servers differ, and what a marker says may be as old as `CLAIM_MS`."""

CLAIM_MS: Final = 2 * 60 * 1000
"""How old what a marker says may be."""

STEP_MS: Final = 10_000
"""Removals within this time grow too old together."""


class Floor:
    """The place after which all removals are young, as this node knows them."""

    __slots__ = ("_place", "_steps")

    def __init__(self) -> None:
        self._place = 0
        self._steps: deque[tuple[int, int]] = deque()  # the time of the newest removal, its place

    def begin(self, place: int) -> None:
        """Learn that nothing is known of removals up to a place."""
        self._place = max(self._place, place)

    def replace(self, other: "Floor") -> None:
        """Take over what another one knows, and nothing else."""
        self._place, self._steps = other._place, other._steps

    def remove(self, place: int, timestamp: int) -> None:
        """Learn of a removal at a time (the log's, Unix ms)."""
        steps = self._steps
        if steps and timestamp // STEP_MS <= steps[-1][0] // STEP_MS:
            timestamp = max(timestamp, steps.pop()[0])
        steps.append((timestamp, place))

    def at(self, now: int) -> int:
        """Return the place at a time (the log's, Unix ms)."""
        steps = self._steps
        while steps and steps[0][0] < now - KNOWN_MS:
            self._place = max(self._place, steps.popleft()[1])
        return self._place


class YoungMessages:
    """Finds one of the first messages that are young, of all that are taken in their order."""

    __slots__ = ("_next", "_steps")

    def __init__(self) -> None:
        self._next = 0
        self._steps: deque[tuple[int, int]] = deque()  # time and place of the first of a step

    def take(self, place: int, timestamp: int) -> None:
        """Learn of a message, Unix ms."""
        if timestamp < self._next:
            return
        self._next = timestamp + STEP_MS
        steps = self._steps
        steps.append((timestamp, place))
        while steps[0][0] < timestamp - KNOWN_MS:
            steps.popleft()

    def first(self, now: int) -> int | None:
        """Return the place of the first one that is young at Unix ms; None if none is."""
        return next((place for time, place in self._steps if time >= now - KNOWN_MS), None)
