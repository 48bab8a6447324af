"""Taking over changes made elsewhere (files edited by hand) into the store, in portions."""

from collections import deque

from dunena.persistence.interface import Engine, OutsideChange
from dunena.server.bulk import Bulk
from dunena.server.tick import Tick
from dunena.store.entry import stored_value
from dunena.store.errors import WriteRefusedError
from dunena.store.store import Store
from dunena.telemetry import Telemetry

OUTSIDE_AT_ONCE_MAX = 200
"""Changes that are taken over in one turn: some 2 ms of work."""


class Outside:
    """Takes over the changes that an engine found; if ``has_more``, `collect` has to be called."""

    def __init__(
        self, store: Store, engine: Engine, tick: Tick, bulk: Bulk, telemetry: Telemetry
    ) -> None:
        self._store = store
        self._engine = engine
        self._tick = tick
        self._bulk = bulk
        self._telemetry = telemetry
        self._left: deque[OutsideChange] = deque()
        self._is_in_line = False
        self.has_more = False

    def collect(self) -> None:
        """Get the changes from the engine; they are taken over in later turns."""
        self.has_more = False
        self._left += self._engine.collect(self._store)
        if self._left and not self._is_in_line:
            self._is_in_line = True
            self._bulk.add(self._take_over)

    def _take_over(self) -> bool:
        if self._telemetry.storage_failure is not None:
            # Changes cannot be stored now: the probe's timer calls `collect` again.
            self._is_in_line, self.has_more = False, True
            return False
        count = min(OUTSIDE_AT_ONCE_MAX, len(self._left))
        portion = [self._left.popleft() for _ in range(count)]
        self._tick.run(self._apply, portion)
        self._is_in_line = bool(self._left)
        return self._is_in_line

    def _apply(self, changes: list[OutsideChange], _now: int) -> None:
        try:
            for change in changes:
                self._apply_one(change)
        except WriteRefusedError:
            self._engine.put_back(changes)
            self.has_more = True

    def _apply_one(self, change: OutsideChange) -> None:
        store, is_ordered = self._store, change.revision is not None
        if change.revision is not None:
            store.skip_to(change.revision)
        if change.is_clear:
            store.clear(from_disk=True)
        # A file with the stored value is no change, unless the change has a revision, nor is the
        # end of a file that was that of an earlier value: an ephemeral key has none.
        elif is_ordered or change.value != self._value_at(change):
            if change.value is None:
                store.delete(change.ns, change.key, from_disk=True)
            else:
                store.set(change.ns, change.key, change.value, change.expires_at, from_disk=True)

    def _value_at(self, change: OutsideChange) -> bytes | None:
        return stored_value(self._store.peek(change.ns, change.key, 0))
