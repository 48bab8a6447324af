"""The sessions of a node: their ends wait for the log, as every other change does."""

from dunena.dialects.errors import ClientError
from dunena.dialects.grants import Grant
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.server.sessions import Sessions
from dunena.server.shared.coordinator import Coordinator
from dunena.server.shared.parked import ParkedRequest, PlanResult
from dunena.sessions.session import Session


class SharedSessions(Sessions):
    """Lets the ends of sessions wait for the log; `attach` comes first."""

    def attach(self, coordinator: Coordinator, plan_views: Views, planning: Services) -> None:
        """Park ends at a coordinator; the others are services for requests that are planned."""
        self._coordinator = coordinator
        self._plan_views = plan_views
        self._planning = planning
        self._parked: set[Session[Grant]] = set()

    def plan_end(self, session: Session[Grant], now: int) -> None:
        """End a session on the planned store."""
        self._carry_out_end(session, self._plan_views, self._planning, now)

    def make_end(self, session: Session[Grant], now: int) -> None:
        """End a session."""
        self._end(session, now)

    def settled(self, session: Session[Grant]) -> None:
        """Learn that the end of a session does not wait any more."""
        self._parked.discard(session)

    def postpone_end(self, session: Session[Grant], now: int) -> None:
        """End a session later, as the log does not take it now."""
        self.table.postpone(session, now)
        self._arm()

    def _begin_end(self, session: Session[Grant]) -> None:
        self.table.postpone(session, self._tick.now)  # it is not due again meanwhile
        if session not in self._parked:
            self._parked.add(session)
            self._coordinator.park(SessionEnd(self, session))


class SessionEnd(ParkedRequest):
    """The end of a session, as a request of the node itself."""

    def __init__(self, sessions: SharedSessions, session: Session[Grant]) -> None:
        self._sessions = sessions
        self._session = session
        self.size = len(session.will)
        self.is_conditional = True
        self.tries = 0

    @property
    def is_gone(self) -> bool:
        """Never: the session is to end."""
        return False

    def plan(self, now: int) -> PlanResult:
        """End it on the planned store."""
        self._sessions.plan_end(self._session, now)
        return PlanResult.DONE

    def replay(self, now: int) -> None:
        """End it."""
        self._sessions.make_end(self._session, now)

    def refuse(self, error: ClientError, now: int) -> None:
        """Try again later."""
        self._sessions.postpone_end(self._session, now)

    def fail(self) -> None:
        """Do nothing: it is due again later."""

    def settled(self) -> None:
        """Let it be parked again, if it is due again."""
        self._sessions.settled(self._session)
