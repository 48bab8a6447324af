"""The sessions of a server: their ends are requests of the tick, at their times."""

import asyncio
import logging
import secrets

from dunena.dialects.grants import Grant
from dunena.dialects.services import Services
from dunena.dialects.sessions import end_session
from dunena.dialects.views import Views
from dunena.server.tick import Tick
from dunena.sessions.limits import ENDED_AT_ONCE_MAX
from dunena.sessions.session import Session, SessionHolder, SessionListener, SessionState
from dunena.sessions.session_table import NEVER, SessionTable
from dunena.store.entry import BY_REVISION, EntryId
from dunena.store.errors import WriteRefusedError
from dunena.telemetry import Telemetry

SECRET_BYTES = 24
"""Random bytes of the secret of a session: nobody guesses one in the life of a session."""

WAIT_SECONDS_MAX = 1.0
"""Longest wait for the next end, as the machine may sleep."""

_ID_BYTES = 8

_log = logging.getLogger(__name__)


class Sessions:
    """Carries out the ends of sessions; ``services`` are those with all rights."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        services: Services,
        views: Views,
        tick: Tick,
        telemetry: Telemetry,
        table: SessionTable[Grant] | None = None,
    ) -> None:
        self.table = SessionTable[Grant](new_id, new_secret) if table is None else table
        self.table.on_sooner(self._arm)
        self._loop = loop
        self._services = services
        self._views = views
        self._tick = tick
        self._telemetry = telemetry
        self._timer: asyncio.TimerHandle | None = None

    def holder(self, grant: Grant, listener: SessionListener) -> SessionHolder[Grant]:
        """Make what a connection has of its session; the arguments are those of the class."""
        return SessionHolder(self.table, grant, listener)

    def stop(self) -> None:
        """End no session any more: the server stops, and ephemeral keys end with it."""
        self.table.is_stopped = True
        if self._timer is not None:
            self._timer.cancel()

    # --- inside ---

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_end = self.table.next_end
        if next_end < NEVER and not self.table.is_stopped:
            wait = max(0.0, min(WAIT_SECONDS_MAX, (next_end - self._tick.now) / 1000))
            self._timer = self._loop.call_later(wait, self._end_due)

    def _end_due(self) -> None:
        """End sessions that are due, but not more at once than one turn may take."""
        self._timer = None
        left = ENDED_AT_ONCE_MAX
        while left > 0:
            session = self.table.due(self._tick.now)
            if session is None:
                break
            left -= 1 + self._keys_and_operations(session)
            if self._telemetry.storage_failure is None:
                self._begin_end(session)
            else:
                self.table.postpone(session, self._tick.now)
        self._arm()

    def _begin_end(self, session: Session[Grant]) -> None:
        """End a session in this tick."""
        self._tick.run(self._end, session)

    def _keys_and_operations(self, session: Session[Grant]) -> int:
        """Return about how many keys and operations the end of a session has."""
        ephemeral = self._services.unrestricted_store.table.ephemeral
        keys = 0 if ephemeral is None else ephemeral.count_of(session.id)
        return keys + session.will.count(b'"op"')

    def _keys_of(self, session: Session[Grant]) -> list[EntryId]:
        """Return the keys that a session owns, in the order in which they were written."""
        table = self._services.unrestricted_store.table
        keys = [] if table.ephemeral is None else table.ephemeral.of(session.id)
        entries = [entry for ns, key in keys if (entry := table.find(ns, key)) is not None]
        return [(entry.ns, entry.key) for entry in sorted(entries, key=BY_REVISION)]

    def _end(self, session: Session[Grant], now: int) -> None:
        keys = self._keys_of(session)
        services = None if session.rights is None else self._views.of(session.rights)
        try:
            error = end_session(services, self._services, session.will, keys, now)
        except WriteRefusedError:
            self.table.postpone(session, now)
            return
        if error is not None and session.state is SessionState.ENDING:
            self.table.failed_wills += 1
            _log.warning("the will of session %s did not run: %s", session.id, error.text)
        self.table.ended(session)


def new_id() -> str:
    """Make a public id."""
    return secrets.token_hex(_ID_BYTES)


def new_secret() -> str:
    """Make the part of a secret that cannot be guessed."""
    return secrets.token_urlsafe(SECRET_BYTES)
