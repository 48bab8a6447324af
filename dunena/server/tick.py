"""The heartbeat: everything the loop read in one go is applied, then kept, then answered.

Order of a tick: requests run as they arrive, their changes take effect in memory, replies and
updates queue in outboxes. At its end, once: all changes are committed, then every outbox is
written. So no reply leaves before its change is kept.

When the commit fails, the changes are undone and everything queued since the first of them is
taken back. The requests since then are run again with the store refusing changes: writes are
answered with the error, reads with what really stands, in their order. A request must
therefore be repeatable: all it does besides changing the store is to put bytes to outboxes and
to set what it would set again.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from dunena.dialects.announce import announce
from dunena.dialects.core import Core
from dunena.persistence.interface import Engine, StorageError
from dunena.server.outbox import Outbox
from dunena.store.entry import Change
from dunena.telemetry import Telemetry

FAILURES_PER_LOG_LINE = 100
"""A failing disk is reported at its first refusal and then once in so many."""

Message = TypeVar("Message")
Handler = Callable[[Message, int], None]

_log = logging.getLogger(__name__)


class Tick:
    """Collects one tick after another.

    ``call_soon`` runs a function after everything the loop has read so far; ``clock_ms`` is Unix
    time, ``timer_ms`` any clock that only goes forward.
    """

    def __init__(
        self,
        core: Core,
        engine: Engine,
        telemetry: Telemetry,
        *,
        call_soon: Callable[[Callable[[], None]], object],
        clock_ms: Callable[[], int],
        timer_ms: Callable[[], float],
    ) -> None:
        self._core = core
        self._engine = engine
        self._telemetry = telemetry
        self._call_soon = call_soon
        self._clock_ms = clock_ms
        self._timer_ms = timer_ms
        self._committed: Callable[[], None] = lambda: None
        self._is_open = False
        self._opened_at_ms = 0.0
        self._requests: list[tuple[Callable[..., None], object]] = []
        self._changes: list[Change] = []
        self._first_changer = 0  # the request that made the first change
        self._queued_before: dict[Outbox, int] = {}  # outbox -> pieces queued before that change
        self._speakers: list[Outbox] = []
        self._failures_in_a_row = 0
        core.store.observe(self._changed)

    @property
    def now(self) -> int:
        """Unix ms."""
        return self._clock_ms()

    def on_commit(self, committed: Callable[[], None]) -> None:
        """Call ``committed`` after every commit from now on."""
        self._committed = committed

    def run(self, handler: Handler[Message], message: Message) -> None:
        """Do ``handler(message, now)`` in this tick; it must be repeatable."""
        self._open()
        self._requests.append((handler, message))
        now = self._clock_ms()
        deadline = self._core.store.next_deadline
        if deadline is not None and deadline <= now and self._telemetry.storage_failure is None:
            self._core.store.expire(now)
        handler(message, now)

    def spoke(self, outbox: Outbox) -> None:
        """An outbox has something to say."""
        self._open()
        self._speakers.append(outbox)

    def end(self) -> None:
        """Commit and answer; the loop calls it, and so does who needs the tick to be over."""
        if not self._is_open:
            return
        if self._changes:
            self._commit()
        # Writing may tell a connection to go on, which opens the next tick: this one is over.
        self._is_open = False
        speakers, self._speakers = self._speakers, []
        self._requests.clear()
        self._queued_before.clear()
        for outbox in speakers:
            try:
                outbox.flush()
            except Exception:  # noqa: BLE001 - one connection must not cost the others their replies
                _log.exception("a connection could not be written to")
                outbox.kill()
        self._telemetry.ticks.add(self._timer_ms() - self._opened_at_ms)

    def probe(self) -> None:
        """While changes cannot be kept: find out whether they can again."""
        try:
            self._engine.probe()
        except StorageError as error:
            self._telemetry.storage_failure = error.reason
        else:
            self._recovered()

    def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            self._opened_at_ms = self._timer_ms()
            self._call_soon(self.end)

    def expire(self) -> None:
        """Let what is due expire, as a request of its own."""
        self.run(_nothing, None)

    def _changed(self, change: Change) -> None:
        assert self._requests, "a change belongs to a request, so that it can be refused"
        if not self._changes:
            self._first_changer = len(self._requests) - 1
            self._queued_before = {outbox: len(outbox) for outbox in self._speakers}
        self._changes.append(change)
        announce(self._core.hub, change, self._clock_ms())

    def _commit(self) -> None:
        changes, self._changes = self._changes, []
        try:
            self._engine.commit(changes)
        except StorageError as error:
            self._refuse(changes, error.reason)
        else:
            self._telemetry.changes += len(changes)
            self._committed()
            if self._telemetry.storage_failure is not None:
                self._recovered()

    def _refuse(self, changes: list[Change], reason: str) -> None:
        telemetry = self._telemetry
        telemetry.storage_failure = reason
        telemetry.storage_failures += 1
        if self._failures_in_a_row % FAILURES_PER_LOG_LINE == 0:
            _log.error("changes are refused, nothing is stored: %s", reason)
        self._failures_in_a_row += 1
        store = self._core.store
        store.undo(changes)
        for outbox in self._speakers:
            outbox.truncate(self._queued_before.get(outbox, 0))
        store.refusal = reason
        try:
            now = self._clock_ms()
            for handler, message in self._requests[self._first_changer :]:
                handler(message, now)
        finally:
            store.refusal = None

    def _recovered(self) -> None:
        self._telemetry.storage_failure = None
        self._failures_in_a_row = 0
        _log.warning("changes are stored again")


def _nothing(_message: None, _now: int) -> None:
    """A request that only lets time pass."""
