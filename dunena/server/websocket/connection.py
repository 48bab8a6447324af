"""A connection after its upgrade: frames in, messages to the session, frames out.

The ordinary frame, a whole text message, goes from the frame reader to the session at once. Every
other one goes to websockets' protocol object, one whole frame at a time, which does the rest of
RFC 6455: control frames, fragments, closing. It is made for a connection when the first such frame
comes and let go when nothing of it is left to remember, since most connections need none. What it
wants to send goes through the outbox, so that it keeps its place among the replies.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from dunena.dialects.errors import ClientError, RateLimitedError
from dunena.frames import PING, PONG_HEAD, TEXT_HEAD, FrameError, FrameReader, apply_mask
from dunena.hub import FrameEncoder
from dunena.server.context import Context
from dunena.server.limits import (
    CLOSE_SECONDS_MAX,
    FRAME_BYTES,
    INFLATE_STEP_BYTES,
    INFLATED_BYTES_MAX,
    PING_SECONDS,
    TURN_BYTES_MAX,
    TURN_LOOK_BYTES,
    TURN_MS,
    UNFINISHED_BYTES_MIN,
)
from dunena.server.lost_transport import LOST
from dunena.server.outbox import Outbox, end_after_replies
from dunena.server.registry import ConnectionFacts, GrantLookup, peer_address, peer_host
from dunena.server.unread import Unread
from dunena.server.websocket.fragments import Fragments
from dunena.server.websocket.handshake import AcceptedHandshake
from dunena.server.websocket.inflater import Inflater, plain_frame

FRAMES_BETWEEN_LOOKS: Final = TURN_LOOK_BYTES // FRAME_BYTES

_log = logging.getLogger(__name__)


class WebSocketConnection:
    """One connection while it speaks WebSocket; it takes over transport and outbox.

    An `asyncio.Protocol` in all but name: a compiled class has no interpreted base.
    """

    __slots__ = (
        "_address",
        "_close_by",
        "_context",
        "_extensions",
        "_fragments",
        "_grant",
        "_ignores_input",
        "_inflater",
        "_is_closing",
        "_is_heavy",
        "_is_holding",
        "_is_inflating",
        "_is_lost",
        "_is_reading_paused",
        "_is_waiting",
        "_next_check",
        "_origin",
        "_outbox",
        "_program",
        "_protocol",
        "_rate_count",
        "_rate_max",
        "_rate_second",
        "_reader",
        "_receive_text",
        "_session",
        "_telemetry",
        "_tick",
        "_transport",
        "_turn_bytes",
        "_turn_ends_at",
        "_unread",
        "_was_heard",
        "_was_heavy",
    )

    def __init__(
        self,
        context: Context,
        accepted: AcceptedHandshake,
        transport: asyncio.Transport,
        outbox: Outbox,
    ) -> None:
        self._context = context
        self._tick = context.tick
        self._telemetry = context.telemetry
        self._protocol: ServerProtocol | None = None
        self._transport = transport
        self._outbox = outbox
        self._session = context.new_session(
            context.views.of(accepted.grant),
            accepted.dialect,
            context.new_id(),
            reply=outbox.put,
            push=outbox.push,
        )
        self._extensions = accepted.extensions
        self._address = accepted.address
        self._grant = accepted.grant
        self._origin = accepted.origin
        self._program = accepted.program
        self._reader = FrameReader(
            context.settings.limits.message_bytes_max, has_extension=bool(accepted.extensions)
        )
        self._inflater = self._new_inflater()
        self._is_inflating = False
        self._is_holding = False  # much of a message that is not whole
        self._fragments: Fragments | None = None  # of a message that has begun
        self._unread: Unread | None = None  # made when it first reads too slowly
        self._is_closing = False
        self._ignores_input = False  # nothing the peer may still send has a meaning
        self._is_lost = False
        self._is_reading_paused = False
        self._is_waiting = False  # for its next turn
        self._is_heavy = True  # had a whole turn lately, or is new
        self._was_heavy = False
        self._turn_bytes = 0
        self._turn_ends_at = 0.0
        self._was_heard = True
        self._next_check = context.loop.time() + PING_SECONDS
        self._close_by: float | None = None
        self._receive_text: Callable[[bytes, int], None] = self._receive
        self._rate_max = context.settings.rate_per_second
        self._rate_second = 0
        self._rate_count = 0

    def begin(self, response: bytes, rest: bytes, *, has_peer_ended: bool) -> None:
        """Answer the upgrade, greet the client, go on with what it sent behind its request."""
        self._outbox.rewire(self._reads_too_slowly, self._encoder())
        self._telemetry.websocket_connections += 1
        self._tick.run(self._open, response)
        self._pace_reading()
        if rest:
            self.data_received(rest)
        if has_peer_ended:
            self.eof_received()

    # --- asyncio ---

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; what it held is free at once, so nothing may lead back to it."""
        self._is_lost = True
        self._transport = LOST
        self._receive_text = _answer_nothing
        self._stop_inflating()
        self._count_unfinished()
        if self._unread is not None:
            self._unread.resumed()
            self._unread = None
        self._reader.drop()
        self._fragments = self._protocol = None
        self._outbox.lose(LOST)
        self._session.close()
        self._context.registry.remove(self)
        self._telemetry.websocket_connections -= 1

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._was_heard = True
        self._telemetry.bytes_received += len(data)
        if self._ignores_input:
            return
        self._reader.feed(data)
        if self._is_heavy and (self._is_waiting or self._tick.is_spent):
            self._wait_for_turn()
            self._pace_reading()
            return
        self._work()
        if len(data) >= TURN_LOOK_BYTES or self._is_holding:
            self._count_unfinished()

    def eof_received(self) -> bool:
        """The peer sends no more: RFC 6455 has no half-open connections."""
        self._session.close()
        self._is_closing = self._ignores_input = True
        self._expect_close()
        return end_after_replies(self._tick.end, self._outbox, self._transport)

    def pause_writing(self) -> None:
        """The peer reads slower than it is sent to: its own requests wait."""
        self._outbox.pause()
        self._pace_reading()
        if self._unread is None:
            self._unread = Unread(
                self._context.registry.unread,
                self._disconnect,
                self._unread_sizes,
                is_encrypted=self._context.settings.is_encrypted,
            )
        self._unread.paused(self._context.loop.time())

    def resume_writing(self) -> None:
        """It caught up."""
        if self._unread is not None:
            self._unread.resumed()
        self._outbox.resume()
        if not self._is_waiting:
            self._work()

    # --- registry ---

    def facts(self) -> ConnectionFacts:
        """Who is connected, and how it does."""
        return ConnectionFacts(
            address=self._shown_address,
            origin=self._origin,
            program=self._program,
            dialect=self._session.dialect.value,
            token=self._grant.name,
            subscriptions=len(self._session.subscriptions),
            unsent_bytes=self._outbox.size + self._transport.get_write_buffer_size(),
        )

    @property
    def _shown_address(self) -> str:
        """With its port, unless a proxy speaks for it."""
        is_direct = self._address in ("", peer_host(self._transport))
        return peer_address(self._transport) if is_direct else self._address

    def sweep(self, now_seconds: float) -> None:
        """Ask a silent peer whether it is there; end a closing that takes too long."""
        if self._close_by is not None:
            if now_seconds >= self._close_by:
                self.abort()
            return
        self._count_unfinished()  # what came little by little too
        self._is_heavy, self._was_heavy = self._was_heavy or self._is_waiting, False
        if self._unread is not None and self._unread.is_overdue(now_seconds):
            self._disconnect()
        if now_seconds < self._next_check or self._outbox.is_paused:
            return
        self._next_check = now_seconds + PING_SECONDS
        if self._was_heard:
            self._was_heard = False
            self._tick.run(self._put, PING)
        else:
            self._fail(1011, "keepalive ping timeout")

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Go on with what the token permits now, or end with it: RFC 6455, 7.4.1, "policy"."""
        grant = current_grant(self._grant)
        if grant is None:
            self._fail(1008, "token no longer valid")
        elif grant != self._grant:
            self._grant = grant
            # Outside the tick: what is said of it may have to be said again, this not be done.
            lost = self._session.use_services(self._context.views.of(grant))
            if not self._is_closing:
                for error in lost:
                    self._tick.run(self._refuse, error)

    def shut_down(self) -> None:
        """The server stops: RFC 6455, 7.4.1, "going away"."""
        if self._is_closing:
            return
        self._session.close()
        self._is_closing = True
        protocol = self._made_protocol()
        protocol.send_close(1001, "server stopped")
        self._drain(protocol)
        self._expect_close()

    def abort(self) -> None:
        """End it at once."""
        self._outbox.kill()
        self._transport.abort()

    # --- inside ---

    def _unread_sizes(self) -> tuple[int, int]:
        return self._transport.get_write_buffer_size(), self._outbox.reply_bytes

    def _count_unfinished(self) -> None:
        """Say how much of a message has come that is not whole."""
        size = self._reader.unfinished_bytes
        if self._fragments is not None:
            size += len(self._fragments)
        is_holding = size >= UNFINISHED_BYTES_MIN and not (self._ignores_input or self._is_lost)
        if is_holding or self._is_holding:
            self._is_holding = is_holding
            self._context.registry.messages.hold(self._give_message_up, size if is_holding else 0)

    def _give_message_up(self) -> None:
        """All connections together are sending too much, and this one the most."""
        self._is_holding = False
        self._fail(1013, "too much is being sent")

    def _disconnect(self) -> None:
        """It leaves its replies unread, so there is nothing that it could still be told."""
        if not self._is_lost:
            self._telemetry.slow_readers_closed += 1
            self._context.refusals.tell_slow_reader(self._address, "its replies")
            self.abort()

    def _open(self, response: bytes, now: int) -> None:
        self._outbox.put(response)
        self._session.open(now)

    def _put(self, piece: bytes, _now: int) -> None:
        self._outbox.put(piece)

    def _work(self) -> None:
        """Take whole frames until there are none, the turn ends, or the client should read."""
        reader, outbox = self._reader, self._outbox
        frames_left = FRAMES_BETWEEN_LOOKS
        self._turn_bytes = 0
        try:
            if self._is_inflating:
                self._go_on_inflating()
            while not (self._ignores_input or self._is_waiting or outbox.is_full):
                frame = reader.next()
                if frame is None:
                    if self._is_reading_paused:
                        self._go_on_later()
                    break
                if not reader.is_message:
                    self._take_special(frame)
                elif not self._is_closing:  # after it began, what it says is not for us
                    self._take_text(frame)
                frames_left -= 1
                if len(frame) >= TURN_LOOK_BYTES:  # counts for itself
                    self._look_up(len(frame))
                elif not frames_left:
                    frames_left = FRAMES_BETWEEN_LOOKS
                    self._look_up(TURN_LOOK_BYTES)
            else:
                self._go_on_later()
        except FrameError as error:
            self._fail(error.code, error.reason)

    def _go_on_later(self) -> None:
        """What is left is done after the flush where the outbox is full, and is read later."""
        if self._is_closing:
            return
        outbox = self._outbox
        is_full = outbox.is_full
        if is_full or self._is_waiting:
            self._tick.is_spent = self._is_heavy = self._was_heavy = True
        if is_full and not outbox.is_paused:
            outbox.after_flush(self._wait_for_turn)
        if (is_full or self._is_waiting) is not self._is_reading_paused:
            self._pace_reading()

    def _look_up(self, done_bytes: int) -> None:
        """Let the turn end if it is over, after so much more than at the last look."""
        now_ms = self._context.loop.time() * 1000
        if not self._turn_bytes:
            self._turn_ends_at = now_ms + TURN_MS
        self._turn_bytes += done_bytes
        if self._turn_bytes >= TURN_BYTES_MAX or now_ms >= self._turn_ends_at:
            self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._tick.turns.wait(self._take_turn)

    def _take_turn(self) -> None:
        self._is_waiting = self._tick.is_spent = False
        if not self._is_lost:
            self._work()
            if self._is_closing:  # what the peer says to that is still to be read
                self._pace_reading()

    def _take_special(self, frame: bytes) -> None:
        """Any frame but the ordinary one."""
        inflater = self._inflater
        if inflater is not None and not self._is_closing and inflater.take(frame):
            self._is_inflating = True
            self._go_on_inflating()
        else:
            self._take(frame)

    def _go_on_inflating(self) -> None:
        """Inflate until the frame is whole or the turn is over."""
        while self._is_inflating and not self._ignores_input:
            self._look_up(self._inflate())
            if self._is_waiting:
                return

    def _inflate(self) -> int:
        """Go on with a compressed frame; how much was done."""
        inflater = self._inflater
        assert inflater is not None
        payload = inflater.step()
        if payload is None:
            self._context.registry.inflating.hold(self._give_up, inflater.bytes)
            return INFLATE_STEP_BYTES
        self._is_inflating = False
        self._context.registry.inflating.hold(self._give_up, 0)
        if self._is_closing:
            pass
        elif inflater.first == TEXT_HEAD and not self._reader.is_in_message:
            self._take_text(payload)
        else:
            self._take(plain_frame(inflater.first, payload))
        return len(payload)

    def _give_up(self) -> None:
        """All connections together are inflating too much, and this one the most."""
        self._fail(1013, "too much is being inflated")

    def _take(self, frame: bytes) -> None:
        """A frame that is not compressed, for the protocol object."""
        if frame[0] == PONG_HEAD:
            return  # that it was heard is all it says
        protocol = self._made_protocol()
        if frame[0] & 0x0F == Opcode.CLOSE and self._fragments is not None:
            self._close_inside_message(protocol, frame)
        protocol.receive_data(frame)
        for event in protocol.events_received():
            if isinstance(event, Frame) and not self._is_closing:
                self._take_data(event)
        self._drain(protocol)
        if protocol.state is not State.OPEN:
            if not self._is_closing:
                self._session.close()
                self._is_closing = self._ignores_input = True
                self._expect_close()
        elif self._fragments is None:
            self._protocol = None

    def _made_protocol(self) -> ServerProtocol:
        if self._protocol is None:
            self._protocol = ServerProtocol(
                state=State.OPEN, max_size=self._context.settings.limits.message_bytes_max
            )
        return self._protocol

    def _encoder(self) -> FrameEncoder | None:
        """How frames are sent: compressed for a client that agreed to it."""
        for extension in self._extensions:
            if isinstance(extension, PerMessageDeflate):
                return self._context.compressors.of(extension.local_max_window_bits)
        return None

    def _new_inflater(self) -> Inflater | None:
        limits = self._context.settings.limits
        for extension in self._extensions:
            if isinstance(extension, PerMessageDeflate):
                bytes_max = max(INFLATED_BYTES_MAX, limits.value_bytes_max + 65_536)
                return Inflater(
                    extension.remote_max_window_bits, min(bytes_max, limits.message_bytes_max)
                )
        return None

    def _stop_inflating(self) -> None:
        if self._inflater is not None:
            self._is_inflating = False
            self._inflater.stop()
            self._context.registry.inflating.hold(self._give_up, 0)

    def _close_inside_message(self, protocol: ServerProtocol, frame: bytes) -> None:
        """A close may come between fragments (RFC 6455, 5.4); the protocol object refuses it."""
        mask, payload = frame[2:6], frame[6:]
        try:
            close = Close.parse(apply_mask(payload, mask))
        except Exception:  # noqa: BLE001 - any fault in it is found again, and answered, below
            return
        protocol.send_close(None if close.code == 1005 else close.code, close.reason)

    def _take_data(self, frame: Frame) -> None:
        is_first = frame.opcode in (Opcode.TEXT, Opcode.BINARY)
        try:
            if is_first and frame.fin:
                self._take_message(frame.opcode, bytes(frame.data))
            elif is_first:
                self._reader.is_in_message = True
                self._fragments = Fragments(frame)
            elif frame.opcode is Opcode.CONT and self._fragments is not None:
                if not frame.fin:
                    self._fragments.add(frame)
                    return
                fragments, self._fragments = self._fragments, None
                self._reader.is_in_message = False
                self._take_message(fragments.opcode, fragments.end(frame))
        except UnicodeDecodeError:
            self._fail(1007, "invalid UTF-8")  # RFC 6455, 8.1

    def _take_message(self, opcode: Opcode, message: bytes) -> None:
        if opcode is Opcode.TEXT:
            self._take_text(message)
        else:
            self._answer(message, self._receive_binary)

    def _take_text(self, message: bytes) -> None:
        if not message.isascii():
            try:
                message.decode()
            except UnicodeDecodeError:
                self._fail(1007, "invalid UTF-8")  # RFC 6455, 8.1
                return
        self._answer(message, self._receive_text)

    def _answer(self, message: bytes, receive: Callable[[bytes, int], None]) -> None:
        self._telemetry.messages += 1
        if self._rate_max and self._is_over_rate():
            self._tick.run(self._refuse, RateLimitedError())
        else:
            receive(message, self._tick.begin(receive, message))

    def _receive(self, message: bytes, now: int) -> None:
        try:
            if not self._session.answer_cached_get(message, now):
                self._session.receive(message, now)
        except Exception:  # noqa: BLE001 - a fault of ours ends one connection, not the server
            self._break()

    def _receive_binary(self, message: bytes, now: int) -> None:
        try:
            self._session.receive_binary(message, now)
        except Exception:  # noqa: BLE001 - the same
            self._break()

    def _break(self) -> None:
        _log.exception("a message could not be answered")
        self._fail(1011, "internal error")

    def _refuse(self, error: ClientError, now: int) -> None:
        self._session.refuse(error, now)

    def _is_over_rate(self) -> bool:
        second = int(self._context.loop.time())
        if second != self._rate_second:
            self._rate_second, self._rate_count = second, 0
        self._rate_count += 1
        if self._rate_count == self._rate_max + 1:
            self._context.refusals.tell_rate(self._address, self._rate_max)
        return self._rate_count > self._rate_max

    def _fail(self, code: int, reason: str) -> None:
        """End a connection whose peer broke the protocol, or that we broke."""
        if not self._is_closing:
            self._is_closing = True
            self._ignores_input = True
            self._stop_inflating()
            self._reader.drop()
            self._fragments = None
            self._count_unfinished()
            self._session.close()
            protocol = self._made_protocol()
            protocol.fail(code, reason)
            self._drain(protocol)
            self._expect_close()

    def _drain(self, protocol: ServerProtocol) -> None:
        """Queue what the protocol object wants to send; an empty piece is the end of it."""
        for piece in protocol.data_to_send():
            if piece:
                self._tick.run(self._put, piece)
            else:
                self._outbox.after_flush(self._half_close)

    def _half_close(self) -> None:
        if self._is_lost or self._transport.is_closing():
            return
        self._outbox.kill()
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the peer has closed the whole connection already
            self._transport.abort()
            return
        self._transport.resume_reading()  # or the peer's end would never be seen

    def _expect_close(self) -> None:
        self._close_by = self._context.loop.time() + CLOSE_SECONDS_MAX

    def _reads_too_slowly(self) -> None:
        """More events wait for the peer than may: say so behind what was written already.

        Past the tick, which may have replies of it that are taken back and said anew: nothing may
        come behind what is left out, or the peer would not see that it is.
        """
        if self._is_closing:
            return  # its last word is among what waits, and nothing is added behind it
        self._is_closing = self._ignores_input = True
        self._session.close()
        can_be_told = not self._outbox.is_inside_message
        self._outbox.kill()
        self._telemetry.slow_readers_closed += 1
        self._context.refusals.tell_slow_reader(self._address, "the events it subscribed to")
        if not can_be_told:
            self.abort()
            return
        protocol = self._made_protocol()
        protocol.fail(1013, "events are read too slowly")  # "try again later"
        last_word = b"".join(protocol.data_to_send())
        self._telemetry.bytes_sent += len(last_word)
        self._transport.write(last_word)
        self._half_close()
        self._expect_close()

    def _pace_reading(self) -> None:
        wants_pause = self._outbox.is_full or self._is_waiting
        if wants_pause != self._is_reading_paused:
            self._is_reading_paused = wants_pause
            if wants_pause:
                self._transport.pause_reading()
            elif not self._is_lost:
                self._transport.resume_reading()


def _answer_nothing(_message: bytes, _now: int) -> None:
    """What a lost connection had asked for."""
