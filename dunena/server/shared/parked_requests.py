"""The requests of all connections that wait for the log, and whether one more may."""

from collections import deque
from collections.abc import Callable, Iterable

from dunena.server.shared.limits import PARKED_BYTES_MAX, PARKED_REQUESTS_MAX
from dunena.server.shared.parked import ParkedRequest


class ParkedRequests:
    """Counts the requests that were added and not settled yet: ``count``.

    ``waiting`` are those of them that are not under way, in their order. ``is_stopping``: nothing
    more may wait.
    """

    def __init__(self) -> None:
        self.waiting: deque[ParkedRequest] = deque()
        self.count = 0
        self.is_stopping = False
        self._bytes = 0
        self._wanting_room: deque[Callable[[], None]] = deque()
        self._idle: list[Callable[[], None]] = []

    @property
    def has_room(self) -> bool:
        """Whether one more request may wait."""
        return (
            self.count < PARKED_REQUESTS_MAX
            and self._bytes < PARKED_BYTES_MAX
            and not self.is_stopping
        )

    def wait_for_room(self, action: Callable[[], None]) -> None:
        """Call ``action`` once when there is room."""
        self._wanting_room.append(action)

    def stop(self, action: Callable[[], None]) -> None:
        """Let no further request wait; call ``action`` once when none does, maybe now."""
        self.is_stopping = True
        if self.count:
            self._idle.append(action)
        else:
            action()

    def add(self, request: ParkedRequest) -> None:
        """Let a request wait, behind all others."""
        self.count += 1
        self._bytes += request.size
        self.waiting.append(request)

    def put_back(self, requests: Iterable[ParkedRequest]) -> None:
        """Let requests that were under way wait again, before all others."""
        self.waiting.extendleft(reversed(list(requests)))

    def settle(self, request: ParkedRequest) -> None:
        """Count a request no more: it was answered, or nobody waits for an answer."""
        self.count -= 1
        self._bytes -= request.size
        request.settled()

    def let_in(self) -> None:
        """Call those that wait for room, as long as there is some."""
        while self._wanting_room and self.has_room:
            self._wanting_room.popleft()()

    def tell_idle(self) -> None:
        """Call those that wait until no request does, if none does."""
        if not self.count and self._idle:
            idle, self._idle = self._idle, []
            for action in idle:
                action()
