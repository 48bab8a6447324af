"""Finding out for the test page whether there is a newer release of dunena.

The server asks, since the page may connect to no other origin, and a browser would tell GitHub the
page's address. It asks only when a page of its own says that a person wants to know.
"""

import time
from threading import Lock

import orjson

from dunena import __version__
from dunena.server.http.message import Prepared, Response

REMEMBERED_SECONDS = 600.0
"""How long an answer is remembered: several pages that ask cost one request to GitHub, which
answers 60 an hour to one address."""


class UpdateChecks:
    """Asks for the newest release, one request at a time."""

    __slots__ = ("_answer", "_answered_at", "_lock")

    def __init__(self) -> None:
        self._answer: bytes | None = None
        self._answered_at = 0.0
        self._lock = Lock()

    def answer(self) -> Prepared:
        """Answer with the newest release, or why it is not known; called in a worker thread."""
        if not self._lock.acquire(blocking=False):  # a thread that waits is missing elsewhere
            return Prepared(Response.error(409, "It is being found out already"))
        try:
            return Prepared(self._respond())
        finally:
            self._lock.release()

    def _respond(self) -> Response:
        from dunena.update_check import UpdateCheckError, find_newest

        now = time.monotonic()
        if self._answer is None or now >= self._answered_at + REMEMBERED_SECONDS:
            try:
                newest = find_newest()
            except UpdateCheckError as error:
                return Response.error(502, f"The newest version is not known: {error}")
            fields = {
                "version": __version__,
                "newest": newest.version,
                "isNewer": newest.is_newer,
                "url": newest.url,
            }
            self._answer, self._answered_at = orjson.dumps(fields), now
        return Response(200, self._answer)
