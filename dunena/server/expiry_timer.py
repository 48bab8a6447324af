"""The timer that expires the entries of a store."""

import asyncio

from dunena.server.seconds import seconds_to_next
from dunena.server.tick import Tick
from dunena.store.expiry import NEVER
from dunena.store.store import Store
from dunena.telemetry import Telemetry

WAIT_SECONDS_MIN = 0.001
WAIT_SECONDS_MAX = 1.0
"""Longest wait for the next deadline, on the average, as the machine may sleep; also the pause
between two tries while expiries cannot be stored."""


class ExpiryTimer:
    """Expires entries when they are due, also if nobody reads them.

    Without a deadline there is no timer until `rearm`.
    """

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
        """Expire the entries that are due, and set the timer to the next deadline."""
        if self._store.next_deadline <= self._tick.now:
            self._tick.expire()
        self._arm()

    def rearm(self) -> None:
        """Set the timer again if the next deadline is sooner, as changes were made or undone."""
        if self._store.next_deadline < self._due_at:
            self._arm()

    def cancel(self) -> None:
        """Stop the timer for good."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        self.cancel()
        now, deadline = self._tick.now, self._store.next_deadline
        if deadline >= NEVER:
            self._due_at, self._timer = NEVER, None
            return
        wait = seconds_to_next(self._loop.time())
        if self._telemetry.storage_failure is None:
            wait = max(WAIT_SECONDS_MIN, min(wait, (deadline - now) / 1000))
        self._due_at = now + round(wait * 1000)
        self._timer = self._loop.call_later(wait, self.expire_due)
