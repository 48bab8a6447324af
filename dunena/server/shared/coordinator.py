"""The coordinator: it proposes what parked requests would change, and makes what the log stored.

Theory of operation. Parked requests wait in one queue. When nothing is under way, the first of them
are planned and become one proposal. What the log has stored comes back in its order, that of others
too, and is made at the revisions that it has there. At the place of the own proposal its requests
run again, in their order, and are answered. So no answer leaves before its change is stored by the
log and made here, and a later request finds it.

A proposal that was refused as others were quicker is planned anew, with fewer requests at once. All
other refusals become the answers of its requests.
"""

from collections import deque
from collections.abc import Callable, Sequence

from dunena.dialects.errors import ClientError, TooLargeError
from dunena.persistence.log import (
    Contents,
    Log,
    LogBatch,
    Proposal,
    Record,
    Refusal,
    RefusalKind,
)
from dunena.server.shared.answers import SharedAnswers
from dunena.server.shared.channels import SharedChannels
from dunena.server.shared.limits import TRIES_MAX
from dunena.server.shared.parked import ParkedRequest, Planned
from dunena.server.shared.parked_requests import ParkedRequests
from dunena.server.shared.planner import REQUESTS_MAX, Planner
from dunena.server.shared.refusals import busy_error, error_of, lost_error
from dunena.server.shared.replay import LogReplay
from dunena.server.shared.session_table import SharedSessionTable
from dunena.server.shared.store import SharedStore
from dunena.server.shared.takeover import LogTakeover
from dunena.server.tick import Tick
from dunena.telemetry import Telemetry


class Coordinator:
    """The follower of a server's log.

    ``requests`` are those that wait, or are under way. ``is_repairing``: what was lost is being
    taken over, and answers are for `answer_later`. ``call_soon`` runs a function after everything
    that the loop has read so far. ``is_loaded``: everything that the log has was taken over once.
    """

    def __init__(
        self,
        log: Log,
        store: SharedStore,
        answers: SharedAnswers,
        sessions: SharedSessionTable,
        channels: SharedChannels,
        planner: Planner,
        tick: Tick,
        takeover: LogTakeover,
        call_soon: Callable[[Callable[[], None]], object],
        telemetry: Telemetry,
    ) -> None:
        self.log = log
        self.is_loaded = False
        self.is_repairing = False
        self.requests = ParkedRequests()
        self._store = store
        self._replay = LogReplay(store, answers, sessions)
        self._channels = channels
        self._planner = planner
        self._tick = tick
        self._takeover = takeover
        self._call_soon = call_soon
        self._telemetry = telemetry
        self._batch: list[Planned] = []  # what is under way, as `_number`
        self._number = 0
        self._is_under_way = False
        self._is_coming = False  # the next proposal
        self._count_max = REQUESTS_MAX
        self._continuing: list[Callable[[], None]] = []
        self._answers_later: list[Callable[[], None]] = []
        self._changed: list[Callable[[], None]] = []

    # --- requests ---

    def park(self, request: ParkedRequest) -> None:
        """Let a request wait for the log; it is proposed after this iteration of the loop."""
        self.requests.add(request)
        self._propose_soon()

    def continue_later(self, action: Callable[[], None]) -> None:
        """Call ``action`` in this tick, after all that the log has told was made."""
        self._continuing.append(action)

    def answer_later(self, answer: Callable[[], None]) -> None:
        """Call ``answer`` when all is taken over: watches are told of changes before the reply."""
        self._answers_later.append(answer)

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` after changes were made, and when the state of the log changed."""
        self._changed.append(changed)

    # --- the log ---

    def load(self, contents: Contents, own: LogBatch | None = None) -> None:
        """Take over everything; a later time, tell the difference."""

        def load(now: int) -> None:
            self._takeover.load(contents, now, own, self._make_lost)
            self.is_loaded = True

        self._take_over(contents, load)

    def apply(self, batches: Sequence[LogBatch]) -> None:
        """Make changes, and answer the requests of the own proposal at its place."""
        for batch in batches:
            self._tick.run_at(batch.timestamp, self._make, batch)
        self._go_on()

    def repair(
        self, entries: Contents, removed: Sequence[Record], own: LogBatch | None = None
    ) -> None:
        """Take over what was changed while deliveries were lost."""

        def repair(now: int) -> None:
            self._takeover.repair(entries, removed, now, own, self._make_lost)

        self._take_over(entries, repair)

    def refuse(self, number: int, refusal: Refusal) -> None:
        """Plan the requests of the own proposal again, or answer them with the reason."""
        if not self._is_under_way or number != self._number:
            return
        batch = self._finish()
        if refusal.kind is RefusalKind.CONFLICT:
            self._again(batch, max(1, len(batch) // 2))
        elif refusal.kind is RefusalKind.INVALID and len(batch) > 1:
            self._again(batch, 1)  # one of them is at fault
        else:
            self._tick.run(self._refuse_all, (batch, error_of(refusal)))
        self._go_on()

    def message(self, channel: str, data: bytes) -> None:
        """Send a message to those who are subscribed to its channel here."""
        self._channels.receive(channel, data)

    def change_state(self) -> None:
        """Tell those who asked."""
        self._tell_changed()

    # --- proposing ---

    def _propose_soon(self) -> None:
        if not self._is_coming:
            self._is_coming = True
            self._call_soon(self._propose)

    def _propose(self) -> None:
        self._is_coming = False
        waiting = self.requests.waiting
        while waiting and self.is_loaded and not self._is_under_way:
            batch = self._planner.take(waiting, self.log.now, self._count_max)
            groups = [group for planned in batch for group in planned.groups]
            if not groups and not any(planned.asks for planned in batch):
                self._tick.run(self._answer_all, batch)
                self._go_on()
                continue
            self._number += 1
            self._batch, self._is_under_way = batch, True
            self.log.propose(Proposal(self._number, tuple(groups)))

    def _finish(self) -> list[Planned]:
        """Return what was under way, which is settled."""
        batch, self._batch, self._is_under_way = self._batch, [], False
        return batch

    def _again(self, batch: list[Planned], count_max: int) -> None:
        """Let the requests of a batch wait again, before all others."""
        self.requests.put_back([planned.request for planned in batch])
        self._count_max = count_max
        self._try_again(batch[0].request)

    def _try_again(self, request: ParkedRequest) -> None:
        """Count a try of the first request that waits; refuse it after too many."""
        request.tries += 1
        if request.tries >= TRIES_MAX:
            self.requests.waiting.popleft()
            self._tick.run(self._refuse_all, ([Planned(request)], busy_error()))

    # --- making ---

    def _take_over(self, contents: Contents, make: Callable[[int], None]) -> None:
        """Take over what was lost, in one tick, and answer only then."""

        def take_over(_message: None, now: int) -> None:
            self.is_repairing = True
            make(now)
            self.is_repairing = False
            answers, self._answers_later = self._answers_later, []
            for answer in answers:
                answer()

        self._tick.run_at(contents.timestamp, take_over, None)
        self._go_on()

    def _make(self, batch: LogBatch, now: int) -> None:
        is_own = self._is_under_way and batch.number == self._number
        if batch.revision <= self._store.revision:
            if is_own:  # it was taken over with all that was lost
                self._refuse_all((self._finish(), lost_error()), now)
            return
        if is_own:
            self._count_max = min(REQUESTS_MAX, self._count_max * 2)
            self._replay_all(self._finish(), batch, now)
        else:
            for records in batch.groups:
                self._replay.make_group(records, now)
        self._store.reach(batch.revision)

    def _make_lost(self, own: LogBatch) -> None:
        self._make(own, own.timestamp)

    def _replay_all(self, batch: list[Planned], stored: LogBatch, now: int) -> None:
        groups = deque(stored.groups)
        for planned in batch:
            for _ in planned.ends:
                self._replay.make_group(groups.popleft(), now)
            self._run_again(planned, groups.popleft() if planned.ops else (), now)

    def _run_again(self, planned: Planned, records: Sequence[Record], now: int) -> None:
        """Run a request again, and settle it unless it has to be planned again."""
        request = planned.request
        if request.is_gone or planned.error is not None:
            self._replay.make_group(records, now)
            self._answer(planned, now)
        elif self.is_repairing and planned.removes_unseen:
            self._replay.make_group(records, now)
            self._answer(planned, now, lost_error())
        elif not (self.is_repairing and planned.asks) and self._replay.run(planned, records, now):
            self.requests.settle(request)
        else:
            self.requests.put_back([request])
            self._try_again(request)

    # --- answering ---

    def _answer_all(self, batch: list[Planned], now: int) -> None:
        """Answer requests that the log need not be asked about."""
        for planned in batch:
            if planned.error is None:
                self._run_again(planned, (), now)
            else:
                self._answer(planned, now)

    def _refuse_all(self, refused: tuple[list[Planned], ClientError], now: int) -> None:
        batch, error = refused
        for planned in batch:
            if planned.is_certain:
                self._run_again(planned, (), now)
                continue
            is_told = not (planned.request.is_own or planned.request.is_gone)
            if is_told and planned.error is None and not isinstance(error, TooLargeError):
                self._telemetry.storage_failures += 1
            self._answer(planned, now, error)

    def _answer(self, planned: Planned, now: int, error: ClientError | None = None) -> None:
        """Answer a request with its own error, else with another one; with none nobody waits."""
        error = planned.error or error
        if error is not None and not planned.request.is_gone:
            planned.request.refuse(error, now)
        self.requests.settle(planned.request)

    def _go_on(self) -> None:
        """Let connections go on whose requests were answered, and propose what waits."""
        continuing, self._continuing = self._continuing, []
        for action in continuing:
            action()
        self.requests.let_in()
        if self.requests.waiting:
            self._propose_soon()
        self.requests.tell_idle()
        self._tell_changed()

    def _tell_changed(self) -> None:
        for changed in self._changed:
            changed()
