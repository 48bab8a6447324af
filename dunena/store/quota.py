"""How much room a bounded store has, and who leaves when there is none.

The bytes of an entry are those of its key and of its value, as UTF-8: what its owner can count.
The memory it takes is some 250 bytes more, and as much again as its value while an update of it is
kept ready.
"""

from collections import OrderedDict
from collections.abc import Sequence

from dunena.store.entry import Entry
from dunena.store.limits import Eviction, Limits

Write = tuple[str, bytes]
"""A key and the encoded value that is to stand under it."""


class Quota:
    """Entries and bytes of one store against its limits, each operation in constant time.

    ``evictions`` counts entries that had to leave, ``refusals`` those that found no room.
    """

    __slots__ = ("_limits", "_order", "bytes", "entries", "evictions", "refusals")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Least recently used first; None where nobody is ever evicted.
        self._order: OrderedDict[Entry, None] | None = (
            OrderedDict() if limits.eviction is Eviction.LRU else None
        )
        self.entries = 0
        self.bytes = 0
        self.evictions = 0
        self.refusals = 0

    @property
    def evicts(self) -> bool:
        """Whether entries leave to make room."""
        return self._order is not None

    def put(self, entry: Entry, replaced: Entry | None) -> None:
        """Count an entry in, and the one that it replaced out."""
        if replaced is not None:
            self.remove(replaced)
        self.entries += 1
        self.bytes += size_of(entry.key, entry.value)
        if self._order is not None:
            self._order[entry] = None

    def remove(self, entry: Entry) -> None:
        """Count an entry out: it was removed from the store."""
        self.entries -= 1
        self.bytes -= size_of(entry.key, entry.value)
        if self._order is not None:
            del self._order[entry]

    def use(self, entry: Entry) -> None:
        """Mark an entry as the most recently used: it was read, or is about to be replaced."""
        if self._order is not None:
            self._order.move_to_end(entry)

    def clear(self) -> None:
        """Count all entries out: the store was emptied."""
        self.entries = self.bytes = 0
        if self._order is not None:
            self._order.clear()

    def eviction_candidate(self) -> Entry | None:
        """The least recently used entry; None where the store evicts nothing, or is empty."""
        return next(iter(self._order), None) if self._order else None

    @property
    def excess(self) -> str | None:
        """What there is too much of already, in words; None if all is within the limits."""
        return self._over(self.entries, self.bytes)

    def shortage(self, entries: int, size: int) -> str | None:
        """Why there is no room for so many entries and bytes more, in words; None if there is.

        What does not grow is not looked at: a store that was over its limits when it was loaded
        may shrink step by step.
        """
        return self._over(
            self.entries + entries if entries > 0 else 0, self.bytes + size if size > 0 else 0
        )

    def can_never_fit(self, writes: Sequence[Write]) -> str | None:
        """Why even an empty store could not take all of these, in words; None if it could."""
        sizes: dict[str, int] = {}
        for key, value in writes:
            sizes[key] = max(sizes.get(key, 0), size_of(key, value))
        return self._over(len(sizes), sum(sizes.values()))

    def _over(self, entries: int, size: int) -> str | None:
        limits = self._limits
        if limits.entries_max and entries > limits.entries_max:
            return f"store is full (max {limits.entries_max} entries)"
        if limits.memory_bytes_max and size > limits.memory_bytes_max:
            return f"store is full (max {limits.memory_bytes_max} bytes)"
        return None


def quota_of(limits: Limits) -> Quota | None:
    """The room that limits leave; None if they leave any amount."""
    return Quota(limits) if limits.entries_max or limits.memory_bytes_max else None


def size_of(key: str, value: bytes) -> int:
    """Bytes of an entry as the limits count them."""
    return len(value) + (len(key) if key.isascii() else len(key.encode()))
