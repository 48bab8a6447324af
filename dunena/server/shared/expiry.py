"""Ending keys at their time, in the order of the log: one node proposes it, the others stand by."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from dunena.dialects.errors import ClientError
from dunena.persistence.log import Log, LogState
from dunena.server.shared.coordinator import Coordinator
from dunena.server.shared.parked import ParkedRequest, PlanResult
from dunena.server.shared.planning import PlanStore
from dunena.server.shared.store import SharedStore
from dunena.store.entry import Entry
from dunena.store.expiry import NEVER
from dunena.store.limits import EXPIRED_AT_ONCE_MAX

STAND_BY_MS: Final = 500
"""So much later than the node before it proposes a node the end of a key."""

WAIT_MS_MAX: Final = 1000
"""Longest wait for the next deadline, as the machine may sleep."""

WAIT_MS_MIN: Final = 1

RETRY_MS: Final = 20
"""Pause before keys that are due are proposed again."""


class Timer(Protocol):
    """A call that was asked for, and can be taken back."""

    def cancel(self) -> None:
        """Do not call."""


class SharedExpiry:
    """Proposes the ends of keys; ``call_later`` takes seconds and an action."""

    def __init__(
        self,
        log: Log,
        store: SharedStore,
        plan_store: PlanStore,
        coordinator: Coordinator,
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._log = log
        self._store = store
        self._plan_store = plan_store
        self._coordinator = coordinator
        self._call_later = call_later
        self._timer: Timer | None = None
        self._due_at = 0
        self._is_proposing = False
        self._is_stopped = False
        coordinator.on_change(self.rearm)

    def rearm(self) -> None:
        """Set the timer again if the next deadline, or the turn of this node, is sooner."""
        if self._is_proposing or self._is_stopped:
            return
        if self._timer is None or self._turn < self._due_at:
            self._arm()

    def cancel(self) -> None:
        """Stop for good."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def settled(self) -> None:
        """Go on after what was proposed is made, or refused."""
        self._is_proposing = False
        self._arm(RETRY_MS)

    def due(self, now: int) -> Sequence[Entry]:
        """Return the entries to end at Unix ms: a portion of those whose time has passed."""
        return self._store.due(now, EXPIRED_AT_ONCE_MAX)

    @property
    def _turn(self) -> int:
        """The time at which this node ends the next key, Unix ms; `NEVER` without one."""
        deadline = self._store.next_deadline
        nodes = self._log.status.nodes
        if deadline >= NEVER or self._log.node not in nodes:
            return NEVER
        return deadline + STAND_BY_MS * nodes.index(self._log.node)

    def _arm(self, wait_ms_min: int = WAIT_MS_MIN) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_stopped:
            return
        now = self._log.now
        wait_ms = max(wait_ms_min, min(WAIT_MS_MAX, self._turn - now))
        self._due_at = now + wait_ms
        self._timer = self._call_later(wait_ms / 1000, self._end_due)

    def _end_due(self) -> None:
        self._timer = None
        is_turn = self._coordinator.is_loaded and self._turn <= self._log.now
        # A proposal that is under way delays this one; it is not to be waited for here.
        status = self._log.status
        is_ready = status.state is LogState.READY and status.refusal is None
        if is_turn and is_ready and self.due(self._log.now):
            self._is_proposing = True
            self._coordinator.park(ExpiryRequest(self, self._plan_store))
        else:
            self._arm(RETRY_MS if is_turn else WAIT_MS_MIN)


class ExpiryRequest(ParkedRequest):
    """The end of keys whose time has passed, as a request of the node itself."""

    is_own = True

    def __init__(self, expiry: SharedExpiry, plan_store: PlanStore) -> None:
        self._expiry = expiry
        self._plan_store = plan_store
        self.size = 0
        self.is_conditional = False
        self.tries = 0

    @property
    def is_gone(self) -> bool:
        """Never: nobody waits, but it is to be told that it is settled."""
        return False

    def plan(self, now: int) -> PlanResult:
        """Plan the ends; others may have ended all meanwhile."""
        self._plan_store.plan_ends(self._expiry.due(now))
        return PlanResult.DONE if self._plan_store.overdue_ops else PlanResult.WRONG

    def replay(self, now: int) -> None:
        """Do nothing more: the ends were made."""

    def refuse(self, error: ClientError, now: int) -> None:
        """Do nothing: it is tried again."""

    def fail(self) -> None:
        """Do nothing: there is no answer."""

    def settled(self) -> None:
        """Wait for the next deadline."""
        self._expiry.settled()
