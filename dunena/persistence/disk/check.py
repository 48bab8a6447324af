"""Checking and repairing a folder while no server uses it.

A check runs the code that opens a folder, on a disk that does not write; a repair runs it on the
real disk and then closes the folder cleanly. A repair never deletes a value: it moves files that
cannot be read to quarantine, and leaves two files for one key to the user's choice.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dunena.persistence.disk.disk import Disk, join
from dunena.persistence.disk.dry import DryDisk
from dunena.persistence.disk.files import SHORTENED, SHORTENED_DIGITS
from dunena.persistence.disk.folder_format import find_format
from dunena.persistence.disk.folder_lock import FolderLock, FolderLockedError
from dunena.persistence.disk.folder_storage import FolderStorage, describe
from dunena.persistence.disk.layout import Layout
from dunena.persistence.disk.paths import PRIVATE_FOLDER, extended, folds_case
from dunena.persistence.disk.quarantine import set_aside
from dunena.persistence.disk.real_disk import RealDisk
from dunena.persistence.disk.records import Records
from dunena.persistence.interface import Damage, DamageKind, InUseError, Loaded, OpenError
from dunena.persistence.policy import Fsync
from dunena.store.limits import VALUE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class JournalFound:
    """The journal's files. ``commits`` are those that the values' files may not show yet.

    ``torn_bytes`` is the size of an incomplete commit at the end; ``ignored`` segments come after a
    missing part.
    """

    segments: int = 0
    bytes: int = 0
    commits: int = 0
    keys_behind: int = 0
    torn_bytes: int = 0
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Findings:
    """The content of a folder; all paths are relative to it. ``bytes`` is the size of all values.

    ``format`` is the version of the folder's format, 0 if it has no record of that, and ``older``
    are files that a start would write anew to bring it to the present one.
    ``doubts`` are names with ``%XX`` that may be meant literally, in a folder that no server has
    used yet. ``foreign`` files are no values and are ignored. All fields after ``foreign`` are
    faults.
    """

    folder: str
    keys: int
    bytes: int
    namespaces: list[str]
    expiring: int
    revision: int
    format: int
    journal: JournalFound
    doubts: list[str]
    foreign: list[str]
    renamings: list[str]
    older: list[str]
    damaged: list[Damage]
    clashes: list[Damage]
    drafts: list[str]
    stale_expiries: list[str]
    stale_names: list[str]

    @property
    def is_in_order(self) -> bool:
        """Whether the folder has no faults."""
        return not (self.steps or self.clashes or self.damaged)

    @property
    def steps(self) -> list[str]:
        """The steps that a repair would take, as texts."""
        journal = self.journal
        steps = [f"rename {renaming}" for renaming in self.renamings]
        steps += [f"write {path} anew in the present format" for path in self.older]
        if journal.commits:
            steps.append(f"bring {_count(journal.keys_behind, 'key')} of the journal to files")
        if journal.torn_bytes:
            steps.append(f"cut {_count(journal.torn_bytes, 'byte')} of an unfinished write")
        moved = journal.ignored + [damage.path for damage in self.damaged if _is_movable(damage)]
        steps += [f"move {path} to {PRIVATE_FOLDER}/quarantine/" for path in moved]
        steps += [f"remove {path}" for path in self.drafts + self.stale_expiries + self.stale_names]
        return steps


def check(folder: Path, value_bytes_max: int = VALUE_BYTES_MAX) -> Findings:
    """Return what is in a folder, without changing it; raise `OpenError`."""
    root = extended(folder)
    with _alone(root):
        return _look(root, value_bytes_max)


def repair(folder: Path, value_bytes_max: int = VALUE_BYTES_MAX) -> Findings:
    """Do the steps that `check` finds; return what is found afterwards. Raise `OpenError`."""
    root = extended(folder)
    with _alone(root):
        try:
            _mend(root, _look(root, value_bytes_max), value_bytes_max)
        except OSError as error:
            raise OpenError(f"cannot repair {root}: {describe(error, root)}") from error
        return _look(root, value_bytes_max)


def read(folder: Path, value_bytes_max: int = VALUE_BYTES_MAX) -> tuple[Loaded, list[Damage]]:
    """Return the entries of a folder and what cannot be read, without changing it.

    Raise `OpenError`.
    """
    root = extended(folder)
    with _alone(root):
        storage = FolderStorage(DryDisk(), root, root / PRIVATE_FOLDER, Fsync.NO, value_bytes_max)
        try:
            storage.prepare()
            loaded = storage.open(folds_case=_seems_to_fold_case(root))
        except OSError as error:
            raise OpenError(f"cannot read {root}: {describe(error, root)}") from error
        return loaded, storage.damages()


def find_user(folder: Path) -> InUseError | None:
    """Return the error of `check` if a server uses the folder; None if none does.

    Raise `OpenError` if the folder cannot be locked.
    """
    root = extended(folder)
    if not root.is_dir():
        return None
    try:
        with _alone(root):
            return None
    except InUseError as error:
        return error


def find_version(folder: Path) -> int | None:
    """Return the version of a folder's format, 0 if it has no record of that; None for no folder.

    Also for one that no server has used. Raise `FormatError`, or OSError if it cannot be read.
    """
    root = extended(folder)
    private = root / PRIVATE_FOLDER
    if not private.is_dir():
        return None
    return find_format(Records(RealDisk(), str(private)), str(root)).version


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Lock the folder, if a server has ever used it; raise `InUseError` if one uses it now."""
    private = root / PRIVATE_FOLDER
    if not root.is_dir():
        raise OpenError(f"there is no folder {root}")
    if not private.is_dir():
        yield
        return
    lock = FolderLock(private / "lock")
    try:
        lock.acquire()
    except FolderLockedError:
        url = Records(RealDisk(), str(private)).load_address()
        where = f" ({url})" if url else ""
        raise InUseError(f"a dunena{where} is using {root}; stop it first", url) from None
    except OSError as error:
        raise OpenError(f"cannot lock {root}: {describe(error, root)}") from error
    try:
        yield
    finally:
        lock.release()


def _look(root: Path, value_bytes_max: int) -> Findings:
    private, disk = root / PRIVATE_FOLDER, DryDisk()
    storage = FolderStorage(disk, root, private, Fsync.NO, value_bytes_max)
    folds = _seems_to_fold_case(root)
    try:
        storage.prepare()
        loaded = storage.open(folds_case=folds)
        layout = storage.layout
        damages = [
            Damage(_relative(root, damage.path), damage.reason, damage.kind)
            for damage in storage.damages()
        ]
        return Findings(
            folder=str(root).removeprefix("\\\\?\\"),
            keys=len(loaded.entries),
            bytes=sum(len(entry.value) for entry in loaded.entries),
            namespaces=sorted({entry.ns for entry in loaded.entries} - {""}),
            expiring=sum(entry.expires_at is not None for entry in loaded.entries),
            revision=loaded.revision,
            format=storage.format.version,
            older=[_relative(root, path) for path in storage.renewed],
            journal=_journal(root, storage),
            foreign=sorted(_foreign(root, layout)),
            renamings=[
                f"{_relative(root, one.path)} to {Path(one.target).name}, since its key has the %"
                for one in storage.takeover.renamings
            ],
            doubts=[
                f"{_relative(root, one.path)} is read as the key {one.key}"
                for one in storage.takeover.doubts
            ],
            damaged=[damage for damage in damages if damage.kind is not DamageKind.CLASH],
            clashes=[damage for damage in damages if damage.kind is DamageKind.CLASH],
            drafts=_names(root, disk, storage.records.temporary),
            stale_expiries=_stale_expiries(root, storage.records, layout, loaded),
            stale_names=_stale_names(root, disk, storage.records),
        )
    except OSError as error:
        raise OpenError(f"cannot read {root}: {describe(error, root)}") from error


def _mend(root: Path, found: Findings, value_bytes_max: int) -> None:
    private, disk = root / PRIVATE_FOLDER, RealDisk()
    disk.make_folder(str(private))
    storage = FolderStorage(disk, root, private, Fsync.ALWAYS, value_bytes_max)
    storage.prepare()  # removes drafts
    storage.open(folds_case=folds_case(private))  # cuts a torn end, moves ignored segments
    storage.close(time.monotonic())  # brings the files up to date
    # Files that a change of the journal replaced are in quarantine already.
    for damage in found.damaged:
        path = str(root / damage.path)
        if _is_movable(damage) and path in {now.path for now in storage.files.damages()}:
            set_aside(disk, path, str(private / "quarantine"))
    again = _look(root, value_bytes_max)
    for name in again.stale_expiries + again.stale_names:
        disk.remove(str(root / name))


def _journal(root: Path, storage: FolderStorage) -> JournalFound:
    folder, replay = Path(storage.journal.folder), storage.replay
    segments = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    return JournalFound(
        segments=len(segments),
        bytes=sum(path.stat().st_size for path in segments),
        commits=len(replay.commits),
        keys_behind=storage.mirror.behind_count,
        torn_bytes=replay.dropped_bytes,
        ignored=[_relative(root, path) for path in replay.unreadable],
    )


def _foreign(root: Path, layout: Layout) -> Iterator[str]:
    """Yield the files that are neither values nor belong to the server."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        if here == root and PRIVATE_FOLDER in folders:
            folders.remove(PRIVATE_FOLDER)
        for name in files:
            path = here / name
            if layout.entry_id_of(str(path)) is None:
                yield _relative(root, path)


def _stale_expiries(root: Path, records: Records, layout: Layout, loaded: Loaded) -> list[str]:
    """Return the expiry records without a matching value."""
    wanted = {
        layout.relative((entry.ns, entry.key))
        for entry in loaded.entries
        if entry.expires_at is not None
    }
    expiries, unreadable = records.load_expiries()
    stale = [records.expiry_path(name) for name in expiries if name not in wanted]
    stale += [damage.path for damage in unreadable]
    return sorted(_relative(root, path) for path in stale)


def _stale_names(root: Path, disk: Disk, records: Records) -> list[str]:
    """Return the records of long names that no file or folder, also in quarantine, needs."""
    used = {
        name.partition(SHORTENED)[2][:SHORTENED_DIGITS]
        for _, folders, files in os.walk(root)
        for name in folders + files
    }
    return [path for path in _names(root, disk, records.names) if Path(path).name not in used]


def _names(root: Path, disk: Disk, folder: str) -> list[str]:
    return sorted(_relative(root, join(folder, name)) for name in disk.names(folder).files)


def _is_movable(damage: Damage) -> bool:
    return damage.kind is DamageKind.CONTENT


def _relative(root: Path, path: Path | str) -> str:
    return Path(path).relative_to(root).as_posix()


def _seems_to_fold_case(root: Path) -> bool:
    """Return whether the file system folds case, found without writing a file."""
    swapped = root.with_name(root.name.swapcase())
    return swapped != root and swapped.exists() and swapped.samefile(root)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
