"""Watching a peer that does not read: its unread bytes count, and its time is limited."""

from collections.abc import Callable

from dunena.server.budget import Budget
from dunena.server.limits import UNREAD_SECONDS_MAX, UNREAD_TLS_FACTOR


class Unread:
    """Watches one peer from `paused`, when the transport has more than it can send, to `resumed`.

    ``size`` returns the bytes in the transport, which can only decrease meanwhile, and the bytes of
    replies that wait for it. ``disconnect`` is called if all peers together leave too much unread
    and this one the most.
    """

    def __init__(
        self,
        budget: Budget,
        disconnect: Callable[[], None],
        size: Callable[[], tuple[int, int]],
        *,
        is_encrypted: bool,
    ) -> None:
        self._budget = budget
        self._disconnect = disconnect
        self._size = size
        self._seconds_max = UNREAD_SECONDS_MAX * (UNREAD_TLS_FACTOR if is_encrypted else 1)
        self._since: float | None = None
        self._sending = 0

    def paused(self, now_seconds: float) -> None:
        """Begin to watch: the peer reads more slowly than data is sent to it."""
        self._since = now_seconds
        self._count()

    def resumed(self) -> None:
        """End the watch: the peer reads again, or the connection is lost."""
        self._since = None
        self._budget.hold(self._disconnect, 0)

    def is_overdue(self, now_seconds: float) -> bool:
        """Return whether the peer has read nothing for too long; to be called regularly."""
        if self._since is None:
            return False
        before = self._sending
        self._count()
        if self._sending != before:
            self._since = now_seconds
        return now_seconds - self._since >= self._seconds_max

    def _count(self) -> None:
        self._sending, behind = self._size()
        self._budget.hold(self._disconnect, self._sending + behind)
