"""What one peer sent and was not answered yet: bytes first, requests once they are parsed; no I/O.

It is parsed bit by bit, so that a long row of small requests takes as many turns as it has to.
"""

from collections import deque
from collections.abc import Callable

from dunena.server.http.message import Request
from dunena.server.http.parser import RequestParser
from dunena.server.limits import TURN_LOOK_BYTES


class RequestQueue:
    """One connection's; ``has_work`` while there is something to parse or to answer.

    ``parser`` knows of the request that is not whole, and of a fault. ``has_peer_ended`` is set
    when the peer sends no more.
    """

    def __init__(self, body_bytes_max: int, wants_body: Callable[[Request], bool]) -> None:
        self.parser = RequestParser(body_bytes_max, wants_body)
        self.has_peer_ended = False
        self.has_work = False
        self._unread = b""  # what came and was not parsed yet, from here on
        self._unread_at = 0
        self._requests: deque[Request] = deque()

    @property
    def is_over(self) -> bool:
        """Whether no more requests come."""
        return self.has_peer_ended or self.parser.is_over

    @property
    def is_peer_sending(self) -> bool:
        """Whether the peer is in the middle of a request."""
        return self.parser.is_in_request and not self.has_peer_ended

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._unread = self._unread[self._unread_at :] + data if self._unread else data
        self._unread_at = 0
        self.has_work = True

    def parse(self) -> int:
        """Parse the next part of what came; its size."""
        start = self._unread_at
        part = self._unread[start : start + TURN_LOOK_BYTES]  # the same object where it is all
        self._unread_at += len(part)
        if self._unread_at == len(self._unread):
            self._unread, self._unread_at = b"", 0
        self._requests += self.parser.feed(part)
        self.has_work = bool(self._requests or self._unread)
        return len(part)

    def pop(self) -> Request | None:
        """Take out the next request; None where more is to be parsed first."""
        if not self._requests:
            return None
        request = self._requests.popleft()
        self.has_work = bool(self._requests or self._unread)
        return request

    def take_rest(self) -> bytes:
        """Take out what came behind a request to upgrade; no request comes any more."""
        rest = (self.parser.rest or b"") + self._unread[self._unread_at :]
        self.drop()
        return rest

    def drop(self) -> None:
        """Let go what there is: nothing more is read or answered."""
        self._requests.clear()
        self._unread, self._unread_at = b"", 0
        self.has_work = False
        self.parser.drop()
