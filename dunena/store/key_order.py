"""The keys of a namespace in order, kept so while keys come and go.

Theory of operation. The keys lie in chunks, each sorted and bounded, and the chunks in order: a key
is found by two searches, and comes or goes at the price of one short list. To begin with, a portion
at a time, so that nobody waits for a million keys to be sorted: all keys are dealt out to *heaps*
between a few of them that were picked from anywhere, and then heap after heap is sorted. A key that
comes or goes meanwhile is of a heap that waits, or of a chunk that is done.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container
from typing import Final

CHUNK_KEYS_MAX: Final = 1000
"""Where a chunk is cut in two: moving half of it for a new key costs what finding it does."""

_HEAP_KEYS = 500  # on average
_UNREAD_SLACK = 1000


class KeyOrder:
    """Keys in the order of their code points; only once `is_complete` are they all there.

    ``version`` is another one whenever a key came or went.
    """

    __slots__ = (
        "_chunks",
        "_done",
        "_firsts",
        "_heap_firsts",
        "_heaps",
        "_left",
        "_unread",
        "count",
        "version",
    )

    def __init__(self, left: list[str]) -> None:
        self._left = left  # to be dealt out
        self._heap_firsts = ["", *sorted(_some_of(left, len(left) // _HEAP_KEYS))]
        self._heaps: list[list[str]] = [[] for _ in self._heap_firsts] if left else []
        self._done = 0  # heaps that became chunks
        self._chunks: list[list[str]] = [[]]
        self._firsts = [""]  # no key of a chunk is before its first; that of the first chunk is ""
        self._unread = 0
        self.count = 0
        self.version = 0

    @property
    def is_complete(self) -> bool:
        """Whether no key is left to be placed."""
        return self._done == len(self._heaps)

    @property
    def is_forgotten(self) -> bool:
        """Whether more changes were followed since it was read than it takes to make it anew."""
        return self._unread > self.count + len(self._left) + _UNREAD_SLACK

    def is_read(self) -> None:
        """Note that the order was asked for: it is worth following for a while more."""
        self._unread = 0

    def place(self, count_max: int, standing: Container[str]) -> None:
        """Go on putting keys in order, with so many of them; those that went are left out."""
        portion = self._left[-count_max:]
        del self._left[-count_max:]
        for key in portion:
            self._heaps[bisect_right(self._heap_firsts, key) - 1].append(key)
        count_max -= len(portion)
        while count_max > 0 and not self.is_complete:
            heap, self._heaps[self._done] = self._heaps[self._done], []
            self._done += 1
            count_max -= len(heap)
            keys = sorted({key for key in heap if key in standing})
            for start in range(0, len(keys), CHUNK_KEYS_MAX):
                self._chunks.append(keys[start : start + CHUNK_KEYS_MAX])
                self._firsts.append(keys[start])
            self.count += len(keys)

    def came(self, key: str) -> None:
        """Follow a key that was added to the namespace."""
        self._unread += 1
        self.version += 1
        if self._waits(key):
            self._heaps[bisect_right(self._heap_firsts, key) - 1].append(key)
            return
        index = bisect_right(self._firsts, key) - 1
        chunk = self._chunks[index]
        insort(chunk, key)
        self.count += 1
        if len(chunk) > CHUNK_KEYS_MAX:
            half = len(chunk) // 2
            self._chunks.insert(index + 1, chunk[half:])
            self._firsts.insert(index + 1, chunk[half])
            del chunk[half:]

    def went(self, key: str) -> None:
        """Follow a key that was removed from the namespace."""
        self._unread += 1
        self.version += 1
        if self._waits(key):
            return
        index = bisect_right(self._firsts, key) - 1
        chunk = self._chunks[index]
        del chunk[bisect_left(chunk, key)]
        self.count -= 1
        if not chunk and len(self._chunks) > 1:
            del self._chunks[index], self._firsts[index]
            self._firsts[0] = ""

    def page(self, start: int, count: int) -> list[str]:
        """So many keys from a position on."""
        for index, chunk in enumerate(self._chunks):
            if start < len(chunk):
                return self._from(index, start, count)
            start -= len(chunk)
        return []

    def after(self, key: str, count: int) -> list[str]:
        """So many keys behind a key, whether it stands or not."""
        index = bisect_right(self._firsts, key) - 1
        return self._from(index, bisect_right(self._chunks[index], key), count)

    def passed(self, key: str) -> int:
        """How many keys there are up to a key, it included."""
        index = bisect_right(self._firsts, key) - 1
        before = sum([len(chunk) for chunk in self._chunks[:index]])
        return before + bisect_right(self._chunks[index], key)

    def _from(self, index: int, position: int, count: int) -> list[str]:
        found = self._chunks[index][position : position + count]
        while len(found) < count and index + 1 < len(self._chunks):
            index += 1
            found += self._chunks[index][: count - len(found)]
        return found

    def _waits(self, key: str) -> bool:
        """Whether a key's place is in a heap that is not sorted yet."""
        return not self.is_complete and key >= self._heap_firsts[self._done]


def order_of(keys: list[str]) -> KeyOrder:
    """The order of keys that are sorted already."""
    order = KeyOrder([])
    if keys:
        starts = range(0, len(keys), CHUNK_KEYS_MAX)
        order._chunks = [keys[start : start + CHUNK_KEYS_MAX] for start in starts]
        order._firsts = ["", *[keys[start] for start in starts[1:]]]
        order.count = len(keys)
    return order


def _some_of(keys: list[str], count: int) -> set[str]:
    """About so many of the keys.

    Which ones nobody can know beforehand, since every process has text hashes of its own: no order
    of coming makes one heap of all.
    """
    return {keys[hash(str(number)) % len(keys)] for number in range(count)}
