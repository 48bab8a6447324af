"""A store as requests see it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from dunena.store.entry import Change, Entry
from dunena.store.quota import Write


class StoreView(ABC):
    """What requests may do with a store: everything, or what somebody leaves of it."""

    __slots__ = ()

    @abstractmethod
    def get(self, ns: str, key: str, now: int) -> Entry | None:
        """The entry that stands under a key; counts a hit or a miss, and that it was used."""

    @abstractmethod
    def read(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `get`, but counts neither a hit nor a miss: only that the entry was used."""

    @abstractmethod
    def peek(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `read`, but does not count as use: for listings and checks."""

    @abstractmethod
    def may_read(self, ns: str, key: str) -> bool:
        """Whether a key's value and changes may be known."""

    @abstractmethod
    def namespaces(self) -> list[str]:
        """Names of the namespaces that hold keys, sorted; "" stands for none."""

    @abstractmethod
    def set(
        self,
        ns: str,
        key: str,
        value: bytes,
        expires_at: int | None = None,
        *,
        is_durable: bool = False,
    ) -> Change:
        """Put a value under a key; raise `WriteRefusedError` while changes cannot be kept."""

    @abstractmethod
    def delete(self, ns: str, key: str, *, is_durable: bool = False) -> Change | None:
        """Remove a key; None if nothing stood there."""

    @abstractmethod
    def check_writes(self, ns: str, writes: Sequence[Write]) -> None:
        """Raise what `set` would raise for one of these, before the first of them is made."""

    @abstractmethod
    def clear(self) -> Change:
        """Remove everything, in all namespaces, as one change."""
