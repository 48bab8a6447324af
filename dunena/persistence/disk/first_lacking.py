"""For each key whose file is behind: the first change that it lacks, and the first one of all."""

from collections import OrderedDict

from dunena.store.entry import EntryId


class FirstLacking:
    """The revision of the first change that each key's file lacks.

    ``first`` of very many keys must take no time: one call of `min` for all of them would hold the
    interpreter, and with it the event loop. Nearly all keys come in the order of their revisions,
    so the first of these is the lowest. The others are few: keys that changed again while their
    file was written.
    """

    __slots__ = ("_in_order", "_last", "_others")

    def __init__(self) -> None:
        self._in_order: OrderedDict[EntryId, int] = OrderedDict()
        self._others: dict[EntryId, int] = {}
        self._last = 0  # the highest revision that was ever in order

    def set(self, entry_id: EntryId, revision: int) -> None:
        """Record that a key's file lacks its changes from ``revision`` on, and no earlier ones."""
        self.remove(entry_id)
        if revision >= self._last:
            self._last = revision
            self._in_order[entry_id] = revision
        else:
            self._others[entry_id] = revision

    def remove(self, entry_id: EntryId) -> None:
        """Record that a key's file lacks nothing."""
        if self._in_order.pop(entry_id, None) is None:
            self._others.pop(entry_id, None)

    @property
    def first(self) -> int | None:
        """The lowest of all revisions; None if no file lacks anything."""
        first = min(self._others.values(), default=None)
        for revision in self._in_order.values():
            return revision if first is None else min(first, revision)
        return first
