"""Long work in portions, one in each iteration of the event loop.

All bulk work of a server is in one queue: no iteration of the loop runs more than one portion,
however much work there is, and other requests are served in between.
"""

import logging
from collections import deque
from collections.abc import Callable
from itertools import chain

from dunena.store.entry import Namespaces

FREED_AT_ONCE_MAX = 5000
"""Cleared entries that one portion frees: some 1 ms of work."""

Portion = Callable[[], bool]
"""Does a part of some work, a few ms at most; returns whether there is more to do."""

_log = logging.getLogger(__name__)


class Bulk:
    """The queue; ``call_soon`` runs a function after everything that the loop has read so far."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._line: deque[Portion] = deque()

    def add(self, portion: Portion) -> None:
        """Queue some work: call ``portion`` in its turns until it returns False."""
        self._line.append(portion)
        if len(self._line) == 1:
            self._call_soon(self._turn)

    def _turn(self) -> None:
        portion = self._line[0]
        try:
            has_more = portion()
        except Exception:  # noqa: BLE001 - a bug ends one piece of work, not the others
            _log.exception("bulk work failed and was given up")
            has_more = False
        self._line.popleft()
        if has_more:
            self._line.append(portion)
        if self._line:
            self._call_soon(self._turn)


def letting_go(namespaces: Namespaces) -> Portion:
    """Return work that frees cleared entries: freeing a million at once takes 0.2 seconds."""
    entries = list(chain.from_iterable(keys.values() for keys in namespaces.values()))

    def portion() -> bool:
        del entries[-FREED_AT_ONCE_MAX:]
        return bool(entries)

    return portion
