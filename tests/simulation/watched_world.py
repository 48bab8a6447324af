"""A whole server with watchers: programs that follow keys, and keep what they are told.

Besides what happens in `World`, everything is removed at times, files are edited by other hands,
power cuts lose what was not synced, rights change, and watchers lose their connections and go on
from where they were.
"""

import json
from collections import Counter, deque
from random import Random
from typing import Any

import orjson

from dunena.dialects.grants import EVERYTHING, Grant, Right
from dunena.persistence.disk.files import key_file_name
from dunena.persistence.disk.hand_edits import HandEdits
from dunena.persistence.interface import OutsideChange
from dunena.persistence.policy import Fsync
from dunena.server.outside import Outside
from dunena.store.entry import Entry
from dunena.watches import pending as pending_module
from dunena.watches.pending import PendingUpdate
from tests.simulation.spec_model import BrokenPromiseError, Model, State
from tests.simulation.watch_view import Position, Question, Selected, View
from tests.simulation.world import ACCOUNTS, KEYS, ROOT, Peer, SimulatedEngine, World
from tests.support.rfc_examples import MERGES, PATCHES, POINTED, POINTERS

COUNTER = "counter"
"""A key that changes only by increments with idempotency keys."""

DOCUMENT = "document"
"""A key for the examples of the standards."""

LATE_MS_MAX = 50
RESEND_MS_MAX = 100_000
"""After it, a client does not send a request again whose answer it did not get."""

ALL_KEYS = [*KEYS, *ACCOUNTS, COUNTER, DOCUMENT]
RATES = (1, 5, 50)
VIEWS_MAX = 4

LIMITED = Grant("limited", frozenset({Right.READ}), keys=("a", "account *"))


def _may_read_limited(key: str) -> bool:
    return key == "a" or key.startswith("account ")


SELECTED = [
    Selected({"pattern": "*"}, lambda _: True),
    Selected({"pattern": "account *"}, lambda key: key.startswith("account ")),
    Selected({"pattern": "?"}, lambda key: len(key) == 1),
    Selected({"pattern": "c*"}, lambda key: key.startswith("c")),
    Selected({"pattern": "?", "path": "/x"}, lambda key: len(key) == 1),
    Selected({"pattern": "*", "path": "/number"}, lambda _: True),
    Selected({"key": "a"}, lambda key: key == "a"),
    Selected({"key": "e", "path": "/y"}, lambda key: key == "e"),
    Selected({"key": COUNTER}, lambda key: key == COUNTER),
    Selected({"keys": ["b", "c d", "f"]}, lambda key: key in ("b", "c d", "f")),
    Selected({"keys": ["a", "e"], "path": "/on"}, lambda key: key in ("a", "e")),
    Selected({"keys": ACCOUNTS}, lambda key: key in ACCOUNTS),
    Selected({"keys": ACCOUNTS}, lambda key: key in ACCOUNTS),
]

PARTS = [
    Selected({"key": DOCUMENT, "path": path}, lambda key: key == DOCUMENT)
    for path in (*POINTERS, "/a", "/baz")
]


class WatcherPeer(Peer):
    """The connection of a watcher; it knows when the server sent what it reads."""

    uses_channels = False

    def __init__(self, world: "WatchedWorld", watcher: "Watcher") -> None:
        super().__init__(world, is_dunena=watcher.is_dunena)
        self.watcher = watcher
        self.unread_bytes_max = watcher.random.choice((150, 1500))
        self._sent_bytes = 0
        self._sent: deque[tuple[int, int]] = deque()  # up to which byte, and when

    def write(self, data: bytes) -> None:
        """Note when it was sent."""
        super().write(data)
        self._sent_bytes += len(data)
        self._sent.append((self._sent_bytes, self.world.loop.now_ms))

    def hear(self, message: dict[str, Any]) -> None:
        """Tell updates from everything else."""
        if self.watcher.peer is not self:
            return  # it is gone
        while self._sent[0][0] < self.read_bytes:
            self._sent.popleft()
        update = message["data"] if message.get("type") == "update" else message.get("update")
        if update is not None:
            self.watcher.take(update, message.get("id"), self._sent[0][1])
            return
        super().hear(message)
        self.watcher.hear_answer(message)

    def vanish(self) -> None:
        """The watcher is not connected any more."""
        super().vanish()
        self.watcher.disconnect(self)


class Watcher:
    """A program that watches, over one connection after another."""

    def __init__(self, world: "WatchedWorld") -> None:
        self.world = world
        self.random = world.watch_random
        self.is_dunena = self.random.random() < 0.5
        self.is_limited = False
        self.peer: WatcherPeer | None = None
        self.views: dict[str, View] = {}
        self._known: dict[Any, tuple[int, str | None]] = {}  # by the id of a request
        self._increment: tuple[str, int, str] | None = None  # name, when, in which epoch
        self._increment_id: int | None = None
        self._catching_up_at = 0  # when an update was sent that may be of many keys

    @property
    def has_increment(self) -> bool:
        """Whether an increment was sent, and not answered."""
        return self._increment is not None

    # --- connections ---

    def connect(self) -> None:
        """Connect, and go on with every watch."""
        self.peer = peer = WatcherPeer(self.world, self)
        self.world.welcome(peer)
        if self.is_dunena and self.random.random() < 0.7:
            peer.say({"type": "unsubscribe", "channel": "cache-events"})
        if self.is_limited:
            self.is_limited = False
            self.world.forget_positions()
        for view in self.views.values():
            view.may_read = [_may_read_everything]
            if view.is_watched or self.random.random() < 0.3:
                self.watch(view.selected)
        if self._increment is not None:
            self.send_increment()

    def disconnect(self, peer: WatcherPeer) -> None:
        """The connection is gone."""
        if peer is self.peer:
            self.peer = None
            self._known.clear()
            self._increment_id = None
            for view in self.views.values():
                view.disconnect()

    # --- what it says ---

    def talk(self) -> None:
        """Say one thing."""
        choice = self.random.random()
        if choice < 0.35:
            self.watch(self.random.choice(PARTS if self.random.random() < 0.25 else SELECTED))
        elif choice < 0.4:
            self.unwatch()
        elif choice < 0.45:
            self.begin_again()
        elif self.is_limited:
            pass  # it may not write
        elif choice < 0.7:
            self.operate()
        elif choice < 0.8:
            self.get()
        elif self._increment is None:
            name = f"increment {next(self.world.values)}"
            self._increment = (name, self.world.loop.now_ms, self.world.model.committed.epoch)
            self.send_increment()

    def watch(self, selected: Selected) -> None:
        """Begin a watch, or begin it again."""
        assert self.peer is not None
        view = self.views.get(selected.name)
        if view is None:
            if len(self.views) >= VIEWS_MAX:
                return
            limited = _may_read_limited if self.is_limited else _may_read_everything
            view = self.views[selected.name] = View(selected, may_read=[limited])
        since: Position | None = view.position
        if since is not None and self.random.random() < 0.1:
            since = None
        request_id = self.peer.next_id()
        fields: dict[str, Any] = {**selected.fields, "id": request_id}
        if since is not None:
            fields["since"] = {"epoch": since[0], "rev": since[1]}
        rate = self.random.choice(RATES) if self.random.random() < 0.35 else None
        if rate is not None:
            fields["maxRate"] = rate
        question = Question(request_id, since, self.world.known)
        is_new = not (view.is_begun or view.questions)
        view.ask(question, None if rate is None else 1000 / rate, is_new=is_new)
        self.say("watch", fields)

    def unwatch(self) -> None:
        """End a watch; its position is kept, and may be continued."""
        for view in self.views.values():
            if view.is_begun and self.random.random() < 0.5:
                self.say("unwatch", dict(view.selected.fields))
                view.unwatch()
                return

    def begin_again(self) -> None:
        """Change something before, between and after two watches of the same."""
        for view in [view for view in self.views.values() if view.is_watched][:2]:
            for _ in range(2):
                if not self.is_limited:
                    self.operate()
                self.watch(view.selected)

    def operate(self) -> None:
        """An operation, a transfer, or an example of a standard."""
        choice = ("incr", "merge", "txn", "transfer", "transfer", "example", "delete", "delete")
        kind = self.random.choice(choice)
        if kind == "example":
            operation = self.example()
        elif kind == "delete":
            keys = self.random.sample(KEYS, self.random.choice((1, 2, len(KEYS))))
            operation = {"op": "txn", "ops": [{"op": "delete", "key": key} for key in keys]}
        else:
            operation = self.world.operation(kind)
        self.ask(operation.pop("op"), operation, None)

    def example(self) -> dict[str, Any]:
        """What a standard makes of one of its documents."""
        choice = self.random.random()
        if choice < 0.3:
            ops = [{"op": "set", "value": POINTED}]
        elif choice < 0.65:
            original, patch, _ = self.random.choice([m for m in MERGES if m[2] is not None])
            ops = [{"op": "set", "value": original}, {"op": "merge", "value": patch}]
        else:
            original, patch, _ = self.random.choice(PATCHES)
            ops = [{"op": "set", "value": original}, {"op": "patch", "patch": patch}]
        return {"op": "txn", "ops": [{**op, "key": DOCUMENT} for op in ops]}

    def get(self) -> None:
        """Read a key with its revision."""
        key = self.random.choice(ALL_KEYS)
        fields: dict[str, Any] = {"key": key, "rev": True}
        if self.is_dunena:
            fields["json"] = True
        self.ask("get", fields, key)

    def send_increment(self) -> None:
        """Send an increment, maybe again, unless that might be too late."""
        assert self._increment is not None
        name, began_at, epoch = self._increment
        world = self.world
        if epoch != world.model.committed.epoch or world.loop.now_ms - began_at > RESEND_MS_MAX:
            world.unknown += epoch == world.model.committed.epoch
            self._increment = None
            return
        fields = {"key": COUNTER, "by": 1, "idempotencyKey": name}
        self._increment_id = self.ask("incr", fields, None)

    def ask(self, name: str, fields: dict[str, Any], key: str | None) -> int:
        """Send a request that is answered; return its id."""
        assert self.peer is not None
        request_id = self.peer.next_id()
        self._known[request_id] = (self.world.known, key)
        self.say(name, {**fields, "id": request_id})
        return request_id

    def say(self, name: str, fields: dict[str, Any]) -> None:
        """Send a message in the dialect of this watcher."""
        assert self.peer is not None
        verb = "type" if self.is_dunena else "action"
        self.peer.say({verb: name, **fields})

    # --- what it hears ---

    def take(self, update: dict[str, Any], request_id: int | None, sent_at: int) -> None:
        """Take in an update of one of the watches."""
        assert self.peer is not None
        names = ("key", "keys", "pattern", "path")
        selector = {name: update[name] for name in names if name in update}
        view = self.views[json.dumps(selector, sort_keys=True)]
        followed = self.peer.followed
        committed = self.world.model.committed
        if request_id is not None or update.get("more") or update.get("reset"):
            self._catching_up_at = sent_at
        # What was to be sent together with such an update waits behind it, and becomes one.
        is_slow = followed.is_slow or sent_at == self._catching_up_at
        view.note_overdue(self.world.model.overdue(self.world.loop.now_ms))
        view.take(update, request_id, sent_at, committed, followed.watched, is_slow=is_slow)
        if view.position is not None and view.position[0] == committed.epoch:
            self.world.known = max(self.world.known, view.position[1])

    def hear_answer(self, message: dict[str, Any]) -> None:
        """Hear what is no update."""
        request_id = message.get("id")
        if request_id is not None and request_id == self._increment_id:
            self._increment, self._increment_id = None, None
            self.world.counted += "error" not in message and message.get("type") != "error"
        data = message.get("data", message.get("result", message))
        known, key = self._known.pop(request_id, (0, None))
        if request_id is None or not isinstance(data, dict) or "rev" not in data:
            return
        committed, revision = self.world.model.committed, data["rev"]
        if key is not None:
            self._expect_standing(key, data, known)
        elif revision < known and not data.get("duplicate"):
            raise BrokenPromiseError(f"8 linearizable: {message} after {known}")
        self.world.known = max(self.world.known, revision)
        assert self.peer is not None
        if not self.peer.followed.is_slow:
            for view in self.views.values():
                view.expect_told(revision, committed)

    def _expect_standing(self, key: str, data: dict[str, Any], known: int) -> None:
        """8: what was read stood there at some time between the request and its answer."""
        committed = self.world.model.committed
        value, revision = data["value"], data["rev"]
        standing = [committed.standing(("", key), known)]
        for cut in committed.between(known, committed.revision):
            standing += [
                (0 if w.value is None else w.revision, w.value)
                for w in cut.changes
                if w.entry_id == ("", key)
            ]
        if (revision, value) not in standing and value is not None:
            raise BrokenPromiseError(f"8 linearizable: {data} of {standing}")

    def change_rights(self) -> None:
        """From now on it may read all keys, or few."""
        peer = self.peer
        if peer is None or peer.outgoing or peer.unread or peer.close_code is not None:
            return
        followed = peer.followed
        if followed.is_slow or followed.events or self._known or not followed.is_open:
            return
        self.is_limited = not self.is_limited
        self.world.forget_positions()
        grant = LIMITED if self.is_limited else EVERYTHING
        for view in self.views.values():
            view.change_rights(_may_read_limited if self.is_limited else _may_read_everything)
            view.note_overdue(self.world.model.overdue(self.world.loop.now_ms))
        peer.connection.update_grant(lambda _: grant)


class CollectingEngine(SimulatedEngine):
    """Finds what other hands do to files."""

    hand_edits: HandEdits

    def collect(self, store: Any) -> list[OutsideChange]:
        """Return what they did."""
        return self.hand_edits.collect()

    def put_back(self, changes: list[OutsideChange]) -> None:
        """Find it once more."""
        self.hand_edits.put_back(changes)


class WatchedOutside(Outside):
    """Tells the model what is taken over."""

    model: Model

    def _apply(self, changes: list[OutsideChange], now: int) -> None:
        if self._store.refusal is None:
            for change in changes:
                value = None if change.value is None else orjson.loads(change.value)
                self.model.edit((change.ns, change.key), value)
        super()._apply(changes, now)


class Line:
    """Does what takes several turns."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add(self, work: Any) -> None:
        """Call ``work`` until it returns False."""
        self._world.loop.call_soon(lambda: self.add(work) if work() else None)


class WatchedWorld(World):
    """One history of one server with watchers."""

    def __init__(self, seed: int, fsync: Fsync) -> None:
        self.watch_random = Random(f"watch {seed}")
        self.watchers: list[Watcher] = []
        self.known = 0  # the newest revision that anybody was told of in this epoch
        self.counter_base = self.counted = self.unknown = 0
        self.edited: dict[str, list[Any]] = {}  # by hand, and not known to be taken over
        self.has_lost = False
        super().__init__(seed, fsync)
        self.watchers = [Watcher(self) for _ in range(self.watch_random.randrange(2, 5))]

    def figures(self) -> Counter[str]:
        """Return how many updates of which kind the watchers were told."""
        views = [view for watcher in self.watchers for view in watcher.views.values()]
        return sum((view.figures for view in views), Counter())

    # --- life of the server ---

    def start(self) -> None:
        """Begin another epoch."""
        self.outside: WatchedOutside | None = None
        super().start()
        self.known = self.model.committed.revision
        self.outside = WatchedOutside(self.store, self.engine, self.tick, self.bulk, self.telemetry)
        self.outside.model = self.model
        self.counted = self.unknown = 0
        counter = self.model.committed.last.values.get(("", COUNTER))
        self.counter_base = counter or 0

    def make_engine(self) -> SimulatedEngine:
        """Make an engine that finds hand edits."""
        engine = CollectingEngine(self.storage, self.fsync, self.model)
        engine.hand_edits = HandEdits(
            self.disk, self.storage, lambda: self.loop.call_soon(self.collect)
        )
        self.bulk: Any = Line(self)
        return engine

    def collect(self) -> None:
        """Take over what other hands did."""
        assert self.outside is not None
        self.outside.collect()

    def probe(self) -> None:
        """What is done once a second."""
        if self.services.watches.feed_count:
            self.tick.run(lambda _, now: self.services.watches.tell_quiet(now), None)
        super().probe()
        if self.outside is not None and self.outside.has_more:
            self.collect()

    def crash(self) -> None:
        """The process dies, and maybe what was not forced to the device is lost."""
        if self.fsync is Fsync.EVERYSEC and self.watch_random.random() < 0.4:
            self.disk.cut_power()
            self.has_lost = True
        super().crash()
        for watcher in self.watchers:
            if watcher.peer is not None:
                watcher.disconnect(watcher.peer)

    def expect_state(self, found: State) -> None:
        """Expect what was acknowledged, or a part of it up to a point, and what other hands did."""
        allowed = [self.model.kept, *self.model.doubtful]
        if self.has_lost:
            allowed += self.model.unsynced
        self.has_lost = False
        values = {key: found.get(("", key), (None,))[0] for key in self.edited}
        kept = {key: edits for key, edits in self.edited.items() if values[key] in edits}
        self.edited = {}
        without = [_without(state, kept) for state in allowed]
        if _without(found, kept) not in without:
            raise BrokenPromiseError(f"found {found}, expected one of {allowed[-4:]}")
        if sum(found.get(("", key), (0, None))[0] for key in ACCOUNTS):
            raise BrokenPromiseError(f"9 bank: a transfer was kept in part: {found}")

    def come_to_rest(self) -> None:
        """Everybody is connected, and was told everything."""
        self.mend_disk()
        self.disk.operations_left = -1
        for watcher in self.watchers:
            if watcher.peer is None:
                watcher.connect()
        super().come_to_rest()
        self.expect_in_time()
        committed, now = self.model.committed, self.loop.now_ms
        for watcher in self.watchers:
            peer = watcher.peer
            if peer is None or peer.is_gone or peer.close_code is not None:
                continue
            for view in watcher.views.values():
                if view.is_watched:
                    view.expect_all(committed, now)
        self.expect_counted()

    def expect_in_time(self) -> None:
        """13: nothing ended late."""
        if self.model.latest_ms > LATE_MS_MAX:
            raise BrokenPromiseError(f"13 time: something ended {self.model.latest_ms} ms late")

    def expect_counted(self) -> None:
        """10: the counter is what was acknowledged, and what nobody got to know."""
        committed = self.model.committed
        if committed.has_clear:
            return
        count = committed.last.values.get(("", COUNTER), 0) - self.counter_base
        waiting = sum(watcher.has_increment for watcher in self.watchers)
        if not self.counted <= count <= self.counted + self.unknown + waiting:
            raise BrokenPromiseError(
                f"10 once: {count} counted, {self.counted} answered, {self.unknown} unknown"
            )

    # --- what happens ---

    def act(self) -> None:
        """Something happens, often to a watcher."""
        choice = self.watch_random.random()
        if choice < 0.4:
            self.touch(self.watch_random.choice(self.watchers))
        elif choice < 0.404:
            self.tick.run(self._clear, None)
        elif choice < 0.42:
            self.edit_file()
        super().act()
        self.expect_bounded()

    def forget_positions(self) -> None:
        """The rights of a token change, as the server reads its tokens anew."""
        self.services.watches.forget_positions()
        self.model.forgotten_revision = self.services.unrestricted_store.revision

    def touch(self, watcher: Watcher) -> None:
        """A watcher connects, says something, or loses its connection."""
        peer = watcher.peer
        if peer is None:
            watcher.connect()
        elif peer.close_code is not None or peer.is_gone or self.watch_random.random() < 0.1:
            peer.vanish()
            watcher.disconnect(peer)
        elif self.watch_random.random() < 0.1:
            peer.is_stalled = not peer.is_stalled
        elif self.watch_random.random() < 0.06:
            watcher.change_rights()
        else:
            watcher.talk()
            if self.watch_random.random() < 0.6:
                peer.deliver(1 << 20)

    def talk(self, peer: Peer) -> None:
        """A peer says something."""
        if isinstance(peer, WatcherPeer):
            if peer.watcher.peer is peer:
                peer.watcher.talk()
        else:
            super().talk(peer)

    def edit_file(self) -> None:
        """Another hand writes or removes a file while the server runs."""
        draw = self.watch_random
        if not isinstance(self.engine, CollectingEngine) or self.disk.operations_left >= 0:
            return
        key = draw.choice(KEYS)
        path = str(ROOT / key_file_name(key, folds_case=False).text)
        value = None if draw.random() < 0.3 else next(self.values)
        if value is None and path not in self.disk.files():
            return
        self.edited.setdefault(key, []).append(value)
        self.disk.edit(path, None if value is None else orjson.dumps(value), next(self.values))
        self.engine.hand_edits.touch({path})
        self.engine.hand_edits.step(self.loop.time())

    def _clear(self, _: None, _now: int) -> None:
        if self.store.refusal is None:
            self.model.clear(self.services.hub.followed_keys())
            self.store.clear()

    # --- what must hold at any time ---

    def expect_bounded(self) -> None:
        """6: what waits for a reader is few references, and few values that are out of date."""
        for peer in self.peers:
            if not isinstance(peer, WatcherPeer) or peer.is_gone:
                continue
            backlog = peer.connection._outbox._backlog
            if backlog is None:
                continue
            for pending in backlog._pending.values():
                self._expect_bounded(pending)

    def _expect_bounded(self, pending: PendingUpdate) -> None:
        if pending.key_count > 2 * len(ALL_KEYS):
            raise BrokenPromiseError(f"6 bounded: {pending.key_count} keys wait")
        old = sum(
            told.memory_bytes
            for told in pending._sending or ()
            if isinstance(told, Entry) and told.key in pending._next
        )
        # Of a watch with a path the sizes are those of whole values, some of which it is not told.
        is_counted = pending.feed.selector.path is None
        if is_counted and old > pending_module.SUPERSEDED_BYTES_MAX:
            raise BrokenPromiseError(f"6 bounded: {old} bytes of old values wait")


def _may_read_everything(_: str) -> bool:
    return True


def _without(state: State, keys: dict[str, list[Any]]) -> State:
    return {entry_id: stored for entry_id, stored in state.items() if entry_id[1] not in keys}
