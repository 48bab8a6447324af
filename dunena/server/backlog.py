"""What a connection that reads too slowly is still to be sent; no I/O.

Of every key only the newest value is kept, in the place of the newest: such a reader misses what
would have been out of date anyway, and never sees an older value behind a newer one. Events and
replies mean something each, so they are all kept.
"""

from collections import OrderedDict
from collections.abc import Iterable

from dunena.hub import Batch
from dunena.store.entry import EntryId


class Backlog:
    """Finished frames in the order in which they are to be sent.

    ``event_bytes`` is how much of it are events, which nothing replaces, ``reply_bytes`` how much
    replies, which nobody else has; both until it is empty.
    """

    __slots__ = ("_count", "_frames", "event_bytes", "reply_bytes")

    def __init__(self) -> None:
        # Values by place; everything else by a number of its own.
        self._frames: OrderedDict[EntryId | int, bytes] = OrderedDict()
        self._count = 0
        self.event_bytes = 0
        self.reply_bytes = 0

    def __len__(self) -> int:
        """The number of frames that wait."""
        return len(self._frames)

    def add(self, pieces: Iterable[bytes | Batch]) -> int:
        """Queue replies and batches; how many updates were made unnecessary by newer ones."""
        conflated = 0
        for piece in pieces:
            if isinstance(piece, bytes):
                self.reply_bytes += len(piece)
                self._append(piece)
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
        """Take out frames from the front: at least one, and together at most so many bytes."""
        frames: list[bytes] = []
        size = 0
        while self._frames:
            entry_id, frame = self._frames.popitem(last=False)
            if frames and size + len(frame) > bytes_max:
                self._frames[entry_id] = frame
                self._frames.move_to_end(entry_id, last=False)
                break
            frames.append(frame)
            size += len(frame)
        if not self._frames:
            self.event_bytes = self.reply_bytes = 0
        return frames

    def _append(self, frame: bytes) -> None:
        self._count += 1
        self._frames[self._count] = frame
