"""What changed since a revision: the entries in the order of their revisions, and removals.

Theory of operation. Every entry carries the revision at which it was stored. If the entries are
kept in the order of their revisions, those that changed since a revision are the last ones, and
walking back from the end finds them without looking at the others. An entry that was removed is not
there any more, so removals are remembered separately: the newest `REMOVALS_MAX`. A position that is
older than the oldest of them (the *floor*) cannot be continued.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from dunena.store.entry import BY_REVISION, Change, ChangeKind, Entry
from dunena.store.limits import REMOVALS_MAX


class Removal(NamedTuple):
    """The removal of an entry: its revision, what was removed, and how."""

    revision: int
    ns: str
    key: str
    kind: ChangeKind


class Difference(NamedTuple):
    """The net difference between a position and now: each key is in one of the two at most.

    ``entries`` are in the order of their revisions; ``removals`` are of keys that have no entry.
    """

    entries: list[Entry]
    removals: list[Removal]


class Positions:
    """The entries of a store in the order of their revisions, and the newest removals.

    ``floor`` is the oldest revision from which a reader can continue.
    """

    __slots__ = ("_is_ordered", "_order", "_removals", "floor")

    def __init__(self) -> None:
        self._order: dict[Entry, None] = {}
        self._is_ordered = True
        self._removals: deque[Removal] = deque()
        self.floor = 0

    # --- following the store ---

    def load(self, entries: Iterable[Entry], floor: int, removals: Iterable[Removal] = ()) -> None:
        """Begin anew with entries and all removals after the floor, in their order."""
        self._order = dict.fromkeys(entries)
        self._is_ordered = True
        self._removals.clear()
        self.floor = floor
        for removal in removals:
            self.remember(removal)

    def put(self, entry: Entry, replaced: Entry | None) -> None:
        """Take a new entry in, the newest of all, and the one it replaces out."""
        order = self._order
        if replaced is not None:
            del order[replaced]
        order[entry] = None

    def remove(self, change: Change, entry: Entry) -> None:
        """Take out an entry that the change removed, and remember the removal."""
        del self._order[entry]
        removals = self._removals
        removals.append(Removal(change.revision, change.ns, change.key, change.kind))
        if len(removals) > REMOVALS_MAX:
            self.floor = removals.popleft().revision

    def remember(self, removal: Removal) -> None:
        """Remember a removal of what never stood here: a reader who comes from elsewhere has it."""
        removals = self._removals
        removals.append(removal)
        if len(removals) > REMOVALS_MAX:
            self.floor = removals.popleft().revision

    def disorder(self) -> None:
        """Learn that the newest changes may have come in another order than their revisions."""
        self._is_ordered = False
        self._removals = deque(sorted(self._removals, key=BY_REVISION))

    def clear(self, revision: int) -> None:
        """Take out everything: a position before ``revision`` cannot be continued."""
        self._order = {}
        self._is_ordered = True
        self._removals.clear()
        self.floor = revision

    def undo(self, change: Change) -> None:
        """Take back the newest change.

        What a clear removed, and removals that were forgotten, do not come back. The present state
        can be continued all the same: the floor is never above it.
        """
        self.floor = min(self.floor, change.revision - 1)
        if change.entry is not None:
            del self._order[change.entry]
        elif change.cleared is None and self._removals:
            self._removals.pop()
        if change.cleared is not None:
            for keys in change.cleared.values():
                self._order.update(dict.fromkeys(keys.values()))
            self._is_ordered = False
        elif change.replaced is not None:
            self._order[change.replaced] = None
            self._is_ordered = False

    # --- reading ---

    def since(self, revision: int) -> Difference | None:
        """Return what differs from the state at ``revision``; None if it cannot be told.

        Costs what it returns, and the removals that are remembered.
        """
        if revision < self.floor:
            return None
        self._put_in_order()
        entries: list[Entry] = []
        for entry in reversed(self._order):
            if entry.revision <= revision:
                break
            entries.append(entry)
        entries.reverse()
        newest: dict[tuple[str, str], Removal] = {}
        for removal in reversed(self._removals):
            if removal.revision <= revision:
                break
            newest.setdefault((removal.ns, removal.key), removal)
        if newest:
            for entry in entries:
                newest.pop((entry.ns, entry.key), None)
        return Difference(entries, sorted(newest.values(), key=BY_REVISION))

    @property
    def forgotten_soon(self) -> int:
        """A position before which readers should be told a newer one, 0 for none.

        It is that of a removal after which half as many followed as are remembered.
        """
        half = REMOVALS_MAX // 2
        return self._removals[-half].revision if len(self._removals) > half else 0

    def _put_in_order(self) -> None:
        """Sort the entries if changes were undone: those that came back stand at the end."""
        if not self._is_ordered:
            self._order = dict.fromkeys(sorted(self._order, key=BY_REVISION))
            self._is_ordered = True
