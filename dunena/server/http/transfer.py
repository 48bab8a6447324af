"""Sending an answer that is not ready at once.

A worker thread reads a file in pieces, as fast as the client takes them. A search runs in portions,
between the requests of others. Work on a moment begins when all that is seen in it is stored.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from dunena.server.committed import CommittedOutbox
from dunena.server.context import Context
from dunena.server.faults import FAULTS
from dunena.server.http.message import Body, Cut, Prepared, Request, Response, Search, serialize
from dunena.server.outbox import Action, Outbox, Piece

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


class Transfer:
    """Makes a response by a worker thread or in portions, and sends it through an outbox.

    ``begun`` is the preliminary response: its headers are added, its ``later`` is the work.
    ``ended`` is called with whether the whole body is in the outbox.
    """

    def __init__(
        self,
        context: Context,
        request: Request,
        begun: Response,
        outbox: Outbox,
        ended: Callable[[bool], None],
    ) -> None:
        self._context = context
        self._request = request
        self._begun = begun
        self._outbox = outbox
        self._ended = ended
        self._rest: Body | None = None
        self._seen: CommittedOutbox | None = None
        self._seen_work: Callable[[], Prepared] | None = None
        self._is_working = False
        self._is_cancelled = False

    def start(self) -> None:
        """Begin the work; ``ended`` is called in a later iteration of the loop."""
        later = self._begun.later
        assert later is not None, "a response that is ready needs no transfer"
        if isinstance(later, Search):
            self._context.bulk.add(lambda: self._advance(later))
        elif isinstance(later, Cut):
            self._seen = CommittedOutbox(
                self._context.tick.schedule_flush, self._context.telemetry, self._begin_work
            )
            self._context.tick.run(self._look, later)
        else:
            self._work(later, self._prepared)

    def resume(self) -> None:
        """Continue reading the file when the outbox has room again."""
        if self._rest is not None and not self._is_working and not self._is_cancelled:
            self._work(self._rest.read, self._read)

    def cancel(self) -> None:
        """Send no more and close the file; ``ended`` is not called."""
        self._is_cancelled = True
        if self._seen is not None:
            self._seen.kill()
        if not self._is_working:
            self._close()

    # --- inside ---

    def _look(self, cut: Cut, now: int) -> None:
        assert self._seen is not None, "it was made for this"
        self._seen_work = cut.take(now)
        self._seen.put(b"seen")  # comes back once everything that was seen is stored

    def _begin_work(self, _pieces: list[Piece]) -> Action | None:
        work, self._seen_work = self._seen_work, None
        if work is not None:
            self._work(work, self._prepared)
        return None

    def _work(
        self, work: Callable[[], _Result], done: Callable[[asyncio.Future[_Result]], None]
    ) -> None:
        self._is_working = True
        self._context.loop.run_in_executor(None, work).add_done_callback(done)

    def _prepared(self, future: asyncio.Future[Prepared]) -> None:
        self._is_working = False
        error = future.exception()
        if error is not None:
            _log.error("%s could not be answered", self._request.shown_path, exc_info=error)
            prepared = Prepared(_internal_error(0))
        else:
            prepared = future.result()
        self._rest = prepared.rest
        response = prepared.response
        response.headers = self._begun.headers | response.headers
        self._say(serialize(self._request, response, self._context.date()))

    def _advance(self, search: Search) -> bool:
        """Do one portion of a search; return whether there is more to do."""
        if self._is_cancelled:
            return False
        try:
            result = search.advance()
        except FAULTS:  # a bug ends one request, not the server
            _log.exception("%s could not be answered", self._request.shown_path)
            result = _internal_error
        if result is None:
            return True
        self._context.tick.run(self._put_response, result)
        self._end(is_complete=True)
        return False

    def _put_response(self, result: Callable[[int], Response], now: int) -> None:
        response = result(now)
        response.headers = self._begun.headers | response.headers
        self._outbox.put(serialize(self._request, response, self._context.date()))

    def _read(self, future: asyncio.Future[bytes]) -> None:
        self._is_working = False
        error = future.exception()
        if error is None:
            self._say(future.result())
        elif not self._is_cancelled:
            # The head has promised a length: only closing the connection shows that it is cut off.
            _log.warning("%s could not be read to its end: %s", self._request.shown_path, error)
            self._end(is_complete=False)
        else:
            self._close()

    def _say(self, piece: bytes) -> None:
        if self._is_cancelled:
            self._close()
            return
        self._context.tick.run(self._put, piece)
        if self._rest is None or self._rest.is_empty:
            self._end(is_complete=True)
        else:
            self._outbox.after_flush(self._flushed)

    def _put(self, piece: bytes, _now: int) -> None:
        self._outbox.put(piece)

    def _flushed(self) -> None:
        if not self._outbox.is_paused:
            self.resume()

    def _end(self, *, is_complete: bool) -> None:
        self._close()
        self._ended(is_complete)

    def _close(self) -> None:
        if self._rest is not None:
            self._rest.close()
            self._rest = None


def _internal_error(_now: int) -> Response:
    return Response.error(500, "Internal error")
