"""Journal and files together: how changes are kept in a folder. No threads, no clock of its own.

Two threads call it. The server's: `open`, `append`, `note`, `take_back`, `tidy`, `close`. The
engine's own: `step` and, for hand edits, the mirror's `touched`; and `sync` from any.

The life of a change: appended to the journal (and forced to the device, if that is the promise),
then acknowledged, then noted for the files, then shown by its file; when all changes of a segment
are shown and their files forced to the device, the segment is deleted.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from dunena.persistence.disk.disk import Disk
from dunena.persistence.disk.journal import Journal, Replay
from dunena.persistence.disk.layout import Layout
from dunena.persistence.disk.mirror import Mirror
from dunena.persistence.disk.policy import Fsync
from dunena.persistence.disk.records import Records
from dunena.persistence.disk.recovery import last_revision, recover
from dunena.persistence.effects import net_effects
from dunena.persistence.interface import Loaded
from dunena.store.entry import Change

CHECKPOINT_SECONDS = 1.0
"""How often the journal is shortened: each time costs a sync of the files written since."""

_log = logging.getLogger(__name__)


class Keeper:
    """What is kept below ``root``; methods raise OSError as the disk does."""

    def __init__(self, disk: Disk, root: Path, private: Path, fsync: Fsync) -> None:
        self._disk = disk
        self._fsync = fsync
        self._quarantine = private / "quarantine"
        self.records = Records(disk, private)
        self.journal = Journal(disk, private / "journal")
        self._root = root
        self.mirror: Mirror
        self._revision = 0
        self._checkpoint_at = 0.0
        self._shown_revision = 0  # changes up to here need no journal any more

    def open(self, *, folds_case: bool) -> Loaded:
        """Read files and journal; what files do not show yet will follow."""
        layout = Layout(self._disk, self._root, self.records, folds_case=folds_case)
        self.mirror = Mirror(self._disk, layout, self.records)
        replay = self.journal.open()
        # Above everything that was ever given out, lost ends of the journal included.
        self._revision = max(self.records.load_revision(), last_revision(replay))
        entries = self.mirror.load(self._revision)
        standing, effects = recover(entries, replay, self.mirror.modified_ns)
        self._report(replay)
        if effects:
            self.mirror.note(effects, 1, self._revision, 0.0)
        self._shown_revision = 0
        return Loaded(list(standing.values()), self._revision)

    # --- the server's thread ---

    def append(self, changes: Sequence[Change]) -> None:
        """Write a commit to the journal; raises OSError, and then nothing of it is kept."""
        self.records.reserve_revision(changes[-1].revision)
        self.journal.append(changes)
        self._revision = changes[-1].revision

    def take_back(self, changes: Sequence[Change]) -> None:
        """The last commit is refused after all, since it could not be forced to the device."""
        self.journal.take_back()
        self._revision = changes[0].revision - 1

    def note(self, changes: Sequence[Change], now: float) -> None:
        """A commit is kept for good: its files are to follow; ``now`` as for `step`."""
        self.mirror.note(net_effects(changes), changes[0].revision, changes[-1].revision, now)

    def tidy(self) -> None:
        """Delete what the journal need not hold any more."""
        self.journal.forget(self._shown_revision)

    def close(self) -> None:
        """Bring all files up to date; if that works, the journal is empty afterwards."""
        if self.mirror.flush():
            if self._fsync is not Fsync.NO:
                self.mirror.sync()
            self.journal.forget(self._revision)
            self.records.settle_revision(self._revision)
        elif self._fsync is not Fsync.NO:
            self.journal.sync()
        self.journal.close()

    # --- the engine's threads ---

    def step(self, now: float) -> float | None:
        """Bring files up to date; when to come back, in seconds of ``now``'s clock."""
        due = self.mirror.step(now)
        is_done = self._checkpoint(now)
        if is_done:
            return due
        again = self._checkpoint_at + CHECKPOINT_SECONDS
        return again if due is None else min(due, again)

    @property
    def wants_tidying(self) -> bool:
        """Whether `tidy` would find something."""
        return self.journal.first_revision_end <= self._shown_revision

    def _checkpoint(self, now: float) -> bool:
        """Find out how much of the journal files have made superfluous; False if it is too soon."""
        shown = self.mirror.shown_revision
        if shown <= self._shown_revision:
            return True
        if now - self._checkpoint_at < CHECKPOINT_SECONDS:
            return False
        self._checkpoint_at = now
        if self._fsync is not Fsync.NO:
            self.mirror.sync()
        self._shown_revision = shown
        return True

    # --- inside ---

    def _report(self, replay: Replay) -> None:
        if replay.dropped_bytes:
            _log.warning(
                "the journal's last write was not finished: %d bytes of it were dropped",
                replay.dropped_bytes,
            )
        for path in replay.ignored:
            _log.error("%s follows a part that is missing, and was moved to quarantine", path.name)
            self._disk.make_folder(self._quarantine)
            self._disk.rename(path, self._quarantine / path.name)
