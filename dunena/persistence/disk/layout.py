"""The file of each key in a folder, including files that others named.

A key's *canonical* file name is computed from its name alone. A file that others made under a
different name of the same key (``Foo.json`` if case is folded, a name in raw Unicode) is read too;
this module stores its name as the key's *alias* until the key is set again. Aliases are few; keys
without one need no memory here.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from dunena.persistence.disk.disk import Disk, Names, join, name_of, parent_of
from dunena.persistence.disk.files import (
    SUFFIX,
    FileName,
    decode_file_name,
    is_plain,
    is_value_file_name,
    key_file_name,
    namespace_folder_name,
    record_of,
)
from dunena.persistence.disk.records import Records
from dunena.persistence.interface import Damage, DamageKind
from dunena.plain_files import FileKind
from dunena.store.entry import EntryId
from dunena.store.names import has_control_character, is_name

KEY_NAMES_MAX = 256
"""File names that are remembered: writing a key's file asks for its name several times, and some
tens of files are written together."""


class Found(NamedTuple):
    """A value's file in the folder and its key.

    ``is_regular``: its name is known to be the canonical one; if False, it may be an alias.
    """

    entry_id: EntryId
    path: str
    is_regular: bool = False


class Layout:
    """Maps keys to paths below ``root`` and back; no path is outside it."""

    def __init__(self, disk: Disk, root: str, records: Records, *, folds_case: bool) -> None:
        self._disk = disk
        self.root = root
        self.folds_case = folds_case
        self._records = records
        self._key_names = lru_cache(KEY_NAMES_MAX)(key_file_name)
        self._folder_aliases: dict[str, str] = {}  # namespace -> name of its folder
        self._file_aliases: dict[EntryId, str] = {}  # entry id -> name of its file
        self._alias_owners: dict[tuple[str, str], EntryId] = {}  # (ns, folded name) -> entry id

    # --- from a key to its file ---

    def canonical(self, entry_id: EntryId) -> str:
        """Return the path at which a key is written."""
        return join(self.folder(entry_id[0]), self._key_name(entry_id[1]).text)

    def actual(self, entry_id: EntryId) -> str:
        """Return the path at which a key is read: that of its alias if it has one."""
        alias = self._file_aliases.get(entry_id)
        return self.canonical(entry_id) if alias is None else join(self.folder(entry_id[0]), alias)

    def has_alias(self, entry_id: EntryId) -> bool:
        """Return whether a key is read at another path than it is written at."""
        return entry_id in self._file_aliases

    def relative(self, entry_id: EntryId) -> str:
        """Return the canonical path below the root, with slashes on every system, for records."""
        ns, key = entry_id
        name = self._key_name(key).text
        return f"{self._namespace_name(ns).text}/{name}" if ns else name

    def folder(self, ns: str) -> str:
        """Return the folder of a namespace; the root for none."""
        if not ns:
            return self.root
        alias = self._folder_aliases.get(ns)
        return join(self.root, self._namespace_name(ns).text if alias is None else alias)

    def make_way(self, entry_id: EntryId) -> None:
        """Prepare for writing a key: make its folder, and move another key's alias away.

        Raise OSError; `NotADirectoryError` if a namespace's folder is a link, since writing through
        it would leave the root.
        """
        ns, key = entry_id
        if ns:
            self._make_folder(ns)
        name = self._key_name(key)
        if name.record:
            self._records.keep_name(name.record, key)
        owner = self._alias_owners.get((ns, self._folded(name.text)))
        if owner is not None and owner != entry_id:
            self._disk.rename(self.actual(owner), self.canonical(owner))
            self.forget_alias(owner)

    def drop_folder(self, ns: str) -> None:
        """Remove a namespace's folder if it is empty; the root always stays."""
        if not ns:
            return
        try:
            self._disk.remove_folder(self.folder(ns))
        except OSError:
            return  # it has files that are no values
        self._folder_aliases.pop(ns, None)

    # --- from a file to its key ---

    def namespace_of(self, folder: str) -> str | None:
        """Return the namespace whose folder has this path, existing or not; None if none has."""
        name = name_of(folder)
        if parent_of(folder) != self.root or not _is_folder_name(name):
            return None
        return self._name_of(name)

    def damage_at(self, path: str) -> Damage | None:
        """Return what is wrong with a path that is no value's file; None if it is ignored.

        No link is followed below the root: its target may be anything, the system does not report
        changes of it, and it is not in a copy of the folder.
        """
        name, folder = name_of(path), parent_of(path)
        if is_value_file_name(name):
            is_ours = folder == self.root or self.namespace_of(folder) is not None
            is_odd = is_ours and self._name_of(name.removesuffix(SUFFIX)) is None
            if is_odd and self._disk.exists(path):
                return _no_name(path)
            return None
        if folder != self.root or not _is_folder_name(name):
            return None
        if self._disk.is_link_to_folder(path):
            return Damage(path, "a link to a folder, which is not followed", DamageKind.STRANGER)
        if self._name_of(name) is None and self._disk.is_folder(path):
            return Damage(path, "not a namespace's name", DamageKind.NAME)
        return None

    def is_reached(self, entry_id: EntryId) -> bool:
        """Return whether a key's file, if it exists, is in the root and not behind a link."""
        return not entry_id[0] or self._disk.kind(self.folder(entry_id[0])) is not FileKind.LINK

    def entry_id_of(self, path: str) -> EntryId | None:
        """Return the key of a value's file; None for any other path."""
        name, folder = name_of(path), parent_of(path)
        if not is_value_file_name(name):
            return None
        key = self._name_of(name.removesuffix(SUFFIX))
        ns = "" if folder == self.root else self.namespace_of(folder)
        return None if key is None or ns is None else (ns, key)

    def adopt(self, found: Found) -> None:
        """Store the name of a read file as its key's alias, if it is not the canonical one."""
        if found.is_regular:
            return
        ns, key = found.entry_id
        name = name_of(found.path)
        if name != self._key_name(key).text:
            self._file_aliases[found.entry_id] = name
            self._alias_owners[ns, self._folded(name)] = found.entry_id

    def forget_alias(self, entry_id: EntryId) -> str | None:
        """Forget a key's alias, whose file is or will be removed; return its path.

        Return None if the key has none, or if the file system takes the alias for the canonical
        name.
        """
        alias = self._file_aliases.pop(entry_id, None)
        if alias is None:
            return None
        del self._alias_owners[entry_id[0], self._folded(alias)]
        if self._folded(alias) == self._folded(self._key_name(entry_id[1]).text):
            return None
        return join(self.folder(entry_id[0]), alias)

    def scan(self, damages: list[Damage]) -> Iterator[Found]:
        """Yield every value's file, one per key; add what prevents reading to ``damages``.

        Names that start with a dot, deeper folders and files without ``.json`` are ignored. A
        folder that cannot be read is a damage; for the root OSError is raised.
        """
        folders: list[str] = []
        yield from self._scan_folder("", self.root, folders, damages)
        folders.sort(key=lambda name: (name != self._canonical_folder_name(name), name))
        seen: set[str] = set()
        for name in folders:
            path = join(self.root, name)
            ns = self._name_of(name)
            if ns is None:
                damages.append(Damage(path, "not a namespace's name", DamageKind.NAME))
            elif ns in seen:
                reason = f"another folder holds the namespace {ns!r}"
                damages.append(Damage(path, reason, DamageKind.CLASH))
            else:
                seen.add(ns)
                yield from self.scan_namespace(ns, path, damages)

    def scan_namespace(self, ns: str, path: str, damages: list[Damage]) -> Iterator[Found]:
        """Yield every value's file in a namespace's folder at ``path``."""
        name = name_of(path)
        if name != self._namespace_name(ns).text:
            self._folder_aliases[ns] = name
        yield from self._scan_folder(ns, path, [], damages)

    # --- inside ---

    def _scan_folder(
        self, ns: str, path: str, folders: list[str], damages: list[Damage]
    ) -> Iterator[Found]:
        try:
            names = self._disk.names(path)
        except OSError as error:
            if not ns:
                raise
            damages.append(Damage(path, error.strerror or str(error), DamageKind.UNREADABLE))
            return
        folders += filter(_is_folder_name, names.folders)
        damages += self._strangers(path, names)
        plain: list[str] = []  # nearly all; what they are called says their key
        candidates: dict[str, str] = {}
        for name in filter(is_value_file_name, names.files):
            if is_plain(name.removesuffix(SUFFIX), folds_case=self.folds_case):
                plain.append(name)
            else:
                self._weigh(path, name, candidates, damages)
        del names
        while plain:
            # Each name is removed, so that all names and all values are not in memory together.
            name = plain.pop()
            key = name.removesuffix(SUFFIX)
            if key in candidates:
                self._weigh(path, name, candidates, damages)
            else:
                yield Found((ns, key), join(path, name), is_regular=True)
        for key, name in candidates.items():
            yield Found((ns, key), join(path, name))

    def _strangers(self, folder: str, names: Names) -> Iterator[Damage]:
        """Yield entries named like a value's file or a namespace's folder that are neither."""
        for name in filter(is_value_file_name, names.folders + names.others):
            path = join(folder, name)
            kind = self._disk.kind(path)
            if kind is not None:
                yield Damage(path, f"{kind}, not a plain file", DamageKind.STRANGER)
        for name in names.others:
            stranger = None if is_value_file_name(name) else self.damage_at(join(folder, name))
            if stranger is not None:
                yield stranger

    def _weigh(
        self, folder: str, name: str, candidates: dict[str, str], damages: list[Damage]
    ) -> None:
        """Choose between two files for one key: the canonical one, else the first by name."""
        key = self._name_of(name.removesuffix(SUFFIX))
        if key is None:
            damages.append(_no_name(join(folder, name)))
            return
        rival = candidates.get(key)
        if rival is None:
            candidates[key] = name
            return
        canonical = self._key_name(key).text
        chosen, other = sorted((name, rival), key=lambda text: (text != canonical, text))
        candidates[key] = chosen
        reason = f"another file holds the same key: {chosen}"
        damages.append(Damage(join(folder, other), reason, DamageKind.CLASH))

    def _make_folder(self, ns: str) -> None:
        name = self._namespace_name(ns)
        if name.record:
            self._records.keep_name(name.record, ns)
        for other, alias in list(self._folder_aliases.items()):
            if other != ns and self._folded(alias) == self._folded(name.text):
                canonical = join(self.root, self._namespace_name(other).text)
                self._disk.rename(join(self.root, alias), canonical)
                del self._folder_aliases[other]
        folder = self.folder(ns)
        if self._disk.is_folder(folder):
            return
        if self._disk.exists(folder):
            raise NotADirectoryError(f"{name_of(folder)} is a link or file, not a folder")
        self._disk.make_folder(folder)

    def _name_of(self, text: str) -> str | None:
        if is_plain(text, folds_case=False):
            return text
        record = record_of(text)
        name = decode_file_name(text) if record is None else self._records.full_name(record)
        return name if name is not None and is_name(name) else None

    def _canonical_folder_name(self, name: str) -> str | None:
        ns = self._name_of(name)
        return None if ns is None else self._namespace_name(ns).text

    def _key_name(self, key: str) -> FileName:
        return self._key_names(key, folds_case=self.folds_case)

    def _namespace_name(self, ns: str) -> FileName:
        return namespace_folder_name(ns, folds_case=self.folds_case)

    def _folded(self, name: str) -> str:
        return name.lower() if self.folds_case else name


def _is_folder_name(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(SUFFIX)


def _no_name(path: str) -> Damage:
    why = ": keys have no control characters" if has_control_character(name_of(path)) else ""
    return Damage(path, f"not a key's file name{why}", DamageKind.NAME)
