"""The quarantine, a folder for damaged files that have to be replaced."""

import errno

from dunena.persistence.disk.disk import Disk, join, name_of

_IMMOVABLE = frozenset({errno.EBUSY, errno.EXDEV})


def set_aside(disk: Disk, source: str, quarantine: str) -> str:
    """Move a file to the quarantine under an unused name; return its new path.

    A file that cannot be moved because it is a mount point is copied.
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
    """Return an unused path in the quarantine for a file of this name."""
    name = name_of(source)
    stem, dot, suffix = name.rpartition(".")
    target = join(quarantine, name)
    number = 1
    while disk.exists(target):
        number += 1
        target = join(quarantine, f"{stem}-{number}{dot}{suffix}" if stem else f"{name}-{number}")
    return target
