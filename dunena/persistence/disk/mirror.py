"""Bringing the values' files up to date, some time after the journal.

The server's thread only queues its commits here; the engine's thread calls `step`, which finds out
what they change for each key. Of several changes of a key only the last is written: at once if the
key has not changed lately, once in a period while it changes all the time.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Protocol

from dunena.persistence.disk import locks
from dunena.persistence.disk.first_lacking import FirstLacking
from dunena.persistence.disk.journal_format import FileStep
from dunena.persistence.disk.locks import LockRank
from dunena.persistence.disk.throttle import PERIOD_SECONDS, Pace
from dunena.persistence.disk.value_files import PreparedFile, ValueFiles
from dunena.store.entry import Change, ChangeKind, Entry, EntryId

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
        self._wanted: dict[EntryId, Change] = {}  # the last change of each key whose file lacks it
        self._lacking = FirstLacking()  # of the same keys
        self._due: list[tuple[float, int, EntryId]] = []
        self._noted_revision = revision
        self._count = 0
        self._now = 0.0
        self._paces: dict[EntryId, Pace] = {}
        self._paces_swept_at = 0.0
        self._failing: dict[EntryId, str] = {}  # why the last try to write the file failed
        self.remembers_unsynced = False
        self._unsynced: dict[EntryId, Change] = {}  # in files that may not be on the device

    # --- the server's thread ---

    def catch_up(self, changes: Iterable[tuple[EntryId, Change]], since: int) -> None:
        """Add changes at the start that files may lack, with all earlier ones from ``since`` on."""
        with self._lock:
            for entry_id, change in changes:
                self._wanted[entry_id] = change
                self._lacking.set(entry_id, since)
                self._push(self._now, entry_id)

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
            return len(self._wanted)

    @property
    def failure(self) -> str | None:
        """The name of a file that cannot be written and why; None if all can."""
        return next(iter(list(self._failing.values())), None)

    # --- the engine's thread ---

    @property
    def flushed_revision(self) -> int:
        """The revision up to which every change is in its file."""
        with self._lock:
            first = self._lacking.first
            return self._noted_revision if first is None else first - 1

    def step(self, now: float, files_max: int) -> float | None:
        """Write at most ``files_max`` due files; return when the next one is due, or None."""
        with self._lock:
            self._now = now
            self._gather()
        while files_max and (batch := self._take_due(now, files_max)):
            later = self._journaled(max(change.revision for _, change in batch), now)
            if later is None:
                files_max -= len(batch)
                self._bring_all(batch, now)
            else:
                self._postpone((entry_id for entry_id, _ in batch), later)
        with self._lock:
            self._sweep_paces(now)
            return self._due[0][0] if self._due else None

    def flush(self, now: float, is_over: Callable[[], bool]) -> bool:
        """Write all files, due or not, until ``is_over``; return whether all are written."""
        with self._lock:
            self._gather()
            batch = list(self._wanted.items())
        for first in range(0, len(batch), FILES_AT_ONCE):
            if is_over():
                return False
            # Every file is tried, even if others failed.
            self._bring(batch[first : first + FILES_AT_ONCE], now, failures_max=len(batch))
        with self._lock:
            return not self._wanted

    def pending(self) -> list[Change]:
        """Return the last change of each key whose file lacks it, in their order."""
        with self._lock:
            self._gather()
            wanted = list(self._wanted.items())
        changes = [
            change
            if change.cleared is None
            else Change(ChangeKind.DELETE, *entry_id, change.revision, from_disk=change.from_disk)
            for entry_id, change in wanted
        ]
        return sorted(changes, key=lambda change: change.revision)

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
        while unsynced:  # `clear` would keep the interpreter until all of them are freed
            unsynced.popitem()

    def write_again(self) -> None:
        """Write the unsynced files again: a failed sync may have dropped their data."""
        with self._lock:
            self._gather()
            for entry_id, change in self._unsynced.items():
                if entry_id not in self._wanted:
                    self._wanted[entry_id] = change
                    self._lacking.set(entry_id, change.revision)
                    self._push(self._now, entry_id)
        self._unsynced.clear()

    def supersede(self, entry_id: EntryId, value: bytes) -> None:
        """Do not write a key's pending change: its file has a newer ``value`` by others."""
        with self._lock:
            self._gather()
            change = self._wanted.get(entry_id)
            if change is None or (change.entry is not None and change.entry.value == value):
                return
            entry = Entry(*entry_id, value, None, change.revision)
            self._wanted[entry_id] = Change(
                ChangeKind.SET, *entry_id, change.revision, entry=entry, from_disk=True
            )

    # --- inside ---

    def _gather(self) -> None:
        """Merge the queued commits by key; the caller holds the lock."""
        left, wanted = self._left, self._wanted
        self._left_count = 0
        while left:
            changes = left.popleft()
            for change in changes:
                if change.cleared is None:
                    entry_id = (change.ns, change.key)
                    count = len(wanted)
                    wanted[entry_id] = change
                    if len(wanted) != count:
                        self._begin_to_want(entry_id, change)
                else:
                    for ns, keys in change.cleared.items():
                        for key in keys:
                            if (ns, key) not in wanted:
                                self._begin_to_want((ns, key), change)
                            wanted[ns, key] = change
            self._noted_revision = changes[-1].revision

    def _begin_to_want(self, entry_id: EntryId, change: Change) -> None:
        self._lacking.set(entry_id, change.revision)
        pace = self._paces.get(entry_id)
        self._push(self._now if pace is None else pace.until, entry_id)

    def _push(self, due: float, entry_id: EntryId) -> None:
        self._count += 1
        heappush(self._due, (due, self._count, entry_id))

    def _postpone(self, entry_ids: Iterable[EntryId], due: float) -> None:
        with self._lock:
            for entry_id in entry_ids:
                self._push(due, entry_id)

    def _sweep_paces(self, now: float) -> None:
        if now > self._paces_swept_at + PERIOD_SECONDS:
            self._paces = {p: pace for p, pace in self._paces.items() if not pace.is_rested(now)}
            self._paces_swept_at = now

    def _take_due(self, now: float, files_max: int) -> list[tuple[EntryId, Change]]:
        batch: list[tuple[EntryId, Change]] = []
        with self._lock:
            while self._due and self._due[0][0] <= now and len(batch) < files_max:
                entry_id = heappop(self._due)[2]
                change = self._wanted.get(entry_id)
                if change is not None:
                    batch.append((entry_id, change))
        return batch

    def _bring_all(self, batch: list[tuple[EntryId, Change]], now: float) -> None:
        for first in range(0, len(batch), FILES_AT_ONCE):
            some = batch[first : first + FILES_AT_ONCE]
            if not self._bring(some, now, FAILURES_PER_STEP_MAX):
                rest = (entry_id for entry_id, _ in batch[first + FILES_AT_ONCE :])
                self._postpone(rest, now + RETRY_SECONDS / 2)
                return

    def _bring(self, batch: list[tuple[EntryId, Change]], now: float, failures_max: int) -> bool:
        """Write files; return False if so many failed that the rest was not tried."""
        changes = dict(batch)
        prepared, failures = self._prepare(batch, now, failures_max)
        if prepared:
            failures += self._replace(prepared, changes, now)
        return failures < failures_max

    def _prepare(
        self, batch: list[tuple[EntryId, Change]], now: float, failures_max: int
    ) -> tuple[list[PreparedFile], int]:
        """Write the drafts of files; return them and the number of failures."""
        prepared, failures = [], 0
        for number, (entry_id, change) in enumerate(batch):
            if failures == failures_max:
                # The files that were not tried are due before the failed ones.
                rest = (entry_id for entry_id, _ in batch[number:])
                self._postpone(rest, now + RETRY_SECONDS / 2)
                break
            try:
                file = self._files.prepare(entry_id, change.entry, from_disk=change.from_disk)
            except OSError as error:
                self._failed(entry_id, error, now)
                failures += 1
                continue
            if file is None:
                self._done(entry_id, change, now)
            else:
                prepared.append(file)
        return prepared, failures

    def _replace(
        self, prepared: list[PreparedFile], changes: dict[EntryId, Change], now: float
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
            self._done(step.entry_id, changes[step.entry_id], now)
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

    def _done(self, entry_id: EntryId, change: Change, now: float) -> None:
        """Record that a key's file shows a change."""
        if self._failing and self._failing.pop(entry_id, None) is not None and not self._failing:
            _log.warning("files are written again")
        if self.remembers_unsynced:
            self._unsynced[entry_id] = change
        with self._lock:
            pace = self._paces.get(entry_id)
            if pace is None:
                pace = self._paces[entry_id] = Pace()
            pace.done(now)
            if self._wanted.get(entry_id) is change:
                del self._wanted[entry_id]
                self._lacking.remove(entry_id)
            else:  # the key has changed meanwhile
                self._lacking.set(entry_id, change.revision + 1)
                self._push(pace.until, entry_id)
