"""The sessions of a node, and those of nodes that are gone: their ends wait for the log.

Every node knows all sessions by their notes. If a node gives no sign of life for `LEASE_MS`, its
sessions end when their grace is over too, unless they were resumed elsewhere: the node that was
first in the log ends them, and after some time the next one. Before it believes that a node is
silent, it asks for the end of the log: it may have been away itself. If the log was not there, the
time begins anew, as no node could give a sign.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from dunena.dialects.errors import ClientError
from dunena.dialects.grants import Grant
from dunena.dialects.services import Services
from dunena.dialects.sessions import end_session
from dunena.dialects.views import Views
from dunena.persistence.log import LogState
from dunena.server.sessions import Sessions
from dunena.server.shared.coordinator import Coordinator
from dunena.server.shared.planning import PlanStore
from dunena.server.shared.session_notes import SessionTerms
from dunena.server.shared.session_requests import GoneSearch, NotesUpdate, SessionEnd
from dunena.server.shared.session_table import SharedSessionTable
from dunena.server.tick import Tick
from dunena.sessions.limits import ENDED_AT_ONCE_MAX
from dunena.sessions.session import Session, SessionState
from dunena.telemetry import Telemetry

LOOK_SECONDS: Final = 1.0
"""Time between two looks for sessions whose node is gone, and for notes that could not be saved."""

OUTAGE_MS: Final = 5_000
"""Time between two signs of life of this node after which the log, or the node, was not there. An
idle node gives one every 3 s."""

STAND_BY_MS: Final = 3 * 1000
"""So much later than the node before it ends a node the sessions of one that is gone."""

_log = logging.getLogger(__name__)


class SharedSessions(Sessions):
    """Carries out the ends of sessions; `attach` comes first.

    ``grant_of`` returns the rights that have a scope, None if no token of this node has them.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        services: Services,
        views: Views,
        tick: Tick,
        telemetry: Telemetry,
        table: SharedSessionTable,
        grant_of: Callable[[bytes], Grant | None],
    ) -> None:
        super().__init__(loop, services, views, tick, telemetry, table)
        self.all = table
        table.on_unsaved = self._save
        table.grant_of = self._grant_of = grant_of
        table.planned.has_ended = self._has_ended
        self._coordinator: Coordinator
        self._plan_views: Views
        self._planning: Services
        self._plan_store: PlanStore
        self._look_timer: asyncio.TimerHandle | None = None
        self._own_sign = 0  # the last one, Unix ms
        self._answering_since = 0  # of the log; since then nodes could give signs of life
        self._missed: dict[str, int] = {}  # nodes of which nothing is known, since Unix ms
        self._without_will: set[str] = set()
        self._parked: set[str] = set()  # sessions of others, whose end waits for the log
        self._is_saving = False
        self._is_searching = False

    def attach(
        self,
        coordinator: Coordinator,
        plan_views: Views,
        planning: Services,
        plan_store: PlanStore,
    ) -> None:
        """Park ends at a coordinator; the others are for requests that are planned."""
        self._coordinator = coordinator
        self._plan_views = plan_views
        self._planning = planning
        self._plan_store = plan_store
        self._look_later()

    def stop(self) -> None:
        """End no session any more: they can be resumed at other nodes."""
        super().stop()
        if self._look_timer is not None:
            self._look_timer.cancel()

    def end_left(self) -> bool:
        """End those that nobody can resume, after the server stopped and all connections closed.

        Return whether there are any, and the log is likely to answer.
        """
        if not self._log_answers:
            return False
        left = self.all.ending()
        for session in left:
            self._begin_end(session)
        return bool(left)

    # --- the end of a session ---

    def may_end(self, session_id: str, session: Session[Grant] | None) -> bool:
        """Return whether the end of a session is to be planned: of this node's if it has one."""
        if session is not None:
            return session.state is SessionState.ENDING
        planned = self.all.planned
        if planned.is_changed(session_id) or self.all.session_of(session_id) is not None:
            return False
        terms = planned.find(session_id)
        return terms is None or self._has_ended(terms)

    def plan_end(
        self, session_id: str, session: Session[Grant] | None, count_max: int, now: int
    ) -> tuple[bool, ClientError | None]:
        """Plan the end of a session, or if it has more keys than ``count_max``, that of so many.

        Return whether it will have ended, and why its will does not run.
        """
        keys = self._plan_store.owned_by(session_id)
        if len(keys) > count_max:
            keys = self._plan_store.end_overdue(keys[:count_max])
            end_session(None, self._planning, b"", keys, now)
            return False, None
        keys = self._plan_store.end_overdue(keys)
        terms = self.all.planned.find(session_id)
        will = b"" if terms is None or session_id in self._without_will else terms.will
        rights = session.rights if session is not None else self._rights_of(terms)
        services = None if rights is None else self._plan_views.of(rights)
        error = end_session(services, self._planning, will, keys, now)
        if terms is not None:
            self.all.planned.change(session_id, None)
        return True, error

    def ended(
        self, session_id: str, session: Session[Grant] | None, error: ClientError | None
    ) -> None:
        """Learn that a session has ended, and why its will did not run."""
        if session is not None:
            self.table.ended(session)
        else:
            self.table.ended_count += 1
        self._without_will.discard(session_id)
        if error is not None:
            self.table.failed_wills += 1
            _log.warning("the will of session %s did not run: %s", session_id, error.text)

    def skip_will(self, session_id: str, reason: str) -> None:
        """End a session without its will, which no log would store."""
        self._without_will.add(session_id)
        self.table.failed_wills += 1
        _log.warning("the will of session %s cannot run: %s", session_id, reason)

    def postpone(self, session: Session[Grant] | None) -> None:
        """End a session later, as that is not possible now; one of another node is found again."""
        if session is not None and session.state is SessionState.ENDING:
            self.table.postpone(session, self._tick.now)
            self._arm()

    def end_settled(self, session_id: str) -> None:
        """Learn that the end of a session does not wait for the log any more."""
        self._parked.discard(session_id)

    def _begin_end(self, session: Session[Grant]) -> None:
        if not self._log_answers:
            self.postpone(session)
            return
        self._coordinator.park(SessionEnd(self, session.id, session))

    # --- notes ---

    def plan_notes(self) -> bool:
        """Plan to bring notes up to date; return whether there is anything to do."""
        return self.all.plan_unsaved()

    def notes_settled(self, *, is_refused: bool) -> None:
        """Learn that a change of notes does not wait for the log any more."""
        self._is_saving = False
        if not is_refused:
            self._save()

    def _save(self) -> None:
        """Bring notes up to date; while that is refused, it is tried at each look."""
        if not (self._is_saving or self.table.is_stopped) and self.all.unsaved:
            self._is_saving = True
            self._coordinator.park(NotesUpdate(self))

    # --- nodes that are gone ---

    def search(self) -> None:
        """End sessions of nodes that are gone; what was asked of the log has been told."""
        for session_id in self._found()[:ENDED_AT_ONCE_MAX]:
            if session_id not in self._parked:
                self._parked.add(session_id)
                self._coordinator.park(SessionEnd(self, session_id, None))

    def search_settled(self) -> None:
        """Learn that a search does not wait for the log any more."""
        self._is_searching = False

    def _look_later(self) -> None:
        self._look_timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._look_later()
        if not self._log_answers:
            return
        self._save()
        if not self._is_searching and self._found():
            self._is_searching = True
            self._coordinator.park(GoneSearch(self))

    def _found(self) -> list[str]:
        """Return the sessions that this node is to end now: of gone nodes, and without a note."""
        log = self._coordinator.log
        nodes = log.status.nodes
        if log.node not in nodes:
            return []
        self._note_own_sign()
        now = self._log_now - STAND_BY_MS * nodes.index(log.node)
        live = {*nodes, self.all.node}
        self._missed = {name: since for name, since in self._missed.items() if name not in live}
        found = [
            terms.id
            for node, held in self.all.by_node.items()
            if node not in live
            for terms in map(self.all.terms.__getitem__, held)
            if self._due_at(terms) <= now
        ]
        ephemeral = self._services.unrestricted_store.table.ephemeral
        if ephemeral is None or nodes[0] != log.node:
            return found
        return [*found, *(ephemeral.owners() - self.all.terms.keys())]

    def _note_own_sign(self) -> None:
        """Find out since when the log has answered without a break: nobody had a sign before."""
        log = self._coordinator.log
        sign = log.last_sign_of(log.node) or 0
        if sign - self._own_sign > OUTAGE_MS:
            self._answering_since = sign
        self._own_sign = sign

    def _has_ended(self, terms: SessionTerms) -> bool:
        """Return whether a session of another node is to end, as nothing is heard of that."""
        self._note_own_sign()
        return self._due_at(terms) <= self._log_now

    def _due_at(self, terms: SessionTerms) -> int:
        last_sign = self._coordinator.log.last_sign_of(terms.node)
        if last_sign is None:
            last_sign = self._missed.setdefault(terms.node, self._log_now)
        return terms.due_at(max(last_sign, self._answering_since))

    def _rights_of(self, terms: SessionTerms | None) -> Grant | None:
        return None if terms is None else self._grant_of(terms.scope)

    @property
    def _log_answers(self) -> bool:
        """Whether what is asked of the log now is likely to be answered."""
        is_ready = self._coordinator.log.status.state is LogState.READY
        return is_ready and self._coordinator.is_loaded

    @property
    def _log_now(self) -> int:
        return self._coordinator.log.now
