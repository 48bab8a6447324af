"""How fast one peer is read from, and what becomes of it when it does not read itself."""

import asyncio
from collections.abc import Callable

from dunena.server.context import Context
from dunena.server.lost_transport import LOST
from dunena.server.outbox import Outbox
from dunena.server.unread import Unread, watch_unread


class FlowControl:
    """One connection's, in both directions; ``abort`` ends it when it leaves too much unread.

    ``address`` is named in the log then. ``is_reading_paused`` says that what the peer sends waits.
    """

    def __init__(
        self,
        context: Context,
        transport: asyncio.Transport,
        outbox: Outbox,
        abort: Callable[[], None],
        address: str,
    ) -> None:
        self._context = context
        self._transport = transport
        self._outbox = outbox
        self._abort = abort
        self._address = address
        self._unread: Unread | None = None  # made when it first reads too slowly
        self.is_reading_paused = False

    def pace_reading(self, *, wants_pause: bool) -> None:
        """Read from the peer, or let what it sends wait."""
        if wants_pause is not self.is_reading_paused:
            self.is_reading_paused = wants_pause
            if wants_pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The peer reads slower than it is answered."""
        self._outbox.pause()
        if self._unread is None:
            self._unread = watch_unread(
                self._context,
                self._transport,
                self._outbox,
                self._abort,
                address=self._address,
                what="its answers",
            )
        self._unread.paused(self._context.loop.time())

    def resume_writing(self) -> None:
        """It caught up."""
        self._stop_watching()
        self._outbox.resume()

    def end_overdue(self, now_seconds: float) -> bool:
        """Abort the connection if its peer has read nothing for too long; whether it was so."""
        return self._unread is not None and self._unread.end_overdue(now_seconds)

    def lose(self) -> None:
        """The connection is lost: count nothing of it, and do not lead back to it."""
        self._stop_watching()
        self._unread = None
        self._abort = _do_nothing
        self._transport = LOST

    def _stop_watching(self) -> None:
        if self._unread is not None:
            self._unread.resumed()


def _do_nothing() -> None:
    """Stand in for the callback of a connection that is lost."""
