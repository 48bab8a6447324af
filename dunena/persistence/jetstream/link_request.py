"""A request to NATS that waits for its answers."""

import asyncio
from collections.abc import Callable

from dunena.persistence.jetstream.wire import LinkFault, Message

_NO_RESPONDERS = "503"


class LinkRequest:
    """A request that waits for answers; ``all_`` has those of its link, by the ends of replies."""

    __slots__ = (
        "_all", "_done", "_loop", "_take_part", "_timeout_s", "_timer", "_token", "_until",
        "subject",
    )  # fmt: skip

    def __init__(
        self,
        all_: dict[str, "LinkRequest"],
        token: str,
        subject: str,
        timeout_s: float,
        take_part: Callable[[Message], bool],
        done: Callable[[LinkFault | None], None],
    ) -> None:
        """Begin to wait; the rest is as in `wire.Link.request_many`."""
        self._all = all_
        self._token = token
        self.subject = subject
        self._timeout_s = timeout_s
        self._take_part = take_part
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + timeout_s
        self._timer = self._loop.call_at(self._until, self._give_up)
        all_[token] = self

    def take(self, message: Message) -> None:
        """Take an answer."""
        if not message.data and message.headers.get("Status") == _NO_RESPONDERS:
            self.fail(LinkFault.NO_RESPONDERS)
            return
        self._until = self._loop.time() + self._timeout_s
        if self._take_part(message):
            is_under_way = self._token in self._all
            self.cancel()
            if is_under_way:
                self._done(None)

    def _give_up(self) -> None:
        if self._loop.time() < self._until:  # answers came: a timer for each would cost too much
            self._timer = self._loop.call_at(self._until, self._give_up)
            return
        self.fail(LinkFault.TIMEOUT)

    def fail(self, fault: LinkFault) -> None:
        """End it without more answers."""
        self.cancel()
        self._done(fault)

    def cancel(self) -> None:
        """End it: nothing is called any more."""
        self._timer.cancel()
        self._all.pop(self._token, None)
