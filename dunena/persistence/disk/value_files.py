"""The values' files: reading them at the start, writing and removing them later.

One thread at a time uses them: the server's until the engine is open, then the engine's own. So the
stamp alone distinguishes a file that this server wrote from one that others wrote.
A value's file and its expiry record are two files; the record is written first and has a checksum
of the value, so that it is never used for another value.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from dunena.persistence.disk.disk import Disk, Draft, Stamp, join, parent_of
from dunena.persistence.disk.freeing import free_gradually
from dunena.persistence.disk.journal_format import FileStep
from dunena.persistence.disk.layout import Found, Layout
from dunena.persistence.disk.quarantine import set_aside
from dunena.persistence.disk.records import Expiry, Records, checksum
from dunena.persistence.disk.stamps import StampTable
from dunena.persistence.interface import Damage, DamageKind, Progress
from dunena.plain_files import FileKind, FileTooLargeError, NotPlainError
from dunena.store.entry import Entry, EntryId
from dunena.store.limits import VALUE_BYTES_MAX
from dunena.store.values import (
    InvalidJsonError,
    decode_file,
    encode,
    encode_readable,
    file_bytes_max,
    text_size,
)

ENTRIES_PER_PROGRESS = 100
"""Files between two reports of progress, some ms of work, at which a start can be cancelled."""


class PreparedFile(NamedTuple):
    """A prepared change of a file: a draft replaces it, or it is removed if there is no draft."""

    step: FileStep
    draft: Draft | None
    expires: bool


class _Edit(NamedTuple):
    """What others did to a file, as last found: what they wrote, or that they removed it."""

    value: bytes | None
    stamp: Stamp | None


_REMOVAL = _Edit(None, None)


class _Unsynced(Collection[str]):
    """The paths of what is to be forced to the device.

    Those of the values' files are very many after an import. Only their keys are kept, which are
    the objects that the stamps have: a path is made when it is asked for, and many systems force
    so many files in one call without their paths.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._keys: dict[str, set[str]] = {}  # by namespace, of files with their canonical names
        self.paths: set[str] = set()  # others

    def add(self, entry_id: EntryId) -> None:
        """Add the file of a key that has its canonical name."""
        ns, key = entry_id
        keys = self._keys.get(ns)
        if keys is None:
            keys = self._keys[ns] = set()
        keys.add(key)

    def free(self) -> None:
        """Forget all of them."""
        for keys in (self.paths, *self._keys.values()):
            free_gradually(keys)

    def __len__(self) -> int:
        return len(self.paths) + sum(map(len, self._keys.values()))

    def __iter__(self) -> Iterator[str]:
        yield from self.paths
        for ns, keys in self._keys.items():
            for key in keys:
                yield self._layout.canonical((ns, key))

    def __contains__(self, path: object) -> bool:
        return any(path == one for one in self)


class ValueFiles:
    """Reads and writes the values' files of a layout; methods raise OSError as the disk does.

    ``stamps`` are those of the files as last seen or written; the server's thread reads them too.
    """

    def __init__(
        self,
        disk: Disk,
        layout: Layout,
        records: Records,
        stamps: StampTable,
        value_bytes_max: int = VALUE_BYTES_MAX,
    ) -> None:
        self._disk = disk
        self._value_bytes_max = value_bytes_max
        self._file_bytes_max = file_bytes_max(value_bytes_max)
        self._layout = layout
        self._records = records
        self._quarantine = join(records.folder, "quarantine")
        self._stamps = stamps
        self._edits: dict[EntryId, _Edit] = {}  # those that this server has not replaced
        self._foreign: set[EntryId] = set()  # keys whose file others wrote
        self._expiring: set[EntryId] = set()
        self._unsynced = _Unsynced(layout)  # what `sync` is to force to the device
        self._damaged: dict[EntryId, tuple[Damage, Stamp | None]] = {}  # with the stamp when read
        self._unreadable: dict[str, Damage] = {}  # found when the whole folder was last examined
        self._refused: dict[str, Damage] = {}  # paths that could not be examined since

    # --- reading ---

    def load(self, revision: int, progress: Progress | None = None) -> list[Entry]:
        """Read every entry of the folder, with ``revision``; record damages, change nothing."""
        expiries, damages = self._records.load_expiries()
        entries = []
        for found in self._layout.scan(damages):
            value = self.read(found)
            if value is None:
                continue
            self._layout.adopt(found)
            entry = Entry(*found.entry_id, value, None, revision)
            if expiries:
                self._add_expiry(entry, expiries)
            entries.append(entry)
            if progress is not None and len(entries) % ENTRIES_PER_PROGRESS == 0:
                progress(len(entries))
        self._expiring.update(self._places_of(expiries))
        self._unreadable = {damage.path: damage for damage in damages}
        return entries

    def read(self, found: Found) -> bytes | None:
        """Read the encoded value in a file; record a damage and return None if it is invalid."""
        value, stamp = self._read_stamped(found)
        if stamp is not None:
            self._stamps.set(found.entry_id, stamp)
        return value

    def read_edit(self, found: Found) -> bytes | None:
        """Read as `read` does what others wrote; `settle_edit` must follow.

        Until then a change that is committed is one before the edit, so the journal must not say
        that the file was known with it.
        """
        value, stamp = self._read_stamped(found)
        if value is not None and stamp is not None:
            self._edits[found.entry_id] = _Edit(value, stamp)
        return value

    @property
    def has_edits(self) -> bool:
        """Whether others changed files that this server has not written since."""
        return bool(self._edits)

    def settle_edit(self, entry_id: EntryId, value: bytes) -> None:
        """Record that a ``value`` that others wrote is the store's; for the server's thread."""
        edit = self._edits.get(entry_id)
        if edit is not None and edit.stamp is not None and edit.value == value:
            self._stamps.set(entry_id, edit.stamp)

    def forget_edit(self, entry_id: EntryId) -> None:
        """Record that what others did was not reported, so that it is found again."""
        self._edits.pop(entry_id, None)

    def _read_stamped(self, found: Found) -> tuple[bytes | None, Stamp | None]:
        """Return the value and the stamp of a file; None twice if it is invalid."""
        stamp: Stamp | None = None
        try:
            content, stamp = self._disk.read_stamped(found.path, self._file_bytes_max)
            value = encode(decode_file(content))
            if len(value) > self._value_bytes_max < text_size(value):
                raise FileTooLargeError(found.path, self._value_bytes_max)
        except (OSError, InvalidJsonError) as error:
            self._damaged[found.entry_id] = _damage(found.path, error), stamp
            return None, None
        if self._damaged:
            self._damaged.pop(found.entry_id, None)
        return value, stamp

    def damaged_places(self) -> list[EntryId]:
        """Return the keys whose file cannot be read."""
        return list(self._damaged)

    def damages(self) -> list[Damage]:
        """Return the files that cannot be read and were left in place; any thread may call it."""
        found = self._unreadable | self._refused
        found |= {damage.path: damage for damage, _ in list(self._damaged.values())}
        return list(found.values())

    def looked_at_everything(self, damages: list[Damage]) -> list[Damage]:
        """Record the damages of an examination of everything; return those not known before."""
        before = self._unreadable
        records = {p: one for p, one in before.items() if one.kind is DamageKind.RECORD}
        self._unreadable = records | {damage.path: damage for damage in damages}
        return [damage for damage in damages if before.get(damage.path) != damage]

    def refuse(self, damage: Damage) -> bool:
        """Record that a path could not be examined; return whether that is new."""
        is_new = damage not in (
            self._refused.get(damage.path),
            self._unreadable.get(damage.path),
        )
        # A new dict, as another thread may be iterating over the present one.
        self._refused = self._refused | {damage.path: damage}
        return is_new

    def is_refused(self, path: str) -> bool:
        """Return whether a path could not be examined the last time."""
        return path in self._refused

    def accept(self, path: str) -> None:
        """Record that a path could be examined; damages of keys are recorded elsewhere."""
        if path in self._refused:
            self._refused = {p: one for p, one in self._refused.items() if p != path}
        if path in self._unreadable:
            self._unreadable = {p: one for p, one in self._unreadable.items() if p != path}

    # --- writing ---

    def prepare(
        self, entry_id: EntryId, entry: Entry | None, *, from_disk: bool
    ) -> PreparedFile | None:
        """Prepare to write an entry to a key's file, or to remove the file for None.

        ``from_disk``: the change was read from the file. If the file is still as others left it,
        nothing has to be written and None is returned.
        """
        if from_disk and self._is_shown(entry_id, entry):
            self._drop_expiry(entry_id)
            return None
        self._set_damage_aside(entry_id)
        before = self._stamps.get(entry_id)
        if entry is None:
            return PreparedFile(FileStep(entry_id, before, None), None, expires=False)
        if entry.expires_at is not None:
            self._expiring.add(entry_id)
            name = self._layout.relative(entry_id)
            path = self._records.keep_expiry(name, entry.expires_at, entry.value, entry.then)
            self._unsynced.paths.add(path)
        path, content = self._layout.canonical(entry_id), encode_readable(entry.value)
        draft = self._disk.write_draft(path, content, self._records.temporary)
        step = FileStep(entry_id, before, draft.stamp)
        return PreparedFile(step, draft, expires=entry.expires_at is not None)

    def put_in_place(self, file: PreparedFile) -> FileStep:
        """Replace or remove the file; return the step. Discard the draft if that fails."""
        entry_id = file.step.entry_id
        if file.draft is None:
            self._remove(entry_id)
            return file.step
        path = self._layout.canonical(entry_id)
        self._note_unsynced(entry_id, path)
        try:
            # Not earlier: the changes in between may remove an empty folder.
            self._layout.make_way(entry_id)
            stamp = self._disk.put_in_place(file.draft, path)
        except OSError:
            # It may be there all the same, and must not be taken for another hand's then.
            with suppress(OSError):
                if self._disk.stamp(path) == file.draft.stamp:
                    self._stamps.set(entry_id, file.draft.stamp)
            self.discard(file)
            raise
        self._stamps.set(entry_id, stamp)
        self._edits.pop(entry_id, None)
        self._foreign.discard(entry_id)
        if not file.expires:
            self._drop_expiry(entry_id)
        alias = self._layout.forget_alias(entry_id)
        if alias is not None:
            self._disk.remove(alias)
        return file.step._replace(after=stamp)

    def discard(self, file: PreparedFile) -> None:
        """Remove the draft of a prepared change."""
        if file.draft is not None:
            self._disk.discard(file.draft)

    def sync(self) -> None:
        """Force the written files to the device."""
        self._disk.sync(self._unsynced)
        unsynced, self._unsynced = self._unsynced, _Unsynced(self._layout)
        unsynced.free()

    def doubt(self, entry_ids: Iterable[EntryId]) -> None:
        """Let the next sync force files to the device that an earlier run may not have forced."""
        for entry_id in entry_ids:
            self._note_unsynced(entry_id, self._layout.actual(entry_id))

    def name_of(self, entry_id: EntryId) -> str:
        """Return the path of a key's file below the root, for messages."""
        return self._layout.relative(entry_id)

    # --- what is known ---

    def is_ours(self, entry_id: EntryId, stamp: Stamp) -> bool:
        """Return whether a key's file has the stamp with which it was last written or read."""
        edit = self._edits.get(entry_id)
        return stamp == (self._stamps.get(entry_id) if edit is None else edit.stamp)

    def is_known(self, found: Found) -> bool:
        """Return whether a file was written or read at a path, and was not found to be gone."""
        edit = self._edits.get(found.entry_id)
        is_known = self._stamps.has(found.entry_id) if edit is None else edit is not _REMOVAL
        return is_known and found.path == self._layout.actual(found.entry_id)

    def is_new(self, found: Found) -> bool:
        """Return whether a file was neither read nor found damaged before."""
        _, stamp = self._damaged.get(found.entry_id, (None, None))
        if stamp is not None and stamp == self._disk.stamp(found.path):
            return False
        return not self.is_known(found)

    def known(self, ns: str | None = None) -> Iterator[Found]:
        """Yield the files that were written or read, of one namespace or all, in any order.

        A file that is added or removed during the iteration may be included or not.
        """
        for entry_id in self._stamps.entry_ids(ns):
            yield Found(entry_id, self._layout.actual(entry_id))
        for entry_id in list(self._edits):
            if (ns is None or entry_id[0] == ns) and not self._stamps.has(entry_id):
                yield Found(entry_id, self._layout.actual(entry_id))

    def take_over(self, found: Found) -> None:
        """Record that others wrote the file that was just read."""
        self._layout.adopt(found)
        self._foreign.add(found.entry_id)

    def note_missing(self, found: Found) -> bool:
        """Record that there is no file at a path; return whether that is a removal by others.

        It is one only once: another would take away what was written under the key meanwhile.
        """
        self._damaged.pop(found.entry_id, None)
        if not self.is_known(found):
            return False
        self._edits[found.entry_id] = _REMOVAL
        return True

    # --- inside ---

    def _add_expiry(self, entry: Entry, expiries: dict[str, Expiry]) -> None:
        """Give a loaded entry its expiry, if there is one for its value; take that out."""
        entry_id = (entry.ns, entry.key)
        expiry = expiries.pop(self._layout.relative(entry_id), None)
        if expiry is None:
            return
        self._expiring.add(entry_id)
        if expiry.checksum == checksum(entry.value):
            entry.expires_at, entry.then = expiry.expires_at, expiry.then

    def _places_of(self, names: Iterable[str]) -> Iterator[EntryId]:
        """Yield the keys of records whose files were not read: a killed run wrote these first.

        They must go with the next write of the key, or they would count for it if it has the value
        that they were written for.
        """
        for name in names:
            folder, _, file = name.rpartition("/")
            root = self._layout.root
            entry_id = self._layout.entry_id_of(join(join(root, folder) if folder else root, file))
            if entry_id is not None:
                yield entry_id

    def _is_shown(self, entry_id: EntryId, entry: Entry | None) -> bool:
        """Return whether the file is as others left it and this server has not written since.

        The file is not read: others may be changing it again at this moment, and their new content
        must not be taken for the server's.
        """
        path = self._layout.actual(entry_id)
        self._unsynced.paths.add(path)  # others may not have forced it to the device
        stamp = self._disk.stamp(path)
        if entry is None and stamp is None:
            self._stamps.discard(entry_id)
            self._edits.pop(entry_id, None)
            return True
        if stamp != self._stamps.get(entry_id):
            return True  # others have changed it again, which will be reported
        return entry_id in self._foreign

    def _remove(self, entry_id: EntryId) -> None:
        path = self._layout.actual(entry_id)
        if self._layout.is_reached(entry_id):
            try:
                self._disk.remove(path)
            except OSError:
                with suppress(OSError):  # it may be gone all the same
                    if self._disk.stamp(path) is None:
                        self._stamps.discard(entry_id)
                raise
        self._foreign.discard(entry_id)
        self._edits.pop(entry_id, None)
        self._stamps.discard(entry_id)
        self._note_unsynced(entry_id, path)
        self._layout.forget_alias(entry_id)
        self._layout.drop_folder(entry_id[0])
        self._drop_expiry(entry_id)

    def _note_unsynced(self, entry_id: EntryId, path: str) -> None:
        """Let the next sync force a key's file to the device, at its canonical or actual path."""
        if self._layout.has_alias(entry_id):
            self._unsynced.paths.add(path)
        else:
            self._unsynced.add(entry_id)
        if entry_id[0]:
            self._unsynced.paths.add(
                parent_of(path)
            )  # the namespace's folder may be new, or removed

    def _drop_expiry(self, entry_id: EntryId) -> None:
        if entry_id in self._expiring:
            self._unsynced.paths.add(self._records.drop_expiry(self._layout.relative(entry_id)))
            self._expiring.discard(entry_id)

    def _set_damage_aside(self, entry_id: EntryId) -> None:
        """Move a damaged file to quarantine before its key is written or removed.

        Anything but a plain file stays in place and stays reported as damage.
        """
        if entry_id not in self._damaged:
            return
        damage, _ = self._damaged[entry_id]
        kind = self._disk.kind(damage.path)
        if kind is FileKind.FILE:
            set_aside(self._disk, damage.path, self._quarantine)
        if kind in (FileKind.FILE, None):
            del self._damaged[entry_id]


def _damage(path: str, error: OSError | InvalidJsonError) -> Damage:
    reason = error.strerror if isinstance(error, OSError) else None
    kind = DamageKind.CONTENT
    if isinstance(error, NotPlainError):
        kind = DamageKind.STRANGER
    elif isinstance(error, FileTooLargeError):
        kind = DamageKind.SIZE
    return Damage(path, reason or str(error), kind)
