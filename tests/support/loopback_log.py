"""A log in memory that several nodes share: what arrives, and when, is for a test to say."""

from collections.abc import Callable
from dataclasses import replace

from dunena.persistence.log import (
    Contents,
    LogBatch,
    LogFigures,
    LogFollower,
    LogState,
    LogStatus,
    Op,
    OpGroup,
    OpKind,
    Proposal,
    Record,
    Refusal,
    RefusalKind,
)
from dunena.store.entry import BY_REVISION, Entry, make_entry, owner_of
from dunena.store.limits import EXPIRES_AT_MS_MAX

Place = tuple[bool, str, str]
"""Where an operation goes: whether it is a note, namespace and key."""


class SharedLog:
    """What the quorum has; ``clock`` is the log's time, Unix ms."""

    def __init__(self, clock: Callable[[], int], epoch: str = "log1", revision: int = 0) -> None:
        self.clock = clock
        self.epoch = epoch
        self.revision = revision
        self.batches: list[LogBatch] = []
        self.entries: dict[tuple[str, str], Entry] = {}
        self.notes: dict[str, Record] = {}
        self.removed: dict[tuple[str, str], Record] = {}
        self.cleared: Record | None = None
        self.floor = 0
        self.nodes: list[LoopbackLog] = []
        self._places: dict[Place, int] = {}

    def node(self, name: str) -> "LoopbackLog":
        """A node that joins."""
        node = LoopbackLog(self, name)
        self.nodes.append(node)
        return node

    def permits(self, proposal: Proposal, known: int) -> bool:
        """Return whether the conditions hold of a node that was told all up to a revision."""
        seen: set[Place] = set()
        for group in proposal.groups:
            for op in group:
                place = _place_of(op)
                if op.is_conditional and place not in seen and self._changed_at(op) > known:
                    return False
                seen.add(place)
        return True

    def store(self, node: str, proposal: Proposal, known: int) -> LogBatch | None:
        """Store a proposal of a node that was told everything up to a revision, or None."""
        if not self.permits(proposal, known):
            return None
        self.revision += 1  # the marker
        now = self.clock()
        groups = tuple(tuple(self._record(op, now) for op in group) for group in proposal.groups)
        batch = LogBatch(node, proposal.number, self.revision, now, groups)
        self.batches.append(batch)
        return batch

    def work(self) -> None:
        """What all nodes have under way is stored and delivered to all."""
        for node in list(self.nodes):
            node.send()
        for node in list(self.nodes):
            node.deliver()

    def put(self, *groups: OpGroup) -> LogBatch:
        """Store what somebody else changed."""
        batch = self.store("somebody else", Proposal(1, groups), self.revision)
        assert batch is not None
        return batch

    def contents(self) -> Contents:
        """Everything at present, with the removals after the floor."""
        return Contents(
            self.epoch,
            self.revision,
            self.clock(),
            [copy_of(entry) for entry in self.entries.values()],
            dict(self.notes),
            sorted((r for r in self.removed.values() if r.revision > self.floor), key=BY_REVISION),
            self.floor,
        )

    def forget_removals(self) -> None:
        """What has been removed until now is too long ago for nodes that load."""
        self.floor = self.revision

    def changes_since(self, revision: int) -> tuple[Contents, list[Record]]:
        """The newest state of what changed after a revision, and what is gone."""
        entries = [copy_of(e) for e in self.entries.values() if e.revision > revision]
        notes = {name: note for name, note in self.notes.items() if note.revision > revision}
        removed = [r for r in self.removed.values() if r.revision > revision]
        if self.cleared is not None and self.cleared.revision > revision:
            removed.insert(0, self.cleared)
        return Contents(self.epoch, self.revision, self.clock(), entries, notes), removed

    def _changed_at(self, op: Op) -> int:
        changed_at = self._places.get(_place_of(op), 0)
        if op.kind is OpKind.NOTE or self.cleared is None:
            return changed_at
        return max(changed_at, self.cleared.revision)

    def _record(self, op: Op, now: int) -> Record:
        self.revision += 1
        ends_at = op.expires_at
        if op.ttl_ms is not None:
            ends_at = min(now + op.ttl_ms, EXPIRES_AT_MS_MAX)
        record = Record(op, self.revision, ends_at)
        self._places[_place_of(op)] = self.revision
        entry_id = (op.ns, op.key)
        if op.kind is OpKind.CLEAR:
            self.cleared = record
            self.floor = self.revision
            self.entries.clear()
            self.removed.clear()
        elif op.kind is OpKind.NOTE:
            self.notes[op.key] = record
        elif op.kind is OpKind.SET:
            self.removed.pop(entry_id, None)
            self.entries[entry_id] = _entry_of(record, now)
        else:
            self.entries.pop(entry_id, None)
            self.removed[entry_id] = record
        return record


class LoopbackLog:
    """The log of one node.

    A proposal is kept in ``under_way`` until `send`, and what is stored until `deliver`; `work`
    does both. ``skew_ms`` is how wrong the node is about the log's time. With ``soon``, which calls
    a function in a moment, the log does all of it by itself.
    """

    def __init__(self, shared: SharedLog, node: str) -> None:
        self.shared = shared
        self.node = node
        self.follower: LogFollower
        self.under_way: Proposal | None = None
        self.numbers: list[int] = []
        self.told_revision = 0
        self.lost_from: int | None = None  # what was delivered last before a gap
        self.skew_ms = 0
        self.soon: Callable[[Callable[[], None]], object] | None = None
        self.is_alive = True
        self.is_reader = False
        self.last_sign: int | None = None  # of a node that is not alive; None for when asked first
        self.state = LogState.STARTING
        self.reason: str | None = None
        self.value_bytes_max = 1_046_528
        self.channels: set[str] = set()  # that it listens to
        self.messages: list[tuple[str, bytes]] = []  # that have not arrived yet
        self.figures = LogFigures()
        self._unanswered: Proposal | None = None  # stored, and not delivered here yet
        self._next = len(shared.batches)
        self._next_lost = self._next
        self._newest_now = 0
        self._known = 0

    # --- what the server asks ---

    @property
    def now(self) -> int:
        self._newest_now = max(self._newest_now, self.shared.clock() + self.skew_ms)
        return self._newest_now

    @property
    def status(self) -> LogStatus:
        is_ready = self.state is LogState.READY
        return LogStatus(
            self.state,
            is_connected=is_ready,
            is_writable=is_ready,
            reason=self.reason,
            nodes=tuple(node.node for node in self.shared.nodes if node.is_alive),
        )

    def start(self, follower: LogFollower) -> None:
        self.follower = follower
        if self.soon is not None:
            self.soon(self.load)

    def propose(self, proposal: Proposal) -> None:
        assert self.under_way is None, "one proposal at a time"
        assert self._unanswered is None, "one proposal at a time"
        assert not self.numbers or proposal.number > self.numbers[-1], "numbers grow"
        self.numbers.append(proposal.number)
        self.under_way = proposal
        self._known = self.told_revision
        if self.soon is not None:
            self.soon(self.shared.work)

    def last_sign_of(self, node: str) -> int | None:
        for other in self.shared.nodes:
            if other.node == node:
                return self.now if other.is_alive else other.last_sign
        return None

    def tell(self, channel: str, data: bytes) -> str | None:
        if self.is_reader or not self.status.is_connected:
            return "this server may only read" if self.is_reader else self.reason or "not connected"
        for node in self.shared.nodes:
            node.messages.append((channel, data))
        return None

    def listen(self, channel: str, *, wanted: bool) -> None:
        assert wanted is (channel not in self.channels), "each is asked for once"
        if wanted:
            self.channels.add(channel)
        else:
            self.channels.remove(channel)

    async def close(self) -> None:
        self.is_alive = False

    # --- what a test says ---

    def hear(self) -> None:
        """The messages of channels arrive."""
        messages, self.messages = self.messages, []
        for channel, data in messages:
            if channel in self.channels:
                self.follower.message(channel, data)

    def load(self, *, finds_own: bool = False) -> None:
        """Everything is there; ``finds_own``: what the node had proposed is found to be stored.

        Else what was under way is forgotten with what was delivered.
        """
        if self.lost_from is not None:
            self._next = self._next_lost
        missed = self._take(None)
        own = next((batch for batch in missed if batch.number is not None), None)
        if finds_own and own is not None:
            self._unanswered = None
        else:
            own = None
        self.state = LogState.READY
        self.lost_from = None
        self.told_revision = self.shared.revision
        self.follower.load(self.shared.contents(), own)
        self._settle_lost()

    def follow(self, shared: SharedLog) -> None:
        """From now on it is another log."""
        self.shared.nodes.remove(self)
        self.shared = shared
        shared.nodes.append(self)
        self._unanswered, self.under_way = self._unanswered or self.under_way, None
        self._next = self._next_lost = len(shared.batches)
        self.load()

    def work(self) -> None:
        """What is under way is stored, and everything is delivered."""
        self.send()
        self.deliver()
        self.hear()

    def send(self) -> bool:
        """What is under way reaches the log; return whether it was stored, or there was none."""
        proposal, self.under_way = self.under_way, None
        if proposal is None:
            return True
        if self.shared.store(self.node, proposal, self._known) is None:
            self.repair()
            self.deliver()
            self.figures.conflicts += 1
            self.follower.refuse(
                proposal.number, Refusal(RefusalKind.CONFLICT, "others changed it")
            )
            return False
        self._unanswered = proposal
        return True

    @property
    def is_current(self) -> bool:
        """Whether what is under way is stored if it is sent now."""
        proposal = self.under_way
        return proposal is not None and self.shared.permits(proposal, self._known)

    def store_unnoticed(self) -> None:
        """What is under way is stored, but this node gets no answer in time."""
        assert self.under_way is not None
        proposal, self.under_way = self.under_way, None
        self.shared.store(self.node, proposal, self._known)  # or others were quicker
        self.follower.refuse(proposal.number, Refusal(RefusalKind.UNKNOWN, "no answer in 15 s"))

    def deliver(self, count: int | None = None) -> None:
        """The next batches arrive, all of them or so many, unless some were lost before."""
        if self.lost_from is not None or self.state is LogState.STARTING:
            return
        batches = self._take(count)
        if batches:
            self.told_revision = batches[-1].revision
            if any(batch.number is not None for batch in batches):
                self._unanswered = None
            self.follower.apply(batches)

    def lose(self, count: int | None = None) -> None:
        """The next batches are lost on their way."""
        if self.lost_from is None:
            self.lost_from = self.told_revision
            self._next_lost = self._next
        self._take(count)

    def repair(self, *, finds_own: bool = False) -> None:
        """The node finds out what it has lost; ``finds_own``: what it had proposed as well."""
        if self.lost_from is None:
            return
        self._next = self._next_lost if finds_own else self._next
        own = next((batch for batch in self._take(None) if batch.number is not None), None)
        if own is not None:
            self._unanswered = None
        entries, removed = self.shared.changes_since(self.lost_from)
        self.lost_from = None
        self.told_revision = self.shared.revision
        self.follower.repair(entries, removed, own)
        self._settle_lost()

    def refuse(self, kind: RefusalKind, reason: str = "no quorum") -> None:
        """What is under way is refused, and never stored."""
        assert self.under_way is not None
        proposal, self.under_way = self.under_way, None
        self.follower.refuse(proposal.number, Refusal(kind, reason))

    def change_state(self, state: LogState, reason: str | None = None) -> None:
        """The log answers, or does not."""
        self.state, self.reason = state, reason
        self.follower.change_state()

    # --- inside ---

    def _take(self, count: int | None) -> list[LogBatch]:
        end = len(self.shared.batches) if count is None else self._next + count
        taken = self.shared.batches[self._next : end]
        self._next += len(taken)
        mine = None if self._unanswered is None else self._unanswered.number
        return [
            batch
            if batch.node == self.node and batch.number == mine
            else replace(batch, number=None)
            for batch in taken
        ]

    def _settle_lost(self) -> None:
        """What was stored, and overtaken before it was delivered: nobody knows more of it."""
        proposal, self._unanswered = self._unanswered, None
        if proposal is not None:
            reason = "the log was lost for a moment"
            self.follower.refuse(proposal.number, Refusal(RefusalKind.UNKNOWN, reason))


def set_(key: str, value: bytes, ns: str = "") -> Op:
    """A value that somebody sets."""
    return Op(OpKind.SET, ns, key, value)


def copy_of(entry: Entry) -> Entry:
    """An entry of its own for a node."""
    return make_entry(
        entry.ns, entry.key, entry.value, entry.expires_at, entry.revision,
        entry.written_at, entry.then, owner_of(entry),
    )  # fmt: skip


def _entry_of(record: Record, now: int) -> Entry:
    op = record.op
    return make_entry(
        op.ns, op.key, op.value, record.ends_at, record.revision, now, op.then, op.owner
    )


def _place_of(op: Op) -> Place:
    return op.kind is OpKind.NOTE, op.ns, op.key
