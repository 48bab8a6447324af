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

    ``whole`` are the requests to answer, in their order. ``parser`` knows of the request that is
    not whole, and of a fault. ``has_peer_ended`` is set when the peer sends no more. What is read
    for each request are attributes.
    """

    def __init__(self, body_bytes_max: int, wants_body: Callable[[Request], bool]) -> None:
        self.parser = RequestParser(body_bytes_max, wants_body)
        self.has_peer_ended = False
        self.has_work = False
        self._unread = b""  # what came and was not parsed yet, from here on
        self._unread_at = 0
        self.whole: deque[Request] = deque()

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
        part = self._unread
        if len(part) <= TURN_LOOK_BYTES:  # it came in one piece, so nothing of it is parsed yet
            self._unread = b""
        else:
            part = self._cut_part()
        self.whole += self.parser.feed(part)
        if not self.whole and not self._unread:
            self.has_work = False
        return len(part)

    def pop(self) -> Request:
        """Take out the first request of ``whole``; there must be one."""
        request = self.whole.popleft()
        if not self.whole and not self._unread:
            self.has_work = False
        return request

    def take_rest(self) -> bytes:
        """Take out what came behind a request to upgrade; no request comes any more."""
        rest = (self.parser.rest or b"") + self._unread[self._unread_at :]
        self.drop()
        return rest

    def drop(self) -> None:
        """Let go what there is: nothing more is read or answered."""
        self.whole.clear()
        self._unread, self._unread_at = b"", 0
        self.has_work = False
        self.parser.drop()

    def _cut_part(self) -> bytes:
        """Take a part out of what is too much for one."""
        start = self._unread_at
        part = self._unread[start : start + TURN_LOOK_BYTES]
        self._unread_at += len(part)
        if self._unread_at == len(self._unread):
            self._unread, self._unread_at = b"", 0
        return part
