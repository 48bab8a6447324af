"""Journal and files together: how changes are kept in a folder. No threads, no clock of its own.

Two threads call it. The server's: `open`, `append`, `note`, `take_back`, `close`. The engine's
own: `step` and what looks for hand edits; and `sync` from any.

The life of a change: appended to the journal (and forced to the device, if that is the promise),
then acknowledged, then noted for the files. A file shows it once the journal is on the device: so
files are never ahead of a journal that a power cut shortened. When all changes up to a revision
are shown and their files forced to the device, that revision is written down, and segments of the
journal that hold no more are deleted.

With ``fsync`` "no" the device does all this when it likes, until a sync was asked for: a change
that was durable once must not be lost with an unsynced file.
"""

import logging
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

from dunena.persistence.disk.collection import uncollected
from dunena.persistence.disk.disk import Disk, join, name_of
from dunena.persistence.disk.journal import Journal, Replay
from dunena.persistence.disk.layout import Layout
from dunena.persistence.disk.mirror import RETRY_SECONDS, Mirror
from dunena.persistence.disk.pace import PERIOD_SECONDS, Pace
from dunena.persistence.disk.policy import Fsync
from dunena.persistence.disk.records import Records
from dunena.persistence.disk.recovery import last_revision, recover
from dunena.persistence.disk.value_files import ValueFiles
from dunena.persistence.interface import Loaded, Progress
from dunena.store.entry import Change
from dunena.store.limits import VALUE_BYTES_MAX

CHECKPOINT_SECONDS = PERIOD_SECONDS
"""How often the journal is shortened: each time costs a sync of the files written since."""

ALL_FILES = sys.maxsize
"""For `Keeper.step`: as many as are due."""

_log = logging.getLogger(__name__)


class Keeper:
    """What is kept below ``root``; methods raise OSError as the disk does."""

    def __init__(
        self,
        disk: Disk,
        root: Path,
        private: Path,
        fsync: Fsync,
        value_bytes_max: int = VALUE_BYTES_MAX,
    ) -> None:
        self._disk = disk
        self._value_bytes_max = value_bytes_max
        self._fsync = fsync
        self.records = Records(disk, str(private))
        self.journal = Journal(disk, str(private / "journal"))
        self._quarantine = str(private / "quarantine")
        self._root = str(root)
        self.layout: Layout
        self.files: ValueFiles
        self.mirror: Mirror
        self.replay: Replay
        self._revision = 0
        self._pace = Pace()  # of syncs for the files' sake
        self._checkpoint_at = 0.0
        self._is_failing = False
        self._shown_revision = 0  # changes up to here need no journal any more
        self._forces = fsync is not Fsync.NO
        self._shown = threading.Lock()  # of the two before, together with their record

    def open(self, *, folds_case: bool, progress: Progress | None = None) -> Loaded:
        """Read files and journal; what files do not show yet will follow."""
        self.layout = Layout(self._disk, self._root, self.records, folds_case=folds_case)
        self.files = ValueFiles(self._disk, self.layout, self.records, self._value_bytes_max)
        shown = self.records.load_shown()
        replay = self.journal.open(shown)
        self._shown_revision = replay.base
        # Above everything that was ever given out, lost ends of the journal included.
        self._revision = max(
            self.records.load_revision(), self._shown_revision, last_revision(replay)
        )
        self.mirror = Mirror(self.files, self._revision, self._journaled)
        with uncollected():
            entries = self.files.load(self._revision, progress)
            if replay.commits:
                standing, changes = recover(entries, replay, self.files.modified_ns)
                entries = list(standing.values())
                self.mirror.catch_up(changes.items(), self._shown_revision + 1)
        self.replay = replay
        self._report(replay)
        self._forces = self._forces or bool(replay.commits)
        # Once, whatever the policy: without these names nothing in them would be found.
        self._disk.sync({*self.records.folders, self.journal.folder})
        with suppress(OSError):  # a full disk is no reason not to start; a later one will do
            self.records.keep_shown(replay.base, sync=True)
        return Loaded(entries, self._revision)

    # --- the server's thread ---

    def append(self, changes: Sequence[Change]) -> None:
        """Write a commit to the journal; raises OSError, and then nothing of it is kept."""
        self.records.reserve_revision(changes[-1].revision)
        self.journal.append(changes)
        self._revision = changes[-1].revision

    def take_back(self, changes: Sequence[Change]) -> None:
        """The last commit is refused after all, since it could not be forced to the device."""
        self._revision = changes[0].revision - 1
        self.journal.take_back()

    def note(self, changes: Sequence[Change]) -> None:
        """A commit is kept for good: its files are to follow, by calls of `step`."""
        self.mirror.note(changes)

    def close(self, now: float) -> None:
        """Bring all files up to date; if that works, the journal is empty afterwards.

        The threads have ended.
        """
        try:
            if self._forces:
                self.journal.sync()
            if self.mirror.flush(now):
                self._forget(self._revision)
                self.records.settle_revision(self._revision)
        finally:
            self.journal.close()

    # --- the engine's threads ---

    def sync(self) -> bool:
        """Force every change appended so far to the device; whether there was any."""
        with self._shown:
            if not self._forces:
                # The journal is of no use without what says where it begins.
                self.records.keep_shown(self._shown_revision, sync=True)
                self._forces = True
        return self.journal.sync()

    def step(self, now: float, files_max: int = ALL_FILES) -> float | None:
        """Bring so many files up to date; when to come back, in seconds of ``now``'s clock."""
        dues = (self.mirror.step(now, files_max), self._checkpoint(now))
        return min((due for due in dues if due is not None), default=None)

    def _journaled(self, revision: int, now: float) -> float | None:
        """Whether files may show changes up to a revision; None, or when to ask again."""
        if self._fsync is Fsync.NO or revision <= self.journal.synced_revision:
            return None
        if now < self._pace.until:
            return self._pace.until
        self._pace.done(now)
        try:
            self.journal.sync()
        except OSError as error:
            self._failed(error)
            return now + RETRY_SECONDS
        return None

    def _checkpoint(self, now: float) -> float | None:
        """Delete what files have made superfluous; when to come back, None for when they did."""
        oldest_end = self.journal.oldest_end
        if oldest_end == inf:
            return None
        if now < self._checkpoint_at + CHECKPOINT_SECONDS:
            return self._checkpoint_at + CHECKPOINT_SECONDS
        shown = self.mirror.shown_revision
        if shown < oldest_end:
            return None
        self._checkpoint_at = now
        try:
            self._forget(shown)
        except OSError as error:
            self._failed(error)
            return now + RETRY_SECONDS
        self._is_failing = False
        return None

    def _forget(self, shown: int) -> None:
        if self._forces:
            self.files.sync()
        with self._shown:
            if shown > self._shown_revision:
                self.records.keep_shown(shown, sync=self._forces)
            self._shown_revision = shown
        self.journal.forget(shown)

    # --- inside ---

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            _log.warning("the journal cannot be shortened for now: %s", error.strerror)
        self._is_failing = True

    def _report(self, replay: Replay) -> None:
        if replay.dropped_bytes:
            _log.warning(
                "the journal's last write was not finished: %d bytes of it were dropped",
                replay.dropped_bytes,
            )
        for path in replay.ignored:
            _log.error(
                "%s follows a part that is missing, and was moved to quarantine", name_of(path)
            )
            self._disk.make_folder(self._quarantine)
            self._disk.rename(path, join(self._quarantine, name_of(path)))
