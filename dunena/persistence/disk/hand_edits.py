"""Files that other hands made, changed or removed become changes of the store.

The watcher's thread says which paths were touched, the engine's looks at them, the server's takes
what came of it. A file that cannot be read may be half written: it is looked at again a few times
before it is called damaged, and again whenever it is touched.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from dunena.persistence.disk.keeper import Keeper
from dunena.persistence.interface import OutsideChange

UNFINISHED_SECONDS = 0.3
UNFINISHED_TRIES = 3
"""A file that stays invalid this often, so many seconds apart, was not just half written."""

_log = logging.getLogger(__name__)


class HandEdits:
    """Touched paths in, changes out; ``found`` is called in the engine's thread when there are."""

    def __init__(self, keeper: Keeper, found: Callable[[], None]) -> None:
        self._keeper = keeper
        self._found = found
        self._lock = threading.Lock()  # of the next two
        self._paths: set[Path] = set()
        self._changes: list[OutsideChange] = []
        self._unfinished: dict[Path, tuple[int, float]] = {}  # path -> tries, next one

    def touch(self, paths: set[Path]) -> None:
        """Something happened to these paths; any thread."""
        with self._lock:
            self._paths |= paths

    def step(self, now: float) -> float | None:
        """Look at touched paths; when to come back for those that were not finished."""
        with self._lock:
            paths, self._paths = self._paths, set()
        paths |= {path for path, (_, at) in self._unfinished.items() if at <= now}
        if paths:
            self._look(paths, now)
        return min((at for _, at in self._unfinished.values()), default=None)

    def collect(self) -> list[OutsideChange]:
        """What was found since the last call; the server's thread."""
        with self._lock:
            changes, self._changes = self._changes, []
        return changes

    def put_back(self, changes: list[OutsideChange]) -> None:
        """Changes that could not be taken over now; newer ones for the same keys go before them."""
        with self._lock:
            newer = {(change.ns, change.key) for change in self._changes}
            kept = [change for change in changes if (change.ns, change.key) not in newer]
            self._changes = kept + self._changes

    def _look(self, paths: set[Path], now: float) -> None:
        gone, changed = self._keeper.mirror.touched(paths)
        changes = [OutsideChange(*found.place, None) for found in gone]
        changes += [OutsideChange(*place, value) for place, value in changed]
        for path in paths:
            self._judge(path, now)
        if changes:
            with self._lock:
                self._changes += changes
            self._found()

    def _judge(self, path: Path, now: float) -> None:
        """A path that cannot be read is tried again, or at last called damaged."""
        damage = self._keeper.mirror.damage_at(path)
        tries, _ = self._unfinished.pop(path, (0, 0.0))
        if damage is None:
            return
        if tries + 1 < UNFINISHED_TRIES:
            self._unfinished[path] = (tries + 1, now + UNFINISHED_SECONDS)
        else:
            _log.warning("%s is not taken over: %s", path, damage.reason)
