"""The sessions of all nodes: this node knows the notes of all, and holds some; no I/O.

Theory of operation. All nodes know a session by its note in the log (`session_notes`). A request
that would begin, change or resume one is planned: the table shows it as if it had happened, and
records the note; then all of that is taken back. When the note is stored the request runs again,
and takes what happened from the note's record. A connection that is lost changes the table at once
and the note later: until then the session is in ``unsaved``.

Who learns from a note that another node holds a session of this one, or that it has ended, forgets
it and ends its connection. So a client that was away presents itself anew.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from dunena.dialects.grants import NOTHING, Grant
from dunena.dialects.services import Holder
from dunena.persistence.log import Record
from dunena.server.shared.planned_sessions import KnownSessions, PlannedSessions, id_in
from dunena.server.shared.session_notes import SessionTerms, id_of, read_terms
from dunena.server.shared.store import UnplannedChangeError
from dunena.sessions.limits import SHARED_SESSION_KEYS_MAX
from dunena.sessions.session import Session, SessionHolder, SessionRequest, SessionState
from dunena.sessions.session_table import SessionTable, will_size

NOTES_AT_ONCE_MAX = 500
"""Notes of sessions that one proposal changes: as many connections may be lost at once."""


class SharedSessionTable(SessionTable[Grant]):
    """The sessions that the node ``node`` holds, and the terms of all, whose ids are ``by_node``.

    ``clock`` is the log's time in Unix ms. ``grant_of`` returns the rights that have a scope, None
    if none of this node's tokens have them. ``unsaved`` are the ids of sessions whose notes are out
    of date; ``on_unsaved`` is called when there is another one.
    """

    keys_max = SHARED_SESSION_KEYS_MAX

    def __init__(
        self,
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
        node: str,
        clock: Callable[[], int],
    ) -> None:
        super().__init__(new_id, new_secret)
        self.node = node
        self.terms: dict[str, SessionTerms] = {}
        self.by_node: dict[str, set[str]] = {}
        self.unsaved: dict[str, None] = {}
        self.on_unsaved: Callable[[], None] = _do_nothing
        self.grant_of: Callable[[bytes], Grant | None] = _nobody
        self._clock = clock
        self._revisions: dict[str, int] = {}  # of the notes
        self._left: dict[Holder, Session[Grant]] = {}
        self._left_by: dict[str, Holder] = {}
        self._notes: deque[Record] = deque()  # of the request that runs again
        known = KnownSessions(self.terms, self._by_id, self._left)
        self.planned = PlannedSessions(known, node, clock, new_id, new_secret)

    # --- connections ---

    def begin(self, holder: Holder) -> Session[Grant]:
        """Begin a session without grace for a connection that has none, or plan that."""
        if self.planned.is_planning:
            return self.planned.begin(holder)
        note = self._next_note()
        return self._passing(holder) if note is None else self._take_on(holder, note)

    def request(
        self, holder: Holder, request: SessionRequest, now: int
    ) -> tuple[Session[Grant], bool]:
        """Carry out a client's request, or plan that; return its session, and whether it had it.

        Raise `WillsFullError` if it cannot be planned, and `UnplannedChangeError` if it was not.
        """
        if self.planned.is_planning:
            return self.planned.request(holder, request)
        note = self._next_note()
        if note is None:
            raise UnplannedChangeError("a session")
        session_id = id_of(note.op.key) or ""
        secret, is_known = request.resume, session_id not in self.planned.secrets
        is_resumed = secret is not None and is_known and id_in(secret) == session_id
        session = self._take_on(holder, note, secret if is_resumed else None)
        holder.listener.change_timeout(session.timeout_ms)
        return session, is_resumed

    def leave(self, holder: Holder, now: int, *, is_at_once: bool) -> None:
        """Take the session from a connection; ``is_at_once``: it ends without a grace."""
        session = holder.session
        super().leave(holder, self._clock(), is_at_once=is_at_once)
        if session is not None and holder.is_gone:
            self._left[holder], self._left_by[session.id] = session, holder
        if session is not None and session.state is SessionState.LOST:
            self.save_later(session.id)

    def change_rights(self, current: Callable[[Grant], Grant | None], now: int) -> None:
        """Like `SessionTable.change_rights`; sessions with a connection have changed already."""
        super().change_rights(current, self._clock())
        for session in self._by_id.values():
            if session.holder is not None and session.scope != self.terms[session.id].scope:
                self.save_later(session.id)

    # --- ends ---

    def session_of(self, session_id: str) -> Session[Grant] | None:
        """Return a session that this node holds; None for any other."""
        return self._by_id.get(session_id)

    def ending(self) -> list[Session[Grant]]:
        """Return the sessions that cannot be resumed, and whose keys are not deleted yet."""
        return list(self._ending)

    def ended(self, session: Session[Grant]) -> None:
        """Report that the end of a session was carried out."""
        if session.state is SessionState.ENDING:
            self._drop(session)
            self.ended_count += 1

    # --- notes ---

    def save_later(self, session_id: str) -> None:
        """Note that the note of a session that this node holds is out of date."""
        self.unsaved[session_id] = None
        self.on_unsaved()

    def plan_unsaved(self) -> bool:
        """Plan to bring notes up to date; return whether there is anything to do."""
        has_planned = False
        for session_id in list(self.unsaved)[:NOTES_AT_ONCE_MAX]:
            wanted = self._wanted(session_id)
            if wanted is None or wanted == self.terms[session_id]:
                del self.unsaved[session_id]
            elif not self.planned.is_changed(session_id):
                self.planned.change(session_id, wanted)
                has_planned = True
        return has_planned

    def begin_replay(self, records: Sequence[Record]) -> None:
        """Let the request that runs next take what happened from its records."""
        self._notes.extend([note for note in records if id_of(note.op.key) is not None])

    def end_replay(self) -> None:
        """Forget records that the request did not take; `take_in` follows."""
        self._notes.clear()

    def take_in(self, note: Record) -> None:
        """Take in a note, whoever wrote it; do nothing for one that was taken already."""
        session_id = id_of(note.op.key)
        if session_id is None or self._revisions.get(session_id, 0) >= note.revision:
            return
        terms = self._put_terms(session_id, note)
        session = self._by_id.get(session_id)
        if terms is None or terms.node != self.node:
            if session is not None:
                self._forget(session, has_ended=terms is None)
        elif session is None:
            self._adopt(terms)
        else:
            terms.put_into(session)
            if self._wanted(session_id) == terms:
                self.unsaved.pop(session_id, None)

    def load(self, notes: dict[str, Record]) -> None:
        """Take over all the notes of the log, in place of those that are known."""
        present = {session_id for name in notes if (session_id := id_of(name)) is not None}
        for session_id in [known for known in self.terms if known not in present]:
            self._remove_terms(session_id)
            session = self._by_id.get(session_id)
            if session is not None:
                self._forget(session, has_ended=True)
        self._revisions.clear()  # those of another log say nothing
        for note in notes.values():
            self.take_in(note)

    # --- replay ---

    def _next_note(self) -> Record | None:
        return self._notes.popleft() if self._notes else None

    def _passing(self, holder: Holder) -> Session[Grant]:
        """Return the session of a request that runs again and cannot be carried out."""
        return Session(self._new_id(), "", holder)

    def _take_on(self, holder: Holder, note: Record, secret: str | None = None) -> Session[Grant]:
        """Let a connection hold the session of a note, as was planned; return it.

        ``secret`` is that of a session that it resumes, None for its own or one that begins.
        """
        session_id = id_of(note.op.key) or ""
        terms = self._put_terms(session_id, note)
        assert terms is not None, "a plan never removes what it begins"
        session = self._by_id.get(session_id)
        if session is None:
            begun = secret or self.planned.secrets.pop(session_id)
            session = self._by_id[session_id] = Session(session_id, begun, holder)
            session.holder = None
        elif secret is not None:
            session.secret = secret  # of a session that was adopted it was not known
        if secret is not None and session.holder is not holder:
            self._ending.discard(session)
            self._postponed.discard(session)
            self._let_go(session)
            self._move(session, holder, self._clock())
        session.holder, holder.session = holder, session
        session.scope = holder.rights.scope
        terms.put_into(session)
        self.unsaved.pop(session_id, None)
        return session

    # --- changes by notes ---

    def _put_terms(self, session_id: str, note: Record) -> SessionTerms | None:
        """Take over the terms of a note; return them, None if it was removed."""
        self._remove_terms(session_id)
        terms = read_terms(session_id, note.op.value)
        if terms is not None:
            self.terms[session_id] = terms
            self.by_node.setdefault(terms.node, set()).add(session_id)
            self._revisions[session_id] = note.revision
            self.planned.wills_bytes += will_size(terms.will)
        return terms

    def _remove_terms(self, session_id: str) -> None:
        terms = self.terms.pop(session_id, None)
        self._revisions.pop(session_id, None)
        if terms is None:
            return
        self.planned.wills_bytes -= will_size(terms.will)
        held = self.by_node[terms.node]
        held.discard(session_id)
        if not held:
            del self.by_node[terms.node]

    def _adopt(self, terms: SessionTerms) -> None:
        """Hold a session that is this node's by its note, and that no connection here has.

        Its request was stored after all, or its connection was lost before that was known.
        """
        rights = self.grant_of(terms.scope)
        holder = SessionHolder(self, NOTHING if rights is None else rights)
        session = Session(terms.id, "", holder)
        session.rights, session.scope = rights, terms.scope
        terms.put_into(session)
        self._by_id[session.id] = holder.session = session
        self.leave(holder, self._clock(), is_at_once=False)

    def _wanted(self, session_id: str) -> SessionTerms | None:
        """Return the terms that a note should have; None if it is not this node's to change."""
        session, terms = self._by_id.get(session_id), self.terms.get(session_id)
        if session is None or terms is None or session.state is SessionState.ENDING:
            return None
        is_lost = session.state is SessionState.LOST
        lost_at = session.ends_at - session.grace_ms if is_lost else None
        rights = terms.rights if session.rights is None else session.rights.name
        return replace(terms, scope=session.scope, rights=rights, lost_at=lost_at)

    def _forget(self, session: Session[Grant], *, has_ended: bool) -> None:
        """Hold a session no more, without an end here: another node holds it, or has ended it."""
        holder, session.holder = session.holder, None
        self._drop(session)
        if holder is not None:
            holder.session = None
            if has_ended:
                holder.listener.expel()
            else:
                holder.listener.displace()

    def _drop(self, session: Session[Grant]) -> None:
        session.state = SessionState.ENDED
        self._by_id.pop(session.id, None)
        self._lost.pop(session, None)
        self._ending.discard(session)
        self._postponed.discard(session)
        self.unsaved.pop(session.id, None)
        self._let_go(session)

    def _let_go(self, session: Session[Grant]) -> None:
        """Forget which connection was lost with a session."""
        holder = self._left_by.pop(session.id, None)
        if holder is not None:
            self._left.pop(holder, None)


def _do_nothing() -> None:
    """Stand in for `on_unsaved`."""


def _nobody(_scope: bytes) -> None:
    """Stand in for `grant_of`."""
