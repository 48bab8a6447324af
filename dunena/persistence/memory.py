"""No place at all: values live as long as the server (``--no-persist``)."""

from collections.abc import Callable, Sequence

from dunena.persistence.interface import Damage, Loaded, OutsideChange
from dunena.store.entry import Change
from dunena.store.store import Store


class MemoryEngine:
    """Keeps nothing; every commit succeeds."""

    def open(self, wake: Callable[[], None] | None) -> Loaded:
        """Start empty."""
        return Loaded()

    def publish(self, url: str) -> None:
        """Nobody else can find it."""

    def commit(self, changes: Sequence[Change]) -> None:
        """The store in memory is all there is."""

    def probe(self) -> None:
        """Nothing can fail."""

    def collect(self, store: Store) -> list[OutsideChange]:
        """Never anything."""
        return []

    def damages(self) -> list[Damage]:
        """Never any."""
        return []

    def close(self) -> None:
        """Nothing to let go of."""
