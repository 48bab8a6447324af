"""The disk engine: a folder that one server owns, with the threads that look after it."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from dunena.histogram import Histogram
from dunena.persistence.disk.folder_storage import FolderStorage, describe
from dunena.persistence.disk.gc_pause import keep_for_good
from dunena.persistence.disk.hand_edits import HandEdits
from dunena.persistence.disk.place import PRIVATE_FOLDER, extended, folds_case
from dunena.persistence.disk.real_disk import RealDisk
from dunena.persistence.disk.watching import FolderWatch
from dunena.persistence.disk.workers import SLOW_SYNC_SECONDS, FileWriterThread, Syncer
from dunena.persistence.interface import (
    Damage,
    DiskStatus,
    Done,
    InUseError,
    Loaded,
    OpenError,
    OutsideChange,
    Progress,
    StorageError,
    Watching,
)
from dunena.persistence.policy import Fsync, WatchMode
from dunena.store.entry import Change
from dunena.store.limits import VALUE_BYTES_MAX
from dunena.store.store import Store

LOOK_SECONDS = 0.05
"""Between two looks whether the folder is still the one that was opened, while changes come: what
is written to one that was taken away is lost."""

STOP_SECONDS_MAX = 1.5
"""For files to follow at a stop; what does not stays in the journal for the next start."""

FILES_PER_STEP_MAX = 64
"""Some ms of work, between which the thread looks at how much of the time it may take."""

KEPT_FOR_GOOD_MIN = 10_000
"""Entries from which on it is worth while to keep Python's search for garbage away from them."""

_log = logging.getLogger(__name__)


class DiskEngine:
    """One file per key below ``root``, behind a journal; an `Engine`, and its own `DiskStatus`.

    ``wall_step_ms`` is `FolderStorage`'s.
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
        self._lock = FileLock(self._private / "lock", thread_local=False)
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
        self._is_open = False  # and the threads run
        self._watch = FolderWatch(str(self._root), watch, self._hand_edits, self._wake_follower)
        self._wake: Callable[[], None] = lambda: None
        self._looked_at = 0.0
        self._sync_times = Histogram()
        self._slow_syncs = 0

    # --- life ---

    def open(self, wake: Callable[[], None] | None, progress: Progress | None = None) -> Loaded:
        """Lock the folder, load it, begin to watch it; raise `OpenError`."""
        storage = self._storage
        try:
            self._disk.make_folder(str(self._private))
            self._lock.acquire(blocking=False)
            storage.records.prepare()
            self._wake = wake or self._wake
            loaded = storage.open(folds_case=folds_case(self._private), progress=progress)
            if wake is not None:
                self._watch.begin()
        except Timeout:
            url = storage.records.load_address()
            raise InUseError(
                f"another dunena{f' ({url})' if url else ''} is using {self._root};"
                " stop it, or choose another folder with --cache-dir",
                url,
            ) from None
        except OSError as error:
            self._lock.release()
            raise OpenError(
                f"cannot use the folder {self._root}: {describe(error, self._root)};"
                " choose another with --cache-dir"
            ) from error
        except BaseException:  # whoever is told of the progress may end it
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
        """Keep the address beside the lock; without it only a message is less helpful."""
        try:
            self._storage.records.keep_address(url)
        except OSError as error:
            _log.warning("cannot write the server's address: %s", error.strerror)

    def close(self) -> None:
        """Stop the threads, bring files up to date, unlock; raise `StorageError`."""
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
        """Append to the journal; with a sync to wait for, ``done`` is called after it."""
        self._look()
        if self.failure is not None:
            raise StorageError(self.failure)
        try:
            self._storage.append(changes)
        except OSError as error:
            raise StorageError(describe(error)) from error
        if not durable and self._fsync is not Fsync.ALWAYS:
            self._follow(changes)
            return True
        self._syncer.request(lambda failure: done(None if failure is None else describe(failure)))
        return False

    def finish_commit(self, changes: Sequence[Change], *, is_kept: bool) -> None:
        """The sync of a commit is over: its files follow, or it is taken back."""
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
            self._file_writer.wake()  # it writes the journal anew

    def probe(self) -> None:
        """Find out whether a commit could be kept; raise `StorageError` if not."""
        try:
            self._storage.probe()
        except OSError as error:
            self._file_writer.wake()  # it writes the journal anew
            raise StorageError(describe(error)) from error

    def check_folder(self) -> None:
        """Find out whether the folder is still there; `failure` says what came of it."""
        self._storage.check_folder()
        if self.failure is not None:
            self._file_writer.wake()

    def collect(self, store: Store) -> list[OutsideChange]:
        """Hand edits that differ from the store."""
        return [change for change in self._hand_edits.collect() if _differs(change, store)]

    def put_back(self, changes: list[OutsideChange]) -> None:
        """These could not be taken over now: `collect` gives them again."""
        self._hand_edits.put_back(changes)

    @property
    def failure(self) -> str | None:
        """Why no change can be kept, as far as is known."""
        return self._storage.failure

    # --- the status of the folder ---

    @property
    def disk_status(self) -> DiskStatus:
        """The engine itself."""
        return self

    def damages(self) -> list[Damage]:
        """Files and records that could not be read."""
        return self._storage.damages()

    @property
    def watching(self) -> Watching:
        """How hand edits are learnt of."""
        return self._watch.status

    @property
    def files_behind(self) -> int:
        """Keys whose file does not show the latest change yet."""
        return self._storage.mirror.behind_count

    @property
    def files_failure(self) -> str | None:
        """Why files cannot be written, while that is so; the journal holds what they lack."""
        return self._storage.mirror.failure

    @property
    def journal_bytes(self) -> int:
        """Bytes of all segments."""
        return self._storage.journal.bytes_total

    @property
    def sync_times(self) -> Histogram:
        """How long forcing the journal to the device took."""
        return self._sync_times

    @property
    def slow_syncs(self) -> int:
        """How often a sync of the journal took too long."""
        return self._slow_syncs

    # --- inside ---

    def _follow(self, changes: Sequence[Change]) -> None:
        self._storage.enqueue(changes)
        self._file_writer.enqueue()

    def _look(self) -> None:
        """Now and then, as part of a commit."""
        now = time.monotonic()
        if now >= self._looked_at + LOOK_SECONDS:
            self._looked_at = now
            self.check_folder()

    def _step(self, now: float) -> float | None:
        """The engine's thread: files first, then what other hands did."""
        was_away = self._storage.place_failure is not None
        due = self._storage.step(now, FILES_PER_STEP_MAX)
        if self._storage.place_failure is not None:
            return due  # what is not there was not removed by hand
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
    entry = store.peek(change.ns, change.key, 0)
    return change.value != (None if entry is None else entry.value)
