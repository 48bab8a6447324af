"""An outbox whose pieces go to a function once they are committed."""

from collections.abc import Callable

from dunena.server.lost_transport import LOST
from dunena.server.outbox import Action, Outbox, Piece
from dunena.telemetry import Telemetry


class CommittedOutbox(Outbox):
    """What a held request receives, in the tick's view an outbox like that of a connection.

    At the end of a tick whose changes are stored, ``take`` gets the pieces. It returns the action
    to do after the outboxes of the tick were flushed, None for none.
    """

    __slots__ = ("_take",)

    def __init__(
        self,
        schedule_flush: Callable[[Outbox], None],
        telemetry: Telemetry,
        take: Callable[[list[Piece]], Action | None],
    ) -> None:
        super().__init__(LOST, schedule_flush, _do_nothing, telemetry)
        self._take = take

    def send(self, pieces: list[Piece], action: Action | None) -> Action | None:
        """Hand committed pieces on, unless the request has ended."""
        return action if self.is_dead or not pieces else self._take(pieces)

    def kill(self) -> None:
        """Drop everything, now and later: the request has ended."""
        super().kill()
        self._take = _take_nothing  # it leads back to the request


def _do_nothing() -> None:
    """Stand in for a callback that is not called."""


def _take_nothing(_pieces: list[Piece]) -> Action | None:
    """Take no pieces: the request has ended."""
    return None
