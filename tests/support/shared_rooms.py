"""The rooms of a node without a loop: time, ticks and the log pass when a test says so."""

from collections import deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import orjson

from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import EVERYTHING, Grant
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.hub import Hub
from dunena.persistence.memory import MemoryEngine
from dunena.server.access.admission import Admission
from dunena.server.access.peers import Proxies
from dunena.server.access.refusals import Refusals
from dunena.server.compression import Compressors
from dunena.server.context import Context
from dunena.server.paced import Pacer
from dunena.server.registry import Registry
from dunena.server.routes import Routes
from dunena.server.shared.lane import LaneReceiver
from dunena.server.shared.opening import SharedParts
from dunena.server.shared.routes import SharedRoutes
from dunena.server.shared.sessions import SharedSessions
from dunena.server.tick import Tick
from dunena.settings import Settings
from dunena.store.history import History
from dunena.store.limits import Limits
from dunena.telemetry import Telemetry
from tests.support.loopback_log import LoopbackLog, SharedLog
from tests.support.rooms import Alarm, Client


class Cluster:
    """Nodes that share a log; ``now`` is the log's time, Unix ms."""

    def __init__(self, count: int = 2, limits: Limits | None = None) -> None:
        self.now = 1_700_000_000_000
        self._limits = limits
        self.log = SharedLog(lambda: self.now)
        self.nodes = [SharedRooms(self, f"n{number}", limits) for number in range(count)]

    def join(self) -> "SharedRooms":
        """One more node starts, and has loaded everything."""
        node = SharedRooms(self, f"n{len(self.nodes)}", self._limits)
        self.nodes.append(node)
        node.log.load()
        node.run()
        return node

    def load(self) -> "Cluster":
        """All nodes have loaded everything."""
        for node in self.nodes:
            node.log.load()
            node.run()
        return self

    def work(self) -> None:
        """All that is under way is stored and delivered, until there is nothing more."""
        for _ in range(100):
            for node in self.nodes:
                node.run()
                node.log.work()
                node.run()
            if not any(node.log.under_way for node in self.nodes):
                break
        for node in self.nodes:
            node.log.deliver()
            node.run()

    def pass_time(self, ms: int) -> None:
        """Let time pass, and timers ring."""
        self.now += ms
        for node in self.nodes:
            node.ring()
            node.run()


class SharedRooms:
    """What `tests.support.rooms.Rooms` is for a server alone, of one node."""

    def __init__(self, cluster: Cluster, name: str, limits: Limits | None = None) -> None:
        self.cluster = cluster
        self.log: LoopbackLog = cluster.log.node(name)
        self.telemetry = Telemetry(started_at_ms=cluster.now)
        limits = limits or Limits()
        self.parts = SharedParts(self.log, limits, History(10))
        self.store = self.parts.store
        self.services = Services(self.store, self.store, Hub(), limits, answers=self.parts.answers)
        self.views = Views(self.services)
        self.grants = {EVERYTHING.scope: EVERYTHING}
        self.alarms: list[Alarm] = []
        self.soon: list[Callable[[], None]] = []
        self.pacer = Pacer(lambda: float(self.now), self._set_alarm)
        self.tick = Tick(
            self.services,
            MemoryEngine(),
            self.telemetry,
            call_soon=self.soon.append,
            call_threadsafe=lambda action: action(),
            clock_ms=lambda: self.log.now,
            timer_ms=lambda: float(self.now),
        )
        self.parts.connect(
            self.services, self.tick, self.soon.append, self._call_later, self.telemetry
        )
        self.coordinator = self.parts.coordinator
        loop: Any = SimpleNamespace(
            call_later=self._call_later, call_soon=self._call_soon, time=lambda: self.now / 1000
        )
        self.sessions = SharedSessions(
            loop,
            self.services,
            self.views,
            self.tick,
            self.telemetry,
            self.parts.session_table,
            self.grants.get,
        )
        self.context = self._make_context(loop)
        self.log.start(self.coordinator)

    def _make_context(self, loop: Any) -> Context:
        """What connections use, with the routes of a server; nothing reports on it."""
        settings = Settings()
        admission = Admission(settings, settings.port, self.telemetry)
        nobody: Any = None
        no_files: Any = SimpleNamespace(constant={}, loader=None)
        others = (
            admission, nobody, nobody, nobody, {}, no_files, nobody, nobody, nobody, nobody,
        )  # fmt: skip
        routes = SharedRoutes(self.views, *others)
        self.parts.attach(self.sessions, routes, Routes(self.parts.plan_views, *others))
        return Context(
            loop=loop,
            settings=settings,
            views=self.views,
            tick=self.tick,
            sessions=self.sessions,
            bulk=nobody,
            admission=admission,
            routes=routes,
            registry=Registry(loop, 1000),
            refusals=Refusals(settings, settings.port),
            proxies=Proxies([]),
            telemetry=self.telemetry,
            compressors=Compressors(),
            pacer=self.pacer,
            new_id=lambda: "id",
            date=lambda: "",
            new_receiver=self.parts.new_receiver,
        )

    @property
    def now(self) -> int:
        return self.cluster.now

    def run(self) -> None:
        """Everything that was to be done soon is done."""
        for _ in range(1000):
            soon, self.soon[:] = list(self.soon), []
            for action in soon:
                action()
            if not self.soon:
                return
        raise AssertionError("it never comes to rest")

    def ring(self) -> None:
        """The timers that are due ring."""
        for alarm in list(self.alarms):
            if alarm.at_ms <= self.now and alarm in self.alarms:
                self.alarms.remove(alarm)
                alarm.action()

    def client(self, dialect: Dialect = Dialect.DUNENA, grant: Grant = EVERYTHING) -> "LaneClient":
        """A client that was greeted already."""
        client = LaneClient(self, dialect, self.views.of(grant), grant=grant)
        self.tick.run(lambda _, now: client.conversation.open("test-id", now), None)
        client.heard()
        return client

    def _call_later(self, seconds: float, action: Callable[..., None], *arguments: Any) -> Alarm:
        return self._set_alarm(self.now + seconds * 1000, partial(action, *arguments))

    def _call_soon(self, action: Callable[..., None], *arguments: Any) -> None:
        self.soon.append(partial(action, *arguments))

    def _set_alarm(self, at_ms: float, action: Callable[[], None]) -> Alarm:
        rooms: Any = self
        self.alarms.append(Alarm(rooms, at_ms, action))
        return self.alarms[-1]


class LaneClient(Client):
    """A client whose messages are received in a lane; its input waits while the lane holds it."""

    def __init__(
        self, rooms: SharedRooms, dialect: Dialect, services: Services, *, grant: Grant
    ) -> None:
        any_rooms: Any = rooms
        super().__init__(any_rooms, dialect, services, grant=grant)
        self.node = rooms
        self.is_held = False
        self.failures: list[tuple[int, str]] = []
        self._input: deque[bytes] = deque()
        self.receiver = LaneReceiver(
            rooms.context, self.conversation, self, rooms.coordinator, rooms.parts.plan_views
        )

    address = ""

    def fail(self, code: int, reason: str) -> None:
        self.failures.append((code, reason))

    def hold_input(self) -> None:
        self.is_held = True

    def release_input(self) -> None:
        self.is_held = False
        self._read()

    def _read(self) -> None:
        while self._input and not self.is_held:
            self.receiver.take_text(self._input.popleft())

    def say(self, message: object) -> None:
        """Send a message; it is read unless the lane holds the input."""
        self._input.append(message if isinstance(message, bytes) else orjson.dumps(message))
        self._read()

    def heard(self) -> list[dict]:
        """The node does what it can without the log; what has arrived since the last call."""
        self.node.run()
        return self.received()

    def ask(self, message: object) -> list[dict]:
        """Send a message, let the log work; what has arrived since the last call."""
        self.say(message)
        self.node.cluster.work()
        return self.received()

    def leave(self, *, on_purpose: bool = False) -> None:
        """The connection is lost, or closed by its client on purpose."""
        super().leave(on_purpose=on_purpose)
        self.receiver.drop()
