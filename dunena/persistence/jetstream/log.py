"""A log in a stream of NATS JetStream; no I/O but by the link that it is given."""

import logging
from collections.abc import Callable
from typing import Final

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.catching_up import CatchUp
from dunena.persistence.jetstream.channels import NodeChannels
from dunena.persistence.jetstream.clock import LogClock
from dunena.persistence.jetstream.delivery import Delivery, batch_of_proposal
from dunena.persistence.jetstream.epochs import EpochMark, Epochs
from dunena.persistence.jetstream.floor import Floor
from dunena.persistence.jetstream.follower import Flow
from dunena.persistence.jetstream.health import Health
from dunena.persistence.jetstream.leader import REQUEST_TIMEOUT_S, StreamLeader
from dunena.persistence.jetstream.loading import StreamReading
from dunena.persistence.jetstream.losses import LossDetector, is_possible
from dunena.persistence.jetstream.missing_rights import MissingRights
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.nodes import FloorClaim, NodeTable, marker_fields
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.proposals import Proposals
from dunena.persistence.jetstream.records import TOMBSTONE_S, record_of
from dunena.persistence.jetstream.stream_requests import StreamFacts, StreamRequests
from dunena.persistence.jetstream.terms import ONLY_READS, LogTerms
from dunena.persistence.jetstream.wire import Cancellable, Link, LinkFault, Message, Scheduler
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

CHECK_S: Final = 5.0
"""At the latest after so long the leader is asked how the stream is, also while it is busy."""

GAP_S: Final = 0.01
"""How long a message may be late before it is fetched."""

_logger = logging.getLogger(__name__)


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
        self._floor = Floor()
        self._figures = LogFigures()
        self._epochs = Epochs(self._requests.stream, self._names, node, is_reader=terms.is_reader)
        self._flow = Flow(self._deliver_soon, self._repair_soon, self._take_replaced)
        self._leader = StreamLeader(link, scheduler, self._requests, may_create=not terms.is_reader)
        self._catch_up = CatchUp(link, scheduler, self._requests, self._leader, self._flow, self)
        self._proposals = Proposals(
            link, scheduler, terms, node, self._names, self._places, self._requests,
            self._figures, self,
        )  # fmt: skip
        self._delivery = Delivery(
            self._names, node, self._places, self._nodes, self._clock, self._floor,
            self._proposals.take_marker, self._take_mark,
        )  # fmt: skip
        self._losses = LossDetector(
            link, scheduler, self._requests, self._names, self._places, self._epochs, self.lose
        )
        self._reading_places = self._places
        self._reading_nodes = self._nodes
        self._follower: LogFollower | None = None
        self._channels = NodeChannels(link, self._names, node, self._take_told)
        self._health = Health(link, scheduler, self._leader, self._proposals)
        self._rights = MissingRights(link, scheduler, terms, self._requests)
        self._timer: Cancellable | None = None
        self._is_closed = False
        self._taken_before = 0
        self._checked_s = 0.0
        self._told: tuple[object, ...] | None = None
        self.confirmed_at = 0

    # --- what the server asks ---

    @property
    def node(self) -> str:
        """The id of this node."""
        return self._node

    @property
    def status(self) -> LogStatus:
        """The present state."""
        health = self._health
        state = health.state
        return LogStatus(
            state,
            self._link.is_connected,
            state is LogState.READY and self._proposals.is_idle and not self._terms.is_reader,
            int(health.stale_s * 1000) if state is LogState.STALE else 0,
            self._flow.missing,
            None if state is LogState.READY else self._reason,
            self._nodes.live(self.now, self._node),
            self._proposals.refusing.reason if state is LogState.READY else None,
            (self._rights.reason or self._leader.mismatch) if state is LogState.READY else None,
        )

    @property
    def _reason(self) -> str | None:
        """Why the log cannot be used: what is denied is the cause of much else."""
        return self._link.reason or self._rights.reason or self._health.reason

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
        self._link.on_change(self._change_connection)
        self._link.subscribe(self._names.flow, self._flow.take)
        self._link.start()
        self._catch_up.load()
        self._timer = self._scheduler.call_later(TICK_S, self._tick)

    def propose(self, proposal: Proposal) -> None:
        """Store a proposal."""
        if self._health.is_loaded:
            refusal = self._proposals.propose(proposal)
        else:
            reason = self._reason or "it is not loaded yet"
            refusal = Refusal(RefusalKind.UNAVAILABLE, reason)
        if refusal is not None:
            told = refusal
            self._soon(lambda: self.refuse(proposal.number, told))

    def last_sign_of(self, node: str) -> int | None:
        """The log's time of the last sign of life of a node."""
        return self._nodes.last_sign_of(node)

    def tell(self, channel: str, data: bytes) -> str | None:
        """Send a message to all nodes that listen; return why not, None if it was sent."""
        if self._terms.is_reader:
            return ONLY_READS
        if not self._link.is_connected:
            return self.status.reason or "not connected"
        self._channels.tell(channel, data)
        return None

    def listen(self, channel: str, *, wanted: bool) -> None:
        """Begin or end to receive the messages of a channel."""
        self._channels.listen(channel, wanted=wanted)

    async def close(self) -> None:
        """Say that this node has gone, and disconnect."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._proposals.close()
        self._catch_up.close()
        if self._health.is_loaded and not self._terms.is_reader:
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

    @property
    def denied(self) -> str | None:
        """What the servers do not let this node do."""
        return self._rights.reason

    @property
    def floor(self) -> FloorClaim | None:
        """What this node knows of removals; None before it has loaded."""
        if not self._health.is_loaded:
            return None
        return FloorClaim(self._floor.at(self.confirmed_at), self.confirmed_at)

    def catch_up(self, then: Callable[[], None]) -> None:
        """Call ``then`` when everything was delivered that the stream has at this moment."""
        self._catch_up.catch_up(then)

    def lose(self, what: str) -> None:
        """Learn that the stream has lost something, and load everything anew."""
        if not self._leader.is_silent:  # else it may be cut off, and not know of it yet
            self.note_loss(what)
            self._soon(self._reload)

    def note_loss(self, what: str) -> None:
        """Learn that the stream has lost something; it is loaded anew already."""
        if self._health.is_loaded and self._epochs.lose():
            text = "The stream %s %s: all is loaded anew, in another epoch"
            _logger.warning(text, self._requests.stream, what)

    def miss_marker(self) -> None:
        """Learn that the stream has not got this node's marker any more."""
        if self._places.is_sure(self._names.subject_of_node(self._node), self.now):
            self.lose("has lost the marker of this node")

    def refuse(self, number: int, refusal: Refusal) -> None:
        """Tell the server of a refusal."""
        if self._follower is not None and not self._is_closed:
            self._follower.refuse(number, refusal)

    def take_facts(self, facts: StreamFacts) -> None:
        """Learn what the leader said of messages that were all delivered."""
        self._clock.take(facts.timestamp, self._scheduler.now_s())
        self.confirmed_at = facts.timestamp
        self._losses.look(facts, self.position, self.now)

    def begin_loading(self) -> StreamReading:
        """Return what takes all messages of a stream."""
        self._reading_places = Places(self._names)
        self._reading_nodes = NodeTable()
        self._epochs.begin_loading()
        return StreamReading(
            self._names, self._reading_places, self._reading_nodes, Floor(), is_all=True
        )

    def is_whole(self, reading: StreamReading, facts: StreamFacts, position: int) -> bool:
        """Whether what was loaded up to a position can be what the stream has."""
        return is_possible(facts, position, self._reading_places, facts.timestamp)

    def mark_before(self, reading: StreamReading, facts: StreamFacts) -> Message | None:
        """Return the mark of an epoch that has to begin before this is taken over, or None."""
        loaded = (reading.mark, reading.newest, facts.created, facts.timestamp)
        return self._epochs.message(reading.mark) if self._epochs.needs_mark(*loaded) else None

    def take_marked(self, answer: Message | LinkFault) -> None:
        """Learn what has become of such a mark."""
        self._epochs.take_answer(answer)

    def take_loaded(self, reading: StreamReading, facts: StreamFacts, position: int) -> None:
        """Take over everything up to a position."""
        epochs = self._epochs
        before = epochs.current
        epochs.take_loaded(reading.mark, reading.newest, facts.created, facts.timestamp)
        self._losses.end()
        contents = reading.everything(epochs.current, position, facts.timestamp)
        is_other = self._health.is_loaded and epochs.current != before
        self._clock.take(facts.timestamp, self._scheduler.now_s())
        self._nodes.replace(self._reading_nodes)
        self._floor.replace(reading.floor)
        marker = reading.markers.get(self._node)
        place, number = (0, None) if marker is None else _fields_of(marker)
        stored = self._proposals.take_loaded(place, number, is_other=is_other)
        own = None
        if stored is not None and marker is not None:
            own = batch_of_proposal(stored, self._node, marker, {})
            self._free_cleared([own])
        self._places.replace(self._reading_places)
        self._health.is_loaded = True
        self._figures.loads += 1
        if self._follower is not None:
            self._follower.load(contents, own)
        self._soon(self._go_on)

    def take_batches(self) -> None:
        """Deliver what the flow has in its order."""
        now_s = self._scheduler.now_s()
        batch_of = self._delivery.batch_of
        batches = [batch_of(messages, now_s) for messages in self._flow.cut()]
        if batches:
            self._leader.hear()
            self.confirmed_at = max(self.confirmed_at, self._clock.newest)
            for batch in batches:
                if batch.groups:
                    self._figures.batches += 1
                    self._figures.changes += sum(map(len, batch.groups))
            self._apply(batches)
            self._free_cleared(batches)

    def take_repaired(self, messages: list[Message], position: int) -> int:
        """Deliver the newest state of what was changed up to a position."""
        reading = StreamReading(self._names, self._places, self._nodes, self._floor, is_all=False)
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
            self._free_cleared([own])
        contents = reading.contents(self._epochs.current, position)
        removed = reading.removed()
        if self._follower is not None:
            self._follower.repair(contents, removed, own)
        if reading.mark.sequence:
            self._take_mark(reading.mark)
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

    def _take_replaced(self) -> None:
        self.note_loss("has other messages than were delivered")
        self._soon(self._reload)

    def _take_mark(self, mark: EpochMark) -> None:
        """Learn of the mark of another epoch, which is loaded after what was delivered with it."""
        self._epochs.delivered = mark
        self._soon(self._reload)

    def _reload(self) -> None:
        if self._health.is_loaded and not self._is_closed and not self._catch_up.is_running:
            self._flow.restart(self._leader.created or "")
            self._catch_up.load()

    def _change_connection(self) -> None:
        if self._is_closed or not self._health.has_changed_connection():
            return
        if self._link.is_connected:
            self._soon(self._check)
        elif self._health.is_loaded and not self._catch_up.is_running:
            # What comes with the next connection may be another stream's.
            self.take_batches()
            self._flow.hold()
        self._soon(self._tell_state)

    def _check(self) -> None:
        if not self._is_closed and self._health.is_loaded:
            self._catch_up.check()
            self._look_at_epoch()
            self._proposals.retry()

    def _tick(self) -> None:
        self._timer = self._scheduler.call_later(TICK_S, self._tick)
        self._health.leave_silent_server()
        self._rights.look()
        if self._health.is_loaded:
            taken = self._flow.taken_messages
            now_s = self._scheduler.now_s()
            if taken == self._taken_before or now_s - self._checked_s >= CHECK_S:
                self._checked_s = now_s
                self._catch_up.check()
                self._look_at_epoch()
            self._taken_before = taken
            now = self.now
            last_sign = self._nodes.last_sign_of(self._node)
            is_due = last_sign is None or now - last_sign > SIGN_S * 1000
            if is_due or self._proposals.refusing.reason is not None:
                self._proposals.send_sign()
            self._places.forget_due(now)
            self._nodes.forget_old(now)
        self._tell_state()

    def _look_at_epoch(self) -> None:
        """Load another epoch that has begun, or begin one, or look whether it is still this one."""
        epochs = self._epochs
        if epochs.delivered != epochs.loaded:
            self._reload()
        elif epochs.is_own and not self._terms.is_reader:
            # Its delivery is what counts.
            message = epochs.message(epochs.loaded)
            self._link.request(message, REQUEST_TIMEOUT_S, lambda _answer: None)
        else:
            self._losses.ask_for_mark(self._followed_to)

    def _followed_to(self) -> int | None:
        is_sure = not (self._catch_up.is_running or self._leader.is_silent)
        return self.position if is_sure else None

    def _tell_state(self) -> None:
        status = self.status
        told = (status.state, status.nodes, status.is_connected, status.refusal, status.warning)
        if told != self._told and self._follower is not None and not self._is_closed:
            self._told = told
            self._follower.change_state()

    # --- what the server is told ---

    def _apply(self, batches: list[LogBatch]) -> None:
        if self._follower is not None:
            self._follower.apply(batches)

    def _take_told(self, channel: str, data: bytes) -> None:
        if self._follower is not None and not self._is_closed:
            self._follower.message(channel, data)

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
