"""The store: namespaces of entries, one revision per change, expiry, undo.

Theory of operation. Every change is made in memory at once, gets the next revision and is passed to
the observer, which collects the changes of a tick. If these cannot be stored on disk, `undo`
reverts them, newest first: each change has the entries that it replaced. While `refusal` is set,
every change is refused; the requests of a failed tick are run again in that state.

At its deadline an entry is removed, or its ``then`` is merged into its value, which is a set like
any other. Many entries may reach their deadline at the same time. `expire` ends a limited number of
them; the others are *overdue*: no read returns them, and a write to an overdue key, or one that
needs its room, ends it first. An overdue entry with a ``then`` is ended by a read of it. So changes
and answers are the same as if each entry had been ended at its deadline. Only while changes are
refused does an entry with a ``then`` stay as it is: no reader gets a value that cannot be stored.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dunena.store.entry import (
    Change,
    ChangeKind,
    Entry,
    EphemeralEntry,
    EphemeralEviction,
    EphemeralRemoval,
    EphemeralSet,
    EvictionChange,
    SetChange,
)
from dunena.store.entry_table import EntryTable
from dunena.store.errors import StoreFullError, WriteRefusedError
from dunena.store.expiry import NEVER
from dunena.store.history import History
from dunena.store.limits import (
    EXPIRED_AT_ONCE_MAX,
    HISTORY_MS_MIN,
    MERGED_AT_ONCE_BYTES_MAX,
)
from dunena.store.merge_patch import merge_encoded
from dunena.store.positions import Positions
from dunena.store.quota import Outcome, Quota, Write, growth_of, size_of
from dunena.store.view import StoreView


class Store(StoreView):
    """Stores all entries of one server in memory and makes every change to them.

    Keys and namespaces must be valid (the dialects check them); values are encoded JSON. All times
    are Unix ms. ``quota`` limits the entries; None for no limit. ``table`` has the entries and may
    only be read: a change made there would have no revision and not reach the observer. ``refusal``
    is the reason why changes are refused at present, None if they are not. ``epoch`` names the
    unbroken run of revisions that the store is in: revisions of two epochs cannot be compared.
    """

    __slots__ = (
        "_clears_undone",
        "_group_ended",
        "_loaded_revision",
        "_observer",
        "_overdue_at",
        "_undone",
        "clears",
        "deletions",
        "epoch",
        "expirations",
        "history",
        "hits",
        "is_grouping",
        "misses",
        "now",
        "positions",
        "quota",
        "refusal",
        "revision",
        "table",
        "undos",
    )

    def __init__(
        self,
        observer: Callable[[Change], None] | None = None,
        quota: Quota | None = None,
        history: History | None = None,
        epoch: str = "0000000000",
    ) -> None:
        self._observer = observer or _ignore
        self._undone: Callable[[int], None] = _ignore_undo
        self._group_ended: Callable[[], None] = _ignore_group
        self.is_grouping = False
        self.epoch = epoch
        self.quota = quota
        self.history = History(0) if history is None else history
        self.positions = Positions()
        self.now = 0
        self.table = EntryTable(quota)
        self._overdue_at = -NEVER  # entries with deadlines up to here are overdue
        self.revision = 0
        self.refusal: str | None = None
        self.hits = 0
        self.misses = 0
        self.expirations = 0
        self.deletions = 0  # without evictions
        self.clears = 0  # including those that were undone
        self._clears_undone = 0
        self._loaded_revision = 0
        self.undos = 0  # how often changes were taken back

    def observe(self, observer: Callable[[Change], None]) -> None:
        """Call ``observer`` with every change from now on, when it is made."""
        self._observer = observer

    def on_undo(self, undone: Callable[[int], None]) -> None:
        """Call ``undone`` with the revision that is left, whenever changes were taken back."""
        self._undone = undone

    def on_group_end(self, ended: Callable[[], None]) -> None:
        """Call ``ended`` when all changes of a `group` are made."""
        self._group_ended = ended

    @contextmanager
    def group(self) -> Iterator[None]:
        """Make the changes inside the ``with`` one group, which watches are told of as a whole.

        ``is_grouping`` is True meanwhile; a group inside another one is part of it.
        """
        if self.is_grouping:
            yield
            return
        self.is_grouping = True
        try:
            yield
        finally:
            self.is_grouping = False
            self._group_ended()

    # --- reading ---

    def get(self, ns: str, key: str, now: int) -> Entry | None:
        """Return the entry of a key, None if there is none; count a hit or a miss, and a use."""
        entry = self.peek(ns, key, now)
        if entry is None:
            self.misses += 1
        else:
            self.hits += 1
            if self.quota is not None:
                self.quota.use(entry)
        return entry

    def read(self, ns: str, key: str, now: int) -> Entry | None:
        """Do the same as `get`, but count only a use."""
        entry = self.peek(ns, key, now)
        if entry is not None and self.quota is not None:
            self.quota.use(entry)
        return entry

    def peek(self, ns: str, key: str, now: int) -> Entry | None:
        """Do the same as `get`, but count nothing: for listings and checks."""
        keys = self.table.namespaces.get(ns)
        entry = None if keys is None else keys.get(key)
        if entry is not None and entry.expires_at is not None and entry.expires_at <= now:
            return self._read_overdue(entry)
        return entry

    def has(self, ns: str, key: str, now: int) -> bool:
        """Whether an entry stands under a key; unlike a read, never a change of the store."""
        entry = self.table.find(ns, key)
        if entry is None:
            return False
        return entry.expires_at is None or entry.expires_at > now or entry.then is not None

    def may_read(self, ns: str, key: str) -> bool:
        """Return True: the store itself does not limit access."""
        return True

    def namespaces(self) -> list[str]:
        """Return the sorted names of the namespaces that have keys; "" stands for none."""
        return sorted(self.table.namespaces)

    def entries(self) -> Iterator[Entry]:
        """Iterate over all entries, including those past their deadline."""
        return self.table.entries()

    @property
    def entry_count(self) -> int:
        """The number of entries, including those past their deadline."""
        return self.table.entry_count

    @property
    def value_bytes(self) -> int:
        """The size of all encoded values in bytes."""
        return self.table.value_bytes

    def count_owned(self, owner: str) -> int:
        """Return the number of ephemeral entries that a session owns."""
        ephemeral = self.table.ephemeral
        return 0 if ephemeral is None else ephemeral.count_of(owner)

    @property
    def evictions(self) -> int:
        """The number of entries that were evicted from a full store."""
        return 0 if self.quota is None else self.quota.evictions

    @property
    def puts(self) -> int:
        """The number of values that were set since the entries were loaded.

        It is computed from the revision, which each change increments, and the counts of all other
        changes, so that `set` need not count.
        """
        others = self.deletions + self.evictions + self.expirations
        clears = self.clears - self._clears_undone
        return self.revision - self._loaded_revision - others - clears

    @property
    def next_deadline(self) -> int:
        """The time at which `expire` should next be called; it may find nothing. Or `NEVER`."""
        return self.table.deadlines.next

    def time_of_request(self, now: int) -> int:
        """Return the time by which a request computes values that began at ``now``, Unix ms.

        It is another one only where a request is carried out again whose values stand already.
        """
        return now

    # --- changing ---

    def load(self, entries: Sequence[Entry], revision: int) -> None:
        """Fill an empty store with stored entries; ``revision`` is that of their last change.

        No change is announced, but all entries get the revision of the load (`revision_of_load`).
        """
        revision = revision_of_load(entries, revision)
        for entry in entries:
            entry.revision = revision
            entry.written_at = self.now
            self.table.put(entry)
        self.positions.load(entries, revision)
        self.revision = self._loaded_revision = revision

    def set(
        self,
        ns: str,
        key: str,
        value: bytes,
        expires_at: int | None = None,
        *,
        then: bytes | None = None,
        owner: str | None = None,
        from_disk: bool = False,
        is_durable: bool = False,
    ) -> Change:
        """Store a value under a key; return the change. Raise `WriteRefusedError`.

        ``then`` (JSON) is merged into the value at ``expires_at``; None removes the key then. With
        an ``owner``, the id of a session, the entry is ephemeral.
        If the quota is exceeded, other entries are evicted first, or `StoreFullError` is raised. A
        value ``from_disk`` is always accepted, as its file exists already. ``is_durable`` asks for
        the change to be forced to the device before it is acknowledged.
        """
        if self.table.deadlines.next <= self._overdue_at:
            self._end_overdue(ns, key)
        if self.quota is not None:
            size = size_of(key, value, then)
            self._make_room(self.quota, ns, key, size, may_refuse=not from_disk)
        revision = self._next_revision()
        if owner is None:
            entry = Entry(ns, key, value, expires_at, revision, self.now, then)
        else:
            self.table.follow_ephemeral()
            entry = EphemeralEntry(ns, key, value, expires_at, revision, self.now, then, owner)
        replaced = self.table.put(entry)
        self.positions.put(entry, replaced)
        if replaced is not None:
            if value == replaced.value:
                entry.written_at = replaced.written_at  # it stands on
            elif self.now - replaced.written_at >= HISTORY_MS_MIN:
                self.history.keep(replaced, self.now, revision)
        if owner is None:
            change = SetChange(entry, replaced, from_disk, is_durable)
        else:
            change = EphemeralSet(entry, replaced, from_disk, is_durable)
        self._observer(change)
        return change

    def delete(
        self, ns: str, key: str, *, from_disk: bool = False, is_durable: bool = False
    ) -> Change | None:
        """Remove a key; return the change, None without an entry. Raise `WriteRefusedError`."""
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
        """Raise `StoreFullError` unless all writes fit, in any order."""
        quota = self.quota
        if quota is None:
            return
        reason = self._shortage_for(quota, ns, writes)
        while reason is not None and not quota.evicts and self._expire_overdue():
            reason = self._shortage_for(quota, ns, writes)
        if reason is not None:
            quota.refusals += 1
            raise StoreFullError(reason)

    def check_outcome(self, outcome: Outcome) -> None:
        """Raise `StoreFullError` unless a transaction of this outcome finds room.

        It does if keys are removed first, and then set in the order of their growth.
        """
        quota = self.quota
        if quota is None:
            return
        if quota.evicts:
            sizes = [size for size in outcome.values() if size is not None]
            reason = quota.can_never_hold(len(sizes), sum(sizes))
        else:
            reason = quota.shortage_of_outcome(self.table.net_growth(outcome))
            while reason is not None and self._expire_overdue():
                reason = quota.shortage_of_outcome(self.table.net_growth(outcome))
        if reason is not None:
            quota.refusals += 1
            raise StoreFullError(reason)

    def make_room_for(self, outcome: Outcome) -> None:
        """Make the changes that a transaction of this outcome causes of others, or of its own keys.

        Overdue entries end and others are evicted before its first change, so that it changes each
        key once and its revisions are consecutive. `check_outcome` permitted it.
        """
        if self.table.deadlines.next <= self._overdue_at:
            for ns, key in outcome:
                self._end_overdue(ns, key)
        quota = self.quota
        if quota is None or not quota.evicts:
            return
        for ns, key in outcome:
            standing = self.table.find(ns, key)
            if standing is not None:
                quota.use(standing)
        while self._expire_overdue():
            pass
        growth = self.table.net_growth(outcome)
        while quota.shortage_of_outcome(growth) is not None:
            leaving = quota.eviction_candidate()
            if leaving is None or (leaving.ns, leaving.key) in outcome:
                return
            self._evict(quota, leaving)

    def evict_excess(self) -> None:
        """Evict entries until a store that was loaded is within its limits, if it evicts."""
        quota = self.quota
        while quota is not None and quota.excess is not None:
            if self._expire_overdue():
                continue
            leaving = quota.eviction_candidate()
            if leaving is None:
                return
            self._evict(quota, leaving)

    def clear(self, *, from_disk: bool = False) -> Change:
        """Remove all entries of all namespaces as one change. Raise `WriteRefusedError`."""
        revision = self._next_revision()
        self.clears += 1
        ephemeral = self.table.ephemeral
        make = EphemeralRemoval if ephemeral is not None and ephemeral.count else Change
        cleared = self.table.replace_all({})
        self.positions.clear(revision)
        return self._notify_observer(
            make(ChangeKind.CLEAR, "", "", revision, cleared=cleared, from_disk=from_disk)
        )

    def expire(self, now: int, count_max: int = EXPIRED_AT_ONCE_MAX) -> list[Change]:
        """End entries whose deadline has passed, earliest first; return the changes.

        At most ``count_max`` are removed, none while changes are refused. While more are due,
        `next_deadline` is in the past.
        """
        if self.refusal is not None:
            return []
        self._overdue_at = now
        # A due deadline is removed from the heap; `undo` adds it again with the entry.
        due = self.table.deadlines.pop_due(now, count_max)
        changes: list[Change] = []
        merged_bytes = 0
        for index, entry in enumerate(due):
            if not self.table.holds(entry):
                continue
            if entry.then is not None:
                if merged_bytes >= MERGED_AT_ONCE_BYTES_MAX:
                    self.table.deadlines.put_back(due[index:])
                    break
                merged_bytes += len(entry.value) + len(entry.then)
            changes.append(self._end(entry))
        return changes

    def skip_to(self, revision: int) -> None:
        """Let the next change have ``revision``, unless the store has reached that already.

        The skipped revisions belong to changes that others made and that were replaced meanwhile.
        Raise `WriteRefusedError`.
        """
        if self.refusal is not None:
            raise WriteRefusedError(self.refusal)
        skipped = max(0, revision - 1 - self.revision)
        self.revision += skipped
        self._loaded_revision += skipped  # the skipped ones are no changes of this store

    def undo(self, changes: Sequence[Change]) -> None:
        """Revert the latest changes, given in the order in which they were made."""
        self._overdue_at = -NEVER  # no entry is overdue before the next call of `expire`
        self.undos += 1
        if changes:
            skipped = changes[-1].revision - changes[0].revision + 1 - len(changes)
            self._loaded_revision -= skipped
        for change in reversed(changes):
            self.revision = change.revision - 1
            self.positions.undo(change)
            self.history.undo(change)
            if change.kind is not ChangeKind.SET:
                self._uncount(change)
            if change.cleared is not None:
                self.table.replace_all(change.cleared)
            elif change.replaced is not None:
                self.table.put(change.replaced)
            else:
                self.table.take(change.ns, change.key)
        self._undone(self.revision)

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
        """Remove the entry of a key that is about to be written, if it is overdue."""
        entry = self.table.find(ns, key)
        if entry is None or entry.expires_at is None or self.refusal is not None:
            return
        if entry.expires_at <= self._overdue_at:
            # The heap still has its deadline, as for any replaced entry.
            self._end(entry)

    def _read_overdue(self, entry: Entry) -> Entry | None:
        """Return what a read sees of an entry whose deadline has passed, `expire` called or not."""
        if entry.then is None:
            return None
        self._end_overdue(entry.ns, entry.key)
        return self.table.find(entry.ns, entry.key)

    def _end(self, entry: Entry) -> Change:
        """End an entry at its deadline: merge its ``then``, or remove it."""
        if entry.then is not None:
            return self._merge_then(entry, entry.then)
        self.expirations += 1
        return self._remove(ChangeKind.EXPIRED, entry.ns, entry.key)

    def _merge_then(self, entry: Entry, then: bytes) -> Change:
        """Merge an entry's ``then`` into its value, which stays without an expiry.

        A full store has room for it, as both were counted.
        """
        ns, key, value = entry.ns, entry.key, merge_encoded(entry.value, then)
        revision = self._next_revision()
        merged: Entry
        if isinstance(entry, EphemeralEntry):
            merged = EphemeralEntry(ns, key, value, None, revision, self.now, None, entry.owner)
        else:
            merged = Entry(ns, key, value, None, revision, self.now)
        self.table.put(merged)
        self.positions.put(merged, entry)
        if value == entry.value:
            merged.written_at = entry.written_at
        else:
            self.history.keep(entry, self.now, revision)
        make = EphemeralSet if isinstance(entry, EphemeralEntry) else SetChange
        return self._notify_observer(make(merged, entry))

    def _expire_overdue(self) -> bool:
        """End overdue entries to make room; return whether there may have been any."""
        if self.refusal is not None or self.table.deadlines.next > self._overdue_at:
            return False
        self.expire(self._overdue_at)
        return True

    def _shortage_for(self, quota: Quota, ns: str, writes: Sequence[Write]) -> str | None:
        """Return why the writes do not fit, as an error text; None if they fit."""
        if quota.evicts:
            return quota.can_never_fit(writes)
        return quota.shortage(*self.table.growth(ns, writes))

    def _next_revision(self) -> int:
        if self.refusal is not None:
            raise WriteRefusedError(self.refusal)
        self.revision += 1
        return self.revision

    def _make_room(self, quota: Quota, ns: str, key: str, size: int, *, may_refuse: bool) -> None:
        """Make room for an entry of a size, or raise `StoreFullError`."""
        standing = self.table.find(ns, key)
        entries, growth = int(standing is None), growth_of(size, standing)
        reason = quota.shortage(entries, growth)
        while reason is not None and self._expire_overdue():
            reason = quota.shortage(entries, growth)
        if reason is None:
            return
        if may_refuse and (not quota.evicts or quota.can_never_hold(1, size) is not None):
            quota.refusals += 1
            raise StoreFullError(reason)
        self._evict_for(quota, standing, entries, growth)

    def _evict_for(self, quota: Quota, standing: Entry | None, entries: int, size: int) -> None:
        """Let others leave for so many more entries and bytes, in a store that evicts.

        ``standing`` is replaced by what needs the room, so it does not leave.
        """
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
        make = EphemeralEviction if isinstance(entry, EphemeralEntry) else EvictionChange
        change = make(revision, entry)
        self.positions.remove(change, entry)
        self._notify_observer(change)

    def _notify_observer(self, change: Change) -> Change:
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
        make = EphemeralRemoval if isinstance(replaced, EphemeralEntry) else Change
        change = make(
            kind,
            ns,
            key,
            revision,
            replaced=replaced,
            from_disk=from_disk,
            is_durable=is_durable,
        )
        self.positions.remove(change, replaced)
        self.history.keep(replaced, self.now, revision)
        return self._notify_observer(change)


def revision_of_load(entries: Sequence[Entry], revision: int) -> int:
    """Return the revision of a store that is filled with entries whose last change was at another.

    Loading counts as a change: while no server ran, files may have been changed by hand, which
    nobody gave a revision. A store that never had anything stays at 0.
    """
    return revision + 1 if entries or revision else 0


def _ignore(_change: Change) -> None:
    """Observe nothing."""


def _ignore_undo(_revision: int) -> None:
    """Do nothing about changes that were taken back."""


def _ignore_group() -> None:
    """Do nothing about the end of a group."""
