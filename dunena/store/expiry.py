"""The deadlines of entries: a heap from which stale ones are removed as it grows."""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from dunena.store.entry import Entry

NEVER: Final = 2**61
"""A deadline later than any other, Unix ms: far after `EXPIRES_AT_MS_MAX`, and small enough that
compiled code compares it without making an object."""

_STALE_SLACK = 64  # with fewer stale deadlines, removing them costs more than it frees


class Deadlines:
    """Entries ordered by their expiry time.

    A replaced or deleted entry stays in the heap as a stale one until its time comes or until more
    entries are stale than not: removing it at once would need a search. So the caller of `pop_due`
    has to check that each entry is still in the store. ``next`` is the earliest deadline in Unix
    ms, which may be that of a stale entry; `NEVER` if there is none.
    """

    __slots__ = ("_count", "_heap", "_live", "next")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Entry]] = []
        self._count = 0  # breaks ties: entries cannot be compared
        self._live = 0
        self.next = NEVER

    def __len__(self) -> int:
        """Return the number of deadlines in the heap, stale ones included."""
        return len(self._heap)

    def add(self, entry: Entry) -> None:
        """Add an entry that is now in the store; do nothing if it has no expiry."""
        if entry.expires_at is not None:
            self._count += 1
            self._live += 1
            heappush(self._heap, (entry.expires_at, self._count, entry))
            self._look()

    def discard(self, entry: Entry) -> None:
        """Count an entry that left the store as stale; do nothing if it has no expiry."""
        if entry.expires_at is not None:
            self._live -= 1

    def pop_due(self, now: int, count_max: int) -> list[Entry]:
        """Remove and return due entries, earliest first, stale ones included.

        ``now`` is in Unix ms. Fewer than ``count_max`` are returned only if no more are due.
        """
        due: list[Entry] = []
        while len(due) < count_max and self._heap and self._heap[0][0] <= now:
            due.append(heappop(self._heap)[2])
        self._look()
        return due

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Put back what `pop_due` returned and the caller has not dealt with."""
        for entry in entries:
            if entry.expires_at is not None:
                self._count += 1
                heappush(self._heap, (entry.expires_at, self._count, entry))
        self._look()

    def compact(self, is_standing: Callable[[Entry], bool]) -> None:
        """Remove stale and repeated entries; ``is_standing`` says whether one is in the store."""
        self._heap = list(
            {id(item[2]): item for item in self._heap if is_standing(item[2])}.values()
        )
        heapify(self._heap)
        self._look()

    @property
    def is_stale(self) -> bool:
        """Whether there are so many stale deadlines that `compact` is worth its cost."""
        return len(self._heap) > 2 * self._live + _STALE_SLACK

    def _look(self) -> None:
        self.next = self._heap[0][0] if self._heap else NEVER
