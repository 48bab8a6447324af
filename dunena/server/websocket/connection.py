"""A connection after its upgrade, which receives and sends WebSocket frames.

The ordinary frame, a whole text message, goes directly from the frame reader to the message
receiver; every other frame goes through `special_frames`, whose output is put in the outbox in
order with the replies. `closing` ends a connection; `lifecycle` has its states and their
transitions.
"""

import asyncio
from functools import partial
from typing import Final

from dunena.frames import PING, PONG_HEAD, TEXT_HEAD, FrameError
from dunena.server.context import Context
from dunena.server.limits import (
    FRAME_BYTES,
    INFLATE_STEP_BYTES,
    PING_SECONDS,
    TURN_LOOK_BYTES,
    UNFINISHED_BYTES_MIN,
)
from dunena.server.lost_transport import LOST
from dunena.server.outbox import Outbox, end_after_replies
from dunena.server.registry import ConnectionFacts, GrantLookup
from dunena.server.turn import Turn
from dunena.server.unread import Unread, watch_unread
from dunena.server.websocket.closing import ClosingConnection
from dunena.server.websocket.handshake import AcceptedHandshake
from dunena.server.websocket.inflater import Inflater, new_inflater, plain_frame
from dunena.server.websocket.lifecycle import WebSocketEvent, WebSocketState
from dunena.server.websocket.message_receiver import MessageReceiver
from dunena.server.websocket.silence import Silence

CONTROL_BIT: Final = 0x08
"""The bit in the first byte of a close, ping or pong frame (RFC 6455, 5.5)."""

FRAMES_BETWEEN_LOOKS: Final = TURN_LOOK_BYTES // FRAME_BYTES


class WebSocketConnection(ClosingConnection):
    """One WebSocket connection, which takes over transport and outbox of an HTTP connection.

    It has the methods of `asyncio.Protocol` but does not inherit from it, as a compiled class
    cannot have an interpreted base.
    """

    __slots__ = (
        "_grant",
        "_inflater",
        "_is_holding",
        "_is_reading_paused",
        "_next_check",
        "_receiver",
        "_silence",
        "_turn",
        "_unread",
        "_unsent_bytes",
        "_was_heard",
    )

    def __init__(
        self,
        context: Context,
        accepted: AcceptedHandshake,
        transport: asyncio.Transport,
        outbox: Outbox,
    ) -> None:
        super().__init__(context, accepted, transport, outbox)
        self._grant = accepted.grant
        self._receiver = self._new_receiver(context)
        self._inflater = new_inflater(accepted.extensions, context.settings.limits)
        outbox.rewire(
            self._reads_too_slowly,
            context.compressors.agreed(accepted.extensions),
            context.tick.turns.wait,
        )
        # These do not depend on the state:
        self._turn = Turn()
        self._is_reading_paused = False
        self._is_holding = False  # counts in the budget of incomplete messages
        self._unread: Unread | None = None  # made when the peer first reads too slowly
        self._was_heard = True
        self._silence: Silence | None = None  # made when the client asks for a session
        self._unsent_bytes = 0
        self._next_check = context.loop.time() + PING_SECONDS

    def begin(self, response: bytes, rest: bytes, *, has_peer_ended: bool) -> None:
        """Send the response to the upgrade, open the conversation and handle ``rest``.

        ``rest`` are the bytes after the request to upgrade. ``has_peer_ended``: no more will come.
        """
        self._telemetry.websocket_connections += 1
        self._tick.run(self._open, (response, self._context.new_id()))
        self._go_on_later()
        if rest:
            self.data_received(rest)
        if has_peer_ended:
            self.eof_received()

    # --- asyncio ---

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop all references to the connection, so that its memory is freed at once."""
        self._report(WebSocketEvent.CONNECTION_LOST)
        self._transport = LOST
        self._receiver.drop()
        self._stop_inflating()
        self._count_unfinished()
        if self._unread is not None:
            self._unread.resumed()
            self._unread = None
        self._reader.drop()
        self._special = None
        self._outbox.lose(LOST)
        self._close_conversation()
        self._stop_silence()
        self._context.registry.remove(self)
        self._telemetry.websocket_connections -= 1

    def data_received(self, data: bytes) -> None:
        """Handle received bytes now, or in a later turn if the connection has used up its own."""
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
        """End the connection, as the peer has ended it (RFC 6455 has no half-open connections).

        Return whether the transport stays open for the queued replies.
        """
        self._report(WebSocketEvent.PEER_ENDED)
        self._close_conversation()
        self._expect_close()
        return end_after_replies(self._tick.end, self._outbox, self._transport)

    def pause_writing(self) -> None:
        """Let the peer's requests wait, as it reads more slowly than data is sent to it."""
        self._outbox.pause()
        self._pace_reading()
        if self._unread is None:
            self._unread = watch_unread(
                self._context,
                self._transport,
                self._outbox,
                self.abort,
                address=self._client.address,
                what="its replies",
            )
        self._unread.paused(self._context.loop.time())

    def resume_writing(self) -> None:
        """Continue with the peer's requests: it has read enough."""
        if self._unread is not None:
            self._unread.resumed()
        self._outbox.resume()
        if not self._turn.is_waiting:
            self._have_turn()

    # --- registry ---

    def facts(self) -> ConnectionFacts:
        """Return what the server reports about this connection."""
        return self._client.facts(
            self._conversation,
            self._grant.name,
            self._transport,
            self._outbox.size,
            self._holder.session,
        )

    def sweep(self, now_seconds: float) -> None:
        """Ping a silent peer, and abort if it does not answer or closing takes too long."""
        if self._close_by is not None:
            if now_seconds >= self._close_by:
                self.abort()
            return
        self._count_unfinished()  # also of a message that arrives in small parts
        self._turn.sweep()
        if self._unread is not None:
            self._unread.end_overdue(now_seconds)
        if now_seconds < self._next_check or self._outbox.is_paused or self._silence is not None:
            return
        self._next_check = now_seconds + PING_SECONDS
        if self._was_heard:
            self._was_heard = False
            self._tick.run(self._put, PING)
        else:
            self.fail(1011, "keepalive ping timeout")

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Apply a changed token; end the connection if it is invalid (1008: RFC 6455, 7.4.1)."""
        grant = current_grant(self._grant)
        if grant is None:
            self.fail(1008, "token no longer valid")
        elif grant != self._grant:
            self._grant = grant
            self._holder.change_rights(grant)
            # Outside the tick, which may run requests again: this must not be done twice.
            lost = self._conversation.use_services(self._context.views.of(grant))
            if self._is_open:
                for error in lost:
                    self._receiver.refuse(error)
                if self._conversation.is_watching:
                    self._tick.run(self._tell_watches_again, None)

    # --- silence ---

    def has_been_heard(self) -> bool:
        """Return whether the peer gave a sign of life since the last call.

        Of one that has much to read, reading is a sign, as it finds no ping; and one that waits for
        its turn may have sent something.
        """
        was_heard, self._was_heard = self._was_heard, False
        unsent_before, self._unsent_bytes = (
            self._unsent_bytes,
            self._transport.get_write_buffer_size(),
        )
        if self._outbox.is_paused:
            return was_heard or self._unsent_bytes != unsent_before
        return was_heard or self._is_reading_paused

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        if self._close_by is None:
            self._tick.run(self._put, PING)

    def end_silence(self) -> None:
        """End the connection, as its peer was silent for too long."""
        self.fail(1011, "keepalive ping timeout")

    def change_timeout(self, timeout_ms: int) -> None:
        if self._silence is None:
            loop = self._context.loop
            self._silence = Silence(self, loop.time, loop.call_later)
        self._silence.watch(timeout_ms / 1000)

    def _stop_silence(self) -> None:
        if self._silence is not None:
            self._silence.stop()
            self._silence = None

    # --- inside ---

    def _count_unfinished(self) -> None:
        """Count the bytes of an incomplete message in the budget of all connections."""
        size = self._reader.unfinished_bytes
        if self._special is not None:
            size += self._special.unfinished_bytes
        is_holding = size >= UNFINISHED_BYTES_MIN and not self._ignores_input
        if is_holding or self._is_holding:
            self._is_holding = is_holding
            self._context.registry.messages.hold(self._give_message_up, size if is_holding else 0)

    def _give_message_up(self) -> None:
        """End the connection: all together hold too much of messages, and this one the most."""
        self._is_holding = False
        self.fail(1013, "too much is being sent")

    def _tell_watches_again(self, _message: None, now: int) -> None:
        self._conversation.tell_watches_again(now)

    def _open(self, opening: tuple[bytes, str], now: int) -> None:
        response, client_id = opening
        self._outbox.put(response)
        self._conversation.open(client_id, now)

    def _work(self, turn: Turn) -> bool:
        """Handle whole frames until there are none, the turn is over or the outbox is full.

        Return whether there are none.
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
                elif not self._is_open:
                    pass  # ignored in later states
                elif reader.is_ascii:
                    receiver.take_checked(frame)
                else:
                    receiver.take_text(frame)
                frames_left -= 1
                if len(frame) >= TURN_LOOK_BYTES:  # counts separately
                    self._look_up(len(frame))
                elif not frames_left:
                    frames_left = FRAMES_BETWEEN_LOOKS
                    self._look_up(TURN_LOOK_BYTES)
            self._go_on_later()
        except FrameError as error:
            self._end_input(error)
        return False

    def _have_turn(self) -> None:
        """Continue with the remaining input, and resume reading if there is none."""
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
        """Pause or resume reading, and continue after a flush if the outbox is full."""
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
        """End the turn if it is over, after ``done_bytes`` were handled since the last call."""
        if self._turn.use(done_bytes, self._context.loop.time() * 1000):
            self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        turn = self._turn
        if not turn.is_waiting:
            turn.is_waiting = True
            self._tick.turns.wait(self._take_turn)

    def _new_receiver(self, context: Context) -> MessageReceiver:
        if context.new_receiver is None:
            return MessageReceiver(context, self._conversation, self)
        receiver: MessageReceiver = context.new_receiver(context, self._conversation, self)
        return receiver

    def hold_input(self) -> None:
        """Handle no further message until `release_input`: earlier ones are to be answered first.

        The connection waits as for its turn, which it has then.
        """
        self._turn.is_waiting = True
        self._pace_reading()

    def release_input(self) -> None:
        """Handle messages again, in the connection's turn."""
        self._tick.turns.wait(self._take_turn)

    def _take_turn(self) -> None:
        self._turn.is_waiting = self._tick.is_spent = False
        if self._state is not WebSocketState.LOST:
            self._have_turn()
            if not self._is_open:  # the peer's close frame is still to be read
                self._pace_reading()

    def _take_special(self, frame: bytes) -> None:
        """Handle any frame but the ordinary one."""
        if frame[0] == PONG_HEAD:
            return  # a pong only shows that the peer is alive
        if self._receiver.is_behind and frame[0] & CONTROL_BIT:
            self._receiver.defer(partial(self._take_deferred, frame))
            return
        inflater = self._inflater
        if inflater is not None and self._is_open and inflater.take(frame):
            self._go_on_inflating()
        else:
            self._take(frame)

    def _take_deferred(self, frame: bytes) -> None:
        """Handle a control frame that came behind messages which had to be answered first."""
        try:
            self._take(frame)
        except FrameError as error:
            self._end_input(error)

    def _go_on_inflating(self) -> None:
        """Continue to inflate a frame, if any, until it is complete or the turn is over."""
        inflater = self._inflater
        if inflater is None:
            return
        while inflater.is_busy and not self._ignores_input:
            self._look_up(self._inflate(inflater))
            if self._turn.is_waiting:
                return

    def _inflate(self, inflater: Inflater) -> int:
        """Do one step of inflating a frame; return the number of inflated bytes."""
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
        """End the connection: all together inflate too much, and this one the most."""
        self.fail(1013, "too much is being inflated")

    def _take(self, frame: bytes) -> None:
        """Handle a frame that is neither ordinary nor compressed."""
        special = self._made_special()
        message = special.receive(frame, takes_messages=self._is_open)
        if message is not None:
            data, is_text = message
            if is_text:
                self._receiver.take_text(data)
            else:
                self._receiver.take_binary(data)
        self._send_output()
        if special.has_ended:
            self._end_handshake()

    def _stop_inflating(self) -> None:
        if self._inflater is not None:
            self._inflater.stop()
            self._context.registry.inflating.hold(self._give_up, 0)

    def _drop_input(self) -> None:
        self._stop_inflating()
        self._reader.drop()
        self._count_unfinished()

    def _pace_reading(self) -> None:
        wants_pause = self._outbox.is_full or self._turn.is_waiting
        if wants_pause != self._is_reading_paused:
            self._is_reading_paused = wants_pause
            if wants_pause:
                self._transport.pause_reading()
            elif self._state is not WebSocketState.LOST:
                self._transport.resume_reading()
