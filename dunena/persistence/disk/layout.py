"""Which file each key has in this folder, names made by other hands included.

A key's own ("canonical") file name follows from its name alone. A file that came into the folder
under another name that means the same key (``Foo.json`` where case is folded, a name in raw
Unicode) is read, and kept in mind here as that key's alias until the key is set anew. Aliases are
few; a key without one costs nothing here.
"""

from collections.abc import Iterator
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


class Found(NamedTuple):
    """A value's file in the folder and the key it is for.

    ``is_regular`` says that its name is known to be the key's own; False that it may be.
    """

    entry_id: EntryId
    path: str
    is_regular: bool = False


class Layout:
    """Paths of keys below ``root``; nothing is ever outside it."""

    def __init__(self, disk: Disk, root: str, records: Records, *, folds_case: bool) -> None:
        self._disk = disk
        self.root = root
        self.folds_case = folds_case
        self._records = records
        self._folder_aliases: dict[str, str] = {}  # namespace -> name of its folder
        self._file_aliases: dict[EntryId, str] = {}  # place -> name of its file
        self._alias_owners: dict[tuple[str, str], EntryId] = {}  # (ns, folded file name) -> place

    # --- from a key to its file ---

    def canonical(self, entry_id: EntryId) -> str:
        """Where a key is written."""
        return join(self.folder(entry_id[0]), self._key_name(entry_id[1]).text)

    def actual(self, entry_id: EntryId) -> str:
        """Where a key is read: its alias, if it has one."""
        alias = self._file_aliases.get(entry_id)
        return self.canonical(entry_id) if alias is None else join(self.folder(entry_id[0]), alias)

    def relative(self, entry_id: EntryId) -> str:
        """The canonical path below the folder, with slashes on every system: a name for records."""
        ns, key = entry_id
        name = self._key_name(key).text
        return f"{self._namespace_name(ns).text}/{name}" if ns else name

    def folder(self, ns: str) -> str:
        """The folder of a namespace, or the root for none."""
        if not ns:
            return self.root
        alias = self._folder_aliases.get(ns)
        return join(self.root, self._namespace_name(ns).text if alias is None else alias)

    def make_way(self, entry_id: EntryId) -> None:
        """Get ready for writing a key: its folder is there, no other key's file is in its place.

        Raises OSError; `NotADirectoryError` where a link stands for a namespace's folder, since
        writing through it would leave the root.
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
        """Remove a namespace's folder if nothing is left in it; the root always stays."""
        if not ns:
            return
        try:
            self._disk.remove_folder(self.folder(ns))
        except OSError:
            return  # something that is not ours is still in it
        self._folder_aliases.pop(ns, None)

    # --- from a file to its key ---

    def namespace_of(self, folder: str) -> str | None:
        """The namespace a path in the root is the folder of, there or not; None for any other."""
        name = name_of(folder)
        if parent_of(folder) != self.root or not _is_folder_name(name):
            return None
        return self._name_of(name)

    def damage_at(self, path: str) -> Damage | None:
        """What is wrong with a path that is no value's file; None if nothing, or nobody's business.

        No link is followed below the root: what it leads to may be anything, changes without a
        word from the system, and is not in a copy of the folder.
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
        """Whether a key's file, if there, is in the root and not behind a link."""
        return not entry_id[0] or self._disk.kind(self.folder(entry_id[0])) is not FileKind.LINK

    def entry_id_of(self, path: str) -> EntryId | None:
        """The key a path is for; None for a path that is no value's file."""
        name, folder = name_of(path), parent_of(path)
        if not is_value_file_name(name):
            return None
        key = self._name_of(name.removesuffix(SUFFIX))
        ns = "" if folder == self.root else self.namespace_of(folder)
        return None if key is None or ns is None else (ns, key)

    def adopt(self, found: Found) -> None:
        """A file was read: if its name is not its key's own, keep it in mind as the alias."""
        if found.is_regular:
            return
        ns, key = found.entry_id
        name = name_of(found.path)
        if name != self._key_name(key).text:
            self._file_aliases[found.entry_id] = name
            self._alias_owners[ns, self._folded(name)] = found.entry_id

    def forget_alias(self, entry_id: EntryId) -> str | None:
        """The alias is gone or about to go: its path, or None if the key had none.

        None as well where the alias is, to the file system, the canonical name itself.
        """
        alias = self._file_aliases.pop(entry_id, None)
        if alias is None:
            return None
        del self._alias_owners[entry_id[0], self._folded(alias)]
        if self._folded(alias) == self._folded(self._key_name(entry_id[1]).text):
            return None
        return join(self.folder(entry_id[0]), alias)

    def scan(self, damages: list[Damage]) -> Iterator[Found]:
        """Every value's file, one per key; what stands in the way of reading goes to ``damages``.

        Names that start with a dot, deeper folders and files without ``.json`` are not ours. A
        folder that cannot be read is damage; the root raises OSError.
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
        """Every value's file of one namespace's folder."""
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
        candidates: dict[str, str] = {}
        weighed: set[str] = set()
        for name in names.files:
            if not is_value_file_name(name):
                continue
            key = name.removesuffix(SUFFIX)
            if key not in candidates and is_plain(key, folds_case=self.folds_case):
                candidates[key] = name
            else:
                weighed.add(self._weigh(path, name, candidates, damages))
        del names
        while candidates:
            # Given away, so that names and values of a large folder are not in memory together.
            key, name = candidates.popitem()
            yield Found((ns, key), join(path, name), key not in weighed)

    def _strangers(self, folder: str, names: Names) -> Iterator[Damage]:
        """What has the name of a value's file or a namespace's folder and is none."""
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
    ) -> str:
        """Of two files for one key the canonical one counts, or else the first by name; the key."""
        key = self._name_of(name.removesuffix(SUFFIX))
        if key is None:
            damages.append(_no_name(join(folder, name)))
            return ""
        rival = candidates.get(key)
        if rival is None:
            candidates[key] = name
            return key
        canonical = self._key_name(key).text
        chosen, other = sorted((name, rival), key=lambda text: (text != canonical, text))
        candidates[key] = chosen
        reason = f"another file holds the same key: {chosen}"
        damages.append(Damage(join(folder, other), reason, DamageKind.CLASH))
        return key

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
        return key_file_name(key, folds_case=self.folds_case)

    def _namespace_name(self, ns: str) -> FileName:
        return namespace_folder_name(ns, folds_case=self.folds_case)

    def _folded(self, name: str) -> str:
        return name.lower() if self.folds_case else name


def _is_folder_name(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(SUFFIX)


def _no_name(path: str) -> Damage:
    why = ": keys have no control characters" if has_control_character(name_of(path)) else ""
    return Damage(path, f"not a key's file name{why}", DamageKind.NAME)
