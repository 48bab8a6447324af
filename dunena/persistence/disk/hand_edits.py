"""Hand edits: turning files that others created, changed or removed into changes of the store.

The watcher's thread reports touched paths, the engine's thread examines them, and the server's
thread collects the changes. A file that cannot be read may be half written: it is examined again a
few times before it is reported as damaged, and again whenever it is touched.

The folder is not watched while it is read at the start, as each opened file would be reported.
Changes made meanwhile are found afterwards by examining everything once more, in portions. The same
finds changes that the system did not report because there were too many at once. If the system
reports nothing, everything is examined periodically.

Most files touched in a busy folder were written by this server: a file with the stamp of the
server's own write is skipped after its stamp was read.

An error at one path does not affect other paths.
"""

import logging
from collections.abc import Callable
from itertools import chain

from dunena.persistence.disk import locks
from dunena.persistence.disk.disk import Disk, name_of
from dunena.persistence.disk.everything import Everything
from dunena.persistence.disk.folder_storage import FolderStorage
from dunena.persistence.disk.layout import Found
from dunena.persistence.disk.locks import LockRank
from dunena.persistence.disk.sparing_log import SparingLog
from dunena.persistence.interface import Damage, DamageKind, OutsideChange

UNFINISHED_SECONDS = 0.3
UNFINISHED_TRIES = 3
"""Tries to read an invalid file, `UNFINISHED_SECONDS` apart, before it is reported as damaged."""

PATHS_PER_STEP = 500
"""Files of an examination of everything in one step: some ms of work."""

_log = logging.getLogger(__name__)


class HandEdits:
    """Turns touched paths into changes; ``found`` is called in the engine's thread for them."""

    def __init__(self, disk: Disk, storage: FolderStorage, found: Callable[[], None]) -> None:
        self._disk = disk
        self._storage = storage
        self._found = found
        self._lock = locks.make_lock(LockRank.HAND_EDITS)  # guards the next two attributes
        self._paths: set[str] = set()
        self._changes: list[OutsideChange] = []
        self._unfinished: dict[str, tuple[int, float]] = {}  # path -> tries, time of the next one
        self._complaints = SparingLog(_log)
        self.everything = Everything(storage)

    def touch(self, paths: set[str]) -> None:
        """Report touched paths; any thread may call it."""
        with self._lock:
            self._paths |= paths

    def look_at_everything(self, at: float) -> None:
        """Request an examination of all files at a time (monotonic seconds); any thread."""
        self.everything.ask(at)

    def step(self, now: float) -> float | None:
        """Examine touched paths; return when to call again, None for not before a touch.

        Times are monotonic seconds.
        """
        with self._lock:
            paths, self._paths = self._paths, set()
        paths |= {path for path, (_, at) in self._unfinished.items() if at <= now}
        paths |= self.everything.next_paths(now, PATHS_PER_STEP)
        if paths:
            self._look(paths, now)
        for damage in self.everything.new_damages():
            self._complain(damage, now)
        dues = chain((at for _, at in self._unfinished.values()), self.everything.dues())
        return min(dues, default=None)

    def collect(self) -> list[OutsideChange]:
        """Return the changes found since the last call; for the server's thread."""
        with self._lock:
            changes, self._changes = self._changes, []
        return changes

    def put_back(self, changes: list[OutsideChange]) -> None:
        """Take back changes that could not be taken over, unless there are newer ones of a key."""
        with self._lock:
            newer = {(change.ns, change.key) for change in self._changes}
            kept = [change for change in changes if (change.ns, change.key) not in newer]
            self._changes = kept + self._changes

    def _look(self, paths: set[str], now: float) -> None:
        gone: list[OutsideChange] = []
        changed: list[OutsideChange] = []
        reached: dict[str, bool] = {}
        for path in paths:
            damages: list[Damage] = []
            for found in self._guarded_files_at(path, damages):
                try:
                    self._look_at(found, reached, gone, changed, damages)
                except OSError as error:
                    damages.append(_unreadable(found.path, error))
            self._note(path, damages, now)
        bad = {damage.path: damage for damage in self._storage.files.damages()}
        if self._unfinished or bad:
            for path in paths:
                self._judge(path, bad.get(path), now)
        changes = gone + changed  # of a renamed file the removal comes first
        # If the folder itself is missing, its files were not removed one by one.
        if changes and self._storage.is_in_place():
            with self._lock:
                self._changes += changes
            self._found()
            return
        for change in changes:
            self._storage.files.forget_edit((change.ns, change.key))

    def _look_at(
        self,
        found: Found,
        reached: dict[str, bool],
        gone: list[OutsideChange],
        changed: list[OutsideChange],
        damages: list[Damage],
    ) -> None:
        """Examine one value's file; add the result to the lists.

        ``reached`` caches whether a namespace's folder is a plain folder and no link.
        """
        ns, files = found.entry_id[0], self._storage.files
        if ns not in reached:
            reached[ns] = self._storage.layout.is_reached(found.entry_id)
        stamp = self._disk.stamp(found.path) if reached[ns] else None
        if stamp is None:
            if files.note_missing(found):
                gone.append(OutsideChange(*found.entry_id, None))
        elif not files.is_ours(found.entry_id, stamp):
            value = self._read(found, damages)
            if value is not None:
                changed.append(OutsideChange(*found.entry_id, value))

    def _guarded_files_at(self, path: str, damages: list[Damage]) -> list[Found]:
        try:
            return self._files_at(path, damages)
        except OSError as error:
            damages.append(_unreadable(path, error))
            return []

    def _files_at(self, path: str, damages: list[Damage]) -> list[Found]:
        """Return the values' files at a touched path: the file itself, or all in a folder."""
        layout = self._storage.layout
        entry_id = layout.entry_id_of(path)
        if entry_id is not None:
            return [Found(entry_id, path)]
        damage = layout.damage_at(path)
        if damage is not None:
            damages.append(damage)
        ns = layout.namespace_of(path)
        if ns is None:
            return []
        known = list(self._storage.files.known(ns))
        if not self._disk.is_folder(path):
            return known
        return known + list(layout.scan_namespace(ns, path, damages))

    def _read(self, found: Found, damages: list[Damage]) -> bytes | None:
        """Read a value that others wrote; return None if it is damaged or not the key's file."""
        actual = self._storage.layout.actual(found.entry_id)
        if found.path != actual and self._disk.exists(actual):
            reason = f"another file holds the same key: {name_of(actual)}"
            damages.append(Damage(found.path, reason, DamageKind.CLASH))
            return None
        value = self._storage.files.read_edit(found)
        if value is not None:
            self._storage.files.take_over(found)
            self._storage.mirror.supersede(found.entry_id, value)
        return value

    def _note(self, path: str, damages: list[Damage], now: float) -> None:
        """Record the damages of an examined path, or that it has none."""
        if all(damage.path != path for damage in damages):
            self._storage.files.accept(path)
        for damage in damages:
            if self._storage.files.refuse(damage):
                self._complain(damage, now)

    def _judge(self, path: str, damage: Damage | None, now: float) -> None:
        """Schedule another try for a path that cannot be read, or report it as damaged."""
        tries, _ = self._unfinished.pop(path, (0, 0.0))
        if damage is None or self._storage.files.is_refused(path):
            return
        if tries + 1 < UNFINISHED_TRIES:
            self._unfinished[path] = (tries + 1, now + UNFINISHED_SECONDS)
        else:
            self._complain(damage, now)

    def _complain(self, damage: Damage, now: float) -> None:
        self._complaints.warn(f"{damage.display_path} is not taken over: {damage.reason}", now)


def _unreadable(path: str, error: OSError) -> Damage:
    return Damage(path, error.strerror or str(error), DamageKind.UNREADABLE)
