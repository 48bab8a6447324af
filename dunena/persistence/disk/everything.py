"""Examining all values' files again in portions: on request, and periodically.

An examination on request has no pauses, as it searches for missed changes. A periodic one pauses
between portions, so that it uses a small share of a processor however many files there are.
"""

import logging
from collections.abc import Iterator
from itertools import islice

from dunena.persistence.disk import locks
from dunena.persistence.disk.folder_storage import FolderStorage
from dunena.persistence.disk.locks import LockRank
from dunena.persistence.interface import Damage

PORTION_REST_SECONDS = 0.05
"""Pause between two portions of a periodic examination; a portion takes some ms."""

RETRY_SECONDS = 1.0
"""Time until another try after the folder itself could not be read."""

_log = logging.getLogger(__name__)


class Everything:
    """Provides the paths to examine in portions.

    One thread uses it, except for `ask` and the properties. ``period_seconds`` is the time from the
    end of one examination to the start of the next; None for no repetition.
    """

    def __init__(self, storage: FolderStorage) -> None:
        self._storage = storage
        self._lock = locks.make_lock(LockRank.EVERYTHING)  # guards the next three attributes
        self._asked_at: float | None = None
        self._is_missing = False  # the requested examination is for missed changes
        self._is_catching_up = False  # the current examination is for missed changes
        self.period_seconds: float | None = None
        self.failure: str | None = None
        self._repeat_at: float | None = None
        self._paths: Iterator[str] | None = None  # the rest of the current examination
        self._is_hurried = False
        self._next_at = 0.0
        self._damages: list[Damage] = []
        self._new_damages: list[Damage] = []

    def ask(self, at: float, *, is_missing: bool = False) -> None:
        """Request an examination at a time (monotonic seconds).

        ``is_missing``: changes are known to have been missed.
        """
        with self._lock:
            self._asked_at = at if self._asked_at is None else min(at, self._asked_at)
            self._is_missing = self._is_missing or is_missing

    @property
    def is_catching_up(self) -> bool:
        """Whether changes were missed, and the examination for them is not complete."""
        with self._lock:
            return self._is_missing or self._is_catching_up

    def next_paths(self, now: float, count: int) -> set[str]:
        """Return the next ``count`` paths of a due examination; an empty set if none is due."""
        if self._paths is None and not self._begin(now):
            return set()
        if now < self._next_at or self._paths is None:
            return set()
        try:
            some = set(islice(self._paths, count))
        except OSError as error:
            self._fail(error, now)
            return set()
        if not some:
            self._end(now)
        elif not self._is_hurried:
            self._next_at = now + PORTION_REST_SECONDS
        return some

    def dues(self) -> Iterator[float]:
        """Yield the times (monotonic seconds) from which on `next_paths` returns paths."""
        if self._paths is not None:
            yield self._next_at
            return
        asked_at, repeat_at = self._asked_at, self._repeat_at
        if asked_at is not None:
            yield asked_at
        if repeat_at is not None and self.period_seconds is not None:
            yield repeat_at

    def new_damages(self) -> list[Damage]:
        """Return the damages found since the last call that were not known before."""
        found, self._new_damages = self._new_damages, []
        return found

    def _begin(self, now: float) -> bool:
        with self._lock:
            is_asked = self._asked_at is not None and self._asked_at <= now
            if is_asked:
                self._asked_at = None
                self._is_catching_up, self._is_missing = self._is_missing, False
        if not is_asked and not self._is_repetition_due(now):
            return False
        self._is_hurried = is_asked
        self._damages = []
        self._paths = self._every_path(self._damages)
        self._next_at = now
        return True

    def _is_repetition_due(self, now: float) -> bool:
        if self.period_seconds is None:
            return False
        if self._repeat_at is None:
            self._repeat_at = now + self.period_seconds
        return self._repeat_at <= now

    def _end(self, now: float) -> None:
        self._paths, self.failure = None, None
        self._new_damages += self._storage.files.looked_at_everything(self._damages)
        if self.period_seconds is not None:
            self._repeat_at = now + self.period_seconds
        with self._lock:
            self._is_catching_up = False

    def _fail(self, error: OSError, now: float) -> None:
        self._paths = None
        reason = error.strerror or str(error)
        if self.failure is None:
            _log.error("the folder of the values cannot be read: %s", reason)
        self.failure = reason
        self.ask(now + RETRY_SECONDS, is_missing=self._is_catching_up)

    def _every_path(self, damages: list[Damage]) -> Iterator[str]:
        for found in self._storage.files.known():
            yield found.path
        for found in self._storage.layout.scan(damages):
            if self._storage.files.is_new(found):
                yield found.path
