"""What a connection has to say, until the end of the tick."""

import logging
from collections.abc import Callable
from typing import Protocol

UNSENT_BYTES_MAX = 16 * 1024 * 1024
"""A reader for whom this much was pushed since it last had read everything, and who has this much
waiting, is disconnected: four of the largest values by default. What it asked for itself does not
count, since its requests wait instead."""

BATCH_BYTES_MAX = 1024 * 1024
"""A connection's own replies in one tick: past this its further requests wait for the next one,
so that many small requests for large values cannot fill the memory."""


_log = logging.getLogger(__name__)


class Transport(Protocol):
    """The part of an asyncio transport that is used here."""

    def write(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def get_extra_info(self, name: str, /) -> object: ...


class Outbox:
    """Finished bytes of one connection, in order: its replies by `put`, all else by `push`.

    ``spoke`` is told once per tick that there is something; the tick then calls `flush`.
    ``overflowed`` is called instead of writing when the peer does not read.
    """

    __slots__ = (
        "_after_flush",
        "_overflowed",
        "_pieces",
        "_pushed_bytes",
        "_spoke",
        "_transport",
        "is_dead",
        "is_paused",
        "size",
    )

    def __init__(
        self,
        transport: Transport,
        spoke: Callable[["Outbox"], None],
        overflowed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._spoke = spoke
        self._overflowed = overflowed
        self._pieces: list[bytes] = []
        self._after_flush: Callable[[], None] | None = None
        self._pushed_bytes = 0
        self.size = 0
        self.is_paused = False
        self.is_dead = False

    def put(self, piece: bytes) -> None:
        """Queue bytes; they leave at the end of the tick. To a dead connection, nothing."""
        if self.is_dead:
            return
        if not self._pieces:
            self._spoke(self)
        self._pieces.append(piece)
        self.size += len(piece)

    def push(self, piece: bytes) -> None:
        """Queue bytes that the peer did not ask for just now."""
        self._pushed_bytes += len(piece)
        self.put(piece)

    def __len__(self) -> int:
        """Pieces queued."""
        return len(self._pieces)

    def __bool__(self) -> bool:
        """An outbox is one whether it is empty or not."""
        return True

    def truncate(self, count: int) -> None:
        """Take back all but the first ``count`` pieces."""
        del self._pieces[count:]
        self.size = sum(map(len, self._pieces))

    @property
    def is_full(self) -> bool:
        """Whether requests of this connection should wait."""
        return self.is_paused or self.size >= BATCH_BYTES_MAX

    def rewire(self, overflowed: Callable[[], None]) -> None:
        """Another protocol took over the connection."""
        self._overflowed = overflowed

    def after_flush(self, action: Callable[[], None]) -> None:
        """Do something once, when what is queued has been handed to the transport."""
        self._after_flush = action
        if not self._pieces:
            self._spoke(self)

    def take(self) -> "Parcel":
        """Take out everything queued, to be sent later; what is queued from now on comes behind."""
        parcel = Parcel(self, self._pieces, self._after_flush)
        self._pieces, self._after_flush, self.size = [], None, 0
        return parcel

    def send(self, pieces: list[bytes], action: Callable[[], None] | None) -> None:
        """Hand pieces that were taken to the transport in one write, then do what comes after."""
        if self.is_dead:
            return
        unsent_bytes = self._transport.get_write_buffer_size()
        if unsent_bytes == 0:
            self._pushed_bytes = 0
        elif min(unsent_bytes, self._pushed_bytes) > UNSENT_BYTES_MAX:
            self._overflowed()
            return
        if pieces:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if action is not None:
            action()

    def kill(self) -> None:
        """The connection is gone or ends without another word."""
        self.is_dead = True
        self._pieces.clear()
        self.size = 0


class Parcel:
    """What was taken out of an outbox."""

    __slots__ = ("action", "outbox", "pieces")

    def __init__(
        self, outbox: Outbox, pieces: list[bytes], action: Callable[[], None] | None
    ) -> None:
        self.outbox = outbox
        self.pieces = pieces
        self.action = action

    def send(self) -> None:
        """Send it; a connection that fails fails alone."""
        try:
            self.outbox.send(self.pieces, self.action)
        except Exception:  # noqa: BLE001 - one connection must not cost the others their replies
            _log.exception("a connection could not be written to")
            self.outbox.kill()

    def put_back(self, count: int) -> None:
        """Queue its first ``count`` pieces again; the outbox must be empty."""
        for piece in self.pieces[:count]:
            self.outbox.put(piece)
        if self.action is not None:
            self.outbox.after_flush(self.action)


def end_after_replies(end_tick: Callable[[], None], outbox: Outbox, transport: Transport) -> bool:
    """The peer sends no more: close once its replies are written; what `eof_received` returns.

    TLS knows no half-closed connection, so there the replies of this tick leave at once.
    """
    if outbox.is_dead:
        return False
    if transport.get_extra_info("sslcontext") is not None:
        end_tick()
        return False
    outbox.after_flush(transport.close)
    return True
