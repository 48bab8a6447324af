"""Random histories of several nodes on one log, and what the log promises of them."""

import asyncio
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from dunena.persistence.jetstream.epochs import EpochMark, epoch_of
from dunena.persistence.jetstream.headers import milliseconds_of
from dunena.persistence.jetstream.log import JetStreamLog
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import (
    Contents,
    LogBatch,
    LogState,
    Op,
    OpGroup,
    OpKind,
    Proposal,
    Record,
    Refusal,
    RefusalKind,
)
from dunena.store.entry import Entry
from tests.simulation.simulated_stream import (
    EPOCH_S,
    SERVERS,
    Faults,
    NodeTime,
    Process,
    SimulatedCluster,
    SimulatedLink,
    Stored,
    VirtualTime,
)
from tests.simulation.simulated_stream import (
    Entry as StoredEntry,
)
from tests.simulation.spec_model import BrokenPromiseError

BUCKET = "b"
MARK = f"$KV.{BUCKET}.=epoch"
PROBE = f"$KV.{BUCKET}.=note-probe"
"""What a node tries to store while the stream is full."""
NODES = 3
TROUBLE_S = 10.0
TIMEOUT_S = 4.0
RECOVERY_S = 40.0
NOTICED_S = 12.0
"""Until nodes have noticed that messages were taken out of the stream, if they notice at all."""
RESTORING_S = (0.5, 0.9)
"""How long a restore takes: what the servers had sent before has arrived, or is lost."""
SKEW_S = 0.2

Name = tuple[str, str, str]
"""What an operation is about: its kind ("key" or "note"), namespace and key."""

Value = tuple[bytes, int, int | None, bytes | None, str | None]
"""Value, revision, end, ``then`` and owner."""

CLEARED: Name = ("clear", "", "")


def promise(kept: object, text: str) -> None:
    if not kept:
        raise BrokenPromiseError(text)


def name_of(op: Op) -> Name:
    if op.kind is OpKind.CLEAR:
        return CLEARED
    return ("note" if op.kind is OpKind.NOTE else "key", op.ns, op.key)


class State:
    """Values by name, and the revision of each name's last change."""

    def __init__(self) -> None:
        self.values: dict[Name, Value] = {}
        self.changed: dict[Name, int] = {}
        self.revision = 0

    def copy(self) -> "State":
        state = State()
        state.values, state.changed = dict(self.values), dict(self.changed)
        state.revision = self.revision
        return state

    def drop(self, revisions: set[int]) -> None:
        """Forget what was changed at some revisions."""
        self.values = {n: value for n, value in self.values.items() if value[1] not in revisions}
        self.changed = {n: at for n, at in self.changed.items() if at not in revisions}

    def make(self, record: Record) -> None:
        op = record.op
        name = name_of(op)
        self.changed[name] = record.revision
        if op.kind is OpKind.CLEAR:
            for found in [found for found in self.values if found[0] == "key"]:
                del self.values[found]
                self.changed[found] = record.revision
        elif op.kind is OpKind.SET or (op.kind is OpKind.NOTE and op.value):
            self.values[name] = (op.value, record.revision, record.ends_at, op.then, op.owner)
        else:
            self.values.pop(name, None)


class Committed:
    """A batch that the stream has."""

    def __init__(self, node: str, number: int | None, timestamp: int) -> None:
        self.node = node
        self.number = number
        self.timestamp = timestamp
        self.first = 0
        self.revision = 0
        self.groups: list[tuple[Record, ...]] = []


class Truth:
    """What one stream has stored, in its order; whoever asks for a state gets it by playing it.

    It begins with a state. ``is_damaged``: somebody took messages out of the stream, so there is
    no truth until another epoch begins. ``lost`` are those that have not ended by themselves, and
    that nothing has replaced since, subject -> sequence.
    """

    def __init__(self, base: State) -> None:
        self.batches: list[Committed] = []
        self._with_changes: list[Committed] = []
        self._base = base.copy()
        self.state = base.copy()
        self.is_damaged = False
        self.lost: dict[str, int] = {}

    def add(self, batch: Committed) -> None:
        self.batches.append(batch)
        if batch.groups:
            self._with_changes.append(batch)
        for group in batch.groups:
            for record in group:
                self.state.make(record)
        self.state.revision = batch.revision

    def replace(self, subjects: list[str]) -> None:
        """Learn of newer messages of subjects."""
        if f"$KV.{BUCKET}.=clear" in subjects:
            self.lost = {subject: at for subject, at in self.lost.items() if subject.count(".") < 3}
        for subject in subjects:
            self.lost.pop(subject, None)

    def state_at(self, revision: int) -> State:
        state = self._base.copy()
        for batch in self.batches:
            if batch.revision <= revision:
                for group in batch.groups:
                    for record in group:
                        state.make(record)
        return state

    def is_boundary(self, revision: int) -> bool:
        return revision == 0 or not any(
            batch.first <= revision < batch.revision for batch in self.batches
        )

    def following(self, revision: int) -> Committed | None:
        """The next batch that has something for nodes."""
        index = bisect_right(self._with_changes, revision, key=lambda batch: batch.revision)
        return self._with_changes[index] if index < len(self._with_changes) else None


class Member:
    """A node: it makes what it is told, and checks it."""

    def __init__(self, history: "SharedLogHistory", name: str, *, is_reader: bool = False) -> None:
        self.is_reader = is_reader
        self.history = history
        self.process = Process()
        self.link = SimulatedLink(history.cluster, self.process)
        self.name = name
        terms = LogTerms(BUCKET, timeout_s=TIMEOUT_S, is_reader=is_reader)
        self.log = JetStreamLog(self.link, NodeTime(history.time, self.process), terms, name)
        self.state = State()
        self.truth: Truth | None = None
        self.epoch = ""
        self.number = 0
        self.under_way: Proposal | None = None
        self.known: dict[Name, int] = {}
        self.unknown: list[int] = []
        self.given_up: set[int] = set()
        self.link.sent = self._see_sent
        self.is_before_repair = False
        self.now = 0
        self.heard: list[bytes] = []
        self.log.start(self)
        self.log.listen("talk", wanted=True)

    # --- what it is told ---

    def load(self, contents: Contents, own: LogBatch | None = None) -> None:
        history = self.history
        if own is not None:
            history.figures["loads with an own batch"] += 1
            if contents.epoch == self.epoch:
                self._apply(own)
            else:  # its place is one of another order than all that was delivered before
                self._take_own(own)
        self.is_before_repair = False
        history.figures["loads"] += 1
        before, self.epoch = self.epoch, contents.epoch
        truth = self.truth = history.truth_of(self)
        if truth.is_damaged:
            history.figures["damaged loads"] += 1
            self.state = State()
            self.state.changed = dict(truth.state.changed)
            self._put(contents)
            self.state.revision = contents.revision
            self._go_on()
            return
        is_later = contents.revision >= self.state.revision
        promise(before != self.epoch or is_later, "revisions of an epoch went back")
        promise(truth.is_boundary(contents.revision), "half of a batch was loaded")
        wanted = truth.state_at(contents.revision)
        self.state = State()
        self.state.changed = dict(wanted.changed)
        self._put(contents)
        self.state.revision = contents.revision
        self._compare(wanted, "loaded")
        self._check_removed(contents, wanted)
        self._go_on()

    def apply(self, batches: Sequence[LogBatch]) -> None:
        for batch in batches:
            self._apply(batch)
            promise(not self.is_before_repair, "an own batch came before what it comes after")
        self._go_on()

    def _go_on(self) -> None:
        """Propose what has waited, as a server does at once."""
        history = self.history
        is_free = self.under_way is None and not self.is_reader
        if is_free and history.time.now_s < TROUBLE_S and history.random.random() < 0.2:
            self.propose(history._groups(self))

    def _apply(self, batch: LogBatch) -> None:
        promise(not self.is_before_repair, "a batch was skipped")
        history = self.history
        truth = self.truth
        if truth is None:
            raise BrokenPromiseError("nothing was loaded")
        is_own = batch.number is not None
        if is_own:
            self._take_own(batch)
        if truth.is_damaged:
            self._make_all(batch)
            return
        promise(batch.revision > self.state.revision, "a batch came twice, or too late")
        if not batch.groups:
            following = truth.following(self.state.revision)
            self.is_before_repair = following is not None and following.first < batch.revision
            promise(is_own or not self.is_before_repair, "a batch was skipped")
            promise(truth.is_boundary(batch.revision), "half of a batch without records")
            if not self.is_before_repair:
                self.state.revision = batch.revision
            return
        following = truth.following(self.state.revision)
        if following is None:
            raise BrokenPromiseError("a batch that nobody stored")
        if is_own and following.revision != batch.revision:
            # It is in a gap, whose rest follows.
            self.is_before_repair = True
            history.figures["own in a gap"] += 1
            found = [b for b in truth.batches if b.revision == batch.revision]
            promise(found, "an own batch that nobody stored")
            following = found[0]
            promise(
                [[r.op for r in g] for g in batch.groups]
                == [[r.op for r in g] for g in following.groups],
                "an own batch in a gap is another one",
            )
        else:
            promise(following.revision == batch.revision, "a batch was skipped")
            promise(batch.groups == tuple(following.groups), "a batch is not what was stored")
            promise(batch.timestamp == following.timestamp, "a batch has another time")
        promise(batch.node == following.node, "a batch is another node's")
        promise(
            following.node != self.name or is_own or following.number not in history.waiting(self),
            "an own batch came as another node's",
        )
        is_before = self.is_before_repair
        self._make_all(batch)
        self.is_before_repair = is_before

    def _make_all(self, batch: LogBatch) -> None:
        for group in batch.groups:
            for record in group:
                self.state.make(record)
        if not self.is_before_repair:
            self.state.revision = batch.revision

    def repair(
        self, entries: Contents, removed: Sequence[Record], own: LogBatch | None = None
    ) -> None:
        if own is not None:
            self._apply(own)
        truth = self.truth
        assert truth is not None
        self.is_before_repair = False
        self.history.figures["repairs"] += 1
        promise(entries.epoch == self.epoch, "a repair of another stream")
        if truth.is_damaged:
            for record in removed:
                self.state.make(record)
            self._put(entries)
            self.state.revision = entries.revision
            self._go_on()
            return
        promise(entries.revision >= self.state.revision, "a repair of what is known")
        promise(truth.is_boundary(entries.revision), "half of a batch was repaired")
        for record in removed:
            if record.op.kind is OpKind.CLEAR:
                promise(record is removed[0], "a CLEAR came after what it does not remove")
                # An own batch that was applied before may be newer than the CLEAR.
                newer = {n: v for n, v in self.state.values.items() if v[1] > record.revision}
                self.state.make(record)
                self.state.values.update(newer)
            else:
                self.state.make(record)
        self._put(entries)
        self.state.revision = entries.revision
        wanted = truth.state_at(entries.revision)
        self.state.changed = dict(wanted.changed)
        self._compare(wanted, "repaired")
        self._go_on()

    def refuse(self, number: int, refusal: Refusal) -> None:
        history = self.history
        history.figures[refusal.kind.value] += 1
        proposal = self.under_way
        promise(proposal is not None and proposal.number == number, "a refusal of nothing")
        assert proposal is not None
        self.under_way = None
        is_stored = (self.name, number) in history.stored
        if refusal.kind is RefusalKind.UNKNOWN:
            self.unknown.append(number)
            self.given_up.add(number)
            self._go_on()
            return
        promise(not is_stored, f"stored and refused: {refusal}")
        history.never.add((self.name, number))
        if refusal.kind is RefusalKind.CONFLICT:
            conditional = [op for group in proposal.groups for op in group if op.is_conditional]
            changed = [
                op
                for op in conditional
                if self.state.changed.get(name_of(op), 0) != self.known[name_of(op)]
                or self.state.changed.get(CLEARED, 0) != self.known[CLEARED]
            ]
            is_damaged = self.truth is not None and self.truth.is_damaged
            promise(changed or is_damaged, "a conflict with nothing that was delivered")
        self._go_on()

    def _see_sent(self, message: Message) -> None:
        promise(not self.is_reader or "$KV" not in message.subject, "a reader has written")
        if message.data and message.subject.startswith(f"$KV.{BUCKET}.=node-"):
            number = json.loads(message.data)["proposal"]
            promise(number not in self.given_up, "what nobody waits for was sent again")
            if number is not None:
                self._settle()

    def _settle(self) -> None:
        """Something new is taken, so it is decided what has become of what was unknown."""
        for number in self.unknown:
            if (self.name, number) not in self.history.stored:
                self.history.never.add((self.name, number))
        self.unknown.clear()

    def message(self, channel: str, data: bytes) -> None:
        promise(channel == "talk", "a message of another channel")
        self.heard.append(data)

    def change_state(self) -> None:
        self.history.figures["states"] += 1

    def _put(self, contents: Contents) -> None:
        for entry in contents.entries:
            name = ("key", entry.ns, entry.key)
            self.state.values[name] = value_of(entry)
            self.state.changed[name] = entry.revision
        for name, record in contents.notes.items():
            promise(record.op.key == name, "a note of another name")
            self.state.make(record)

    def _check_removed(self, contents: Contents, wanted: State) -> None:
        """Whoever has what there was at the floor, or later, can be told of all removals."""
        floor = contents.floor
        promise(floor is not None and floor <= contents.revision, "a floor above what was loaded")
        assert floor is not None
        gone = {
            name: revision
            for name, revision in wanted.changed.items()
            if name[0] == "key" and name not in wanted.values and revision > floor
        }
        found = {name_of(record.op): record.revision for record in contents.removed}
        promise(found == gone, f"removals after {floor}: {found}, and not {gone}")
        revisions = [record.revision for record in contents.removed]
        promise(revisions == sorted(revisions), "removals in another order")
        self.history.figures["low floors"] += floor < contents.revision // 2
        self.history.figures["loaded removals"] += bool(gone)

    def _compare(self, wanted: State, how: str) -> None:
        now = int((EPOCH_S + self.history.time.now_s + SKEW_S) * 1000)

        def lasting(values: dict[Name, Value]) -> dict[Name, Value]:
            # The stream lets go of what has ended.
            return {n: v for n, v in values.items() if v[2] is None or v[2] > now}

        found, right = lasting(self.state.values), lasting(wanted.values)
        if found != right:
            wrong = {n for n in found | right if found.get(n) != right.get(n)}
            text = ", ".join(f"{n}: {found.get(n)} not {right.get(n)}" for n in sorted(wrong))
            raise BrokenPromiseError(f"what was {how} is not what there was: {text}")

    def _take_own(self, batch: LogBatch) -> None:
        proposal = self.under_way
        promise(proposal is not None and proposal.number == batch.number, "an outcome of nothing")
        self.under_way = None
        history = self.history
        key = (self.name, batch.number)
        stored = history.stored.get(key) or history.restored.get(key)
        promise(stored is not None, "acknowledged and not stored")
        assert stored is not None
        is_damaged = self.truth is not None and self.truth.is_damaged
        is_right = stored.revision == batch.revision or is_damaged
        promise(is_right, "acknowledged with another revision")
        history.figures["acknowledged"] += 1

    # --- what it does ---

    def propose(self, groups: tuple[OpGroup, ...]) -> None:
        if self.log.status.is_writable:
            self._settle()
        self.number += 1
        proposal = Proposal(self.number, groups)
        self.under_way = proposal
        self.known = {
            name_of(op): self.state.changed.get(name_of(op), 0) for group in groups for op in group
        }
        self.known[CLEARED] = self.state.changed.get(CLEARED, 0)
        self.history.proposals[self.name, self.number] = (proposal, dict(self.known))
        self.log.propose(proposal)

    def check_clock(self) -> None:
        now = self.log.now
        promise(now >= self.now, "the log's time went back")
        self.now = now
        right = int((EPOCH_S + self.history.time.now_s) * 1000)
        promise(now <= right + 2 * SKEW_S * 1000, "the log's time is ahead")


def value_of(entry: Entry) -> Value:
    owner = getattr(entry, "owner", None)
    return (entry.value, entry.revision, entry.expires_at, entry.then, owner)


class SharedLogHistory:
    """A history of one seed. ``play`` raises `BrokenPromiseError`.

    ``loses``: somebody may take messages out of the stream, or put an older copy in its place.
    """

    def __init__(self, seed: int, *, loses: bool = True) -> None:
        self.random = Random(seed)
        self.time = VirtualTime()
        self._troubles = [*TROUBLES, *(LOSSES if loses else ())]
        self._loses = loses
        self.faults = Faults()
        self.cluster = SimulatedCluster(self.time, self.random, BUCKET, self.faults)
        self.cluster.committed = self._see
        self.cluster.made = self.truth
        self.figures: Counter[str] = Counter()
        self.truths: dict[str, Truth] = {}
        self._created = ""
        self._of_stream: list[Truth] = []  # of the present one
        self._present: Truth | None = None
        self.proposals: dict[tuple[str, int], tuple[Proposal, dict[Name, int]]] = {}
        self.stored: dict[tuple[str, int | None], Committed] = {}
        self.restored: dict[tuple[str, int | None], Committed] = {}
        """What was stored, and is no longer as the stream is as it was before."""
        self.never: set[tuple[str, int]] = set()
        self.foreign: dict[str, Op | None] = {}
        self.made = 0
        self.members: list[Member] = []

    # --- what the stream stores ---

    def _see(self, entry: StoredEntry) -> None:
        """Check what is stored when it is, with what each node knew when it proposed it."""
        truth = self.truth()
        if entry.purge is not None and entry.purge.is_foreign:
            self._damage(entry.removed)
        if not entry.stored:
            return
        node, number = "", None
        ops = list(entry.stored)
        while ops and ops[0].subject.startswith(f"$KV.{BUCKET}.=node-"):
            marker = ops.pop(0)
            node = marker.subject.rpartition("=node-")[2]
            if marker.data:
                number = json.loads(marker.data)["proposal"]
        batch = Committed(node, number, entry.stored[0].timestamp_ms)
        batch.first = entry.stored[0].sequence
        batch.revision = entry.stored[-1].sequence
        groups: tuple[OpGroup, ...] = ()
        if number is not None:
            groups = self._proposed(truth, batch, number)
        elif ops:
            groups = self._unproposed(ops[0])
        promise(len(ops) == sum(map(len, groups)) or number is None, "half of a batch is stored")
        revision = ops[0].sequence if ops else batch.revision
        for group in groups:
            records = []
            for op in group:
                ends_at = op.expires_at
                if op.ttl_ms is not None:
                    ends_at = batch.timestamp + op.ttl_ms
                records.append(Record(replace(op, is_conditional=False), revision, ends_at))
                revision += 1
            batch.groups.append(tuple(records))
        for known in self._of_stream:
            known.add(batch)
            known.replace([stored.subject for stored in entry.stored])

    def _proposed(self, truth: Truth, batch: Committed, number: int) -> tuple[OpGroup, ...]:
        """What a node has proposed that is stored now."""
        node = batch.node
        promise((node, number) not in self.stored, f"stored twice: {number} of {node}")
        promise((node, number) not in self.never, f"stored after all: {number} of {node}")
        self.stored[node, number] = batch
        proposal, known = self.proposals[node, number]
        for group in proposal.groups:
            for op in group:
                if op.is_conditional:
                    self._check_condition(truth, op, known)
        return proposal.groups

    def _damage(self, removed: list[Stored]) -> None:
        self.figures["purged"] += bool(removed)
        for truth in self._of_stream:
            truth.is_damaged |= bool(removed)
            truth.state.drop({stored.sequence for stored in removed})
            truth.lost |= {s.subject: s.sequence for s in removed if s.frees_at_s is None}

    def _unproposed(self, stored: Stored) -> tuple[OpGroup, ...]:
        """What a message says that no node has proposed."""
        if stored.subject == MARK:
            self.figures["epochs"] += 1
            return ()
        if stored.subject == PROBE:
            return ((Op(OpKind.NOTE, key="probe"),),)
        op_of = self.foreign[stored.headers["Foreign"]]
        return () if op_of is None else ((op_of,),)

    def _check_condition(self, truth: Truth, op: Op, known: dict[Name, int]) -> None:
        name = name_of(op)
        changed = truth.state.changed
        if truth.is_damaged:
            return
        promise(changed.get(name, 0) <= known[name], f"{name} was changed meanwhile")
        if name[0] == "key":
            promise(changed.get(CLEARED, 0) <= known[CLEARED], "there was a CLEAR meanwhile")

    def truth(self) -> Truth:
        """Of the present epoch of the present stream, which may begin now."""
        created, messages = self.cluster.created, self.cluster.messages
        if self._created != created:
            self._created = created
            self._of_stream.clear()
            self._present = None
        found = [stored for stored in messages.values() if stored.subject == MARK]
        mark = EpochMark()
        if found:
            (stored,) = found
            mark = EpochMark(stored.sequence, milliseconds_of(stored.timestamp), stored.data)
        epoch = epoch_of(self.cluster.stream, created, mark)
        if epoch not in self.truths:
            base = State()
            if self._present is not None:
                base = self._present.state.copy()
                base.drop({*base.changed.values()} - messages.keys())
            self.truths[epoch] = Truth(base)
            self._of_stream.append(self.truths[epoch])
        self._present = self.truths[epoch]
        return self._present

    def truth_of(self, member: Member) -> Truth:
        """Of what a node has loaded, perhaps in an epoch of its own."""
        epochs = member.log._epochs
        promise((epochs.current == member.epoch), "another epoch than it knows")
        if not epochs.is_own:
            promise(member.epoch in self.truths, "an epoch of no stream")
            return self.truths[member.epoch]
        self.figures["own epochs"] += 1
        promise(member.epoch not in self.truths, "an own epoch that others have")
        return self.truths[epoch_of(self.cluster.stream, epochs.created, epochs.loaded)]

    def restore(self, last_sequence: int, state: State) -> None:
        """Learn that the stream is again as it was."""
        self.figures["restored"] += 1
        for truth in self._of_stream:
            truth.is_damaged = True
            truth.lost["all"] = last_sequence
            truth.state = state.copy()
        self.truth().state = state.copy()
        gone = [key for key, batch in self.stored.items() if batch.revision > last_sequence]
        for key in gone:
            self.restored[key] = self.stored.pop(key)

    def waiting(self, member: Member) -> set[int | None]:
        return set() if member.under_way is None else {member.under_way.number}

    # --- what happens ---

    def play(self) -> None:
        random = self.random
        self.cluster.skews_s = [random.random() * SKEW_S for _ in range(SERVERS)]
        for number in range(NODES):
            self._start(number)
        if random.random() < 0.3:
            self._start(NODES, is_reader=True)
        self._set_faults()
        for _ in range(random.randint(1, 4)):
            trouble = random.choice(self._troubles)
            due_s = random.random() * TROUBLE_S
            self.time.at(due_s, self._trouble(trouble))
        pace_s = random.choice((0.08, 0.25, 0.5))
        while self.time.now_s < TROUBLE_S:
            self._act()
            self._run(random.expovariate(1 / pace_s))
        self._end_faults()
        if self._loses and random.random() < 0.15:
            purge_stream(self)  # when nothing is written that would replace it
            self._run(0.1)
        self._recover()
        self._compare_all()

    def _trouble(self, trouble: Callable[["SharedLogHistory"], None]) -> Callable[[], None]:
        def begin() -> None:
            if self.time.now_s < TROUBLE_S:
                self.figures[trouble.__name__] += 1
                trouble(self)

        return begin

    def _run(self, seconds: float) -> None:
        self.time.run_until(self.time.now_s + seconds)

    def _start(self, number: int, *, is_reader: bool = False) -> None:
        self.made += 1
        member = Member(self, f"n{number}-{self.made}", is_reader=is_reader)
        if len(self.members) > number:
            self.members[number] = member
        else:
            self.members.append(member)

    def _set_faults(self) -> None:
        random, faults = self.random, self.faults

        def often(rate: float) -> float:
            return rate if random.random() < 0.4 else 0.0

        faults.flow_lost = often(0.1)
        faults.flow_twice = often(0.1)
        faults.flow_late = often(0.1)
        faults.part_lost = often(0.03)
        faults.answer_lost = often(0.1)
        faults.page_fault = often(0.2)
        faults.replica_lags = often(0.3)
        faults.lag_s = random.choice((0.05, 1.0, 4.0))

    def _end_faults(self) -> None:
        for name in Faults.__slots__:
            setattr(self.faults, name, 0.0)
        self.cluster.end_trouble()

    def _act(self) -> None:
        random = self.random
        member = random.choice(self.members)
        if member.process.is_gone or member.process.stopped_until_s > self.time.now_s:
            return
        member.check_clock()
        chance = random.random()
        if chance < 0.06:
            self._write_foreign()
        elif chance < 0.1:
            member.log.tell("talk", b"%d" % self.figures["told"])
            self.figures["told"] += 1
        elif member.under_way is None:
            member.propose(self._groups(member))

    def _groups(self, member: Member) -> tuple[OpGroup, ...]:
        random = self.random
        is_conditional = random.random() < 0.5
        groups = []
        for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
            count = random.choice((1, 1, 2, 4))
            groups.append(tuple(self._op(member, is_conditional) for _ in range(count)))
        return tuple(groups)

    def _op(self, member: Member, is_conditional: bool) -> Op:
        random = self.random
        ns, key = random.choice(("", "röm 1")), random.choice(("a", "b.c", "d"))
        self.figures["ops"] += 1
        value = json.dumps({"n": self.figures["ops"]}, separators=(",", ":")).encode()
        chance = random.random()
        if chance < 0.1:
            return Op(OpKind.REMOVE, ns, key, is_conditional=is_conditional)
        if chance < 0.15:
            return Op(OpKind.EXPIRE, ns, key, is_conditional=is_conditional)
        if chance < 0.2:
            return Op(OpKind.CLEAR, is_conditional=is_conditional)
        if chance < 0.35:
            value = random.choice((b"", value))
            ttl_ms = random.choice((None, 1500)) if value else None
            return Op(
                OpKind.NOTE, key=random.choice("xy"), value=value, ttl_ms=ttl_ms,
                is_conditional=is_conditional,
            )  # fmt: skip
        ttl_ms = random.choice((None, None, 300, 4000))
        expires_at = member.log.now + 2000 if ttl_ms is None and random.random() < 0.2 else None
        then = None
        if ttl_ms and random.random() < 0.3:
            then = b'{"\xc3\xa4":"%%\\n%s"}' % (b" " * (self.figures["ops"] % 2 * 500))
        owner = random.choice((None, None, "s1"))
        return Op(
            OpKind.SET, ns, key, value, ttl_ms, expires_at, then, owner,
            is_conditional=is_conditional,
        )  # fmt: skip

    def _write_foreign(self) -> None:
        """Somebody uses `nats kv`."""
        if self.cluster.config is None or self.cluster.leader is None:
            return
        self.figures["foreign"] += 1
        identity = str(self.figures["foreign"])
        headers = {"Foreign": identity}
        op: Op | None
        subject, data = f"$KV.{BUCKET}.=.a", b'{"by": "hand"}'
        chance = self.random.random()
        if chance < 0.4:
            op = Op(OpKind.SET, "", "a", b'{"by":"hand"}')
        elif chance < 0.6:
            op, data = Op(OpKind.REMOVE, "", "a"), b"no JSON"
        elif chance < 0.8:
            op, data = Op(OpKind.REMOVE, "", "a"), b""
            headers["KV-Operation"] = "DEL"
        else:
            op, subject = None, f"$KV.{BUCKET}.a.b.c"
        self.foreign[identity] = op
        self.cluster.receive(Message(subject, headers, data), None)

    # --- the end ---

    def _recover(self) -> None:
        if self.truth().is_damaged:
            self._run(NOTICED_S)
        end_s = self.time.now_s + RECOVERY_S
        while self.time.now_s < end_s:
            self._run(1.0)
            if all(self._is_well(member) for member in self.members):
                break
        for member in self.members:
            promise(self._is_well(member), f"{member.name} is not well: {member.log.status}")
        writers = [member for member in self.members if not member.is_reader]
        for member in writers:
            member.propose(((Op(OpKind.SET, "", member.name, b"1"),),))
            member.unknown.clear()
        self._run(11.0)
        for member in writers:
            promise(
                (member.name, member.number) in self.stored and member.under_way is None,
                f"{member.name} cannot write",
            )

    def _is_well(self, member: Member) -> bool:
        status = member.log.status
        is_ready = status.state is LogState.READY and status.is_connected
        is_ready = is_ready and status.is_writable is not member.is_reader
        busy_until_s = max(member.process.stopped_until_s, member.link.held_until_s)
        is_running = busy_until_s <= self.time.now_s
        # A stream that was made anew just before the end may not have been noticed yet.
        follows = member.truth is self.truth()
        return is_ready and is_running and follows and member.under_way is None

    def _compare_all(self) -> None:
        truth = self.truth()
        names = sorted(member.name for member in self.members if not member.is_reader)
        rank: tuple[str, ...] | None = None
        for member in self.members:
            promise(member.truth is truth, f"{member.name} follows another stream")
            promise(not truth.lost, f"nobody noticed a loss: {truth.lost}")
            promise(member.epoch == self.members[0].epoch, f"{member.name} is in another epoch")
            member._compare(truth.state, "left")
            member.check_clock()
            right = int((EPOCH_S + self.time.now_s) * 1000)
            promise(member.log.now > right - 3000, "the log's time stands still")
            # One that has ended is among them for as long as its lease is.
            nodes = tuple(name for name in member.log.status.nodes if name in names)
            promise(sorted(nodes) == names, f"{member.log.status.nodes}")
            promise(rank is None or nodes == rank, "another rank")
            promise(not member.is_reader or member.log.status.nodes[-1] == member.name, "reader")
            rank = nodes
            promise(len(member.heard) == len(set(member.heard)), "a message was heard twice")
            promise(all(int(data) < self.figures["told"] for data in member.heard), "hearsay")


def lose_leader(history: SharedLogHistory) -> None:
    history.cluster.lose_leader(history.random.uniform(0.1, 6.0))


def lose_quorum(history: SharedLogHistory) -> None:
    history.cluster.lose_quorum(history.random.uniform(0.5, 8.0))


def cut_link(history: SharedLogHistory) -> None:
    history.random.choice(history.members).link.cut(history.random.choice((0.1, 1.0, 5.0, 25.0)))


def stop_process(history: SharedLogHistory) -> None:
    process = history.random.choice(history.members).process
    process.stopped_until_s = history.time.now_s + history.random.choice((0.5, 3.0, 10.0))


def hold_link(history: SharedLogHistory) -> None:
    """What a node sends arrives much later."""
    link = history.random.choice(history.members).link
    link.held_until_s = history.time.now_s + history.random.uniform(0.5, 7.0)


def restart_node(history: SharedLogHistory) -> None:
    number = history.random.randrange(NODES)
    member = history.members[number]
    if history.random.random() < 0.5:
        asyncio.run(member.log.close())
    else:
        history.cluster.links.remove(member.link)
    member.process.is_gone = True
    history._start(number)


def remake_stream(history: SharedLogHistory) -> None:
    # What is as short as the new one has nothing to tell them apart by.
    if history.cluster.config is None or history.cluster.last_sequence < 12:
        return
    history.cluster.delete()
    history.time.at(
        history.time.now_s + history.random.choice((0.01, 0.5, 3.0)), history.cluster.make_anew
    )


def purge_stream(history: SharedLogHistory) -> None:
    """Somebody removes messages: all, the older ones, or those of one subject."""
    cluster, random = history.cluster, history.random
    if cluster.config is None or not cluster.messages:
        return
    subject = random.choice([stored.subject for stored in cluster.messages.values()])
    older = random.randint(1, cluster.last_sequence + 1)
    cluster.purge(
        *random.choice(
            [
                (cluster.last_sequence + 1, lambda _: True),
                (older, lambda _: True),
                (older, lambda found: found.count(".") > 2),
                (cluster.last_sequence + 1, lambda found: found == subject),
            ]
        )
    )


def restore_stream(history: SharedLogHistory) -> None:
    """Somebody puts an older copy in the place of the stream."""
    cluster, random = history.cluster, history.random
    if cluster.config is None or cluster.leader is None:
        return
    backup = cluster.back_up()
    state = history.truth().state.copy()

    def restore() -> None:
        if cluster.config is None and history.time.now_s < TROUBLE_S:
            cluster.restore(backup)
            history.restore(backup.last_sequence, state)

    def delete() -> None:
        is_same = cluster.created == backup.created
        has_grown = cluster.last_sequence > backup.last_sequence  # else there is nothing to lose
        if not is_same or not has_grown or history.time.now_s > TROUBLE_S:
            return
        cluster.delete()
        history.time.at(history.time.now_s + random.choice(RESTORING_S), restore)

    history.time.at(history.time.now_s + random.choice((0.3, 1.0, 4.0)), delete)


def begin_epoch(history: SharedLogHistory) -> None:
    """Somebody stores a mark by hand."""
    if history.cluster.config is not None and history.cluster.leader is not None:
        history.cluster.receive(Message(MARK, {}, b"by hand"), None)


def fill_stream(history: SharedLogHistory) -> None:
    history.cluster.is_full = True

    def free() -> None:
        history.cluster.is_full = False

    history.time.at(history.time.now_s + 2.0, free)


TROUBLES: list[Callable[[SharedLogHistory], None]] = [
    lose_leader, lose_leader, lose_quorum, cut_link, stop_process, hold_link, hold_link,
    restart_node, remake_stream, fill_stream,
]  # fmt: skip

LOSSES: list[Callable[[SharedLogHistory], None]] = [purge_stream, restore_stream, begin_epoch]
"""What somebody does to the stream who does not know what it is for."""


def figures_of(seeds: Sequence[int]) -> Counter[str]:
    """Return what happened in some histories, all together."""
    figures: Counter[str] = Counter()
    for seed in seeds:
        history = SharedLogHistory(seed)
        history.play()
        figures += history.figures
    return figures
