"""A request that is held until there is an update: a long poll."""

from dunena.dialects.following import WatchQuery
from dunena.dialects.http_updates import (
    JsonUpdates,
    StreamedBody,
    UnitedUpdate,
    position_text,
    whole_update,
)
from dunena.server.context import Context
from dunena.server.http.held_request import HeldRequest
from dunena.server.http.message import Request, Response, serialize
from dunena.server.outbox import Action, Outbox, Piece
from dunena.watches.feed import UpdateBatch, WatchFeed
from dunena.watches.pending import PendingUpdate


class LongPoll(HeldRequest):
    """A request for one update of a watch."""

    def __init__(
        self,
        context: Context,
        request: Request,
        begun: Response,
        follows: WatchQuery,
        outbox: Outbox,
        answered: Action,
    ) -> None:
        super().__init__(context, request, begun, outbox, answered)
        self._follows = follows
        self._since: int | None = None
        self._feed: WatchFeed

    def start(self, since: int | None) -> None:
        """Look for an update after the revision ``since``, and wait if there is none.

        Raise `ClientError` above the limits of subscriptions.
        """
        follows = self._follows
        assert follows.wait_seconds is not None
        self._since = since
        self._feed = self._hold(follows.selector, follows.make_form, follows.wait_seconds)
        self._context.tick.run(self._look, None)

    # --- inside ---

    def _look(self, _message: None, now: int) -> None:
        if self._committed.is_dead:
            return
        first = self._services.watches.first_update(self._feed, self._since, now)
        if first.has_news:
            self._committed.put(first)

    def _report_nothing(self, _message: None, _now: int) -> None:
        self._committed.put(b"%d" % self._services.unrestricted_store.revision)

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
        update.feed = WatchFeed(update.feed.selector, body, [])
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
