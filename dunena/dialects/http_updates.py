"""The updates of watches as HTTP sends them: as server-sent events, and as the body of an answer.

Rule: HTML Living Standard, 9.2 (server-sent events). An event is lines of ``field: value`` and ends
with an empty line. A client continues from the last ``id`` that it received, also of an event
without data, which it shows to nobody. So the parts of an update have no ``id`` but the last, and
an event that only tells the position is a bare ``id``. Stored JSON has no line breaks, so ``data``
is always one line.
"""

from typing import NamedTuple

import orjson

from dunena.dialects.messages import ShownValues
from dunena.frames import TEXT_HEAD, payload_of
from dunena.store.entry import Change, Entry
from dunena.watches.feed import UpdateBatch, WatchFeed
from dunena.watches.parts import Parts
from dunena.watches.pending import PendingUpdate
from dunena.watches.selector import Selector
from dunena.watches.updates import KeyState, RequestId, UpdatePart

RETRY = b"retry: 1000\n\n"
"""The beginning of a stream: the ms after which a client connects again."""

COMMENT = b": \n\n"
"""What clients ignore: it keeps a quiet connection open in proxies."""

_EVENT_MARK = b'","event":"'

LAST_CHUNK = b"0\r\n\r\n"
"""The end of a body in chunks."""

_STATUS_LINE = b"HTTP/1.1 "


def position_text(epoch: str, revision: int) -> str:
    """Write a position as one word, as in ``id``, ``since`` and ``ETag``."""
    return f"{epoch}-{revision}"


def event_of_message(frame: bytes) -> bytes:
    """Make an event of the frame of a channel's message: its ``event`` is the type.

    Return what is no such frame as it is. This is a `FrameEncoder`: each message is encoded once
    for all streams.
    """
    if frame[0] != TEXT_HEAD:
        return frame
    message = payload_of(frame)
    # A quotation mark in the channel's name, which is before it, is escaped.
    start = message.index(_EVENT_MARK) + len(_EVENT_MARK)
    event = message[start : message.index(b'"', start)]
    return b"event: %b\ndata: %b\n\n" % (event, message)


def chunk_of(piece: bytes) -> bytes:
    """Make a chunk of an event (RFC 9112, 7.1): clients such as requests read no further than one.

    Return the head of the response and the last chunk as they are. This is a `FrameEncoder`.
    """
    if piece.startswith(_STATUS_LINE) or piece == LAST_CHUNK:
        return piece
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def chunk_of_message(frame: bytes) -> bytes:
    """Make a chunk of the event of a channel's message, as `event_of_message` and `chunk_of` do."""
    return chunk_of(event_of_message(frame))


class JsonUpdates:
    """Updates as they are, without an envelope: the body of an answer."""

    __slots__ = ("_epoch", "_head", "_united", "_values", "pointer")

    def __init__(self, selector: Selector, epoch: str, parts: Parts) -> None:
        self._values = ShownValues(selector.path, parts)
        self.pointer = self._values.pointer
        self._head = orjson.dumps({**selector.fields(), "epoch": epoch})[:-1]
        self._epoch = epoch.encode()
        self._united: tuple[UpdateBatch, UnitedUpdate] | None = None

    def is_other_value(self, change: Change) -> bool:
        """Return whether something else stands at the path after a change than before."""
        return self._values.is_other_value(change)

    def change(self, told: KeyState, *, shows_missing: bool) -> bytes | None:
        """Encode a change: the key, its revision, and its value or how it went."""
        return self._values.change(told, shows_missing=shows_missing)

    def frame(
        self,
        changes: list[bytes],
        revision: int,
        now: int,
        *,
        is_reset: bool,
        has_more: bool,
        request_id: RequestId = None,
    ) -> bytes:
        """Make the JSON of an update or of a part of one."""
        more = b',"more":true' if has_more else b""
        return b"%b%b]}" % (self.opening(revision, more, is_reset=is_reset), b",".join(changes))

    def bookmark(self, revision: int, now: int) -> bytes:
        """Make the JSON of an update that only tells the position."""
        return self.frame([], revision, now, is_reset=False, has_more=False)

    def opening(self, revision: int, more: bytes = b"", *, is_reset: bool) -> bytes:
        """Make the JSON of an update up to its first change."""
        reset = b',"reset":true' if is_reset else b""
        return b'%b,"rev":%d%b%b,"changes":[' % (self._head, revision, reset, more)

    def unite(self, batch: UpdateBatch) -> "UnitedUpdate":
        """Make one update of those in a batch; once for all followers that receive the batch."""
        if self._united is None or self._united[0] is not batch:
            self._united = (batch, UnitedUpdate.of(batch))
        return self._united[1]


class UnitedUpdate(NamedTuple):
    """The updates of a tick as one; ``body`` is its JSON, None if it is to be sent in parts."""

    part: UpdatePart
    body: bytes | None

    @classmethod
    def of(cls, batch: UpdateBatch) -> "UnitedUpdate":
        """Unite the updates of a batch, or the parts of a large one."""
        if len(batch.parts) == 1:
            return cls(batch.parts[0], batch.frames[0])
        pending = PendingUpdate(batch.feed)
        for part in batch.parts:
            pending.add(part)
        united = pending.take()
        whole = whole_update(batch.feed, united)
        return cls(united, whole.next_frame() if whole.is_small else None)


def whole_update(feed: WatchFeed, part: UpdatePart) -> PendingUpdate:
    """Make an update from all of its changes, to be sent in parts if it is large."""
    return PendingUpdate(feed, part.changes[::-1], part.revision, part.now, is_reset=part.is_reset)


class StreamedBody:
    """The form of one update that is the body of one answer, and is sent in pieces.

    ``is_chunked``: each piece is a chunk (RFC 9112, 7.1).
    """

    __slots__ = ("_form", "_has_begun", "_has_changes", "_is_chunked", "pointer")

    def __init__(self, form: JsonUpdates, *, is_chunked: bool) -> None:
        self._form = form
        self.pointer = form.pointer
        self._is_chunked = is_chunked
        self._has_begun = False
        self._has_changes = False

    def is_other_value(self, change: Change) -> bool:
        """Return whether something else stands at the path after a change than before."""
        return self._form.is_other_value(change)

    def change(self, told: KeyState, *, shows_missing: bool) -> bytes | None:
        """Encode a change."""
        return self._form.change(told, shows_missing=shows_missing)

    def frame(
        self,
        changes: list[bytes],
        revision: int,
        now: int,
        *,
        is_reset: bool,
        has_more: bool,
        request_id: RequestId = None,
    ) -> bytes:
        """Make the next piece of the body; it is empty if there is nothing to add yet."""
        pieces = [] if self._has_begun else [self._form.opening(revision, is_reset=is_reset)]
        if changes:
            pieces += [b"," if self._has_changes else b"", b",".join(changes)]
        if not has_more:
            pieces.append(b"]}")
        self._has_begun = True
        self._has_changes = self._has_changes or bool(changes)
        piece = b"".join(pieces)
        if not self._is_chunked or not piece:
            return piece
        chunk = chunk_of(piece)
        return chunk if has_more else chunk + LAST_CHUNK

    def bookmark(self, revision: int, now: int) -> bytes:
        """Make the whole body of an update that only tells the position."""
        return self.frame([], revision, now, is_reset=False, has_more=False)


class EventUpdates(JsonUpdates):
    """Updates as events of the type ``update``."""

    __slots__ = ()

    def frame(
        self,
        changes: list[bytes],
        revision: int,
        now: int,
        *,
        is_reset: bool,
        has_more: bool,
        request_id: RequestId = None,
    ) -> bytes:
        """Make the event of an update or of a part of one."""
        update = super().frame(changes, revision, now, is_reset=is_reset, has_more=has_more)
        position = b"" if has_more else self._id(revision)
        return b"%bevent: update\ndata: %b\n\n" % (position, update)

    def bookmark(self, revision: int, now: int) -> bytes:
        """Make an event that only tells the position."""
        return self._id(revision) + b"\n"

    def _id(self, revision: int) -> bytes:
        return b"id: %b-%d\n" % (self._epoch, revision)


class ValueEvents(EventUpdates):
    """The values of one key alone: events of the types ``value`` and ``gone``."""

    __slots__ = ()

    def change(self, told: KeyState, *, shows_missing: bool) -> bytes | None:
        """Return what is shown of the key; empty if there is nothing."""
        shown = self._values.value(told) if isinstance(told, Entry) else None
        return b"" if shown is None else shown

    def frame(
        self,
        changes: list[bytes],
        revision: int,
        now: int,
        *,
        is_reset: bool,
        has_more: bool,
        request_id: RequestId = None,
    ) -> bytes:
        """Make the event of the key's newest value; only the position if it is still the same."""
        if not changes and not is_reset:
            return self.bookmark(revision, now)
        value = changes[-1] if changes else b""
        event = b"value" if value else b"gone"
        return b"%bevent: %b\ndata: %b\n\n" % (self._id(revision), event, value or b"null")
