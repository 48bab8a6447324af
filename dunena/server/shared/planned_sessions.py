"""What requests are planned to do to sessions, on top of what the log has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dunena.dialects.grants import Grant
from dunena.dialects.services import Holder
from dunena.persistence.log import Op
from dunena.server.shared.session_notes import SessionTerms, digest_of, op_of
from dunena.sessions.limits import WILLS_BYTES_MAX
from dunena.sessions.session import Session, SessionRequest
from dunena.sessions.session_table import WillsFullError, will_size

Held = Session[Grant]

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class KnownSessions:
    """What plans begin with, all by id: the ``terms`` of all nodes' sessions, those ``held`` here.

    ``left`` has the session that a connection had when it was lost, if that may still be resumed.
    """

    terms: dict[str, SessionTerms]
    held: dict[str, Held]
    left: dict[Holder, Held]


class PlannedSessions:
    """The sessions as they would be; ``node`` is this one, ``clock`` the log's time in Unix ms.

    What a request does while ``is_planning`` is taken back: if it cannot be carried out, when it
    has ended (`drop_request`), else when the proposal is complete. ``secrets`` are, by id, those of
    sessions that would begin. ``has_ended`` returns whether a session of another node may not be
    resumed any more. ``wills_bytes`` is what all wills count for.
    """

    def __init__(
        self,
        known: KnownSessions,
        node: str,
        clock: Callable[[], int],
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
    ) -> None:
        self.is_planning = False
        self.secrets: dict[str, str] = {}
        self.wills_bytes = 0
        self.has_ended: Callable[[SessionTerms], bool] = _never
        self._known = known
        self._node = node
        self._clock = clock
        self._new_id = new_id
        self._new_secret = new_secret
        self._changed: dict[str, SessionTerms | None] = {}
        self._holders: dict[str, Holder] = {}
        self._ops: dict[str, Op] = {}  # of the present request
        self._undos: list[Callable[[], None]] = []
        self._undone_to = 0

    # --- proposals ---

    @property
    def ops(self) -> list[Op]:
        """The notes that the present request changes."""
        return list(self._ops.values())

    def begin_proposal(self) -> None:
        """Begin to plan; sessions that were planned before, and did not begin, never will."""
        self.is_planning = True
        self.secrets.clear()

    def end_proposal(self) -> None:
        """Take everything back but the secrets."""
        self._undone_to = 0
        self.drop_request()
        self.is_planning = False

    def begin_request(self) -> None:
        """Record what the next request does."""
        self._ops = {}
        self._undone_to = len(self._undos)

    def drop_request(self) -> None:
        """Take back what the present request has done."""
        while len(self._undos) > self._undone_to:
            self._undos.pop()()
        self._ops = {}

    # --- sessions ---

    def find(self, session_id: str) -> SessionTerms | None:
        """Return the terms of a session; None if there is none."""
        if session_id in self._changed:
            return self._changed[session_id]
        return self._known.terms.get(session_id)

    def is_changed(self, session_id: str) -> bool:
        """Return whether an earlier request of the proposal changes a session, or this one."""
        return session_id in self._changed

    def change(self, session_id: str, terms: SessionTerms | None) -> None:
        """Plan the terms of a session, None for its end."""
        self._put(self._changed, session_id, terms)
        self._ops[session_id] = op_of(session_id, terms)

    def begin(self, holder: Holder) -> Held:
        """Plan that a connection has a new session without grace; return it.

        What a lost connection has sent before belongs to the session that was lost with it.
        """
        left = self._known.left.get(holder)
        if left is not None and self.find(left.id) is not None:
            self._hold(holder, left)
            return left
        session_id, rights = self._new_id(), holder.rights
        secret = self.secrets[session_id] = f"{session_id}.{self._new_secret()}"
        lost_at = self._clock() if holder.is_gone else None
        terms = SessionTerms(
            session_id,
            digest_of(secret),
            rights.scope,
            rights.name,
            self._node,
            lost_at=lost_at,
        )
        return self._give(holder, terms, secret)

    def request(self, holder: Holder, request: SessionRequest) -> tuple[Held, bool]:
        """Plan what a client wants; return its session, and whether it had that before.

        Raise `WillsFullError`; then nothing was planned.
        """
        resumed = self._openable(request.resume, holder)
        own = holder.session
        before = resumed or (None if own is None else self.find(own.id))
        self._check_growth(before, request.will)
        if before is None:
            before = self.find(self.begin(holder).id)
            assert before is not None, "it was begun, or is still there"
        terms = before.changed(request)
        if not holder.is_gone:
            terms = terms.held_by(self._node, holder.rights)
        if resumed is not None:
            self._take_from_holder(resumed.id)
        return self._give(holder, terms, request.resume or ""), resumed is not None

    # --- inside ---

    def _openable(self, secret: str | None, holder: Holder) -> SessionTerms | None:
        """Return the terms of the session that a secret opens; None if it opens none."""
        terms = None if secret is None or holder.is_gone else self.find(id_in(secret))
        if terms is None or secret is None or not terms.is_opened_by(secret, holder.rights):
            return None
        session = self._known.held.get(terms.id)
        if session is not None:
            return terms if session.can_be_resumed(self._clock()) else None
        return None if self.has_ended(terms) else terms

    def _check_growth(self, before: SessionTerms | None, will: bytes | None) -> None:
        if will is None:
            return
        growth = will_size(will) - (0 if before is None else will_size(before.will))
        if growth > 0 and self.wills_bytes + growth > WILLS_BYTES_MAX:
            raise WillsFullError

    def _give(self, holder: Holder, terms: SessionTerms, secret: str) -> Held:
        """Plan that a connection has a session of these terms; return it."""
        self.change(terms.id, terms)
        session = Session(terms.id, secret, holder)
        terms.put_into(session)
        self._hold(holder, session)
        return session

    def _hold(self, holder: Holder, session: Held | None) -> None:
        before = holder.session

        def undo() -> None:
            holder.session = before

        self._undos.append(undo)
        holder.session = session
        if session is not None:
            self._put(self._holders, session.id, holder)

    def _take_from_holder(self, session_id: str) -> None:
        """Plan that the connection that has a session loses it."""
        session = self._known.held.get(session_id)
        other = self._holders.get(session_id, None if session is None else session.holder)
        if other is not None and other.session is not None and other.session.id == session_id:
            self._hold(other, None)

    def _put(self, table: dict[str, Value], name: str, value: Value) -> None:
        """Put something into a table, until it is taken back."""
        if name in table:
            before = table[name]
            self._undos.append(lambda: table.__setitem__(name, before))
        else:
            self._undos.append(lambda: table.__delitem__(name))
        table[name] = value


def id_in(secret: str) -> str:
    """Return the id of the session that a secret is of."""
    return secret.partition(".")[0]


def _never(_terms: SessionTerms) -> bool:
    """Stand in for `PlannedSessions.has_ended`."""
    return False
