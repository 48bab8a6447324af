"""Makes contents of the newest message of each subject; no I/O."""

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.epochs import EpochMark, mark_of
from dunena.persistence.jetstream.floor import CLAIM_MS, Floor, YoungMessages
from dunena.persistence.jetstream.headers import freed_at, milliseconds_of
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.nodes import NodeTable, marker_floor
from dunena.persistence.jetstream.places import TOMBSTONES_MS, Places
from dunena.persistence.jetstream.records import entry_of, record_of
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import Contents, OpKind, Record
from dunena.store.entry import Entry
from dunena.store.limits import REMOVALS_MAX

_SET = OpKind.SET
_CLEAR = OpKind.CLEAR
_NOTE = OpKind.NOTE

REMOVED_MORE = 8192
"""Removals past `REMOVALS_MAX` until the oldest are dropped, all at once."""

FREED_LATER_MS = 20 * 60 * 1000
"""How much later than its end a note's place is forgotten; later than the stream frees it."""


class StreamReading:
    """Takes messages in the order of their sequences, and keeps the newest of each subject.

    ``places``, ``nodes`` and ``floor`` are told of each. ``is_all``: these are all messages of a
    stream, and no more removals are kept than readers can be told of.
    """

    __slots__ = (
        "_dropped", "_entries", "_is_all", "_names", "_nodes", "_places", "_removed", "_young",
        "cleared", "floor", "is_complete", "mark", "markers", "newest", "notes",
    )  # fmt: skip

    def __init__(
        self, names: SubjectNames, places: Places, nodes: NodeTable, floor: Floor, *, is_all: bool
    ) -> None:
        self._names = names
        self._places = places
        self._nodes = nodes
        self.floor = floor
        self._is_all = is_all
        self._dropped = 0
        self._young = YoungMessages()
        self._entries: dict[str, Entry] = {}
        self._removed: dict[str, Record] = {}
        self.notes: dict[str, Record] = {}
        self.cleared: Record | None = None
        self.newest = 0
        self.mark = EpochMark()
        """That of the epoch; one of nothing if there was none."""
        self.markers: dict[str, Message] = {}
        """The newest marker of each node."""
        self.is_complete = True
        """Whether the last message ends a batch."""

    def add(self, message: Message) -> None:
        """Take a message that has a higher sequence than all before."""
        headers = message.headers
        subject = headers[header.SUBJECT]
        timestamp = milliseconds_of(headers[header.TIMESTAMP])
        if timestamp > self.newest:
            self.newest = timestamp
        self.is_complete = header.COMMIT in headers or header.BATCH not in headers
        sequence = int(headers[header.SEQUENCE])
        self._places.put(subject, sequence, freed_at(headers))
        self._young.take(sequence, timestamp)
        record = record_of(message, self._names)
        if record is None:
            node = self._names.node_of(subject)
            if node is not None:
                self._nodes.take(node, message)
                self.markers[node] = message
            elif subject == self._names.epoch:
                self.mark = mark_of(message)
        elif record.op.kind is _SET:
            # A newer value keeps the place of the older one in a dictionary, so it is taken out.
            self._entries.pop(subject, None)
            self._entries[subject] = entry_of(record, timestamp)
            if self._removed:
                self._removed.pop(subject, None)
        else:
            self._add_other(record, subject, timestamp)

    def _add_other(self, record: Record, subject: str, timestamp: int) -> None:
        op = record.op
        if op.kind is _CLEAR:
            self._entries.clear()
            self._removed = {
                name: gone for name, gone in self._removed.items() if gone.op.kind is _NOTE
            }
            self.cleared = record
            self._places.clear(record.revision)
        elif op.kind is _NOTE and op.value:
            self.notes[op.key] = record
            self._removed.pop(subject, None)
            if record.ends_at is not None:
                due = record.ends_at + FREED_LATER_MS
                self._places.forget_at(subject, record.revision, due)
        else:
            if op.kind is _NOTE:
                self.notes.pop(op.key, None)
            else:
                self._entries.pop(subject, None)
                self.floor.remove(record.revision, timestamp)
            if op.kind is not _NOTE or not self._is_all:
                self._removed.pop(subject, None)
                self._removed[subject] = record
                if self._is_all and len(self._removed) > REMOVALS_MAX + REMOVED_MORE:
                    self._drop_oldest()
            self._places.forget_at(subject, record.revision, timestamp + TOMBSTONES_MS)

    def contents(self, epoch: str, revision: int) -> Contents:
        """Return what there is."""
        entries = list(self._entries.values())
        return Contents(epoch, revision, self.newest, entries, self.notes)

    def everything(self, epoch: str, revision: int, now: int) -> Contents:
        """Return all that the stream has at a revision, at Unix ms, and what is gone."""
        self._drop_oldest()
        claims = [marker_floor(marker) for marker in self.markers.values()]
        places = [claim.place for claim in claims if claim and abs(now - claim.at) <= CLAIM_MS]
        first_young = self._young.first(now)
        if first_young is not None:
            places.append(first_young - 1)
        floor = min([revision, *places])
        if self.cleared is not None:
            floor = max(floor, self.cleared.revision)
        # No position in an epoch is before its mark.
        floor = max(floor, self._dropped, self.mark.sequence)
        self.floor.begin(floor)
        removed = [gone for gone in self._removed.values() if gone.revision > floor]
        entries = list(self._entries.values())
        return Contents(epoch, revision, self.newest, entries, self.notes, removed, floor)

    def _drop_oldest(self) -> None:
        count = len(self._removed) - REMOVALS_MAX
        if count > 0:
            removed = list(self._removed.items())
            self._dropped = removed[count - 1][1].revision
            self._removed = dict(removed[count:])

    def removed(self) -> list[Record]:
        """Return what is gone, a CLEAR before all others."""
        removed = list(self._removed.values())
        return removed if self.cleared is None else [self.cleared, *removed]
