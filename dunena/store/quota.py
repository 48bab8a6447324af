"""The quota of a store with limits, and the choice of entries to evict.

The size of an entry is that of its key, its value and its ``then`` as UTF-8, which its owner can
compute. In memory an entry takes some 250 bytes more, and the size of its value again while its
update is cached.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dunena.store.entry import Entry, EntryId
from dunena.store.limits import Eviction, Limits

Write = tuple[str, bytes]
"""A key and the encoded value to store under it."""

Outcome = Mapping[EntryId, int | None]
"""The size of the entry that each key has in the end, None to be removed."""


class NetGrowth(NamedTuple):
    """How many more entries and bytes a store has with an outcome; fewer if negative.

    ``adds``: there is an entry that was not there. ``grows``: an entry is larger than it was.
    """

    entries: int
    bytes: int
    adds: bool
    grows: bool


class Quota:
    """Counts the entries and bytes of a store and compares them with its limits.

    Methods for one entry take constant time. ``evictions`` counts evicted entries, ``refusals``
    entries that were refused because the store is full.
    """

    __slots__ = ("_limits", "_order", "bytes", "entries", "evictions", "refusals")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Least recently used first; None if the store does not evict.
        self._order: OrderedDict[Entry, None] | None = (
            OrderedDict() if limits.eviction is Eviction.LRU else None
        )
        self.entries = 0
        self.bytes = 0
        self.evictions = 0
        self.refusals = 0

    @property
    def evicts(self) -> bool:
        """Whether a full store evicts entries."""
        return self._order is not None

    def put(self, entry: Entry, replaced: Entry | None) -> None:
        """Count a new entry, and no longer the one that it replaces."""
        if replaced is not None:
            self.remove(replaced)
        self.entries += 1
        self.bytes += size_of(entry.key, entry.value, entry.then)
        if self._order is not None:
            self._order[entry] = None

    def remove(self, entry: Entry) -> None:
        """Stop counting an entry that was removed from the store."""
        self.entries -= 1
        self.bytes -= size_of(entry.key, entry.value, entry.then)
        if self._order is not None:
            del self._order[entry]

    def use(self, entry: Entry) -> None:
        """Mark an entry as the most recently used: it was read or is about to be replaced."""
        if self._order is not None:
            self._order.move_to_end(entry)

    def clear(self) -> None:
        """Stop counting all entries: the store was cleared."""
        self.entries = self.bytes = 0
        if self._order is not None:
            self._order.clear()

    def eviction_candidate(self) -> Entry | None:
        """Return the least recently used entry; None if the store does not evict or is empty."""
        return next(iter(self._order), None) if self._order else None

    @property
    def excess(self) -> str | None:
        """Return which limit is exceeded now, as an error text; None if none is."""
        return self._over(self.entries, self.bytes)

    def shortage(self, entries: int, size: int) -> str | None:
        """Return why so many more entries and bytes do not fit, as an error text; None if they do.

        A figure that does not grow is not checked: a store that was over its limits when it was
        loaded may shrink step by step.
        """
        return self._over(
            self.entries + entries if entries > 0 else 0, self.bytes + size if size > 0 else 0
        )

    def shortage_of_outcome(self, growth: "NetGrowth") -> str | None:
        """Return why the store has no room for a transaction, as an error text; None if it has.

        One that adds an entry, or lets a value grow, has to fit in the end even if the whole
        shrinks: a store that was over its limits when it was loaded takes none of these.
        """
        return self._over(
            self.entries + growth.entries if growth.adds else 0,
            self.bytes + growth.bytes if growth.grows else 0,
        )

    def can_never_fit(self, writes: Sequence[Write]) -> str | None:
        """Return why these writes do not fit an empty store, as an error text; None if they do."""
        sizes: dict[str, int] = {}
        for key, value in writes:
            sizes[key] = max(sizes.get(key, 0), size_of(key, value))
        return self._over(len(sizes), sum(sizes.values()))

    def can_never_hold(self, entries: int, size: int) -> str | None:
        """Return why so many entries and bytes do not fit an empty store; None if they do."""
        return self._over(entries, size)

    def _over(self, entries: int, size: int) -> str | None:
        limits = self._limits
        if limits.entries_max and entries > limits.entries_max:
            return f"store is full (max {limits.entries_max} entries)"
        if limits.memory_bytes_max and size > limits.memory_bytes_max:
            return f"store is full (max {limits.memory_bytes_max} bytes)"
        return None


def quota_of(limits: Limits) -> Quota | None:
    """Make the quota for limits; None if they do not limit entries and memory."""
    return Quota(limits) if limits.entries_max or limits.memory_bytes_max else None


def size_of(key: str, value: bytes, then: bytes | None = None) -> int:
    """Return the size of an entry in bytes, as the limits count it."""
    size = len(value) + (len(key) if key.isascii() else len(key.encode()))
    return size if then is None else size + len(then)


def growth_of(size: int, standing: Entry | None) -> int:
    """Return by how many bytes an entry of a size changes that of the store.

    ``standing`` is the entry that it replaces, None if there is none.
    """
    return size if standing is None else size - size_of(standing.key, standing.value, standing.then)
