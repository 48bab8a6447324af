"""Watches that want no more than so many updates a second."""

import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

from dunena.server.lost_transport import LOST
from dunena.server.outbox import Action, HeldOutput, Outbox, Piece
from dunena.telemetry import Telemetry
from dunena.watches.feed import UpdateBatch, WatchFeed
from dunena.watches.pending import PendingUpdate


class Call(Protocol):
    """A call that will be made, as the loop returns it."""

    def cancel(self) -> None:
        """Do not make it."""


class Pacer:
    """Calls what is due for the paced watches of one server.

    ``clock_ms`` is any clock; ``call_at`` calls a function at a time of that clock. Of these calls
    there is one at a time, for the watch that is due next.
    """

    def __init__(
        self, clock_ms: Callable[[], float], call_at: Callable[[float, Action], Call]
    ) -> None:
        self._clock_ms = clock_ms
        self._call_at = call_at
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self._call: Call | None = None

    @property
    def now(self) -> float:
        """The present time of the clock in ms."""
        return self._clock_ms()

    def call(self, due_at: float, action: Action) -> None:
        """Call ``action`` once, at a time of the clock."""
        number = next(self._numbers)
        heapq.heappush(self._due, (due_at, number, action))
        if self._due[0][1] == number:
            self._arm()

    def _arm(self) -> None:
        if self._call is not None:
            self._call.cancel()
        self._call = self._call_at(self._due[0][0], self._call_due) if self._due else None

    def _call_due(self) -> None:
        self._call = None
        now = self.now
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        self._arm()


class PacedOutbox(Outbox):
    """What one paced watch receives, in the tick's view an outbox like that of a connection.

    What the tick hands over is committed. It is withheld for ``interval_ms`` after the last update
    and then handed to ``connection``, the outbox of the connection, as one update.
    """

    __slots__ = ("_connection", "_interval_ms", "_is_waiting", "_next_at", "_pacer", "_pending")

    def __init__(
        self,
        connection: Outbox,
        schedule_flush: Callable[[Outbox], None],
        telemetry: Telemetry,
        pacer: Pacer,
        interval_ms: float,
    ) -> None:
        super().__init__(LOST, schedule_flush, _do_nothing, telemetry)
        self._connection = connection
        self._pacer = pacer
        self._interval_ms = interval_ms
        self._next_at = pacer.now + interval_ms  # the first update is on its way
        self._is_waiting = False
        self._pending: PendingUpdate | None = None

    def send(self, pieces: list[Piece], action: Action | None) -> Action | None:
        """Take committed updates; hand them on if the last update is long enough ago."""
        if self.is_dead:
            return action
        for piece in pieces:
            assert isinstance(piece, UpdateBatch), "nothing else is pushed by a feed"
            self._take(piece.feed, piece)
        if self._pending is not None and not self._is_waiting:
            if self._pacer.now >= self._next_at:
                self._release()
            else:
                self._is_waiting = True
                self._pacer.call(self._next_at, self._release)
        return action

    def _take(self, feed: WatchFeed, batch: UpdateBatch) -> None:
        if self._pending is None:
            self._pending = PendingUpdate(feed)
        for part in batch.parts:
            self._pending.add(part)

    def _release(self) -> None:
        self._is_waiting = False
        pending, self._pending = self._pending, None
        if pending is not None and not self.is_dead:
            self._next_at = self._pacer.now + self._interval_ms
            HeldOutput(self._connection, [pending], None).send()  # whose fault ends only itself

    def kill(self) -> None:
        """Withhold nothing any more: the watch has ended."""
        super().kill()
        self._pending = None


def _do_nothing() -> None:
    """Stand in for a callback that is not called."""
