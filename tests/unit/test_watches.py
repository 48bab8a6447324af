"""Watches as a whole, above the sockets: histories of changes and readers, chosen at random.

Each history has commits that are held and refused, transactions, clears, slow and paced readers,
updates in parts, lost connections that are resumed, few removals remembered, and restarts. What
must hold is checked at each update:

- *cut*: with an update applied, its reader has what was committed at its revision, and no other;
- *monotone*: the revisions of a watch never go back within an epoch;
- *resumed*: a position that can be continued is, without a reset;
- *bounded*: a reader that does not read costs at most two references for each key and watch;
- *converge*: when writes stop and all is read, every reader has the last state.

A checker may pass because it checks nothing. So each promise is broken on purpose, and the checker
has to notice.
"""

import os
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson
import pytest

from dunena.dialects import watching
from dunena.dialects.dialect import Dialect
from dunena.dialects.messages import WatchUpdates
from dunena.persistence.interface import Done
from dunena.server.outbox import Outbox
from dunena.store import positions as positions_module
from dunena.store.entry import Change, Entry
from dunena.store.errors import WriteRefusedError
from dunena.store.positions import Positions
from dunena.watches import pending as pending_module
from dunena.watches import updates as updates_module
from dunena.watches import watch_table as watch_table_module
from dunena.watches.pending import PendingUpdate
from dunena.watches.watch_table import WatchTable
from tests.support.rooms import Client, HoldingEngine, Rooms

HISTORIES = int(os.environ.get("DUNENA_WATCH_HISTORIES", "60"))
STEPS = 150
PLACES = [f"{letter}{number}" for letter in "ab" for number in range(4)]
PADDING = "x" * 100_000
"""Three values of this size do not fit one part of an update."""

SELECTORS: list[tuple[dict[str, Any], Callable[[str], bool]]] = [
    ({"pattern": "*"}, lambda key: True),
    ({"pattern": "a*"}, lambda key: key.startswith("a")),
    ({"pattern": "?1"}, lambda key: key.endswith("1")),
    ({"key": "a0"}, lambda key: key == "a0"),
    ({"keys": ["a1", "b1"]}, lambda key: key in ("a1", "b1")),
]

State = dict[str, Any]


class Reader:
    """A client with one watch, as the documentation says how it is to read updates."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.selector, self.matches = world.random.choice(SELECTORS)
        self.dialect = world.random.choice((Dialect.DUNENA, Dialect.OBJECT_STORE))
        self.client: Client | None = None
        self.position: tuple[str, int] | None = None
        self.state: State = {}
        self.parts: list[dict[str, Any]] = []
        self.is_eager = False
        self.must_resume = False
        self.request_id = 0
        self.disturbances_before = (0, 0)

    def connect(self, *, forgets: bool) -> None:
        if forgets:
            self.position, self.state = None, {}
        self.parts = []
        client = self.client = self.world.rooms.client(self.dialect)
        client.outbox.rewire(client._overflow, None, self.world.turns.append)
        self.watch(client)

    def watch(self, client: Client) -> None:
        """Begin the watch, or replace it by one that goes on from the same position."""
        self.request_id += 1
        name = "type" if self.dialect is Dialect.DUNENA else "action"
        message: dict[str, Any] = {name: "watch", **self.selector, "id": self.request_id}
        if self.position is not None:
            message["since"] = {"epoch": self.position[0], "rev": self.position[1]}
        if self.world.random.random() < 0.4:
            message["maxRate"] = 10
        self.must_resume = (
            self.position is not None
            and self.position[0] == self.world.epoch
            and self.position[1] >= self.world.rooms.store.positions.floor
        )
        self.disturbances_before = self.disturbances()
        client.say(message)

    def disturbances(self) -> tuple[int, int]:
        rooms = self.world.rooms
        return rooms.telemetry.storage_failures, rooms.store.clears

    def disconnect(self) -> None:
        if self.client is not None:
            self.client.conversation.close()
            self.client.outbox.kill()
        self.client = None

    def read(self) -> None:
        if self.client is None:
            return
        for message in self.client.received():
            assert "error" not in message, message
            is_first = message.get("id") == self.request_id
            if "update" in message:
                self.take(message["update"], is_first=is_first)
            elif message.get("type") == "update":
                self.take(message["data"], is_first=is_first)

    def take(self, part: dict[str, Any], *, is_first: bool) -> None:
        assert part.items() >= self.selector.items()
        # A commit that was refused since, or a clear, may have taken the floor past the position.
        if is_first and self.must_resume and self.disturbances() == self.disturbances_before:
            assert "reset" not in part, "resumed"
        self.parts.append(part)
        if part.get("more") and not self.is_eager:
            return
        for one in self.parts:
            if one.get("reset"):
                self.state = {}
            for change in one["changes"]:
                if "value" in change:
                    self.state[change["key"]] = change["value"]
                else:
                    self.state.pop(change["key"], None)
        self.parts = []
        before, self.position = self.position, (part["epoch"], part["rev"])
        if before is not None and before[0] == part["epoch"]:
            assert before[1] <= part["rev"], "monotone"
        assert self.state == self.world.committed_at(part["rev"], self.matches), "cut"


class Engine(HoldingEngine):
    """Knows which changes are kept for good; those of a held commit are not yet."""

    def __init__(self) -> None:
        super().__init__(always=False)
        self.kept: list[Change] = []

    def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
        is_kept = super().commit(changes, done, durable=durable)
        if is_kept:
            self.kept += changes
        return is_kept

    def finish_commit(self, changes: Sequence[Change], *, is_kept: bool) -> None:
        super().finish_commit(changes, is_kept=is_kept)
        if is_kept:
            self.kept += changes


class World:
    """A server, its writer and its readers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.number = 0
        self.epoch_number = 0
        self.states: dict[int, State] = {0: {}}
        self.turns: list[Callable[[], object]] = []  # of outboxes that make parts of an update
        self.restart(forgets=True)
        self.readers = [Reader(self) for _ in range(4)]

    @property
    def epoch(self) -> str:
        return f"epoch-{self.epoch_number}"

    def restart(self, *, forgets: bool) -> None:
        """Begin anew, with the committed entries unless it forgets them."""
        self.epoch_number += 1
        entries, revision = [], 0
        if not forgets:
            self.observe()
            last = max(self.states)
            revision = last
            entries = [
                Entry("", key, orjson.dumps(value), None, 1)
                for key, value in self.states[last].items()
            ]
        self.engine = Engine()
        self.rooms = Rooms(engine=self.engine, epoch=self.epoch)
        self.rooms.store.load(entries, revision)
        self.writer = self.rooms.client(Dialect.OBJECT_STORE)
        self.seen = 0
        self.states = {self.rooms.store.revision: self.states[max(self.states)]}
        if forgets:
            self.states = {0: {}}

    def observe(self) -> None:
        """Remember the states that were committed."""
        for change in self.engine.kept[self.seen :]:
            state = dict(self.states[max(self.states)])
            if change.cleared is not None:
                state = {}
            elif change.entry is None:
                del state[change.key]
            else:
                state[change.key] = orjson.loads(change.entry.value)
            self.states[change.revision] = state
        self.seen = len(self.engine.kept)

    def committed_at(self, revision: int, matches: Callable[[str], bool]) -> State:
        self.observe()
        return {key: v for key, v in self.states[revision].items() if matches(key)}

    # --- what happens ---

    def write(self) -> None:
        ops = [
            self.operation(key)
            for key in self.random.sample(PLACES, self.random.choice((1, 1, 2, 3)))
        ]
        is_durable = self.random.random() < 0.15
        self.writer.say({"action": "txn", "ops": ops, "durable": is_durable})

    def operation(self, key: str) -> dict[str, Any]:
        if self.random.random() < 0.3:
            return {"op": "delete", "key": key}
        self.number += 1
        padding = PADDING if self.random.random() < 0.3 else ""
        return {"op": "set", "key": key, "value": [self.number, padding]}

    def clear(self) -> None:
        def do(_message: None, _now: int) -> None:
            with suppress(WriteRefusedError):
                self.rooms.store.clear()

        self.rooms.tick.run(do, None)

    def end_tick(self, *, is_refused: bool = False) -> None:
        self.engine.reason = "full" if is_refused else None
        self.rooms.tick.end()
        self.engine.reason = None

    def release(self, *, is_refused: bool) -> None:
        if self.engine.held is not None:
            self.engine.release("failed" if is_refused else None)

    def step(self) -> None:
        chance = self.random.random()
        if chance < 0.4:
            self.write()
        elif chance < 0.41:
            self.clear()
        elif chance < 0.6:
            self.end_tick(is_refused=self.random.random() < 0.15)
        elif chance < 0.68:
            self.release(is_refused=self.random.random() < 0.2)
        elif chance < 0.685:
            for reader in self.readers:
                reader.disconnect()
            self.restart(forgets=self.random.random() < 0.5)
        elif chance < 0.75:
            self.rooms.pass_time(self.random.choice((30, 200)))
        else:
            self.touch(self.random.choice(self.readers))
        if self.turns and self.random.random() < 0.5:
            self.turns.pop(0)()
        for reader in self.readers:
            reader.read()
            self.expect_bounded(reader)

    def touch(self, reader: Reader) -> None:
        """Connect or disconnect a reader, or let it read more, or less."""
        client = reader.client
        if client is None:
            reader.connect(forgets=self.random.random() < 0.1)
        elif self.random.random() < 0.2:
            reader.disconnect()
        elif self.random.random() < 0.2:
            reader.watch(client)
        elif client.wire.is_blocked:
            if self.random.random() < 0.5:
                client.outbox.resume()  # for one more write
            else:
                client.wire.unblock()
        else:
            client.wire.is_blocked = True

    def expect_bounded(self, reader: Reader) -> None:
        backlog = None if reader.client is None else reader.client.outbox._backlog
        waiting = {} if backlog is None else backlog._pending
        for pending in waiting.values():
            assert pending.key_count <= 2 * len(PLACES), "bounded"

    def come_to_rest(self) -> None:
        for _ in range(3):
            self.end_tick()
            self.release(is_refused=False)
            for reader in self.readers:
                if reader.client is None:
                    reader.connect(forgets=False)
                if reader.client is not None:
                    reader.client.wire.unblock()
            self.rooms.pass_time(200)
            while self.turns:
                self.turns.pop(0)()
        for reader in self.readers:
            reader.read()
            state = self.committed_at(max(self.states), reader.matches)
            assert reader.state == state, "converge"


def run_history(seed: int) -> World:
    world = World(seed)
    for _ in range(STEPS):
        world.step()
    world.come_to_rest()
    return world


def run_histories(count: int) -> None:
    for seed in range(count):
        run_history(seed)


@pytest.fixture(autouse=True)
def _low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions_module, "REMOVALS_MAX", 4)
    for module in (watch_table_module, updates_module):
        monkeypatch.setattr(module, "PART_CHANGES_MAX", 3)  # of the eight keys
    monkeypatch.setattr(pending_module, "SMALL_UPDATE_CHANGES_MAX", 3)  # it fits one part


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_every_update_is_a_cut_of_what_was_committed(seed: int) -> None:
    run_history(seed)


# --- the checker notices what it is for ---


def forget_removals(monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(self: Positions, _change: object, entry: Entry) -> None:
        del self._order[entry]

    monkeypatch.setattr(Positions, "remove", remove)


def keep_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(self: Positions, change: Any, entry: Entry) -> None:
        floor = self.floor
        real(self, change, entry)
        self.floor = floor

    real = Positions.remove
    monkeypatch.setattr(Positions, "remove", remove)


def ignore_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    def since_of(_services: object, message: Any, _selector: object) -> int | None:
        return message["since"]["rev"] if "since" in message else None

    monkeypatch.setattr(watching, "since_of", since_of)


def apply_parts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Reader.connect

    def connect(self: Reader, *, forgets: bool) -> None:
        real(self, forgets=forgets)
        self.is_eager = True

    monkeypatch.setattr(Reader, "connect", connect)


def send_what_stands_now(monkeypatch: pytest.MonkeyPatch) -> None:
    real = World.restart

    def restart(self: World, *, forgets: bool) -> None:
        real(self, forgets=forgets)
        store = self.rooms.store

        def change(form: WatchUpdates, told: Any, *, shows_missing: bool) -> bytes | None:
            return encode(form, store.table.find("", told.key) or told, shows_missing=shows_missing)

        monkeypatch.setattr(WatchUpdates, "change", change)

    encode = WatchUpdates.change
    monkeypatch.setattr(World, "restart", restart)


def leave_the_order_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Positions, "_put_in_order", lambda self: None)


def drop_one_of_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    real = WatchTable.end_group

    def end_group(self: WatchTable) -> None:
        for group in self._groups.values():
            if len(group.changes) > 1:
                del group.changes[next(iter(group.changes))]
        real(self)

    monkeypatch.setattr(WatchTable, "end_group", end_group)


def keep_what_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "truncate", lambda self, count: None)


def merge_into_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    real = PendingUpdate.add

    def add(self: PendingUpdate, part: Any) -> None:
        real(self, part)
        self._sending_revision = self.revision

    monkeypatch.setattr(PendingUpdate, "add", add)


def lose_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: PendingUpdate) -> None:
        self._next = {}
        self._sending = None

    monkeypatch.setattr(PendingUpdate, "_forget", forget)


def forget_older_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_update(services: Any, begun: Any, *more: Any) -> Any:
        return real(services, begun._replace(is_again=False), *more)

    real = watching.first_update
    monkeypatch.setattr(watching, "first_update", first_update)


SABOTAGES = [
    forget_removals,
    keep_the_floor,
    ignore_the_epoch,
    apply_parts_at_once,
    send_what_stands_now,
    leave_the_order_wrong,
    drop_one_of_a_group,
    keep_what_was_refused,
    merge_into_what_is_sent,
    lose_a_reset,
    forget_older_watches,
]


@pytest.mark.skipif("DUNENA_TEST_COMPILED" in os.environ, reason="compiled code is not replaced")
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_the_checker_notices_a_broken_promise(
    sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    with pytest.raises((AssertionError, KeyError)):
        run_histories(300)
