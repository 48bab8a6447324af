"""Taking over a folder of another program, whose files are `{key}.json` without escapes.

In such a name ``%XX`` is meant literally. So in a folder without a server's records, a name with
``%XX`` that this server would not write is taken literally, and its file is renamed to the
canonical name of that key, which is unambiguous at every later start. A name that this server would
write may also come from a copy of its folder without the records: it is decoded as usual, and the
log says so.
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
from dunena.persistence.interface import display_path_of

_SHOWN_MAX = 5

_log = logging.getLogger(__name__)


class Renaming(NamedTuple):
    """A file whose literal name is its key, and its new path; ``record`` is as in `FileName`."""

    path: str
    key: str
    target: str
    record: str | None


class Doubt(NamedTuple):
    """A file whose name may be meant literally; it is read as the file of ``key``."""

    path: str
    key: str


class Takeover(NamedTuple):
    """The files with ambiguous names in a folder without records."""

    renamings: list[Renaming]
    doubts: list[Doubt]


NOTHING = Takeover([], [])


def look_at_names(disk: Disk, root: str, *, folds_case: bool) -> Takeover:
    """Find the ambiguous names in a folder and its namespaces, without changing anything.

    Raise OSError if the root cannot be read; skip a namespace that cannot be read.
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
            continue  # the damage is reported when the values are read
        _sort_names(found, folder, files, folds_case=folds_case)
    return found


def rename_files(disk: Disk, records: Records, found: Takeover) -> Takeover:
    """Rename the files and log the result; return what was done.

    A file that cannot be renamed becomes a doubt. Raise OSError if the new names cannot be forced
    to the device: without them the next start would read other keys.
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
    shown = [display_path_of(item) for _, item in zip(range(_SHOWN_MAX), items, strict=False)]
    more = sum(1 for _ in items)
    return ", ".join(shown) + (f" and {more} more" if more else "")
