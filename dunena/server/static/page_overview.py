"""The user's pages, for who administers the server: each with its title, visitors and errors.

`PageOverview.gather` runs in the event loop; the function that it returns reads files, and runs in
a worker thread.
"""

import re
from collections.abc import Callable
from functools import partial
from html import unescape
from pathlib import Path

import orjson

from dunena.readable_text import readable_text
from dunena.server.http.message import Prepared, Response
from dunena.server.registry import ConnectionFacts, Registry
from dunena.server.static.folder import WwwFolder
from dunena.server.static.page_list import find_pages
from dunena.server.static.page_reports import PageError, PageErrors, PageLoad, PageLoads, file_of

VISITORS_MAX = 20
"""How many of those who have a page open are told; all are counted."""

_HEAD_BYTES = 4096  # a title stands near the beginning
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_MS = 1000

_Visitors = dict[str, list[ConnectionFacts]]
_Errors = dict[str, list[PageError]]
_Loads = dict[str, PageLoad]


class PageOverview:
    """Describes the pages of one server."""

    def __init__(
        self, www: WwwFolder, registry: Registry, errors: PageErrors, loads: PageLoads
    ) -> None:
        self._www = www
        self._registry = registry
        self._errors = errors
        self._loads = loads

    def gather(self) -> Callable[[], Prepared]:
        """Return the function that answers ``GET /pages``."""
        visitors: _Visitors = {}
        for facts in self._registry.facts():
            if facts.page:
                visitors.setdefault(file_of(facts.page), []).append(facts)
        errors: _Errors = {}
        for page, found in self._errors.by_page().items():
            errors.setdefault(file_of(page), []).extend(found)
        loads = {file_of(page): load for page, load in self._loads.by_page().items()}
        return partial(_describe, self._www.root, visitors, errors, loads)


def _describe(root: Path | None, visitors: _Visitors, errors: _Errors, loads: _Loads) -> Prepared:
    pages: list[dict[str, object]] = []
    problem, has_more = None, False
    if root is not None:
        try:
            paths, has_more = find_pages(root)
        except OSError as error:
            paths, problem = [], f"{readable_text(root)} cannot be read: {error.strerror or error}"
        pages = [
            _page(root, path, visitors.get(path, []), errors.get(path, []), loads.get(path))
            for path in paths
        ]
    fields = {
        "folder": None if root is None else readable_text(root),
        "problem": problem,
        "pages": pages,
        "hasMore": has_more,
    }
    return Prepared(Response(200, orjson.dumps(fields)))


def _page(
    root: Path,
    path: str,
    visitors: list[ConnectionFacts],
    errors: list[PageError],
    load: PageLoad | None,
) -> dict[str, object]:
    title, saved_at = _title_of(root / path)
    return {
        "path": path,
        "title": title,
        "savedAt": saved_at,
        "opened": len(visitors),
        "openedBy": [
            {
                "address": one.address,
                "program": one.program,
                "sessionName": one.session_name,
            }
            for one in visitors[:VISITORS_MAX]
        ],
        "lastLoad": load and {"address": load.address, "program": load.program, "at": load.at_ms},
        # What happened before the page was saved is taken for mended.
        "errors": [
            {"text": one.text, "where": one.where, "count": one.count, "lastAt": one.last_at_ms}
            for one in errors
            if saved_at is None or one.last_at_ms >= saved_at
        ],
    }


def _title_of(file: Path) -> tuple[str, int | None]:
    """Return a page's title, and when it was saved, in Unix ms; "" and None if it is gone."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
        saved_at = int(file.stat().st_mtime * _MS)
    except OSError:
        return "", None
    found = _TITLE.search(head.decode("utf-8", "replace"))
    return (unescape(" ".join(found[1].split())) if found else ""), saved_at
