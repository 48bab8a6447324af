"""No place at all: values live as long as the server (``--no-persist``)."""

from collections.abc import Callable, Sequence

from dunena.histogram import Histogram
from dunena.persistence.interface import Damage, Done, Loaded, OutsideChange, Progress, Watching
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

    def damages(self) -> list[Damage]:
        """Never any."""
        return []

    @property
    def watching(self) -> Watching:
        """There is nothing to watch."""
        return Watching()

    @property
    def files_behind(self) -> int:
        """None, as there are no files."""
        return 0

    @property
    def files_failure(self) -> str | None:
        """Never."""
        return None

    @property
    def journal_bytes(self) -> int:
        """None."""
        return 0

    @property
    def sync_times(self) -> Histogram:
        """Nothing is ever forced anywhere."""
        return Histogram()

    @property
    def slow_syncs(self) -> int:
        """Never any."""
        return 0

    def close(self) -> None:
        """Nothing to let go of."""
