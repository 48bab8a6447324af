"""The engine without storage: values last as long as the server (``--no-persist``)."""

from collections.abc import Callable, Sequence

from dunena.persistence.interface import Done, Loaded, OutsideChange, Progress
from dunena.store.entry import Change
from dunena.store.store import Store


class MemoryEngine:
    """An `Engine` that stores nothing; every commit succeeds."""

    def open(self, wake: Callable[[], None] | None, progress: Progress | None = None) -> Loaded:
        """Return no entries; neither argument is used."""
        return Loaded()

    def publish(self, url: str) -> None:
        """Do nothing: the values are in no place that others could find in use."""

    def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
        """Return True: the changes are in memory, and are not stored elsewhere."""
        return True

    def finish_commit(self, changes: Sequence[Change], *, is_kept: bool) -> None:
        """Do nothing: `commit` never leaves a commit open."""

    def probe(self) -> None:
        """Do nothing: a commit cannot fail."""

    def check_folder(self) -> None:
        """Do nothing: there is no folder that could be removed."""

    @property
    def failure(self) -> str | None:
        """None: changes never fail to be stored."""
        return None

    def collect(self, store: Store) -> list[OutsideChange]:
        """Return an empty list: there are no changes made elsewhere."""
        return []

    def put_back(self, changes: list[OutsideChange]) -> None:
        """Do nothing: `collect` returns no changes."""

    @property
    def disk_status(self) -> None:
        """None, as there is no folder."""
        return None

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
