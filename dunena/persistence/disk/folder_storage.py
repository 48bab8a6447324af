"""Storing changes in a folder by a journal and files; without threads and a clock of its own.

Two threads call it. The server's thread calls `open`, `append`, `enqueue`, `take_back` and `close`,
the engine's thread `step` and the search for files that others wrote. `sync`, `check_folder` and
`probe` may be called in any thread.

A change is appended to the journal, and forced to the device if the policy says so. Then it is
acknowledged and queued for the files. Its file is written once the journal is on the device, so
that after a power cut no file has a change that the journal lacks. When the file is on the device
too, the change is removed from the journal (`checkpointer`).

With ``fsync`` "no", the system decides when data gets to the device, until a sync is requested:
from then on files are forced to it too, as a durable change must not be lost with an unsynced file.

While the folder is not the one that was opened, because others moved or replaced it, nothing is
stored and no file is read. Storing continues when the folder is back.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from dunena.persistence.disk.boot import boot_id
from dunena.persistence.disk.checkpointer import Checkpointer
from dunena.persistence.disk.disk import Disk, join, name_of
from dunena.persistence.disk.folder_format import FORMAT, FoundFormat, find_format, take_over
from dunena.persistence.disk.folder_identity import FolderIdentity
from dunena.persistence.disk.gc_pause import uncollected
from dunena.persistence.disk.journal import Journal
from dunena.persistence.disk.journal_format import FileStep
from dunena.persistence.disk.journal_reader import Replay
from dunena.persistence.disk.layout import Layout
from dunena.persistence.disk.mirror import RETRY_SECONDS, Mirror
from dunena.persistence.disk.quarantine import free_path, set_aside
from dunena.persistence.disk.records import REVISION_LEAP, Records, Run
from dunena.persistence.disk.recovery import recover
from dunena.persistence.disk.stamps import StampTable
from dunena.persistence.disk.takeover import NOTHING, Takeover, look_at_names, rename_files
from dunena.persistence.disk.throttle import Pace
from dunena.persistence.disk.value_files import ValueFiles
from dunena.persistence.interface import Damage, Loaded, Progress, UntidyError, display_path_of
from dunena.persistence.policy import Fsync
from dunena.store.entry import Change, EntryId, stored_changes
from dunena.store.limits import VALUE_BYTES_MAX
from dunena.store.store import revision_of_load

PROBE_BYTES = 4096
"""Size of the file that a probe writes: an empty file would fit on a full disk."""

EDITED_NAMED_MAX = 5
"""The number of keys that the log names when others changed files."""

ALL_FILES = sys.maxsize
"""An argument of `FolderStorage.step`: write all files that are due."""

_log = logging.getLogger(__name__)


class FolderStorage:
    """Stores the entries of one server below ``root``; methods raise OSError as the disk does.

    ``private`` is the folder for the journal and records. ``find_boot`` returns an identifier of
    the machine's last start. ``wall_step_ms`` returns by how much the wall clock, in which
    deadlines are stored, is ahead of the entries' clock; at `open` both are the same.
    """

    def __init__(
        self,
        disk: Disk,
        root: Path,
        private: Path,
        fsync: Fsync,
        value_bytes_max: int = VALUE_BYTES_MAX,
        find_boot: Callable[[], str | None] = boot_id,
        wall_step_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._disk = disk
        self._value_bytes_max = value_bytes_max
        self._fsync = fsync
        self._stamps = StampTable()
        self._boot = find_boot()
        self.records = Records(disk, str(private), wall_step_ms)
        self.journal = Journal(disk, str(private / "journal"), self._stamps, wall_step_ms)
        self._quarantine = str(private / "quarantine")
        self._root = str(root)
        self._identity: FolderIdentity
        self.layout: Layout
        self.files: ValueFiles
        self.mirror: Mirror
        self._checkpointer: Checkpointer
        self.replay: Replay
        self.takeover: Takeover
        self.format: FoundFormat
        self.renewed: list[str] = []  # what was of an older format
        self._damages: list[Damage] = []
        self._revision = 0
        self._pace = Pace()  # of the syncs before files are written

    def prepare(self) -> None:
        """Find out the folder's format, then make the private folders; the first call of all.

        Raise `FormatError` for a format that is not known, and then nothing was changed.
        """
        self.format = find_format(self.records, self._root)
        self.records.prepare()

    def open(self, *, folds_case: bool, progress: Progress | None = None) -> Loaded:
        """Read files and journal; return the entries. Changes missing in files will be written.

        ``folds_case``: the file system does not distinguish upper and lower case.
        """
        self._identity = FolderIdentity(self._disk, [self._root, self.records.folder])
        self.layout = Layout(self._disk, self._root, self.records, folds_case=folds_case)
        self.files = ValueFiles(
            self._disk, self.layout, self.records, self._stamps, self._value_bytes_max
        )
        self.renewed = take_over(self._disk, self.records, self.journal.folder, self.format)
        self.takeover = NOTHING
        if self.records.is_new:
            found = look_at_names(self._disk, self._root, folds_case=folds_case)
            self.takeover = rename_files(self._disk, self.records, found)
        self._damages = self.records.damaged()
        if self.format.damage is not None:
            self._damages.append(self.format.damage)
        last = self.records.load_run()
        last_boot = None if last is None else last.boot
        # If the machine was restarted since, what the device has now is all that it got.
        was_forced = last is None or last.is_forced or last_boot != self._boot
        replay = self.journal.open(self.records.load_flushed_revision(), self._boot, last_boot)
        if last is None or last.inode != self._identity.inode:
            # The folder is a copy, or may be one: then no file has the stamp that the journal has.
            replay.is_complete = replay.is_forced = False
        self._revision = self._first_revision(replay, last)
        self.mirror = Mirror(self.files, self._revision, self._journaled, self.journal)
        edited: set[EntryId] = set()
        with uncollected():
            entries = self.files.load(self._revision, progress)
            if not replay.is_empty:
                recovered = recover(entries, replay, self._stamps, self.files.damaged_places())
                entries = list(recovered.standing.values())
                self.mirror.catch_up(recovered.changes.items(), replay.base + 1)
                self.files.doubt(replay.files)
                edited = recovered.edited
                _report_edited(edited)
        self.replay = replay
        self._put_in_order(replay)
        self._checkpointer = Checkpointer(
            self.records,
            self.journal,
            self.files,
            self.mirror,
            replay.base,
            forces=self._fsync is not Fsync.NO or not replay.is_empty,
            was_forced=was_forced,
        )
        # Once, under any policy: without the names of these folders their files would be lost.
        self._disk.sync({*self.records.folders, self.journal.folder})
        with suppress(OSError):  # a full disk must not prevent the start; it is written later
            self.records.keep_flushed_revision(replay.base, sync=True)
        loaded = Loaded(entries, self._revision)
        # The next start must exceed the revision of this load, even if nothing is changed until
        # then.
        self._revision = revision_of_load(entries, self._revision)
        with suppress(OSError):
            if not replay.is_empty:
                self._take_up(replay, edited)
            self.records.keep_run(
                Run(self._boot, self.journal.forces, self._identity.inode, self._revision, FORMAT)
            )
            if self._revision and (last is None or self.records.load_revision() is None):
                # In both records: if one is damaged before the first change, the other has it.
                self.records.settle_revision(self._revision)
        return loaded

    # --- the server's thread ---

    def append(self, changes: Sequence[Change]) -> bool:
        """Append a commit to the journal; if it raises OSError, nothing of it is stored.

        Changes of ephemeral entries are left out, but no later run uses their revisions again.
        Return whether any change is left.
        """
        self.records.reserve_revision(changes[-1].revision)
        stored = stored_changes(changes)
        if stored:
            if self.files.has_edits:
                for change in stored:
                    if change.entry is not None:
                        self.files.settle_edit((change.ns, change.key), change.entry.value)
            self.journal.append(stored)
        self._revision = changes[-1].revision
        return bool(stored)

    def take_back(self, changes: Sequence[Change]) -> None:
        """Remove the last commit, which could not be forced to the device, from the journal.

        `append` returned True for it.
        """
        self._revision = changes[0].revision - 1
        self.journal.take_back()

    def enqueue(self, changes: Sequence[Change]) -> None:
        """Queue a stored commit, whose files calls of `step` will write."""
        stored = stored_changes(changes)
        if stored:
            self.mirror.enqueue(stored)

    def close(self, now: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Write all pending files; if that succeeds, the journal is empty afterwards.

        Changes whose files are not written when ``is_over`` returns True stay in the journal for
        the next start. The threads must have ended. Raise OSError if a change may be lost, and
        `UntidyError` if all are stored, but not the record that this journal is not needed.
        """
        try:
            self._identity.check()
            if self._checkpointer.forces:
                with suppress(OSError):  # `Journal.failure` has the error
                    self.journal.sync()
            if self.journal.failure is not None:
                self._close_without_journal(now, is_over)
            elif self._flush(now, is_over):
                try:
                    self._end_journal()
                except OSError as error:  # the journal has every change
                    raise UntidyError(describe(error)) from error
        finally:
            self.journal.close()

    def _close_without_journal(self, now: float, is_over: Callable[[], bool]) -> None:
        """Close with a journal that is not trusted: the files alone may have every change."""
        try:
            self._checkpointer.write_journal_anew()
        except OSError as error:
            if not self.mirror.flush(now, is_over):
                raise
            self._checkpointer.sync_files()
            raise UntidyError(describe(error)) from error
        if self._flush(now, is_over):
            self._end_journal()

    def _flush(self, now: float, is_over: Callable[[], bool]) -> bool:
        if self.mirror.flush(now, is_over):
            return True
        behind = self.mirror.behind_count
        _log.warning("the journal keeps %d changes that files do not show yet", behind)
        return False

    def _end_journal(self) -> None:
        self._checkpointer.forget(self._revision)
        self.records.settle_revision(self._revision)

    # --- any thread ---

    def sync(self) -> bool:
        """Force all appended changes to the device; return whether there were unsynced ones."""
        self._identity.check()
        self._checkpointer.begin_to_force()
        return self.journal.sync()

    def is_in_place(self) -> bool:
        """Return whether the folder is still the one that was opened."""
        try:
            self._identity.check()
        except OSError:
            return False
        return True

    def check_folder(self) -> None:
        """Check that folder and journal are those that were opened; set `failure` if not."""
        if self.is_in_place() and self.journal.failure is None:
            with suppress(OSError):  # `Journal.failure` has the error
                self.journal.check()

    def probe(self) -> None:
        """Raise OSError if no change could be stored now; make missing private folders."""
        self._identity.check()
        self._make_folders()
        if self.journal.failure is not None:
            raise self.journal.failure
        path, temporary = join(self.journal.folder, "probe"), self.records.temporary
        self._disk.replace_file(path, bytes(PROBE_BYTES), temporary, sync=False)
        self._disk.remove(path)

    @property
    def place_failure(self) -> str | None:
        """The last known reason why the folder cannot be used; None if there is none."""
        return self._identity.failure

    @property
    def failure(self) -> str | None:
        """The last known reason why no change can be stored; None if there is none."""
        if self.place_failure is not None:
            return self.place_failure
        failure = self.journal.failure
        return None if failure is None else describe(failure)

    def damages(self) -> list[Damage]:
        """Return what is in the folder and cannot be read."""
        return [*self._damages, *self.files.damages()]

    # --- the engine's thread ---

    def step(self, now: float, files_max: int = ALL_FILES) -> float | None:
        """Write up to ``files_max`` files; return the time of the next call, None for no need.

        ``now`` and the result are monotonic seconds.
        """
        if not self.is_in_place():
            return now + RETRY_SECONDS
        renewed_by = self._checkpointer.renew(now)
        if self.journal.failure is not None:
            return renewed_by
        if self.mirror.failure is not None:
            with suppress(OSError):  # a missing folder may be the cause
                self._make_folders()
        dues = (renewed_by, self.mirror.step(now, files_max), self._checkpointer.shorten(now))
        return min((due for due in dues if due is not None), default=None)

    def _journaled(self, revision: int, now: float) -> float | None:
        """Return None if files may show changes up to ``revision``, else the time to ask again.

        May force the journal to the device for that.
        """
        if self._fsync is Fsync.NO or revision <= self.journal.synced_revision:
            return None
        if now < self._pace.until:
            return self._pace.until
        self._pace.done(now)
        try:
            self.journal.sync()
        except OSError as error:
            self._checkpointer.report_failure(error)
            return now + RETRY_SECONDS
        return None

    # --- inside ---

    def _make_folders(self) -> None:
        """Make those private folders that are missing."""
        for folder in (*self.records.folders, self.journal.folder):
            if not self._disk.is_folder(folder):
                self._disk.make_folder(folder)
                self._disk.sync({folder})

    def _take_up(self, replay: Replay, edited: set[EntryId]) -> None:
        """Replace the journal of an earlier run by a base with its pending changes.

        The system may have read the old segments from its cache only, and a sync that failed in the
        earlier run would not fail again. If no base can be written, the stamps of the files found
        are appended to the journal, as stamps from before the last start of the machine are
        meaningless.
        """
        with suppress(OSError):
            self._checkpointer.write_journal_anew()
            return
        steps = [FileStep(entry_id, None, self._stamps.get(entry_id)) for entry_id in replay.files]
        self.journal.found_by_hand([step for step in steps if step.entry_id in edited])
        self.journal.carried_out([step for step in steps if step.entry_id not in edited])

    def _first_revision(self, replay: Replay, last: Run | None) -> int:
        """Return a revision that is not below any earlier one, even of lost journal lines."""
        began_at = 0 if last is None else last.revision
        reserved = self.records.load_revision()
        known = max(replay.base, replay.last_revision, began_at, reserved or 0)
        if reserved is not None and last is not None:
            return known
        return known + REVISION_LEAP if known or self._damages else known

    def _put_in_order(self, replay: Replay) -> None:
        """Log the faults of the journal, and copy or move what cannot be read to quarantine."""
        if replay.dropped_bytes:
            _log.warning(
                "the journal's last write was not finished: %d bytes of it were dropped",
                replay.dropped_bytes,
            )
        for damage in replay.damages:
            _log.error("%s %s; it is kept in quarantine", name_of(damage.path), damage.reason)
        self._damages += replay.damages
        for path in replay.damaged:
            self._disk.make_folder(self._quarantine)
            copy = free_path(self._disk, path, self._quarantine)
            content = self._disk.read(path)
            self._disk.replace_file(copy, content, self.records.temporary, sync=True)
        for path in replay.unreadable:
            set_aside(self._disk, path, self._quarantine)
        self.journal.cut_torn_ends(replay)


def describe(error: OSError, root: Path | None = None) -> str:
    """Describe an error for people; with ``root``, name the path below it that failed."""
    reason = (error.strerror or str(error)).lower()
    name = error.filename if isinstance(error.filename, str) else ""
    is_below = root is not None and name.startswith(f"{root}{os.sep}")
    return (
        f"{display_path_of(name.removeprefix(f'{root}{os.sep}'))}: {reason}" if is_below else reason
    )


def _report_edited(edited: set[EntryId]) -> None:
    if not edited:
        return
    names = sorted("/".join(filter(None, entry_id)) for entry_id in edited)
    flushed = ", ".join(map(repr, names[:EDITED_NAMED_MAX]))
    more = "" if len(names) <= EDITED_NAMED_MAX else f" and {len(names) - EDITED_NAMED_MAX} more"
    _log.warning("files of %s%s were changed by hand since the last run: they stay", flushed, more)
