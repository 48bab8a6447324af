"""Who has more to do than one turn allows: one behind the other, and everybody else in between.

A connection does at once what it was sent, until its turn is over (`dunena.server.limits`). What is
left waits here. Every second time the loop goes round, those at the front go on for as long as one
round may take, so that any number of them together take from all others what one of them would.
What others asked meanwhile is read in between, and answered before the next round begins: nobody
waits for more than what was left of one.
"""

from collections import deque
from collections.abc import Callable

from dunena.server.limits import ROUND_MS
from dunena.server.outbox import Action


class Turns:
    """The queue of one server.

    ``call_soon`` runs a function when the loop goes round, ``timer_ms`` is any clock that only
    goes forward, and ``end_tick`` answers what was asked. ``is_laden`` says that the tick takes no
    more for now: then nobody goes on until `go_on`.
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
        self._waiting: deque[Action] = deque()
        self._is_coming = False  # the next round

    def __len__(self) -> int:
        """The number of actions that wait for a turn."""
        return len(self._waiting)

    def wait(self, action: Action) -> None:
        """Do something once, when it is its turn; the caller sees to it that it waits once only."""
        self._waiting.append(action)
        self.go_on()

    def go_on(self) -> None:
        """Have a round if somebody waits and the tick takes more."""
        if self._waiting and not self._is_coming and not self._is_laden():
            self._is_coming = True
            self._call_soon(self._let_others_come)

    def _let_others_come(self) -> None:
        self._call_soon(self._go_round)

    def _go_round(self) -> None:
        self._end_tick()
        self._is_coming = False
        ends_at = self._timer_ms() + ROUND_MS
        for _ in range(len(self._waiting)):  # who has more to do after it waits for the next round
            if self._is_laden():
                break
            self._waiting.popleft()()
            if self._timer_ms() >= ends_at:
                break
        self.go_on()
