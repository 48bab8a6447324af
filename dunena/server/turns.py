"""The queue of connections that have more to do than fits one turn.

A connection answers received requests at once until its turn is over (`dunena.server.limits`). With
the rest it waits in this queue. In every second iteration of the loop there is a *round*: the first
connections of the queue continue until the time of a round is over, so that any number of them
together delay all others only as much as one would. Between two rounds the loop reads and answers
the requests of others: these wait for the rest of one round at most.
"""

from collections import deque
from collections.abc import Callable

from dunena.server.limits import ROUND_MS
from dunena.server.outbox import Action


class Turns:
    """The queue of one server.

    ``call_soon`` runs a function in the next iteration of the loop, ``timer_ms`` is any monotonic
    clock, and ``end_tick`` ends the tick. While ``is_laden`` returns True, the tick takes no more
    requests, and no connection continues until `go_on`.

    ``wait`` calls an action once in its turn; the caller must not queue it twice. It is an
    attribute, so that all connections keep the same object and not a bound method each.
    """

    def __init__(
        self,
        call_soon: Callable[[Action], object],
        timer_ms: Callable[[], float],
        end_tick: Action,
        is_laden: Callable[[], bool],
    ) -> None:
        self._call_soon = call_soon
        self._timer_ms = timer_ms
        self._end_tick = end_tick
        self._is_laden = is_laden
        self.wait: Callable[[Action], None] = self._wait
        self._waiting: deque[Action] = deque()
        self._is_coming = False  # the next round is scheduled

    def __len__(self) -> int:
        """Return the number of actions that wait for a turn."""
        return len(self._waiting)

    def _wait(self, action: Action) -> None:
        self._waiting.append(action)
        self.go_on()

    def go_on(self) -> None:
        """Schedule a round if an action waits and the tick takes more."""
        if self._waiting and not self._is_coming and not self._is_laden():
            self._is_coming = True
            self._call_soon(self._let_others_come)

    def _let_others_come(self) -> None:
        self._call_soon(self._go_round)

    def _go_round(self) -> None:
        self._end_tick()
        self._is_coming = False
        ends_at = self._timer_ms() + ROUND_MS
        for _ in range(len(self._waiting)):  # an action that is queued again is for the next round
            if self._is_laden():
                break
            self._waiting.popleft()()
            if self._timer_ms() >= ends_at:
                break
        self.go_on()
