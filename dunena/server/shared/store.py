"""The store of a node: it only takes what the log has stored, at the revision that it has there.

While a request of this node runs again, the changes that it makes are those that the log has of it:
revision, value and expiry come from the records.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from dunena.persistence.log import Contents, OpKind, Record
from dunena.store.entry import BY_REVISION, Change, ChangeKind, Entry, EphemeralEntry, SetChange
from dunena.store.errors import StoreFullError
from dunena.store.history import History
from dunena.store.positions import Removal
from dunena.store.quota import Outcome, Quota, Write
from dunena.store.store import Store


class UnplannedChangeError(Exception):
    """A request that runs again would change something that the log has not stored for it."""


class SharedStore(Store):
    """Everything that a log has; raises `UnplannedChangeError` for any other change."""

    __slots__ = ("_checks", "_planned_at", "_records")

    def __init__(
        self, quota: Quota | None = None, history: History | None = None, epoch: str = ""
    ) -> None:
        super().__init__(quota=quota, history=history, epoch=epoch)
        self._records: deque[Record] = deque()
        self._planned_at: int | None = None
        self._checks: deque[str | None] = deque()

    # --- the log ---

    def load_log(self, contents: Contents) -> None:
        """Have what a log has at a revision, in place of all that was there.

        Followers are told what is different, but not the first time, as there are none: what a
        server starts with is no change. Positions before its floor cannot be continued.
        """
        is_first = not self.epoch
        revision, floor = contents.revision, contents.floor
        before = {(entry.ns, entry.key): entry for entry in self.entries()}
        in_order = sorted(contents.entries, key=BY_REVISION)
        self.table.replace_all({})
        if any(isinstance(entry, EphemeralEntry) for entry in in_order):
            self.table.follow_ephemeral()
        for entry in in_order:
            self.table.put(entry)
        removals = map(_removal_of, contents.removed)
        self.positions.load(in_order, revision if floor is None else floor, removals)
        self._loaded_revision += revision - self.revision
        self.revision, self.epoch = revision, contents.epoch
        if is_first:
            return
        for entry in in_order:
            replaced = before.pop((entry.ns, entry.key), None)
            if replaced is None or replaced.value != entry.value:
                self._loaded_revision -= 1  # it counts as a change
                self._observer(SetChange(entry, replaced))
        for gone in before.values():
            self.deletions += 1
            self._loaded_revision -= 1
            self._observer(Change(ChangeKind.DELETE, gone.ns, gone.key, revision, replaced=gone))

    def take_over(self, entry: Entry) -> None:
        """Store an entry of the log at its revision."""
        self.place(entry.revision)
        super().set(
            entry.ns,
            entry.key,
            entry.value,
            entry.expires_at,
            then=entry.then,
            owner=entry.owner if isinstance(entry, EphemeralEntry) else None,
            from_disk=True,
        )

    def remember_removal(self, record: Record) -> None:
        """Remember that a key was removed which this node never had: it was away meanwhile."""
        self.reach(record.revision)
        self.positions.remember(_removal_of(record))

    def make_group(self, records: Iterable[Record]) -> None:
        """Make stored changes, which followers are told of as a whole."""
        with self.group():
            for record in records:
                self.make(record)

    def make(self, record: Record) -> Change | None:
        """Make one stored change; return it, None if it changes nothing."""
        op = record.op
        if op.kind is OpKind.SET:
            self.place(record.revision)
            return super().set(
                op.ns,
                op.key,
                op.value,
                record.ends_at,
                then=op.then,
                owner=op.owner,
                from_disk=True,  # what is stored is never refused
            )
        if op.kind is OpKind.CLEAR:
            self.place(record.revision)
            return super().clear()
        if op.kind is OpKind.NOTE or self.table.find(op.ns, op.key) is None:
            return None
        self.place(record.revision)
        if op.kind is OpKind.EXPIRE:
            self.expirations += 1
            return self._remove(ChangeKind.EXPIRED, op.ns, op.key)
        return super().delete(op.ns, op.key)

    def place(self, revision: int) -> None:
        """Let the next change have a revision, which may be one that was reached already."""
        self._loaded_revision += revision - 1 - self.revision
        self.revision = revision - 1

    def reach(self, revision: int) -> None:
        """Reach a revision of the log at which no key changed."""
        if revision > self.revision:
            self.place(revision + 1)

    # --- a request that runs again ---

    def begin_replay(
        self, records: Sequence[Record], planned_at: int | None, checks: Sequence[str | None]
    ) -> None:
        """Take the next changes from records; ``planned_at`` is the time of values, Unix ms.

        With None values are computed by the time at which the request runs again. ``checks`` are
        the answers to questions for room that the request got when it was planned.
        """
        self._records.extend(records)
        self._checks.extend(checks)
        self._planned_at = planned_at

    def end_replay(self) -> list[Record]:
        """Return the records that the request has not made."""
        left = list(self._records)
        self._records.clear()
        self._checks.clear()
        self._planned_at = None
        return left

    def time_of_request(self, now: int) -> int:
        """Return the time of the plan while a planned request runs again."""
        return now if self._planned_at is None else self._planned_at

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
        """Make the change of the next record, which must be of this key."""
        change = self.make(self._next_record(OpKind.SET, ns, key))
        assert change is not None, "a set is a change"
        return change

    def delete(
        self, ns: str, key: str, *, from_disk: bool = False, is_durable: bool = False
    ) -> Change | None:
        """Make the change of the next record, which must be of this key."""
        return self.make(self._next_record(OpKind.REMOVE, ns, key))

    def clear(self, *, from_disk: bool = False) -> Change:
        """Make the change of the next record, which must be a clear."""
        change = self.make(self._next_record(OpKind.CLEAR, "", ""))
        assert change is not None, "a clear is a change"
        return change

    def check_writes(self, ns: str, writes: Sequence[Write]) -> None:
        """Say what was said when the request was planned."""
        self._check()

    def check_outcome(self, outcome: Outcome) -> None:
        """Say what was said when the request was planned."""
        self._check()

    def expire(self, now: int, count_max: int = 0) -> list[Change]:
        """End nothing: the log says when an entry ends."""
        return []

    def due(self, now: int, count_max: int) -> list[Entry]:
        """Return entries whose time has passed at Unix ms, the earliest first."""
        deadlines = self.table.deadlines
        due = [entry for entry in deadlines.pop_due(now, count_max) if self.table.holds(entry)]
        deadlines.put_back(due)
        return due

    # --- inside ---

    def _check(self) -> None:
        reason = self._checks.popleft() if self._checks else None
        if reason is not None:
            raise StoreFullError(reason)

    def _next_record(self, kind: OpKind, ns: str, key: str) -> Record:
        records = self._records
        if not records:
            raise UnplannedChangeError(f"{kind.value} {ns!r} {key!r}")
        op = records[0].op
        if op.kind is not kind or op.ns != ns or op.key != key:
            raise UnplannedChangeError(f"{kind.value} {ns!r} {key!r} in place of {op}")
        return records.popleft()


def _removal_of(record: Record) -> Removal:
    op = record.op
    kind = ChangeKind.EXPIRED if op.kind is OpKind.EXPIRE else ChangeKind.DELETE
    return Removal(record.revision, op.ns, op.key, kind)
