"""The store itself: namespaces of entries, one revision per change, expiry, undo.

Theory of operation. Every change is made in memory at once, gets the next revision and is handed
to the observer, which collects the changes of a tick. When they could not be kept, `undo` takes
them back, newest first: each carries what it replaced. While `refusal` is set no change can be
made at all; a tick that failed is answered once more in that state.
"""

from collections.abc import Callable, Iterator, Sequence

from dunena.store.entry import Change, ChangeKind, Entry, Namespaces
from dunena.store.expiry import Deadlines


class WriteRefusedError(Exception):
    """Changes cannot be kept at present; ``reason`` is one line for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Store:
    """All entries in memory.

    Keys and namespaces are taken as valid (the dialects check them); values are encoded JSON.
    ``now`` is Unix ms throughout.
    """

    __slots__ = (
        "_deadlines",
        "_namespaces",
        "_observer",
        "_sorted_keys",
        "entry_count",
        "hits",
        "misses",
        "refusal",
        "revision",
        "value_bytes",
    )

    def __init__(self, observer: Callable[[Change], None] | None = None) -> None:
        self._observer = observer or _ignore
        self._namespaces: Namespaces = {}
        self._deadlines = Deadlines()
        self._sorted_keys: dict[str, list[str]] = {}
        self.revision = 0
        self.refusal: str | None = None
        self.entry_count = 0
        self.value_bytes = 0
        self.hits = 0
        self.misses = 0

    def observe(self, observer: Callable[[Change], None]) -> None:
        """Tell ``observer`` of every change from now on, at the moment it is made."""
        self._observer = observer

    # --- reading ---

    def get(self, ns: str, key: str, now: int) -> Entry | None:
        """The entry that stands under a key; counts a hit or a miss."""
        entry = self.peek(ns, key, now)
        if entry is None:
            self.misses += 1
        else:
            self.hits += 1
        return entry

    def peek(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `get`, without counting."""
        keys = self._namespaces.get(ns)
        entry = None if keys is None else keys.get(key)
        # A deadline that has passed hides the entry at once, even before `expire` was called.
        if entry is None or (entry.expires_at is not None and entry.expires_at <= now):
            return None
        return entry

    def sorted_keys(self, ns: str) -> list[str]:
        """The keys of a namespace in order of their code points; not to be changed by the caller.

        Sorted when first asked for after keys came or went, so that reading page after page of an
        unchanged store sorts once.
        """
        keys = self._sorted_keys.get(ns)
        if keys is None:
            keys = self._sorted_keys[ns] = sorted(self._namespaces.get(ns, ()))
        return keys

    def namespaces(self) -> list[str]:
        """Names of the namespaces that hold keys, sorted; "" stands for none."""
        return sorted(self._namespaces)

    def entries(self) -> Iterator[Entry]:
        """All entries, those past their deadline included."""
        for keys in self._namespaces.values():
            yield from keys.values()

    @property
    def next_deadline(self) -> int:
        """When `expire` should next be called, which may find nothing to do; or `NEVER`."""
        return self._deadlines.next

    # --- changing ---

    def load(self, entries: Sequence[Entry], revision: int) -> None:
        """Fill an empty store with what was kept; no change is announced."""
        for entry in entries:
            self._put(entry)
        self.revision = revision

    def set(
        self,
        ns: str,
        key: str,
        value: bytes,
        expires_at: int | None = None,
        *,
        is_stored: bool = False,
        is_durable: bool = False,
    ) -> Change:
        """Put a value under a key; raise `WriteRefusedError` while changes cannot be kept."""
        revision = self._next_revision()
        entry = Entry(ns, key, value, expires_at, revision)
        replaced = self._put(entry)
        return self._announce(
            Change(
                ChangeKind.SET,
                ns,
                key,
                revision,
                entry=entry,
                replaced=replaced,
                is_stored=is_stored,
                is_durable=is_durable,
            )
        )

    def delete(
        self, ns: str, key: str, *, is_stored: bool = False, is_durable: bool = False
    ) -> Change | None:
        """Remove a key; None if nothing stood there."""
        if self._standing(ns, key) is None:
            return None
        return self._remove(ChangeKind.DELETE, ns, key, is_stored=is_stored, is_durable=is_durable)

    def clear(self) -> Change:
        """Remove everything, in all namespaces, as one change."""
        revision = self._next_revision()
        cleared = self._namespaces
        self._replace_all({})
        return self._announce(Change(ChangeKind.CLEAR, "", "", revision, cleared=cleared))

    def expire(self, now: int) -> list[Change]:
        """Remove every entry whose deadline has passed, earliest first; none while refusing."""
        if self.refusal is not None:
            return []
        # A due deadline has left the heap; undo puts it back together with the entry.
        return [
            self._remove(ChangeKind.EXPIRED, entry.ns, entry.key)
            for entry in self._deadlines.pop_due(now)
            if self._is_standing(entry)
        ]

    def undo(self, changes: Sequence[Change]) -> None:
        """Take back the latest changes, given in the order they were made."""
        for change in reversed(changes):
            self.revision = change.revision - 1
            if change.cleared is not None:
                self._replace_all(change.cleared)
            elif change.replaced is not None:
                self._put(change.replaced)
            else:
                self._take(change.ns, change.key)

    # --- inside ---

    def _standing(self, ns: str, key: str) -> Entry | None:
        keys = self._namespaces.get(ns)
        return None if keys is None else keys.get(key)

    def _next_revision(self) -> int:
        if self.refusal is not None:
            raise WriteRefusedError(self.refusal)
        self.revision += 1
        return self.revision

    def _announce(self, change: Change) -> Change:
        self._observer(change)
        return change

    def _remove(
        self,
        kind: ChangeKind,
        ns: str,
        key: str,
        *,
        is_stored: bool = False,
        is_durable: bool = False,
    ) -> Change:
        revision = self._next_revision()
        replaced = self._take(ns, key)
        return self._announce(
            Change(
                kind,
                ns,
                key,
                revision,
                replaced=replaced,
                is_stored=is_stored,
                is_durable=is_durable,
            )
        )

    def _put(self, entry: Entry) -> Entry | None:
        keys = self._namespaces.get(entry.ns)
        if keys is None:
            keys = self._namespaces[entry.ns] = {}
        replaced = keys.get(entry.key)
        keys[entry.key] = entry
        self.value_bytes += len(entry.value)
        if replaced is None:
            self.entry_count += 1
            self._sorted_keys.pop(entry.ns, None)
            is_timed = entry.expires_at is not None
        else:
            self.value_bytes -= len(replaced.value)
            is_timed = entry.expires_at is not None or replaced.expires_at is not None
        if is_timed:
            self._retime(entry, replaced)
        return replaced

    def _retime(self, entry: Entry, replaced: Entry | None) -> None:
        if replaced is not None:
            self._deadlines.discard(replaced)
        self._deadlines.add(entry)
        if self._deadlines.is_stale:
            self._deadlines.compact(self._is_standing)

    def _take(self, ns: str, key: str) -> Entry:
        keys = self._namespaces[ns]
        entry = keys.pop(key)
        if not keys:
            del self._namespaces[ns]
        self.entry_count -= 1
        self.value_bytes -= len(entry.value)
        self._sorted_keys.pop(ns, None)
        self._deadlines.discard(entry)
        return entry

    def _replace_all(self, namespaces: Namespaces) -> None:
        self._namespaces = {}
        self._deadlines = Deadlines()
        self._sorted_keys = {}
        self.entry_count = 0
        self.value_bytes = 0
        for keys in namespaces.values():
            for entry in keys.values():
                self._put(entry)

    def _is_standing(self, entry: Entry) -> bool:
        return self._standing(entry.ns, entry.key) is entry


def _ignore(_change: Change) -> None:
    """The observer of a store that nobody observes."""
