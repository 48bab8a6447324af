"""The version of a folder's format, which is recorded in ``.dunena/format``.

A program opens folders of its own version and of all earlier ones, which it takes over. It refuses
a later one before it has changed anything, since it could lose what it does not understand.

Version 0 is a folder without the record: no dunena used it before, or one that did not write the
record yet. Version 1 is the first that is recorded. A change by which an earlier program would lose
or misread something needs the next version, a step in `take_over`, and the record before anything
in the new form. The version is in the record of the last run as well, so that one damaged record
prevents no start.
"""

import logging
import os
from contextlib import suppress
from typing import Final, NamedTuple

from dunena import __version__
from dunena.persistence.disk.disk import Disk
from dunena.persistence.disk.records import DamagedRecordError, FormatRecord, Records
from dunena.persistence.interface import Damage, DamageKind, FormatError, display_path_of

FORMAT: Final = 1
"""The version that this program writes."""

_log = logging.getLogger(__name__)


class FoundFormat(NamedTuple):
    """The version of a folder's format as found, and what is wrong with its record.

    ``is_recorded``: a valid record of it is there.
    """

    version: int
    is_recorded: bool
    damage: Damage | None = None


def find_format(records: Records, root: str) -> FoundFormat:
    """Return the version of the format of a folder, without changing anything.

    Raise `FormatError` if this program does not know it, or if the record is damaged and nothing
    else says which one it is.
    """
    damage = None
    try:
        record = records.load_format()
    except DamagedRecordError:
        damage = Damage(records.format_path, "the format cannot be read", DamageKind.RECORD)
        record = None
    if record is not None:
        _refuse_later(root, record.version, record.dunena)
        return FoundFormat(record.version, is_recorded=True)
    run = records.load_run()
    version = 0 if run is None else run.format_version
    _refuse_later(root, version, "")
    if damage is not None and version == 0:
        inside = display_path_of(os.path.relpath(records.format_path, root))
        raise FormatError(
            f"the record of the format of the folder {_shown(root)} is damaged ({inside}), so this"
            " dunena cannot tell whether a newer one wrote it; nothing was changed",
            "if no newer one did, remove that record",
        )
    return FoundFormat(version, is_recorded=False, damage=damage)


def take_over(disk: Disk, records: Records, journal: str, found: FoundFormat) -> list[str]:
    """Bring a folder to the present format; return the paths of all that was written anew for it.

    ``journal`` is the folder of the journal. Raise OSError if something could not be written: then
    the next start does it.
    """
    renewed: list[str] = []
    if found.version < 1 and not records.is_new:
        from dunena.persistence.disk.older_forms import renew_older_forms  # seldom needed

        renewed = renew_older_forms(disk, records, journal)
    if renewed:
        _log.warning(
            "the folder was of an older dunena: %d of its files in %s were written anew in the"
            " present format, %d; the older dunena cannot read these",
            len(renewed),
            display_path_of(records.folder),
            FORMAT,
        )
    if not found.is_recorded or found.version < FORMAT:
        with suppress(OSError):
            # A full disk must not prevent the start. Without the record it is taken for version 0,
            # as which it can be read.
            records.keep_format(FormatRecord(FORMAT, __version__))
    return renewed


def _refuse_later(root: str, version: int, dunena: str) -> None:
    if version <= FORMAT:
        return
    by, wanted = (f" by dunena {dunena}", f"dunena {dunena} or a newer one")
    if not dunena:
        by, wanted = "", "the newer dunena"
    raise FormatError(
        f"the folder {_shown(root)} was written{by} in format {version}, and this dunena"
        f" {__version__} knows formats up to {FORMAT}; nothing was changed",
        f"use {wanted}",
    )


def _shown(root: str) -> str:
    return display_path_of(root)
