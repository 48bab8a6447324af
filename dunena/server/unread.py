"""Watching a peer that does not read: its unread bytes count, and its time is limited."""

import asyncio
from collections.abc import Callable

from dunena.server.budget import Budget
from dunena.server.context import Context
from dunena.server.limits import UNREAD_SECONDS_MAX, UNREAD_TLS_FACTOR
from dunena.server.outbox import Outbox


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

    def end_overdue(self, now_seconds: float) -> bool:
        """Disconnect the peer if it is overdue; return whether it was."""
        is_overdue = self.is_overdue(now_seconds)
        if is_overdue:
            self._disconnect()
        return is_overdue

    def _count(self) -> None:
        self._sending, behind = self._size()
        self._budget.hold(self._disconnect, self._sending + behind)


def watch_unread(
    context: Context,
    transport: asyncio.Transport,
    outbox: Outbox,
    abort: Callable[[], None],
    *,
    address: str,
    what: str,
) -> Unread:
    """Make the watch of one connection; ``abort`` is called to disconnect its peer.

    The log then names the peer's ``address`` and ``what`` it did not read.
    """

    def disconnect() -> None:
        # No error is sent first: the peer does not read.
        context.telemetry.slow_readers_closed += 1
        context.refusals.tell_slow_reader(address, what)
        abort()

    return Unread(
        context.registry.unread,
        disconnect,
        lambda: (transport.get_write_buffer_size(), outbox.reply_bytes),
        is_encrypted=context.settings.is_encrypted,
    )
