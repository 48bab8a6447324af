"""The errors that the user's pages reported of themselves, until the server ends; no I/O."""

from collections import OrderedDict, deque
from dataclasses import dataclass

PAGES_MAX = 200
"""How many pages are remembered; the one that reported longest ago goes first."""

ERRORS_MAX = 8
"""How many different errors of a page are remembered, the newest ones."""

TEXT_CHARS_MAX = 300
"""How much of an error is remembered: its message, not the lines that led to it."""


@dataclass(slots=True)
class PageError:
    """An error of a page: what happened, in which file and line, and when it did last, in ms."""

    text: str
    where: str
    count: int
    last_at_ms: int


class PageErrors:
    """Remembers what was reported. Whoever may read keys may report, so it is bounded."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, deque[PageError]] = OrderedDict()

    def add(self, page: str, text: str, where: str, now: int) -> None:
        """Remember an error of a page at ``now``, in Unix ms; one that came before is counted."""
        errors = self._pages.setdefault(page[:TEXT_CHARS_MAX], deque(maxlen=ERRORS_MAX))
        self._pages.move_to_end(page[:TEXT_CHARS_MAX])
        if len(self._pages) > PAGES_MAX:
            self._pages.popitem(last=False)
        text, where = text[:TEXT_CHARS_MAX], where[:TEXT_CHARS_MAX]
        for error in errors:
            if (error.text, error.where) == (text, where):
                error.count += 1
                error.last_at_ms = now
                return
        errors.append(PageError(text, where, 1, now))

    def by_page(self) -> dict[str, list[PageError]]:
        """Return copies of what is remembered, by the path of the page."""
        return {
            page: [PageError(one.text, one.where, one.count, one.last_at_ms) for one in errors]
            for page, errors in self._pages.items()
        }
