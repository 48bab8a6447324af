"""Where damage goes when something else takes its place: kept, and in nobody's way."""

from pathlib import Path

from dunena.persistence.disk.disk import Disk


def set_aside(disk: Disk, source: Path, quarantine: Path) -> Path:
    """Move a file to the quarantine, under a name that is free there; that path."""
    disk.make_folder(quarantine)
    target = quarantine / source.name
    number = 1
    while disk.exists(target):
        number += 1
        target = quarantine / f"{source.stem}-{number}{source.suffix}"
    disk.rename(source, target)
    return target
