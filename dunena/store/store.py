"""The store itself: namespaces of entries, one revision per change, expiry, undo.

Theory of operation. Every change is made in memory at once, gets the next revision and is handed
to the observer, which collects the changes of a tick. When they could not be kept, `undo` takes
them back, newest first: each carries what it replaced. While `refusal` is set no change can be
made at all; a tick that failed is answered once more in that state.

Many entries may come to their time at once. `expire` takes out a portion of them; those left over
are *overdue*: no read shows them, and who writes to one of them, or needs its room, ends it first.
So every change is as if all had been taken out in time.
"""

from collections.abc import Callable, Iterator, Sequence

from dunena.store.entry import Change, ChangeKind, Entry, EvictionChange
from dunena.store.entry_table import EntryTable, growth_of
from dunena.store.errors import StoreFullError, WriteRefusedError
from dunena.store.expiry import NEVER
from dunena.store.limits import EXPIRED_AT_ONCE_MAX
from dunena.store.quota import Quota, Write
from dunena.store.view import StoreView


class Store(StoreView):
    """All entries of one server, in memory, and every change to them.

    Keys and namespaces are taken as valid (the dialects check them); values are encoded JSON.
    ``now`` is Unix ms throughout; ``quota`` bounds it, None for any amount. ``table`` has the
    entries, for who looks through their keys: it is to be read alone, or changes go unseen.
    """

    __slots__ = (
        "_clears_undone",
        "_loaded_revision",
        "_observer",
        "_overdue_at",
        "clears",
        "deletions",
        "expirations",
        "hits",
        "misses",
        "quota",
        "refusal",
        "revision",
        "table",
    )

    def __init__(
        self, observer: Callable[[Change], None] | None = None, quota: Quota | None = None
    ) -> None:
        self._observer = observer or _ignore
        self.quota = quota
        self.table = EntryTable(quota)
        self._overdue_at = -NEVER  # deadlines up to here have passed; none where all were met
        self.revision = 0
        self.refusal: str | None = None
        self.hits = 0
        self.misses = 0
        self.expirations = 0
        self.deletions = 0  # without evictions
        self.clears = 0  # those that were undone included
        self._clears_undone = 0
        self._loaded_revision = 0

    def observe(self, observer: Callable[[Change], None]) -> None:
        """Tell ``observer`` of every change from now on, at the moment it is made."""
        self._observer = observer

    # --- reading ---

    def get(self, ns: str, key: str, now: int) -> Entry | None:
        """The entry that stands under a key; counts a hit or a miss, and that it was used."""
        entry = self.peek(ns, key, now)
        if entry is None:
            self.misses += 1
        else:
            self.hits += 1
            if self.quota is not None:
                self.quota.use(entry)
        return entry

    def read(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `get`, but counts neither a hit nor a miss: only that the entry was used."""
        entry = self.peek(ns, key, now)
        if entry is not None and self.quota is not None:
            self.quota.use(entry)
        return entry

    def peek(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `read`, but does not count as use: for listings and checks."""
        keys = self.table.namespaces.get(ns)
        entry = None if keys is None else keys.get(key)
        # A deadline that has passed hides the entry at once, even before `expire` was called.
        if entry is None or (entry.expires_at is not None and entry.expires_at <= now):
            return None
        return entry

    def may_read(self, ns: str, key: str) -> bool:
        """True: a store without a guard hides nothing."""
        return True

    def namespaces(self) -> list[str]:
        """Names of the namespaces that hold keys, sorted; "" stands for none."""
        return sorted(self.table.namespaces)

    def entries(self) -> Iterator[Entry]:
        """All entries, those past their deadline included."""
        return self.table.entries()

    @property
    def entry_count(self) -> int:
        """How many entries there are, those past their deadline included."""
        return self.table.entry_count

    @property
    def value_bytes(self) -> int:
        """Bytes of all values, as they are encoded."""
        return self.table.value_bytes

    @property
    def evictions(self) -> int:
        """Entries that had to leave a full store."""
        return 0 if self.quota is None else self.quota.evictions

    @property
    def puts(self) -> int:
        """Values that were set since the store was filled.

        Not counted with each: every change has one revision, and all others are counted.
        """
        others = self.deletions + self.evictions + self.expirations
        clears = self.clears - self._clears_undone
        return self.revision - self._loaded_revision - others - clears

    @property
    def next_deadline(self) -> int:
        """When `expire` should next be called, which may find nothing to do; or `NEVER`."""
        return self.table.deadlines.next

    # --- changing ---

    def load(self, entries: Sequence[Entry], revision: int) -> None:
        """Fill an empty store with what was kept; no change is announced."""
        for entry in entries:
            self.table.put(entry)
        self.revision = self._loaded_revision = revision

    def set(
        self,
        ns: str,
        key: str,
        value: bytes,
        expires_at: int | None = None,
        *,
        from_disk: bool = False,
        is_durable: bool = False,
    ) -> Change:
        """Put a value under a key; raise `WriteRefusedError` while changes cannot be kept.

        In a bounded store others are deleted first to make room, or `StoreFullError` is raised. A
        value that is stored already is taken in any case: it is the truth.
        """
        if self.table.deadlines.next <= self._overdue_at:
            self._end_overdue(ns, key)
        if self.quota is not None:
            self._make_room(self.quota, ns, key, value, may_refuse=not from_disk)
        revision = self._next_revision()
        entry = Entry(ns, key, value, expires_at, revision)
        replaced = self.table.put(entry)
        return self._announce(
            Change(
                ChangeKind.SET,
                ns,
                key,
                revision,
                entry=entry,
                replaced=replaced,
                from_disk=from_disk,
                is_durable=is_durable,
            )
        )

    def delete(
        self, ns: str, key: str, *, from_disk: bool = False, is_durable: bool = False
    ) -> Change | None:
        """Remove a key; None if nothing stood there."""
        if self.table.deadlines.next <= self._overdue_at:
            self._end_overdue(ns, key)
        if self.table.find(ns, key) is None:
            return None
        change = self._remove(
            ChangeKind.DELETE, ns, key, from_disk=from_disk, is_durable=is_durable
        )
        self.deletions += 1
        return change

    def check_writes(self, ns: str, writes: Sequence[Write]) -> None:
        """Raise `StoreFullError` unless all writes find room, whatever their order."""
        quota = self.quota
        if quota is None:
            return
        reason = self._shortage_for(quota, ns, writes)
        while reason is not None and not quota.evicts and self._expire_overdue():
            reason = self._shortage_for(quota, ns, writes)
        if reason is not None:
            quota.refusals += 1
            raise StoreFullError(reason)

    def evict_excess(self) -> None:
        """Delete what is over the limits of a store that evicts, after it was loaded."""
        quota = self.quota
        while quota is not None and quota.excess is not None:
            if self._expire_overdue():
                continue
            leaving = quota.eviction_candidate()
            if leaving is None:
                return
            self._evict(quota, leaving)

    def clear(self, *, from_disk: bool = False) -> Change:
        """Remove everything, in all namespaces, as one change."""
        revision = self._next_revision()
        self.clears += 1
        cleared = self.table.replace_all({})
        return self._announce(
            Change(ChangeKind.CLEAR, "", "", revision, cleared=cleared, from_disk=from_disk)
        )

    def expire(self, now: int, count_max: int = EXPIRED_AT_ONCE_MAX) -> list[Change]:
        """Remove entries whose deadline has passed, earliest first; none while refusing.

        At most so many: while there are more, `next_deadline` stays in the past.
        """
        if self.refusal is not None:
            return []
        self._overdue_at = now
        # A due deadline has left the heap; undo puts it back together with the entry.
        changes = [
            self._remove(ChangeKind.EXPIRED, entry.ns, entry.key)
            for entry in self.table.deadlines.pop_due(now, count_max)
            if self.table.holds(entry)
        ]
        self.expirations += len(changes)
        return changes

    def skip_to(self, revision: int) -> None:
        """Give the next change this revision, if it is not behind it already.

        The revisions before it belong to changes that others made, and that were overtaken.
        """
        if self.refusal is not None:
            raise WriteRefusedError(self.refusal)
        skipped = max(0, revision - 1 - self.revision)
        self.revision += skipped
        self._loaded_revision += skipped  # they are no changes of this store

    def undo(self, changes: Sequence[Change]) -> None:
        """Take back the latest changes, given in the order they were made."""
        self._overdue_at = -NEVER  # nothing expires again before `expire` says so
        if changes:
            skipped = changes[-1].revision - changes[0].revision + 1 - len(changes)
            self._loaded_revision -= skipped
        for change in reversed(changes):
            self.revision = change.revision - 1
            if change.kind is not ChangeKind.SET:
                self._uncount(change)
            if change.cleared is not None:
                self.table.replace_all(change.cleared)
            elif change.replaced is not None:
                self.table.put(change.replaced)
            else:
                self.table.take(change.ns, change.key)

    # --- inside ---

    def _uncount(self, change: Change) -> None:
        if change.kind is ChangeKind.EXPIRED:
            self.expirations -= 1
        elif change.kind is ChangeKind.CLEAR:
            self._clears_undone += 1
        elif not isinstance(change, EvictionChange):
            self.deletions -= 1
        elif self.quota is not None:
            self.quota.evictions -= 1

    def _end_overdue(self, ns: str, key: str) -> None:
        """A key is written to whose time may have come: that comes first."""
        entry = self.table.find(ns, key)
        if entry is None or entry.expires_at is None or self.refusal is not None:
            return
        if entry.expires_at <= self._overdue_at:
            # Its deadline stays behind, as that of any entry that was replaced.
            self._remove(ChangeKind.EXPIRED, ns, key)
            self.expirations += 1

    def _expire_overdue(self) -> bool:
        """Take out overdue entries, since room is needed; whether there may have been any."""
        if self.refusal is not None or self.table.deadlines.next > self._overdue_at:
            return False
        self.expire(self._overdue_at)
        return True

    def _shortage_for(self, quota: Quota, ns: str, writes: Sequence[Write]) -> str | None:
        """Why there is no room for all writes, in words; None if there is."""
        if quota.evicts:
            return quota.can_never_fit(writes)
        return quota.shortage(*self.table.growth(ns, writes))

    def _next_revision(self) -> int:
        if self.refusal is not None:
            raise WriteRefusedError(self.refusal)
        self.revision += 1
        return self.revision

    def _make_room(
        self, quota: Quota, ns: str, key: str, value: bytes, *, may_refuse: bool
    ) -> None:
        standing = self.table.find(ns, key)
        entries, size = int(standing is None), growth_of(key, value, standing)
        reason = quota.shortage(entries, size)
        while reason is not None and self._expire_overdue():
            reason = quota.shortage(entries, size)
        if reason is None:
            return
        if may_refuse and (not quota.evicts or quota.can_never_fit([(key, value)]) is not None):
            quota.refusals += 1
            raise StoreFullError(reason)
        if standing is not None:
            quota.use(standing)
        while quota.shortage(entries, size) is not None:
            leaving = quota.eviction_candidate()
            if leaving is None or leaving is standing:
                return
            self._evict(quota, leaving)

    def _evict(self, quota: Quota, entry: Entry) -> None:
        revision = self._next_revision()
        self.table.take(entry.ns, entry.key)
        quota.evictions += 1
        self._announce(EvictionChange(revision, entry))

    def _announce(self, change: Change) -> Change:
        self._observer(change)
        return change

    def _remove(
        self,
        kind: ChangeKind,
        ns: str,
        key: str,
        *,
        from_disk: bool = False,
        is_durable: bool = False,
    ) -> Change:
        revision = self._next_revision()
        replaced = self.table.take(ns, key)
        return self._announce(
            Change(
                kind,
                ns,
                key,
                revision,
                replaced=replaced,
                from_disk=from_disk,
                is_durable=is_durable,
            )
        )


def _ignore(_change: Change) -> None:
    """The observer of a store that nobody observes."""
