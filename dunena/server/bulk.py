"""Work that would keep everybody waiting: one portion of it in each turn of the loop.

All bulk work of a server stands in one line, so that however many ask for some, no turn has more
than one portion, and the requests of others come in between.
"""

import logging
from collections import deque
from collections.abc import Callable
from itertools import chain

from dunena.store.entry import Namespaces

FREED_AT_ONCE_MAX = 5000
"""Cleared entries that are freed in one turn: some 1 ms of work."""

Portion = Callable[[], bool]
"""Does a little, some ms at most; whether there is more to do."""

_log = logging.getLogger(__name__)


class Bulk:
    """The line; ``call_soon`` runs a function after everything the loop has read so far."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._line: deque[Portion] = deque()

    def add(self, portion: Portion) -> None:
        """Call it in turn until there is nothing more to do."""
        self._line.append(portion)
        if len(self._line) == 1:
            self._call_soon(self._turn)

    def _turn(self) -> None:
        portion = self._line[0]
        try:
            has_more = portion()
        except Exception:  # noqa: BLE001 - a fault of ours ends one piece of work, not the others
            _log.exception("work in portions came to an end")
            has_more = False
        self._line.popleft()
        if has_more:
            self._line.append(portion)
        if self._line:
            self._call_soon(self._turn)


def letting_go(namespaces: Namespaces) -> Portion:
    """Let go of entries that were cleared: to free a million at once takes a fifth of a second."""
    entries = list(chain.from_iterable(keys.values() for keys in namespaces.values()))

    def portion() -> bool:
        del entries[-FREED_AT_ONCE_MAX:]
        return bool(entries)

    return portion
