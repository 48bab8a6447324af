"""The tick: all requests that the loop read in one iteration are applied, stored and answered.

In a tick, requests run as they arrive: their changes take effect in memory, and their replies and
updates are queued in outboxes. At its end all changes are committed once, then every outbox is
written. So no reply is sent before its change is stored.

If a commit takes long (a sync of the device), the finished tick is held with its output, and the
next tick gathers requests until the commit is done. There is one commit at a time, however many
requests share it.

If a commit fails, its changes are undone, and everything queued since the first of them is removed
from the outboxes. The requests since then are run again with a store that refuses changes: writes
are answered with the error, reads with the stored values, in the same order. So a request must be
repeatable: besides changing the store it may only put bytes in outboxes, follow channels or leave
them, and set attributes that it would set to the same value again. Who follows which channel is
taken back too, so that a message that is published again goes to the same followers, once.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from dunena.dialects.publish import publish_change
from dunena.dialects.services import Services
from dunena.hub import HubMark
from dunena.persistence.interface import Engine, StorageError
from dunena.server.limits import ROUND_REQUESTS_MAX
from dunena.server.outbox import Action, HeldOutput, Outbox
from dunena.server.turns import Turns
from dunena.store.entry import Change, Namespaces
from dunena.store.limits import EXPIRED_AT_ONCE_MAX
from dunena.telemetry import Telemetry

FAILURES_PER_LOG_LINE = 100
"""Failed commits for each log line about a failing disk; the first one is logged too."""

_Message = TypeVar("_Message")
_Handler = Callable[[_Message, int], None]

_Request = tuple[Callable[..., None], object]

_log = logging.getLogger(__name__)


_BEGINNING = HubMark(0, 0, 0)


class _Round:
    """The state of one tick: its requests, its changes and the outboxes with output.

    ``requests`` are those that may have to run again: all from the first that made a change on, and
    all earlier ones too if another tick was held when they began. ``handler`` and ``message`` are
    the newest request, ``is_noted`` says whether it is among them.

    ``first_changer`` is the index of the request that made the first change, ``queued_before`` the
    number of pieces in each outbox before it, ``mark`` the hub's before it; ``undos`` are the hub's
    for all requests. ``expired_count`` is the number of entries that expired in this tick.
    """

    __slots__ = (
        "changes",
        "dirty_outboxes",
        "expired_count",
        "first_changer",
        "handler",
        "held_outputs",
        "is_noted",
        "mark",
        "message",
        "opened_at_ms",
        "queued_before",
        "requests",
        "undos",
    )

    def __init__(self, opened_at_ms: float) -> None:
        self.opened_at_ms = opened_at_ms
        self.requests: list[_Request] = []
        self.handler: Callable[..., None] | None = None
        self.message: object = None
        self.is_noted = False
        self.changes: list[Change] = []
        self.first_changer = 0
        self.expired_count = 0
        self.queued_before: dict[Outbox, int] = {}
        self.mark = _BEGINNING
        self.undos: list[Callable[[], None]] = []
        self.dirty_outboxes: list[Outbox] = []
        self.held_outputs: list[HeldOutput] = []

    def note_request(self) -> None:
        """Note the newest request, which may have to run again."""
        assert self.handler is not None, "a change belongs to a request, so that it can be refused"
        self.requests.append((self.handler, self.message))
        self.is_noted = True


class Tick:
    """Runs one tick after another.

    ``call_soon`` runs a function after everything that the loop has read so far,
    ``call_threadsafe`` does so from any thread. ``after_batch`` does so too, sooner, and returns
    False where it cannot; None if there is none. ``clock_ms`` is Unix time, ``timer_ms`` any
    monotonic clock. Connections with more requests than fit a tick wait in ``turns``. ``is_spent``:
    a connection had a whole turn in this tick, so other heavy connections should wait there too.
    ``schedule_flush`` flushes an outbox at the end of the tick; it is an attribute, so that all
    outboxes keep the same object and not a bound method each.
    """

    def __init__(
        self,
        services: Services,
        engine: Engine,
        telemetry: Telemetry,
        *,
        call_soon: Callable[[Callable[[], None]], object],
        call_threadsafe: Callable[[Callable[[], None]], object],
        after_batch: Callable[[Callable[[], None]], bool] | None = None,
        clock_ms: Callable[[], int],
        timer_ms: Callable[[], float],
    ) -> None:
        self._store = services.unrestricted_store
        self._hub = services.hub
        self._watches = services.watches
        self._watches.attach(self._store, self._hub.published)
        self._engine = engine
        self._telemetry = telemetry
        self._call_soon = call_soon
        self._after_batch = after_batch
        self._call_threadsafe = call_threadsafe
        self._clock_ms = clock_ms
        self._timer_ms = timer_ms
        self._committed: Callable[[], None] = lambda: None
        self._undone: Callable[[], None] = lambda: None
        self._cleared: Callable[[Namespaces], None] = _forget
        self._clears = self._store.clears  # number of clears that were handled
        self._round: _Round | None = None  # the tick that gathers requests
        self._held: _Round | None = None  # the tick that waits for its commit
        self._now = 0  # time of the tick, Unix ms
        self._is_due = False  # some entries are due to expire
        self._failures_in_a_row = 0
        self.turns = Turns(call_soon, timer_ms, self.end, self._takes_no_more)
        self._are_turns_stalled = False
        self.is_spent = False
        self.schedule_flush: Callable[[Outbox], None] = self._flush_later
        self._store.observe(self._changed)
        self._store.on_undo(services.answers.undo)

    @property
    def now(self) -> int:
        """The present time in Unix ms."""
        return self._clock_ms()

    def on_commit(self, committed: Callable[[], None]) -> None:
        """Call ``committed`` after every commit from now on."""
        self._committed = committed

    def on_undo(self, undone: Callable[[], None]) -> None:
        """Call ``undone`` from now on after the changes of a commit that failed were undone."""
        self._undone = undone

    def on_clear(self, cleared: Callable[[Namespaces], None]) -> None:
        """Call ``cleared`` with the removed entries after every clear that was stored."""
        self._cleared = cleared

    def run(self, handler: _Handler[_Message], message: _Message) -> None:
        """Call ``handler(message, now)`` in this tick; it must be repeatable."""
        handler(message, self.begin(handler, message))

    def begin(self, handler: _Handler[_Message], message: _Message) -> int:
        """Begin a request, which the caller runs at once; return the tick's time in Unix ms.

        If this tick's changes are refused, ``handler(message, now)`` runs the request again.
        """
        current = self._round
        if current is None:
            current = self._gathering()
        elif self._held is not None:
            self._look_at_clock()  # a tick can last long while another one waits for a sync
        current.handler = handler
        current.message = message
        current.is_noted = False
        if current.changes or self._held is not None:
            current.note_request()
        if self._is_due:
            self._expire(current)
        return self._now

    def run_at(self, now: int, handler: _Handler[_Message], message: _Message) -> None:
        """Do the same as `run`, but as if it were ``now`` (Unix ms) while the handler runs."""
        own_time = self.begin(handler, message)
        self._now = self._store.now = now
        try:
            handler(message, now)
        finally:
            self._now = self._store.now = own_time

    def expire(self) -> None:
        """Expire a portion of the due entries, as a request of its own."""
        if self._round is not None:
            self._round.expired_count = 0  # this call may expire a whole portion
        self.run(_nothing, None)

    def _flush_later(self, outbox: Outbox) -> None:
        current = self._round or self._gathering()
        current.dirty_outboxes.append(outbox)

    def end(self) -> None:
        """Commit the changes and send the output; the loop calls it at the end of an iteration.

        While an earlier tick waits for its commit, nothing happens: this one goes on gathering.
        """
        self.is_spent = False
        current = self._round
        if current is None or self._held is not None:
            return
        if current.changes and not self._commit(current):
            self._hold(current)
        else:
            self._finish(current)
        if self._are_turns_stalled:
            self._are_turns_stalled = False
            self.turns.go_on()

    def probe(self) -> None:
        """Find out whether changes can be stored again, after a commit has failed."""
        try:
            self._engine.probe()
        except StorageError as error:
            self._telemetry.storage_failure = error.reason
        else:
            self._recovered()

    def find_failure(self) -> None:
        """Find out before the first change whether changes can be stored."""
        try:
            self._engine.probe()
        except StorageError as error:
            self._note_failure(error.reason)

    # --- gathering ---

    def _takes_no_more(self) -> bool:
        """Return whether connections with more to do should wait for the device first."""
        current = self._round
        self._are_turns_stalled = (
            self._held is not None
            and current is not None
            and len(current.requests) >= ROUND_REQUESTS_MAX
        )
        return self._are_turns_stalled

    def _gathering(self) -> _Round:
        if self._round is None:
            self._round = _Round(self._timer_ms())
            self._hub.undos = self._round.undos
            if self._after_batch is None or not self._after_batch(self.end):
                self._call_soon(self.end)
            self._look_at_clock()
        return self._round

    def _look_at_clock(self) -> None:
        """Read the clock, once for all requests of a tick."""
        self._now = self._store.now = self._clock_ms()
        self._is_due = self._store.next_deadline <= self._now

    def _expire(self, current: _Round) -> None:
        """Expire a portion of the due entries, as part of the request that just began.

        Further due entries are ended in later turns, or by who reads them before; a read of one
        that is to be removed shows nothing.
        """
        self._is_due = False
        if self._telemetry.storage_failure is None:
            count_max = EXPIRED_AT_ONCE_MAX - current.expired_count
            current.expired_count += len(self._store.expire(self._now, count_max))

    def _changed(self, change: Change) -> None:
        current = self._round
        assert current is not None, "a change belongs to a request, so that it can be refused"
        if not current.changes:
            if not current.is_noted:
                current.note_request()
            current.first_changer = len(current.requests) - 1
            current.queued_before = {outbox: len(outbox) for outbox in current.dirty_outboxes}
            current.mark = self._hub.mark()
        current.changes.append(change)
        publish_change(self._hub, change, self._now)
        if self._watches.feed_count:
            self._watches.changed(change, self._now)

    # --- keeping ---

    def _commit(self, current: _Round) -> bool:
        """Commit a tick; return whether it can be answered now, being stored or refused."""
        durable = any(change.is_durable for change in current.changes)
        try:
            is_kept = self._engine.commit(current.changes, self._done, durable=durable)
        except StorageError as error:
            self._refuse(error.reason, current)
            return True
        if is_kept:
            self._count(current)
        return is_kept

    def _hold(self, current: _Round) -> None:
        """Hold a tick with its output until its commit is done; the next one gathers."""
        self._hub.end_batches()
        current.held_outputs = [outbox.detach() for outbox in dict.fromkeys(current.dirty_outboxes)]
        self._held = current
        self._round = None

    def _done(self, reason: str | None) -> None:
        """Receive the engine's result for the held tick, in any thread; None is success."""
        self._call_threadsafe(lambda: self._finish_held(reason))

    def _finish_held(self, reason: str | None) -> None:
        held = self._held
        assert held is not None, "one commit at a time"
        self._held = None
        self._engine.finish_commit(held.changes, is_kept=reason is None)
        if reason is None:
            self._count(held)
            for held_output in held.held_outputs:
                held_output.send()
            self._telemetry.ticks.add(self._timer_ms() - held.opened_at_ms)
        else:
            self._refuse_held(reason, held)
        self.end()

    def _finish(self, current: _Round) -> None:
        # Writing may make a connection continue with requests, which begin the next tick.
        self._round = None
        self._hub.end_batches()
        actions: list[tuple[Outbox, Action]] = []
        for outbox in current.dirty_outboxes:
            try:
                action = outbox.flush()
            except Exception:  # noqa: BLE001 - one connection must not cost others their replies
                _give_up(outbox)
            else:
                if action is not None:
                    actions.append((outbox, action))
        for outbox, action in actions:
            try:
                action()
            except Exception:  # noqa: BLE001 - one connection must not cost others their replies
                _give_up(outbox)
        self._telemetry.ticks.add(self._timer_ms() - current.opened_at_ms)

    def _count(self, current: _Round) -> None:
        self._telemetry.changes += len(current.changes)
        self._committed()
        if self._store.clears != self._clears:
            self._look_for_clears(current)
        if self._telemetry.storage_failure is not None:
            self._recovered()

    def _look_for_clears(self, current: _Round) -> None:
        for change in current.changes:
            if change.cleared is not None:
                self._cleared(change.cleared)
        if self._round is None or self._round is current:
            self._clears = self._store.clears  # otherwise the gathering tick may have another one

    # --- refusing ---

    def _refuse(self, reason: str, current: _Round) -> None:
        """Undo the tick that is just ending and answer its requests again."""
        self._report(reason)
        self._hub.go_back(current.mark, current.undos[current.mark.undo_count :])
        self._store.undo(current.changes)
        current.changes.clear()
        for outbox in current.dirty_outboxes:
            outbox.truncate(current.queued_before.get(outbox, 0))
        self._undone()
        self._run_again(reason, current.requests[current.first_changer :])

    def _refuse_held(self, reason: str, held: _Round) -> None:
        """Undo a held tick, and the one that has gathered since on top of it."""
        self._report(reason)
        gathered = self._gathering()
        undos = held.undos[held.mark.undo_count :] + gathered.undos
        gathered.undos.clear()
        self._hub.go_back(held.mark, undos)
        self._store.undo([*held.changes, *gathered.changes])
        gathered.changes.clear()
        for outbox in gathered.dirty_outboxes:
            outbox.truncate(0)
        for held_output in held.held_outputs:
            held_output.put_back(held.queued_before.get(held_output.outbox, 0))
        self._undone()
        again = held.requests[held.first_changer :] + gathered.requests
        self._run_again(reason, again)

    def _run_again(self, reason: str, requests: list[_Request]) -> None:
        store = self._store
        store.refusal = reason
        try:
            now = self._now = store.now = self._clock_ms()
            for handler, message in requests:
                handler(message, now)
        finally:
            store.refusal = None

    def _report(self, reason: str) -> None:
        self._telemetry.storage_failures += 1
        self._note_failure(reason)

    def _note_failure(self, reason: str) -> None:
        self._telemetry.storage_failure = reason
        if self._failures_in_a_row % FAILURES_PER_LOG_LINE == 0:
            _log.error("changes are refused, nothing is stored: %s", reason)
        self._failures_in_a_row += 1

    def _recovered(self) -> None:
        self._telemetry.storage_failure = None
        self._failures_in_a_row = 0
        _log.warning("changes are stored again")


def _give_up(outbox: Outbox) -> None:
    _log.exception("a connection could not be written to")
    outbox.kill()


def _forget(_namespaces: Namespaces) -> None:
    """Ignore cleared entries: the default if `on_clear` was not called."""


def _nothing(_message: None, _now: int) -> None:
    """Do nothing: a request during which only due entries expire."""
