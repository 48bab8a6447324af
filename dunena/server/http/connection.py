"""A new connection: HTTP/1.1 requests in, responses out, until one of them upgrades it.

Requests are answered in their order, in the tick in which they arrive. When the outbox is full, or
while a file is on its way, or when its turn is over, what is left over waits and the connection is
read no further. A request with a body is decided on when its head is there.
"""

import asyncio
import logging
from collections import deque
from typing import cast

from dunena.dialects.grants import NOTHING
from dunena.server.access.peers import NOBODY, group_of
from dunena.server.context import Context
from dunena.server.http.message import Request, Response, serialize
from dunena.server.http.parser import RequestParser
from dunena.server.http.transfer import Transfer
from dunena.server.limits import (
    CONNECTION_BYTES,
    IDLE_SECONDS_MAX,
    LINGER_BYTES_MAX,
    LINGER_SECONDS_MAX,
    REQUEST_BYTES,
    REQUEST_SECONDS_MAX,
    TURN_BYTES_MAX,
    TURN_LOOK_BYTES,
    TURN_MS,
)
from dunena.server.lost_transport import LOST
from dunena.server.outbox import Outbox, end_after_replies
from dunena.server.registry import GrantLookup, peer_host
from dunena.server.unread import Unread

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_log = logging.getLogger(__name__)


class HttpConnection(asyncio.Protocol):
    """One connection while it speaks HTTP."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._transport: asyncio.Transport
        self._outbox: Outbox
        self._parser = RequestParser(context.settings.limits.message_bytes_max, self._wants_body)
        self._unread = b""  # what came and was not parsed yet, from here on
        self._unread_at = 0
        self._held_bytes = 0
        self._queue: deque[Request] = deque()
        self._is_waiting = False  # for its next turn
        self._unread_replies: Unread | None = None  # made when it first reads too slowly
        self._is_stranger = True  # no request of it was let in
        self._lingered_bytes = 0
        self._deferred: Response | None = None
        self._transfer: Transfer | None = None
        self._peer = ""
        self._is_from_proxy = False
        self._is_reading_paused = False
        self._was_told_to_continue = False
        self._has_peer_ended = False
        self._is_ending = False
        self._waits_since = context.loop.time()
        self._wait_seconds_max = REQUEST_SECONDS_MAX

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        context = self._context
        self._transport = cast("asyncio.Transport", transport)
        self._outbox = Outbox(
            self._transport,
            context.tick.schedule_flush,
            self.abort,
            context.telemetry,
            is_encrypted=context.settings.is_encrypted,
        )
        context.telemetry.http_connections += 1
        self._peer = peer_host(transport)
        self._is_from_proxy = context.proxies.has(self._peer)
        group = NOBODY if self._is_from_proxy else group_of(self._peer)
        if context.registry.is_full:
            context.refusals.tell_full(context.registry.connections_max)
            self._refuse_connection(Response.error(503, "Too many connections"))
        elif context.registry.is_crowded(group):
            self._refuse_connection(self._crowded(group))
        context.registry.add(self, group)
        context.registry.strangers.hold(self._give_up, CONNECTION_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._transport = LOST
        self._outbox.lose(LOST)
        self._drop()
        self._stop_counting()
        self._unread_replies = None  # which leads back here
        self._context.registry.remove(self)
        self._context.telemetry.http_connections -= 1

    def data_received(self, data: bytes) -> None:
        """Parse what came and answer every request that is whole."""
        self._context.telemetry.bytes_received += len(data)
        if self._is_ending:
            self._lingered_bytes += len(data)
            if self._lingered_bytes > LINGER_BYTES_MAX:
                self.abort()
            return
        self._unread = self._unread[self._unread_at :] + data if self._unread else data
        self._unread_at = 0
        if not self._is_waiting:
            self._answer()

    def eof_received(self) -> bool:
        """The peer sends no more; what it asked for is still answered."""
        self._has_peer_ended = True
        self._answer()
        if not self._is_ending:
            return True  # requests wait for the peer to read
        return end_after_replies(self._context.tick.end, self._outbox, self._transport)

    def pause_writing(self) -> None:
        """The peer reads slower than it is answered."""
        self._outbox.pause()
        if self._unread_replies is None:
            self._unread_replies = Unread(
                self._context.registry.unread,
                self._disconnect,
                self._unread_sizes,
                is_encrypted=self._context.settings.is_encrypted,
            )
        self._unread_replies.paused(self._context.loop.time())

    def resume_writing(self) -> None:
        """It caught up."""
        self._stop_counting()
        self._outbox.resume()
        if self._transfer is not None:
            self._transfer.resume()
        self._answer()

    # --- registry ---

    def facts(self) -> None:
        """Requests come and go: their connections are only counted."""

    def sweep(self, now_seconds: float) -> None:
        """Close a connection that is idle, or that does not finish its request."""
        if self._unread_replies is not None and self._unread_replies.is_overdue(now_seconds):
            self._disconnect()
            return
        if now_seconds - self._waits_since <= self._wait_seconds_max:
            return
        if self._is_ending:
            self.abort()
        elif self._has_work or self._outbox.is_paused or self._transfer is not None:
            return  # it is we who have to answer, or the peer reads slowly
        elif self._parser.is_skipping:
            self._end()  # was answered
        elif self._parser.is_in_request:
            self._refuse_request(Response.error(408, "Request timeout"))
        else:
            self._end()

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Each request shows its token."""

    def shut_down(self) -> None:
        """Close after what is queued."""
        self._end(lingers=False)

    def abort(self) -> None:
        """Close at once."""
        self._outbox.kill()
        self._transport.abort()

    # --- inside ---

    def _unread_sizes(self) -> tuple[int, int]:
        return self._transport.get_write_buffer_size(), self._outbox.reply_bytes

    def _stop_counting(self) -> None:
        if self._unread_replies is not None:
            self._unread_replies.resumed()

    def _disconnect(self) -> None:
        """It leaves its answers unread."""
        self._context.telemetry.slow_readers_closed += 1
        self._context.refusals.tell_slow_reader(self._peer, "its answers")
        self.abort()

    def _answer(self) -> None:
        """Answer until there is nothing more, the outbox is full or the turn is over."""
        if self._is_waiting:
            return
        if self._is_stranger and self._has_work and self._context.tick.is_spent:
            self._wait_for_turn()
            self._pace_reading()
            return
        done_bytes, ends_at_ms = 0, 0.0
        while (self._queue or self._unread) and self._can_answer:
            if done_bytes >= TURN_LOOK_BYTES:
                now_ms = self._context.loop.time() * 1000
                ends_at_ms = ends_at_ms or now_ms + TURN_MS
                if now_ms >= ends_at_ms or done_bytes >= TURN_BYTES_MAX:
                    self._context.tick.is_spent = True
                    self._wait_for_turn()
                    break
            if not self._queue:
                done_bytes += self._parse()
                continue
            done_bytes += REQUEST_BYTES
            request = self._queue.popleft()
            request.address = self._address_of(request)
            if not request.wants_upgrade:
                self._answer_one(request)
            elif self._upgrade(request):
                return
        if not self._is_ending:
            self._go_on_later()

    @property
    def _has_work(self) -> bool:
        return bool(self._queue or self._unread)

    def _parse(self) -> int:
        """Parse the next part of what came; its size."""
        parser = self._parser
        was_in_request = parser.is_in_request
        start = self._unread_at
        part = self._unread[start : start + TURN_LOOK_BYTES]  # the same object where it is all
        self._unread_at += len(part)
        if self._unread_at == len(self._unread):
            self._unread, self._unread_at = b"", 0
        self._queue += parser.feed(part)
        if parser.is_in_request and not was_in_request:
            self._wait(REQUEST_SECONDS_MAX)
        if parser.is_in_request or self._held_bytes:
            self._account(parser.held_bytes)
        return len(part)

    def _wants_body(self, request: Request) -> bool:
        request.address = self._address_of(request)
        return self._context.routes.wants_body(request)

    def _account(self, held_bytes: int) -> None:
        """Tell what is kept now of a request that is not whole."""
        self._held_bytes = held_bytes
        registry = self._context.registry
        admitted_bytes = held_bytes if self._parser.is_admitted else 0
        registry.bodies.hold(self._give_up, admitted_bytes)
        if self._is_stranger:
            strange_bytes = CONNECTION_BYTES + held_bytes - admitted_bytes
            registry.strangers.hold(self._give_up, strange_bytes)

    def _give_up(self) -> None:
        """All connections together hold too much, and this one the most."""
        if self._transfer is not None:
            self.abort()
        elif not self._is_ending:
            self._refuse_request(
                Response.error(503, "Too many requests are under way", {"Retry-After": "1"})
            )

    def _release(self) -> None:
        """It holds nothing any more of what all have together."""
        registry = self._context.registry
        registry.bodies.hold(self._give_up, 0)
        registry.strangers.hold(self._give_up, 0)
        self._is_stranger = False

    def _wait_for_turn(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._context.tick.turns.wait(self._take_turn)

    def _take_turn(self) -> None:
        self._is_waiting = self._context.tick.is_spent = False
        if not self._outbox.is_dead:
            self._answer()

    def _go_on_later(self) -> None:
        """What happens when there is room again, or nothing left to answer."""
        if self._transfer is not None or self._is_waiting:
            pass  # its end comes back here
        elif self._queue or self._unread:
            if not self._outbox.is_paused:
                self._outbox.after_flush(self._wait_for_turn)
        elif self._parser.fault is not None:
            self._refuse_request(self._parser.fault)
        elif self._has_peer_ended or self._parser.is_over:
            self._end()
        else:
            self._continue()
        self._pace_reading()

    @property
    def _can_answer(self) -> bool:
        """Whether the next request may be answered now."""
        return self._transfer is None and not self._outbox.is_full and not self._is_ending

    def _answer_one(self, request: Request) -> None:
        self._context.telemetry.http_requests += 1
        self._deferred = None
        self._context.tick.run(self._respond, request)
        self._was_told_to_continue = False
        if self._deferred is not None:
            self._transfer = Transfer(
                self._context,
                request,
                self._deferred,
                self._outbox,
                lambda is_complete: self._transferred(request, is_complete=is_complete),
            )
            self._transfer.start()
        else:
            self._answered(request)

    def _answered(self, request: Request) -> None:
        if self._is_stranger and request.grant is not NOTHING:
            self._is_stranger = False
            self._context.registry.strangers.hold(self._give_up, 0)
        self._wait(REQUEST_SECONDS_MAX if self._parser.is_in_request else IDLE_SECONDS_MAX)
        if not request.is_keep_alive:
            self._end()

    def _transferred(self, request: Request, *, is_complete: bool) -> None:
        self._transfer = None
        if not is_complete:
            self.abort()
            return
        self._answered(request)
        self._answer()

    def _cancel_transfer(self) -> None:
        if self._transfer is not None:
            self._transfer.cancel()
            self._transfer = None

    def _respond(self, request: Request, now: int) -> None:
        try:
            response = self._context.routes.respond(request, now)
        except Exception:  # noqa: BLE001 - a fault of ours ends one request, not the server
            _log.exception("%s %s could not be answered", request.method, request.path)
            response = Response.error(500, "Internal error")
        if response.later is not None:
            self._deferred = response
            return
        self._outbox.put(serialize(request, response, self._context.date()))

    def _put(self, piece: bytes, _now: int) -> None:
        self._outbox.put(piece)

    def _continue(self) -> None:
        if self._parser.awaits_continue and not self._was_told_to_continue:
            self._was_told_to_continue = True
            self._context.tick.run(self._put, _CONTINUE)

    def _upgrade(self, request: Request) -> bool:
        """Hand over to WebSocket; False if the request gets an HTTP answer instead."""
        # A start listens without them; see `cli.running`.
        from dunena.server.websocket.connection import WebSocketConnection
        from dunena.server.websocket.handshake import handshake

        context = self._context
        outcome = handshake(context, request)
        if self._is_from_proxy and not isinstance(outcome, Response):
            group = group_of(request.address)
            if context.registry.is_crowded(group):
                context.telemetry.refused_connections += 1
                outcome = self._crowded(group)
            else:
                context.registry.add(self, group)
        if isinstance(outcome, Response):
            outcome.closes = True
            context.tick.run(self._put, serialize(request, outcome, context.date()))
            self._end()
            return False
        if self._is_reading_paused:
            self._transport.resume_reading()
        self._release()
        self._stop_counting()
        context.telemetry.http_connections -= 1
        connection = WebSocketConnection(context, outcome, self._transport, self._outbox)
        context.registry.replace(self, connection)
        self._transport.set_protocol(cast("asyncio.Protocol", connection))
        rest = (self._parser.rest or b"") + self._unread[self._unread_at :]
        self._parser.drop()
        connection.begin(outcome.response, rest, has_peer_ended=self._has_peer_ended)
        return True

    def _address_of(self, request: Request) -> str:
        """Where a request came from, by the word of a proxy that is believed."""
        if not self._is_from_proxy:
            return self._peer
        forwarded = request.headers.get("x-forwarded-for")
        return self._context.proxies.client_of(self._peer, forwarded)

    def _crowded(self, group: str) -> Response:
        connections_max = self._context.settings.connections_per_address_max
        self._context.refusals.tell_crowd(group, connections_max)
        return Response.error(429, "Too many connections from this address")

    def _refuse_connection(self, response: Response) -> None:
        self._context.telemetry.refused_connections += 1
        self._end_with(response)

    def _refuse_request(self, response: Response) -> None:
        self._context.telemetry.refused_requests += 1
        request = self._parser.let_in
        if request is not None:
            # Its body is at fault: the page that sent it may read what is wrong.
            response = self._context.routes.readable(request, response)
        self._end_with(response)

    def _end_with(self, response: Response) -> None:
        response.closes = True
        self._context.tick.run(self._put, serialize(Request(), response, self._context.date()))
        self._end()

    def _end(self, *, lingers: bool = True) -> None:
        """Close once everything queued is written; the peer has some time to take it."""
        is_unread = self._parser.is_in_request and not self._has_peer_ended
        self._is_ending = True
        self._drop()
        self._wait(REQUEST_SECONDS_MAX)
        self._outbox.after_flush(self._linger if lingers and is_unread else self._transport.close)

    def _linger(self) -> None:
        """Close for writing alone, since the peer is still sending: RFC 9112, 9.6."""
        self._wait(LINGER_SECONDS_MAX)
        if self._is_reading_paused:
            self._is_reading_paused = False
            self._transport.resume_reading()
        if self._transport.is_closing() or not self._transport.can_write_eof():
            return
        try:
            self._transport.write_eof()
        except OSError:  # the peer has closed the whole connection already
            self.abort()

    def _drop(self) -> None:
        """Nothing more is read or answered here."""
        self._queue.clear()
        self._unread, self._unread_at = b"", 0
        self._parser.drop()
        self._cancel_transfer()
        self._release()

    def _wait(self, seconds_max: float) -> None:
        self._waits_since = self._context.loop.time()
        self._wait_seconds_max = seconds_max

    def _pace_reading(self) -> None:
        wants_pause = bool(
            self._queue or self._unread or self._is_waiting or self._outbox.is_paused
        )
        if wants_pause and not self._is_reading_paused:
            self._transport.pause_reading()
        elif self._is_reading_paused and not wants_pause:
            self._transport.resume_reading()
        self._is_reading_paused = wants_pause
