"""The one timer behind all expiries."""

import asyncio

from dunena.server.tick import Tick
from dunena.store.store import Store
from dunena.telemetry import Telemetry

WAIT_SECONDS_MIN = 0.001
WAIT_SECONDS_MAX = 1.0
"""Between two looks at the deadlines: the machine may sleep. And while expiries cannot be stored:
between two tries."""


class ExpiryTimer:
    """Ends entries at their time, whether anybody reads them or not."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, store: Store, tick: Tick, telemetry: Telemetry
    ) -> None:
        self._loop = loop
        self._telemetry = telemetry
        self._store = store
        self._tick = tick
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0  # Unix ms

    def expire_due(self) -> None:
        """Let what is due expire, and come back when the next entry is."""
        if self._store.next_deadline <= self._tick.now:
            self._tick.expire()
        self._arm()

    def rearm(self) -> None:
        """Entries changed: the next deadline may be sooner than the timer."""
        if self._store.next_deadline < self._due_at:
            self._arm()

    def cancel(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        self.cancel()
        now, deadline = self._tick.now, self._store.next_deadline
        wait = WAIT_SECONDS_MAX
        if self._telemetry.storage_failure is None:
            wait = max(WAIT_SECONDS_MIN, min(wait, (deadline - now) / 1000))
        self._due_at = now + round(wait * 1000)
        self._timer = self._loop.call_later(wait, self.expire_due)
