"""A NATS cluster with one JetStream stream, and links to it, in virtual time.

It does what the log rests on, as servers from 2.12 on do it (ADR-31, ADR-43, ADR-50, and what was
measured at servers): sequences, conditions, atomic batches, ``Nats-TTL``, Direct Get from replicas
that lag behind, and republishing. Everything that may go wrong is asked for by a test: nothing is
lost, late, or twice, unless `Faults` say so.
"""

import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from random import Random
from typing import Any

from dunena.persistence.jetstream.wire import Denial, LinkFault, Message, TakeAnswer

EPOCH_S = 1_800_000_000
SERVERS = 3


class Timer:
    __slots__ = ("action", "owner")

    def __init__(self, action: Callable[[], None], owner: "Process | None") -> None:
        self.action: Callable[[], None] | None = action
        self.owner = owner

    def cancel(self) -> None:
        self.action = None


class Process:
    """A node's process, which may be stopped for a while (SIGSTOP) or be gone."""

    __slots__ = ("is_gone", "stopped_until_s")

    def __init__(self) -> None:
        self.is_gone = False
        self.stopped_until_s = 0.0


class VirtualTime:
    """Plays what is scheduled, in its order."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._count = 0
        self._queue: list[tuple[float, int, Timer]] = []

    def at(self, due_s: float, action: Callable[[], None], owner: Process | None = None) -> Timer:
        timer = Timer(action, owner)
        self._push(due_s, timer)
        return timer

    def _push(self, due_s: float, timer: Timer) -> None:
        self._count += 1
        heapq.heappush(self._queue, (due_s, self._count, timer))

    def run_until(self, end_s: float) -> None:
        queue = self._queue
        while queue and queue[0][0] <= end_s:
            due_s, _, timer = heapq.heappop(queue)
            self.now_s = max(self.now_s, due_s)
            owner = timer.owner
            if timer.action is None:
                continue
            if owner is not None:
                if owner.is_gone:
                    continue
                if owner.stopped_until_s > self.now_s:
                    self._push(owner.stopped_until_s, timer)
                    continue
            action, timer.action = timer.action, None
            action()
        self.now_s = end_s


class NodeTime:
    """The `Scheduler` of one process."""

    def __init__(self, time: VirtualTime, process: Process) -> None:
        self._time = time
        self._process = process

    def now_s(self) -> float:
        return self._time.now_s

    def call_later(self, seconds: float, action: Callable[[], None]) -> Timer:
        return self._time.at(self._time.now_s + seconds, action, self._process)


@dataclass(slots=True)
class Faults:
    """How likely it is that something goes wrong with one message."""

    flow_lost: float = 0.0
    flow_twice: float = 0.0
    flow_late: float = 0.0
    part_lost: float = 0.0
    answer_lost: float = 0.0
    page_fault: float = 0.0
    replica_lags: float = 0.0
    lag_s: float = 1.0


@dataclass(slots=True)
class Stored:
    """A message in the stream; ``frees_at_s`` is when it is removed silently."""

    sequence: int
    subject: str
    headers: dict[str, str]
    data: bytes
    timestamp: str
    timestamp_ms: int
    frees_at_s: float | None


@dataclass(frozen=True, slots=True)
class Purge:
    """The removal of messages ``below`` a sequence, of subjects that match."""

    below: int
    matches: Callable[[str], bool]
    is_foreign: bool = False


@dataclass(slots=True)
class Entry:
    """What the servers agree on as a whole: messages to store, or a purge, and what it removed."""

    messages: list[Message]
    reply: Callable[[dict[str, Any]], None] | None = None
    stored: list[Stored] = field(default_factory=list)
    purge: Purge | None = None
    removed: list[Stored] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of a stream."""

    created: str
    made: list["Stored | Purge"]
    last_sequence: int


class Replica:
    """What one server has of the stream."""

    def __init__(self) -> None:
        self.messages: dict[int, Stored] = {}
        self.last: dict[str, int] = {}
        self.applied = 0
        self.position = 0
        self.is_lagging = False

    def apply(self, made: list[Stored | Purge], upto: int, now_s: float) -> None:
        """Do what was agreed on: store a message, or purge."""
        while self.applied < upto:
            stored = made[self.applied]
            self.applied += 1
            if isinstance(stored, Purge):
                for found in self.matching(stored):
                    self.remove(found)
                continue
            self.position = stored.sequence
            before = self.last.pop(stored.subject, None)
            if before is not None:
                del self.messages[before]
            if stored.frees_at_s is None or stored.frees_at_s > now_s:
                self.messages[stored.sequence] = stored
                self.last[stored.subject] = stored.sequence

    def matching(self, purge: Purge) -> list[Stored]:
        return [
            found
            for found in self.messages.values()
            if found.sequence < purge.below and purge.matches(found.subject)
        ]

    def remove(self, stored: Stored) -> None:
        if self.messages.pop(stored.sequence, None) is not None:
            del self.last[stored.subject]


@lru_cache
def second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def time_text(seconds: float) -> str:
    """As Go writes it: without zeros at the end."""
    micros = round((EPOCH_S + seconds) * 1_000_000)
    whole = second_text(micros // 1_000_000)
    decimals = f"{micros % 1_000_000:06}".rstrip("0")
    return f"{whole}.{decimals}Z" if decimals else f"{whole}Z"


class SimulatedCluster:
    """The servers. ``made`` is told of a new stream, ``committed`` of each entry that it stores."""

    def __init__(self, time: VirtualTime, random: Random, bucket: str, faults: Faults) -> None:
        self.time = time
        self.random = random
        self.faults = faults
        self.bucket = bucket
        self.stream = f"KV_{bucket}"
        self.links: list[SimulatedLink] = []
        self.committed: Callable[[Entry], object] = lambda _entry: None
        self.made: Callable[[], object] = lambda: None
        self.skews_s = [0.0] * SERVERS
        self.max_payload = 1024 * 1024
        self.is_full = False
        self.takes_markers = False  # when it is full, as one server does
        self.is_quiet = False
        self.is_leaderless = False  # and says so
        self.leader: int | None = 0
        self.has_quorum = True
        self.quorum_lost_s = 0.0
        self.config: dict[str, Any] | None = None
        self.replicas: list[Replica] = []
        self._config_before: dict[str, Any] = {}
        self._forget()

    def _forget(self) -> None:
        self.made_entries: list[Stored | Purge] = []
        self.pending: list[Entry] = []
        self.open_batches: dict[str, list[Message]] = {}
        self.replicas = [Replica() for _ in range(SERVERS)]
        self.last_sequence = 0
        self.created = ""

    # --- what happens to the servers ---

    def create(self, config: dict[str, Any]) -> None:
        self._forget()
        self.config = config
        self.created = time_text(self.time.now_s + max(self.skews_s))
        self.made()

    def delete(self) -> None:
        assert self.config is not None
        self._config_before = self.config
        self.config = None
        self._forget()

    def make_anew(self) -> None:
        if self.config is None:
            self.create(self._config_before)

    def purge(self, below: int, matches: Callable[[str], bool]) -> None:
        """Somebody removes messages, of which no node is told."""
        if self.leader is not None:
            self._propose(Entry([], purge=Purge(below, matches, is_foreign=True)))

    def back_up(self) -> Backup:
        assert self.config is not None
        return Backup(self.created, list(self.made_entries), self.last_sequence)

    def restore(self, backup: Backup) -> None:
        """Put a copy in the place of a stream that was deleted."""
        assert self.config is None
        self.config = self._config_before
        self.created = backup.created
        self.made_entries = list(backup.made)
        self.last_sequence = backup.last_sequence
        for replica in self.replicas:
            replica.apply(self.made_entries, len(self.made_entries), self.time.now_s)

    @property
    def messages(self) -> dict[int, Stored]:
        """What the stream has, by sequence."""
        return max(self.replicas, key=lambda replica: replica.applied).messages

    def lose_leader(self, seconds: float) -> None:
        """What was proposed and not agreed on is kept, or lost from some entry on."""
        if self.leader is None or self.is_quiet:
            return
        self.leader = None
        self.open_batches.clear()
        kept = self.random.randint(0, len(self.pending))
        del self.pending[kept:]
        for entry in self.pending:
            entry.reply = None
        self.time.at(self.time.now_s + seconds, self._elect)

    def end_trouble(self) -> None:
        """From now on the servers do what they should."""
        self.is_quiet = True
        self.is_full = False
        self.has_quorum = True
        self._elect()
        while self.pending:
            self._commit()
        self.make_anew()

    def _elect(self) -> None:
        if self.leader is not None:
            return
        self.leader = self.random.randrange(SERVERS)
        replica = self.replicas[self.leader]
        replica.is_lagging = False
        replica.apply(self.made_entries, len(self.made_entries), self.time.now_s)
        while self.pending and self.has_quorum:
            self._commit()

    def lose_quorum(self, seconds: float) -> None:
        """The leader takes messages for a while that are stored later, or never."""
        self.has_quorum = False
        now_s = self.quorum_lost_s = self.time.now_s
        self.time.at(now_s + min(seconds, 1.5), lambda: self.lose_leader(seconds))

        def back() -> None:
            self.has_quorum = True
            if self.leader is not None:
                while self.pending:
                    self._commit()

        self.time.at(now_s + seconds, back)

    # --- what nodes send ---

    def receive(
        self,
        message: Message,
        reply: Callable[[Message | LinkFault], None] | None,
    ) -> None:
        """Take a message of a node; ``reply`` is where its answer goes."""
        subject = message.subject

        def answer(body: dict[str, Any]) -> None:
            if reply is not None:
                reply(Message("", {}, json.dumps(body).encode()))

        if self.is_leaderless and not subject.startswith("$JS.API."):
            return
        if subject.startswith(f"dn.{self.bucket}.ch."):
            for link in self.links:
                link.deliver(message)
        elif self.leader is None or (self.config is None and not subject.startswith("$JS.API.")):
            if reply is not None and self.random.random() < 0.7:
                reply(LinkFault.NO_RESPONDERS)
        elif subject.startswith("$KV."):
            self._take(message, answer)
        else:
            self._take_request(subject, message, answer)

    def _take_request(
        self, subject: str, message: Message, answer: Callable[[dict[str, Any]], None]
    ) -> None:
        if self.is_leaderless:
            answer(_error(503, 10008, "JetStream system temporarily unavailable"))
            return
        body = json.loads(message.data or b"{}")
        if ".STREAM.CREATE." in subject:
            if self.config is None:
                self.create(body)
            elif self.config != body:
                answer({"error": {"code": 500, "err_code": 10058, "description": "in use"}})
                return
        if self.config is None:
            answer({"error": {"code": 404, "err_code": 10059, "description": "stream not found"}})
            return
        assert self.leader is not None
        leader = self.replicas[self.leader]
        if ".MSG.GET." in subject:
            found: Stored | None = None
            if "last_by_subj" in body:
                found = leader.messages.get(leader.last.get(body["last_by_subj"], 0))
            else:
                found = next(
                    (m for m in leader.messages.values() if m.sequence >= body["seq"]), None
                )
            if found is None:
                error = {"code": 404, "err_code": 10037, "description": "no message found"}
                answer({"error": error})
            else:
                fields = {"seq": found.sequence, "subject": found.subject, "time": found.timestamp}
                answer({"message": fields})
        elif ".PURGE." in subject:
            purge = Purge(body["seq"], lambda subject: subject.count(".") > 2)
            self._propose(Entry([], answer, purge=purge))
        else:
            silent_s = 0.1 if self.has_quorum else self.time.now_s - self.quorum_lost_s
            silence_ns = int(silent_s * 1e9)
            answer(
                {
                    "config": self.config,
                    "cluster": {
                        "leader": f"n{self.leader + 1}",
                        "replicas": [{"active": silence_ns}] * (SERVERS - 1),
                    },
                    "created": self.created,
                    "state": {
                        "messages": len(leader.messages),
                        "first_seq": min(leader.messages, default=leader.position + 1),
                        "last_seq": leader.position,
                        "last_ts": self._now_text(),
                    },
                    "ts": self._now_text(),
                }
            )

    def _now_text(self) -> str:
        return time_text(self.time.now_s + self.skews_s[self.leader or 0])

    def _take(self, message: Message, answer: Callable[[dict[str, Any]], None]) -> None:
        headers = message.headers
        messages = [message]
        batch = headers.get("Nats-Batch-Id")
        if batch is not None:
            number = int(headers["Nats-Batch-Sequence"])
            parts = self.open_batches.setdefault(batch, []) if number == 1 else []
            parts = self.open_batches.get(batch, parts)
            if len(parts) + 1 != number:
                self.open_batches.pop(batch, None)
                if "Nats-Batch-Commit" in headers:
                    answer(_error(400, 10176, "atomic publish batch is incomplete"))
                return
            parts.append(message)
            if "Nats-Batch-Commit" not in headers:
                return
            messages = self.open_batches.pop(batch)
        error = self._error_of(messages)
        if error is not None:
            answer(error)
        else:
            self._propose(Entry(messages, answer))

    def _error_of(self, messages: list[Message]) -> dict[str, Any] | None:
        assert self.leader is not None
        leader = self.replicas[self.leader]
        under_way = {message.subject for entry in self.pending for message in entry.messages}
        own: set[str] = set()
        if len(messages) > 1000:
            return _error(400, 10199, "atomic publish batch is too large")
        for message in messages:
            if message.headers.get("Nats-Expected-Stream", self.stream) != self.stream:
                return _error(400, 10060, "expected stream does not match")
            expected = message.headers.get("Nats-Expected-Last-Subject-Sequence")
            if expected is not None:
                subject = message.headers.get(
                    "Nats-Expected-Last-Subject-Sequence-Subject", message.subject
                )
                if subject in own or subject in under_way:
                    return _error(400, 10164, "wrong last sequence")
                if leader.last.get(subject, 0) != int(expected):
                    last = leader.last.get(subject, 0)
                    return _error(400, 10071, f"wrong last sequence: {last}")
            own.add(message.subject)
            is_marker = self.takes_markers and len(messages) == 1
            if self.is_full and message.data and not is_marker:
                return _error(503, 10077, "maximum bytes exceeded")
        return None

    def _propose(self, entry: Entry) -> None:
        self.pending.append(entry)
        if self.has_quorum:
            self.time.at(self.time.now_s + 0.0005 + self.random.random() * 0.003, self._agree)

    def _agree(self) -> None:
        if self.pending and self.has_quorum and self.leader is not None:
            self._commit()

    def _commit(self) -> None:
        entry = self.pending.pop(0)
        now_s = self.time.now_s
        assert self.leader is not None
        timestamp = self._now_text()
        timestamp_ms = round((now_s + self.skews_s[self.leader] + EPOCH_S) * 1_000_000) // 1000
        for message in entry.messages:
            self.last_sequence += 1
            ttl = message.headers.get("Nats-TTL")
            frees_at_s = None if ttl is None else now_s + int(ttl)
            stored = Stored(
                self.last_sequence, message.subject, message.headers, message.data, timestamp,
                timestamp_ms, frees_at_s,
            )  # fmt: skip
            entry.stored.append(stored)
            if frees_at_s is not None:
                self.time.at(frees_at_s, partial(self._free, stored))
        before = len(self.made_entries)
        self.made_entries += entry.stored
        if entry.purge is not None:
            entry.removed = self.replicas[self.leader].matching(entry.purge)
            self.made_entries.append(entry.purge)
        count = len(self.made_entries)
        for number, replica in enumerate(self.replicas):
            if number == self.leader:
                replica.apply(self.made_entries, count, now_s)
            elif not replica.is_lagging:
                if self.random.random() < self.faults.replica_lags:
                    # It may have half of a batch.
                    replica.apply(self.made_entries, self.random.randint(before, count), now_s)
                    replica.is_lagging = True
                    late_s = self.random.random() * self.faults.lag_s
                    self.time.at(now_s + late_s, partial(self._level, replica))
                else:
                    replica.apply(self.made_entries, count, now_s)
        self.committed(entry)
        for stored in entry.stored:
            rest = stored.subject.removeprefix(f"$KV.{self.bucket}.")
            flow = Message(f"dn.{self.bucket}.log.{rest}", self._headers(stored), stored.data)
            for link in self.links:
                link.deliver_flow(flow, stored.sequence)
        if entry.reply is not None:
            if entry.stored:
                entry.reply({"stream": self.stream, "seq": self.last_sequence})
            else:
                entry.reply({"success": True})

    def _level(self, replica: Replica) -> None:
        if replica in self.replicas:
            replica.is_lagging = False
            replica.apply(self.made_entries, len(self.made_entries), self.time.now_s)

    def _free(self, stored: Stored) -> None:
        for replica in self.replicas:
            if replica.messages.get(stored.sequence) is stored:
                replica.remove(stored)

    def _headers(self, stored: Stored) -> dict[str, str]:
        return {
            **stored.headers,
            "Nats-Stream": self.stream,
            "Nats-Subject": stored.subject,
            "Nats-Sequence": str(stored.sequence),
            "Nats-Time-Stamp": stored.timestamp,
        }

    def page(self, body: dict[str, Any]) -> list[Message] | None:
        """Answer a Direct Get as any replica does; None if that one hangs."""
        if self.config is None or self.random.random() < self.faults.page_fault / 2:
            return None
        replica = self.random.choice(self.replicas)
        found = [m for m in replica.messages.values() if m.sequence >= body["seq"]]
        if not found:
            return [Message("", {"Status": "404", "Description": "Message Not Found"}, b"")]
        page = found[: min(body["batch"], self.random.choice((2, 7, 1000)))]
        parts = []
        before = 0
        for index, stored in enumerate(page):
            headers = self._headers(stored)
            headers["Nats-Num-Pending"] = str(len(found) - index - 1)
            headers["Nats-Last-Sequence"] = str(before)
            before = stored.sequence
            parts.append(Message("", headers, stored.data))
        end = {
            "Status": "204",
            "Description": "EOB",
            "Nats-Num-Pending": str(len(found) - len(page)),
            "Nats-Last-Sequence": str(before),
        }
        parts.append(Message("", end, b""))
        if self.random.random() < self.faults.page_fault and len(parts) > 2:
            del parts[self.random.randrange(len(parts) - 1)]
        return parts


def _error(code: int, number: int, description: str) -> dict[str, Any]:
    return {"error": {"code": code, "err_code": number, "description": description}}


class Subscription:
    __slots__ = ("is_over", "receive", "subject")

    def __init__(self, subject: str, receive: Callable[[Message], None]) -> None:
        self.subject = subject
        self.receive = receive
        self.is_over = False

    def cancel(self) -> None:
        self.is_over = True


class Request:
    """A request under way."""

    __slots__ = ("answer", "timer")

    def __init__(self, answer: TakeAnswer) -> None:
        self.answer: TakeAnswer | None = answer
        self.timer: Timer | None = None

    def cancel(self) -> None:
        self.answer = None
        if self.timer is not None:
            self.timer.cancel()

    def end(self, answer: Message | LinkFault) -> None:
        called = self.answer
        self.cancel()
        if called is not None:
            called(answer)


class SimulatedLink:
    """The connection of one node; what is sent over it stays in its order.

    ``sent`` is told of each message that the node sends.
    """

    def __init__(self, cluster: SimulatedCluster, process: Process) -> None:
        self._cluster = cluster
        self._time = cluster.time
        self._process = process
        self._random = cluster.random
        self._changed: list[Callable[[], None]] = []
        self._subscriptions: list[Subscription] = []
        self._sent_s = 0.0
        self._received_s = 0.0
        self._connection = 0
        self._is_closed = False
        self.held_until_s = 0.0
        self.is_connected = False
        self._take_denial: Callable[[Denial], object] = lambda _denial: None
        self._denied: tuple[str, ...] = ()
        self.changes_of_server = 0
        self.sent: Callable[[Message], object] = lambda _message: None
        cluster.links.append(self)

    @property
    def max_payload(self) -> int:
        return self._cluster.max_payload

    @property
    def reason(self) -> str | None:
        return None if self.is_connected else "connection lost"

    def on_change(self, changed: Callable[[], None]) -> None:
        self._changed.append(changed)

    def on_denied(self, take: Callable[[Denial], bool]) -> None:
        self._take_denial = take

    def deny(self, *subjects: str) -> None:
        """Take away these rights, and give back all others; a subject may end with `>`."""
        self._denied = tuple(subject.removesuffix(">") for subject in subjects)
        self.subscribe_again()

    def subscribe_again(self) -> None:
        for subscription in self._subscriptions:
            if self._is_denied(subscription.subject):
                subject = subscription.subject.lower() + ">"
                self._later(0.001, partial(self._take_denial, Denial(True, subject)))

    def _is_denied(self, subject: str) -> bool:
        return bool(self._denied) and subject.startswith(self._denied)

    def _end_denied(self, message: Message, request: Request) -> None:
        def end() -> None:
            self._tell_denied(message)
            request.end(LinkFault.DENIED)

        self._later(0.001, end)

    def _tell_denied(self, message: Message) -> None:
        self._take_denial(Denial(False, message.subject.lower()))

    def start(self) -> None:
        self._later(0.01, self.connect)

    def connect(self) -> None:
        self._set_connected(True)

    def cut(self, seconds: float) -> None:
        """Lose the connection, and all that is under way in it."""
        self._set_connected(False)
        self._later(seconds, self.connect)

    def _set_connected(self, is_connected: bool) -> None:
        if is_connected != self.is_connected:
            self.is_connected = is_connected
            self._connection += 1
            for changed in self._changed:
                self._time.at(self._time.now_s, changed, self._process)

    def _later(self, seconds: float, action: Callable[[], None]) -> Timer:
        return self._time.at(self._time.now_s + seconds, action, self._process)

    def _send(self, action: Callable[[], None]) -> None:
        delay_s = 0.0002 + self._random.random() * 0.001
        self._sent_s = max(self._sent_s, self._time.now_s + delay_s, self.held_until_s)
        connection = self._connection
        # What a server holds is delivered even if the node has gone.
        is_held = self.held_until_s > self._time.now_s
        self._time.at(
            self._sent_s,
            lambda: (
                action() if is_held or self._is_closed or connection == self._connection else None
            ),
        )

    def publish(self, message: Message) -> None:
        self.sent(message)
        if self._is_denied(message.subject):
            self._later(0.001, lambda: self._tell_denied(message))
        elif self.is_connected and self._random.random() >= self._cluster.faults.part_lost:
            self._send(lambda: self._cluster.receive(message, None))

    def _request(self, message: Message, request: Request) -> None:
        connection = self._connection

        def reply(answer: Message | LinkFault) -> None:
            if self._random.random() >= self._cluster.faults.answer_lost:
                self._later(
                    0.0002 + self._random.random() * 0.001,
                    lambda: request.end(answer) if connection == self._connection else None,
                )

        self._send(lambda: self._cluster.receive(message, reply))

    def request(self, message: Message, timeout_s: float, answer: TakeAnswer) -> Request:
        self.sent(message)
        request = Request(answer)
        if not self.is_connected:
            request.timer = self._later(0, lambda: request.end(LinkFault.DISCONNECTED))
            return request
        request.timer = self._later(timeout_s, lambda: request.end(LinkFault.TIMEOUT))
        if self._is_denied(message.subject):
            self._end_denied(message, request)
        else:
            self._request(message, request)
        return request

    def request_many(
        self,
        message: Message,
        timeout_s: float,
        take_part: Callable[[Message], bool],
        done: Callable[[LinkFault | None], None],
    ) -> Request:
        self.sent(message)
        request = Request(lambda answer: done(answer if isinstance(answer, LinkFault) else None))
        if not self.is_connected:
            request.timer = self._later(0, lambda: request.end(LinkFault.DISCONNECTED))
            return request
        request.timer = self._later(timeout_s, lambda: request.end(LinkFault.TIMEOUT))
        if self._is_denied(message.subject):
            self._end_denied(message, request)
            return request
        connection = self._connection

        def take(parts: list[Message]) -> None:
            for part in parts:
                if request.answer is None or connection != self._connection:
                    return
                if take_part(part):
                    request.end(part)

        def answer() -> None:
            parts = self._cluster.page(json.loads(message.data))
            if parts is not None:
                self._later(0.001, lambda: take(parts))

        self._send(answer)
        return request

    def change_server(self) -> None:
        self.changes_of_server += 1
        self._set_connected(False)
        self._later(0.1, self.connect)

    def subscribe(self, subject: str, receive: Callable[[Message], None]) -> Subscription:
        subscription = Subscription(subject.removesuffix(">"), receive)
        self._subscriptions.append(subscription)
        return subscription

    def deliver_flow(self, message: Message, sequence: int) -> None:
        faults, random = self._cluster.faults, self._random
        # A node that is not away sees something of a new stream before that is as long as the one
        # before: nothing else would tell it from that.
        if not self.is_connected or (sequence > 5 and random.random() < faults.flow_lost):
            return
        self.deliver(message)
        if random.random() < faults.flow_twice:
            self._deliver_at(self._time.now_s + random.random() * 0.5, message)

    def deliver(self, message: Message) -> None:
        if not self.is_connected or self._process.is_gone:
            return
        late = self._random.random() < self._cluster.faults.flow_late
        delay_s = self._random.random() * (0.2 if late else 0.001) + 0.0002
        due_s = self._time.now_s + delay_s
        if not late:
            due_s = self._received_s = max(self._received_s, due_s)
        self._deliver_at(due_s, message)

    def _deliver_at(self, due_s: float, message: Message) -> None:
        connection = self._connection

        def receive() -> None:
            if connection != self._connection:
                return
            for subscription in self._subscriptions:
                is_meant = message.subject.startswith(subscription.subject)
                if is_meant and not (subscription.is_over or self._is_denied(subscription.subject)):
                    subscription.receive(message)

        self._time.at(due_s, receive, self._process)

    async def close(self) -> None:
        self._is_closed = True  # what was sent arrives
        self._set_connected(False)
        self._cluster.links.remove(self)
