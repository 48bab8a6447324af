"""A whole server above the sockets, with its peers, from one seed.

Real are the connections, conversations, dialects, store, hub, tick, outboxes and the keeper; the
clock, the loop, the disk and the peers are not. Peers cut what they send anywhere, read slowly,
stall, flood and vanish; the disk fills up and fails; the server is stopped, killed, and cut from
power.
"""

import heapq
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import orjson
from websockets.frames import Frame, Opcode

from dunena.dialects.conversation import Conversation
from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import EVERYTHING
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.hub import Hub
from dunena.persistence.disk.folder_storage import FolderStorage
from dunena.persistence.interface import Done, StorageError
from dunena.persistence.memory import MemoryEngine
from dunena.persistence.policy import Fsync
from dunena.server.access.peers import Proxies
from dunena.server.access.refusals import Refusals
from dunena.server.compression import Compressors
from dunena.server.context import Context
from dunena.server.expiry_timer import ExpiryTimer
from dunena.server.outbox import Outbox
from dunena.server.paced import Pacer
from dunena.server.registry import Registry
from dunena.server.sessions import Sessions
from dunena.server.tick import Tick
from dunena.server.websocket.closing import SESSION_RESUMED
from dunena.server.websocket.connection import WebSocketConnection
from dunena.server.websocket.handshake import AcceptedHandshake
from dunena.settings import Settings
from dunena.store.entry import Entry
from dunena.store.store import Store
from dunena.telemetry import Telemetry
from tests.simulation.simulated_disk import SimulatedDisk, Stop
from tests.simulation.spec_model import (
    CHANNELS,
    OPERATIONS,
    BrokenPromiseError,
    Followed,
    Model,
    State,
    Stored,
)

ROOT = Path("/values")
PRIVATE = ROOT / ".dunena"
KEYS = ["a", "b", "c d", "e", "f"]
ACCOUNTS = ["account 1", "account 2", "account 3"]
"""Keys that change only by transfers from one to another, so that their sum stays 0."""

GRAIN_MS = 64
"""Peers are heard at multiples of it, and expiries fall between them, no two together."""

UNREAD_BYTES_MAX = 1500
TRY_LATER, KEEPALIVE = 1013, 1011
"""What a server closes a connection with that does not read its events, or not at all."""


class Loop:
    """Time that passes when it is told to, and what is to happen then."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000 // GRAIN_MS * GRAIN_MS
        self.soon: list[Callable[[], None]] = []
        self._timers: list[tuple[int, int, Timer]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self.now_ms / 1000

    def call_soon(self, action: Callable[..., None], *arguments: Any) -> None:
        self.soon.append(partial(action, *arguments))

    def call_later(self, seconds: float, action: Callable[..., None], *arguments: Any) -> "Timer":
        timer = Timer(partial(action, *arguments))
        due = self.now_ms + max(1, round(seconds * 1000))
        heapq.heappush(self._timers, (due, next(self._numbers), timer))
        return timer

    def turn(self) -> None:
        """Everything that is to happen at once."""
        while self.soon:
            self.soon.pop(0)()

    def pass_time(self, ms: int) -> None:
        """Let time pass, timer by timer."""
        end = (self.now_ms + ms) // GRAIN_MS * GRAIN_MS
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self.now_ms = max(self.now_ms, due)
            if timer.action is not None:
                timer.action()
                self.turn()
        self.now_ms = end

    def restart(self) -> None:
        """Another process: nothing is left to happen."""
        self.soon.clear()
        self._timers.clear()


class Timer:
    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class SimulatedEngine(MemoryEngine):
    """The keeper as the disk's engine uses it, without threads: a sync ends when it is told to."""

    def __init__(self, storage: FolderStorage, fsync: Fsync, model: Model) -> None:
        self._storage = storage
        self._fsync = fsync
        self._model = model
        self._failure: str | None = None
        self.done: Done | None = None

    def commit(self, changes: Any, done: Done, *, durable: bool) -> bool:
        if self._failure is not None:
            self._model.commit_refused()
            raise StorageError(self._failure)
        try:
            has_stored = self._storage.append(changes)
        except OSError as error:
            self._model.commit_refused()
            raise StorageError(str(error.strerror).lower()) from error
        if has_stored and (durable or self._fsync is Fsync.ALWAYS):
            assert self.done is None, "one commit at a time"
            self.done = done
            self._model.commit_held()
            return False
        self._storage.enqueue(changes)
        self._model.commit_kept()
        return True

    def finish_commit(self, changes: Any, *, is_kept: bool) -> None:
        if is_kept:
            self._storage.enqueue(changes)
            self._model.held_kept()
            return
        with suppress(OSError):
            self._storage.take_back(changes)
        self._model.held_refused()

    def sync(self) -> None:
        """Force what was appended to the device, and tell who waits for it."""
        try:
            self._storage.sync()
        except OSError as error:
            self._failure = str(error.strerror).lower()
        else:
            self._failure = None
            self._model.synced()
        done, self.done = self.done, None
        if done is not None:
            done(self._failure)

    def probe(self) -> None:
        try:
            if self._failure is not None:
                self.sync()
            self._storage._disk.replace_file(
                str(PRIVATE / "probe"), bytes(8), self._storage.records.temporary, sync=False
            )
            self._storage._disk.remove(str(PRIVATE / "probe"))
        except OSError as error:
            raise StorageError(str(error.strerror).lower()) from error
        if self._failure is not None:
            raise StorageError(self._failure)


class WatchedTick(Tick):
    """Tells the model of each request, before anything comes of it."""

    def watch(self, model: Model, telemetry: Telemetry) -> None:
        self._model = model
        self._watched = telemetry

    def begin(self, handler: Any, message: Any) -> int:
        # All requests of a tick have its time; one that waits for a sync looks at the clock again.
        is_fresh = self._round is None or self._held is not None
        now = self.now if is_fresh else self._now
        self._model.begin(now, may_expire=self._watched.storage_failure is None)
        return super().begin(handler, message)

    def _count(self, current: Any) -> None:
        if self._watched.storage_failure is not None:
            self._model.trouble_at = self.now
        super()._count(current)

    def _finish(self, current: Any) -> None:
        if self._store.revision != self._model.revision:
            raise BrokenPromiseError(f"at {self._store.revision}, not {self._model.revision}")
        # Before it is answered: writing may let a peer be read on, and that is another tick.
        self._model.tick_ended()
        super()._finish(current)


class WatchedConversation(Conversation):
    """Tells the model what its peer asks, in the order in which it is answered."""

    __slots__ = ("_followed", "_model", "_store")

    def watch(self, model: Model, followed: Followed, store: Store) -> None:
        self._model = model
        self._followed = followed
        self._store = store

    def open(self, client_id: str, now: int) -> None:
        self._model.open(self._followed, now)
        super().open(client_id, now)

    def answer_cached_get(self, text: bytes, now: int) -> bool:
        is_known = super().answer_cached_get(text, now)
        if is_known:
            self._tell(text, now)
        return is_known

    def receive(self, text: bytes, now: int) -> None:
        try:
            self._tell(text, now)
            super().receive(text, now)
            self._name_session()
        except Exception as error:
            self._model.fault = error  # the server closes the connection, and goes on
            raise

    def _tell(self, text: bytes, now: int) -> None:
        if self._followed.is_open or self._store.refusal is not None:
            self._model.receive(self._followed, text, now, self._store.refusal)

    def _name_session(self) -> None:
        """Tell the model what the server calls the session of this peer."""
        holder, session = self.subscriptions.holder, self._followed.session
        if holder is not None and holder.session is not None:
            if session is None:
                raise BrokenPromiseError("a session began that nobody asked for")
            self._model.sessions[holder.session.id] = session

    def close(self) -> None:
        self._model.close(self._followed)
        super().close()


class WatchedSessions(Sessions):
    """Tells the model of the end of each session, before anything comes of it."""

    def watch(self, model: Model, store: Store, ids: "itertools.count[int]") -> None:
        self._model = model
        self._store = store
        self.table._new_id = lambda: f"s{next(ids)}"

    def _end(self, session: Any, now: int) -> None:
        self._model.end_session(session.id, now, self._store.refusal)
        super()._end(session, now)


class Peer:
    """Another program at the other end of a connection, and the transport between them."""

    unread_bytes_max = UNREAD_BYTES_MAX
    uses_channels = True

    def __init__(self, world: "World", *, is_dunena: bool) -> None:
        self.world = world
        self.followed = Followed(is_dunena)
        self.outgoing = bytearray()
        self.unread = bytearray()
        self._partial = bytearray()
        self.connection: WebSocketConnection
        self.close_code: int | None = None
        self.is_stalled = self.is_gone = False
        self.read_bytes = 0  # of whole frames
        self._is_paused = self._is_reading_paused = self._is_ended = False
        self._ids = itertools.count(1)

    # --- the transport ---

    def write(self, data: bytes) -> None:
        assert not self._is_ended, "nothing comes after the end"
        if self.is_gone:
            return
        self.unread += data
        if len(self.unread) > self.unread_bytes_max and not self._is_paused:
            self._is_paused = self.followed.is_slow = True
            self.connection.pause_writing()

    def write_eof(self) -> None:
        self._is_ended = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.is_gone

    def close(self) -> None:
        self._is_ended = True

    def abort(self) -> None:
        self.world.loop.call_soon(self.vanish)

    def get_extra_info(self, _name: str) -> None:
        return None

    def get_write_buffer_size(self) -> int:
        return len(self.unread)

    def pause_reading(self) -> None:
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        self._is_reading_paused = False

    # --- the peer ---

    def say(self, message: Any, cut: int | None = None) -> None:
        """Send a message, as one frame or in two fragments."""
        text = message if isinstance(message, bytes) else orjson.dumps(message)
        if cut is None:
            self.outgoing += Frame(Opcode.TEXT, text).serialize(mask=True)
        else:
            first = Frame(Opcode.TEXT, text[:cut], fin=False)
            self.outgoing += first.serialize(mask=True)
            self.outgoing += Frame(Opcode.CONT, text[cut:]).serialize(mask=True)

    def next_id(self) -> int:
        return next(self._ids)

    def deliver(self, size: int) -> None:
        """What was sent arrives, as far as the server reads."""
        if self.outgoing and not (self._is_reading_paused or self.is_gone):
            data = bytes(self.outgoing[:size])
            del self.outgoing[:size]
            self.connection.data_received(data)

    def read(self, size: int) -> None:
        """Read what has come."""
        if not self.unread:
            return
        self._partial += self.unread[:size]
        del self.unread[:size]
        if self._is_paused and len(self.unread) < self.unread_bytes_max // 4 and not self.is_gone:
            self._is_paused = False
            self.connection.resume_writing()
        while self._hear_frame():
            pass

    def vanish(self) -> None:
        """Gone without a word."""
        if not self.is_gone:
            self.is_gone = True
            self.connection.connection_lost(None)

    def _hear_frame(self) -> bool:
        data = self._partial
        if len(data) < 2:
            return False
        size, head = data[1], 2
        if size == 126:
            size, head = int.from_bytes(data[2:4]), 4
        assert data[1] < 127
        if len(data) < head or len(data) < head + size:
            return False
        opcode, payload = data[0] & 0x0F, bytes(data[head : head + size])
        del data[: head + size]
        self.read_bytes += head + size
        if opcode == Opcode.PING:
            self.outgoing += Frame(Opcode.PONG, payload).serialize(mask=True)
        elif opcode == Opcode.CLOSE:
            self.close_code = int.from_bytes(payload[:2])
        else:
            self.hear(orjson.loads(payload))
        return True

    def hear(self, message: dict[str, Any]) -> None:
        """A message was read."""
        data = message.get("data", message.get("result"))
        if isinstance(data, dict) and "resumed" in data:
            self.world.secrets.append(data["resume"])
        self.followed.hear(message)
        self._check_accounts(message)

    def _check_accounts(self, message: dict[str, Any]) -> None:
        """What was read of all accounts at once is the same in sum at any time."""
        data = message.get("data")
        values = data.get("result", {}) if isinstance(data, dict) else {}
        if values.keys() == set(ACCOUNTS) and sum(int(value or 0) for value in values.values()):
            raise BrokenPromiseError(f"a transfer was read in part: {values}")


class World:
    """One history of one server; `play` raises `BrokenPromiseError` where it goes wrong."""

    def __init__(self, seed: int, fsync: Fsync) -> None:
        self.random = Random(seed)
        self.schedule_random = Random(f"schedule {seed}")
        self.channel_random = Random(f"channels {seed}")
        self.has_channels = seed % 2 == 0  # what goes wrong without them is found sooner so
        self.session_random = Random(f"session {seed}")
        # Not in all worlds: what else may go wrong shows sooner without them.
        self.has_sessions = seed % 4 != 1
        self.session_ids = itertools.count(1)
        self.secrets: list[str] = []
        self.fsync = fsync
        self.loop = Loop()
        self.disk = SimulatedDisk(self.random, str(ROOT))
        self.model = Model(lambda: self.loop.now_ms)
        self.starts = itertools.count(1)
        self.values = itertools.count(1)
        self.channel_numbers = itertools.count(1)
        self.peers: list[Peer] = []
        self.start()

    def play(self) -> None:
        for _ in range(self.random.randrange(1, 4)):
            self.live()
        self.come_to_rest()
        self.stop()
        self.start()

    def live(self) -> None:
        """One process, to one of its ends."""
        if self.random.random() < 0.3:
            self.disk.operations_left = self.random.randrange(1, 200)
        try:
            for _ in range(self.random.randrange(10, 120)):
                self.act()
            if self.random.random() < 0.3:
                self.mend_disk()
                self.come_to_rest()
                self.stop()
        except Stop:
            pass
        self.disk.operations_left = -1
        self.crash()
        self.start()

    # --- life of the server ---

    def start(self) -> None:
        self.mend_disk()
        self.loop.restart()
        storage = FolderStorage(
            self.disk, ROOT, PRIVATE, self.fsync, find_boot=lambda: str(self.disk.boots)
        )
        storage.prepare()
        loaded = storage.open(folds_case=False)
        self.storage = storage
        epoch = f"epoch {next(self.starts)}"
        store = Store(epoch=epoch)
        store.load(loaded.entries, loaded.revision)
        found = {(e.ns, e.key): _stored(e) for e in loaded.entries}
        self.expect_state(found)
        self.model.restarted(found, epoch, store.revision, self.loop.now_ms)
        self.engine = self.make_engine()
        self.telemetry = Telemetry(started_at_ms=self.loop.now_ms)
        services = self.services = Services(store, store, Hub())
        self.store = store
        self.tick = WatchedTick(
            services,
            self.engine,
            self.telemetry,
            call_soon=self.loop.call_soon,
            call_threadsafe=self.loop.call_soon,
            clock_ms=lambda: self.loop.now_ms,
            timer_ms=lambda: float(self.loop.now_ms),
        )
        self.tick.watch(self.model, self.telemetry)
        loop: Any = self.loop
        nobody: Any = None
        expiry = ExpiryTimer(loop, store, self.tick, self.telemetry)
        self.tick.on_commit(expiry.rearm)
        self.tick.on_undo(expiry.rearm)
        self.views = Views(services)
        self.sessions = WatchedSessions(loop, services, self.views, self.tick, self.telemetry)
        self.sessions.watch(self.model, store, self.session_ids)
        self.context = Context(
            loop=loop,
            settings=Settings(),
            proxies=Proxies([]),
            views=self.views,
            tick=self.tick,
            sessions=self.sessions,
            bulk=nobody,
            admission=nobody,
            routes=nobody,
            registry=Registry(loop, 100),
            refusals=Refusals(Settings(), 3000),
            telemetry=self.telemetry,
            compressors=Compressors(),
            pacer=Pacer(
                lambda: float(loop.now_ms),
                lambda at_ms, action: loop.call_later((at_ms - loop.now_ms) / 1000, action),
            ),
            new_id=lambda: "id",
            date=lambda: "",
            new_conversation=self.new_conversation,
        )
        expiry.expire_due()
        self.probe()

    def make_engine(self) -> SimulatedEngine:
        return SimulatedEngine(self.storage, self.fsync, self.model)

    def probe(self) -> None:
        if self.telemetry.storage_failure is not None:
            self.model.trouble_at = self.loop.now_ms
            self.tick.probe()
        self.loop.call_later(1.0, self.probe)

    def expect_state(self, found: State) -> None:
        if sum(found.get(("", key), (0, None))[0] for key in ACCOUNTS):
            raise BrokenPromiseError(f"a transfer was kept in part: {found}")
        if found != self.model.kept and found not in self.model.doubtful:
            raise BrokenPromiseError(f"found {found}, acknowledged was {self.model.kept}")

    def stop(self) -> None:
        """A clean stop, after which the disk alone says everything."""
        self.storage.close(self.loop.time())
        self.model.doubtful.clear()

    def crash(self) -> None:
        """The process dies, with the power when nothing may be lost by it."""
        if self.fsync is Fsync.ALWAYS and self.random.random() < 0.5:
            self.disk.cut_power()
        for peer in self.peers:
            peer.is_gone = True
            peer.read(len(peer.unread))
        self.peers.clear()
        self.model.peers.clear()

    def mend_disk(self) -> None:
        self.disk.failing, self.disk.quota = 0.0, None

    def come_to_rest(self) -> None:
        """Everything that was sent is answered and read, and the disk works."""
        self.mend_disk()
        self.disk.operations_left = -1
        for _ in range(3):
            self.loop.pass_time(1100)
            for _ in range(200):
                for peer in self.peers:
                    peer.deliver(1 << 20)
                self.loop.turn()
                self.engine.sync()
                self.loop.turn()
                for peer in self.peers:
                    peer.read(1 << 20)
                self.loop.turn()
                waiting = (p for p in self.peers if p.unread or (p.outgoing and not p.is_gone))
                if self.engine.done is None and not any(waiting):
                    break
        self.expect_no_fault()
        self.model.expect_no_ghosts(self.loop.now_ms)
        for peer in self.peers:
            if peer.is_gone:
                continue
            if peer.close_code not in (None, TRY_LATER, KEEPALIVE, SESSION_RESUMED):
                raise BrokenPromiseError(f"closed with {peer.close_code}")
            if peer.close_code is None:
                if peer.outgoing or peer.unread:
                    raise BrokenPromiseError("a peer that reads everything is not served")
                peer.followed.expect_everything()

    def expect_no_fault(self) -> None:
        """Every message could be answered, if only with an error."""
        if self.model.fault is not None:
            raise BrokenPromiseError("a message could not be answered") from self.model.fault

    # --- peers ---

    def new_conversation(self, *arguments: Any, **options: Any) -> Conversation:
        conversation = WatchedConversation(*arguments, **options)
        conversation.watch(self.model, self.peers[-1].followed, self.store)
        return conversation

    def connect(self) -> None:
        self.welcome(Peer(self, is_dunena=self.random.random() < 0.5))

    def welcome(self, peer: Peer) -> None:
        """Another program connects."""
        self.peers.append(peer)
        self.model.peers.append(peer.followed)
        transport: Any = peer
        outbox = Outbox(transport, self.tick.schedule_flush, peer.abort, self.telemetry)
        dialect = Dialect.DUNENA if peer.followed.is_dunena else Dialect.OBJECT_STORE
        opening = AcceptedHandshake(dialect, (), b"", grant=EVERYTHING)
        peer.connection = WebSocketConnection(self.context, opening, transport, outbox)
        self.context.registry.add(peer.connection)
        peer.connection.begin(b"", b"", has_peer_ended=False)

    def act(self) -> None:
        """Something happens."""
        events: dict[Callable[[], None], int] = {
            self.connect: 5,
            self.talk_somewhere: 35,
            self.deliver_somewhere: 20,
            self.read_everywhere: 18,
            self.stall: 3,
            self.vanish: 2,
            self.flood: 3,
            self.trouble_disk: 3,
            lambda: self.storage.step(self.loop.time()): 4,
            self.engine.sync: 4,
            lambda: self.loop.pass_time(self.random.choice((64, 640, 6400, 25_600))): 3,
        }
        self.expect_no_fault()
        self.model.expect_no_ghosts(self.loop.now_ms)
        event = self.random.choices(list(events), list(events.values()))[0]
        (event if self.peers else self.connect)()
        if self.schedule_random.random() < 0.1:
            self.schedule()
        if self.has_channels and self.channel_random.random() < 0.25:
            self.talk_of_channels()
        if self.random.random() < 0.7:
            self.loop.turn()
        if self.random.random() < 0.3:
            self.loop.pass_time(GRAIN_MS)

    def talk_of_channels(self) -> None:
        """A peer follows a channel, leaves it or publishes, perhaps much at once."""
        draw = self.channel_random
        peers = [peer for peer in self.peers if peer.uses_channels]
        if not peers:
            return
        peer, channel = draw.choice(peers), draw.choice(CHANNELS)
        kind = draw.choice(("subscribe", "subscribe", "unsubscribe", "publish", "publish", "many"))
        name = "type" if peer.followed.is_dunena else "action"
        for _ in range(draw.choice((10, 40)) if kind == "many" else 1):
            message: dict[str, Any] = {name: "publish" if kind == "many" else kind}
            if message[name] == "publish":
                padding = "x" * draw.choice((0, 0, 200))
                message["data"] = {"number": next(self.channel_numbers), "padding": padding}
            if peer.followed.is_dunena or draw.random() < 0.3:
                message["id"] = f"channel {next(self.channel_numbers)}"
            peer.say(message | {"channel": channel})

    def schedule(self) -> None:
        """A key is set whose value is changed later, by the server alone."""
        draw, number = self.schedule_random, next(self.values)
        value = draw.choice((number, {"number": number, "on": True}))
        then = draw.choice((number, {"on": False, "more": number}))
        self.tick.run(self._schedule, (draw.choice(KEYS), value, self.ttl(draw, number), then))

    def _schedule(self, entry: tuple[str, Any, int, Any], now: int) -> None:
        key, value, ttl, then = entry
        if self.store.refusal is None:
            self.model.schedule(key, value, now + ttl, then)
            self.store.set("", key, orjson.dumps(value), now + ttl, then=orjson.dumps(then))

    def talk_somewhere(self) -> None:
        self.talk(self.random.choice(self.peers))

    def deliver_somewhere(self) -> None:
        for peer in self.random.choices(self.peers, k=2):
            peer.deliver(self.random.choice((1, 7, 40, 400, 4000)))

    def read_everywhere(self) -> None:
        for peer in self.peers:
            if not peer.is_stalled:
                peer.read(self.random.choice((3, 100, 5000)))

    def stall(self) -> None:
        peer = self.random.choice(self.peers)
        peer.is_stalled = not peer.is_stalled

    def vanish(self) -> None:
        self.random.choice(self.peers).vanish()

    def flood(self) -> None:
        peer = self.random.choice(self.peers)
        for _ in range(60):
            self.talk(peer)
        peer.deliver(1 << 20)

    def trouble_disk(self) -> None:
        choice = self.random.random()
        if choice < 0.3:
            self.disk.quota = self.random.randrange(300)
        elif choice < 0.6:
            self.disk.failing = 0.3
        else:
            self.mend_disk()

    def talk(self, peer: Peer) -> None:
        """A peer says something."""
        message = self.dunena_message(peer) if peer.followed.is_dunena else self.object_message()
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        cut = self.random.randrange(len(text)) if self.random.random() < 0.1 else None
        peer.say(text, cut)
        if self.has_sessions and self.session_random.random() < 0.15:
            peer.say(self.session_message(peer))

    def dunena_message(self, peer: Peer) -> Any:
        choose = self.random.choice
        kind = choose(
            [
                *("ping", "get", "set", "set", "set", "del", "mget", "mset", "channel", "bad"),
                *(*OPERATIONS, "transfer"),
            ]
        )
        message: dict[str, Any] = {"type": kind, "id": peer.next_id()}
        if kind in OPERATIONS or kind == "transfer":
            operation = self.operation(kind)
            return message | {"type": operation.pop("op")} | operation
        if kind == "bad":
            return b"{"
        if kind == "channel":
            kinds = {"type": choose(["subscribe", "subscribe", "unsubscribe"])}
            return message | kinds | {"channel": "cache-events"}
        if kind == "mget":
            return message | {"keys": choose([KEYS, ACCOUNTS])}
        if kind == "mset":
            return message | {"entries": [self.entry(text=True) for _ in range(3)]}
        if kind == "set":
            return message | self.entry(text=True) | self.durability()
        return message | {"key": choose(KEYS)}

    def object_message(self) -> Any:
        choose = self.random.choice
        action = choose(
            [
                *("set", "set", "set", "get", "subscribe", "subscribe", "unsubscribe", "delete"),
                *("bad", *OPERATIONS, "transfer"),
            ]
        )
        if action in OPERATIONS or action == "transfer":
            operation = self.operation(action)
            return {"action": operation.pop("op")} | operation
        if action == "bad":
            return b"]"
        if action == "set":
            return {"action": action} | self.entry(text=False) | self.durability()
        return {"action": action, "key": choose(KEYS)}

    def operation(self, kind: str) -> dict[str, Any]:
        """An operation, a transaction of some, or a transfer between two accounts."""
        choose, number = self.random.choice, next(self.values)
        if kind == "transfer":
            payer, payee = self.random.sample(ACCOUNTS, 2)
            amounts = ((payer, -number), (payee, number))
            ops = [{"op": "incr", "key": key, "by": amount} for key, amount in amounts]
            return {"op": "txn", "ops": ops} | self.durability()
        if kind == "txn":
            kinds = ["incr", "merge", "set", "delete"]
            ops = [self.operation(choose(kinds)) for _ in range(self.random.randrange(4))]
            return {"op": "txn", "ops": ops} | self.durability()
        if kind == "set":
            return {"op": "set"} | self.entry(text=False) | self.ephemerality()
        operation: dict[str, Any] = {"op": kind, "key": choose(KEYS)} | self.durability()
        if kind in ("incr", "merge"):
            operation |= self.ephemerality()
        if kind == "incr":
            return operation | {"by": number}
        return operation | {"value": {choose("xy"): number}} if kind == "merge" else operation

    def session_message(self, peer: Peer) -> Any:
        """A session begins, changes or is resumed."""
        draw = self.session_random
        names = {"type": "session", "id": peer.next_id()}
        message = names if peer.followed.is_dunena else {"action": "session"}
        if draw.random() < 0.7:
            message["grace"] = draw.choice((0, 640, 6400, 25_600, 25_600))
        if draw.random() < 0.3:
            message["timeout"] = draw.choice((10_000, 60_000))
        if draw.random() < 0.4:
            key = draw.choice(KEYS)
            wills = ([{"op": "incr", "key": key, "by": 1000}], [{"op": "delete", "key": key}], [])
            message["will"] = draw.choice(wills)
        if self.secrets and draw.random() < 0.6:
            message["resume"] = draw.choice(self.secrets[-3:])
        return message

    def ephemerality(self) -> dict[str, Any]:
        is_ephemeral = self.has_sessions and self.session_random.random() < 0.6
        return {"ephemeral": True} if is_ephemeral else {}

    def durability(self) -> dict[str, Any]:
        return {"durable": True} if self.random.random() < 0.1 else {}

    def entry(self, *, text: bool) -> dict[str, Any]:
        number = next(self.values)
        value: Any = f"value {number}" if text or self.random.random() < 0.5 else number
        if self.random.random() < 0.1:
            value = f"{number}" + "x" * 300
        entry = {"key": self.random.choice(KEYS), "value": value}
        if self.random.random() < 0.2:
            entry["ttl"] = self.ttl(self.random, number)
        return entry

    def ttl(self, draw: Random, number: int) -> int:
        """A time that ends between two grains."""
        return draw.randrange(1, 100) * GRAIN_MS + 1 + number % (GRAIN_MS - 1)


def _stored(entry: Entry) -> Stored:
    then = None if entry.then is None else orjson.loads(entry.then)
    return orjson.loads(entry.value), entry.expires_at, then
