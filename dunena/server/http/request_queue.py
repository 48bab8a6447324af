"""The queue of one peer's received bytes and parsed requests that are not answered; no I/O.

The bytes are parsed in parts of limited size, so that many small requests take several turns.
"""

from collections import deque
from collections.abc import Callable

from dunena.server.http.known_heads import KnownHeads
from dunena.server.http.message import Request
from dunena.server.http.parser import RequestParser
from dunena.server.limits import TURN_LOOK_BYTES


class RequestQueue:
    """The queue of one connection.

    ``has_work``: there are bytes to parse or requests to answer. ``complete`` are the requests to
    answer, in their order. ``parser`` has the incomplete request and the fault, if any.
    ``has_peer_ended`` is set by the owner when the peer sends no more. What every request needs is
    an attribute, as a call costs more.
    """

    __slots__ = ("_unread", "_unread_at", "complete", "has_peer_ended", "has_work", "parser")

    def __init__(
        self,
        body_bytes_max: int,
        wants_body: Callable[[Request], bool],
        heads: KnownHeads | None = None,
    ) -> None:
        self.parser = RequestParser(body_bytes_max, wants_body, heads)
        self.has_peer_ended = False
        self.has_work = False
        self._unread = b""  # received bytes, of which those from `_unread_at` on are not parsed
        self._unread_at = 0
        self.complete: deque[Request] = deque()

    @property
    def is_peer_sending(self) -> bool:
        """Whether the peer has sent a part of a request and may send the rest."""
        return self.parser.is_in_request and not self.has_peer_ended

    def feed(self, data: bytes) -> None:
        """Add received bytes, which `parse` parses."""
        self._unread = self._unread[self._unread_at :] + data if self._unread else data
        self._unread_at = 0
        self.has_work = True

    def parse(self) -> int:
        """Parse the next part of the received bytes; return its size."""
        part = self._unread
        if len(part) <= TURN_LOOK_BYTES:  # it came in one piece, so nothing of it is parsed yet
            self._unread = b""
        else:
            part = self._cut_part()
        self.complete.extend(self.parser.feed(part))
        if not self.complete and not self._unread:
            self.has_work = False
        return len(part)

    def pop(self) -> Request:
        """Remove and return the first of the ``complete`` requests; there must be one."""
        request = self.complete.popleft()
        if not self.complete and not self._unread:
            self.has_work = False
        return request

    def take_rest(self) -> bytes:
        """Remove and return the bytes after a request to upgrade; no more requests are parsed."""
        rest = (self.parser.rest or b"") + self._unread[self._unread_at :]
        self.drop()
        return rest

    def drop(self) -> None:
        """Discard everything: no more requests are parsed or answered."""
        self.complete.clear()
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
