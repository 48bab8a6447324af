"""A store in which requests run that are only planned: it records what they would change.

What one request is planned to change, the next one of the same proposal finds, as if it were made.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dunena.persistence.log import Op, OpKind
from dunena.store.entry import (
    BY_REVISION,
    Change,
    ChangeKind,
    Entry,
    EntryId,
    SetChange,
    make_entry,
    owner_of,
)
from dunena.store.errors import StoreFullError
from dunena.store.limits import EXPIRES_AT_MS_MAX, Limits
from dunena.store.merge_patch import merge_encoded
from dunena.store.quota import Outcome, Quota, Write, growth_of, size_of
from dunena.store.store import Store

PLANNED_REVISION: Final = 1 << 60
"""Planned changes have revisions above this one, counted anew for each request, which begins at it.
"""


class PlanStore(Store):
    """Shows a store as it would be with all that was planned, and records what is changed.

    ``ops`` is what the present request has changed so far, ``overdue_ops`` what ends keys that it
    found past their time, and ``seen`` each key that it has looked at. ``checks`` are the results
    of its questions whether there is room: None for yes, else the reason.
    """

    __slots__ = (
        "_is_cleared",
        "_limits",
        "_owned",
        "_planned",
        "_shown",
        "checks",
        "ops",
        "overdue_ops",
        "seen",
    )

    def __init__(self, shown: Store, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._shown = shown
        self.table = shown.table
        self.positions = shown.positions
        self.history = shown.history
        self.quota = shown.quota
        self._planned: dict[EntryId, Entry | None] = {}
        self._owned: dict[str, int] = {}  # by session, how many more than in the table
        self._is_cleared = False
        self.ops: list[Op] = []
        self.overdue_ops: list[Op] = []
        self.seen: set[EntryId] = set()
        self.checks: list[str | None] = []

    def begin_proposal(self, now: int) -> None:
        """Forget what was planned: the next requests run on the real store, at Unix ms."""
        self._planned = {}
        self._owned = {}
        self._is_cleared = False
        self.epoch = self._shown.epoch
        self.now = now
        real_quota = self._shown.quota
        if real_quota is not None:  # what is planned needs room too
            self.quota = Quota(self._limits)
            self.quota.entries, self.quota.bytes = real_quota.entries, real_quota.bytes

    def begin_request(self) -> None:
        """Record the ops of the next request."""
        self.ops = []
        self.overdue_ops = []
        self.seen = set()
        self.checks = []
        self.revision = PLANNED_REVISION

    def guard(self) -> None:
        """Record an op for each key that the request has looked at and leaves as it is.

        The log checks the condition of an op only: what such a key has must not change meanwhile.
        """
        written = {(op.ns, op.key) for op in self.ops}
        for ns, key in sorted(self.seen - written):
            entry = self.peek(ns, key, self.now)
            if entry is None:
                self.ops.append(Op(OpKind.REMOVE, ns, key))
            else:
                self.ops.append(self._op_of(entry, entry.expires_at, is_kept=True))

    # --- reading ---

    def peek(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `Store.peek`, with what was planned."""
        self.seen.add((ns, key))
        entry = self._find(ns, key)
        if entry is None or entry.expires_at is None or entry.expires_at > now:
            return entry
        if entry.then is None:
            return None
        self._plan_end(entry)  # it becomes another value, at another revision
        return self._find(ns, key)

    def has(self, ns: str, key: str, now: int) -> bool:
        """Like `Store.has`, with what was planned."""
        return self.peek(ns, key, now) is not None

    def expire(self, now: int, count_max: int = 0) -> list[Change]:
        """End nothing: that is planned when it is met."""
        return []

    def owned_by(self, owner: str) -> list[EntryId]:
        """Return the keys that a session owns, with what was planned, the oldest first."""
        ephemeral = self.table.ephemeral
        stored = [] if ephemeral is None else ephemeral.of(owner)
        found = [self._find(ns, key) for ns, key in stored if (ns, key) not in self._planned]
        found += self._planned.values()
        owned = [entry for entry in found if entry is not None and owner_of(entry) == owner]
        return [(entry.ns, entry.key) for entry in sorted(owned, key=BY_REVISION)]

    def count_owned(self, owner: str) -> int:
        """Like `Store.count_owned`, with what was planned."""
        stored = 0 if self._is_cleared else super().count_owned(owner)
        return stored + self._owned.get(owner, 0)

    # --- changing ---

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
        """Plan to store a value; raise `StoreFullError` if this store has no room for it now."""
        standing = self._find(ns, key)
        if self.quota is not None:
            growth = growth_of(size_of(key, value, then), standing)
            reason = self.quota.shortage(int(standing is None), growth)
            if reason is not None:
                self._refuse_full(reason)
        self._plan_end(standing)
        is_kept = standing is not None and standing.expires_at == expires_at
        self.revision += 1
        entry = make_entry(ns, key, value, expires_at, self.revision, self.now, then, owner)
        self.ops.append(self._op_of(entry, expires_at, is_kept=is_kept))
        self._put(ns, key, entry)
        return SetChange(entry, standing)

    def delete(
        self, ns: str, key: str, *, from_disk: bool = False, is_durable: bool = False
    ) -> Change | None:
        """Plan to remove a key, also one that is not there: it may be by then."""
        self._plan_end(self._find(ns, key))
        standing = self.peek(ns, key, self.now)
        self.revision += 1
        self.ops.append(Op(OpKind.REMOVE, ns, key))
        self._put(ns, key, None)
        if standing is None:
            return None
        return Change(ChangeKind.DELETE, ns, key, self.revision, replaced=standing)

    def clear(self, *, from_disk: bool = False) -> Change:
        """Plan to remove everything."""
        self.revision += 1
        self.ops.append(Op(OpKind.CLEAR))
        self._planned = {}
        self._owned = {}
        self._is_cleared = True
        if self.quota is not None:
            self.quota.clear()
        return Change(ChangeKind.CLEAR, "", "", self.revision, cleared={})

    def plan_ends(self, entries: Sequence[Entry]) -> None:
        """Plan to end entries whose time has passed."""
        for entry in entries:
            if self._find(entry.ns, entry.key) is entry:
                self._plan_end(entry)

    def end_overdue(self, entry_ids: Sequence[EntryId]) -> list[EntryId]:
        """Plan the ends of keys that are past their time; return the others.

        All are about to be deleted, and that takes one op for each. So one that becomes another
        value at its time, which nobody would see, is among the others.
        """
        left: list[EntryId] = []
        for ns, key in entry_ids:
            entry = self._find(ns, key)
            if entry is None or not self._is_overdue(entry):
                left.append((ns, key))
            elif entry.then is None:
                self._plan_end(entry)
            else:
                self._put(ns, key, _with_value(entry, entry.value))
                left.append((ns, key))
        return left

    def check_writes(self, ns: str, writes: Sequence[Write]) -> None:
        """Like `Store.check_writes`."""
        reason = None if self.quota is None else self._shortage_for(self.quota, ns, writes)
        self._check(reason)

    def check_outcome(self, outcome: Outcome) -> None:
        """Like `Store.check_outcome`."""
        reason = None
        if self.quota is not None:
            reason = self.quota.shortage_of_outcome(self.table.net_growth(outcome))
        self._check(reason)

    # --- inside ---

    def _check(self, reason: str | None) -> None:
        if reason is None:
            self.checks.append(None)
        else:
            self._refuse_full(reason)

    def _refuse_full(self, reason: str) -> None:
        self.checks.append(reason)
        real_quota = self._shown.quota
        if real_quota is not None:
            real_quota.refusals += 1
        raise StoreFullError(reason)

    def _put(self, ns: str, key: str, entry: Entry | None) -> None:
        quota, standing = self.quota, self._find(ns, key)
        if quota is not None and entry is not None:
            quota.put(entry, standing)
        elif quota is not None and standing is not None:
            quota.remove(standing)
        for owner, more in ((owner_of(standing), -1), (owner_of(entry), 1)):
            if owner is not None:
                self._owned[owner] = self._owned.get(owner, 0) + more
        self._planned[ns, key] = entry

    def _find(self, ns: str, key: str) -> Entry | None:
        entry_id = (ns, key)
        if entry_id in self._planned:
            return self._planned[entry_id]
        return None if self._is_cleared else self.table.find(ns, key)

    def _is_overdue(self, entry: Entry) -> bool:
        return entry.expires_at is not None and entry.expires_at <= self.now

    def _plan_end(self, entry: Entry | None) -> None:
        """Plan the end of an entry that is about to be changed, if its time has passed."""
        if entry is None or not self._is_overdue(entry):
            return
        if entry.then is None:
            self.overdue_ops.append(Op(OpKind.EXPIRE, entry.ns, entry.key, is_conditional=True))
            self._put(entry.ns, entry.key, None)
            return
        merged = _with_value(entry, merge_encoded(entry.value, entry.then))
        merged.revision = PLANNED_REVISION
        end = self._op_of(merged, None, is_kept=False)
        self.overdue_ops.append(replace(end, is_conditional=True))
        self._put(entry.ns, entry.key, merged)

    def _op_of(self, entry: Entry, expires_at: int | None, *, is_kept: bool) -> Op:
        """Make the op that stores an entry; ``is_kept``: it ends when the one before it would."""
        is_absolute = expires_at is not None and (is_kept or expires_at >= EXPIRES_AT_MS_MAX)
        ttl_ms = None
        if expires_at is not None and not is_absolute:
            ttl_ms = max(1, expires_at - self.now)
        return Op(
            OpKind.SET,
            entry.ns,
            entry.key,
            entry.value,
            ttl_ms=ttl_ms,
            expires_at=expires_at if is_absolute else None,
            then=entry.then,
            owner=owner_of(entry),
        )


def _with_value(entry: Entry, value: bytes) -> Entry:
    """Return an entry of the same key and session with another value, which never ends."""
    return make_entry(
        entry.ns, entry.key, value, None, entry.revision, entry.written_at, None, owner_of(entry)
    )
