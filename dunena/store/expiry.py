"""Which entry expires next: a heap of deadlines, tidied as it grows."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from dunena.store.entry import Entry

NEVER = 2**63
"""A deadline later than any, Unix ms."""

_STALE_SLACK = 64  # below this many dead deadlines a clean-up costs more than it frees


class Deadlines:
    """Entries by their expiry time.

    An entry that was replaced stays in the heap until its time comes or until the dead outnumber
    the living: taking it out at once would cost a search. Who asks for due entries therefore
    checks that each still stands in the store. ``next`` is the earliest deadline, Unix ms, which
    may belong to a dead entry; `NEVER` without any.
    """

    __slots__ = ("_count", "_heap", "_live", "next")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Entry]] = []
        self._count = 0  # breaks ties: entries have no order of their own
        self._live = 0
        self.next = NEVER

    def __len__(self) -> int:
        """Deadlines in the heap, dead ones included."""
        return len(self._heap)

    def add(self, entry: Entry) -> None:
        """Watch an entry that now stands in the store; nothing happens without an expiry."""
        if entry.expires_at is not None:
            self._count += 1
            self._live += 1
            heappush(self._heap, (entry.expires_at, self._count, entry))
            self._look()

    def discard(self, entry: Entry) -> None:
        """An entry no longer stands in the store; nothing happens without an expiry."""
        if entry.expires_at is not None:
            self._live -= 1

    def pop_due(self, now: int, count_max: int) -> list[Entry]:
        """Take out so many of the entries whose time has come, earliest first, dead ones included.

        Fewer only when there are no more.
        """
        due: list[Entry] = []
        while len(due) < count_max and self._heap and self._heap[0][0] <= now:
            due.append(heappop(self._heap)[2])
        self._look()
        return due

    def compact(self, is_standing: Callable[[Entry], bool]) -> None:
        """Keep only the entries that still stand in the store, once each."""
        self._heap = list(
            {id(item[2]): item for item in self._heap if is_standing(item[2])}.values()
        )
        heapify(self._heap)
        self._look()

    @property
    def is_stale(self) -> bool:
        """Whether dead deadlines outnumber the living by enough to be worth a clean-up."""
        return len(self._heap) > 2 * self._live + _STALE_SLACK

    def _look(self) -> None:
        self.next = self._heap[0][0] if self._heap else NEVER
