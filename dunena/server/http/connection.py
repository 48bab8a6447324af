"""A new connection, which speaks HTTP/1.1 until a request upgrades it to WebSocket or asks for a
stream of events.

Requests are answered in their order, in the tick in which they arrive. While the outbox is full, a
response is being transferred, a request is held or another connection has its turn, the remaining
requests wait and reading is paused. A request with a body is admitted or refused when its head is
complete.
`lifecycle` has the states of a connection and their transitions.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from dunena.dialects.grants import NOTHING
from dunena.server.context import Context
from dunena.server.half_close import half_close
from dunena.server.http.flow_control import FlowControl
from dunena.server.http.held_bytes import HeldBytes
from dunena.server.http.lifecycle import HttpEvent, HttpState, next_state
from dunena.server.http.message import HeldInState, Parking, Request, Response
from dunena.server.http.peer import Peer
from dunena.server.http.request_queue import RequestQueue
from dunena.server.http.response_writer import ResponseWriter
from dunena.server.limits import (
    IDLE_SECONDS_MAX,
    LINGER_BYTES_MAX,
    LINGER_SECONDS_MAX,
    REQUEST_BYTES,
    REQUEST_SECONDS_MAX,
    TURN_LOOK_BYTES,
)
from dunena.server.lost_transport import LOST
from dunena.server.outbox import Outbox, end_after_replies
from dunena.server.registry import GrantLookup
from dunena.server.turn import Turn

if TYPE_CHECKING:
    from dunena.server.http.event_stream import EventStream

# Looked up once: Python 3.11 takes longer to find a member of an enumeration than to call a method.
_OPEN: Final = HttpState.OPEN
_TRANSFERRING: Final = HttpState.TRANSFERRING
_BUSY: Final = (_TRANSFERRING, HttpState.WAITING)
_ANSWERING: Final = (_OPEN, *_BUSY)
_AT_ITS_END: Final = (HttpState.ENDING, HttpState.LINGERING)


class HttpConnection:
    """One connection while it speaks HTTP.

    It has the methods of `asyncio.Protocol` but does not inherit from it, as a compiled class
    cannot have an interpreted base. ``is_shared``: it was accepted where the server is shared on
    the network.
    """

    __slots__ = (
        "_context",
        "_flow",
        "_following",
        "_held",
        "_is_shared",
        "_lingered_bytes",
        "_outbox",
        "_peer",
        "_requests",
        "_state",
        "_telemetry",
        "_tick",
        "_transport",
        "_turn",
        "_wait_seconds_max",
        "_waits_since",
        "_writer",
    )

    def __init__(self, context: Context, *, is_shared: bool = False) -> None:
        self._context = context
        self._tick = context.tick
        self._telemetry = context.telemetry
        self._is_shared = is_shared
        self._transport: asyncio.Transport
        self._outbox: Outbox
        self._writer: ResponseWriter
        self._peer: Peer
        self._flow: FlowControl
        self._state: HttpState = _OPEN
        self._lingered_bytes = 0  # received since the state ENDING
        self._following: HeldInState | None = None  # in the state WAITING
        # These do not depend on the state:
        body_bytes_max = context.settings.limits.message_bytes_max
        self._requests = RequestQueue(body_bytes_max, self._wants_body, context.heads)
        self._turn = Turn()
        self._held = HeldBytes(context.registry, self._give_up)
        self._waits_since: float = context.loop.time()
        self._wait_seconds_max: float = REQUEST_SECONDS_MAX

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up the connection; refuse it if the server has too many."""
        context = self._context
        self._transport = cast("asyncio.Transport", transport)
        self._outbox = Outbox(
            self._transport,
            context.tick.schedule_flush,
            self.abort,
            context.telemetry,
            is_encrypted=context.settings.is_encrypted,
            message_budget=context.registry.waiting_messages,
        )
        self._writer = ResponseWriter(context, self._outbox)
        self._peer = Peer(context, transport)
        self._flow = FlowControl(
            context, self._transport, self._outbox, self.abort, self._peer.host
        )
        context.telemetry.http_connections += 1
        refusal = self._peer.refuse_connection()
        if refusal is not None:
            self._end_with(Request(), refusal)
        context.registry.add(self, self._peer.group)
        self._held.hold_connection()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop all references to the connection, so that its memory is freed at once."""
        self._report(HttpEvent.CONNECTION_LOST)
        self._transport = LOST
        self._outbox.lose(LOST)
        self._drop()
        self._held.lose()
        self._flow.lose()
        self._context.registry.remove(self)
        self._context.telemetry.http_connections -= 1

    def data_received(self, data: bytes) -> None:
        """Parse received bytes and answer every complete request."""
        self._telemetry.bytes_received += len(data)
        if self._state is not _OPEN and self._state not in _ANSWERING:
            self._lingered_bytes += len(data)
            if self._lingered_bytes > LINGER_BYTES_MAX:
                self.abort()
            return
        self._requests.feed(data)
        self._answer()

    def eof_received(self) -> bool:
        """Answer the requests of a peer that sends no more; return whether to stay open."""
        self._requests.has_peer_ended = True
        self._answer()
        if self._following is not None:
            self._following.end_early()  # its client has most likely left
        if self._state not in _AT_ITS_END:
            return True  # requests wait until the peer has read more
        return end_after_replies(self._context.tick.end, self._outbox, self._transport)

    def pause_writing(self) -> None:
        """Stop answering: the peer reads more slowly than responses are sent."""
        self._flow.pause_writing()

    def resume_writing(self) -> None:
        """Continue to answer: the peer has read enough."""
        self._flow.resume_writing()
        self._writer.resume()
        self._answer()

    # --- registry ---

    def facts(self) -> None:
        """Return None: HTTP connections are only counted, as each exists for a short time."""

    def sweep(self, now_seconds: float) -> None:
        """Close the connection if it is idle or does not complete its request in time."""
        if self._flow.end_overdue(now_seconds):
            return
        if now_seconds - self._waits_since <= self._wait_seconds_max:
            return
        if self._state in _AT_ITS_END:
            self.abort()
        elif self._requests.has_work or self._outbox.is_paused or self._state in _BUSY:
            return  # the server has to answer, or the peer reads slowly
        elif self._requests.parser.is_in_request and not self._requests.parser.is_skipping:
            self._refuse_request(Response.error(408, "Request timeout"))
        else:
            self._end()  # idle, or receiving a body whose request was answered

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Answer a held request if its token changed; that of each other request is checked."""
        if self._following is not None:
            self._following.update_grant(current_grant)

    def shut_down(self) -> None:
        """Close after all queued bytes are sent: the server stops."""
        if self._following is not None:
            self._following.end_early(closes=True)
        else:
            self._end(lingers=False)

    def abort(self) -> None:
        """Close at once and discard all queued bytes."""
        self._outbox.kill()
        self._transport.abort()

    # --- inside: state ---

    def _report(self, event: HttpEvent) -> None:
        """Set the state that follows the current one after an event."""
        self._state = next_state(self._state, event)

    def _wait(self, seconds_max: float) -> None:
        """Limit the time that the peer has for its next action, from now on."""
        self._waits_since = self._context.loop.time()
        self._wait_seconds_max = seconds_max

    # --- inside: answers ---

    def _answer(self) -> None:
        """Answer requests until there are none, the outbox is full or the turn is over."""
        turn, tick = self._turn, self._tick
        requests, outbox = self._requests, self._outbox
        if turn.is_waiting:
            return
        if self._held.is_stranger and requests.has_work and tick.is_spent:
            self._wait_for_turn()
            self._pace_reading()
            return
        turn.done_bytes = not_looked_at = 0
        while requests.has_work and self._state is _OPEN and not outbox.is_full:
            if not_looked_at >= TURN_LOOK_BYTES:
                if turn.use(not_looked_at, self._context.loop.time() * 1000):
                    tick.is_spent = True
                    self._wait_for_turn()
                    break
                not_looked_at = 0
            if not requests.complete:
                not_looked_at += self._parse()
                continue
            not_looked_at += REQUEST_BYTES
            self._take(requests.pop())
        if self._state is _OPEN or self._state in _ANSWERING:
            self._go_on_later()

    def _parse(self) -> int:
        """Parse the next part of the received bytes; return its size."""
        parser = self._requests.parser
        was_in_request = parser.is_in_request
        size = self._requests.parse()
        if parser.is_in_request and not was_in_request:
            self._wait(REQUEST_SECONDS_MAX)
        if parser.is_in_request or self._held.size:
            self._held.hold(parser.held_bytes, is_admitted=parser.is_admitted)
        return size

    def _wants_body(self, request: Request) -> bool:
        request.address = self._peer.address_of(request)
        request.is_shared = self._is_shared
        quick = self._context.quick
        if quick is not None and quick.wants_body(request):
            return True
        return self._context.routes.wants_body(request)

    def _take(self, request: Request) -> None:
        """Answer the next request, or begin to transfer its response."""
        request.address = self._peer.address_of(request)
        request.is_shared = self._is_shared
        if request.wants_upgrade:
            self._upgrade(request)
            return
        self._telemetry.http_requests += 1
        deferred = self._writer.answer(request)
        if deferred is None:
            self._answered(request)
            return
        if deferred.follows is not None:
            self._follow(request, deferred)
            return
        self._report(HttpEvent.TRANSFER_BEGAN)
        self._writer.transfer(
            request,
            deferred,
            lambda is_complete: self._transferred(request, is_complete=is_complete),
        )

    def _answered(self, request: Request) -> None:
        if self._held.is_stranger and request.grant is not NOTHING:
            self._held.let_in()
        is_in_next = self._requests.parser.is_in_request
        self._wait(REQUEST_SECONDS_MAX if is_in_next else IDLE_SECONDS_MAX)
        if not request.is_keep_alive:
            self._end()

    def _transferred(self, request: Request, *, is_complete: bool) -> None:
        if not is_complete:
            self.abort()
            return
        self._report(HttpEvent.TRANSFER_ENDED)
        self._answered(request)
        self._answer()

    def _follow(self, request: Request, begun: Response) -> None:
        """Hold a request until there is an update, or hand the connection over to a stream."""
        # Imported when needed, so that the server starts faster; see `cli.running`.
        from dunena.server.http.following_request import FollowingRequest

        self._report(HttpEvent.WAIT_BEGAN)
        held: HeldInState
        if isinstance(begun.follows, Parking):
            held = begun.follows.hold(request, self.answer_wait)
        else:
            held = FollowingRequest(
                self._context, request, begun, self, self._peer, self._transport, self._outbox
            )
        self._following = held
        held.start()

    def answer_wait(self, request: Request, response: Response | None) -> None:
        """Go on with the next request after one was held; before, send ``response`` if given."""
        self._following = None
        self._report(HttpEvent.WAIT_ENDED)
        if response is not None:
            self._writer.write(request, response)
        self._answered(request)
        if self._state is _OPEN:
            self._go_on_later()

    def hand_over(self, successor: "EventStream", since: int | None) -> None:
        """Let an event stream, the response to the held request, take over the connection."""
        self._following = None
        self._report(HttpEvent.STREAM_BEGAN)
        self._flow.pace_reading(wants_pause=False)
        self._context.registry.replace(self, successor)
        self._context.telemetry.http_connections -= 1
        self._transport.set_protocol(successor)
        has_peer_ended = self._requests.has_peer_ended
        self._requests.drop()
        self._held.lose()
        self._flow.lose()
        successor.begin(since, has_peer_ended=has_peer_ended)

    def _upgrade(self, request: Request) -> None:
        """Hand the connection over to WebSocket, or end it with the response of a refusal."""
        # Imported when needed, so that the server starts faster; see `cli.running`.
        from dunena.server.http.upgrade import decide_on_upgrade, hand_over

        outcome = decide_on_upgrade(self._context, self, self._peer, request)
        if isinstance(outcome, Response):
            self._end_with(request, outcome)
            return
        self._report(HttpEvent.UPGRADED)
        self._flow.pace_reading(wants_pause=False)
        self._held.release()
        successor = hand_over(self._context, self, outcome, self._transport, self._outbox)
        rest = self._requests.take_rest()
        successor.begin(outcome.response, rest, has_peer_ended=self._requests.has_peer_ended)

    # --- inside: waiting ---

    def _go_on_later(self) -> None:
        """Arrange how the connection continues after `_answer` has stopped."""
        requests = self._requests
        if self._turn.is_waiting or (self._state is not _OPEN and self._state in _BUSY):
            pass  # the end of the transfer or wait calls this again
        elif requests.has_work:
            if not self._outbox.is_paused:
                self._outbox.after_flush(self._wait_for_turn)
        elif requests.parser.fault is not None:
            self._refuse_request(requests.parser.fault)
        elif requests.has_peer_ended or requests.parser.is_over:
            self._end()
        elif requests.parser.awaits_continue:
            self._writer.tell_to_continue()
        self._pace_reading()

    def _wait_for_turn(self) -> None:
        if not self._turn.is_waiting:
            self._turn.is_waiting = True
            self._context.tick.turns.wait(self._take_turn)

    def _take_turn(self) -> None:
        self._turn.is_waiting = self._context.tick.is_spent = False
        if self._state in _ANSWERING and not self._outbox.is_dead:
            self._answer()

    def _pace_reading(self) -> None:
        """Pause reading while received requests wait for an answer, else resume it."""
        wants_pause = self._requests.has_work or self._turn.is_waiting or self._outbox.is_paused
        if wants_pause is not self._flow.is_reading_paused:
            self._flow.pace_reading(wants_pause=wants_pause)

    # --- inside: limits ---

    def _give_up(self) -> None:
        """End the connection: all together hold too many bytes, and this one the most."""
        if self._state in _BUSY:
            self.abort()
        elif self._state not in _AT_ITS_END:
            self._refuse_request(
                Response.error(503, "Too many requests are under way", {"Retry-After": "1"})
            )

    # --- inside: ending ---

    def _refuse_request(self, response: Response) -> None:
        """End the connection with the response to an incomplete request."""
        self._context.telemetry.refused_requests += 1
        request = self._requests.parser.let_in
        if request is not None:
            # The head was admitted and the body refused: the page that sent it may read the error.
            response = self._context.routes.readable(request, response)
        self._end_with(Request(), response)

    def _end_with(self, request: Request, response: Response) -> None:
        response.closes = True
        self._writer.write(request, response)
        self._end()

    def _end(self, *, lingers: bool = True) -> None:
        """Close when everything queued is written, for which the peer has a limited time."""
        lingers = lingers and self._requests.is_peer_sending
        self._report(HttpEvent.ENDED)
        self._drop()
        self._wait(REQUEST_SECONDS_MAX)
        self._outbox.after_flush(self._linger if lingers else self._transport.close)

    def _linger(self) -> None:
        """Close only the direction to the peer, as the peer is still sending (RFC 9112, 9.6)."""
        self._report(HttpEvent.WRITTEN)
        self._wait(LINGER_SECONDS_MAX)
        self._flow.pace_reading(wants_pause=False)
        if self._transport.can_write_eof():  # otherwise `sweep` aborts it
            half_close(self._transport)

    def _drop(self) -> None:
        """Discard unanswered requests and cancel the transfer."""
        self._requests.drop()
        self._writer.cancel()
        if self._following is not None:
            self._following.cancel()
            self._following = None
        self._held.release()
