"""Changing a folder while no server uses it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from dunena.persistence.disk.engine import DiskEngine
from dunena.persistence.interface import StorageError
from dunena.persistence.policy import Fsync
from dunena.store.entry import Change
from dunena.store.store import Store


class OfflineFolder:
    """A folder that is open for changes: make them to ``store``, then call `commit`."""

    def __init__(self, engine: DiskEngine, store: Store) -> None:
        self.store = store
        self._engine = engine
        self._changes: list[Change] = []
        store.observe(self._changes.append)

    def commit(self, *, durable: bool) -> None:
        """Store all changes since the last call, all or none; raise `StorageError`.

        With ``durable`` they are on the device afterwards.
        """
        changes: Sequence[Change] = tuple(self._changes)
        self._changes.clear()
        if not changes:
            return
        is_done, reasons = Event(), list[str | None]()

        def done(reason: str | None) -> None:
            reasons.append(reason)
            is_done.set()

        if self._engine.commit(changes, done, durable=durable):
            return
        is_done.wait()
        self._engine.finish_commit(changes, is_kept=reasons[0] is None)
        if reasons[0] is not None:
            raise StorageError(reasons[0])


@contextmanager
def open_offline(folder: Path, value_bytes_max: int) -> Iterator[OfflineFolder]:
    """Open a folder for changes, and make it if it is missing.

    Raise `OpenError`, and `StorageError` at the end if not everything could be stored.
    """
    engine = DiskEngine(folder, Fsync.NO, value_bytes_max)
    loaded = engine.open(None)
    try:
        store = Store()
        store.now = int(time.time() * 1000)
        store.load(loaded.entries, loaded.revision)
        yield OfflineFolder(engine, store)
    finally:
        engine.close()
