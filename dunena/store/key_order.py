"""The sorted keys of a namespace, updated while keys are added and removed.

Theory of operation. The keys are in *chunks*: sorted lists of limited length, in order. Two binary
searches find a key; adding or removing one changes one short list. The order is built in portions,
so that no request waits until a million keys are sorted: random keys are picked as boundaries, all
keys are distributed to the *heaps* (unsorted lists) between these boundaries, and then one heap
after the other is sorted and becomes chunks. A key that is added or removed meanwhile belongs
either to a heap that is not sorted yet or to a chunk.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container
from typing import Final

CHUNK_KEYS_MAX: Final = 1000
"""Length at which a chunk is split: inserting into it costs about as much as finding the place."""

_HEAP_KEYS = 500  # on average
_UNREAD_SLACK = 1000


class KeyOrder:
    """Keys in the order of their code points; it is complete when `is_complete` is true.

    ``left`` are the keys of the namespace, which `place` sorts in portions. ``version`` changes
    whenever a key is added or removed.
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
        self._left = left  # to be distributed to the heaps
        self._heap_firsts = ["", *sorted(_some_of(left, len(left) // _HEAP_KEYS))]
        self._heaps: list[list[str]] = [[] for _ in self._heap_firsts] if left else []
        self._done = 0  # number of heaps that became chunks
        self._chunks: list[list[str]] = [[]]
        self._firsts = [""]  # lower bounds of the chunks' keys; that of the first chunk is ""
        self._unread = 0
        self.count = 0
        self.version = 0

    @property
    def is_complete(self) -> bool:
        """Whether all keys are in chunks."""
        return self._done == len(self._heaps)

    @property
    def is_forgotten(self) -> bool:
        """Whether updating it since it was last read cost more than building it again."""
        return self._unread > self.count + len(self._left) + _UNREAD_SLACK

    def is_read(self) -> None:
        """Record that the order was read: it is worth updating for some time."""
        self._unread = 0

    def place(self, count_max: int, standing: Container[str]) -> None:
        """Sort about ``count_max`` more keys; leave out those that are not in ``standing``."""
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
        """Add a key that was added to the namespace."""
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
        """Remove a key that was removed from the namespace."""
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
        """Return at most ``count`` keys from position ``start`` (from 0) on."""
        for index, chunk in enumerate(self._chunks):
            if start < len(chunk):
                return self._from(index, start, count)
            start -= len(chunk)
        return []

    def after(self, key: str, count: int) -> list[str]:
        """Return at most ``count`` keys after ``key``, which need not exist."""
        index = bisect_right(self._firsts, key) - 1
        return self._from(index, bisect_right(self._chunks[index], key), count)

    def passed(self, key: str) -> int:
        """Return the number of keys up to ``key``, including it."""
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
        """Return whether a key belongs to a heap that is not sorted yet."""
        return not self.is_complete and key >= self._heap_firsts[self._done]


def order_of(keys: list[str]) -> KeyOrder:
    """Make the order of keys that are sorted already."""
    order = KeyOrder([])
    if keys:
        starts = range(0, len(keys), CHUNK_KEYS_MAX)
        order._chunks = [keys[start : start + CHUNK_KEYS_MAX] for start in starts]
        order._firsts = ["", *[keys[start] for start in starts[1:]]]
        order.count = len(keys)
    return order


def _some_of(keys: list[str], count: int) -> set[str]:
    """Return about ``count`` random keys.

    The choice depends on text hashes, which differ in every process: so no client can choose keys
    that all go to one heap.
    """
    return {keys[hash(str(number)) % len(keys)] for number in range(count)}
