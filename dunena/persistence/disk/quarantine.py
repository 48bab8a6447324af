"""Where damage goes when something else takes its place: kept, and in nobody's way."""

from dunena.persistence.disk.disk import Disk, join, name_of


def set_aside(disk: Disk, source: str, quarantine: str) -> str:
    """Move a file to the quarantine, under a name that is free there; that path."""
    disk.make_folder(quarantine)
    target = free_path(disk, source, quarantine)
    disk.rename(source, target)
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
