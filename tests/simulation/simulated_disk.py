"""A disk in memory that does everything a disk may do, and nothing it may not.

Every file and every name has the states it went through since it was last forced to the device.
When the power is cut, each of them is found in any of those states, whatever became of the others;
of what was being appended, any part may be there. When the process dies, all is as it was.

It fills up (a part is written, then ENOSPC), fails (EIO, with or without effect; a sync that failed
may have dropped what it was to force, and the next one does not tell), and stops before or within
any operation by raising `Stop`. Its clock jumps both ways, and other hands edit its files.
"""

import errno
import itertools
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from random import Random

from dunena.persistence.disk.disk import Draft, Names, Stamp, join, name_of, parent_of
from dunena.plain_files import FileKind, NotPlainError


class Stop(BaseException):
    """The process ends here; no error that anyone may handle."""


class _File:
    """The states of a file's content since it was forced to the device, that one included."""

    __slots__ = ("inode", "is_dropped", "modified_ns", "states")

    def __init__(self, inode: int, modified_ns: int) -> None:
        self.inode = inode
        self.modified_ns = modified_ns
        self.states = [b""]
        self.is_dropped = False

    @property
    def content(self) -> bytes:
        return self.states[-1]

    def force(self) -> None:
        # What the system forgot to write is written by nothing any more.
        del self.states[1 if self.is_dropped else 0 : -1]

    def drop(self) -> None:
        """A sync failed: the system takes for written what is not."""
        self.is_dropped = len(self.states) > 1

    def cut_power(self, random: Random) -> None:
        self.is_dropped = False
        index = random.randrange(len(self.states))
        content = self.states[index]
        if index + 1 < len(self.states) and self.states[index + 1].startswith(content):
            added = self.states[random.randrange(index + 1, len(self.states))]
            if added.startswith(content):
                content = _torn(content, added[len(content) :], random)
        self.states = [content]


def _torn(content: bytes, added: bytes, random: Random) -> bytes:
    at = random.randrange(len(added) + 1)
    if random.random() < 0.5:
        return content + added[:at]
    return content + bytes(at) + added[at:]  # a block that did not reach the device


FOLDER = object()


class _Stranger:
    """Something that is neither file nor folder."""

    def __init__(self, kind: FileKind, inode: int) -> None:
        self.kind = kind
        self.stamp = Stamp(inode, 0, 0)


_State = _File | _Stranger | object | None


class SimulatedDisk:
    """Implements `Disk`.

    ``operations_left`` counts down to a `Stop`; ``quota`` is what fits in bytes, ``failing`` the
    share of changing operations that end with EIO. While it ``is_away`` the root is not where it
    was: no path of it is there, and what is open still is.
    """

    def __init__(self, random: Random, root: str) -> None:
        self._random = random
        self._root = root
        self._names: dict[str, list[_State]] = {root: [FOLDER]}
        self._children: dict[str, dict[str, None]] = {root: {}}
        self._inodes = itertools.count(1)
        self._drafts = itertools.count()
        self._now_ns = 0
        self.operations_left = -1
        self.boots = 1
        self.quota: int | None = None
        self.failing = 0.0
        self.is_away = False
        self.was_made_anew = False  # the root, where there was none

    # --- what happens to it ---

    def cut_power(self) -> None:
        """Keep what was forced to the device, and of the rest what chance wants."""
        self.boots += 1
        for states in self._names.values():
            states[:] = [self._random.choice(states)]
        for name, states in self._names.items():
            parent = parent_of(name)
            if parent in self._names and self._names[parent][0] is not FOLDER:
                states[:] = [None]
            if isinstance(states[0], _File):
                states[0].cut_power(self._random)

    def files(self) -> dict[str, bytes]:
        """Every file there is now, by its path."""
        return {
            name: states[-1].content
            for name, states in self._names.items()
            if isinstance(states[-1], _File)
        }

    def set_clock(self, now_ns: int) -> None:
        """Every date from now on follows from it; it may be any."""
        self._now_ns = now_ns

    def edit(self, path: str, content: bytes | None, date_ns: int) -> None:
        """Another hand writes a file, or removes it for None; it is on the device."""
        if content is None:
            self._names[path] = [None]
            return
        self.make_folder(parent_of(path))
        file = _File(next(self._inodes), date_ns)
        file.states = [content]
        self._put(path, file)
        self._names[path] = [file]
        self._force_folders(path)

    def put_stranger(self, path: str, kind: FileKind) -> None:
        """Another hand puts something else than a file there; it is on the device."""
        self.make_folder(parent_of(path))
        state = FOLDER if kind is FileKind.FOLDER else _Stranger(kind, next(self._inodes))
        self._put(path, state)
        self._names[path] = [state]
        self._force_folders(path)

    def flip_bit(self, path: str) -> None:
        """A file is not as it was written."""
        file = self._file(path)
        content = bytearray(file.content)
        content[self._random.randrange(len(content))] ^= 1 << self._random.randrange(8)
        file.states = [bytes(content)]

    def _force_folders(self, path: str) -> None:
        for folder in (parent_of(path), parent_of(parent_of(path))):
            if folder in self._names:
                self._names[folder] = [FOLDER]

    # --- Disk ---

    def read(self, path: str, bytes_max: int | None = None) -> bytes:
        return self._file(path).content

    def read_stamped(self, path: str, bytes_max: int | None = None) -> tuple[bytes, Stamp]:
        file = self._file(path)
        return file.content, _stamp_of(file)

    def stamp(self, path: str) -> Stamp | None:
        found = self._now(path)
        if isinstance(found, _Stranger):
            return found.stamp
        if found is FOLDER:
            return Stamp(0, 0, 0)
        return _stamp_of(found) if isinstance(found, _File) else None

    def kind(self, path: str) -> FileKind | None:
        found = self._now(path)
        if found is None:
            return None
        if isinstance(found, _Stranger):
            return found.kind
        return FileKind.FOLDER if found is FOLDER else FileKind.FILE

    def is_link_to_folder(self, path: str) -> bool:
        return False

    def names(self, folder: str) -> Names:
        if self._now(folder) is not FOLDER:
            raise _error(errno.ENOENT)
        names = Names([], [], [])
        for path in self._children.get(folder, ()):
            state = self._names[path][-1]
            if isinstance(state, _Stranger):
                names.others.append(name_of(path))
            elif state is not None:
                (names.folders if state is FOLDER else names.files).append(name_of(path))
        return names

    def is_folder(self, path: str) -> bool:
        return self._now(path) is FOLDER

    def exists(self, path: str) -> bool:
        return self._now(path) is not None

    def make_folder(self, path: str) -> None:
        if self._now(path) is FOLDER:
            return
        if path == self._root:
            self.was_made_anew = True
            raise _error(errno.ENOENT)
        if self._now(parent_of(path)) is not FOLDER:
            raise _error(errno.ENOENT)
        self._change(lambda: self._put(path, FOLDER))

    def make_root(self, path: str) -> None:
        self.make_folder(path)

    def identity(self, folder: str) -> tuple[int, ...] | None:
        return (1,) if self._now(folder) is FOLDER else None

    def replace_file(self, path: str, content: bytes, temporary: str, *, sync: bool) -> Stamp:
        draft = self.write_draft(path, content, temporary, sync=sync)
        stamp = self.put_in_place(draft, path)
        if sync:
            self._change(lambda: self._force_names(parent_of(path)))
        return stamp

    def write_draft(
        self, path: str, content: bytes, temporary: str, *, sync: bool = False
    ) -> Draft:
        kind = self.kind(path)
        if kind not in (FileKind.FILE, None):
            raise NotPlainError(path, kind)
        draft = join(temporary, f"{next(self._drafts)}.tmp")
        file = self._new_file()
        self._change(lambda: self._put(draft, file))
        try:
            self._write(file, content)
            if sync:
                self._force(file)
        except OSError:
            with suppress(OSError):
                self._put(draft, None)
            raise
        return Draft(draft, _stamp_of(file))

    def put_in_place(self, draft: Draft, path: str) -> Stamp:
        try:
            self._change(lambda: self._move(draft.path, path))
        except OSError:
            self.discard(draft)
            raise
        return draft.stamp

    def discard(self, draft: Draft) -> None:
        with suppress(OSError):
            self._put(draft.path, None)

    def rename(self, source: str, target: str) -> None:
        self._change(lambda: self._move(source, target))

    def remove(self, path: str) -> None:
        if self.kind(path) is FileKind.FILE:
            self._change(lambda: self._put(path, None))

    def remove_folder(self, path: str) -> None:
        if any(self.names(path)):
            raise _error(errno.ENOTEMPTY)
        self._change(lambda: self._put(path, None))

    def append_to(self, path: str) -> "_AppendFile":
        if self._now(path) is None:
            self._change(lambda: self._put(path, self._new_file()))
        return _AppendFile(self, self._file(path))

    def sync(self, paths: Collection[str]) -> None:
        for path in sorted(paths):
            found = self._now(path)
            if isinstance(found, _File):
                self._force(found)
            elif found is FOLDER:
                self._change(lambda folder=path: self._force_names(folder))
        for folder in sorted({parent_of(path) for path in paths}):
            if self._now(folder) is FOLDER:
                self._change(lambda folder=folder: self._force_names(folder))

    # --- inside ---

    def _now(self, path: str) -> _State:
        states = self._names.get(path)
        return None if states is None or self.is_away else states[-1]

    def _file(self, path: str) -> _File:
        found = self._now(path)
        if isinstance(found, _Stranger):
            raise NotPlainError(path, found.kind)
        if found is FOLDER:
            raise NotPlainError(path, FileKind.FOLDER)
        if not isinstance(found, _File):
            raise _error(errno.ENOENT)
        return found

    def _new_file(self) -> _File:
        return _File(next(self._inodes), self._now_ns)

    def _put(self, path: str, state: _State) -> None:
        parent = parent_of(path)
        if self._now(parent) is not FOLDER:
            raise _error(errno.ENOENT)
        self._names.setdefault(path, [None]).append(state)
        self._children.setdefault(parent, {})[path] = None

    def _move(self, source: str, target: str) -> None:
        file = self._file(source)
        self._put(target, file)
        self._put(source, None)

    def _force_names(self, folder: str) -> None:
        for name in self._children.get(folder, ()):
            states = self._names[name]
            if states[-1] is None and FOLDER in states:
                self._force_names(name)  # a folder of that name would be another one
            del states[:-1]

    def _change(self, action: Callable[[], object]) -> None:
        self._now_ns += 1000
        self._count()
        if self.failing and self._random.random() < self.failing:
            if self._random.random() < 0.3:
                action()
            raise _error(errno.EIO)
        action()

    def _force(self, file: _File) -> None:
        try:
            self._change(file.force)
        except OSError:
            if self._random.random() < 0.5:
                file.drop()
            raise

    def _count(self) -> None:
        self.operations_left -= 1
        if self.operations_left == 0:
            raise Stop

    def _write(self, file: _File, data: bytes) -> None:
        self._now_ns += 1000
        fitting = len(data)
        reason: BaseException | None = None
        self.operations_left -= 1
        if self.operations_left == 0:
            reason = Stop()
        elif self.quota is not None and self.quota < len(data):
            reason, fitting = _error(errno.ENOSPC), self.quota
        elif self.failing and self._random.random() < self.failing:
            reason = _error(errno.EIO)
        if reason is not None:
            fitting = self._random.randrange(min(fitting, len(data) - 1) + 1)
        file.states.append(file.content + data[:fitting])
        file.modified_ns = self._now_ns
        if self.quota is not None:
            self.quota -= fitting
        if reason is not None:
            raise reason

    def _cut(self, file: _File, size: int) -> None:
        file.states.append(file.content[:size])


class _AppendFile:
    def __init__(self, disk: SimulatedDisk, file: _File) -> None:
        self._disk = disk
        self._file = file

    @property
    def inode(self) -> int:
        return self._file.inode

    def append(self, data: bytes) -> None:
        self._disk._write(self._file, data)

    def cut(self, size: int) -> None:
        self._disk._change(lambda: self._disk._cut(self._file, size))

    def sync(self) -> None:
        self._disk._force(self._file)

    def close(self) -> None:
        """Nothing to let go of."""


def _stamp_of(file: _File) -> Stamp:
    return Stamp(file.inode, file.modified_ns, len(file.content))


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
