"""What is known of the user's pages until the server ends: errors and who loaded them; no I/O."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from threading import Lock

from dunena.server.http.message import BadTargetError, decode_component
from dunena.server.static.request_path import INDEX

PAGES_PREFIX = "www/"
"""What the path of each of the user's pages begins with."""

PAGES_MAX = 200
"""How many pages are remembered; the one that reported longest ago goes first."""

ERRORS_MAX = 8
"""How many different errors of a page are remembered, the newest ones."""

TEXT_CHARS_MAX = 300
"""How much of an error is remembered: its message, not the lines that led to it."""


def file_of(page: str) -> str:
    """Return the path below the folder of a page that a browser names; "" for none of it."""
    if not page.startswith(PAGES_PREFIX):
        return ""
    try:
        path = decode_component(page.removeprefix(PAGES_PREFIX))
    except BadTargetError:
        return ""
    return f"{path}{INDEX}" if not path or path.endswith("/") else path


@dataclass(frozen=True, slots=True)
class PageReport:
    """An error that a page has: its path, what happened, and in which file and line."""

    page: str
    text: str
    where: str = ""


@dataclass(slots=True)
class PageError:
    """An error of a page: what happened, in which file and line, and when it did last, in ms."""

    text: str
    where: str
    count: int
    last_at_ms: int


class PageErrors:
    """Remembers what was reported. Whoever may come in may report, so it is bounded.

    It may be called in any thread: missing files are noticed where files are read.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._pages: OrderedDict[str, deque[PageError]] = OrderedDict()

    def add(self, report: PageReport, now: int) -> None:
        """Remember an error of a page at ``now``, in Unix ms; one that came before is counted."""
        page, text, where = (
            one[:TEXT_CHARS_MAX] for one in (report.page, report.text, report.where)
        )
        with self._lock:
            errors = self._pages.setdefault(page, deque(maxlen=ERRORS_MAX))
            self._pages.move_to_end(page)
            if len(self._pages) > PAGES_MAX:
                self._pages.popitem(last=False)
            for error in errors:
                if (error.text, error.where) == (text, where):
                    error.count += 1
                    error.last_at_ms = now
                    return
            errors.append(PageError(text, where, 1, now))

    def by_page(self) -> dict[str, list[PageError]]:
        """Return copies of what is remembered, by the path of the page."""
        with self._lock:
            return {
                page: [PageError(one.text, one.where, one.count, one.last_at_ms) for one in errors]
                for page, errors in self._pages.items()
            }


@dataclass(frozen=True, slots=True)
class PageLoad:
    """That a page was loaded: by the host of which address, with which program, when, in ms."""

    address: str
    program: str
    at_ms: int


class PageLoads:
    """Remembers who loaded each page last: one whose script does not run has no connection."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, PageLoad] = OrderedDict()

    def add(self, page: str, load: PageLoad) -> None:
        """Remember who loaded a page."""
        self._pages[page[:TEXT_CHARS_MAX]] = load
        self._pages.move_to_end(page[:TEXT_CHARS_MAX])
        if len(self._pages) > PAGES_MAX:
            self._pages.popitem(last=False)

    def by_page(self) -> dict[str, PageLoad]:
        """Return a copy of what is remembered, by the path of the page."""
        return dict(self._pages)
