"""Makes what nodes are told of the messages of a stream; no I/O."""

from collections.abc import Callable
from dataclasses import replace

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.clock import LogClock
from dunena.persistence.jetstream.epochs import EpochMark, mark_of
from dunena.persistence.jetstream.floor import Floor
from dunena.persistence.jetstream.headers import freed_at, milliseconds_of
from dunena.persistence.jetstream.loading import FREED_LATER_MS
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.nodes import NodeTable, marker_fields
from dunena.persistence.jetstream.places import TOMBSTONES_MS, Places
from dunena.persistence.jetstream.records import record_of
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import LogBatch, OpKind, Proposal, Record
from dunena.store.limits import EXPIRES_AT_MS_MAX

_SET = OpKind.SET
_CLEAR = OpKind.CLEAR
_NOTE = OpKind.NOTE

TakeMarker = Callable[[int, int | None], Proposal | None]
"""Learns of a delivered marker of this node; see `Proposals.take_marker`."""

TakeMark = Callable[[EpochMark], None]
"""Learns that another epoch has begun."""


class Delivery:
    """Turns whole batches of messages into records; nodes, places and others learn of them."""

    __slots__ = (
        "_clock", "_floor", "_names", "_node", "_nodes", "_places", "_take_mark", "_take_marker"
    )  # fmt: skip

    def __init__(
        self,
        names: SubjectNames,
        node: str,
        places: Places,
        nodes: NodeTable,
        clock: LogClock,
        floor: Floor,
        take_marker: TakeMarker,
        take_mark: TakeMark,
    ) -> None:
        self._floor = floor
        self._names = names
        self._node = node
        self._places = places
        self._nodes = nodes
        self._clock = clock
        self._take_marker = take_marker
        self._take_mark = take_mark

    def batch_of(self, messages: list[Message], now_s: float) -> LogBatch:
        """Return what a node makes of a whole batch, which may be nothing.

        ``now_s`` is when it was received, on the clock of the own machine.
        """
        places, names = self._places, self._names
        node, number = "", None
        groups: list[tuple[Record, ...]] = []
        group: list[Record] = []
        for message in messages:
            headers = message.headers
            subject = headers[header.SUBJECT]
            record = record_of(message, names)
            places.put(subject, int(headers[header.SEQUENCE]), freed_at(headers))
            if record is None:
                marked = names.node_of(subject)
                if marked is not None:
                    node = marked
                    number = self._learn_of(marked, message, number)
                elif subject == names.epoch:
                    self._take_mark(mark_of(message))
                continue
            if record.op.kind is not _SET:
                self._learn_of_other(record, subject, headers)
            group.append(record)
            if header.MORE not in headers:
                groups.append(tuple(group))
                group = []
        if group:
            groups.append(tuple(group))
        last = messages[-1].headers
        timestamp = milliseconds_of(last[header.TIMESTAMP])
        self._clock.take(timestamp, now_s)
        return LogBatch(node, number, int(last[header.SEQUENCE]), timestamp, tuple(groups))

    def _learn_of(self, node: str, message: Message, number: int | None) -> int | None:
        """Learn of a marker; return the number of this node's proposal that it begins."""
        self._nodes.take(node, message)
        if node != self._node:
            return number
        sequence = int(message.headers[header.SEQUENCE])
        proposal = self._take_marker(sequence, marker_fields(message.data)[0])
        # A batch may have a second marker.
        return number if proposal is None else proposal.number

    def _learn_of_other(self, record: Record, subject: str, headers: dict[str, str]) -> None:
        op = record.op
        if op.kind is _CLEAR:
            self._places.clear(record.revision)
        elif op.kind is not _NOTE or not op.value:
            timestamp = milliseconds_of(headers[header.TIMESTAMP])
            self._places.forget_at(subject, record.revision, timestamp + TOMBSTONES_MS)
            if op.kind is not _NOTE:
                self._floor.remove(record.revision, timestamp)
        elif record.ends_at is not None:
            self._places.forget_at(subject, record.revision, record.ends_at + FREED_LATER_MS)


def batch_of_proposal(
    proposal: Proposal, node: str, marker: Message, found: dict[int, Record]
) -> LogBatch:
    """Return a proposal as it was stored after its marker.

    ``found`` has those of its records that are still there by their revisions. The others were
    overtaken, so that it does not matter when exactly their time would have ended.
    """
    revision = int(marker.headers[header.SEQUENCE])
    timestamp = milliseconds_of(marker.headers[header.TIMESTAMP])
    groups = []
    for group in proposal.groups:
        records = []
        for op in group:
            revision += 1
            ends_at = op.expires_at
            if op.ttl_ms is not None:
                ends_at = min(timestamp + op.ttl_ms, EXPIRES_AT_MS_MAX)
            stored = Record(replace(op, is_conditional=False), revision, ends_at)
            records.append(found.get(revision, stored))
        groups.append(tuple(records))
    return LogBatch(node, proposal.number, revision, timestamp, tuple(groups))
