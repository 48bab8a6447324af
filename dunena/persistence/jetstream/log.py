"""A log in a stream of NATS JetStream; no I/O but by the link that it is given."""

from collections.abc import Callable
from typing import Final

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.catching_up import REQUEST_TIMEOUT_S, CatchUp
from dunena.persistence.jetstream.clock import LogClock
from dunena.persistence.jetstream.delivery import Delivery, batch_of_proposal
from dunena.persistence.jetstream.follower import Flow
from dunena.persistence.jetstream.loading import StreamReading
from dunena.persistence.jetstream.naming import SubjectNames, decode_token
from dunena.persistence.jetstream.nodes import NodeTable, marker_fields
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.proposals import Proposals
from dunena.persistence.jetstream.records import TOMBSTONE_S, record_of
from dunena.persistence.jetstream.stream_requests import StreamFacts, StreamRequests
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Cancellable, Link, Message, Scheduler
from dunena.persistence.log import (
    LogBatch,
    LogFigures,
    LogFollower,
    LogState,
    LogStatus,
    OpKind,
    Proposal,
    Record,
    Refusal,
    RefusalKind,
)

MESSAGE_OVERHEAD_BYTES: Final = 2048
"""Of a value's message besides the value: its headers and those that the server adds."""

PAYLOAD_BYTES: Final = 1024 * 1024
"""What servers take by default, as long as none has said otherwise."""

TICK_S: Final = 1.0
SIGN_S: Final = 2.5
"""After so long without a marker of this node it writes one, at the next tick."""

GAP_S: Final = 0.01
"""How long a message may be late before it is fetched."""

STALE_S: Final = 3.0
"""How long a log need not answer to be taken for one that does not."""


class JetStreamLog:
    """The log of one node; see `Log`."""

    def __init__(self, link: Link, scheduler: Scheduler, terms: LogTerms, node: str) -> None:
        self._link = link
        self._scheduler = scheduler
        self._terms = terms
        self._node = node
        self._names = SubjectNames(terms.bucket, terms.domain)
        self._requests = StreamRequests(terms)
        self._places = Places(self._names)
        self._nodes = NodeTable()
        self._clock = LogClock()
        self._figures = LogFigures()
        self._flow = Flow(self._deliver_soon, self._repair_soon, self.reload)
        self._catch_up = CatchUp(
            link, scheduler, self._requests, self._flow, self, may_create=not terms.is_reader
        )
        self._proposals = Proposals(
            link, scheduler, terms, node, self._names, self._places, self._requests,
            self._figures, self,
        )  # fmt: skip
        self._delivery = Delivery(
            self._names, node, self._places, self._nodes, self._clock, self._proposals.take_marker
        )
        self._reading_places = self._places
        self._reading_nodes = self._nodes
        self._follower: LogFollower | None = None
        self._channels: dict[str, Cancellable] = {}
        self._timer: Cancellable | None = None
        self._is_closed = False
        self._is_loaded = False
        self._was_connected = False
        self._silent_since_s = 0.0
        self._taken_before = 0
        self._last_sign_s = float("-inf")
        self._told: tuple[LogState, tuple[str, ...], bool] | None = None
        self._epoch = ""
        self.confirmed_at = 0

    # --- what the server asks ---

    @property
    def node(self) -> str:
        """The id of this node."""
        return self._node

    @property
    def status(self) -> LogStatus:
        """The present state."""
        stale_s = self._stale_s()
        state = LogState.READY
        if not self._is_loaded:
            state = LogState.STARTING
        elif stale_s > 0:
            state = LogState.STALE
        return LogStatus(
            state,
            self._link.is_connected,
            state is LogState.READY and self._proposals.is_idle and not self._terms.is_reader,
            int(stale_s * 1000),
            self._flow.missing,
            None if state is LogState.READY else self._link.reason or self._catch_up.reason,
            self._nodes.live(self.now, self._node),
        )

    @property
    def figures(self) -> LogFigures:
        """The counters."""
        self._figures.fetched_entries = self._catch_up.fetched
        return self._figures

    @property
    def value_bytes_max(self) -> int:
        """The largest JSON text of a value, in bytes."""
        return (self._link.max_payload or PAYLOAD_BYTES) - MESSAGE_OVERHEAD_BYTES

    @property
    def now(self) -> int:
        """The log's time as this node estimates it, Unix ms."""
        return self._clock.now(self._scheduler.now_s())

    def start(self, follower: LogFollower) -> None:
        """Connect and load, and then follow."""
        self._follower = follower
        self._silent_since_s = self._scheduler.now_s()
        self._link.on_change(self._change_connection)
        self._link.subscribe(self._names.flow, self._flow.take)
        self._link.start()
        self._catch_up.load()
        self._timer = self._scheduler.call_later(TICK_S, self._tick)

    def propose(self, proposal: Proposal) -> None:
        """Store a proposal."""
        if self._is_loaded:
            refusal = self._proposals.propose(proposal)
        else:
            reason = self._link.reason or self._catch_up.reason or "it is not loaded yet"
            refusal = Refusal(RefusalKind.UNAVAILABLE, reason)
        if refusal is not None:
            told = refusal
            self._soon(lambda: self.refuse(proposal.number, told))

    def last_sign_of(self, node: str) -> int | None:
        """The log's time of the last sign of life of a node."""
        return self._nodes.last_sign_of(node)

    def tell(self, channel: str, data: bytes) -> None:
        """Send a message to all nodes that listen."""
        self._link.publish(Message(self._names.subject_of_channel(channel), {}, data))

    def listen(self, channel: str, *, wanted: bool) -> None:
        """Begin or end to receive the messages of a channel."""
        subject = self._names.subject_of_channel(channel)
        if wanted and channel not in self._channels:
            self._channels[channel] = self._link.subscribe(subject, self._take_told)
        elif not wanted and channel in self._channels:
            self._channels.pop(channel).cancel()

    async def close(self) -> None:
        """Say that this node has gone, and disconnect."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._proposals.close()
        self._catch_up.close()
        if self._is_loaded and not self._terms.is_reader:
            subject = self._names.subject_of_node(self._node)
            headers = {header.OPERATION: header.PURGE, header.FREED_AFTER: str(TOMBSTONE_S)}
            self._link.publish(Message(self._names.written_to(subject), headers, b""))
        await self._link.close()

    # --- what the proposals and the catching up ask ---

    @property
    def position(self) -> int:
        """The sequence up to which everything was delivered."""
        return self._flow.boundary

    @property
    def since(self) -> int:
        """The sequence of this node's first marker, 0 if it has none."""
        return self._nodes.since_of(self._node)

    def catch_up(self, then: Callable[[], None]) -> None:
        """Call ``then`` when everything was delivered that the stream has at this moment."""
        self._catch_up.catch_up(then)

    def reload(self) -> None:
        """Load everything anew."""
        self._soon(self._reload)

    def refuse(self, number: int, refusal: Refusal) -> None:
        """Tell the server of a refusal."""
        if self._follower is not None and not self._is_closed:
            self._follower.refuse(number, refusal)

    def take_facts(self, facts: StreamFacts) -> None:
        """Learn what the leader said, when nothing is missing."""
        self._clock.take(facts.timestamp, self._scheduler.now_s())
        self.confirmed_at = facts.timestamp

    def begin_loading(self) -> StreamReading:
        """Return what takes all messages of a stream."""
        self._reading_places = Places(self._names)
        self._reading_nodes = NodeTable()
        return StreamReading(
            self._names, self._reading_places, self._reading_nodes, keeps_removed=False
        )

    def take_loaded(self, reading: StreamReading, facts: StreamFacts, position: int) -> None:
        """Take over everything up to a position."""
        epoch = facts.epoch(self._requests.stream)
        contents = reading.contents(epoch, position)
        is_other = self._is_loaded and epoch != self._epoch
        self._epoch = epoch
        self._clock.take(facts.timestamp, self._scheduler.now_s())
        self._places.replace(self._reading_places)
        self._nodes.replace(self._reading_nodes)
        marker = reading.markers.get(self._node)
        place, number = (0, None) if marker is None else _fields_of(marker)
        stored = self._proposals.take_loaded(place, number, is_other=is_other)
        if stored is not None and marker is not None:
            self._apply([batch_of_proposal(stored, self._node, marker, {})])
        self._is_loaded = True
        self._figures.loads += 1
        if self._follower is not None:
            self._follower.load(contents)
        self._soon(self._go_on)

    def take_batches(self) -> None:
        """Deliver what the flow has in its order."""
        now_s = self._scheduler.now_s()
        batches = []
        batch_of = self._delivery.batch_of
        count = 0
        cut = self._flow.cut()
        for messages in cut:
            batch = batch_of(messages, now_s)
            if batch is not None:
                batches.append(batch)
                for group in batch.groups:
                    count += len(group)
        if cut:
            self.confirmed_at = max(self.confirmed_at, self._clock.newest)
        if batches:
            self._figures.batches += len(batches)
            self._figures.changes += count
            self._apply(batches)
            self._free_cleared(batches)

    def take_repaired(self, messages: list[Message], position: int) -> int:
        """Deliver the newest state of what was changed up to a position."""
        reading = StreamReading(self._names, self._places, self._nodes, keeps_removed=True)
        for message in messages:
            reading.add(message)
        self._clock.take(reading.newest, self._scheduler.now_s())
        self._figures.gaps += 1
        marker = reading.markers.get(self._node)
        stored = None if marker is None else self._proposals.take_marker(*_fields_of(marker))
        own = None
        if stored is not None and marker is not None:
            found = {}
            for message in messages:
                record = record_of(message, self._names)
                if record is not None:
                    found[record.revision] = record
            own = batch_of_proposal(stored, self._node, marker, found)
        contents = reading.contents(self._epoch, position)
        removed = reading.removed()
        if self._follower is not None:
            self._follower.repair(contents, removed, own)
        self._soon(self._go_on)
        return reading.newest

    # --- time, and the connection ---

    def _soon(self, action: Callable[[], None]) -> None:
        self._scheduler.call_later(0, action)

    def _deliver_soon(self) -> None:
        self._soon(self._deliver)

    def _deliver(self) -> None:
        if self._is_closed or self._flow.is_holding:
            return
        self.take_batches()
        self._catch_up.tell_waiting()

    def _go_on(self) -> None:
        """Do what follows a delivery of another kind."""
        if not self._is_closed:
            self._catch_up.tell_waiting()
            self._proposals.send_sign()
            self._tell_state()

    def _repair_soon(self) -> None:
        self._scheduler.call_later(GAP_S, self._repair_if_missing)

    def _repair_if_missing(self) -> None:
        if self._flow.missing and not self._is_closed:
            self._catch_up.repair()

    def _reload(self) -> None:
        if self._is_loaded and not self._is_closed and not self._catch_up.is_running:
            self._flow.restart(self._catch_up.created or "")
            self._catch_up.load()

    def _change_connection(self) -> None:
        is_connected = self._link.is_connected
        if is_connected == self._was_connected or self._is_closed:
            return
        self._was_connected = is_connected
        if not is_connected:
            self._silent_since_s = self._scheduler.now_s()
            if self._is_loaded and not self._catch_up.is_running:
                # What comes with the next connection may be another stream's.
                self.take_batches()
                self._flow.hold()
        else:
            self._soon(self._check)
        self._soon(self._tell_state)

    def _check(self) -> None:
        if not self._is_closed and self._is_loaded:
            self._catch_up.check()
            self._proposals.retry()

    def _tick(self) -> None:
        self._timer = self._scheduler.call_later(TICK_S, self._tick)
        if self._is_loaded:
            taken = self._flow.taken_messages
            if taken == self._taken_before:
                self._catch_up.check()
            self._taken_before = taken
            now = self.now
            last_sign = self._nodes.last_sign_of(self._node)
            if last_sign is None or now - last_sign > SIGN_S * 1000:
                self._proposals.send_sign()
            self._places.forget_due(now)
            self._nodes.forget_old(now)
        self._tell_state()

    def _stale_s(self) -> float:
        """How long the log has not answered, 0 if it does."""
        now_s = self._scheduler.now_s()
        since_s = self._proposals.unanswered_since_s
        if not self._link.is_connected:
            since_s = (
                self._silent_since_s if since_s is None else min(since_s, self._silent_since_s)
            )
        if since_s is None or now_s - since_s <= STALE_S:
            return 0.0
        return now_s - since_s

    def _tell_state(self) -> None:
        status = self.status
        told = (status.state, status.nodes, status.is_connected)
        if told != self._told and self._follower is not None and not self._is_closed:
            self._told = told
            self._follower.change_state()

    # --- what the server is told ---

    def _apply(self, batches: list[LogBatch]) -> None:
        if self._follower is not None:
            self._follower.apply(batches)

    def _take_told(self, message: Message) -> None:
        token = message.subject[len(self._names.channels) :]
        channel = decode_token(token)
        if channel is not None and channel in self._channels and self._follower is not None:
            self._follower.message(channel, message.data)

    def _free_cleared(self, batches: list[LogBatch]) -> None:
        """Let the stream free what a CLEAR of this node has removed."""
        for batch in batches:
            if batch.node != self._node:
                continue
            for group in batch.groups:
                for record in group:
                    if record.op.kind is OpKind.CLEAR:
                        self._purge(record)

    def _purge(self, cleared: Record) -> None:
        request = self._requests.purge_keys(cleared.revision)
        self._link.request(request, REQUEST_TIMEOUT_S, lambda _answer: None)


def _fields_of(marker: Message) -> tuple[int, int | None]:
    """Return the sequence of a marker, and the number of the proposal that it begins."""
    return int(marker.headers[header.SEQUENCE]), marker_fields(marker.data)[0]
