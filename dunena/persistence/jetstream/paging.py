"""Fetches messages in pages, from any replica; no I/O.

A page that does not come in time is asked for again, as the replica may hang. But it may also be on
its way, on a slow line or behind other pages, and then each new request makes the wait longer for
all: what nobody waits for any more is sent nevertheless. So after each time-out the next page is
smaller and waited for twice as long, until pages come in time again.
"""

from collections.abc import Callable
from typing import Final

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.stream_requests import StreamRequests
from dunena.persistence.jetstream.wire import Cancellable, Link, LinkFault, Message, Scheduler

PAGE_MESSAGES: Final = 5000
PAGE_BYTES_MAX: Final = 8 * 1024 * 1024
PAGE_TIMEOUT_S: Final = 0.5
"""The longest wait for the next message of a page: the replica may hang, and another one not."""

DOUBLINGS_MAX: Final = 5
"""How often that wait is doubled at most, to 16 s, and a page made a quarter, to 8 KiB."""

RETRY_S: Final = 0.1
"""Before a page is asked for again that could not be fetched."""

PAUSES_S: Final[dict[LinkFault | None, float]] = {LinkFault.TIMEOUT: 0.0, LinkFault.DENIED: 1.0}
"""Instead, after some faults: the servers log what they deny."""


class Pages:
    """The messages of the stream that still exist, in the order of their sequences.

    ``reached`` is the sequence of the last one that was fetched; ``fetched`` counts all.
    """

    __slots__ = (
        "_before", "_done", "_doublings", "_handle", "_link", "_pending", "_requests", "_scheduler",
        "_take", "fetched", "reached",
    )  # fmt: skip

    def __init__(self, link: Link, scheduler: Scheduler, requests: StreamRequests) -> None:
        self._link = link
        self._scheduler = scheduler
        self._requests = requests
        self._before = "0"
        self._pending = 0
        self._doublings = 0
        self._take: Callable[[int, Message], None] = lambda _sequence, _message: None
        self._done: Callable[[], None] = lambda: None
        self._handle: Cancellable | None = None
        self.reached = 0
        self.fetched = 0

    def fetch(self, take: Callable[[int, Message], None], done: Callable[[], None]) -> None:
        """Fetch what follows ``reached``, and call ``done`` when a replica has no more.

        It asks until one answers.
        """
        self._take = take
        self._done = done
        self._ask()

    def cancel(self) -> None:
        """End it; nothing is called any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ask(self) -> None:
        self._before = "0"
        self._pending = 0
        bytes_max = PAGE_BYTES_MAX >> 2 * self._doublings
        page = self._requests.page(self.reached + 1, PAGE_MESSAGES, bytes_max)
        timeout_s = PAGE_TIMEOUT_S * 2**self._doublings
        self._handle = self._link.request_many(page, timeout_s, self._take_part, self._end)

    def _take_part(self, part: Message) -> bool:
        """Take a message, or the end of a page; each names the one before it."""
        headers = part.headers
        if headers.get(header.SEQUENCE_BEFORE, self._before) != self._before:
            self._pending = -1  # parts are lost
            return True
        if header.STATUS in headers:
            status = headers[header.STATUS]
            self._pending = int(headers.get(header.PENDING, "0")) if status == "204" else 0
            if status not in ("204", "404"):
                self._pending = -1
            return True
        text = headers[header.SEQUENCE]
        self._before = text
        self.reached = sequence = int(text)
        self.fetched += 1
        self._take(sequence, part)
        return False

    def _end(self, fault: LinkFault | None) -> None:
        if fault is LinkFault.TIMEOUT:
            self._doublings = min(self._doublings + 1, DOUBLINGS_MAX)
        elif fault is None and self._pending >= 0:
            self._doublings = max(self._doublings - 1, 0)
        if fault is not None or self._pending < 0:
            pause_s = PAUSES_S.get(fault, RETRY_S)
            self._handle = self._scheduler.call_later(pause_s, self._ask)
        elif self._pending:
            self._ask()
        else:
            self._handle = None
            self._done()
