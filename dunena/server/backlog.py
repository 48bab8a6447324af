"""The frames that wait for a slow reader; no I/O.

Of every key only the newest update is kept, at the position of the newest: the reader misses only
outdated values, and never gets an older value after a newer one. Events and replies cannot replace
each other, so all of them are kept.
"""

from collections import OrderedDict
from collections.abc import Iterable

from dunena.hub import Batch
from dunena.store.entry import EntryId


class Backlog:
    """A queue of finished frames in the order of sending.

    ``event_bytes`` and ``reply_bytes`` are the sizes of all events and replies added since the
    queue was last empty.
    """

    __slots__ = ("_count", "_frames", "event_bytes", "reply_bytes")

    def __init__(self) -> None:
        # Updates by key; everything else by a number of its own.
        self._frames: OrderedDict[EntryId | int, bytes] = OrderedDict()
        self._count = 0
        self.event_bytes = 0
        self.reply_bytes = 0

    def __len__(self) -> int:
        """Return the number of waiting frames."""
        return len(self._frames)

    def add(self, pieces: Iterable[bytes | Batch]) -> int:
        """Queue replies and batches; return how many updates were dropped for newer ones."""
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
        """Remove and return frames from the front: at least one, together at most ``bytes_max``."""
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
