"""A connection whose last response is a stream of events: the updates of one watch, or the
messages of one channel.

It takes over the transport and the outbox of an HTTP connection, and ends with it. What the client
sends is ignored. A client that sends no more is taken for one that has left, as browsers and
programs do not close one direction alone.
"""

import asyncio

from dunena.dialects import watching
from dunena.dialects.client_watches import BegunWatch
from dunena.dialects.following import ChannelQuery, HttpFollowing
from dunena.dialects.http_updates import (
    COMMENT,
    LAST_CHUNK,
    RETRY,
    chunk_of,
    chunk_of_message,
    event_of_message,
)
from dunena.dialects.subscriptions import Subscriptions
from dunena.hub import FrameEncoder
from dunena.server.context import Context
from dunena.server.http.flow_control import FlowControl
from dunena.server.http.message import Request, Response, serialize
from dunena.server.limits import (
    COMMENT_SECONDS,
    LINGER_BYTES_MAX,
    REQUEST_SECONDS_MAX,
    STREAM_SILENT_SECONDS_MAX,
)
from dunena.server.lost_transport import LOST
from dunena.server.outbox import Outbox, end_after_replies
from dunena.server.registry import ConnectionFacts, GrantLookup, shown_address
from dunena.server.silent_peer import end_after_silence

NAME = "event-stream"
"""What such a connection speaks, as reports name it."""


class EventStream(asyncio.Protocol):
    """One event stream; ``begun`` is the beginning of its response, without a body.

    Raise `ClientError` above the limits of subscriptions; nothing has been taken over then.
    """

    __slots__ = (
        "_address", "_begun", "_channel", "_close_by", "_context", "_flow", "_grant",
        "_ignored_bytes", "_is_chunked", "_next_comment", "_origin", "_outbox", "_page", "_program",
        "_services", "_subscriptions", "_transport", "_watch",
    )  # fmt: skip

    def __init__(
        self,
        context: Context,
        request: Request,
        begun: Response,
        follows: HttpFollowing,
        transport: asyncio.Transport,
        outbox: Outbox,
    ) -> None:
        self._context = context
        self._transport = transport
        self._outbox = outbox
        self._grant = request.grant
        self._address, self._origin = request.address, request.origin
        self._program, self._page = request.program, request.page
        self._ignored_bytes = 0
        self._next_comment = context.loop.time() + COMMENT_SECONDS
        self._close_by: float | None = None  # set when the end has begun
        self._flow = FlowControl(context, transport, outbox, self.abort, request.address)
        services = self._services = context.views.of(request.grant)
        self._subscriptions = Subscriptions(
            services.hub,
            services.watches,
            services.limits,
            outbox,
            context,
        )
        self._channel: str | None = None
        self._watch: BegunWatch | None = None
        if isinstance(follows, ChannelQuery):
            self._channel = follows.channel
        else:
            self._watch = self._subscriptions.watch(
                services, follows.selector, follows.make_form, follows.interval_ms
            )
        request.is_keep_alive = False
        self._is_chunked = not request.is_http_1_0  # RFC 9112, 6.1
        begin = RETRY
        if self._is_chunked:
            begun.headers["Transfer-Encoding"] = "chunked"
            begin = chunk_of(RETRY)
        self._begun = serialize(request, begun, context.date()) + begin

    def begin(self, since: int | None, *, has_peer_ended: bool) -> None:
        """Send the first update, from the revision ``since`` on; None for the whole state."""
        context = self._context
        context.telemetry.event_streams += 1
        end_after_silence(self._transport, STREAM_SILENT_SECONDS_MAX)
        self._outbox.rewire(self.abort, self._encoder(), context.tick.turns.wait)
        context.tick.run(self._open, since)
        if has_peer_ended:
            self.eof_received()

    # --- asyncio ---

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop all references to the connection, so that its memory is freed at once."""
        self._transport = LOST
        self._outbox.lose(LOST)
        self._subscriptions.end()
        self._flow.lose()
        self._context.registry.remove(self)
        self._context.telemetry.event_streams -= 1

    def data_received(self, data: bytes) -> None:
        """Ignore what the client sends; end one that goes on sending."""
        self._context.telemetry.bytes_received += len(data)
        self._ignored_bytes += len(data)
        if self._ignored_bytes > LINGER_BYTES_MAX:
            self.abort()

    def eof_received(self) -> bool:
        """End the stream, as the client has left; return whether to stay open for the rest."""
        self._end_subscriptions()
        return end_after_replies(self._context.tick.end, self._outbox, self._transport)

    def pause_writing(self) -> None:
        """Let updates wait, as the client reads more slowly than they are sent."""
        self._flow.pause_writing()

    def resume_writing(self) -> None:
        """Send what waits: the client has read enough."""
        self._flow.resume_writing()

    # --- registry ---

    def facts(self) -> ConnectionFacts:
        """Return what the server reports about this connection."""
        return ConnectionFacts(
            address=shown_address(self._address, self._transport),
            origin=self._origin,
            program=self._program,
            page=self._page,
            dialect=NAME,
            token=self._grant.name,
            subscriptions=len(self._subscriptions),
            unsent_bytes=self._outbox.size + self._transport.get_write_buffer_size(),
        )

    def sweep(self, now_seconds: float) -> None:
        """Send a comment now and then; abort if the end takes too long."""
        if self._flow.end_overdue(now_seconds):
            return
        if self._close_by is not None:
            if now_seconds >= self._close_by:
                self.abort()
        elif now_seconds >= self._next_comment:
            self._next_comment = now_seconds + COMMENT_SECONDS
            if not self._outbox.is_full:
                self._context.tick.run(self._put, COMMENT)

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Apply a changed token: tell the whole state of a watch again.

        End if the token is not valid any more, or does not permit the channel.
        """
        grant = current_grant(self._grant)
        if grant is None:
            self.shut_down()
        elif grant != self._grant:
            self._grant = grant
            old, self._services = self._services, self._context.views.of(grant)
            if self._subscriptions.keep_permitted(old, self._services):
                self.shut_down()  # the client is refused when it connects again
            else:
                self._context.tick.run(self._tell_again, None)

    def shut_down(self) -> None:
        """End the stream after everything queued was sent."""
        self._end_subscriptions()
        self._outbox.after_flush(self._transport.close)

    def abort(self) -> None:
        """Close at once and discard all queued bytes."""
        self._outbox.kill()
        self._transport.abort()

    # --- inside ---

    def _encoder(self) -> FrameEncoder | None:
        if self._channel is None:
            return chunk_of if self._is_chunked else None
        return chunk_of_message if self._is_chunked else event_of_message

    def _open(self, since: int | None, now: int) -> None:
        self._outbox.put(self._begun)
        if self._watch is not None:
            self._outbox.put(watching.first_update(self._services, self._watch, since, now))
        elif self._channel is not None and self._close_by is None:
            # In the tick, as its messages must come behind the head of the response, also when
            # requests run again.
            self._subscriptions.subscribe(self._services.channel(self._channel))

    def _tell_again(self, _message: None, now: int) -> None:
        for update in watching.watch_again(self._services, self._subscriptions, now):
            self._outbox.put(update)

    def _put(self, piece: bytes, _now: int) -> None:
        self._outbox.put(piece)

    def _end_subscriptions(self) -> None:
        self._subscriptions.end()
        if self._close_by is None:
            if self._is_chunked:
                self._context.tick.run(self._put, LAST_CHUNK)
            self._close_by = self._context.loop.time() + REQUEST_SECONDS_MAX
