"""The parts that a server with a log has in place of others, and how they are put together."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace

from dunena.dialects.conversation import Conversation
from dunena.dialects.grants import Grant
from dunena.dialects.message_stats import MessageStats
from dunena.dialects.services import GetCache, Services
from dunena.dialects.views import Views
from dunena.hub import Hub
from dunena.persistence.log import Log
from dunena.server.context import Context
from dunena.server.routes import Routes
from dunena.server.sessions import new_id, new_secret
from dunena.server.shared.answers import PlannedAnswers, SharedAnswers
from dunena.server.shared.channels import SharedChannels
from dunena.server.shared.coordinator import Coordinator
from dunena.server.shared.expiry import SharedExpiry, Timer
from dunena.server.shared.lane import LaneReceiver
from dunena.server.shared.planner import Planner
from dunena.server.shared.planning import PlanStore
from dunena.server.shared.routes import SharedRoutes
from dunena.server.shared.session_table import SharedSessionTable
from dunena.server.shared.sessions import SharedSessions
from dunena.server.shared.store import SharedStore
from dunena.server.shared.takeover import LogTakeover
from dunena.server.tick import Tick
from dunena.server.websocket.message_receiver import MessageSource
from dunena.store.history import History
from dunena.store.limits import Limits
from dunena.store.quota import quota_of
from dunena.telemetry import Telemetry
from dunena.watches.watch_table import WatchTable


class SharedParts:
    """The parts of one server with a log; `connect` comes before the log is started.

    ``planning`` are the services of requests that are planned, with all rights.
    """

    def __init__(self, log: Log, limits: Limits, history: History) -> None:
        self.log = log
        self.store = SharedStore(quota_of(limits), history)
        self.answers = SharedAnswers()
        self.plan_store = PlanStore(self.store, limits)
        self._planned_answers = PlannedAnswers(self.answers)
        self.session_table = SharedSessionTable(
            new_id, new_secret, log.node, clock=lambda: self.log.now
        )
        self.coordinator: Coordinator
        self.expiry: SharedExpiry
        self.planning: Services
        self.plan_views: Views
        self._sessions: SharedSessions

    def connect(
        self,
        services: Services,
        tick: Tick,
        call_soon: Callable[[Callable[[], None]], object],
        call_later: Callable[[float, Callable[[], None]], Timer],
        telemetry: Telemetry,
    ) -> None:
        """Make the coordinator of a tick, and what ends keys at their time."""
        self.planning = replace(
            services,
            store=self.plan_store,
            unrestricted_store=self.plan_store,
            hub=Hub(),
            get_cache=GetCache(),
            stats=MessageStats(),
            answers=self._planned_answers,
            watches=WatchTable(),
        )
        self.plan_views = Views(self.planning)
        channels = services.hub.relay = SharedChannels(self.log, services.hub, tick)
        self.coordinator = Coordinator(
            self.log,
            self.store,
            self.answers,
            self.session_table,
            channels,
            Planner(self.plan_store, self._planned_answers, self.session_table.planned, self.log),
            tick,
            LogTakeover(self.store, self.answers, self.session_table, services.watches),
            call_soon,
            telemetry,
        )
        self.expiry = SharedExpiry(
            self.log, self.store, self.plan_store, self.coordinator, call_later
        )

    def attach(self, sessions: SharedSessions, routes: SharedRoutes, planning: Routes) -> None:
        """Let sessions and HTTP requests wait for the log; ``planning`` answers planned ones."""
        self._sessions = sessions
        sessions.attach(self.coordinator, self.plan_views, self.planning, self.plan_store)
        routes.attach(self.coordinator, planning)

    def new_receiver(
        self,
        context: Context,
        conversation: Conversation,
        source: MessageSource,
    ) -> LaneReceiver:
        """Make the receiver of a WebSocket."""
        return LaneReceiver(context, conversation, source, self.coordinator, self.plan_views)

    def keep(self, grants: Collection[Grant]) -> None:
        """Forget the services of all grants but these."""
        self.plan_views.keep(grants)

    async def end_sessions(self, seconds_max: float) -> None:
        """End the sessions of closed connections that nobody can resume at another node."""
        if self._sessions.end_left():
            await self.drain(seconds_max)

    async def drain(self, seconds_max: float) -> None:
        """Let no further request wait for the log, and those that do for so many seconds."""
        idle = asyncio.Event()
        self.coordinator.requests.stop(idle.set)
        try:
            async with asyncio.timeout(seconds_max):
                await idle.wait()
        except TimeoutError:
            pass

    async def close(self, until_s: float) -> None:
        """Leave the log, at the latest at a time of the loop."""
        try:
            async with asyncio.timeout_at(until_s):
                await self.log.close()
        except TimeoutError:
            pass
