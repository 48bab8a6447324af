"""What changed since a revision, held against a plain model over random histories."""

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from dunena.store import positions
from dunena.store.entry import Change, ChangeKind, Entry, EntryId
from dunena.store.limits import Eviction, Limits
from dunena.store.positions import Difference, Positions
from dunena.store.quota import quota_of
from dunena.store.store import Store

HISTORIES = 300
CHANGES = 60
REMOVALS_KEPT = 8
ENTRIES_MAX = 6
PLACES = [(ns, key) for ns in ("", "n") for key in "abcd"]

Removed = tuple[int, EntryId, ChangeKind]


class Model:
    """The state at each revision, all removals, and the oldest revision that can be continued."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.states: dict[int, dict[EntryId, int]] = {store.revision: self.present()}
        self.removals: list[Removed] = []
        self.remembered: list[int] = []
        self.floor = store.revision

    def present(self) -> dict[EntryId, int]:
        return {(entry.ns, entry.key): entry.revision for entry in self.store.entries()}

    def made(self, change: Change) -> None:
        """The store's observer; the state is looked at later, as the store is just changing."""
        before = dict(self.states[change.revision - 1])
        if change.kind is ChangeKind.CLEAR:
            before.clear()
            self.remembered.clear()
            self.floor = change.revision
        elif change.kind is ChangeKind.SET:
            before[change.ns, change.key] = change.revision
        else:
            del before[change.ns, change.key]
            self.removals.append((change.revision, (change.ns, change.key), change.kind))
            self.remembered.append(change.revision)
            if len(self.remembered) > REMOVALS_KEPT:
                self.floor = self.remembered.pop(0)
        self.states[change.revision] = before

    def undone(self, revision: int) -> None:
        self.states = {r: state for r, state in self.states.items() if r <= revision}
        self.removals = [removal for removal in self.removals if removal[0] <= revision]
        self.remembered = [r for r in self.remembered if r <= revision]
        self.floor = min(self.floor, revision)

    def check(self) -> None:
        now = self.present()
        assert now == self.states[self.store.revision]
        for revision, then in self.states.items():
            difference = self.store.positions.since(revision)
            assert (difference is None) == (revision < self.floor), (revision, self.floor)
            if difference is not None:
                self.check_difference(revision, difference, then, now)

    def check_difference(
        self,
        revision: int,
        difference: Difference,
        then: dict[EntryId, int],
        now: dict[EntryId, int],
    ) -> None:
        changed = sorted(r for entry_id, r in now.items() if then.get(entry_id) != r)
        assert [entry.revision for entry in difference.entries] == changed
        gone = {
            entry_id: (r, entry_id, kind)
            for r, entry_id, kind in self.removals
            if r > revision and entry_id not in now
        }
        assert [(r, (ns, key), kind) for r, ns, key, kind in difference.removals] == sorted(
            gone.values(), key=lambda removal: removal[0]
        )
        # A reader that knew the state then knows the one now.
        for removal in difference.removals:
            then = {place: r for place, r in then.items() if place != (removal.ns, removal.key)}
        assert then | {(e.ns, e.key): e.revision for e in difference.entries} == now


def play(seed: int) -> None:
    """Play a history of a store that evicts, and hold its positions against the model."""
    rng = random.Random(seed)
    limits = Limits(entries_max=rng.choice([0, ENTRIES_MAX]), eviction=Eviction.LRU)
    store = Store(quota=quota_of(limits))
    loaded = rng.sample(PLACES, rng.randrange(4))
    store.load([Entry(ns, key, b"0", None, 3) for ns, key in loaded], rng.choice([0, 7]))
    model = Model(store)
    made: list[Change] = []

    def observe(change: Change) -> None:
        made.append(change)
        model.made(change)

    store.observe(observe)
    store.on_undo(model.undone)
    for now in range(CHANGES):
        act = rng.random()
        if act < 0.55:
            store.set(*rng.choice(PLACES), b"1", rng.choice([None, None, now + rng.randrange(9)]))
        elif act < 0.75:
            store.delete(*rng.choice(PLACES))
        elif act < 0.85:
            store.expire(now)
        elif act < 0.87:
            store.clear()
        elif made:
            count = rng.randint(1, min(6, len(made)))
            undone = made[-count:]
            del made[-count:]
            store.undo(undone)
        if rng.random() < 0.3:
            made.clear()  # they are committed
            model.check()
    model.check()


@pytest.fixture(autouse=True)
def few_removals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "REMOVALS_MAX", REMOVALS_KEPT)


def test_since_any_revision_is_the_net_difference_unless_it_is_below_the_floor() -> None:
    for seed in range(HISTORIES):
        play(seed)


def keep_the_order_of_an_undo(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Positions, "_put_in_order", lambda _self: None)


def forget_the_floor(patch: pytest.MonkeyPatch) -> None:
    def remove(self: Positions, change: Change, entry: Entry) -> None:
        floor = self.floor
        remove_rightly(self, change, entry)
        self.floor = floor

    remove_rightly = Positions.remove
    patch.setattr(Positions, "remove", remove)


def forget_the_floor_of_a_clear(patch: pytest.MonkeyPatch) -> None:
    def clear(self: Positions, revision: int) -> None:
        floor = self.floor
        clear_rightly(self, revision)
        self.floor = floor

    clear_rightly = Positions.clear
    patch.setattr(Positions, "clear", clear)


def forget_one_removal(patch: pytest.MonkeyPatch) -> None:
    def remove(self: Positions, change: Change, entry: Entry) -> None:
        remove_rightly(self, change, entry)
        if change.revision % 10 == 0:
            self._removals.pop()

    remove_rightly = Positions.remove
    patch.setattr(Positions, "remove", remove)


def keep_an_undone_removal(patch: pytest.MonkeyPatch) -> None:
    def undo(self: Positions, change: Change) -> None:
        removals = self._removals.copy()
        undo_rightly(self, change)
        self._removals = removals

    undo_rightly = Positions.undo
    patch.setattr(Positions, "undo", undo)


@pytest.mark.skipif("DUNENA_TEST_COMPILED" in os.environ, reason="compiled code is not replaced")
@pytest.mark.parametrize(
    "sabotage",
    [
        keep_the_order_of_an_undo,
        forget_the_floor,
        forget_the_floor_of_a_clear,
        forget_one_removal,
        keep_an_undone_removal,
    ],
)
def test_the_model_detects_positions_broken_on_purpose(sabotage, monkeypatch) -> None:
    sabotage(monkeypatch)

    def is_found() -> bool:
        for seed in range(HISTORIES):
            try:
                play(seed)
            except AssertionError:
                return True
        return False

    assert is_found()


class CountedEntry:
    """Stands in for an entry, of which a compiled one has no subclass: counts how often its
    revision is read.
    """

    def __init__(self, key: str, revision: int) -> None:
        self.ns, self.key = "", key
        self.reads = 0
        self._revision = revision

    @property
    def revision(self) -> int:
        self.reads += 1
        return self._revision


@pytest.mark.skipif("DUNENA_TEST_COMPILED" in os.environ, reason="it takes no other class there")
def test_since_does_not_touch_older_entries() -> None:
    kept = Positions()
    entries: list[Any] = [CountedEntry(f"k{number}", number) for number in range(1, 1001)]
    kept.load([], 0)
    for entry in entries:
        kept.put(entry, None)
    difference = kept.since(997)
    assert difference is not None
    assert difference.entries == entries[997:]
    assert [number for number, entry in enumerate(entries, 1) if entry.reads] == [
        997, 998, 999, 1000
    ]  # fmt: skip


def test_a_position_can_be_continued_after_a_clear_that_was_undone() -> None:
    store = Store()
    store.set("", "a", b"1")
    position = store.revision
    store.undo([store.set("", "b", b"1"), store.clear()])
    assert store.positions.since(position) == Difference([], [])
    store.set("", "b", b"2")
    difference = store.positions.since(position)
    assert difference is not None
    assert [entry.value for entry in difference.entries] == [b"2"]


def removed(kept: Positions, revisions: range) -> Iterator[int]:
    """Remove an entry at each revision, and yield how many removals are remembered then."""
    for revision in revisions:
        entry = Entry("", f"k{revision}", b"1", None, 0)
        kept.put(entry, None)
        kept.remove(Change(ChangeKind.DELETE, "", entry.key, revision, replaced=entry), entry)
        difference = kept.since(kept.floor)
        assert difference is not None
        yield len(difference.removals)


def test_no_more_removals_than_the_limit_are_remembered_and_the_floor_rises() -> None:
    kept = Positions()
    assert list(removed(kept, range(1, REMOVALS_KEPT + 1))) == list(range(1, REMOVALS_KEPT + 1))
    assert kept.floor == 0
    assert list(removed(kept, range(REMOVALS_KEPT + 1, 100))) == [REMOVALS_KEPT] * (
        99 - REMOVALS_KEPT
    )
    assert kept.floor == 99 - REMOVALS_KEPT
    assert kept.since(kept.floor - 1) is None
