"""Putting responses into the outbox of one connection, at once or by a transfer."""

import logging
from collections.abc import Callable

from dunena.dialects.errors import ClientError
from dunena.server.context import Context
from dunena.server.faults import FAULTS
from dunena.server.http.message import Request, Response, serialize
from dunena.server.http.transfer import Transfer
from dunena.server.outbox import Outbox
from dunena.server.quick_answers import QuickAnswers
from dunena.store.errors import WriteRefusedError

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_log = logging.getLogger(__name__)


class ResponseWriter:
    """Writes the responses of one connection; the tick handles each as a request of its own.

    During a transfer, no other response may be written.
    """

    __slots__ = (
        "_context",
        "_deferred",
        "_outbox",
        "_quick",
        "_tick",
        "_transfer",
        "_was_told_to_continue",
    )

    def __init__(self, context: Context, outbox: Outbox) -> None:
        self._context = context
        self._tick = context.tick
        self._quick: QuickAnswers | None = context.quick
        self._outbox = outbox
        self._deferred: Response | None = None
        self._transfer: Transfer | None = None
        self._was_told_to_continue = False

    def answer(self, request: Request) -> Response | None:
        """Queue the response to a request; return it instead if it is not ready, or a stream."""
        self._deferred = None
        self._respond(request, self._tick.begin(self._respond, request))
        self._was_told_to_continue = False
        return self._take_deferred()

    def transfer(self, request: Request, begun: Response, ended: Callable[[bool], None]) -> None:
        """Make and send a response by a transfer; ``begun`` is the result of `answer`.

        ``ended`` is called in a later iteration of the loop, with whether the whole response is in
        the outbox.
        """

        def finish(is_complete: bool) -> None:
            self._transfer = None
            ended(is_complete)

        self._transfer = Transfer(self._context, request, begun, self._outbox, finish)
        self._transfer.start()

    def resume(self) -> None:
        """Continue the transfer, if there is one: the client has read enough."""
        if self._transfer is not None:
            self._transfer.resume()

    def cancel(self) -> None:
        """Cancel the transfer, if there is one; its ``ended`` is not called."""
        if self._transfer is not None:
            self._transfer.cancel()
            self._transfer = None

    def write(self, request: Request, response: Response) -> None:
        """Queue a response that the caller has made."""
        self._tick.run(self._put, serialize(request, response, self._context.date()))

    def tell_to_continue(self) -> None:
        """Send 100 (Continue) to a peer that waits with its body, once (RFC 9110, 15.2.1)."""
        if not self._was_told_to_continue:
            self._was_told_to_continue = True
            self._tick.run(self._put, _CONTINUE)

    def _respond(self, request: Request, now: int) -> None:
        try:
            if self._quick is not None and self._answer_quickly(self._quick, request, now):
                return
            response = self._context.routes.respond(request, now)
        except FAULTS:  # a bug ends one request, not the server
            _log.exception("%s %s could not be answered", request.method, request.shown_path)
            response = Response.error(500, "Internal error")
        if response.later is not None or response.follows is not None:
            self._deferred = response
            return
        self._outbox.put(serialize(request, response, self._context.date()))

    def _take_deferred(self) -> Response | None:
        deferred, self._deferred = self._deferred, None
        return deferred

    def _answer_quickly(self, quick: QuickAnswers, request: Request, now: int) -> bool:
        """Queue the quick answer to a request; return whether there is one."""
        try:
            answer = quick.respond(request, now)
        except (ClientError, WriteRefusedError) as error:
            refusal = self._context.routes.explain(request, error)
            answer = serialize(request, refusal, self._context.date())
        if answer is None:
            return False
        self._outbox.put(answer)
        return True

    def _put(self, piece: bytes, _now: int) -> None:
        self._outbox.put(piece)
