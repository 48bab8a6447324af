"""The frames that wait for a slow reader; no I/O.

Of every key only the newest update is kept, at the position of the newest: the reader misses only
outdated values, and never gets an older value after a newer one. Events and replies cannot replace
each other, so all of them are kept. Of a watch, only the keys are kept that its reader was not told
of, in the place of the oldest such update: moved back with each one, it might never be read.
"""

from collections import OrderedDict
from collections.abc import Iterable

from dunena.hub import Batch
from dunena.store.entry import EntryId
from dunena.watches.feed import UpdateBatch, WatchFeed
from dunena.watches.pending import PendingUpdate


class Backlog:
    """A queue of finished frames in the order of sending.

    ``event_bytes`` and ``reply_bytes`` are the sizes of all events and replies added since the
    queue was last empty.
    """

    __slots__ = ("_count", "_frames", "_pending", "event_bytes", "reply_bytes")

    def __init__(self) -> None:
        # Values by key; everything else by a number of its own.
        self._frames: OrderedDict[EntryId | int, bytes | PendingUpdate] = OrderedDict()
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
            entry_id, frame = self._frames.popitem(last=False)
            if isinstance(frame, PendingUpdate):
                part = frame.next_frame()
                if part:
                    frames.append(part)
                    size += len(part)
                is_newest = self._pending.get(frame.feed) is frame
                if not frame.is_done:
                    # The next update goes behind what waits for as long, but never behind the
                    # first update of a watch, which may be the same one begun again.
                    self._frames[entry_id] = frame
                    is_behind = is_newest and not frame.is_within_update
                    self._frames.move_to_end(entry_id, last=is_behind)
                elif is_newest:
                    del self._pending[frame.feed]
                if frame.is_within_update:
                    break  # a part fills a portion
                continue
            if frames and size + len(frame) > bytes_max:
                self._frames[entry_id] = frame
                self._frames.move_to_end(entry_id, last=False)
                break
            frames.append(frame)
            size += len(frame)
        if not self._frames:
            self.event_bytes = self.reply_bytes = 0
        return frames

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
