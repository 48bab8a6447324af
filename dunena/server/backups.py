"""Making backups for clients.

The entries of a moment are referred to by one list. A worker thread does the rest, in portions of
`PORTION_SECONDS`, so that the loop never waits longer for Python's lock.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from threading import BoundedSemaphore
from typing import NamedTuple

from dunena import __version__
from dunena.dialects.errors import ClientError
from dunena.server.http.message import Cut, Prepared, Request, Response
from dunena.server.limits import BACKUPS_MAX, PORTION_BYTES
from dunena.server.static.folder import WwwFolder
from dunena.store.entry import Entry
from dunena.store.store import Store

PORTION_SECONDS = 0.002

SWITCH = {"true": True, "false": False}
"""The texts of a field of the query that is on or off."""


class StoreMoment(NamedTuple):
    """What `dunena.backup.writing.Snapshot` has; the loop makes it without importing that."""

    entries: list[Entry]
    revision: int
    now: int
    step_ms: int


class Backups:
    """Makes backups of one server.

    ``wall_step_ms`` returns how far the wall clock is ahead of the clock of expiries.
    """

    def __init__(self, store: Store, www: WwwFolder, wall_step_ms: Callable[[], int]) -> None:
        self._store = store
        self._www = www
        self._wall_step_ms = wall_step_ms
        self._places = BoundedSemaphore(BACKUPS_MAX)

    def make(self, request: Request) -> Cut:
        """Return the work that makes a backup; raise `ClientError` for a wrong query."""
        has_pages = SWITCH.get(request.query().get("pages", "true"))
        if has_pages is None:
            raise ClientError("pages is true or false")
        return Cut(lambda now: partial(self._make, request, self.look(now), has_pages=has_pages))

    def look(self, now: int) -> StoreMoment:
        """Return the store at this moment, Unix ms: some 3 ms of work for 100,000 keys."""
        store = self._store
        return StoreMoment([*store.entries()], store.revision, now, self._wall_step_ms())

    def _make(self, request: Request, moment: StoreMoment, *, has_pages: bool) -> Prepared:
        from dunena.backup.pages import read_pages
        from dunena.backup.writing import Snapshot, write_backup

        if not self._places.acquire(blocking=False):
            text = f"{BACKUPS_MAX} backups are being made already"
            return Prepared(Response.error(503, text, {"Retry-After": "10"}))
        name = time.strftime("dunena-%Y-%m-%d-%H%M%S.zip")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        is_chunked = not request.is_http_1_0  # RFC 9112, 6.1: else the end says where it ends
        if is_chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            request.is_keep_alive = False
        root = self._www.root if has_pages else None
        pieces = write_backup(
            Snapshot(*moment), __version__, () if root is None else read_pages(root)
        )
        body = BackupBody(pieces, self._places.release, is_chunked=is_chunked)
        response = Response(200, b"", "application/zip", headers, is_stream=True)
        if request.method == "HEAD":
            body.close()
            return Prepared(response)
        return Prepared(response, body)


class BackupBody:
    """The bytes of a backup that is made while it is read; ``release`` is called at its end.

    ``is_chunked``: each portion is a chunk (RFC 9112, 7.1).
    """

    def __init__(
        self, pieces: Iterator[bytes], release: Callable[[], None], *, is_chunked: bool
    ) -> None:
        self._pieces = pieces
        self._release: Callable[[], None] | None = release
        self._is_chunked = is_chunked
        self._is_empty = False

    @property
    def is_empty(self) -> bool:
        """Whether all of it was read."""
        return self._is_empty

    def read(self) -> bytes:
        """Return the next portion; raise `OSError` if a page cannot be read to its end."""
        until = time.perf_counter() + PORTION_SECONDS
        portion = bytearray()
        for piece in self._pieces:
            portion += piece
            if portion and (len(portion) >= PORTION_BYTES or time.perf_counter() >= until):
                break
        else:
            self._is_empty = True
        if not self._is_chunked:
            return bytes(portion)
        chunk = b"%x\r\n%b\r\n" % (len(portion), bytes(portion)) if portion else b""
        return chunk + (b"0\r\n\r\n" if self._is_empty else b"")

    def close(self) -> None:
        """Make the rest of it no more; a second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()
        self._pieces = iter(())
