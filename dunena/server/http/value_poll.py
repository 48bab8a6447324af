"""A request for a value that is held while its client has that value."""

from dunena.dialects.errors import ClientError
from dunena.dialects.http_updates import JsonUpdates
from dunena.dialects.kv_request import KvAnswer
from dunena.dialects.value_wait import ValueWait
from dunena.server.context import Context
from dunena.server.http.held_request import HeldRequest
from dunena.server.http.message import Request, Response, serialize
from dunena.server.kv_requests import as_response
from dunena.server.outbox import Action, Outbox, Piece
from dunena.watches.feed import UpdateBatch


class ValuePoll(HeldRequest):
    """A request for a value, or the part at a path; only a change of that wakes it."""

    def __init__(
        self,
        context: Context,
        request: Request,
        begun: Response,
        follows: ValueWait,
        outbox: Outbox,
        answered: Action,
    ) -> None:
        super().__init__(context, request, begun, outbox, answered)
        self._follows = follows
        self._has_changed = False

    def start(self) -> None:
        """Answer with another value than the client has, and wait if there is none.

        Raise `ClientError` above the limits of subscriptions.
        """
        self._hold(self._follows.selector, JsonUpdates, self._follows.wait_seconds)
        self._look_again()

    # --- inside ---

    def _look_again(self) -> None:
        self._context.tick.run(self._look, None)

    def _look(self, _message: None, now: int) -> None:
        try:
            answer = self._follows.look(self._services, now)
        except ClientError as error:
            self._put_error(error)
        else:
            if answer is not None:
                self._put(answer)

    def _report_nothing(self, _message: None, now: int) -> None:
        try:
            self._put(self._follows.end(self._services, now))
        except ClientError as error:
            self._put_error(error)

    def _put(self, answer: KvAnswer) -> None:
        self._put_response(as_response(answer))

    def _put_error(self, error: ClientError) -> None:
        self._services.stats.count(error)
        self._put_response(Response.refusal(error, has_fields=True))

    def _put_response(self, response: Response) -> None:
        response.headers = self._begun.headers | response.headers
        self._committed.put(serialize(self._request, response, self._context.date()))

    def _take(self, pieces: list[Piece]) -> Action | None:
        """Answer, or look at the changed value in the next tick, as any request does."""
        self._has_changed = False
        action = super()._take(pieces)
        return self._look_again if action is None and self._has_changed else action

    def _answer_of(self, piece: Piece) -> list[Piece] | None:
        if isinstance(piece, bytes):
            return [piece]
        assert isinstance(piece, UpdateBatch), "nothing else is pushed by a feed"
        changed = [part for part in piece.parts if part.changes or part.is_reset]
        self._has_changed = self._has_changed or bool(changed)
        return None
