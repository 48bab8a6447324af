"""A keeper with a store and no threads: time passes, and files follow, when a test says so."""

import errno
import json
import os
from collections.abc import Callable, Collection
from pathlib import Path

import orjson

from dunena.persistence.disk.disk import AppendFile, Draft, Names, Stamp
from dunena.persistence.disk.folder_storage import FolderStorage
from dunena.persistence.disk.paths import folds_case
from dunena.persistence.disk.real_disk import RealDisk
from dunena.persistence.policy import Fsync
from dunena.store.entry import Change
from dunena.store.limits import VALUE_BYTES_MAX
from dunena.store.store import Store


class FlakyDisk(RealDisk):
    """The real one; ``fail`` says of an operation's name and path whether it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.fail: Callable[[str, Path], bool] = lambda _name, _path: False
        self.error = errno.ENOSPC
        self.done: list[tuple[str, Path]] = []

    def _try(self, name: str, text: str) -> None:
        self._look(name, text)
        self.done.append((name, Path(text)))

    def _look(self, name: str, text: str) -> None:
        if self.fail(name, Path(text)):
            raise OSError(self.error, os.strerror(self.error))

    def put_in_place(self, draft: Draft, path: str) -> Stamp:
        try:
            self._try("replace", path)
        except OSError:
            self.discard(draft)
            raise
        return super().put_in_place(draft, path)

    def names(self, folder: str) -> Names:
        self._look("names", folder)
        return super().names(folder)

    def stamp(self, path: str) -> Stamp | None:
        self._look("stamp", path)
        return super().stamp(path)

    def rename(self, source: str, target: str) -> None:
        self._try("rename", source)
        super().rename(source, target)

    def remove(self, path: str) -> None:
        self._try("remove", path)
        super().remove(path)

    def sync(self, paths: Collection[str]) -> None:
        for path in sorted(paths):
            self._try("sync", path)
        super().sync(paths)

    def append_to(self, path: str) -> AppendFile:
        self._try("open", path)
        return _FlakyAppendFile(self, path, super().append_to(path))


class _FlakyAppendFile:
    def __init__(self, disk: FlakyDisk, path: str, file: AppendFile) -> None:
        self._disk = disk
        self._path = path
        self._file = file

    @property
    def inode(self) -> int:
        return self._file.inode

    def append(self, data: bytes) -> None:
        try:
            self._disk._try("append", self._path)
        except OSError:
            self._file.append(data[: len(data) // 2])
            raise
        self._file.append(data)

    def cut(self, size: int) -> None:
        self._disk._try("cut", self._path)
        self._file.cut(size)

    def sync(self) -> None:
        self._disk._try("sync", self._path)
        self._file.sync()

    def close(self) -> None:
        self._file.close()


class Kept:
    """A store whose changes a keeper keeps, and that can be opened again; ``now`` in seconds."""

    def __init__(
        self,
        folder: Path,
        fsync: Fsync = Fsync.NO,
        *,
        folds: bool | None = None,
        value_bytes_max: int = VALUE_BYTES_MAX,
        fail: Callable[[str, Path], bool] | None = None,
        step_ms: int = 0,
    ) -> None:
        self.folder = folder
        self.fsync = fsync
        self.folds = folds
        self.now = 1000.0
        self.disk = FlakyDisk()
        self.disk.fail = fail or self.disk.fail
        private = folder / ".dunena"
        private.mkdir(parents=True, exist_ok=True)
        self.step_ms = step_ms  # of the wall clock since this start
        self.storage = FolderStorage(
            self.disk, folder, private, fsync, value_bytes_max, wall_step_ms=lambda: self.step_ms
        )
        self.storage.prepare()
        is_folding = folds_case(private) if folds is None else folds
        loaded = self.storage.open(folds_case=is_folding)
        self.changes: list[Change] = []
        self.store = Store(self.changes.append)
        self.store.load(loaded.entries, loaded.revision)

    def set(
        self,
        key: str,
        value: object,
        ns: str = "",
        expires_at: int | None = None,
        then: object = None,
    ) -> None:
        """A change that `commit` will keep; ``then`` is None for none."""
        encoded = None if then is None else orjson.dumps(then)
        self.store.set(ns, key, orjson.dumps(value), expires_at, then=encoded)

    def append(self) -> None:
        """Keep what was changed, in the journal alone; a refusal is raised and undoes it."""
        changes, self.changes[:] = list(self.changes), []
        try:
            self.storage.append(changes)
        except OSError:
            self.store.undo(changes)
            raise
        self.storage.enqueue(changes)

    def step(self, seconds: float = 0.0) -> float | None:
        """Let time pass and files follow."""
        self.now += seconds
        return self.storage.step(self.now)

    def commit(self) -> None:
        """Keep what was changed, in files too."""
        self.append()
        self.step(2.0)

    def values(self) -> dict[tuple[str, str], object]:
        """Everything in the store."""
        return {(e.ns, e.key): json.loads(e.value) for e in self.store.entries()}

    def close(self) -> None:
        """A clean stop."""
        self.storage.close(self.now)

    def again(self) -> "Kept":
        """A clean stop and a start."""
        self.close()
        return self.reopened()

    def crash(self) -> "Kept":
        """The process dies, and the next one starts."""
        self.storage.journal.close()  # the system does this; nothing else is done
        return self.reopened()

    def reopened(self) -> "Kept":
        """The next process."""
        return Kept(self.folder, self.fsync, folds=self.folds)

    def files(self) -> frozenset[str]:
        """Every file in the folder that is not hidden away."""
        return frozenset(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file() and ".dunena" not in path.parts
        )

    def journal(self) -> list[Path]:
        """The segments there are."""
        return sorted((self.folder / ".dunena" / "journal").iterdir())

    def read(self, name: str) -> object:
        """The value in a file."""
        return json.loads((self.folder / name).read_text("utf-8"))
