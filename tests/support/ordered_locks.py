"""Locks that fail when a thread takes them in the wrong order."""

import threading
from types import TracebackType

from dunena.persistence.disk.locks import LockRank


class LockOrderError(AssertionError):
    """A thread took a lock while it held one that comes after it, or the same."""


class OrderedLocks:
    """Makes such locks; ``wrong`` has what was taken in the wrong order, by any thread.

    ``nested`` has the pairs that were held together, outer and inner.
    """

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.nested: set[tuple[LockRank, LockRank]] = set()
        self._by_thread = threading.local()

    def make_lock(self, rank: LockRank) -> "OrderedLock":
        """In place of `dunena.persistence.disk.locks.make_lock`."""
        return OrderedLock(rank, self)

    @property
    def held(self) -> list[LockRank]:
        """What this thread holds, in the order in which it was taken."""
        if not hasattr(self._by_thread, "held"):
            self._by_thread.held = []
        held: list[LockRank] = self._by_thread.held
        return held

    def look_at(self, rank: LockRank) -> None:
        """This thread is about to take a lock."""
        for outer in self.held:
            self.nested.add((outer, rank))
            if outer >= rank:
                thread = threading.current_thread().name
                self.wrong.append(f"{thread} takes {rank.name} while it holds {outer.name}")
                raise LockOrderError(self.wrong[-1])


class OrderedLock:
    """One of them; as much of `threading.Lock` as the engine and `threading.Condition` use."""

    def __init__(self, rank: LockRank, locks: OrderedLocks) -> None:
        self._rank = rank
        self._locks = locks
        self._lock = threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        if blocking:  # who does not wait cannot wait for ever
            self._locks.look_at(self._rank)
        is_taken = self._lock.acquire(blocking)
        if is_taken:
            self._locks.held.append(self._rank)
        return is_taken

    def release(self) -> None:
        self._locks.held.remove(self._rank)
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
