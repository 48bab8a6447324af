"""The keys of the ephemeral entries in a store, by the session that owns them."""

from collections.abc import Iterator

from dunena.store.entry import Entry, EntryId, EphemeralEntry


class EphemeralKeys:
    """Follows the entries of a table; the number of all ephemeral ones is ``count``."""

    __slots__ = ("_by_owner", "count")

    def __init__(self) -> None:
        self._by_owner: dict[str, dict[EntryId, None]] = {}
        self.count = 0

    def __iter__(self) -> Iterator[EntryId]:
        """Yield all keys, in no particular order."""
        for keys in self._by_owner.values():
            yield from keys

    def of(self, owner: str) -> list[EntryId]:
        """Return the keys that a session owns, in no particular order."""
        return list(self._by_owner.get(owner, ()))

    def count_of(self, owner: str) -> int:
        """Return the number of keys that a session owns."""
        return len(self._by_owner.get(owner, ()))

    def owners(self) -> list[str]:
        """Return the sessions that own keys."""
        return list(self._by_owner)

    def put(self, entry: Entry, replaced: Entry | None) -> None:
        """Take in an entry that was added to the table, and take out the one it replaced."""
        if replaced is not None:
            self.remove(replaced)
        if isinstance(entry, EphemeralEntry):
            self._by_owner.setdefault(entry.owner, {})[entry.ns, entry.key] = None
            self.count += 1

    def remove(self, entry: Entry) -> None:
        """Take out an entry that left the table; do nothing if it is not ephemeral."""
        if isinstance(entry, EphemeralEntry):
            keys = self._by_owner[entry.owner]
            del keys[entry.ns, entry.key]
            self.count -= 1
            if not keys:
                del self._by_owner[entry.owner]

    def clear(self) -> None:
        """Take out all entries."""
        self._by_owner.clear()
        self.count = 0
