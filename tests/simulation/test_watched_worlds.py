"""Random histories of whole servers with watchers, and the detection of deliberate faults.

``DUNENA_SIMULATION_WATCHED`` sets how many are played in all (25000 take some 17 minutes of one
core); ``DUNENA_SIMULATION_WATCHED_SEED`` plays the one of that number alone, under every policy.
"""

import os
from collections import Counter
from collections.abc import Callable

import pytest

from dunena.dialects import watching
from dunena.dialects.messages import WatchUpdates
from dunena.dialects.ops import pointer
from dunena.dialects.remembered_answers import RememberedAnswers
from dunena.persistence.policy import Fsync
from dunena.server.expiry_timer import ExpiryTimer
from dunena.server.outbox import Outbox
from dunena.server.paced import PacedOutbox, Pacer
from dunena.store import positions
from dunena.store.positions import Positions
from dunena.watches import pending, updates
from dunena.watches.feed import WatchFeed
from dunena.watches.pending import PendingUpdate
from dunena.watches.watch_table import WatchTable
from tests.simulation.seeds import seeds_from, seeds_of
from tests.simulation.spec_model import BrokenPromiseError
from tests.simulation.watched_world import WatchedWorld
from tests.support.counts import count_of

WORLDS = count_of("DUNENA_SIMULATION_WATCHED", few=400, many=1000)
SEED = "DUNENA_SIMULATION_WATCHED_SEED"  # the variable that names the only one
POLICIES = [Fsync.EVERYSEC, Fsync.ALWAYS]
SABOTAGE_WORLDS_MAX = 1000
PARTS = 2  # so that they can be shared by processes


@pytest.fixture(autouse=True)
def _small_limits(small_limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches meet theirs too."""
    monkeypatch.setattr(positions, "REMOVALS_MAX", 3)
    monkeypatch.setattr(pending, "PART_BYTES_MAX", 1100)
    monkeypatch.setattr(updates, "PART_BYTES_MAX", 250)
    monkeypatch.setattr(updates, "PART_CHANGES_MAX", 3)
    # What is made at once fits one part.
    monkeypatch.setattr(pending, "SMALL_UPDATE_CHANGES_MAX", 2)
    monkeypatch.setattr(pending, "SMALL_UPDATE_BYTES_MAX", 100)
    monkeypatch.setattr(pending, "SUPERSEDED_BYTES_MAX", 1000)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("fsync", POLICIES)
def test_every_watcher_sees_what_was_committed(fsync: Fsync, part: int) -> None:
    for seed in seeds_of(SEED, WORLDS // len(POLICIES), part, PARTS, FIRST_SEEDS.values()):
        try:
            WatchedWorld(seed, fsync).play()
        except Exception as error:
            raise AssertionError(f"{SEED}={seed}, --fsync {fsync.value}") from error


def test_watchers_meet_every_kind_of_update() -> None:
    figures: Counter[str] = Counter()
    for seed in range(20):
        world = WatchedWorld(seed, POLICIES[seed % 2])
        world.play()
        figures += world.figures()
    assert all(figures[kind] >= 5 for kind in ("resumed", "resets", "in parts")), figures
    assert figures["updates"] >= 300


# --- the checker notices what it is for: those of the model of the contract first ---

Sabotage = Callable[[pytest.MonkeyPatch], None]


def forget_removals(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Positions, "remove", lambda self, _, entry: self._order.pop(entry))


def keep_the_floor(patch: pytest.MonkeyPatch) -> None:
    remove = Positions.remove

    def remove_below(self, change, entry) -> None:
        floor = self.floor
        remove(self, change, entry)
        self.floor = floor

    patch.setattr(Positions, "remove", remove_below)


def ignore_the_epoch(patch: pytest.MonkeyPatch) -> None:
    def since_of(services, message, _selector) -> int | None:
        revision = message.get("since", {}).get("rev")
        return None if revision is None else min(revision, services.unrestricted_store.revision)

    patch.setattr(watching, "since_of", since_of)


def deny_that_parts_follow(patch: pytest.MonkeyPatch) -> None:
    frame = WatchUpdates.frame

    def last_frame(self, *arguments, has_more, **options) -> bytes:
        return frame(self, *arguments, has_more=False, **options)

    patch.setattr(WatchUpdates, "frame", last_frame)


def send_what_stands_now(patch: pytest.MonkeyPatch) -> None:
    attach, change = WatchTable.attach, WatchUpdates.change

    def attach_newest(table, store, opened) -> None:
        attach(table, store, opened)

        def newest(form, told, *, shows_missing) -> bytes | None:
            return change(form, store.table.find("", told.key) or told, shows_missing=shows_missing)

        patch.setattr(WatchUpdates, "change", newest)

    patch.setattr(WatchTable, "attach", attach_newest)


def leave_the_order_wrong(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Positions, "_put_in_order", lambda _: None)


def drop_one_of_a_group(patch: pytest.MonkeyPatch) -> None:
    end_group = WatchTable.end_group

    def end_most(table) -> None:
        for group in table._groups.values():
            if len(group.changes) > 1:
                del group.changes[next(iter(group.changes))]
        end_group(table)

    patch.setattr(WatchTable, "end_group", end_most)


def say_what_was_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outbox, "truncate", lambda *_: None)


# --- and others ---


def tell_each_change_alone(patch: pytest.MonkeyPatch) -> None:
    changed = WatchTable.changed

    def changed_alone(table, change, now) -> None:
        changed(table, change, now)
        table.end_group()

    patch.setattr(WatchTable, "changed", changed_alone)


def merge_into_what_is_sent(patch: pytest.MonkeyPatch) -> None:
    add = PendingUpdate.add

    def add_now(self, part) -> None:
        add(self, part)
        self._sending_revision = self.revision

    patch.setattr(PendingUpdate, "add", add_now)


def lose_a_reset(patch: pytest.MonkeyPatch) -> None:
    def forget(self) -> None:
        self._next = {}
        self._sending = None

    patch.setattr(PendingUpdate, "_forget", forget)


def forget_older_watches(patch: pytest.MonkeyPatch) -> None:
    first_update = watching.first_update

    def first_of_new(services, begun, *more):
        return first_update(services, begun._replace(is_again=False), *more)

    patch.setattr(watching, "first_update", first_of_new)


def answer_first(patch: pytest.MonkeyPatch) -> None:
    send = Outbox.send

    def send_replies_first(self, pieces, action):
        in_order = sorted(pieces, key=lambda piece: not isinstance(piece, bytes))
        return send(self, in_order, action)

    patch.setattr(Outbox, "send", send_replies_first)


def begin_anew_always(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Positions, "since", lambda *_: None)


def withhold_the_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pacer, "call", lambda *_: None)


def ignore_the_rate(patch: pytest.MonkeyPatch) -> None:
    send = PacedOutbox.send

    def send_now(self, pieces, action):
        self._next_at = 0
        return send(self, pieces, action)

    patch.setattr(PacedOutbox, "send", send_now)


def hold_what_is_out_of_date(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PendingUpdate, "_unite", lambda _: None)


def tell_of_other_parts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchUpdates, "is_other_value", lambda *_: True)


def show_what_may_not_be_read(patch: pytest.MonkeyPatch) -> None:
    begin = WatchFeed.__init__

    def forget_rights(feed, selector, form, opened, _may_read, **options) -> None:
        begin(feed, selector, form, opened, None, **options)

    patch.setattr(WatchFeed, "__init__", forget_rights)


def continue_whatever_the_rights_are(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchTable, "forget_positions", lambda _: None)


def carry_out_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RememberedAnswers, "find", lambda *_: None)


def remember_what_was_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RememberedAnswers, "undo", lambda *_: None)


def look_once_a_second(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ExpiryTimer, "rearm", lambda _: None)


def read_pointers_wrongly(patch: pytest.MonkeyPatch) -> None:
    def parse(path) -> pointer.Pointer:
        return tuple(path.split("/")[1:])

    for module in ("messages", "ops.operation"):
        patch.setattr(f"dunena.dialects.{module}.parse_pointer", parse)


def merge_null_as_a_value(patch: pytest.MonkeyPatch) -> None:
    def merge(value, part):
        return {**value, **part} if isinstance(value, dict) and isinstance(part, dict) else part

    patch.setattr("dunena.dialects.ops.operation.merge", merge)


def find_fault(first_seed: int) -> str | None:
    for seed in seeds_from(first_seed, SABOTAGE_WORLDS_MAX):
        try:
            WatchedWorld(seed, POLICIES[seed % 2]).play()
        except BrokenPromiseError as error:
            return str(error)
    return None


SABOTAGES: list[Sabotage] = [
    forget_removals,
    keep_the_floor,
    ignore_the_epoch,
    deny_that_parts_follow,
    send_what_stands_now,
    leave_the_order_wrong,
    drop_one_of_a_group,
    say_what_was_refused,
    tell_each_change_alone,
    merge_into_what_is_sent,
    lose_a_reset,
    forget_older_watches,
    answer_first,
    begin_anew_always,
    withhold_the_last,
    ignore_the_rate,
    hold_what_is_out_of_date,
    tell_of_other_parts,
    show_what_may_not_be_read,
    continue_whatever_the_rights_are,
    carry_out_again,
    remember_what_was_refused,
    look_once_a_second,
    read_pointers_wrongly,
    merge_null_as_a_value,
]

FIRST_SEEDS = {
    forget_removals: 90,
    keep_the_floor: 258,
    ignore_the_epoch: 36,
    leave_the_order_wrong: 61,
    forget_older_watches: 595,
    ignore_the_rate: 41,
    hold_what_is_out_of_date: 154,
    show_what_may_not_be_read: 210,
    look_once_a_second: 20,
    read_pointers_wrongly: 19,
    merge_null_as_a_value: 26,
}
"""Where faults were found that few worlds show. From another seed on it only takes longer."""


@pytest.mark.skipif("DUNENA_TEST_COMPILED" in os.environ, reason="compiled code is not replaced")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_the_checker_notices_a_server_broken_on_purpose(
    sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    assert find_fault(FIRST_SEEDS.get(sabotage, 0)) is not None
