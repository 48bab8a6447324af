"""A request to follow state, from its acceptance to its answer or the beginning of its stream."""

import asyncio
from typing import Protocol

from dunena.dialects.errors import ClientError, PositionAheadError
from dunena.dialects.following import ChannelQuery, HttpFollowing, WatchQuery
from dunena.dialects.value_wait import ValueWait
from dunena.server.access.peers import group_of
from dunena.server.context import Context
from dunena.server.http.event_stream import EventStream
from dunena.server.http.held_request import HeldRequest
from dunena.server.http.long_poll import LongPoll
from dunena.server.http.message import Parking, Request, Response
from dunena.server.http.peer import Peer, refuse_crowd
from dunena.server.http.value_poll import ValuePoll
from dunena.server.limits import AHEAD_RETRY_SECONDS, AHEAD_SECONDS_MAX
from dunena.server.outbox import Outbox
from dunena.server.registry import Connection, GrantLookup


class FollowedConnection(Connection, Protocol):
    """The methods that the request needs of its connection."""

    def answer_wait(self, request: Request, response: Response | None) -> None:
        """Go on after the response was queued; before, queue the one that is given."""

    def hand_over(self, successor: EventStream, since: int | None) -> None:
        """Let an event stream take over, whose first update begins at a revision."""


class FollowingRequest:
    """One request; ``begun`` is the beginning of its response, as the routes made it.

    A position that is ahead of this server is awaited for a moment: a server that follows another
    one may be behind, and must not show an older state.
    """

    def __init__(
        self,
        context: Context,
        request: Request,
        begun: Response,
        connection: FollowedConnection,
        peer: Peer,
        transport: asyncio.Transport,
        outbox: Outbox,
    ) -> None:
        assert begun.follows is not None
        assert not isinstance(begun.follows, Parking)
        self._context = context
        self._request = request
        self._begun = begun
        self._follows: HttpFollowing | ValueWait = begun.follows
        self._connection = connection
        self._peer = peer
        self._transport = transport
        self._outbox = outbox
        self._poll: HeldRequest | None = None
        self._ahead_until = context.loop.time() + AHEAD_SECONDS_MAX
        self._retry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to follow; the connection is told of an error, an answer or a stream."""
        self._retry = None
        services = self._context.views.of(self._request.grant)
        follows = self._follows
        try:
            if isinstance(follows, ValueWait):
                self._wait_for_value(follows)
            elif isinstance(follows, ChannelQuery) or follows.wait_seconds is None:
                self._stream(follows, follows.revision(services))
            else:
                self._wait_for_update(follows, follows.revision(services))
        except PositionAheadError:
            self._wait_for_position()
        except ClientError as error:
            services.stats.count(error)
            self._refuse(Response.refusal(error, has_fields=True))

    def cancel(self) -> None:
        """Drop the request: its connection is lost or ends."""
        if self._poll is not None:
            self._poll.cancel()
        if self._retry is not None:
            self._retry.cancel()

    def end_early(self, *, closes: bool = False) -> None:
        """Answer that there is nothing new; with ``closes`` the connection ends then."""
        if closes:
            self._request.is_keep_alive = False
        if self._poll is not None:
            self._poll.end_early()
        elif self._retry is not None:
            self._retry.cancel()
            self._give_up_position()

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Answer a request whose token has changed: the next one has other rights, or none."""
        if current_grant(self._request.grant) != self._request.grant:
            self.end_early()

    # --- inside ---

    def _wait_for_value(self, follows: ValueWait) -> None:
        poll = ValuePoll(
            self._context, self._request, self._begun, follows, self._outbox, self._answered
        )
        poll.start()
        self._poll = poll

    def _wait_for_update(self, follows: WatchQuery, since: int | None) -> None:
        self._outbox.rewire(self._connection.abort, None, self._context.tick.turns.wait)
        poll = LongPoll(
            self._context, self._request, self._begun, follows, self._outbox, self._answered
        )
        poll.start(since)
        self._poll = poll

    def _stream(self, follows: HttpFollowing, since: int | None) -> None:
        """Begin a stream; one through a trusted proxy counts for the client's group from then."""
        if self._peer.is_proxy:
            group = group_of(self._request.address)
            refusal = refuse_crowd(self._context, group)
            if refusal is not None:
                self._refuse(refusal)
                return
            self._context.registry.add(self._connection, group)
        stream = EventStream(
            self._context, self._request, self._begun, follows, self._transport, self._outbox
        )
        self._connection.hand_over(stream, since)

    def _answered(self) -> None:
        self._connection.answer_wait(self._request, None)

    def _refuse(self, response: Response) -> None:
        response.headers = self._begun.headers | response.headers
        self._connection.answer_wait(self._request, response)

    def _wait_for_position(self) -> None:
        loop = self._context.loop
        if loop.time() >= self._ahead_until:
            self._give_up_position()
        else:
            self._retry = loop.call_later(AHEAD_RETRY_SECONDS, self.start)

    def _give_up_position(self) -> None:
        self._retry = None
        text = "The position is ahead of this server"
        self._refuse(Response.error(503, text, {"Retry-After": "1"}))
