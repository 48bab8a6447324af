"""The disk engine: a folder that one server owns.

A commit is acknowledged when every file it needs is in its place. Where one of them fails, those
already written are put back, and the tick is refused as a whole.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from dunena.persistence.disk.atomic import extended, folds_case, replace_file
from dunena.persistence.disk.layout import Found, Layout
from dunena.persistence.disk.mirror import Mirror
from dunena.persistence.disk.policy import Fsync
from dunena.persistence.disk.records import Records
from dunena.persistence.disk.syncer import Syncer
from dunena.persistence.disk.watcher import Watcher
from dunena.persistence.effects import Effect, Place, net_effects
from dunena.persistence.interface import (
    Damage,
    InUseError,
    Loaded,
    OpenError,
    OutsideChange,
    StorageError,
)
from dunena.store.entry import Change
from dunena.store.store import Store

PRIVATE_FOLDER = ".dunena"
"""Everything in the folder that is not a value."""

_UNFINISHED_WAIT_SECONDS = 0.3
_UNFINISHED_TRIES = 3  # a file that stays invalid this often was not just half written

_log = logging.getLogger(__name__)


class DiskEngine:
    """One file per key below ``root``; an `Engine`."""

    def __init__(self, root: Path, fsync: Fsync) -> None:
        self._root = extended(root)
        self._fsync = fsync
        self._records = Records(self._root / PRIVATE_FOLDER)
        self._lock = FileLock(self._root / PRIVATE_FOLDER / "lock")
        self._mirror: Mirror
        self._layout: Layout
        self._revision = 0
        self._syncer: Syncer | None = None
        self._watcher: Watcher | None = None
        self._touched: set[Path] = set()
        self._touched_lock = threading.Lock()
        self._unfinished: dict[Path, int] = {}
        self._retry: threading.Timer | None = None
        self._wake: Callable[[], None] = lambda: None

    def open(self, wake: Callable[[], None] | None) -> Loaded:
        """Lock the folder, begin to watch it, load it; raise `OpenError`."""
        try:
            self._records.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
            self._records.prepare()
            self._layout = Layout(
                self._root, self._records, folds_case=folds_case(self._records.folder)
            )
            if self._fsync is Fsync.EVERYSEC:
                self._syncer = Syncer()
            self._mirror = Mirror(
                self._layout,
                self._records,
                force=self._fsync is Fsync.ALWAYS,
                written=self._syncer.note if self._syncer else lambda _path: None,
            )
            if wake is not None:
                self._wake = wake
                self._watcher = self._begin_to_watch()
            self._revision = self._records.load_revision()
            entries = self._mirror.load(self._revision)
        except Timeout:
            url = self._records.load_address()
            raise InUseError(
                f"another dunena{f' ({url})' if url else ''} is using {self._root};"
                " stop it, or choose another folder with --cache-dir",
                url,
            ) from None
        except OSError as error:
            raise OpenError(
                f"cannot use the folder {self._root}: {error.strerror};"
                " choose another with --cache-dir"
            ) from error
        return Loaded(entries, self._revision)

    def publish(self, url: str) -> None:
        """Keep the address beside the lock; without it only a message is less helpful."""
        try:
            self._records.keep_address(url)
        except OSError as error:
            _log.warning("cannot write the server's address: %s", error.strerror)

    def commit(self, changes: Sequence[Change]) -> None:
        """Put every file the changes need in its place, or leave all as they were."""
        done: list[tuple[Place, Effect]] = []
        try:
            self._records.reserve_revision(changes[-1].revision, force=self._fsync is Fsync.ALWAYS)
            for place, effect in net_effects(changes).items():
                done.append((place, effect))
                self._apply(place, effect)
        except OSError as error:
            self._roll_back(done)
            raise StorageError(_describe(error)) from error
        self._revision = changes[-1].revision

    def probe(self) -> None:
        """Write a file as a commit would; raise `StorageError` if that fails."""
        try:
            replace_file(self._records.folder / "probe", b"", self._records.temporary, force=False)
        except OSError as error:
            raise StorageError(_describe(error)) from error

    def collect(self, store: Store) -> list[OutsideChange]:
        """The touched files whose value is not what the store has."""
        with self._touched_lock:
            touched, self._touched = self._touched, set()
        changes: dict[Place, OutsideChange] = {}
        for path in touched:
            for found in self._files_at(path, store):
                change = self._compare(found, store)
                if change is not None:
                    changes[found.place] = change
        return list(changes.values())

    def damages(self) -> list[Damage]:
        """Files that could not be read."""
        return self._mirror.damages()

    def close(self) -> None:
        """Stop the threads, note the revision, unlock."""
        if self._watcher is not None:
            self._watcher.close()
        if self._retry is not None:
            self._retry.cancel()
        if self._syncer is not None:
            self._syncer.close()
        try:
            self._records.settle_revision(self._revision)
        except OSError as error:
            _log.error("cannot write the revision: %s", error.strerror)
        self._lock.release()

    # --- commit ---

    def _apply(self, place: Place, effect: Effect) -> None:
        before, after = effect.before, effect.after
        had_expiry = before is not None and before.expires_at is not None
        if effect.is_stored:
            self._mirror.settle(place, had_expiry=had_expiry)
        elif after is not None:
            self._mirror.write(after, had_expiry=had_expiry)
        elif before is not None:
            self._mirror.remove(place, had_expiry=had_expiry)

    def _roll_back(self, done: list[tuple[Place, Effect]]) -> None:
        for place, effect in reversed(done):
            inverse = Effect(effect.after, effect.before, is_stored=effect.is_stored)
            try:
                self._apply(place, inverse)
            except OSError as error:
                _log.error(
                    "the file of %r may hold a value that was refused: %s",
                    place[1],
                    error.strerror,
                )

    # --- hand edits ---

    def _begin_to_watch(self) -> Watcher | None:
        try:
            return Watcher(self._root, self._note_touched)
        except (OSError, RuntimeError) as error:
            _log.warning("files edited by hand are not seen: %s", error)
            return None

    def _note_touched(self, paths: set[Path]) -> None:
        with self._touched_lock:
            self._touched |= paths
        self._wake()

    def _files_at(self, path: Path, store: Store) -> list[Found]:
        """The values' files that a touched path stands for: itself, or all in a folder."""
        place = self._layout.place_of(path)
        if place is not None and not path.is_dir():
            return [Found(place, path)]
        ns = self._layout.namespace_of(path)
        if ns is None:
            return []
        standing = [
            Found((ns, key), self._layout.actual((ns, key))) for key in store.sorted_keys(ns)
        ]
        if not path.is_dir() or path.is_symlink():
            return standing
        return standing + list(self._layout.scan_namespace(ns, path, []))

    def _compare(self, found: Found, store: Store) -> OutsideChange | None:
        ns, key = found.place
        entry = store.peek(ns, key, 0)
        if not found.path.exists():
            self._unfinished.pop(found.path, None)
            self._mirror.forget_damage(found.place)
            is_ours = entry is not None and found.path == self._layout.actual(found.place)
            return OutsideChange(ns, key, None) if is_ours else None
        actual = self._layout.actual(found.place)
        if entry is not None and found.path != actual and actual.exists():
            _log.warning("%s is not taken over: %s holds the same key", found.path, actual.name)
            return None
        value = self._mirror.read(found)
        if value is None:
            self._wait_for(found.path)
            return None
        self._unfinished.pop(found.path, None)
        if entry is not None and entry.value == value:
            return None
        self._layout.adopt(found)
        return OutsideChange(ns, key, value)

    def _wait_for(self, path: Path) -> None:
        """A file that cannot be read may be half written: look again before saying so."""
        tries = self._unfinished.get(path, 0) + 1
        self._unfinished[path] = tries
        if tries >= _UNFINISHED_TRIES:
            del self._unfinished[path]
            reason = next((d.reason for d in self.damages() if d.path == str(path)), "unreadable")
            _log.warning("%s is not taken over: %s", path, reason)
            return
        self._retry = threading.Timer(_UNFINISHED_WAIT_SECONDS, self._note_touched, ({path},))
        self._retry.daemon = True
        self._retry.start()


def _describe(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
