"""The interface of a store for requests."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from dunena.store.entry import Change, Entry
from dunena.store.quota import Outcome, Write


class StoreView(ABC):
    """The operations on a store that requests use: all of it, or a part with limited access.

    ``now`` is in Unix ms; ``value`` is encoded JSON; ``expires_at`` is in Unix ms, None for never.
    """

    __slots__ = ()

    @abstractmethod
    def get(self, ns: str, key: str, now: int) -> Entry | None:
        """Return the entry of a key, None if there is none; count a hit or a miss, and a use."""

    @abstractmethod
    def read(self, ns: str, key: str, now: int) -> Entry | None:
        """Do the same as `get`, but count only a use."""

    @abstractmethod
    def peek(self, ns: str, key: str, now: int) -> Entry | None:
        """Do the same as `get`, but count nothing: for listings and checks."""

    @abstractmethod
    def has(self, ns: str, key: str, now: int) -> bool:
        """Whether an entry stands under a key; unlike a read, never a change of the store."""

    @abstractmethod
    def may_read(self, ns: str, key: str) -> bool:
        """Return whether a key's value and changes may be read."""

    @abstractmethod
    def namespaces(self) -> list[str]:
        """Return the sorted names of the namespaces that have keys; "" stands for none."""

    @abstractmethod
    def set(
        self,
        ns: str,
        key: str,
        value: bytes,
        expires_at: int | None = None,
        *,
        then: bytes | None = None,
        owner: str | None = None,
        is_durable: bool = False,
    ) -> Change:
        """Store a value under a key; return the change. Raise `WriteRefusedError`.

        ``then`` (JSON) is merged into it at ``expires_at``; None removes the key then. With an
        ``owner``, the id of a session, the entry is ephemeral.
        """

    @abstractmethod
    def delete(self, ns: str, key: str, *, is_durable: bool = False) -> Change | None:
        """Remove a key; return the change, None without an entry. Raise `WriteRefusedError`."""

    @abstractmethod
    def check_writes(self, ns: str, writes: Sequence[Write]) -> None:
        """Raise `StoreFullError` unless all writes would fit; make none of them."""

    @abstractmethod
    def check_outcome(self, outcome: Outcome) -> None:
        """Raise what the changes of a transaction would raise, before the first of them is made."""

    @abstractmethod
    def clear(self) -> Change:
        """Remove all entries of all namespaces as one change. Raise `WriteRefusedError`."""
