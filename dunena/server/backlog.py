"""The frames that wait for a slow reader; no I/O.

Of every key only the newest update is kept, at the position of the newest: the reader misses only
outdated values, and never gets an older value after a newer one. Events and replies cannot replace
each other, so all of them are kept. Of a watch, only the keys are kept that its reader was not told
of, in the place of the oldest such update: moved back with each one, it might never be read. Of a
channel, the newest messages are kept, and in the place of those that are missing how many they are.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

from dunena.dialects.messages import gap
from dunena.hub import Batch, MessageBatch
from dunena.server.limits import (
    CHANNEL_BACKLOG_BYTES_MAX,
    CHANNELS_BACKLOG_BYTES_MAX,
    MESSAGE_PLACE_BYTES,
)
from dunena.server.message_budget import MessageBudget
from dunena.store.entry import EntryId
from dunena.watches.feed import UpdateBatch, WatchFeed
from dunena.watches.pending import PendingUpdate


class WaitingMessages:
    """The messages of one channel in a queue: their numbers there, and their size in bytes.

    ``missed`` are those that were dropped before the oldest of them, the last one at ``missed_at``
    (Unix ms). ``gap_number`` is the number of the place in the queue that says so.
    """

    __slots__ = ("channel", "gap_number", "missed", "missed_at", "numbers", "size")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.numbers: deque[int] = deque()
        self.size = 0
        self.missed = 0
        self.missed_at = 0
        self.gap_number = 0


class Backlog:
    """A queue of finished frames in the order of sending.

    ``event_bytes`` and ``reply_bytes`` are the sizes of all events and replies added since the
    queue was last empty. The messages of channels, and those that were dropped, count in
    ``budget``, which all connections of a server share; `discard` ends that.
    """

    __slots__ = (
        "_budget",
        "_channels",
        "_count",
        "_frames",
        "_message_bytes",
        "_messages",
        "_pending",
        "event_bytes",
        "reply_bytes",
    )

    def __init__(self, budget: MessageBudget) -> None:
        self._budget = budget
        # Values by key; everything else by a number of its own. A channel stands in the place of
        # its messages that were dropped.
        self._frames: OrderedDict[EntryId | int, bytes | PendingUpdate | WaitingMessages] = (
            OrderedDict()
        )
        self._channels: dict[str, WaitingMessages] = {}
        # The messages of all channels by their number, the oldest first.
        self._messages: OrderedDict[int, WaitingMessages] = OrderedDict()
        self._message_bytes = 0
        # The pending update of each watch in the queue that later ones are added to.
        self._pending: dict[WatchFeed, PendingUpdate] = {}
        self._count = 0
        self.event_bytes = 0
        self.reply_bytes = 0

    def __len__(self) -> int:
        """Return the number of waiting frames."""
        return len(self._frames)

    @property
    def is_within_update(self) -> bool:
        """Whether parts of an update of a watch come next, each of which is some work to make."""
        first = next(iter(self._frames.values()), None)
        return isinstance(first, PendingUpdate) and first.is_within_update

    @property
    def message_cost(self) -> int:
        """The bytes of the messages of channels, with what their places in the queue take."""
        return self._message_bytes + MESSAGE_PLACE_BYTES * len(self._messages)

    def drop_older_half(self, now: int) -> None:
        """Drop the oldest messages, until at most half of their cost is left; ``now``: Unix ms."""
        cost_max = self.message_cost // 2
        while self.message_cost > cost_max:
            self._drop_oldest(next(iter(self._messages.values())), now)

    def discard(self) -> None:
        """Drop everything, and count as no queue any more."""
        for number in self._messages:
            frame = self._frames[number]
            assert isinstance(frame, bytes), "it is a message"
            self._budget.release(frame)
        self._budget.leave(self)
        self._messages.clear()
        self._frames.clear()

    def add(self, pieces: Iterable[bytes | Batch | PendingUpdate]) -> int:
        """Queue replies and batches; return how many updates were dropped for newer ones."""
        conflated = 0
        for piece in pieces:
            if isinstance(piece, bytes):
                self.reply_bytes += len(piece)
                self._append(piece)
            elif isinstance(piece, PendingUpdate):
                self._add_pending(piece)
            elif isinstance(piece, UpdateBatch):
                conflated += self._add_updates(piece)
            elif isinstance(piece, MessageBatch):
                self._add_messages(piece)
            elif piece.entry_id is None:
                self.event_bytes += len(piece)
                for frame in piece.frames:
                    self._append(frame)
            else:
                conflated += len(piece.frames) - (0 if piece.entry_id in self._frames else 1)
                self._frames[piece.entry_id] = piece.frames[-1]
                self._frames.move_to_end(piece.entry_id)
        return conflated

    def portion(self, bytes_max: int) -> list[bytes]:
        """Remove and return frames from the front, together at most ``bytes_max``.

        Only a part of an update of a watch may exceed that, as it is made first. There is at least
        one frame, unless nothing was to be told in the first part (`is_within_update`).
        """
        frames: list[bytes] = []
        size = 0
        while self._frames and size < bytes_max:
            entry_id, piece = self._frames.popitem(last=False)
            if isinstance(piece, PendingUpdate):
                part = self._next_part(entry_id, piece)
                if part:
                    frames.append(part)
                    size += len(part)
                if piece.is_within_update:
                    break  # a part fills a portion
                continue
            if isinstance(piece, WaitingMessages):
                frame = gap(piece.channel, piece.missed, piece.missed_at)
            else:
                frame = piece
            if frames and size + len(frame) > bytes_max:
                self._frames[entry_id] = piece
                self._frames.move_to_end(entry_id, last=False)
                break
            frames.append(frame)
            size += len(frame)
            if self._channels:
                self._forget_sent(entry_id, piece)
        if not self._frames:
            self.event_bytes = self.reply_bytes = 0
        return frames

    def _next_part(self, entry_id: EntryId | int, pending: PendingUpdate) -> bytes:
        """Make the next part of an update, and queue the rest again; b"" for nothing to tell."""
        part = pending.next_frame()
        is_newest = self._pending.get(pending.feed) is pending
        if not pending.is_done:
            # The next update goes behind what waits for as long, but never behind the first update
            # of a watch, which may be the same one begun again.
            self._frames[entry_id] = pending
            is_behind = is_newest and not pending.is_within_update
            self._frames.move_to_end(entry_id, last=is_behind)
        elif is_newest:
            del self._pending[pending.feed]
        return part

    def _forget_sent(self, entry_id: EntryId | int, piece: bytes | WaitingMessages) -> None:
        """Forget a message or a gap that was sent; do nothing for anything else."""
        if isinstance(piece, WaitingMessages):
            channel: WaitingMessages | None = piece
            piece.missed = 0
        elif isinstance(entry_id, int):
            channel = self._messages.pop(entry_id, None)
            if channel is not None:
                self._release(channel, piece)
        else:
            return
        if channel is not None and not channel.numbers and not channel.missed:
            del self._channels[channel.channel]

    def _add_messages(self, batch: MessageBatch) -> None:
        """Queue the messages of a channel, and drop the oldest above the limits."""
        if not self._messages:
            self._budget.enter(self)
        channel = self._channels.get(batch.channel)
        if channel is None:
            channel = self._channels[batch.channel] = WaitingMessages(batch.channel)
        for frame in batch.frames:
            self._append(frame)
            self._messages[self._count] = channel
            channel.numbers.append(self._count)
            channel.size += len(frame)
            self._message_bytes += len(frame)
            self._budget.hold(frame)
            while channel.size > CHANNEL_BACKLOG_BYTES_MAX and len(channel.numbers) > 1:
                self._drop_oldest(channel, batch.now)
            while self._message_bytes > CHANNELS_BACKLOG_BYTES_MAX and len(self._messages) > 1:
                self._drop_oldest(next(iter(self._messages.values())), batch.now)
        self._budget.keep(batch.now)

    def _drop_oldest(self, channel: WaitingMessages, now: int) -> None:
        """Drop the oldest message of a channel; its place says how many are missing there."""
        number = channel.numbers[0]
        frame = self._frames[number]
        assert isinstance(frame, bytes), "it is a message"
        del self._messages[number]
        self._release(channel, frame)
        if channel.missed:
            del self._frames[channel.gap_number]
        self._frames[number] = channel
        channel.gap_number = number
        channel.missed += 1
        channel.missed_at = now
        self._budget.missed += 1

    def _release(self, channel: WaitingMessages, frame: bytes) -> None:
        """Count the oldest message of a channel no more, which is in `_messages` no more."""
        channel.numbers.popleft()
        channel.size -= len(frame)
        self._message_bytes -= len(frame)
        self._budget.release(frame)
        if not self._messages:
            self._budget.leave(self)

    def _add_pending(self, pending: PendingUpdate) -> None:
        """Queue a first update, or add what was withheld from a paced watch to what waits."""
        if pending.is_first:
            self._pending.clear()  # nothing is added to what came before
        waiting = self._pending.get(pending.feed)
        if waiting is None:
            self._pending[pending.feed] = pending
            self._append(pending)
        else:
            waiting.add(pending.take())

    def _add_updates(self, batch: UpdateBatch) -> int:
        """Add the updates of a watch to what waits; return how many were added to others."""
        waiting = self._pending.get(batch.feed)
        conflated = len(batch.parts)
        if waiting is None:
            waiting = self._pending[batch.feed] = PendingUpdate(batch.feed)
            self._append(waiting)
            conflated -= 1
        for part in batch.parts:
            waiting.add(part)
        return conflated

    def _append(self, frame: bytes | PendingUpdate) -> None:
        self._count += 1
        self._frames[self._count] = frame
