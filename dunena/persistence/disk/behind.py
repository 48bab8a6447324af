"""Which files are behind: what each is to show, since which change, and when it is due.

There may be very many of them, as after an import, so each takes little memory. Nearly all come in
the order of their changes and are due in that order: these wait in a queue. The others (keys whose
file was written a moment ago, files that could not be written) are in a heap.
"""

from collections import deque
from heapq import heappop, heappush
from typing import Final

from dunena.persistence.disk.first_lacking import FirstLacking
from dunena.store.compiler_hints import mypyc_attr
from dunena.store.entry import Change, Entry, EntryId, SetChange

Shown = Entry | Change
"""What a file is to show: the entry of a usual set, which the store has anyway, or a change."""

_OVER: Final = 0
"""The ``since`` of a file that is not behind any more."""


def shown_by(change: Change) -> Shown:
    """Return what a file is to show after a change of its key."""
    entry = change.entry
    is_usual = isinstance(change, SetChange) and not change.from_disk
    return entry if is_usual and entry is not None else change


def change_of(shown: Shown) -> Change:
    """Return the change after which a file is to show this."""
    return SetChange(shown, None) if isinstance(shown, Entry) else shown


def entry_of(shown: Shown) -> Entry | None:
    """Return the entry that a file is to show; None for no file."""
    return shown if isinstance(shown, Entry) else shown.entry


@mypyc_attr(acyclic=True)
class _Behind:
    """A file that is behind: ``since`` is the first revision that it lacks, ``due`` in seconds."""

    __slots__ = ("due", "shown", "since")

    def __init__(self, shown: Shown, since: int, due: float) -> None:
        self.shown = shown
        self.since = since
        self.due = due


class BehindFiles:
    """The files that are behind, by key; all times are monotonic seconds. A lock guards it."""

    __slots__ = ("_by_ns", "_count", "_held_until", "_lacking", "_queue", "_waiting", "count")

    def __init__(self) -> None:
        self._by_ns: dict[str, dict[str, _Behind]] = {}
        self.count = 0
        self._queue: deque[_Behind] = deque()  # in the order of what they lack
        self._held_until = float("-inf")  # none of the queue is due before
        self._waiting: list[tuple[float, int, _Behind]] = []  # a heap
        self._count = 0  # of those that ever were in it: they cannot be compared
        self._lacking = FirstLacking()  # of those that are not in the queue

    def shown(self, entry_id: EntryId) -> Shown | None:
        """Return what a key's file is to show; None if it is not behind."""
        behind = self._find(entry_id[0], entry_id[1])
        return None if behind is None else behind.shown

    def items(self) -> list[tuple[EntryId, Shown]]:
        """Return all keys whose file is behind, and what it is to show."""
        return [
            ((ns, key), behind.shown)
            for ns, keys in self._by_ns.items()
            for key, behind in keys.items()
        ]

    @property
    def first(self) -> int | None:
        """The first revision that any file lacks; None if none is behind."""
        first = self._lacking.first
        while self._queue and self._queue[0].since == _OVER:
            self._queue.popleft()
        if not self._queue:
            return first
        since = self._queue[0].since
        return since if first is None else min(first, since)

    @property
    def first_queued(self) -> int | None:
        """The first revision that a file of the queue lacks; None if there is none."""
        return self._queue[0].since if self._queue else None

    # --- changing ---

    def replace(self, ns: str, key: str, shown: Shown) -> bool:
        """Let a file that is behind show this; return False if it is not behind."""
        behind = self._find(ns, key)
        if behind is None:
            return False
        behind.shown = shown
        return True

    def queue(self, ns: str, key: str, shown: Shown, since: int, now: float) -> None:
        """Add a file that is not behind yet and is due now; no queued one lacks a later change."""
        self._queue.append(self._add(ns, key, shown, since, now))

    def wait(self, ns: str, key: str, shown: Shown, since: int, due: float) -> None:
        """Add a file that is not behind yet."""
        self._lacking.set((ns, key), since)
        self._push(self._add(ns, key, shown, since, due))

    def postpone(self, entry_id: EntryId, due: float) -> None:
        """Let a file that was taken be due again, if it is still behind."""
        behind = self._find(entry_id[0], entry_id[1])
        if behind is not None:
            behind.due = due
            self._push(behind)

    def hold_queue(self, until: float) -> None:
        """Let no file of the queue be due before a time."""
        self._held_until = until

    def done(self, entry_id: EntryId, shown: Shown, rests_until: float) -> None:
        """Record what a file shows now; if it is not the latest, it is due after its rest."""
        ns, key = entry_id
        behind = self._find(ns, key)
        if behind is None:
            return
        if behind.shown is not shown:  # the key has changed meanwhile
            behind.since = shown.revision + 1
            behind.due = rests_until
            self._lacking.set(entry_id, behind.since)
            self._push(behind)
            return
        behind.since = _OVER
        self._lacking.remove(entry_id)
        self.count -= 1
        keys = self._by_ns[ns]
        del keys[key]
        if not keys:
            del self._by_ns[ns]

    # --- taking ---

    def take_due(self, now: float, count_max: int) -> list[tuple[EntryId, Shown]]:
        """Take at most so many files that are due, the earliest first; `done` must follow for each,
        or `postpone`."""
        taken: list[tuple[EntryId, Shown]] = []
        while len(taken) < count_max:
            behind = self._next_due(now)
            if behind is None:
                break
            if behind.since != _OVER:
                entry_id = _id_of(behind.shown)
                self._lacking.set(entry_id, behind.since)
                taken.append((entry_id, behind.shown))
        return taken

    @property
    def next_due(self) -> float | None:
        """The time at which the next file is due; None without one."""
        due = self._waiting[0][0] if self._waiting else None
        if not self._queue:
            return due
        queued = max(self._queue[0].due, self._held_until)
        return queued if due is None else min(due, queued)

    # --- inside ---

    def _find(self, ns: str, key: str) -> _Behind | None:
        keys = self._by_ns.get(ns)
        return None if keys is None else keys.get(key)

    def _add(self, ns: str, key: str, shown: Shown, since: int, due: float) -> _Behind:
        keys = self._by_ns.get(ns)
        if keys is None:
            keys = self._by_ns[ns] = {}
        behind = keys[key] = _Behind(shown, since, due)
        self.count += 1
        return behind

    def _push(self, behind: _Behind) -> None:
        self._count += 1
        heappush(self._waiting, (behind.due, self._count, behind))

    def _next_due(self, now: float) -> _Behind | None:
        """Take out the next file that is due, which may be over; None if none is due."""
        queue, waiting = self._queue, self._waiting
        may_queue = bool(queue) and self._held_until <= now and queue[0].due <= now
        if waiting and waiting[0][0] <= now and not (may_queue and queue[0].due < waiting[0][0]):
            return heappop(waiting)[2]
        return queue.popleft() if may_queue else None


def _id_of(shown: Shown) -> EntryId:
    return shown.ns, shown.key
