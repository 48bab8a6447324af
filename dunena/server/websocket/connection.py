"""A connection after its upgrade: frames in, messages to the session, frames out.

The ordinary frame, a whole text message, goes from the frame reader to the message receiver at
once; every other one goes through `special_frames`. What these want to send goes through the
outbox, so that it keeps its place among the replies. The states of a connection, and what leads
from one to the next, are in `lifecycle`.
"""

import asyncio
from typing import Final

from dunena.frames import PING, TEXT_HEAD, FrameError, FrameReader
from dunena.server.context import Context
from dunena.server.limits import (
    CLOSE_SECONDS_MAX,
    FRAME_BYTES,
    INFLATE_STEP_BYTES,
    PING_SECONDS,
    TURN_LOOK_BYTES,
    UNFINISHED_BYTES_MIN,
)
from dunena.server.lost_transport import LOST
from dunena.server.outbox import Outbox, end_after_replies
from dunena.server.registry import ConnectionFacts, GrantLookup, peer_address, peer_host
from dunena.server.turn import Turn
from dunena.server.unread import Unread
from dunena.server.websocket.handshake import AcceptedHandshake
from dunena.server.websocket.inflater import Inflater, new_inflater, plain_frame
from dunena.server.websocket.lifecycle import LifecycleEvent, State, next_state
from dunena.server.websocket.message_receiver import MessageReceiver
from dunena.server.websocket.special_frames import SpecialFrames

FRAMES_BETWEEN_LOOKS: Final = TURN_LOOK_BYTES // FRAME_BYTES


class WebSocketConnection:
    """One connection while it speaks WebSocket; it takes over transport and outbox.

    An `asyncio.Protocol` in all but name: a compiled class has no interpreted base.
    """

    __slots__ = (
        "_address",
        "_close_by",
        "_context",
        "_extensions",
        "_grant",
        "_ignores_input",
        "_inflater",
        "_is_holding",
        "_is_open",
        "_is_reading_paused",
        "_next_check",
        "_origin",
        "_outbox",
        "_program",
        "_reader",
        "_receiver",
        "_session",
        "_special",
        "_state",
        "_telemetry",
        "_tick",
        "_transport",
        "_turn",
        "_unread",
        "_was_heard",
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
        message_bytes_max = context.settings.limits.message_bytes_max
        self._reader = FrameReader(message_bytes_max, has_extension=bool(accepted.extensions))
        self._receiver = MessageReceiver(context, self._session, self._address, self._fail)
        self._special = SpecialFrames(self._reader, message_bytes_max)
        self._inflater = new_inflater(accepted.extensions, context.settings.limits)
        self._state = State.OPEN
        self._is_open = True  # this and the next follow from the state, for the hot path
        self._ignores_input = False
        # What does not depend on the state:
        self._turn = Turn()
        self._is_reading_paused = False
        self._is_holding = False  # much of a message that is not whole
        self._unread: Unread | None = None  # made when it first reads too slowly
        self._was_heard = True
        self._next_check = context.loop.time() + PING_SECONDS
        self._close_by: float | None = None

    def begin(self, response: bytes, rest: bytes, *, has_peer_ended: bool) -> None:
        """Answer the upgrade, greet the client, go on with what it sent behind its request."""
        self._outbox.rewire(
            self._reads_too_slowly, self._context.compressors.agreed(self._extensions)
        )
        self._telemetry.websocket_connections += 1
        self._tick.run(self._open, response)
        self._go_on_later()
        if rest:
            self.data_received(rest)
        if has_peer_ended:
            self.eof_received()

    # --- asyncio ---

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; what it held is free at once, so nothing may lead back to it."""
        self._report(LifecycleEvent.CONNECTION_LOST)
        self._transport = LOST
        self._receiver.drop()
        self._stop_inflating()
        self._count_unfinished()
        if self._unread is not None:
            self._unread.resumed()
            self._unread = None
        self._reader.drop()
        self._special.drop()
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
        turn = self._turn
        if turn.is_heavy and (turn.is_waiting or self._tick.is_spent):
            self._wait_for_turn()
            self._pace_reading()
            return
        turn.done_bytes = 0
        self._work(turn)
        if len(data) >= TURN_LOOK_BYTES or self._is_holding:
            self._count_unfinished()

    def eof_received(self) -> bool:
        """The peer sends no more: RFC 6455 has no half-open connections."""
        self._report(LifecycleEvent.PEER_ENDED)
        self._session.close()
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
        if not self._turn.is_waiting:
            self._have_turn()

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
        self._turn.sweep()
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
            if self._is_open:
                for error in lost:
                    self._receiver.refuse(error)

    def shut_down(self) -> None:
        """The server stops: RFC 6455, 7.4.1, "going away"."""
        if self._report(LifecycleEvent.SHUT_DOWN):
            self._session.close()
            self._special.close(1001, "server stopped")
            self._send_output()
            self._expect_close()

    def abort(self) -> None:
        """End it at once."""
        self._outbox.kill()
        self._transport.abort()

    # --- inside ---

    def _report(self, event: LifecycleEvent) -> bool:
        """Take the transition of an event; whether it led to another state."""
        before = self._state
        self._state = next_state(before, event)
        self._is_open = self._state is State.OPEN
        self._ignores_input = self._state in (State.ENDING, State.LOST)
        return self._state is not before

    def _unread_sizes(self) -> tuple[int, int]:
        return self._transport.get_write_buffer_size(), self._outbox.reply_bytes

    def _count_unfinished(self) -> None:
        """Say how much of a message has come that is not whole."""
        size = self._reader.unfinished_bytes + self._special.unfinished_bytes
        is_holding = size >= UNFINISHED_BYTES_MIN and not self._ignores_input
        if is_holding or self._is_holding:
            self._is_holding = is_holding
            self._context.registry.messages.hold(self._give_message_up, size if is_holding else 0)

    def _give_message_up(self) -> None:
        """All connections together are sending too much, and this one the most."""
        self._is_holding = False
        self._fail(1013, "too much is being sent")

    def _disconnect(self) -> None:
        """It leaves its replies unread, so there is nothing that it could still be told."""
        if self._state is not State.LOST:
            self._telemetry.slow_readers_closed += 1
            self._context.refusals.tell_slow_reader(self._address, "its replies")
            self.abort()

    def _open(self, response: bytes, now: int) -> None:
        self._outbox.put(response)
        self._session.open(now)

    def _put(self, piece: bytes, _now: int) -> None:
        self._outbox.put(piece)

    def _work(self, turn: Turn) -> bool:
        """Take whole frames until there are none, the turn ends, or the client should read.

        Whether there are none.
        """
        reader, outbox, receiver = self._reader, self._outbox, self._receiver
        frames_left = FRAMES_BETWEEN_LOOKS
        try:
            while not (self._ignores_input or turn.is_waiting or outbox.is_full):
                frame = reader.next()
                if frame is None:
                    return True
                if not reader.is_message:
                    self._take_special(frame)
                elif self._is_open:  # in a later state what it says is not for us
                    receiver.take_text(frame)
                frames_left -= 1
                if len(frame) >= TURN_LOOK_BYTES:  # counts for itself
                    self._look_up(len(frame))
                elif not frames_left:
                    frames_left = FRAMES_BETWEEN_LOOKS
                    self._look_up(TURN_LOOK_BYTES)
            self._go_on_later()
        except FrameError as error:
            self._end_input(error)
        return False

    def _have_turn(self) -> None:
        """Go on with what was left, and read more when nothing is."""
        turn = self._turn
        turn.done_bytes = 0
        try:
            self._go_on_inflating()
        except FrameError as error:
            self._end_input(error)
            return
        if self._work(turn) and self._is_reading_paused:
            self._go_on_later()

    def _go_on_later(self) -> None:
        """What is left is done after the flush where the outbox is full, and is read later."""
        if not self._is_open:
            return
        outbox, turn = self._outbox, self._turn
        is_full = outbox.is_full
        wants_pause = is_full or turn.is_waiting
        if wants_pause:
            self._tick.is_spent = True
            turn.mark_heavy()
        if is_full and not outbox.is_paused:
            outbox.after_flush(self._wait_for_turn)
        if wants_pause is not self._is_reading_paused:
            self._pace_reading()

    def _look_up(self, done_bytes: int) -> None:
        """Let the turn end if it is over, after so much more than at the last look."""
        if self._turn.use(done_bytes, self._context.loop.time() * 1000):
            self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        turn = self._turn
        if not turn.is_waiting:
            turn.is_waiting = True
            self._tick.turns.wait(self._take_turn)

    def _take_turn(self) -> None:
        self._turn.is_waiting = self._tick.is_spent = False
        if self._state is not State.LOST:
            self._have_turn()
            if not self._is_open:  # what the peer says to that is still to be read
                self._pace_reading()

    def _take_special(self, frame: bytes) -> None:
        """Any frame but the ordinary one."""
        inflater = self._inflater
        if inflater is not None and self._is_open and inflater.take(frame):
            self._go_on_inflating()
        else:
            self._take(frame)

    def _go_on_inflating(self) -> None:
        """Inflate the frame that is begun, if any, until it is whole or the turn is over."""
        inflater = self._inflater
        if inflater is None:
            return
        while inflater.is_busy and not self._ignores_input:
            self._look_up(self._inflate(inflater))
            if self._turn.is_waiting:
                return

    def _inflate(self, inflater: Inflater) -> int:
        """Go on with a compressed frame; how much was done."""
        payload = inflater.step()
        if payload is None:
            self._context.registry.inflating.hold(self._give_up, inflater.bytes)
            return INFLATE_STEP_BYTES
        self._context.registry.inflating.hold(self._give_up, 0)
        if not self._is_open:
            pass
        elif inflater.first == TEXT_HEAD and not self._reader.is_in_message:
            self._receiver.take_text(payload)
        else:
            self._take(plain_frame(inflater.first, payload))
        return len(payload)

    def _give_up(self) -> None:
        """All connections together are inflating too much, and this one the most."""
        self._fail(1013, "too much is being inflated")

    def _take(self, frame: bytes) -> None:
        """A frame that is neither ordinary nor compressed."""
        special = self._special
        message = special.receive(frame, takes_messages=self._is_open)
        if message is not None:
            data, is_text = message
            if is_text:
                self._receiver.take_text(data)
            else:
                self._receiver.take_binary(data)
        self._send_output()
        if (
            special.has_ended
            and self._report(LifecycleEvent.HANDSHAKE_ENDED)
            and self._close_by is None
        ):
            self._session.close()
            self._expect_close()

    def _stop_inflating(self) -> None:
        if self._inflater is not None:
            self._inflater.stop()
            self._context.registry.inflating.hold(self._give_up, 0)

    def _fail(self, code: int, reason: str) -> None:
        """End a connection whose peer broke the protocol, or that we broke."""
        if self._report(LifecycleEvent.FAILED):
            self._stop_inflating()
            self._reader.drop()
            self._special.fail(code, reason)
            self._count_unfinished()
            self._session.close()
            self._send_output()
            self._expect_close()

    def _end_input(self, error: FrameError) -> None:
        """The peer broke the framing: say so if nothing was said yet, and read no more of it."""
        self._fail(error.code, error.reason)
        if self._report(LifecycleEvent.FRAMING_BROKEN):
            self._stop_inflating()
            self._reader.drop()
            self._count_unfinished()

    def _send_output(self) -> None:
        """Queue what the special frames want to send; an empty piece is the end of it."""
        for piece in self._special.take_output():
            if piece:
                self._tick.run(self._put, piece)
            else:
                self._outbox.after_flush(self._half_close)

    def _half_close(self) -> None:
        if self._state is State.LOST or self._transport.is_closing():
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
        if not self._report(LifecycleEvent.READ_TOO_SLOWLY):
            return  # its last word is among what waits, and nothing is added behind it
        self._session.close()
        can_be_told = not self._outbox.is_inside_message
        self._outbox.kill()
        self._telemetry.slow_readers_closed += 1
        self._context.refusals.tell_slow_reader(self._address, "the events it subscribed to")
        if not can_be_told:
            self.abort()
            return
        self._special.fail(1013, "events are read too slowly")  # "try again later"
        last_word = b"".join(self._special.take_output())
        self._telemetry.bytes_sent += len(last_word)
        self._transport.write(last_word)
        self._half_close()
        self._expect_close()

    def _pace_reading(self) -> None:
        wants_pause = self._outbox.is_full or self._turn.is_waiting
        if wants_pause != self._is_reading_paused:
            self._is_reading_paused = wants_pause
            if wants_pause:
                self._transport.pause_reading()
            elif self._state is not State.LOST:
                self._transport.resume_reading()
