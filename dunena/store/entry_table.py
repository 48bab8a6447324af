"""The table of a store's current entries, and everything that is derived from them.

These are the deadlines, the order of keys in namespaces where it is used, the keys of sessions, the
numbers of entries and bytes, and the usage of the quota. The store decides on changes; the table
has no revisions, no clock and no access rules.
"""

from collections.abc import Iterable, Iterator, Sequence

from dunena.store.entry import Entry, Namespaces
from dunena.store.ephemeral_keys import EphemeralKeys
from dunena.store.expiry import Deadlines
from dunena.store.key_order import KeyOrder
from dunena.store.quota import NetGrowth, Outcome, Quota, Write, growth_of, size_of


class EntryTable:
    """All entries of one store by namespace and key, including overdue ones.

    ``namespaces``, ``deadlines``, ``entry_count`` and ``value_bytes`` may only be read from
    outside; ``namespaces`` is an attribute as every `get` reads it. ``quota`` counts each added and
    removed entry; None for no limit. ``ephemeral`` has the keys of sessions; None before
    `follow_ephemeral` was called.
    """

    __slots__ = (
        "_orders",
        "_quota",
        "deadlines",
        "entry_count",
        "ephemeral",
        "namespaces",
        "value_bytes",
    )

    def __init__(self, quota: Quota | None = None) -> None:
        self._quota = quota
        self._orders: dict[str, KeyOrder] = {}
        self.namespaces: Namespaces = {}
        self.deadlines = Deadlines()
        self.ephemeral: EphemeralKeys | None = None
        self.entry_count = 0
        self.value_bytes = 0

    # --- reading ---

    def find(self, ns: str, key: str) -> Entry | None:
        """Return the entry of a key, or None."""
        keys = self.namespaces.get(ns)
        return None if keys is None else keys.get(key)

    def holds(self, entry: Entry) -> bool:
        """Return whether ``entry`` itself is in the table and was not replaced or removed."""
        return self.find(entry.ns, entry.key) is entry

    def entries(self) -> Iterator[Entry]:
        """Iterate over all entries, grouped by namespace."""
        for keys in self.namespaces.values():
            yield from keys.values()

    def keys(self, ns: str) -> Iterable[str]:
        """Return the keys of a namespace in no particular order."""
        return self.namespaces.get(ns, ())

    def key_count(self, ns: str) -> int:
        """Return the number of keys in a namespace."""
        keys = self.namespaces.get(ns)
        return 0 if keys is None else len(keys)

    def key_order(self, ns: str) -> KeyOrder:
        """Return the order of a namespace's keys, as far as `place_keys` has sorted them.

        The object is made by the first call and updated with each change. It is dropped once the
        updates since the last call cost more than making it again would; until then, each call
        returns the same object.
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
        """Sort up to ``count_max`` more keys of a namespace; return whether all are sorted."""
        order = self.key_order(ns)
        if not order.is_complete:
            order.place(count_max, self.namespaces[ns])
        return order.is_complete

    def growth(self, ns: str, writes: Sequence[Write]) -> tuple[int, int]:
        """Return the largest numbers of entries and bytes that the writes could add.

        The numbers hold for any order of the writes, and after each of them.
        """
        growths: dict[str, int] = {}
        new_keys = 0
        for key, value in writes:
            standing = self.find(ns, key)
            if standing is None and key not in growths:
                new_keys += 1
            growths[key] = max(growths.get(key, 0), growth_of(size_of(key, value), standing))
        return new_keys, sum(growths.values())

    def net_growth(self, outcome: Outcome) -> NetGrowth:
        """Return how many more entries and bytes the store has with an outcome."""
        entries = size = 0
        adds = grows = False
        for (ns, key), end_size in outcome.items():
            standing = self.find(ns, key)
            if end_size is not None:
                growth = growth_of(end_size, standing)
                entries += standing is None
                size += growth
                adds = adds or standing is None
                grows = grows or growth > 0
            elif standing is not None:
                entries -= 1
                size += growth_of(0, standing)
        return NetGrowth(entries, size, adds, grows)

    # --- changing ---

    def follow_ephemeral(self) -> None:
        """Follow which keys are ephemeral from now on: the first such entry is about to be put."""
        if self.ephemeral is None:
            self.ephemeral = EphemeralKeys()

    def put(self, entry: Entry) -> Entry | None:
        """Add an entry; return the one that it replaces, or None."""
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
            # The names of the new entry are other objects: each would keep its own ones alive.
            entry.ns, entry.key = replaced.ns, replaced.key
            is_timed = entry.expires_at is not None or replaced.expires_at is not None
        if is_timed:
            self._retime(entry, replaced)
        if self._quota is not None:
            self._quota.put(entry, replaced)
        if self.ephemeral is not None:
            self.ephemeral.put(entry, replaced)
        return replaced

    def take(self, ns: str, key: str) -> Entry:
        """Remove and return the entry of a key; raise KeyError if there is none."""
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
        if self.ephemeral is not None:
            self.ephemeral.remove(entry)
        return entry

    def replace_all(self, namespaces: Namespaces) -> Namespaces:
        """Replace all entries by those of ``namespaces``; return the previous ones."""
        replaced = self.namespaces
        self.namespaces = {}
        self.deadlines = Deadlines()
        self._orders = {}
        self.entry_count = 0
        self.value_bytes = 0
        if self._quota is not None:
            self._quota.clear()
        if self.ephemeral is not None:
            self.ephemeral.clear()
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
