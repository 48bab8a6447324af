"""All sessions of a server; no I/O: the time comes in as an argument, in Unix ms.

Theory of operation. A connection has a `SessionHolder`, and a session once it asks for one or
writes an ephemeral key. When the connection is lost, its session is LOST until its grace is over;
whoever shows its secret meanwhile, with the same rights, holds it from then on. When the end of a
session is due, `due` returns it, once. The caller deletes its keys and runs its will, and reports
`ended`, or `postpone` if changes are refused. That may come after `ended`: a tick may run again.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Generic

from dunena.sessions.limits import (
    LOST_SESSIONS_MAX,
    SESSION_KEYS_MAX,
    SESSION_RETRY_MS,
    WILL_BYTES,
    WILLS_BYTES_MAX,
)
from dunena.sessions.session import RightsT, Session, SessionHolder, SessionRequest, SessionState

NEVER = 2**63
"""A time later than any other, Unix ms."""


class WillsFullError(Exception):
    """All wills together would exceed `WILLS_BYTES_MAX`."""


class SessionTable(Generic[RightsT]):
    """The sessions of one server.

    ``new_id`` makes a public id without a dot, ``new_secret`` a text that cannot be guessed. After
    ``is_stopped`` was set no session ends: the server stops. ``keys_max`` is the number of keys
    that a session may own.
    """

    keys_max: int = SESSION_KEYS_MAX

    def __init__(self, new_id: Callable[[], str], new_secret: Callable[[], str]) -> None:
        self._new_id = new_id
        self._new_secret = new_secret
        self._by_id: dict[str, Session[RightsT]] = {}
        self._lost: dict[Session[RightsT], None] = {}  # in the order of their loss
        self._ending: set[Session[RightsT]] = set()
        self._postponed: set[Session[RightsT]] = set()  # some of these
        self._ends: list[tuple[int, int, Session[RightsT]]] = []  # a heap, with stale ones
        self._end_number = 0
        self._will_bytes = 0
        self._sooner: Callable[[], None] = _ignore
        self.is_stopped = False
        self.ended_count = 0
        self.resumed_count = 0
        self.failed_wills = 0

    def on_sooner(self, sooner: Callable[[], None]) -> None:
        """Call ``sooner`` whenever `next_end` is earlier than it was."""
        self._sooner = sooner

    # --- figures ---

    def __len__(self) -> int:
        """Return the number of sessions that have not ended."""
        return len(self._by_id)

    @property
    def connected_count(self) -> int:
        """The number of sessions with a connection."""
        return len(self._by_id) - len(self._lost) - len(self._ending)

    @property
    def lost_count(self) -> int:
        """The number of sessions without a connection that can be resumed."""
        return len(self._lost)

    @property
    def ending_count(self) -> int:
        """The number of sessions that cannot be resumed, and whose keys are not deleted yet."""
        return len(self._ending)

    @property
    def postponed_count(self) -> int:
        """The number of sessions whose end could not be stored yet."""
        return len(self._postponed)

    @property
    def next_end(self) -> int:
        """The time at which `due` should next be called; it may find nothing. Or `NEVER`."""
        return self._ends[0][0] if self._ends else NEVER

    # --- connections ---

    def begin(self, holder: SessionHolder[RightsT]) -> Session[RightsT]:
        """Begin a session without grace for a connection that has none."""
        session_id = self._new_id()
        session = Session(session_id, f"{session_id}.{self._new_secret()}", holder)
        self._by_id[session_id] = session
        if holder.is_gone:
            session.holder = None
            self._end_at(session, 0)
        else:
            holder.session = session
        return session

    def request(
        self, holder: SessionHolder[RightsT], request: SessionRequest, now: int
    ) -> tuple[Session[RightsT], bool]:
        """Carry out a client's request; return its session, and whether it had that before.

        Raise `WillsFullError`; then nothing was done.
        """
        resumed = self._find(request.resume, holder, now)
        session = resumed or holder.session
        self._check_room(session, request.will)
        if resumed is not None:
            self._move(resumed, holder, now)
        changed = self.begin(holder) if session is None else session
        if request.timeout_ms is not None:
            changed.timeout_ms = request.timeout_ms
        if request.grace_ms is not None:
            changed.grace_ms = request.grace_ms
        if request.name is not None:
            changed.name = request.name
        # The will of a lost connection was set before, for the session that was lost with it.
        if request.will is not None and not holder.is_gone:
            self._will_bytes += will_size(request.will) - will_size(changed.will)
            changed.will = request.will
        holder.listener.change_timeout(changed.timeout_ms)
        return changed, resumed is not None

    def leave(self, holder: SessionHolder[RightsT], now: int, *, is_at_once: bool) -> None:
        """Take the session from a connection; ``is_at_once``: it ends without a grace."""
        session, holder.session = holder.session, None
        if session is None:
            return
        session.holder = None
        if is_at_once or not session.grace_ms:
            self._end_at(session, now)
            return
        session.state = SessionState.LOST
        self._lost[session] = None
        self._schedule(session, now + session.grace_ms)
        if len(self._lost) > LOST_SESSIONS_MAX:
            self._end_at(next(iter(self._lost)), now)

    def change_rights(self, current: Callable[[RightsT], RightsT | None], now: int) -> None:
        """Give sessions without a connection the present rights of their tokens.

        One whose token is not valid any more ends at once, without its will.
        """
        for session in list(self._by_id.values()):
            if session.rights is None or session.holder is not None:
                continue
            session.rights = current(session.rights)
            if session.rights is None and session.state is SessionState.LOST:
                self._end_at(session, now)

    # --- ends ---

    def due(self, now: int) -> Session[RightsT] | None:
        """Return a session whose end is due and to be carried out now, None if there is none."""
        while self._ends and self._ends[0][0] <= now and not self.is_stopped:
            ends_at, _, session = heappop(self._ends)
            if session.ends_at != ends_at or session.state not in _WITH_END:
                continue
            self._begin_to_end(session)
            session.ends_at = 0  # further entries of the heap are stale
            return session
        return None

    def ended(self, session: Session[RightsT]) -> None:
        """Report that the end of a session was carried out."""
        if session.state is SessionState.ENDING:
            session.state = SessionState.ENDED
            del self._by_id[session.id]
            self._ending.discard(session)
            self._postponed.discard(session)
            self._will_bytes -= will_size(session.will)
            self.ended_count += 1

    def postpone(self, session: Session[RightsT], now: int) -> None:
        """Report that the end of a session could not be stored: it is due again in a moment."""
        if session.state is SessionState.ENDED:
            self._by_id[session.id] = session
            self._will_bytes += will_size(session.will)
            self.ended_count -= 1
        self._begin_to_end(session)
        self._postponed.add(session)
        self._schedule(session, now + SESSION_RETRY_MS)

    # --- inside ---

    def _find(
        self, secret: str | None, holder: SessionHolder[RightsT], now: int
    ) -> Session[RightsT] | None:
        if secret is None or holder.is_gone:
            return None
        session = self._by_id.get(secret.partition(".")[0])
        if session is None or not session.can_be_resumed(now):
            return None
        return session if session.is_opened_by(secret, holder.rights) else None

    def _move(self, session: Session[RightsT], holder: SessionHolder[RightsT], now: int) -> None:
        """Let a connection hold a session that it resumes; one that it had ends."""
        other = session.holder
        if other is holder:
            return
        if other is not None:
            other.session = None
            other.listener.displace()
        self.leave(holder, now, is_at_once=True)
        self._lost.pop(session, None)
        session.state = SessionState.CONNECTED
        session.rights = holder.rights
        session.holder, holder.session = holder, session
        self.resumed_count += 1

    def _check_room(self, session: Session[RightsT] | None, will: bytes | None) -> None:
        if will is None:
            return
        growth = will_size(will) - (0 if session is None else will_size(session.will))
        if growth > 0 and self._will_bytes + growth > WILLS_BYTES_MAX:
            raise WillsFullError

    def _end_at(self, session: Session[RightsT], now: int) -> None:
        self._begin_to_end(session)
        self._schedule(session, now)

    def _begin_to_end(self, session: Session[RightsT]) -> None:
        self._lost.pop(session, None)
        self._ending.add(session)
        session.state = SessionState.ENDING

    def _schedule(self, session: Session[RightsT], ends_at: int) -> None:
        is_sooner = ends_at < self.next_end
        session.ends_at = ends_at
        self._end_number += 1
        heappush(self._ends, (ends_at, self._end_number, session))
        if is_sooner:
            self._sooner()


_WITH_END = (SessionState.LOST, SessionState.ENDING)


def will_size(will: bytes) -> int:
    """Return what a will counts for in `WILLS_BYTES_MAX`."""
    return len(will) + WILL_BYTES if will else 0


def _ignore() -> None:
    """Do nothing: nobody is to be told."""
