"""The disk engine: a folder that one server owns, and the threads that work on it."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dunena.histogram import Histogram
from dunena.persistence.disk.folder_lock import FolderLock, FolderLockedError
from dunena.persistence.disk.folder_storage import FolderStorage, describe
from dunena.persistence.disk.gc_pause import keep_for_good
from dunena.persistence.disk.hand_edits import HandEdits
from dunena.persistence.disk.paths import PRIVATE_FOLDER, extended, folds_case
from dunena.persistence.disk.real_disk import RealDisk
from dunena.persistence.disk.watching import FolderWatch
from dunena.persistence.disk.workers import SLOW_SYNC_SECONDS, FileWriterThread, Syncer
from dunena.persistence.interface import (
    Damage,
    DiskStatus,
    Done,
    FormatError,
    InUseError,
    Loaded,
    OpenError,
    OutsideChange,
    Progress,
    StorageError,
    Watching,
)
from dunena.persistence.policy import Fsync, WatchMode
from dunena.store.entry import Change, stored_value
from dunena.store.limits import VALUE_BYTES_MAX
from dunena.store.store import Store

LOOK_SECONDS = 0.05
"""Time between two checks, during commits, that the folder is still the opened one: changes written
to a removed folder are lost."""

STOP_SECONDS_MAX = 1.5
"""Time for files to follow at a stop; the rest stays in the journal for the next start."""

FILES_PER_STEP_MAX = 64
"""Files written in one step: some ms of work, after which the thread may have to rest."""

KEPT_FOR_GOOD_MIN = 10_000
"""Entries from which on excluding them from Python's garbage collection is worth its cost."""

_log = logging.getLogger(__name__)


class DiskEngine:
    """Stores one file per key below ``root``, after a journal; an `Engine` and its `DiskStatus`.

    ``fsync`` says when changes are forced to the device, ``watch`` how hand edits are found.
    ``wall_step_ms`` is that of `FolderStorage`.
    """

    def __init__(
        self,
        root: Path,
        fsync: Fsync,
        value_bytes_max: int = VALUE_BYTES_MAX,
        watch: WatchMode = WatchMode.AUTO,
        wall_step_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._root = extended(root)
        self._fsync = fsync
        self._private = self._root / PRIVATE_FOLDER
        self._lock = FolderLock(self._private / "lock")
        self._disk = RealDisk()
        self._storage = FolderStorage(
            self._disk,
            self._root,
            self._private,
            fsync,
            value_bytes_max,
            wall_step_ms=wall_step_ms,
        )
        self._hand_edits = HandEdits(self._disk, self._storage, self._wake_server)
        self._file_writer: FileWriterThread
        self._syncer: Syncer
        self._is_open = False  # the threads run
        self._watch = FolderWatch(str(self._root), watch, self._hand_edits, self._wake_follower)
        self._wake: Callable[[], None] = lambda: None
        self._looked_at = 0.0
        self._sync_times = Histogram()
        self._slow_syncs = 0

    # --- life ---

    def open(self, wake: Callable[[], None] | None, progress: Progress | None = None) -> Loaded:
        """Lock the folder, load it and begin to watch it; raise `OpenError`.

        ``wake`` is called, from any thread, when there are hand edits to collect; with None nobody
        collects them.
        """
        storage = self._storage
        try:
            self._disk.make_root(str(self._root))
            self._disk.make_folder(str(self._private))
            self._lock.acquire()
            storage.prepare()
            self._wake = wake or self._wake
            loaded = storage.open(folds_case=folds_case(self._private), progress=progress)
            if wake is not None:
                self._watch.begin()
        except FolderLockedError:
            url = storage.records.load_address()
            raise InUseError(
                f"another dunena{f' ({url})' if url else ''} is using {self._root};"
                " stop it, or choose another folder with --cache-dir",
                url,
            ) from None
        except FormatError as error:
            self._lock.release()
            advice = f"{error.advice}, or choose another folder with --cache-dir"
            raise FormatError(error.text, advice) from None
        except OSError as error:
            self._lock.release()
            raise OpenError(
                f"cannot use the folder {self._root}: {describe(error, self._root)};"
                " choose another with --cache-dir"
            ) from error
        except BaseException:  # `progress` may raise anything to end the start
            self._lock.release()
            raise
        if len(loaded.entries) >= KEPT_FOR_GOOD_MIN:
            keep_for_good()
        self._syncer = Syncer(
            storage.sync,
            is_periodic=self._fsync is Fsync.EVERYSEC,
            timed=self._timed,
        )
        self._file_writer = FileWriterThread(self._step)
        self._is_open = True
        self._file_writer.wake()
        return loaded

    def publish(self, url: str) -> None:
        """Store the server's address beside the lock; log a failure, as it only serves messages."""
        try:
            self._storage.records.keep_address(url)
        except OSError as error:
            _log.warning("cannot write the server's address: %s", error.strerror)

    def close(self) -> None:
        """Stop the threads, bring files up to date and unlock; raise `StorageError`."""
        self._watch.close()
        self._file_writer.close()
        self._syncer.close()
        until = time.monotonic() + STOP_SECONDS_MAX
        try:
            self._storage.close(time.monotonic(), lambda: time.monotonic() >= until)
        except OSError as error:
            raise StorageError(describe(error)) from error
        finally:
            self._lock.release()

    # --- changes ---

    def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
        """Append changes to the journal; return False if ``done`` is called after a sync.

        Raise `StorageError` if they cannot be appended.
        """
        self._look()
        if self.failure is not None:
            raise StorageError(self.failure)
        try:
            has_stored = self._storage.append(changes)
        except OSError as error:
            raise StorageError(describe(error)) from error
        if not has_stored:
            return True
        if not durable and self._fsync is not Fsync.ALWAYS:
            self._syncer.note()
            self._follow(changes)
            return True
        self._syncer.request(lambda failure: done(None if failure is None else describe(failure)))
        return False

    def finish_commit(self, changes: Sequence[Change], *, is_kept: bool) -> None:
        """Finish a commit after its sync: let its files follow, or remove it from the journal."""
        if is_kept:
            self._follow(changes)
            return
        try:
            self._storage.take_back(changes)
        except OSError as error:
            _log.error(
                "a refused change may come back if the server dies before the journal could be"
                " written anew: %s",
                error.strerror,
            )
            self._file_writer.wake()  # the thread writes a new journal

    def probe(self) -> None:
        """Find out whether a commit could be stored; raise `StorageError` if not."""
        try:
            self._storage.probe()
        except OSError as error:
            self._file_writer.wake()  # the thread writes a new journal
            raise StorageError(describe(error)) from error

    def check_folder(self) -> None:
        """Check that the folder is still there and set `failure`."""
        self._storage.mirror.forget_pauses(time.monotonic())
        self._storage.check_folder()
        if self.failure is not None:
            self._file_writer.wake()

    def collect(self, store: Store) -> list[OutsideChange]:
        """Return the hand edits found since the last call that differ from the store."""
        changes = []
        for change in self._hand_edits.collect():
            if _differs(change, store):
                changes.append(change)
            elif change.value is not None:
                self._storage.files.settle_edit((change.ns, change.key), change.value)
        return changes

    def put_back(self, changes: list[OutsideChange]) -> None:
        """Take back hand edits that could not be taken over; `collect` returns them again."""
        self._hand_edits.put_back(changes)

    @property
    def failure(self) -> str | None:
        """The reason why no change can be stored at present, if one is known."""
        return self._storage.failure

    # --- the status of the folder ---

    @property
    def disk_status(self) -> DiskStatus:
        """The status of the folder: the engine itself."""
        return self

    def damages(self) -> list[Damage]:
        """Return the files and records that could not be read."""
        return self._storage.damages()

    @property
    def watching(self) -> Watching:
        """How hand edits are found at present."""
        return self._watch.status

    @property
    def files_behind(self) -> int:
        """The number of keys whose file does not show the latest change yet."""
        return self._storage.mirror.behind_count

    @property
    def files_failure(self) -> str | None:
        """The reason why files cannot be written; None if they can. The journal has the changes."""
        return self._storage.mirror.failure

    @property
    def journal_bytes(self) -> int:
        """The size of all segments of the journal."""
        return self._storage.journal.bytes_total

    @property
    def sync_times(self) -> Histogram:
        """The durations of forcing the journal to the device."""
        return self._sync_times

    @property
    def slow_syncs(self) -> int:
        """The number of syncs of the journal that took too long."""
        return self._slow_syncs

    # --- inside ---

    def _follow(self, changes: Sequence[Change]) -> None:
        self._storage.enqueue(changes)
        self._file_writer.enqueue()

    def _look(self) -> None:
        """Check the folder as part of a commit, if the last check is `LOOK_SECONDS` ago."""
        now = time.monotonic()
        if now >= self._looked_at + LOOK_SECONDS:
            self._looked_at = now
            self.check_folder()

    def _step(self, now: float) -> float | None:
        """Do a step of the engine's thread: write files, then examine hand edits.

        ``now`` is monotonic seconds; return when the next step is due, None for not before a wake.
        """
        was_away = self._storage.place_failure is not None
        due = self._storage.step(now, FILES_PER_STEP_MAX)
        if self._storage.place_failure is not None:
            return due  # files of a missing folder were not removed one by one
        if was_away and self._watch.is_on:
            self._hand_edits.look_at_everything(now)
        dues = (due, self._hand_edits.step(now))
        return min((due for due in dues if due is not None), default=None)

    def _timed(self, seconds: float) -> None:
        self._sync_times.add(seconds * 1000)
        self._slow_syncs += seconds > SLOW_SYNC_SECONDS

    def _wake_follower(self) -> None:
        if self._is_open:
            self._file_writer.wake()

    def _wake_server(self) -> None:
        self._wake()


def _differs(change: OutsideChange, store: Store) -> bool:
    return change.value != stored_value(store.peek(change.ns, change.key, 0))
