"""What a node itself asks of the log about sessions."""

from typing import Protocol

from dunena.dialects.errors import ClientError
from dunena.dialects.grants import Grant
from dunena.server.shared.kinds import is_certain
from dunena.server.shared.parked import ParkedRequest, PlanResult
from dunena.sessions.limits import SHARED_SESSION_KEYS_MAX
from dunena.sessions.session import Session


class SessionKeeper(Protocol):
    """What these requests need of the sessions of a node: `SharedSessions` has it."""

    def may_end(self, session_id: str, session: Session[Grant] | None) -> bool:
        """Return whether the end of a session is to be planned: of this node's if it has one."""

    def plan_end(
        self, session_id: str, session: Session[Grant] | None, count_max: int, now: int
    ) -> tuple[bool, ClientError | None]:
        """Plan the end of a session, or if it has more keys than ``count_max``, that of so many.

        It has more only if another version of the server let it. Return whether it will have
        ended, and why its will does not run.
        """

    def ended(
        self, session_id: str, session: Session[Grant] | None, error: ClientError | None
    ) -> None:
        """Learn that a session has ended, and why its will did not run."""

    def skip_will(self, session_id: str, reason: str) -> None:
        """End a session without its will, which no log would store."""

    def postpone(self, session: Session[Grant] | None) -> None:
        """End a session later, as that is not possible now; one of another node is found again."""

    def end_settled(self, session_id: str) -> None:
        """Learn that the end of a session does not wait for the log any more."""

    def plan_notes(self) -> bool:
        """Plan to bring notes up to date; return whether there is anything to do."""

    def notes_settled(self, *, is_refused: bool) -> None:
        """Learn that a change of notes does not wait for the log any more."""

    def search(self) -> None:
        """End sessions of nodes that are gone; what was asked of the log has been told."""

    def search_settled(self) -> None:
        """Learn that a search does not wait for the log any more."""


class OwnRequest(ParkedRequest):
    """A request of the node itself, which nobody waits for."""

    is_own = True

    def __init__(self, sessions: SessionKeeper) -> None:
        self._sessions = sessions
        self.size = 0
        self.is_conditional = True
        self.tries = 0

    @property
    def is_gone(self) -> bool:
        """Never: it is to be told what became of it."""
        return False


class SessionEnd(OwnRequest):
    """The end of a session; ``session`` is the node's own, None for that of another node."""

    def __init__(
        self, sessions: SessionKeeper, session_id: str, session: Session[Grant] | None
    ) -> None:
        super().__init__(sessions)
        self._id = session_id
        self._session = session
        self._is_planned = False
        self._is_whole = False
        self._error: ClientError | None = None

    def plan(self, now: int) -> PlanResult:
        """Plan it, if it is still to end."""
        self._is_planned = self._sessions.may_end(self._id, self._session)
        if not self._is_planned:
            return PlanResult.WRONG
        self._is_whole, self._error = self._sessions.plan_end(
            self._id, self._session, SHARED_SESSION_KEYS_MAX, now
        )
        return PlanResult.DONE

    def replay(self, now: int) -> None:
        """Learn that it was made; if there are more keys, the rest is due."""
        if self._is_planned and self._is_whole:
            self._sessions.ended(self._id, self._session, self._error)
        else:
            self._sessions.postpone(self._session)

    def refuse(self, error: ClientError, now: int) -> None:
        """Try again later, without a will that is at fault itself."""
        if is_certain(error, is_conditional=False):
            self._sessions.skip_will(self._id, error.text)
        self._sessions.postpone(self._session)

    def fail(self) -> None:
        """Try again later, without the will: it may be what fails."""
        self._sessions.skip_will(self._id, "it failed")
        self._sessions.postpone(self._session)

    def settled(self) -> None:
        """Let it be parked again, if it is found again."""
        self._sessions.end_settled(self._id)


class NotesUpdate(OwnRequest):
    """The change of notes that are out of date, as connections were lost."""

    _is_refused = False

    def plan(self, now: int) -> PlanResult:
        """Plan it."""
        return PlanResult.DONE if self._sessions.plan_notes() else PlanResult.WRONG

    def replay(self, now: int) -> None:
        """Do nothing more: the notes were taken in."""

    def refuse(self, error: ClientError, now: int) -> None:
        """Try again later."""
        self._is_refused = True

    def fail(self) -> None:
        """Try again later."""
        self._is_refused = True

    def settled(self) -> None:
        """Save what is out of date meanwhile."""
        self._sessions.notes_settled(is_refused=self._is_refused)


class GoneSearch(OwnRequest):
    """A question for the end of the log, before sessions of nodes that seem gone are ended."""

    def plan(self, now: int) -> PlanResult:
        """Plan no change."""
        return PlanResult.DONE

    def replay(self, now: int) -> None:
        """Search with what is known now."""
        self._sessions.search()

    def refuse(self, error: ClientError, now: int) -> None:
        """Do nothing: the next look searches again."""

    def fail(self) -> None:
        """Do nothing: the next look searches again."""

    def settled(self) -> None:
        """Let the next look search again."""
        self._sessions.search_settled()
