"""The stamps of all values' files: with these, changes that others made to a file are found.

There is one for each key, so they are packed. A named tuple with its three numbers would take four
times as much memory, and the garbage collector would look through all of them.
"""

import sys
from array import array
from collections.abc import Iterator
from typing import Final

from dunena.persistence.disk import locks
from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.locks import LockRank
from dunena.store.entry import EntryId

_BITS: Final = 64
_MASK: Final = 2**64 - 1
_SIGN: Final = 2**63
_BYTES: Final = 24


class StampTable:
    """The stamp of each key's file, as last seen or written; a key without a file has none.

    Any thread may call the methods. The numbers of a stamp have 64 bits with a sign, of which the
    inode and the size make no use.
    """

    __slots__ = ("_by_ns", "_lock")

    def __init__(self) -> None:
        self._by_ns: dict[str, dict[str, int]] = {}
        self._lock = locks.make_lock(LockRank.STAMPS)  # two threads change it; reading needs none

    def get(self, entry_id: EntryId) -> Stamp | None:
        """Return the stamp of a key's file; None without one."""
        numbers = self.numbers_of(entry_id[0], entry_id[1])
        return None if numbers is None else Stamp(*numbers)

    def numbers_of(self, ns: str, key: str) -> tuple[int, int, int] | None:
        """Return the same as `get` as a plain tuple."""
        keys = self._by_ns.get(ns)
        if keys is None:
            return None
        packed = keys.get(key)
        if packed is None:
            return None
        modified_ns = packed >> _BITS & _MASK
        if modified_ns >= _SIGN:
            modified_ns -= 2 * _SIGN
        return packed & _MASK, modified_ns, packed >> 2 * _BITS

    def has(self, entry_id: EntryId) -> bool:
        """Return whether a key has a stamp."""
        keys = self._by_ns.get(entry_id[0])
        return keys is not None and entry_id[1] in keys

    def set(self, entry_id: EntryId, stamp: Stamp) -> None:
        """Record the stamp of a key's file."""
        ns, key = entry_id
        # In this order nearly all of them have so few digits that they take 48 bytes.
        packed = stamp.size << 2 * _BITS | (stamp.modified_ns & _MASK) << _BITS | stamp.inode
        with self._lock:
            keys = self._by_ns.get(ns)
            if keys is None:
                keys = self._by_ns[ns] = {}
            keys[key] = packed

    def discard(self, entry_id: EntryId) -> None:
        """Record that there is no file of a key."""
        ns, key = entry_id
        with self._lock:
            keys = self._by_ns.get(ns)
            if keys is None or key not in keys:
                return
            del keys[key]
            if not keys:
                del self._by_ns[ns]

    def entry_ids(self, ns: str | None = None) -> Iterator[EntryId]:
        """Yield the keys that have a stamp, of one namespace or all.

        One that is added or removed during the iteration may be included or not.
        """
        # Copied, as other threads change them: keys alone, in a thousandth of a second for 100,000.
        for name in list(self._by_ns) if ns is None else [ns]:
            for key in list(self._by_ns.get(name, ())):
                yield name, key

    def all_numbers(self) -> bytes:
        """Return the three numbers of all stamps, each as an ``int64_t`` of this machine."""
        packed = [one for keys in list(self._by_ns.values()) for one in list(keys.values())]
        numbers = array("q", b"".join([one.to_bytes(_BYTES, "little") for one in packed]))
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tobytes()
