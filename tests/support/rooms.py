"""The rooms above the sockets, wired without a loop: time and ticks pass when a test says so."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import orjson

from dunena.dialects.conversation import Conversation
from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import EVERYTHING, Grant
from dunena.dialects.output import Output
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.hub import Hub
from dunena.persistence.interface import Done, StorageError
from dunena.persistence.memory import MemoryEngine
from dunena.server.outbox import Outbox
from dunena.server.paced import PacedOutbox, Pacer
from dunena.server.sessions import Sessions
from dunena.server.tick import Tick
from dunena.store.entry import Change
from dunena.store.limits import Limits
from dunena.store.quota import quota_of
from dunena.store.store import Store
from dunena.telemetry import Telemetry


class FlakyEngine(MemoryEngine):
    """Keeps a list of what was committed; refuses while ``reason`` is set."""

    def __init__(self) -> None:
        self.committed: list[Change] = []
        self.reason: str | None = None

    def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
        self.probe()
        self.committed += changes
        return True

    def probe(self) -> None:
        if self.reason is not None:
            raise StorageError(self.reason)


class HoldingEngine(FlakyEngine):
    """Holds every commit, or only durable ones, until `release` says how it ended."""

    def __init__(self, *, always: bool = True) -> None:
        super().__init__()
        self.always = always
        self.held: Done | None = None
        self.settled: list[bool] = []

    def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
        assert self.held is None, "one commit at a time"
        super().commit(changes, done, durable=durable)
        if not durable and not self.always:
            return True
        self.held = done
        return False

    def finish_commit(self, changes: Sequence[Change], *, is_kept: bool) -> None:
        self.settled.append(is_kept)
        if not is_kept:
            del self.committed[-len(changes) :]

    def release(self, reason: str | None = None) -> None:
        """The sync is over; with a reason, it failed."""
        assert self.held is not None
        done, self.held = self.held, None
        done(reason)


class Wire:
    """A transport that remembers what was written, write by write.

    With ``is_blocked`` it takes one more write and then wants no other, until `unblock`.
    """

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.outbox: Outbox
        self.is_blocked = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        if self.is_blocked:
            self.outbox.pause()

    def unblock(self) -> None:
        """The peer reads again."""
        self.is_blocked = False
        self.outbox.resume()

    def close(self) -> None:
        """Nobody waits for it."""

    def get_extra_info(self, _name: str) -> object:
        return None


class Client:
    """A conversation with an outbox and a wire."""

    def __init__(
        self,
        rooms: "Rooms",
        dialect: Dialect,
        services: Services | None = None,
        *,
        is_encrypted: bool = False,
        grant: Grant = EVERYTHING,
    ) -> None:
        self.rooms = rooms
        self.wire = Wire()
        self.overflows = 0
        self.outbox = Outbox(
            self.wire,
            rooms.tick.schedule_flush,
            self._overflow,
            rooms.telemetry,
            is_encrypted=is_encrypted,
        )
        self.wire.outbox = self.outbox
        self.timeout_ms: int | None = None
        self.is_displaced = self.is_expelled = False
        self.holder = rooms.sessions.holder(grant, self)
        self.conversation = Conversation(
            services or rooms.services,
            dialect,
            output=self.outbox,
            pacing=self,
            holder=self.holder,
        )

    def pace(self, _output: Output, interval_ms: float) -> PacedOutbox:
        rooms = self.rooms
        return PacedOutbox(
            self.outbox, rooms.tick.schedule_flush, rooms.telemetry, rooms.pacer, interval_ms
        )

    def change_timeout(self, timeout_ms: int) -> None:
        self.timeout_ms = timeout_ms

    def displace(self) -> None:
        self.is_displaced = True

    def expel(self) -> None:
        self.is_expelled = True

    def leave(self, *, on_purpose: bool = False) -> None:
        """The connection is lost, or closed by its client on purpose."""
        self.conversation.close()
        self.holder.close(self.rooms.now, is_at_once=on_purpose)

    def _overflow(self) -> None:
        self.overflows += 1
        self.outbox.kill()

    def say(self, message: object) -> None:
        """Send a message; it is answered when the tick ends."""
        text = message if isinstance(message, bytes) else orjson.dumps(message)
        self.rooms.tick.run(self.conversation.receive, text)

    def heard(self) -> list[dict]:
        """End the tick; every message that has arrived since the last call."""
        self.rooms.tick.end()
        return self.received()

    def received(self) -> list[dict]:
        """Every message that has arrived since the last call, without ending the tick."""
        stream = b"".join(self.wire.writes)
        self.wire.writes.clear()
        messages = []
        while stream:
            size, head = stream[1], 2
            if size == 126:
                size, head = int.from_bytes(stream[2:4]), 4
            elif size == 127:
                size, head = int.from_bytes(stream[2:10]), 10
            messages.append(orjson.loads(stream[head : head + size]))
            stream = stream[head + size :]
        return messages

    def ask(self, message: object) -> list[dict]:
        """Send a message; what arrives in its tick."""
        self.say(message)
        return self.heard()


class Alarm:
    """A call that the pacer asked for."""

    def __init__(self, rooms: "Rooms", at_ms: float, action: Callable[[], None]) -> None:
        self.rooms = rooms
        self.at_ms = at_ms
        self.action = action

    def cancel(self) -> None:
        self.rooms.alarms.remove(self)


class Rooms:
    """Store, hub, tick and an engine that can fail; ``now`` is Unix ms."""

    def __init__(
        self,
        limits: Limits | None = None,
        engine: FlakyEngine | None = None,
        epoch: str = "test",
    ) -> None:
        self.now = 1_700_000_000_000
        self.engine = engine or FlakyEngine()
        self.telemetry = Telemetry(started_at_ms=self.now)
        limits = limits or Limits()
        self.store = Store(quota=quota_of(limits), epoch=epoch)
        self.services = Services(self.store, self.store, Hub(), limits)
        self.alarms: list[Alarm] = []
        self.pacer = Pacer(lambda: float(self.now), self._set_alarm)
        self.soon: list[Callable[[], None]] = []
        self.tick = Tick(
            self.services,
            self.engine,
            self.telemetry,
            call_soon=self.soon.append,
            call_threadsafe=lambda action: action(),
            clock_ms=lambda: self.now,
            timer_ms=lambda: float(self.now),
        )
        self.sessions = self.sessions_on(SimpleNamespace(call_later=self._call_later))

    def sessions_on(self, loop: Any) -> Sessions:
        """The sessions of a server with these rooms, and with timers of a loop."""
        return Sessions(loop, self.services, Views(self.services), self.tick, self.telemetry)

    def _call_later(self, seconds: float, action: Callable[[], None]) -> "Alarm":
        return self._set_alarm(self.now + seconds * 1000, action)

    def _set_alarm(self, at_ms: float, action: Callable[[], None]) -> "Alarm":
        self.alarms.append(Alarm(self, at_ms, action))
        return self.alarms[-1]

    def pass_time(self, ms: int) -> None:
        """Let time pass, and the pacer do what is due."""
        self.now += ms
        for alarm in list(self.alarms):
            if alarm.at_ms <= self.now:
                alarm.cancel()
                alarm.action()

    def client(
        self,
        dialect: Dialect = Dialect.AUTO,
        services: Services | None = None,
        *,
        is_encrypted: bool = False,
        grant: Grant = EVERYTHING,
    ) -> Client:
        """A client that was greeted already, with all rights unless it is given a core."""
        client = Client(self, dialect, services, is_encrypted=is_encrypted, grant=grant)
        self.tick.run(lambda _, now: client.conversation.open("test-id", now), None)
        client.heard()
        return client
