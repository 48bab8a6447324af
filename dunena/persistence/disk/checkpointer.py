"""Keeping the journal short: changes that are in files on the device are removed from it.

When all changes up to a revision are in files, these are forced to the device, the revision is
recorded, and the segments of the journal without later changes are deleted. A journal that is not
trusted any more, or that is long because of a few files that cannot be written, is replaced by one
segment with all changes that may be missing in files, the base.
"""

import logging
from math import inf

from dunena.persistence.disk import journal as journal_module
from dunena.persistence.disk import locks
from dunena.persistence.disk.journal import Journal
from dunena.persistence.disk.locks import LockRank
from dunena.persistence.disk.mirror import RETRY_SECONDS, Mirror
from dunena.persistence.disk.records import Records
from dunena.persistence.disk.throttle import PERIOD_SECONDS
from dunena.persistence.disk.value_files import ValueFiles

CHECKPOINT_SECONDS = PERIOD_SECONDS
"""Time between two shortenings: each one costs a sync of the files written since."""

SETTLE_SECONDS = 0.005
"""Time until it is checked again whether the commit in progress is done."""

SEGMENTS_BEFORE_RENEWAL = 3
"""The number of full segments above which the journal may be replaced by a base."""

BYTES_PER_PENDING_MIN = 4
"""The base must be smaller than the journal by at least this factor."""

_log = logging.getLogger(__name__)


class Checkpointer:
    """Shortens one journal; all but `shorten` and `renew` raise OSError as the disk does.

    ``forces``: files are forced to the device. ``was_forced``: everything that an earlier run wrote
    was forced. Up to ``flushed_revision`` no change needs the journal. One thread at a time may
    call the methods, but `begin_to_force` may be called in any.
    """

    def __init__(
        self,
        records: Records,
        journal: Journal,
        files: ValueFiles,
        mirror: Mirror,
        flushed_revision: int,
        *,
        forces: bool,
        was_forced: bool,
    ) -> None:
        self._records = records
        self._journal = journal
        self._files = files
        self._mirror = mirror
        self._was_forced = was_forced
        self._shortened_at = 0.0
        self._renewal_at = 0.0
        self._ended_revision: int | None = None  # the last one to be in the base
        self._is_failing = False
        # Guards the two attributes below and the record of the revision.
        self._lock = locks.make_lock(LockRank.CHECKPOINT)
        self._flushed_revision = flushed_revision
        self._set_forces(forces=forces)

    def begin_to_force(self) -> None:
        """Force files to the device from now on: a sync was requested."""
        with self._lock:
            if not self.forces:
                # The journal is useless without the record of the revision at which it begins.
                self._records.keep_flushed_revision(self._flushed_revision, sync=True)
                self._set_forces(forces=True)

    def shorten(self, now: float) -> float | None:
        """Delete superfluous segments; return when to call again, None: when files were written."""
        oldest_end = self._journal.oldest_end
        if oldest_end == inf:
            return None
        if now < self._shortened_at + CHECKPOINT_SECONDS:
            return self._shortened_at + CHECKPOINT_SECONDS
        flushed = self._mirror.flushed_revision
        if flushed < oldest_end:
            return None
        self._shortened_at = now
        try:
            self.forget(flushed)
        except OSError as error:
            self.report_failure(error)
            return now + RETRY_SECONDS
        self._is_failing = False
        return None

    def forget(self, flushed: int) -> None:
        """Force files to the device, record ``flushed`` and delete the segments up to it.

        All changes up to that revision must be in files.
        """
        self.sync_files()
        if self.forces and self._journal.last_revision > flushed:
            # Otherwise files of keys that changed since would seem to be written by others.
            self._journal.sync(with_notes=True)
        with self._lock:
            if flushed > self._flushed_revision:
                self._records.keep_flushed_revision(flushed, sync=self.forces)
            self._flushed_revision = flushed
        self._journal.forget(flushed)

    # --- replacing the journal ---

    def renew(self, now: float) -> float | None:
        """Replace the journal if necessary; return when to call again, None for no need."""
        is_failing = self._journal.failure is not None
        if now < self._renewal_at:
            return self._renewal_at if is_failing else None
        if not is_failing and self._ended_revision is None and not self._is_bloated(now):
            return None
        try:
            is_done = self.write_journal_anew()
        except OSError as error:
            self.report_failure(error)
            self._renewal_at = now + RETRY_SECONDS
            return self._renewal_at
        self._is_failing = False
        return None if is_done else now + SETTLE_SECONDS

    def write_journal_anew(self) -> bool:
        """Replace the journal by a base; return whether that was possible.

        It is not while the last commit is in progress, as that may be taken back.
        """
        revision = self._ended_revision
        if revision is None or self._journal.failure is not None:
            revision = self._ended_revision = self._journal.end_segment()
        if self._mirror.noted_revision < revision:
            return False
        self._ended_revision = None
        self.sync_files()
        pending = [change for change in self._mirror.pending() if change.revision <= revision]
        if self.forces and self._journal.failure is None:
            self._journal.sync()  # of later changes to the same keys
        self._journal.renew(self._flushed_revision, revision, pending)
        return True

    def report_failure(self, error: OSError) -> None:
        """Log that the journal cannot be shortened, once until it succeeds again."""
        if not self._is_failing:
            _log.warning("the journal cannot be shortened for now: %s", error.strerror)
        self._is_failing = True

    # --- inside ---

    def sync_files(self) -> None:
        """Force files to the device; if that fails, have the unsynced ones written again."""
        if not self.forces:
            return
        try:
            self._files.sync()
        except OSError:
            self._mirror.write_again()
            raise
        self._mirror.synced()

    def _is_bloated(self, now: float) -> bool:
        """Return whether the journal is far larger than the changes that need it."""
        size = self._journal.bytes_total
        if size <= SEGMENTS_BEFORE_RENEWAL * journal_module.SEGMENT_BYTES_MAX:
            return False
        self._renewal_at = now + RETRY_SECONDS  # adding up many changes takes time
        pending = sum(
            len(change.key) + (0 if change.entry is None else len(change.entry.value))
            for change in self._mirror.pending()
        )
        return pending * BYTES_PER_PENDING_MIN < size

    def _set_forces(self, *, forces: bool) -> None:
        self.forces = self._mirror.remembers_unsynced = forces
        self._journal.forces = forces and self._was_forced
