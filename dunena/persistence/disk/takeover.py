"""A folder that another program filled: its files are `{key}.json`, with each key as it is.

Where ``%XX`` stands in such a name it means itself. In a folder that has no server's records yet,
a name that this server gives to no key is therefore taken letter by letter, and its file gets the
regular name of that key, which says the same at every later start. A name that this server would
give too may come from a copy of its folder without the records: it is read as ever, and the log
says so.
"""

import logging
from collections.abc import Iterator
from typing import NamedTuple

from dunena.persistence.disk.disk import Disk, join, name_of
from dunena.persistence.disk.files import (
    SUFFIX,
    decode_file_name,
    is_given_name,
    is_value_file_name,
    key_file_name,
)
from dunena.persistence.disk.records import Records
from dunena.persistence.interface import shown_path

_SHOWN_MAX = 5

_log = logging.getLogger(__name__)


class Renaming(NamedTuple):
    """A file whose name is its key, and the path that says so; ``record`` as in `FileName`."""

    path: str
    key: str
    target: str
    record: str | None


class Doubt(NamedTuple):
    """A file whose name may be its key; it is read as the file of ``key``."""

    path: str
    key: str


class Takeover(NamedTuple):
    """What is in a folder that has no records yet."""

    renamings: list[Renaming]
    doubts: list[Doubt]


NOTHING = Takeover([], [])


def look_at_names(disk: Disk, root: str, *, folds_case: bool) -> Takeover:
    """What is to be done with the names in a folder and in its namespaces; changes nothing.

    Raises OSError for the root; a namespace that cannot be read is passed over.
    """
    found = Takeover([], [])
    names = disk.names(root)
    _sort_names(found, root, names.files, folds_case=folds_case)
    for name in names.folders:
        if name.startswith(".") or name.endswith(SUFFIX):
            continue
        folder = join(root, name)
        try:
            files = disk.names(folder).files
        except OSError:
            continue  # which is named where it is read
        _sort_names(found, folder, files, folds_case=folds_case)
    return found


def rename_files(disk: Disk, records: Records, found: Takeover) -> Takeover:
    """Rename what is to be renamed, and tell of all; what came of it.

    A file that cannot be renamed is in doubt from then on. Raises OSError where the new names
    cannot be forced to the device: without them the next start would read other keys.
    """
    done = Takeover([], list(found.doubts))
    for one in found.renamings:
        try:
            if one.record:
                records.keep_name(one.record, one.key)
            disk.rename(one.path, one.target)
        except OSError:
            read_as = decode_file_name(name_of(one.path).removesuffix(SUFFIX)) or one.key
            done.doubts.append(Doubt(one.path, read_as))
        else:
            done.renamings.append(one)
    disk.sync({one.target for one in done.renamings})
    _tell(done)
    return done


def _sort_names(found: Takeover, folder: str, names: list[str], *, folds_case: bool) -> None:
    taken = {name.lower() if folds_case else name for name in names}
    for name in names:
        if "%" not in name or not is_value_file_name(name):
            continue
        text, path = name.removesuffix(SUFFIX), join(folder, name)
        key = decode_file_name(text)
        if key is None or key == text:
            continue
        target = key_file_name(text, folds_case=folds_case)
        if is_given_name(name, key) or target.text in taken:
            found.doubts.append(Doubt(path, key))
        else:
            renaming = Renaming(path, text, join(folder, target.text), target.record)
            found.renamings.append(renaming)


def _tell(done: Takeover) -> None:
    if done.renamings:
        _log.warning(
            "another program's files (%d) have %%XX in their names, which is part of their keys;"
            " they were renamed so that it stays so: %s",
            len(done.renamings),
            _listed(f"{name_of(one.path)} to {name_of(one.target)}" for one in done.renamings),
        )
    if done.doubts:
        _log.warning(
            "in the names of some files (%d) %%XX may stand for a character or for itself; it was"
            " taken for a character: %s; where it stands for itself, write %%25 for its %%",
            len(done.doubts),
            _listed(f"{name_of(one.path)} is the key {one.key}" for one in done.doubts),
        )


def _listed(items: Iterator[str]) -> str:
    shown = [shown_path(item) for _, item in zip(range(_SHOWN_MAX), items, strict=False)]
    more = sum(1 for _ in items)
    return ", ".join(shown) + (f" and {more} more" if more else "")
