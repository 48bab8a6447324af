"""What a simulated log has, and what its nodes may tell their clients of it.

The numbers in errors are those of the properties that the contract names: 1 cut, 2 monotone,
3 converge, 4 resume, 7 update before reply, 8 linearizable, 9 bank, 10 once. Others are named after
the promises of several servers: acknowledged, order, events, expiry.
"""

import itertools
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from dunena.dialects.dialect import Dialect
from dunena.persistence.log import LogBatch, OpKind, Record
from dunena.server.shared.answers import PREFIX
from dunena.sessions.session import SessionState
from dunena.store.entry import EphemeralEntry
from tests.simulation.spec_model import BrokenPromiseError
from tests.support.loopback_log import SharedLog
from tests.support.shared_rooms import Cluster, SharedRooms

KEYS = ["a", "b", "c", "d"]
ACCOUNTS = ["account1", "account2", "account3"]
COUNTER = "counter"

SKEW_MS_MAX = 40
"""How much two nodes may differ about the time."""

State = dict[str, tuple[Any, int, int | None]]
"""Key -> its value, revision and end."""


@dataclass(frozen=True)
class Cut:
    """What was committed at a revision; ``changed`` are the keys of its group, None for all."""

    revision: int
    state: State
    changed: frozenset[str] | None


@dataclass
class Asked:
    """A request: what the log and the asked node had at that moment."""

    id: int
    name: str
    fields: dict[str, Any]
    truth: "Truth"
    known: int
    log_revision: int


@dataclass
class Removed:
    """A removal in the log, and whether there was something."""

    revision: int
    node: str
    key: str
    existed: bool


@dataclass(repr=False)
class Truth:
    """All that a log has, as it was made."""

    log: SharedLog
    seen: int = 0
    cuts: list[Cut] = field(default_factory=lambda: [Cut(0, {}, frozenset())])
    inside: set[int] = field(default_factory=set)
    written: dict[Any, list[int]] = field(default_factory=dict)
    records: dict[int, Record] = field(default_factory=dict)
    removals: list[Removed] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    events: list[tuple[str, str, int]] = field(default_factory=list)

    def at(self, revision: int) -> Cut:
        """The newest cut up to a revision."""
        index = bisect_right(self.cuts, revision, key=lambda cut: cut.revision)
        return self.cuts[index - 1]

    def between(self, after: int, to: int) -> list[Cut]:
        """The cuts in (after, to]."""
        first = bisect_right(self.cuts, after, key=lambda cut: cut.revision)
        last = bisect_right(self.cuts, to, key=lambda cut: cut.revision)
        return self.cuts[first:last]

    def take(self, batch: LogBatch) -> None:
        """Make what was stored."""
        for group in batch.groups:
            state, clears = dict(self.cuts[-1].state), False
            for record in group:
                self.inside.add(record.revision)
                self._take_record(record, state, batch)
                clears = clears or record.op.kind is OpKind.CLEAR
            before = self.cuts[-1].state
            changed = {key for key in before.keys() | state if before.get(key) != state.get(key)}
            ends = [record.revision for record in group if record.op.kind is not OpKind.NOTE]
            end = ends[-1] if ends else group[-1].revision
            self.inside -= {end, group[-1].revision}
            self.cuts.append(Cut(end, state, None if clears else frozenset(changed)))

    def _take_record(self, record: Record, state: State, batch: LogBatch) -> None:
        op, revision, timestamp = record.op, record.revision, batch.timestamp
        self.records[revision] = record
        if op.kind is OpKind.NOTE:
            self.notes[op.key] += 1
        elif op.kind is OpKind.CLEAR:
            state.clear()
            self.events.append(("clear", "", timestamp))
        elif op.kind is OpKind.SET:
            value = orjson.loads(op.value)
            state[op.key] = (value, revision, record.ends_at)
            self.written.setdefault(value, []).append(revision)
            self.events.append(("set", op.key, timestamp))
        else:
            standing = state.pop(op.key, None)
            if op.kind is OpKind.REMOVE:
                self.removals.append(Removed(revision, batch.node, op.key, standing is not None))
            elif standing is None or standing[2] is None or standing[2] > timestamp + SKEW_MS_MAX:
                raise BrokenPromiseError(f"expiry: {op.key} ended as {standing} at {timestamp}")
            if standing is not None:
                name = "delete" if op.kind is OpKind.REMOVE else "expired"
                self.events.append((name, op.key, timestamp))


class Checker:
    """Follows the log, and knows what was asked and answered."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.truths = {cluster.log.epoch: Truth(cluster.log)}
        self.unknown = 0
        self.acknowledged: set[str] = set()
        self.counted: dict[str, Any] = {}
        self.never: list[str] = []
        self.figures: Counter[str] = Counter()
        self._ids = itertools.count(1)
        self._listeners: dict[str, Any] = {}
        self._heard: dict[str, int] = {}
        self._gapped: set[str] = set()

    # --- the log and the nodes ---

    def listen(self) -> None:
        """Follow the events of each node."""
        for node in self.cluster.nodes:
            self.listen_to(node)

    def listen_to(self, node: SharedRooms) -> None:
        """Follow the events of a node from now on, which has loaded everything."""
        self.look()
        self._listeners[node.log.node] = node.client(Dialect.DUNENA)
        self._heard[node.log.node] = len(self.truth_of(node).events)

    def add_log(self, log: SharedLog) -> None:
        """There is another log, which nodes will follow."""
        self.truths[log.epoch] = Truth(log)

    def truth_of(self, node: SharedRooms) -> Truth:
        """What the log of a node has."""
        return self.truths[node.log.shared.epoch]

    def tell_gap(self, node: SharedRooms) -> None:
        """From now on a node may leave out what was overtaken."""
        self._gapped.add(node.log.node)

    def look(self) -> None:
        """Compare each node with the log."""
        for truth in self.truths.values():
            while truth.seen < len(truth.log.batches):
                truth.take(truth.log.batches[truth.seen])
                truth.seen += 1
        for node in self.cluster.nodes:
            self._expect_node(node)
            if node.log.node in self._listeners:
                self._expect_events(node)

    def _expect_node(self, node: SharedRooms) -> None:
        revision, truth = node.store.revision, self.truth_of(node)
        found = {
            entry.key: (orjson.loads(entry.value), entry.revision, entry.expires_at)
            for entry in node.store.entries()
        }
        if found != truth.at(revision).state or revision in truth.inside:
            raise BrokenPromiseError(
                f"1 cut: {node.log.node} has {found} at {revision}, the log {truth.at(revision)}"
            )

    def _expect_events(self, node: SharedRooms) -> None:
        name = node.log.node
        for message in self._listeners[name].received():
            if "event" not in message:
                continue
            event = (message["event"], message["data"].get("key", ""), message["timestamp"])
            if name in self._gapped:
                continue
            expected = self.truth_of(node).events[self._heard[name]]
            if event != expected:
                raise BrokenPromiseError(f"events: {name} told {event}, the log has {expected}")
            self._heard[name] += 1

    def expect_rest(self) -> None:
        """3, 10: all nodes have all, and everything counts once."""
        for node in self.cluster.nodes:
            truth = self.truth_of(node)
            if node.store.revision != truth.log.revision:
                raise BrokenPromiseError(f"3 converge: {node.log.node} at {node.store.revision}")
            if node.coordinator.requests.count:
                raise BrokenPromiseError(f"acknowledged: {node.coordinator.requests.count} wait")
            name = node.log.node
            if name not in self._gapped and self._heard[name] != len(truth.events):
                raise BrokenPromiseError(f"events: {name} told {self._heard[name]}")
        for truth in self.truths.values():
            self._expect_once(truth)
        self._expect_owners()

    def _expect_owners(self) -> None:
        """11: no ephemeral key outlives its session."""
        connected = {
            session.id
            for node in self.cluster.nodes
            for session in node.sessions.table._by_id.values()
            if session.state is SessionState.CONNECTED
        }
        for node in self.cluster.nodes:
            for entry in node.store.entries():
                if isinstance(entry, EphemeralEntry):
                    self.figures["ephemeral"] += 1
                    if entry.owner not in connected:
                        raise BrokenPromiseError(f"11 ephemeral: {entry} of {entry.owner}")

    def _expect_once(self, truth: Truth) -> None:
        twice = [
            name for name, count in truth.notes.items() if count > 1 and name.startswith(PREFIX)
        ]
        if twice:
            raise BrokenPromiseError(f"10 once: {twice}")
        made = [value for value in self.never if value in truth.written]
        if made:
            raise BrokenPromiseError(f"acknowledged: {made} were refused, and made")
        if len(self.truths) > 1:
            return  # it begins anew
        count = truth.cuts[-1].state.get(COUNTER, (0, 0, None))[0]
        cleared = any(cut.changed is None for cut in truth.cuts)
        stored = sum(name.startswith(PREFIX) for name in truth.notes)
        if not cleared and count != stored:
            raise BrokenPromiseError(f"10 once: {count} increments of {stored}")
        if not len(self.acknowledged) <= stored <= len(self.acknowledged) + self.unknown:
            raise BrokenPromiseError(
                f"10 once: {stored} increments, acknowledged {len(self.acknowledged)}"
            )

    # --- requests ---

    def ask(self, node: SharedRooms, name: str, fields: dict[str, Any]) -> Asked:
        """A client sends a request."""
        truth = self.truth_of(node)
        return Asked(next(self._ids), name, fields, truth, node.store.revision, truth.log.revision)

    def lose(self, asked: list[Asked]) -> None:
        """Nobody learns what became of requests."""
        self.unknown += sum(one.name == "incr" for one in asked)

    def answered(self, asked: Asked, message: dict[str, Any], node: SharedRooms) -> None:
        """A WebSocket has answered."""
        self.look()
        if message["id"] != asked.id:
            raise BrokenPromiseError(f"order: {message} in place of {asked}")
        if message.get("type") == "error":
            self._refused(asked, message["data"])
        elif "error" in message:
            self._refused(asked, message["error"])
        elif self.truth_of(node) is asked.truth:
            data = message.get("data", message.get("result", message))
            self._done(asked, data, node)

    def responded(self, asked: Asked, status: int, body: bytes, node: SharedRooms) -> None:
        """HTTP has answered."""
        self.look()
        data = orjson.loads(body) if body else {}
        if self.truth_of(node) is not asked.truth:
            return
        if asked.name == "get" and status in (200, 404):
            value = None if status == 404 else data
            self._expect_read(asked, value, node)
        elif status >= 400:
            self._refused(asked, data["error"])
        else:
            self._done(asked, data, node)

    def revision_of(self, asked: Asked, message: dict[str, Any]) -> int | None:
        """The revision of what a request has changed, None if it has not."""
        if message.get("type") == "error" or "error" in message or asked.name == "get":
            return None
        value = asked.fields.get("value")
        revisions = asked.truth.written.get(value) if value is not None else None
        return revisions[0] if revisions else None

    def _refused(self, asked: Asked, text: str) -> None:
        self.figures[f"refused {asked.name}"] += 1
        if "may have been made" in text:
            self.figures["unknown"] += 1
            self.unknown += asked.name == "incr"
            return
        if "Storage error" not in text and "Revision conflict" not in text:
            raise BrokenPromiseError(f"acknowledged: {asked} was refused with {text}")
        if asked.name == "set":
            self.never.append(asked.fields["value"])

    def _done(self, asked: Asked, data: dict[str, Any], node: SharedRooms) -> None:
        self.figures[f"done {asked.name}"] += 1
        match asked.name:
            case "set":
                self._expect_written(asked, asked.fields["value"], 1, node)
                self._expect_revision(asked, asked.fields["key"], data.get("rev"))
            case "mset":
                entries = asked.fields["entries"]
                self._expect_written(asked, entries[0]["value"], len(entries), node)
            case "txn":
                self._expect_written(asked, asked.fields["ops"][2]["value"], 1, node)
                for op, result in zip(asked.fields["ops"], data["results"], strict=True):
                    self._expect_revision(asked, op["key"], result["rev"])
            case "del":
                self._expect_deleted(asked, data, node)
            case "get":
                self._expect_read(asked, data.get("value"), node)
            case "incr":
                self._expect_increment(asked, data)

    def _expect_written(self, asked: Asked, value: str, count: int, node: SharedRooms) -> None:
        revisions = asked.truth.written.get(value, [])
        if len(revisions) != count:
            raise BrokenPromiseError(f"acknowledged: {asked} is {revisions}")
        if not asked.log_revision < revisions[0] <= revisions[-1] <= node.store.revision:
            raise BrokenPromiseError(f"acknowledged: {asked} is at {revisions}")

    def _expect_revision(self, asked: Asked, key: str, revision: int | None) -> None:
        if revision is None:
            return
        record = asked.truth.records.get(revision)
        if record is None or record.op.key != key:
            raise BrokenPromiseError(f"8 linearizable: {key} is not at {revision}: {record}")

    def _expect_deleted(self, asked: Asked, data: dict[str, Any], node: SharedRooms) -> None:
        # An operation on a key that is not there is only asked of the log.
        deleted, may_only_ask = data["deleted"], "epoch" in data
        key, first, last = asked.fields["key"], asked.log_revision, node.store.revision
        truths = {
            removed.existed
            for removed in asked.truth.removals
            if removed.key == key
            and removed.node == node.log.node
            and first < removed.revision <= last
        }
        for cut in [asked.truth.at(first), *asked.truth.between(first, last)]:
            standing = cut.state.get(key)
            is_over = standing is not None and _is_over(standing, self.cluster.now)
            if is_over or (standing is None and may_only_ask):
                truths.add(False)
        if deleted not in truths:
            raise BrokenPromiseError(f"8 linearizable: {asked} told {deleted}, not {truths}")

    def _expect_read(self, asked: Asked, value: Any, node: SharedRooms) -> None:
        key = asked.fields["key"]
        cuts = [
            asked.truth.at(asked.known),
            *asked.truth.between(asked.known, node.store.revision),
        ]
        standing = [cut.state.get(key, (None, 0, None)) for cut in cuts]
        if value is None and any(_is_over(one, self.cluster.now) for one in standing):
            return
        if value not in [one[0] for one in standing]:
            raise BrokenPromiseError(f"8 linearizable: {asked} read {value} of {standing}")

    def _expect_increment(self, asked: Asked, data: dict[str, Any]) -> None:
        name = asked.fields["idempotencyKey"]
        self.acknowledged.add(name)
        self.figures["duplicates"] += bool(data.get("duplicate"))
        epoch = asked.truth.log.epoch
        first = self.counted.setdefault(f"{epoch} {name}", (data["rev"], data["value"]))
        if first != (data["rev"], data["value"]):
            raise BrokenPromiseError(f"10 once: {name} was {first}, and now {data}")
        self._expect_revision(asked, COUNTER, data["rev"])
        if orjson.loads(asked.truth.records[data["rev"]].op.value) != data["value"]:
            raise BrokenPromiseError(f"8 linearizable: {data}")


class Watched:
    """A watch of a program, continued over its connections."""

    def __init__(self, checker: Checker, selector: dict[str, Any]) -> None:
        self.checker = checker
        self.selector = selector
        self.values: dict[str, Any] = {}
        self.position: tuple[str, int] | None = None
        self.is_live = False
        self._is_first = True
        self._must_resume = False
        self._parts: list[dict[str, Any]] = []

    @property
    def position_field(self) -> dict[str, Any]:
        assert self.position is not None
        return {"epoch": self.position[0], "rev": self.position[1]}

    def matches(self, key: str) -> bool:
        """Whether the watch is of a key."""
        if "pattern" in self.selector:
            return key.startswith(self.selector["pattern"].rstrip("*"))
        return key in self.selector.get("keys", [self.selector.get("key")])

    def begin(self, node: SharedRooms) -> None:
        """It is asked for at a node."""
        self._is_first, self.is_live, self._parts = True, False, []
        self._log = node.log.shared
        self._must_resume = self.position is not None and self._log.floor <= self.position[1]

    def disconnect(self) -> None:
        """It is not told anything any more."""
        self.is_live, self._parts = False, []

    def take(self, part: dict[str, Any]) -> None:
        """Take an update, or a part of one."""
        self._parts.append(part)
        if part.get("more"):
            return
        parts, self._parts = self._parts, []
        self.checker.look()
        before, revision = self.position, part["rev"]
        has_reset = any(one.get("reset") for one in parts)
        if before is not None and before[0] != part["epoch"]:
            self.checker.figures["other logs"] += 1
            if not has_reset:
                raise BrokenPromiseError(f"4 resume: {before} was continued in {part['epoch']}")
            before = None
        if before is not None and revision < before[1]:
            raise BrokenPromiseError(f"2 monotone: {revision} after {before[1]}")
        if self._is_first and before is None and not has_reset:
            raise BrokenPromiseError("4 resume: no reset at the beginning")
        may_resume = before is not None and self._log.floor <= before[1]
        if self._is_first and has_reset and self._must_resume and may_resume:
            raise BrokenPromiseError(f"4 resume: {before} was not continued")
        self.checker.figures["resumed"] += self._is_first and not has_reset
        for one in parts:
            if one.get("reset"):
                self.values = {}
            for change in one["changes"]:
                if "value" in change:
                    self.values[change["key"]] = change["value"]
                else:
                    self.values.pop(change["key"], None)
        self.position = (part["epoch"], revision)
        self._is_first, self.is_live = False, True
        self._expect_cut(self.checker.truths[part["epoch"]], revision)

    def expect_told(self, truth: Truth, revision: int) -> None:
        """7: everything up to a revision was told before the reply."""
        if not self.is_live or self.position is None or self.position[0] != truth.log.epoch:
            return
        if self.position[1] >= revision:
            return  # all of a gap is told at once, and then the replies
        told, now = truth.at(self.position[1]).state, truth.at(revision).state
        missed = [
            key
            for key in told.keys() | now.keys()
            if self.matches(key) and told.get(key) != now.get(key)
        ]  # what came and went while a node was away need not be told
        if missed:
            raise BrokenPromiseError(
                f"7 update before reply: {missed} at {revision}, told was {self.position}"
            )

    def expect_all(self, truth: Truth) -> None:
        """3: the last state is there."""
        if self.is_live:
            self._expect_cut(truth, truth.log.revision)

    def _expect_cut(self, truth: Truth, revision: int) -> None:
        if revision in truth.inside:
            raise BrokenPromiseError(f"1 cut: {revision} is inside a group")
        state = truth.at(revision).state
        now = self.checker.cluster.now
        expected = {key: one[0] for key, one in state.items() if self.matches(key)}
        hidden = {key for key, one in state.items() if _is_over(one, now)}
        missing = expected.keys() - self.values.keys()
        shown = {key: value for key, value in expected.items() if key not in missing & hidden}
        if self.values != shown:
            raise BrokenPromiseError(
                f"1 cut: {self.selector} has {self.values} at {revision}, the log {expected}"
            )
        if self.matches(ACCOUNTS[0]) and self.matches(ACCOUNTS[1]):
            total = sum(_number(self.values.get(key, 0)) for key in ACCOUNTS)
            if total:
                raise BrokenPromiseError(f"9 bank: {self.values}")


def _number(value: Any) -> int:
    return int(value)


def _is_over(standing: tuple[Any, int, int | None], now: int) -> bool:
    return standing[2] is not None and standing[2] <= now + SKEW_MS_MAX
