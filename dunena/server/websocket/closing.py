"""Ending a WebSocket connection: the close frames, the order of the steps and the time limit.

`lifecycle` has the states of a connection and their transitions.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Final

from dunena.frames import FrameError, FrameReader
from dunena.server.context import Context
from dunena.server.half_close import half_close
from dunena.server.limits import CLOSE_SECONDS_MAX
from dunena.server.outbox import Outbox
from dunena.server.websocket.client import Client
from dunena.server.websocket.handshake import AcceptedHandshake
from dunena.server.websocket.lifecycle import WebSocketEvent, WebSocketState, next_state
from dunena.server.websocket.special_frames import SpecialFrames

SESSION_RESUMED: Final = 4001
"""Close code for a connection whose session another one resumed: its client must not come back by
itself, or both would take the session from each other for ever (RFC 6455, 7.4.2)."""


class ClosingConnection(ABC):
    """The part of a WebSocket connection that ends it; a derived class handles the open state.

    ``_is_open`` and ``_ignores_input`` follow from the state, and are attributes for the hot path.
    ``_close_by`` is the time by which the peer must have closed, None before the end has begun.
    """

    __slots__ = (
        "_client",
        "_close_by",
        "_context",
        "_conversation",
        "_holder",
        "_ignores_input",
        "_is_open",
        "_outbox",
        "_reader",
        "_special",
        "_state",
        "_telemetry",
        "_tick",
        "_transport",
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
        self._client = Client.of(accepted)
        self._holder = context.sessions.holder(accepted.grant, self)
        self._conversation = context.new_conversation(
            context.views.of(accepted.grant),
            accepted.dialect,
            output=outbox,
            pacing=context,
            holder=self._holder,
        )
        message_bytes_max = context.settings.limits.message_bytes_max
        self._reader = FrameReader(message_bytes_max, has_extension=bool(accepted.extensions))
        self._special: SpecialFrames | None = None  # while there are some
        self._state = WebSocketState.OPEN
        self._is_open = True
        self._ignores_input = False
        self._close_by: float | None = None

    def shut_down(self) -> None:
        """Close the connection as "going away": the server stops (RFC 6455, 7.4.1)."""
        if self._report(WebSocketEvent.SHUT_DOWN):
            self._close_conversation()
            self._made_special().close(1001, "server stopped")
            self._send_output()
            self._expect_close()

    @property
    def address(self) -> str:
        """The client's address."""
        return self._client.address

    def abort(self) -> None:
        """Close the transport at once and discard all queued bytes."""
        self._outbox.kill()
        self._transport.abort()

    # --- inside ---

    def _made_special(self) -> SpecialFrames:
        special = self._special
        if special is None:
            bytes_max = self._context.settings.limits.message_bytes_max
            special = self._special = SpecialFrames(self._reader, bytes_max)
        return special

    @abstractmethod
    def _drop_input(self) -> None:
        """Discard the incomplete message, which will not be handled."""

    def _report(self, event: WebSocketEvent) -> bool:
        """Set the state that follows an event; return whether it is another one."""
        before = self._state
        self._state = next_state(before, event)
        self._is_open = self._state is WebSocketState.OPEN
        self._ignores_input = self._state in (WebSocketState.ENDING, WebSocketState.LOST)
        return self._state is not before

    def fail(self, code: int, reason: str) -> None:
        """End the connection because of a fault of the peer or a bug of the server."""
        if self._report(WebSocketEvent.FAILED):
            self._made_special().fail(code, reason)
            self._drop_input()
            self._close_conversation()
            self._send_output()
            self._expect_close()

    def _end_input(self, error: FrameError) -> None:
        """Send a close frame, if none was sent, and ignore all further input."""
        self.fail(error.code, error.reason)
        if self._report(WebSocketEvent.FRAMING_BROKEN):
            self._drop_input()

    def _end_handshake(self) -> None:
        """Wait for the peer to close, as the closing handshake is complete or failed."""
        if self._report(WebSocketEvent.HANDSHAKE_ENDED) and self._close_by is None:
            special = self._special
            is_on_purpose = special is not None and special.was_left_on_purpose
            self._close_conversation(is_on_purpose=is_on_purpose)
            self._expect_close()

    def _close_conversation(self, *, is_on_purpose: bool = False) -> None:
        """End the conversation; if the peer left on purpose, its session ends without a grace."""
        self._conversation.close()
        self._holder.close(self._tick.now, is_at_once=is_on_purpose)

    @abstractmethod
    def change_timeout(self, timeout_ms: int) -> None:
        """End the connection after so much silence from now on."""

    def displace(self) -> None:
        """End the connection soon: another one resumed its session.

        Not now, in a request of the other connection, which may be run again.
        """
        self._context.loop.call_soon(self.fail, SESSION_RESUMED, "session resumed elsewhere")

    def expel(self) -> None:
        """End the connection soon, for the same reason: another server has ended its session.

        The client is to come back, and begin another one.
        """
        self._context.loop.call_soon(self.fail, 1013, "session has ended")  # "try again later"

    def _reads_too_slowly(self) -> None:
        """Discard the outbox and end the connection: too many events wait for the peer.

        The close frame is written to the transport, not through the tick: the tick may run requests
        again, whose replies would then follow the discarded bytes unnoticed by the peer.
        """
        if not self._report(WebSocketEvent.READ_TOO_SLOWLY):
            return  # the close frame is queued already, and nothing is added after it
        self._close_conversation()
        can_be_told = not self._outbox.is_inside_message
        self._outbox.kill()
        self._telemetry.slow_readers_closed += 1
        self._context.refusals.tell_slow_reader(self._client.address, "the events it subscribed to")
        if not can_be_told:
            self.abort()
            return
        special = self._made_special()
        special.fail(1013, "events are read too slowly")  # "try again later"
        last_word = b"".join(special.take_output())
        self._telemetry.bytes_sent += len(last_word)
        self._transport.write(last_word)
        self._half_close()
        self._expect_close()

    def _send_output(self) -> None:
        """Queue the output of the special frames; an empty piece means to close afterwards."""
        special = self._special
        if special is None:
            return
        for piece in special.take_output():
            if piece:
                self._tick.run(self._put, piece)
            else:
                self._outbox.after_flush(self._half_close)
        if special.is_unused:
            self._special = None

    def _put(self, piece: bytes, _now: int) -> None:
        self._outbox.put(piece)

    def _half_close(self) -> None:
        if self._state is not WebSocketState.LOST and not self._transport.is_closing():
            self._outbox.kill()
            half_close(self._transport)

    def _expect_close(self) -> None:
        self._close_by = self._context.loop.time() + CLOSE_SECONDS_MAX
