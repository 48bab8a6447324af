"""The entries that stand in a store, with all that has to follow when one comes or goes.

That is: when each expires, the order of keys where somebody reads them in order, how many entries
and bytes there are, and the room that a bounded store has left. Nothing here knows of revisions,
of time or of who may do what: the store decides which entry stands, and this keeps account of it.
"""

from collections.abc import Iterable, Iterator, Sequence

from dunena.store.entry import Entry, Namespaces
from dunena.store.expiry import Deadlines
from dunena.store.key_order import KeyOrder
from dunena.store.quota import Quota, Write, size_of


class EntryTable:
    """All entries of one store, by namespace and key; overdue ones included.

    ``namespaces`` is looked into directly, since every `get` begins with that; it, ``deadlines``,
    ``entry_count`` and ``value_bytes`` are to be read alone. ``quota`` is told of all that comes
    and goes; None where there is any amount of room.
    """

    __slots__ = ("_orders", "_quota", "deadlines", "entry_count", "namespaces", "value_bytes")

    def __init__(self, quota: Quota | None = None) -> None:
        self._quota = quota
        self._orders: dict[str, KeyOrder] = {}
        self.namespaces: Namespaces = {}
        self.deadlines = Deadlines()
        self.entry_count = 0
        self.value_bytes = 0

    # --- reading ---

    def find(self, ns: str, key: str) -> Entry | None:
        """The entry under a key, or None."""
        keys = self.namespaces.get(ns)
        return None if keys is None else keys.get(key)

    def holds(self, entry: Entry) -> bool:
        """Whether this very entry stands under its key, and none that replaced it."""
        return self.find(entry.ns, entry.key) is entry

    def entries(self) -> Iterator[Entry]:
        """All entries, by namespace."""
        for keys in self.namespaces.values():
            yield from keys.values()

    def keys(self, ns: str) -> Iterable[str]:
        """The keys of a namespace in no order."""
        return self.namespaces.get(ns, ())

    def key_count(self, ns: str) -> int:
        """How many keys a namespace has."""
        keys = self.namespaces.get(ns)
        return 0 if keys is None else len(keys)

    def key_order(self, ns: str) -> KeyOrder:
        """The keys of a namespace in order, as far as `place_keys` has placed them.

        Made when first asked for, and followed from then on until nobody asks any more. The same
        object for as long as that is so.
        """
        order = self._orders.get(ns)
        if order is None:
            keys = self.namespaces.get(ns)
            order = KeyOrder([] if keys is None else list(keys))
            if keys is not None:
                self._orders[ns] = order
        order.is_read()
        return order

    def place_keys(self, ns: str, count_max: int) -> bool:
        """Put so many more keys of a namespace into their order; whether all are in it."""
        order = self.key_order(ns)
        if not order.is_complete:
            order.place(count_max, self.namespaces[ns])
        return order.is_complete

    def growth(self, ns: str, writes: Sequence[Write]) -> tuple[int, int]:
        """Entries and bytes that there are more of at most once all writes were made.

        At most: in whatever order they are made, and at any time between them.
        """
        growths: dict[str, int] = {}
        new_keys = 0
        for key, value in writes:
            standing = self.find(ns, key)
            if standing is None and key not in growths:
                new_keys += 1
            growths[key] = max(growths.get(key, 0), growth_of(key, value, standing))
        return new_keys, sum(growths.values())

    # --- changing ---

    def put(self, entry: Entry) -> Entry | None:
        """Let an entry stand under its key; the one that stood there before."""
        keys = self.namespaces.get(entry.ns)
        if keys is None:
            keys = self.namespaces[entry.ns] = {}
        replaced = keys.get(entry.key)
        keys[entry.key] = entry
        self.value_bytes += len(entry.value)
        if replaced is None:
            self.entry_count += 1
            if entry.ns in self._orders:
                self._reorder(entry.ns, entry.key, came=True)
            is_timed = entry.expires_at is not None
        else:
            self.value_bytes -= len(replaced.value)
            is_timed = entry.expires_at is not None or replaced.expires_at is not None
        if is_timed:
            self._retime(entry, replaced)
        if self._quota is not None:
            self._quota.put(entry, replaced)
        return replaced

    def take(self, ns: str, key: str) -> Entry:
        """Remove the entry under a key, where one must stand."""
        keys = self.namespaces[ns]
        entry = keys.pop(key)
        if not keys:
            del self.namespaces[ns]
            self._orders.pop(ns, None)
        elif ns in self._orders:
            self._reorder(ns, key, came=False)
        self.entry_count -= 1
        self.value_bytes -= len(entry.value)
        self.deadlines.discard(entry)
        if self._quota is not None:
            self._quota.remove(entry)
        return entry

    def replace_all(self, namespaces: Namespaces) -> Namespaces:
        """Let these entries stand and no others; those that stood before."""
        replaced = self.namespaces
        self.namespaces = {}
        self.deadlines = Deadlines()
        self._orders = {}
        self.entry_count = 0
        self.value_bytes = 0
        if self._quota is not None:
            self._quota.clear()
        for keys in namespaces.values():
            for entry in keys.values():
                self.put(entry)
        return replaced

    # --- inside ---

    def _retime(self, entry: Entry, replaced: Entry | None) -> None:
        if replaced is not None:
            self.deadlines.discard(replaced)
        self.deadlines.add(entry)
        if self.deadlines.is_stale:
            self.deadlines.compact(self.holds)

    def _reorder(self, ns: str, key: str, *, came: bool) -> None:
        order = self._orders[ns]
        if order.is_forgotten:
            del self._orders[ns]
        elif came:
            order.came(key)
        else:
            order.went(key)


def growth_of(key: str, value: bytes, standing: Entry | None) -> int:
    """Bytes that a store has more of once a value stands under a key."""
    size = size_of(key, value)
    return size if standing is None else size - size_of(key, standing.value)
