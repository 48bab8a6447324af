"""A request that is held until there is an answer.

It waits among the followers of a feed. What it is pushed, and the end of its time too, goes through
an outbox of its own: so nothing answers it that is not committed.
"""

import asyncio
from abc import ABC, abstractmethod

from dunena.dialects.client_watches import FormFactory
from dunena.dialects.services import Services
from dunena.dialects.subscriptions import NoPacing, Subscriptions
from dunena.server.committed import CommittedOutbox
from dunena.server.context import Context
from dunena.server.http.message import Request, Response
from dunena.server.outbox import Action, HeldOutput, Outbox, Piece
from dunena.watches.feed import WatchFeed
from dunena.watches.selector import Selector


class HeldRequest(ABC):
    """One held request; ``begun`` has the headers of its response.

    The response is sent through ``outbox``, and ``answered`` called then, which may end the
    connection or answer its next request. A derived class puts into ``_committed`` what may answer
    the request, and makes the response of it.
    """

    def __init__(
        self,
        context: Context,
        request: Request,
        begun: Response,
        outbox: Outbox,
        answered: Action,
    ) -> None:
        self._context = context
        self._request = request
        self._begun = begun
        self._outbox = outbox
        self._answered = answered
        self._services: Services = context.views.of(request.grant)
        self._committed = CommittedOutbox(
            context.tick.schedule_flush, context.telemetry, self._take
        )
        self._subscriptions = Subscriptions(
            self._services.hub,
            self._services.watches,
            self._services.limits,
            self._committed,
            NoPacing(),
        )
        self._timer: asyncio.TimerHandle | None = None

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

    # --- for derived classes ---

    @abstractmethod
    def _look(self, _message: None, now: int) -> None:
        """Put what answers the request now, if anything does, into ``_committed``."""

    @abstractmethod
    def _report_nothing(self, _message: None, now: int) -> None:
        """Put the answer at the end of the time into ``_committed``."""

    @abstractmethod
    def _answer_of(self, piece: Piece) -> list[Piece] | None:
        """Make the response of a committed piece; None if it is no answer."""

    def _hold(self, selector: Selector, make_form: FormFactory, wait_seconds: float) -> WatchFeed:
        """Wait for so long among the followers of a feed, which is returned; then look.

        Raise `ClientError` above the limits of subscriptions.
        """
        begun = self._subscriptions.watch(self._services, selector, make_form, None)
        assert begun is not None, "it has just begun"
        self._timer = self._context.loop.call_later(wait_seconds, self.end_early)
        return begun.feed

    def _take(self, pieces: list[Piece]) -> Action | None:
        """Answer by the first of the committed pieces that is an answer."""
        for piece in pieces:
            answer = self._answer_of(piece)
            if answer is not None:
                answered = self._answered
                self.cancel()
                HeldOutput(self._outbox, answer, None).send()  # whose fault ends only itself
                return answered
        return None


def _do_nothing() -> None:
    """Stand in for the callback of a request that was cancelled."""
