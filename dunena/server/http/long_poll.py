"""A request that is held until there is an update: a long poll.

The first update may answer it at once. Otherwise it waits among the followers of a feed. What it
is pushed, and the end of its time too, goes through an outbox of its own: so nothing answers it
that is not committed, and the first of these that is committed does.
"""

import asyncio

from dunena.dialects.following import WatchQuery
from dunena.dialects.http_updates import (
    JsonUpdates,
    StreamedBody,
    UnitedUpdate,
    position_text,
    whole_update,
)
from dunena.dialects.subscriptions import PacedSubscriber, Subscriptions
from dunena.server.committed import CommittedOutbox
from dunena.server.context import Context
from dunena.server.http.message import Request, Response, serialize
from dunena.server.outbox import Action, HeldOutput, Outbox, Piece
from dunena.watches.feed import UpdateBatch, WatchFeed
from dunena.watches.pending import PendingUpdate


class LongPoll:
    """One held request; ``begun`` has the headers of its response.

    The response is sent through ``outbox``, and ``answered`` called then, which may end the
    connection or answer its next request.
    """

    def __init__(
        self,
        context: Context,
        request: Request,
        begun: Response,
        follows: WatchQuery,
        outbox: Outbox,
        answered: Action,
    ) -> None:
        self._context = context
        self._request = request
        self._begun = begun
        self._outbox = outbox
        self._answered = answered
        self._services = context.views.of(request.grant)
        self._committed = CommittedOutbox(
            context.tick.schedule_flush, context.telemetry, self._take
        )
        self._subscriptions = Subscriptions(
            self._services.hub,
            self._services.watches,
            self._services.limits,
            self._committed.push,
            _pace_nothing,
        )
        self._follows = follows
        self._since: int | None = None
        self._feed: WatchFeed
        self._timer: asyncio.TimerHandle | None = None

    def start(self, since: int | None) -> None:
        """Look for an update after the revision ``since``, and wait if there is none.

        Raise `ClientError` above the limits of subscriptions.
        """
        follows = self._follows
        begun = self._subscriptions.watch(
            self._services, follows.selector, follows.make_form, follows.interval_ms
        )
        assert begun is not None, "it has just begun"
        assert follows.wait_seconds is not None
        self._feed, self._since = begun.feed, since
        self._timer = self._context.loop.call_later(follows.wait_seconds, self.end_early)
        self._context.tick.run(self._look, None)

    def end_early(self) -> None:
        """Answer that there is nothing new, unless an update comes first."""
        self._context.tick.run(self._report_nothing, None)

    def cancel(self) -> None:
        """Send nothing; ``answered`` is not called."""
        self._committed.kill()
        self._subscriptions.end()
        self._answered = _do_nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- in the tick ---

    def _look(self, _message: None, now: int) -> None:
        if self._committed.is_dead:
            return
        first = self._services.watches.first_update(self._feed, self._since, now)
        if first.has_news:
            self._committed.put(first)

    def _report_nothing(self, _message: None, _now: int) -> None:
        self._committed.put(b"%d" % self._services.unrestricted_store.revision)

    # --- committed ---

    def _take(self, pieces: list[Piece]) -> Action | None:
        """Answer by the first of the pieces that is an answer."""
        for piece in pieces:
            answer = self._answer_of(piece)
            if answer is not None:
                answered = self._answered
                self.cancel()
                HeldOutput(self._outbox, answer, None).send()  # whose fault ends only itself
                return answered
        return None

    def _answer_of(self, piece: Piece) -> list[Piece] | None:
        """Make the response of an update, or of the end of the time; None if it is neither."""
        if isinstance(piece, bytes):
            return [self._head(204, int(piece))]
        if isinstance(piece, PendingUpdate):
            if piece.is_small:
                return self._whole(piece.revision, piece.next_frame())
            return self._in_pieces(piece)
        assert isinstance(piece, UpdateBatch), "nothing else is pushed by a feed"
        form = piece.feed.form
        assert isinstance(form, JsonUpdates)
        update: UnitedUpdate = form.unite(piece)
        if not (update.part.changes or update.part.is_reset):
            return None  # it tells the position
        if update.body is not None:
            return self._whole(update.part.revision, update.body)
        return self._in_pieces(whole_update(piece.feed, update.part))

    def _whole(self, revision: int, body: bytes) -> list[Piece]:
        return [self._head(200, revision, length=len(body)), body]

    def _in_pieces(self, update: PendingUpdate) -> list[Piece]:
        """Make the response with an update that is encoded as its reader takes it."""
        form = update.feed.form
        assert isinstance(form, JsonUpdates)
        is_chunked = not self._request.is_http_1_0  # RFC 9112, 6.1: else the end says where it ends
        if not is_chunked:
            self._request.is_keep_alive = False
        body = StreamedBody(form, is_chunked=is_chunked)
        update.feed = WatchFeed(update.feed.selector, body, _ignore)
        return [self._head(200, update.revision, is_chunked=is_chunked), update]

    def _head(
        self, status: int, revision: int, *, length: int | None = None, is_chunked: bool = False
    ) -> bytes:
        headers = dict(self._begun.headers)
        headers["ETag"] = f'"{position_text(self._services.epoch, revision)}"'
        if is_chunked:
            headers["Transfer-Encoding"] = "chunked"
        response = Response(status, headers=headers, length=length, is_stream=length is None)
        return serialize(self._request, response, self._context.date())


def _do_nothing() -> None:
    """Stand in for the callback of a request that was cancelled."""


def _ignore(_feed: object) -> None:
    """Stand in for what a feed with followers calls."""


def _pace_nothing(_interval_ms: float) -> PacedSubscriber:
    """Stand in for what makes paced subscribers: one update has no pace."""
    raise NotImplementedError
