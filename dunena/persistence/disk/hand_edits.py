"""Files that other hands made, changed or removed become changes of the store.

The watcher's thread says which paths were touched, the engine's looks at them, the server's takes
what came of it. A file that cannot be read may be half written: it is looked at again a few times
before it is called damaged, and again whenever it is touched.

Nothing is watched while a folder is read at the start: each file that is opened would be told of.
What was changed meanwhile is found afterwards, by looking at everything once more, bit by bit.

Most that is touched in a busy folder is touched by us: a file that has the stamp of our own write
is passed over at the price of that one look.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from itertools import islice

from dunena.persistence.disk.disk import Disk, name_of
from dunena.persistence.disk.keeper import Keeper
from dunena.persistence.disk.layout import Found
from dunena.persistence.interface import Damage, OutsideChange

UNFINISHED_SECONDS = 0.3
UNFINISHED_TRIES = 3
"""A file that stays invalid this often, so many seconds apart, was not just half written."""

PATHS_PER_STEP = 500
"""Of everything there is: some ms."""

_log = logging.getLogger(__name__)


class HandEdits:
    """Touched paths in, changes out; ``found`` is called in the engine's thread when there are."""

    def __init__(self, disk: Disk, keeper: Keeper, found: Callable[[], None]) -> None:
        self._disk = disk
        self._keeper = keeper
        self._found = found
        self._lock = threading.Lock()  # of the next two
        self._paths: set[str] = set()
        self._changes: list[OutsideChange] = []
        self._unfinished: dict[str, tuple[int, float]] = {}  # path -> tries, next one
        self._everything: Iterator[str] | None = None  # what is left of it
        self._everything_at = 0.0

    def touch(self, paths: set[str]) -> None:
        """Something happened to these paths; any thread."""
        with self._lock:
            self._paths |= paths

    def look_at_everything(self, at: float) -> None:
        """From that time on; before the first `step`."""
        self._everything = self._every_path()
        self._everything_at = at

    def step(self, now: float) -> float | None:
        """Look at touched paths; when to come back for those that were not finished."""
        with self._lock:
            paths, self._paths = self._paths, set()
        paths |= {path for path, (_, at) in self._unfinished.items() if at <= now}
        if self._everything is not None and self._everything_at <= now:
            some = set(islice(self._everything, PATHS_PER_STEP))
            paths |= some
            if not some:
                self._everything = None
        if paths:
            self._look(paths, now)
        dues = [at for _, at in self._unfinished.values()]
        if self._everything is not None:
            dues.append(self._everything_at)
        return min(dues, default=None)

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

    def _look(self, paths: set[str], now: float) -> None:
        gone: list[OutsideChange] = []
        changed: list[OutsideChange] = []
        for path in paths:
            for found in self._files_at(path):
                stamp = self._disk.stamp(found.path)
                if stamp is None:
                    if self._keeper.files.is_known(found):
                        gone.append(OutsideChange(*found.place, None))
                    self._keeper.files.is_gone(found.place)
                elif not self._keeper.files.is_ours(found.place, stamp):
                    value = self._read(found)
                    if value is not None:
                        changed.append(OutsideChange(*found.place, value))
        damages = {damage.path: damage for damage in self._keeper.files.damages()}
        if self._unfinished or damages:
            for path in paths:
                self._judge(path, damages.get(path), now)
        changes = gone + changed  # a file that was renamed goes before it comes
        if changes:
            with self._lock:
                self._changes += changes
            self._found()

    def _every_path(self) -> Iterator[str]:
        for found in self._keeper.files.known():
            yield found.path
        for found in self._keeper.layout.scan([]):
            if self._keeper.files.is_new(found):
                yield found.path

    def _files_at(self, path: str) -> list[Found]:
        """The values' files that a touched path stands for: itself, or all in a folder."""
        layout = self._keeper.layout
        place = layout.place_of(path)
        if place is not None:
            stamp = self._disk.stamp(path)
            if stamp is not None and self._keeper.files.is_ours(place, stamp):
                return []  # the usual case
            if not self._disk.is_folder(path):
                return [Found(place, path)]
        ns = layout.namespace_of(path)
        if ns is None:
            return []
        known = list(self._keeper.files.known(ns))
        if not self._disk.is_folder(path):
            return known
        return known + list(layout.scan_namespace(ns, path, []))

    def _read(self, found: Found) -> bytes | None:
        """The value that another hand wrote; None if it cannot be read, or is another file's."""
        actual = self._keeper.layout.actual(found.place)
        if found.path != actual and self._disk.exists(actual):
            name = name_of(actual)
            _log.warning("%s is not taken over: %s holds the same key", found.path, name)
            return None
        value = self._keeper.files.read(found)
        if value is not None:
            self._keeper.files.take_over(found)
            self._keeper.mirror.supersede(found.place, value)
        return value

    def _judge(self, path: str, damage: Damage | None, now: float) -> None:
        """A path that cannot be read is tried again, or at last called damaged."""
        tries, _ = self._unfinished.pop(path, (0, 0.0))
        if damage is None:
            return
        if tries + 1 < UNFINISHED_TRIES:
            self._unfinished[path] = (tries + 1, now + UNFINISHED_SECONDS)
        else:
            _log.warning("%s is not taken over: %s", path, damage.reason)
