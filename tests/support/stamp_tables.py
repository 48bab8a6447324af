"""A table of stamps that is filled from the start."""

from collections.abc import Mapping

from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.stamps import StampTable
from dunena.store.entry import EntryId


def table_of(stamps: Mapping[EntryId, Stamp]) -> StampTable:
    table = StampTable()
    for entry_id, stamp in stamps.items():
        table.set(entry_id, stamp)
    return table
