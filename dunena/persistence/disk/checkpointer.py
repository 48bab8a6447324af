"""Keeping the journal short: what files show for good is taken out of it.

When all changes up to a revision are shown and their files forced to the device, that revision is
written down, and segments of the journal that hold no more are deleted. A journal that is not
trusted any more, or is kept by a few files that cannot be written, is written anew: what files do
not surely show goes to one segment that stands for all before it.
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
"""How often the journal is shortened: each time costs a sync of the files written since."""

SETTLE_SECONDS = 0.005
"""Until a commit that is on its way is looked for again."""

SEGMENTS_BEFORE_RENEWAL = 3
"""So many full segments are kept at least before what they still hold is written anew."""

BYTES_PER_PENDING_MIN = 4
"""And only if that is so much smaller."""

_log = logging.getLogger(__name__)


class Checkpointer:
    """Shortens one journal; all but `shorten` and `renew` raise OSError as the disk does.

    ``forces`` says whether files are forced to the device, ``was_forced`` whether all was that an
    earlier run left; ``flushed_revision`` is the one up to which no change needs the journal. One
    thread at a time calls it, but `begin_to_force` may be called from any.
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
        self._ended_revision: int | None = None  # of segments that are to be written anew
        self._is_failing = False
        # Of the two that follow, together with the record of the first.
        self._lock = locks.make_lock(LockRank.CHECKPOINT)
        self._flushed_revision = flushed_revision
        self._set_forces(forces=forces)

    def begin_to_force(self) -> None:
        """From now on files are forced to the device, since a sync was asked for."""
        with self._lock:
            if not self.forces:
                # The journal is of no use without what says where it begins.
                self._records.keep_flushed_revision(self._flushed_revision, sync=True)
                self._set_forces(forces=True)

    def shorten(self, now: float) -> float | None:
        """Delete what files have made superfluous; when to come back, None for when they did."""
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
        """All changes up to a revision are in files: force these, write it down, shorten."""
        self._sync_files()
        if self.forces and self._journal.last_revision > flushed:
            # Or the files of keys that changed since would be taken for another hand's.
            self._journal.sync(with_notes=True)
        with self._lock:
            if flushed > self._flushed_revision:
                self._records.keep_flushed_revision(flushed, sync=self.forces)
            self._flushed_revision = flushed
        self._journal.forget(flushed)

    # --- writing the journal anew ---

    def renew(self, now: float) -> float | None:
        """Write the journal anew if there is a reason; when to come back, None for no time."""
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
        """Everything that files do not surely show goes to a new segment; whether it did.

        It does not while the last commit is still on its way: that may be taken back.
        """
        revision = self._ended_revision
        if revision is None or self._journal.failure is not None:
            revision = self._ended_revision = self._journal.end_segment()
        if self._mirror.noted_revision < revision:
            return False
        self._ended_revision = None
        self._sync_files()
        pending = [change for change in self._mirror.pending() if change.revision <= revision]
        if self.forces and self._journal.failure is None:
            self._journal.sync()  # of later changes to the same keys
        self._journal.renew(self._flushed_revision, revision, pending)
        return True

    def report_failure(self, error: OSError) -> None:
        """Say in the log that it did not work, once until it does again."""
        if not self._is_failing:
            _log.warning("the journal cannot be shortened for now: %s", error.strerror)
        self._is_failing = True

    # --- inside ---

    def _sync_files(self) -> None:
        """Force what files show to the device; what may not be there now is written once more."""
        if not self.forces:
            return
        try:
            self._files.sync()
        except OSError:
            self._mirror.write_again()
            raise
        self._mirror.synced()

    def _is_bloated(self, now: float) -> bool:
        """Whether a few changes that files cannot show keep far more than themselves."""
        size = self._journal.bytes_total
        if size <= SEGMENTS_BEFORE_RENEWAL * journal_module.SEGMENT_BYTES_MAX:
            return False
        self._renewal_at = now + RETRY_SECONDS  # not again and again: there may be many to add up
        pending = sum(
            len(change.key) + (0 if change.entry is None else len(change.entry.value))
            for change in self._mirror.pending()
        )
        return pending * BYTES_PER_PENDING_MIN < size

    def _set_forces(self, *, forces: bool) -> None:
        self.forces = self._mirror.remembers_unsynced = forces
        self._journal.forces = forces and self._was_forced
