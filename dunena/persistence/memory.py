"""No place at all: values live as long as the server (``--no-persist``)."""

from collections.abc import Callable, Sequence

from dunena.persistence.interface import Done, Loaded, OutsideChange, Progress
from dunena.store.entry import Change
from dunena.store.store import Store


class MemoryEngine:
    """Keeps nothing; every commit succeeds."""

    def open(self, wake: Callable[[], None] | None, progress: Progress | None = None) -> Loaded:
        """Start empty."""
        return Loaded()

    def publish(self, url: str) -> None:
        """Nobody else can find it."""

    def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
        """The store in memory is all there is."""
        return True

    def finish_commit(self, changes: Sequence[Change], *, is_kept: bool) -> None:
        """No commit is ever left open."""

    def probe(self) -> None:
        """Nothing can fail."""

    def check_folder(self) -> None:
        """Nothing can go."""

    @property
    def failure(self) -> str | None:
        """Never."""
        return None

    def collect(self, store: Store) -> list[OutsideChange]:
        """Never anything."""
        return []

    def put_back(self, changes: list[OutsideChange]) -> None:
        """There are none."""

    @property
    def disk_status(self) -> None:
        """There is no folder."""
        return None

    def close(self) -> None:
        """Nothing to let go of."""
