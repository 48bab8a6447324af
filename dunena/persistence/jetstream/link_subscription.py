"""A subscription of a link, which lasts longer than a connection."""

from collections.abc import Callable

from dunena.persistence.jetstream.connection import NatsConnection, Receive


class LinkSubscription:
    """A subscription; ``all_`` has those of its link.

    ``is_denied``: the server has refused it at the present connection, or ended it.
    """

    def __init__(self, all_: set["LinkSubscription"], subject: str, receive: Receive) -> None:
        self._all = all_
        self.subject = subject
        self.is_denied = False
        self._receive = receive
        self._end: Callable[[], None] | None = None
        all_.add(self)

    def begin(self, connection: NatsConnection) -> None:
        """Subscribe at a new connection, or once more at one that has denied it."""
        if self.is_denied:
            self._cancel()
        self.is_denied = False
        self._end = connection.subscribe(self.subject, self._receive)

    def cancel(self) -> None:
        """End it."""
        self._all.discard(self)
        self._cancel()

    def _cancel(self) -> None:
        if self._end is not None:
            self._end()
            self._end = None
