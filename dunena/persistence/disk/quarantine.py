"""Where damage goes when something else takes its place: kept, and in nobody's way."""

import errno

from dunena.persistence.disk.disk import Disk, join, name_of

_IMMOVABLE = frozenset({errno.EBUSY, errno.EXDEV})


def set_aside(disk: Disk, source: str, quarantine: str) -> str:
    """Move a file to the quarantine, under a name that is free there; that path.

    A copy of it where it cannot be moved, since it is a mount of its own.
    """
    disk.make_folder(quarantine)
    target = free_path(disk, source, quarantine)
    try:
        disk.rename(source, target)
    except OSError as error:
        if error.errno not in _IMMOVABLE:
            raise
        disk.replace_file(target, disk.read(source), quarantine, sync=True)
    return target


def free_path(disk: Disk, source: str, quarantine: str) -> str:
    """A path in the quarantine for a file of this name, where nothing is yet."""
    name = name_of(source)
    stem, dot, suffix = name.rpartition(".")
    target = join(quarantine, name)
    number = 1
    while disk.exists(target):
        number += 1
        target = join(quarantine, f"{stem}-{number}{dot}{suffix}" if stem else f"{name}-{number}")
    return target
