"""Flow control of one connection: pausing reading, and ending a peer that does not read."""

import asyncio
from collections.abc import Callable

from dunena.server.context import Context
from dunena.server.lost_transport import LOST
from dunena.server.outbox import Outbox
from dunena.server.unread import Unread, watch_unread


class FlowControl:
    """Controls both directions of one connection.

    ``abort`` is called to end the connection if its peer leaves too much unread; the log then names
    ``address``. ``is_reading_paused``: the transport reads nothing from the peer.
    """

    __slots__ = (
        "_abort",
        "_address",
        "_context",
        "_outbox",
        "_transport",
        "_unread",
        "is_reading_paused",
    )

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
        self._unread: Unread | None = None  # made when the peer first reads too slowly
        self.is_reading_paused = False

    def pace_reading(self, *, wants_pause: bool) -> None:
        """Pause or resume reading from the peer."""
        if wants_pause is not self.is_reading_paused:
            self.is_reading_paused = wants_pause
            if wants_pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Begin to watch a peer that reads more slowly than responses are sent."""
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
        """End the watch: the peer has read enough."""
        self._stop_watching()
        self._outbox.resume()

    def end_overdue(self, now_seconds: float) -> bool:
        """Abort the connection if its peer read nothing for too long; return whether it did."""
        return self._unread is not None and self._unread.end_overdue(now_seconds)

    def lose(self) -> None:
        """Stop counting a lost connection and drop all references to it."""
        self._stop_watching()
        self._unread = None
        self._abort = _do_nothing
        self._transport = LOST

    def _stop_watching(self) -> None:
        if self._unread is not None:
            self._unread.resumed()


def _do_nothing() -> None:
    """Do nothing: replaces the callback of a lost connection."""
