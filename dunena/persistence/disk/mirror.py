"""Bringing the values' files up to date, some time after the journal.

The server's thread only queues its commits here; the engine's thread calls `step`, which finds out
what they change for each key. Of several changes of a key only the last is written: at once if the
key has not changed lately, once in a period while it changes all the time.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from dunena.persistence.disk import locks
from dunena.persistence.disk.behind import BehindFiles, Shown, change_of, entry_of, shown_by
from dunena.persistence.disk.freeing import free_gradually
from dunena.persistence.disk.journal_format import FileStep
from dunena.persistence.disk.locks import LockRank
from dunena.persistence.disk.throttle import PERIOD_SECONDS, Pace
from dunena.persistence.disk.value_files import PreparedFile, ValueFiles
from dunena.store.entry import BY_REVISION, Change, ChangeKind, Entry, EntryId, SetChange

RETRY_SECONDS = 1.0
"""Time until another try after a file could not be written."""

FAILURES_PER_STEP_MAX = 16
"""Failures in a step after which the rest is not tried: a few files must not delay the others, but
if so many fail, the disk is the cause."""

CHANGES_LEFT_MAX = 500
"""Queued changes above which the server's thread merges them by key itself, as the engine's thread
may rest or wait for a device: otherwise memory would grow with every change and not with every
key."""

_log = logging.getLogger(__name__)

FILES_AT_ONCE = 64
"""Files whose stamps are written to the journal in one call."""

_Due = tuple[EntryId, Shown]

Journaled = Callable[[int, float], float | None]
"""Takes a revision and a time (monotonic seconds): returns None if files may show all changes up to
the revision, else the time to ask again."""


class Notes(Protocol):
    """The journal's notes on files; both methods raise OSError."""

    def plan(self, steps: Iterable[FileStep]) -> None:
        """Record that files are about to be replaced or removed."""

    def carried_out(self, steps: Iterable[FileStep]) -> None:
        """Record that files were replaced or removed."""


class Mirror:
    """Writes the values' files after commits; all times are monotonic seconds.

    No file shows a change before ``journaled`` permits it: otherwise the device might keep the file
    and lose the journal with the other changes of the commit.
    """

    def __init__(
        self, files: ValueFiles, revision: int, journaled: Journaled, notes: Notes
    ) -> None:
        self._files = files
        self._journaled = journaled
        self._notes = notes
        self._left: deque[tuple[Change, ...]] = deque()  # commits that were not merged yet
        self._left_count = 0  # approximate number of their changes
        self._lock = locks.make_lock(LockRank.MIRROR)  # guards the attributes up to the paces
        self._behind = BehindFiles()
        self._noted_revision = revision
        self._now = 0.0
        self._paces: dict[EntryId, Pace] = {}
        self._paces_swept_at = 0.0
        self._failing: dict[EntryId, str] = {}  # why the last try to write the file failed
        self.remembers_unsynced = False
        # What files show that may not be on the device, by namespace and key.
        self._unsynced: dict[str, dict[str, Shown]] = {}

    # --- the server's thread ---

    def catch_up(self, changes: Iterable[tuple[EntryId, Change]], since: int) -> None:
        """Add changes at the start that files may lack, with all earlier ones from ``since`` on."""
        with self._lock:
            for (ns, key), change in changes:
                self._behind.queue(ns, key, shown_by(change), since, self._now)

    def enqueue(self, changes: Sequence[Change]) -> None:
        """Queue a stored commit, so that the files will show it."""
        self._left.append(tuple(changes))
        self._left_count += len(changes)
        if self._left_count > CHANGES_LEFT_MAX:
            with self._lock:
                self._gather()

    @property
    def behind_count(self) -> int:
        """The number of keys whose file does not show the latest change yet."""
        with self._lock:
            self._gather()
            return self._behind.count

    @property
    def failure(self) -> str | None:
        """The name of a file that cannot be written and why; None if all can."""
        return next(iter(list(self._failing.values())), None)

    # --- the engine's thread ---

    @property
    def flushed_revision(self) -> int:
        """The revision up to which every change is in its file."""
        with self._lock:
            first = self._behind.first
            return self._noted_revision if first is None else first - 1

    def step(self, now: float, files_max: int) -> float | None:
        """Write at most ``files_max`` due files; return when the next one is due, or None."""
        with self._lock:
            self._now = now
            self._gather()
        while files_max and (batch := self._take_due(now, files_max)):
            later = self._journaled(max(shown.revision for _, shown in batch), now)
            if later is not None:
                batch = self._journaled_of(batch, now, later)
            files_max -= len(batch)
            self._bring_all(batch, now)
        with self._lock:
            self._sweep_paces(now)
            return self._behind.next_due

    def flush(self, now: float, is_over: Callable[[], bool]) -> bool:
        """Write all files, due or not, until ``is_over``; return whether all are written."""
        with self._lock:
            self._gather()
            batch = self._behind.items()
        for first in range(0, len(batch), FILES_AT_ONCE):
            if is_over():
                return False
            # Every file is tried, even if others failed.
            self._bring(batch[first : first + FILES_AT_ONCE], now, failures_max=len(batch))
        with self._lock:
            return not self._behind.count

    def pending(self) -> list[Change]:
        """Return the last change of each key whose file lacks it, in their order."""
        with self._lock:
            self._gather()
            behind = self._behind.items()
        return sorted((change_of(shown) for _, shown in behind), key=BY_REVISION)

    @property
    def noted_revision(self) -> int:
        """The revision of the last queued commit."""
        with self._lock:
            self._gather()
            return self._noted_revision

    def forget_pauses(self, now: float) -> None:
        """Forget the pauses of keys that were not written lately; any thread may call it."""
        if self._paces:
            with self._lock:
                self._sweep_paces(now)

    def synced(self) -> None:
        """Record that all written files were forced to the device."""
        unsynced, self._unsynced = self._unsynced, {}
        for keys in unsynced.values():
            free_gradually(keys)

    def write_again(self) -> None:
        """Write the unsynced files again: a failed sync may have dropped their data."""
        with self._lock:
            self._gather()
            for ns, keys in self._unsynced.items():
                for key, shown in keys.items():
                    if self._behind.shown((ns, key)) is None:
                        self._behind.wait(ns, key, shown, shown.revision, self._now)
        self._unsynced.clear()

    def supersede(self, entry_id: EntryId, value: bytes) -> None:
        """Do not write a key's pending change: its file has a newer ``value`` by others."""
        with self._lock:
            self._gather()
            shown = self._behind.shown(entry_id)
            if shown is None:
                return
            entry = entry_of(shown)
            if entry is not None and entry.value == value:
                return
            entry = Entry(*entry_id, value, None, shown.revision)
            self._behind.replace(*entry_id, SetChange(entry, None, from_disk=True))

    # --- inside ---

    def _gather(self) -> None:
        """Merge the queued commits by key; the caller holds the lock."""
        left = self._left
        self._left_count = 0
        while left:
            changes = left.popleft()
            for change in changes:
                if change.cleared is None:
                    self._want(change)
                else:
                    kind, revision = ChangeKind.DELETE, change.revision
                    for ns, keys in change.cleared.items():
                        for key in keys:
                            self._want(Change(kind, ns, key, revision, from_disk=change.from_disk))
            self._noted_revision = changes[-1].revision

    def _want(self, change: Change) -> None:
        ns, key, shown = change.ns, change.key, shown_by(change)
        if self._behind.replace(ns, key, shown):
            return
        pace = self._paces.get((ns, key)) if self._paces else None
        if pace is None:
            self._behind.queue(ns, key, shown, change.revision, self._now)
        else:
            self._behind.wait(ns, key, shown, change.revision, pace.until)

    def _postpone(self, entry_ids: Iterable[EntryId], due: float) -> None:
        with self._lock:
            for entry_id in entry_ids:
                self._behind.postpone(entry_id, due)

    def _sweep_paces(self, now: float) -> None:
        if now > self._paces_swept_at + PERIOD_SECONDS:
            self._paces = {p: pace for p, pace in self._paces.items() if not pace.is_rested(now)}
            self._paces_swept_at = now

    def _take_due(self, now: float, files_max: int) -> list[_Due]:
        with self._lock:
            first = self._behind.first_queued
        # As the first one lacks the earliest change, none of the queue can be written before it.
        later = None if first is None else self._journaled(first, now)
        with self._lock:
            if later is not None:
                self._behind.hold_queue(later)
            return self._behind.take_due(now, files_max)

    def _journaled_of(self, batch: list[_Due], now: float, later: float) -> list[_Due]:
        """Return those that may be written; the others are due ``later``."""
        journaled: list[_Due] = []
        others: list[EntryId] = []
        for entry_id, shown in batch:
            if self._journaled(shown.revision, now) is None:
                journaled.append((entry_id, shown))
            else:
                others.append(entry_id)
        self._postpone(others, later)
        return journaled

    def _bring_all(self, batch: list[_Due], now: float) -> None:
        for first in range(0, len(batch), FILES_AT_ONCE):
            some = batch[first : first + FILES_AT_ONCE]
            if not self._bring(some, now, FAILURES_PER_STEP_MAX):
                rest = (entry_id for entry_id, _ in batch[first + FILES_AT_ONCE :])
                self._postpone(rest, now + RETRY_SECONDS / 2)
                return

    def _bring(self, batch: list[_Due], now: float, failures_max: int) -> bool:
        """Write files; return False if so many failed that the rest was not tried."""
        prepared, failures = self._prepare(batch, now, failures_max)
        if prepared:
            failures += self._replace(prepared, dict(batch), now)
        return failures < failures_max

    def _prepare(
        self, batch: list[_Due], now: float, failures_max: int
    ) -> tuple[list[PreparedFile], int]:
        """Write the drafts of files; return them and the number of failures."""
        prepared, failures = [], 0
        for number, (entry_id, shown) in enumerate(batch):
            if failures == failures_max:
                # The files that were not tried are due before the failed ones.
                rest = (entry_id for entry_id, _ in batch[number:])
                self._postpone(rest, now + RETRY_SECONDS / 2)
                break
            try:
                from_disk = isinstance(shown, Change) and shown.from_disk
                file = self._files.prepare(entry_id, entry_of(shown), from_disk=from_disk)
            except OSError as error:
                self._failed(entry_id, error, now)
                failures += 1
                continue
            if file is None:
                self._done(entry_id, shown, now)
            else:
                prepared.append(file)
        return prepared, failures

    def _replace(
        self, prepared: list[PreparedFile], shown: dict[EntryId, Shown], now: float
    ) -> int:
        """Replace files by drafts, between two lines of the journal; return how many failed."""
        entry_ids = [file.step.entry_id for file in prepared]
        try:
            self._notes.plan([file.step for file in prepared])
        except OSError as error:
            for file in prepared:
                self._files.discard(file)
            self._failed_all(entry_ids, error, now)
            return len(entry_ids)
        steps = []
        for file in prepared:
            try:
                steps.append(self._files.put_in_place(file))
            except OSError as error:
                self._failed(file.step.entry_id, error, now)
        try:
            self._notes.carried_out(steps)
        except OSError as error:
            self._failed_all([step.entry_id for step in steps], error, now)
            return len(entry_ids)
        for step in steps:
            self._done(step.entry_id, shown[step.entry_id], now)
        return len(entry_ids) - len(steps)

    def _failed_all(self, entry_ids: Iterable[EntryId], error: OSError, now: float) -> None:
        for entry_id in entry_ids:
            self._failed(entry_id, error, now)

    def _failed(self, entry_id: EntryId, error: OSError, now: float) -> None:
        reason = f"{self._files.name_of(entry_id)}: {(error.strerror or str(error)).lower()}"
        if not self._failing:
            _log.error("files cannot be written and will follow later: %s", reason)
        self._failing[entry_id] = reason
        self._postpone([entry_id], now + RETRY_SECONDS)

    def _done(self, entry_id: EntryId, shown: Shown, now: float) -> None:
        """Record what a key's file shows."""
        if self._failing and self._failing.pop(entry_id, None) is not None and not self._failing:
            _log.warning("files are written again")
        if self.remembers_unsynced:
            ns, key = entry_id
            keys = self._unsynced.get(ns)
            if keys is None:
                keys = self._unsynced[ns] = {}
            keys[key] = shown
        with self._lock:
            pace = self._paces.get(entry_id)
            if pace is None:
                pace = self._paces[entry_id] = Pace()
            pace.done(now)
            self._behind.done(entry_id, shown, pace.until)
