"""The outgoing bytes of a connection: gathered during a tick, written at its end, and queued while
the reader is too slow."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from dunena.dialects.output import Output
from dunena.hub import Batch, FrameEncoder
from dunena.server.backlog import Backlog
from dunena.server.limits import BACKLOG_BYTES_MAX, BATCH_BYTES_MAX, PORTION_BYTES
from dunena.server.message_budget import MessageBudget
from dunena.telemetry import Telemetry
from dunena.watches.pending import PendingUpdate

Piece = bytes | Batch | PendingUpdate
Action = Callable[[], None]

_NO_REST: Final = memoryview(b"")  # one for all outboxes: each would take 300 bytes

_log = logging.getLogger(__name__)


class Transport(Protocol):
    """The methods of an asyncio transport that the outbox uses."""

    def write(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...
    def get_extra_info(self, name: str, /) -> object: ...


class Outbox(Output):
    """The queue of finished bytes of one connection: `put` adds replies, `push` updates and events.

    A large first update of a watch is put as a `PendingUpdate`, whose frames are made as the
    transport takes them. It counts as more than one write may have, so that no other piece is
    looked at more closely for its sake.

    ``schedule_flush`` is called once per tick when something is queued; the tick then calls
    `flush`. ``overflowed`` is called when more events wait for the peer than permitted, and may
    `kill` the outbox. While the transport is paused nothing is written: the newest values, the
    newest messages of channels, all events and all replies wait.

    The parts of a large update of a watch are made in turns, for which ``wait_for_turn`` (`rewire`)
    calls a function once. Without it all are made at once.

    While ``is_full`` is true, further requests of the connection should wait. It is an attribute,
    as it is read before every message and changes seldom.

    The messages of channels that wait count in ``message_budget``, which all outboxes of a server
    share. Without it an outbox has one of its own.

    A transport with TLS accepts any amount of data and does not tell how much of it waits. So with
    ``is_encrypted`` a single large message is handed over in portions too.
    """

    __slots__ = (
        "_after_flush",
        "_backlog",
        "_batch",
        "_encoder",
        "_is_encrypted",
        "_message_budget",
        "_overflowed",
        "_pieces",
        "_rest",
        "_schedule_flush",
        "_telemetry",
        "_transport",
        "_wait_for_turn",
        "_waits_for_turn",
        "is_dead",
        "is_full",
        "is_inside_message",
        "is_paused",
        "size",
    )

    def __init__(
        self,
        transport: Transport,
        schedule_flush: Callable[["Outbox"], None],
        overflowed: Callable[[], None],
        telemetry: Telemetry,
        *,
        is_encrypted: bool = False,
        message_budget: MessageBudget | None = None,
    ) -> None:
        self._transport = transport
        self._message_budget = message_budget  # an own one is made when it is needed
        self._is_encrypted = is_encrypted
        self._rest = _NO_REST  # the unwritten rest of a message
        self.is_inside_message = False  # there is such a rest, after which everything has to wait
        self._schedule_flush = schedule_flush
        self._overflowed = overflowed
        self._telemetry = telemetry
        self._pieces: list[Piece] | None = None  # made for the first one of a tick
        self._batch: Batch | None = None  # the last piece, if it is a batch that may still grow
        self._after_flush: Action | None = None
        self._backlog: Backlog | None = None
        self._encoder: FrameEncoder | None = None
        self._wait_for_turn: Callable[[Action], object] | None = None
        self._waits_for_turn = False
        self.size = 0
        self.is_paused = False
        self.is_full = False
        self.is_dead = False

    def lose(self, lost: Transport) -> None:
        """Drop everything and replace the transport by ``lost``: the connection is lost.

        The references to transport and connection are removed, so that their memory is freed at
        once and not only by the garbage collector.
        """
        self.kill()
        self._transport = lost
        self._overflowed = _do_nothing

    def put(self, piece: bytes | PendingUpdate) -> None:
        """Queue a reply, which is sent at the end of the tick; drop it if the outbox is dead."""
        if self.is_dead:
            return
        pieces = self._pieces
        if pieces is None:
            self._pieces = [piece]
            self._schedule_flush(self)
        else:
            if self._batch is not None:
                self._batch.close()
                self._batch = None
            pieces.append(piece)
        self.size += len(piece)
        if self.size >= BATCH_BYTES_MAX:
            self.is_full = True

    def push(self, batch: Batch) -> None:
        """Queue a batch of updates or events, to which frames may be added until the tick ends."""
        pieces = self._pieces
        if pieces is None:
            self._pieces = [batch]
            self._schedule_flush(self)
        else:
            if self._batch is not None:
                self._batch.close()
            pieces.append(batch)
        self._batch = batch

    def __len__(self) -> int:
        """Return the number of pieces queued in this tick."""
        return 0 if self._pieces is None else len(self._pieces)

    def __bool__(self) -> bool:
        """Return True, also for an empty outbox, which has length 0."""
        return True

    def truncate(self, count: int) -> None:
        """Remove all but the first ``count`` pieces: replies and messages, but no updates."""
        left = [] if self._pieces is None else self._pieces[:count]
        self._pieces = left or None
        self._batch = None
        self.size = sum([len(piece) for piece in left if not isinstance(piece, Batch)])
        self._find_full()

    @property
    def waiting(self) -> int:
        """The number of frames that wait until the peer reads."""
        return 0 if self._backlog is None else len(self._backlog)

    @property
    def reply_bytes(self) -> int:
        """The bytes of replies that were not handed to the transport yet."""
        behind = 0 if self._backlog is None else self._backlog.reply_bytes
        return self.size + len(self._rest) + behind

    def rewire(
        self,
        overflowed: Callable[[], None],
        encoder: FrameEncoder | None = None,
        wait_for_turn: Callable[[Action], object] | None = None,
    ) -> None:
        """Serve another protocol on the same connection; ``encoder`` encodes its frames."""
        self._overflowed = overflowed
        self._encoder = encoder
        self._wait_for_turn = wait_for_turn

    def after_flush(self, action: Action) -> None:
        """Call ``action`` once, when everything queued has been handed to the transport."""
        self._after_flush = action
        if not self._pieces:
            self._schedule_flush(self)

    def flush(self) -> Action | None:
        """Hand everything queued to the transport at the end of a tick; return the action to do.

        The caller calls the action after it has flushed all outboxes of the tick: a request that
        the action starts then belongs to the next tick, with the updates that it causes.
        """
        pieces, action = self._pieces, self._after_flush
        self._pieces, self._batch, self._after_flush, self.size = None, None, None, 0
        if self.is_full:
            self._find_full()
        return self.send([] if pieces is None else pieces, action)

    def detach(self) -> "HeldOutput":
        """Remove and return everything queued, to be sent later, before what is queued next."""
        held_output = HeldOutput(self, self._pieces or [], self._after_flush)
        self._pieces, self._batch, self._after_flush, self.size = None, None, None, 0
        self._find_full()
        return held_output

    def send(self, pieces: list[Piece], action: Action | None) -> Action | None:
        """Hand pieces to the transport, in one write if possible; return the action to do now.

        While the peer reads too slowly, the pieces wait, and the action with them.
        """
        if self.is_dead:
            return None
        if self.is_paused or self._backlog is not None:
            self._hold(pieces, action)
            return None
        if len(pieces) == 1 and (isinstance(pieces[0], bytes) or len(pieces[0]) <= PORTION_BYTES):
            self._write(self._bytes_of(pieces[0]))
        elif pieces:
            size = 0
            frames: list[bytes] = []
            for piece in pieces:  # not by `map`, whose calls would cost a reply more than its copy
                size += len(piece)
                if size > PORTION_BYTES:
                    return self._send_in_portions(pieces, action)
                frames.append(self._bytes_of(piece))
            self._write(b"".join(frames))
        return self._after_message(action) if self.is_inside_message else action

    def pause(self) -> None:
        """Stop writing: the transport has more than it can send at present."""
        self.is_paused = self.is_full = True

    def resume(self) -> None:
        """Send what waits, the oldest first: the transport has room again."""
        self.is_paused = False
        self._find_full()
        if self.is_inside_message:
            self._write_rest()
            if self.is_paused:
                return
        if self._backlog is not None:
            self._drain(self._backlog)
        else:
            self._ask_for_flush()

    def put_back(self, pieces: list[Piece], action: Action | None) -> None:
        """Queue detached pieces and their action again; the outbox must be empty.

        A batch among them tells of no change of its tick: it has messages of a channel, or the
        position of a quiet watch.
        """
        for piece in pieces:
            if isinstance(piece, Batch):
                self.push(piece)
            else:
                self.put(piece)
        self._remember(action)
        if self._after_flush is not None and not self._pieces:
            self._schedule_flush(self)

    def kill(self) -> None:
        """Drop everything, now and later: the connection is lost or ends without a close frame."""
        self.is_dead = True
        self._pieces = None
        if self._backlog is not None:
            self._backlog.discard()
        self._batch = self._backlog = None
        self._rest, self.is_inside_message = _NO_REST, False
        self.size = 0
        self._find_full()

    def _find_full(self) -> None:
        self.is_full = self.is_paused or self._backlog is not None or self.size >= BATCH_BYTES_MAX

    def _write(self, data: bytes) -> None:
        self._telemetry.bytes_sent += len(data)
        if self._is_encrypted and len(data) > PORTION_BYTES:
            self._rest = memoryview(data)
            self._write_rest()
        else:
            self._transport.write(data)

    def _write_rest(self) -> None:
        """Write more of a large message while the transport accepts it."""
        while len(self._rest) and not self.is_paused and not self.is_dead:
            portion = bytes(self._rest[:PORTION_BYTES])
            self._rest = self._rest[PORTION_BYTES:]
            self._transport.write(portion)
        self.is_inside_message = len(self._rest) > 0
        if not self.is_inside_message:
            self._rest = _NO_REST  # an empty view would keep the whole message

    def _bytes_of(self, piece: Piece) -> bytes:
        encoder = self._encoder
        if isinstance(piece, bytes):
            return piece if encoder is None else encoder(piece)
        assert isinstance(piece, Batch), "anything else counts as too large for this"
        return piece.joined if encoder is None else piece.encoded_with(encoder)

    def _join(self, frames: list[bytes]) -> bytes:
        return b"".join(frames if self._encoder is None else map(self._encoder, frames))

    def _send_in_portions(self, pieces: list[Piece], action: Action | None) -> Action | None:
        """Write pieces that are too large for one write; queue what the transport does not take."""
        portion: list[bytes] = []
        size = 0
        for index, piece in enumerate(pieces):
            if isinstance(piece, PendingUpdate):
                if portion:
                    self._write(self._join(portion))
                self._hold(pieces[index:], action)
                return None
            frames = [piece] if isinstance(piece, bytes) else piece.frames
            for position, frame in enumerate(frames):
                if size and size + len(frame) > PORTION_BYTES:
                    self._write(self._join(portion))
                    portion, size = [], 0
                    if self.is_paused:
                        rest = piece if isinstance(piece, bytes) else piece.rest(position)
                        self._hold([rest, *pieces[index + 1 :]], action)
                        return None
                portion.append(frame)
                size += len(frame)
        self._write(self._join(portion))
        return self._after_message(action) if self.is_inside_message else action

    def _after_message(self, action: Action | None) -> Action | None:
        """Let the action wait for the rest of a message; return None, as nothing is to do now."""
        self._remember(action)
        return None

    def _hold(self, pieces: list[Piece], action: Action | None) -> None:
        """Queue pieces and their action after those that the peer has not read yet."""
        budget = self._message_budget
        if budget is None:
            budget = self._message_budget = MessageBudget()
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = Backlog(budget)
            self.is_full = True
        missed = budget.missed
        self._telemetry.conflated += backlog.add(pieces)
        self._telemetry.messages_missed += budget.missed - missed
        self._remember(action)
        if backlog.event_bytes > BACKLOG_BYTES_MAX:
            self._overflowed()
        if self._backlog is backlog:
            self._drain(backlog)

    def _remember(self, action: Action | None) -> None:
        """Do the action after the next flush, unless a newer one is set, such as to close."""
        if self._after_flush is None:
            self._after_flush = action

    def _drain(self, backlog: Backlog) -> None:
        """Write waiting frames while the transport accepts them, and in turns what is some work."""
        while len(backlog) and not (self.is_paused or self.is_dead or self._waits_for_turn):
            frames = backlog.portion(PORTION_BYTES)
            if frames:
                self._write(self._join(frames))
            if self._wait_for_turn is not None and backlog.is_within_update:
                self._waits_for_turn = True
                self._wait_for_turn(self._have_turn)
        if not len(backlog) and not self.is_dead:
            self._backlog = None
            self._find_full()
            self._ask_for_flush()

    def _have_turn(self) -> None:
        self._waits_for_turn = False
        if self._backlog is not None:
            self._drain(self._backlog)

    def _ask_for_flush(self) -> None:
        """Schedule a flush for the waiting action, unless the transport is paused.

        The action is not done at once: a transport that is closed inside its `resume_writing` call
        closes twice.
        """
        if self._after_flush is not None and not self._pieces and not self.is_paused:
            self._schedule_flush(self)


class HeldOutput:
    """Pieces and action that `Outbox.detach` removed."""

    __slots__ = ("action", "outbox", "pieces")

    def __init__(self, outbox: Outbox, pieces: list[Piece], action: Action | None) -> None:
        self.outbox = outbox
        self.pieces = pieces
        self.action = action

    def send(self) -> None:
        """Send the pieces; log an error and end this connection if that fails."""
        try:
            action = self.outbox.send(self.pieces, self.action)
            if action is not None:
                action()
        except Exception:  # noqa: BLE001 - one connection must not cost the others their replies
            _log.exception("a connection could not be written to")
            self.outbox.kill()

    def put_back(self, count: int) -> None:
        """Queue the first ``count`` pieces again, as `Outbox.put_back` does."""
        self.outbox.put_back(self.pieces[:count], self.action)


def end_after_replies(end_tick: Callable[[], None], outbox: Outbox, transport: Transport) -> bool:
    """Close a connection whose peer sends no more, once the replies are written.

    Return the result for `eof_received`. asyncio closes a TLS connection at once, so there the tick
    ends and the replies are sent before.
    """
    if outbox.is_dead:
        return False
    if transport.get_extra_info("sslcontext") is not None:
        end_tick()
        return False
    outbox.after_flush(transport.close)
    return True


def _do_nothing() -> None:
    """Stand in for the callback of a connection that is lost."""
