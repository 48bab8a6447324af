"""The earlier values of keys, in memory.

Rule (the contract, "History"): the last values of each key are kept that stood for at least a
second before another one, up to a number for each key and a size for all. So a value that is
written many times a second does not push out what a person would want back, nor does a touch. What
is cleared or evicted is not kept.
"""

from collections import OrderedDict
from typing import NamedTuple

from dunena.store.entry import Change, Entry, EntryId
from dunena.store.limits import HISTORY_BYTES_MAX, HISTORY_MS_MIN

_KEY_BYTES = 300
"""What a key takes in memory besides its entries."""


class _Kept(NamedTuple):
    """An entry that was replaced or removed by the change with a revision."""

    entry: Entry
    replaced_by: int


class History:
    """The earlier entries of all keys; ``count_max`` is the number of them for each key.

    ``bytes`` is about what they take in memory.
    """

    __slots__ = ("_by_key", "bytes", "count_max")

    def __init__(self, count_max: int) -> None:
        self.count_max = count_max
        self.bytes = 0
        # Keys in the order in which the last entry of each was kept; of each key the oldest first.
        self._by_key: OrderedDict[EntryId, list[_Kept]] = OrderedDict()

    def keep(self, entry: Entry, now: int, replaced_by: int) -> None:
        """Keep an entry that a change replaces or removes, if it stood for long enough.

        ``now`` is the Unix ms of the change, ``replaced_by`` its revision.
        """
        if now - entry.written_at < HISTORY_MS_MIN or not self.count_max:
            return
        entry.update = None  # the frame would take as much again; if it is undone, it is made anew
        entry_id = (entry.ns, entry.key)
        of_key = self._by_key.get(entry_id)
        if of_key is None:
            of_key = self._by_key[entry_id] = []
            self.bytes += _KEY_BYTES
        of_key.append(_Kept(entry, replaced_by))
        self._by_key.move_to_end(entry_id)
        self.bytes += entry.memory_bytes
        if len(of_key) > self.count_max:
            self.bytes -= of_key.pop(0).entry.memory_bytes
        while self.bytes > HISTORY_BYTES_MAX:
            self._drop_oldest()

    def of(self, ns: str, key: str) -> list[Entry]:
        """Return the earlier entries of a key, the newest first."""
        return [kept.entry for kept in reversed(self._by_key.get((ns, key), ()))]

    def undo(self, change: Change) -> None:
        """Forget what a change replaced or removed, since it was taken back.

        Older values that had to go for it do not come back.
        """
        of_key = self._by_key.get((change.ns, change.key))
        if of_key is not None and of_key[-1].replaced_by == change.revision:
            self.bytes -= of_key.pop().entry.memory_bytes
            self._forget_if_empty((change.ns, change.key), of_key)

    def _drop_oldest(self) -> None:
        """Drop the oldest entry of the key whose last entry was kept first."""
        entry_id, of_key = next(iter(self._by_key.items()))
        self.bytes -= of_key.pop(0).entry.memory_bytes
        self._forget_if_empty(entry_id, of_key)

    def _forget_if_empty(self, entry_id: EntryId, of_key: list[_Kept]) -> None:
        if not of_key:
            del self._by_key[entry_id]
            self.bytes -= _KEY_BYTES
