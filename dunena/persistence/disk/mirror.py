"""The files follow: which are written when, some time behind the journal.

The server's thread leaves its commits here and does nothing else: what they come to for each key
is worked out by the engine's thread, which calls `step`. Of several changes to a key only the last
is written: at once when the key was quiet, once in a period while it changes all the time.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from dunena.persistence.disk.layout import Place
from dunena.persistence.disk.pace import PERIOD_SECONDS, Pace
from dunena.persistence.disk.value_files import ValueFiles
from dunena.store.entry import Change, ChangeKind, Entry

RETRY_SECONDS = 1.0
"""After a file that could not be written."""

FAILURES_PER_STEP_MAX = 16
"""One file with something in its way must not hold up the others; but when so many cannot be
written it is the disk, and there is no use in trying all of them each time."""

CHANGES_LEFT_MAX = 500
"""More of them than this are not left to the engine's thread, which may rest or wait for a device:
memory would grow with every change instead of every key, and be cold when it is looked at."""

_log = logging.getLogger(__name__)

Journaled = Callable[[int, float], float | None]
"""Whether all changes up to a revision may be shown at a time: None, or when to ask again."""


class Mirror:
    """Keeps the folder equal to what was noted.

    No file shows a change before ``journaled`` allows it: a device might keep the file and lose
    the journal, and with it the rest of what was changed together.
    """

    def __init__(self, files: ValueFiles, revision: int, journaled: Journaled) -> None:
        self._files = files
        self._journaled = journaled
        self._left: deque[tuple[Change, ...]] = deque()  # commits, not looked at yet
        self._left_count = 0  # changes in them, about
        self._lock = threading.Lock()  # of what follows, down to the paces
        self._wanted: dict[Place, Change] = {}  # the last change of a key that its file lacks
        self._since: dict[Place, int] = {}  # the revision of the first one
        self._due: list[tuple[float, int, Place]] = []
        self._noted_revision = revision
        self._count = 0
        self._now = 0.0
        self._paces: dict[Place, Pace] = {}
        self._paces_swept_at = 0.0
        self._failing: dict[Place, str] = {}  # why the last try did not work

    # --- the server's thread ---

    def catch_up(self, changes: Iterable[tuple[Place, Change]], since: int) -> None:
        """At the start: files may lack these changes, and all before them from ``since`` on."""
        with self._lock:
            for place, change in changes:
                self._wanted[place] = change
                self._since[place] = since
                self._push(self._now, place)

    def note(self, changes: Sequence[Change]) -> None:
        """A commit was kept: the files should show it."""
        self._left.append(tuple(changes))
        self._left_count += len(changes)
        if self._left_count > CHANGES_LEFT_MAX:
            with self._lock:
                self._gather()

    @property
    def behind_count(self) -> int:
        """Keys whose file does not show the latest change yet."""
        with self._lock:
            self._gather()
            return len(self._wanted)

    @property
    def failure(self) -> str | None:
        """A file that cannot be written at present, and why; None while all can."""
        return next(iter(list(self._failing.values())), None)

    # --- the engine's thread ---

    @property
    def shown_revision(self) -> int:
        """Every change up to this one is in its file."""
        with self._lock:
            return min(self._since.values(), default=self._noted_revision + 1) - 1

    def step(self, now: float, files_max: int) -> float | None:
        """Write what is due, but no more files than that; when the next one is due."""
        with self._lock:
            self._now = now
            self._gather()
        while files_max and (batch := self._take_due(now, files_max)):
            later = self._journaled(max(change.revision for _, change in batch), now)
            if later is None:
                files_max -= len(batch)
                self._bring_all(batch, now)
            else:
                self._postpone((place for place, _ in batch), later)
        with self._lock:
            self._sweep_paces(now)
            return self._due[0][0] if self._due else None

    def flush(self, now: float) -> bool:
        """Write everything that is noted, due or not; whether all of it worked."""
        with self._lock:
            self._gather()
            batch = list(self._wanted.items())
        # Every one is tried, whatever became of those before it.
        outcomes = [self._bring(place, change, now) for place, change in batch]
        return all(outcomes)

    def supersede(self, place: Place, value: bytes) -> None:
        """What was to be written is older than a value that stands there now."""
        with self._lock:
            self._gather()
            change = self._wanted.get(place)
            if change is None or (change.entry is not None and change.entry.value == value):
                return
            entry = Entry(*place, value, None, change.revision)
            self._wanted[place] = Change(
                ChangeKind.SET, *place, change.revision, entry=entry, is_stored=True
            )

    # --- inside ---

    def _gather(self) -> None:
        """Look at the commits that were left; under the lock."""
        left, wanted, since = self._left, self._wanted, self._since
        self._left_count = 0
        while left:
            changes = left.popleft()
            for change in changes:
                if change.cleared is None:
                    place = (change.ns, change.key)
                    wanted[place] = change
                    if place not in since:
                        self._begin_to_want(place, change)
                else:
                    for ns, keys in change.cleared.items():
                        for key in keys:
                            wanted[ns, key] = change
                            if (ns, key) not in since:
                                self._begin_to_want((ns, key), change)
            self._noted_revision = changes[-1].revision

    def _begin_to_want(self, place: Place, change: Change) -> None:
        self._since[place] = change.revision
        pace = self._paces.get(place)
        self._push(self._now if pace is None else pace.until, place)

    def _push(self, due: float, place: Place) -> None:
        self._count += 1
        heappush(self._due, (due, self._count, place))

    def _postpone(self, places: Iterable[Place], due: float) -> None:
        with self._lock:
            for place in places:
                self._push(due, place)

    def _sweep_paces(self, now: float) -> None:
        if now > self._paces_swept_at + PERIOD_SECONDS:
            self._paces = {p: pace for p, pace in self._paces.items() if not pace.is_rested(now)}
            self._paces_swept_at = now

    def _take_due(self, now: float, files_max: int) -> list[tuple[Place, Change]]:
        batch: list[tuple[Place, Change]] = []
        with self._lock:
            while self._due and self._due[0][0] <= now and len(batch) < files_max:
                place = heappop(self._due)[2]
                change = self._wanted.get(place)
                if change is not None:
                    batch.append((place, change))
        return batch

    def _bring_all(self, batch: list[tuple[Place, Change]], now: float) -> None:
        failures = 0
        for number, (place, change) in enumerate(batch):
            if failures == FAILURES_PER_STEP_MAX:
                # Those that were not tried come first next time.
                rest = (place for place, _ in batch[number:])
                self._postpone(rest, now + RETRY_SECONDS / 2)
                return
            if not self._bring(place, change, now):
                failures += 1
                self._postpone([place], now + RETRY_SECONDS)

    def _bring(self, place: Place, change: Change, now: float) -> bool:
        """Make one file show a change; False if the disk refuses."""
        try:
            self._files.show(place, change.entry, is_stored=change.is_stored)
        except OSError as error:
            reason = f"{self._files.name_of(place)}: {(error.strerror or str(error)).lower()}"
            if not self._failing:
                _log.error("files cannot be written and will follow later: %s", reason)
            self._failing[place] = reason
            return False
        if self._failing and self._failing.pop(place, None) is not None and not self._failing:
            _log.warning("files are written again")
        with self._lock:
            pace = self._paces.get(place)
            if pace is None:
                pace = self._paces[place] = Pace()
            pace.done(now)
            if self._wanted.get(place) is change:
                del self._wanted[place]
                del self._since[place]
            else:  # it changed meanwhile
                self._since[place] = change.revision + 1
                self._push(pace.until, place)
        return True
