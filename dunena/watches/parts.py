"""The parts of values that are shown at paths, read for all watches of a key at once."""

from collections.abc import Callable, Collection

from dunena.store.entry import Entry
from dunena.watches.limits import PARTS_KEPT_BYTES_MAX

DecodedPath = tuple[str, ...]
"""The reference tokens of a path (RFC 6901); empty for the whole value."""

PartsReader = Callable[[bytes, Collection[DecodedPath]], dict[DecodedPath, bytes | None]]
"""Decodes a value once and returns what stands at each pointer as JSON, None for nothing."""

_ENTRIES_MAX = 2  # what a change replaces, and what it sets


class Parts:
    """The parts of the entries that were read last.

    ``pointers_of`` returns what is watched of an entry. While ``is_grouping`` returns true, the
    parts of all entries are kept, as they are told at the end of the group.
    """

    __slots__ = ("_by_entry", "_is_grouping", "_pointers_of")

    def __init__(
        self,
        pointers_of: Callable[[Entry], Collection[DecodedPath]],
        is_grouping: Callable[[], bool],
    ) -> None:
        self._pointers_of = pointers_of
        self._is_grouping = is_grouping
        self._by_entry: dict[Entry, dict[DecodedPath, bytes | None]] = {}

    def find(self, entry: Entry, pointer: DecodedPath, read: PartsReader) -> bytes | None:
        """Return what stands at a pointer as JSON, None for nothing."""
        parts = self._by_entry.get(entry)
        if parts is None or pointer not in parts:
            parts = read(entry.value, {pointer, *self._pointers_of(entry)})
            self._by_entry[entry] = parts
            if not self._is_grouping():
                self._drop_oldest()
        return parts[pointer]

    def trim(self) -> None:
        """Drop what is not worth keeping for readers that are told later."""
        self._drop_oldest()
        size = sum(len(part or b"") for parts in self._by_entry.values() for part in parts.values())
        if size > PARTS_KEPT_BYTES_MAX:
            self._by_entry.clear()

    def __len__(self) -> int:
        """Return the number of entries whose parts are kept."""
        return len(self._by_entry)

    def _drop_oldest(self) -> None:
        while len(self._by_entry) > _ENTRIES_MAX:
            del self._by_entry[next(iter(self._by_entry))]
