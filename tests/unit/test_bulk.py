"""Bulk work in portions, one per turn."""

from collections.abc import Callable
from contextlib import suppress

from dunena.persistence.interface import OutsideChange
from dunena.server.bulk import FREED_AT_ONCE_MAX, Bulk, letting_go
from dunena.server.outside import OUTSIDE_AT_ONCE_MAX, Outside
from dunena.store.entry import ChangeKind
from dunena.store.errors import WriteRefusedError
from tests.support.rooms import FlakyEngine, HoldingEngine, Rooms


class Turns:
    """A loop whose turns a test takes."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def take(self) -> None:
        soon, self.soon = self.soon, []
        for action in soon:
            action()


def test_portions_of_two_bulk_jobs_alternate() -> None:
    turns, done = Turns(), []
    bulk = Bulk(lambda action: turns.soon.append(action))

    def work(name: str, count: int) -> Callable[[], bool]:
        def portion() -> bool:
            done.append(name)
            return done.count(name) < count

        return portion

    bulk.add(work("a", 3))
    bulk.add(work("b", 2))
    seen = []
    while turns.soon:
        turns.take()
        seen.append("".join(done))
    assert seen == ["a", "ab", "aba", "abab", "ababa"]


def test_an_exception_ends_only_its_own_bulk_job(caplog) -> None:
    turns, done = Turns(), []
    bulk = Bulk(lambda action: turns.soon.append(action))
    bulk.add(lambda: 1 / 0)
    bulk.add(lambda: done.append(1))
    while turns.soon:
        turns.take()
    assert done == [1]
    assert "ZeroDivisionError" in caplog.text


class EditedEngine(FlakyEngine):
    """Other hands changed something."""

    def __init__(self) -> None:
        super().__init__()
        self.edits: list[OutsideChange] = []

    def collect(self, _store):
        edits, self.edits = self.edits, []
        return edits

    def put_back(self, changes):
        self.edits = changes + self.edits


def edited(count: int) -> tuple[Rooms, Turns, Outside]:
    rooms, turns = Rooms(engine=EditedEngine()), Turns()
    bulk = Bulk(lambda action: turns.soon.append(action))
    outside = Outside(rooms.store, rooms.engine, rooms.tick, bulk, rooms.telemetry)
    rooms.engine.edits = [OutsideChange("", f"k{number}", b"1") for number in range(count)]
    return rooms, turns, outside


def test_outside_changes_are_applied_in_portions() -> None:
    rooms, turns, outside = edited(2 * OUTSIDE_AT_ONCE_MAX + 1)
    outside.collect()
    counts = []
    while turns.soon:
        turns.take()
        rooms.tick.end()
        counts.append(rooms.store.entry_count)
    assert counts == [OUTSIDE_AT_ONCE_MAX, 2 * OUTSIDE_AT_ONCE_MAX, 2 * OUTSIDE_AT_ONCE_MAX + 1]
    assert not outside.has_more


def test_outside_changes_are_applied_after_a_full_disk_recovers() -> None:
    rooms, turns, outside = edited(OUTSIDE_AT_ONCE_MAX + 1)
    rooms.engine.reason = "disk full"
    outside.collect()
    while turns.soon:
        turns.take()
        rooms.tick.end()
    assert (rooms.store.entry_count, outside.has_more) == (0, True)
    rooms.engine.reason = None
    rooms.tick.probe()
    outside.collect()
    while turns.soon:
        turns.take()
        rooms.tick.end()
    assert rooms.store.entry_count == OUTSIDE_AT_ONCE_MAX + 1


def test_an_outside_change_keeps_expiry_revision_and_clear_order() -> None:
    rooms, turns, outside = edited(0)
    rooms.tick.run(lambda _, __: rooms.store.set("", "old", b"1"), None)
    rooms.tick.end()
    later = rooms.now + 1000
    rooms.engine.edits = [
        OutsideChange("", "", None, revision=7, is_clear=True),
        OutsideChange("app", "k", b"1", expires_at=later, revision=8),
        OutsideChange("app", "k", b"1", revision=12),
        OutsideChange("app", "l", b"2", expires_at=later, revision=15),
    ]
    rooms.engine.committed.clear()
    outside.collect()
    turns.take()
    rooms.tick.end()
    made = [(one.kind, one.key, one.revision, one.from_disk) for one in rooms.engine.committed]
    assert made == [
        (ChangeKind.CLEAR, "", 7, True),
        (ChangeKind.SET, "k", 8, True),
        (ChangeKind.SET, "k", 12, True),
        (ChangeKind.SET, "l", 15, True),
    ]
    assert [one.entry and one.entry.expires_at for one in rooms.engine.committed] == [
        None,
        later,
        None,
        later,
    ]
    assert rooms.store.puts == 4


def test_an_outside_file_with_the_stored_value_changes_nothing() -> None:
    rooms, turns, outside = edited(1)
    rooms.tick.run(lambda _, now: rooms.store.set("", "k0", b"1", now + 1000), None)
    rooms.tick.end()
    outside.collect()
    turns.take()
    rooms.tick.end()
    assert len(rooms.engine.committed) == 1, "it keeps its time to live"


def test_cleared_entries_are_freed_in_portions_after_the_clear_is_durable() -> None:
    rooms, turns = Rooms(engine=HoldingEngine()), Turns()
    bulk = Bulk(lambda action: turns.soon.append(action))
    seen = []
    rooms.tick.on_clear(seen.append)
    for number in range(FREED_AT_ONCE_MAX + 1):
        rooms.tick.run(lambda key, _: rooms.store.set("", key, b"1"), f"k{number}")
    rooms.tick.end()
    rooms.tick.run(lambda _, __: rooms.store.clear(), None)
    rooms.engine.release()
    assert seen == [], "it may still be taken back"
    rooms.engine.release()
    (cleared,) = seen
    bulk.add(letting_go(cleared))
    count = 0
    while turns.soon:
        turns.take()
        count += 1
    assert count == 2
    assert len(cleared[""]) == FREED_AT_ONCE_MAX + 1, "who still needs them has them"


def test_a_clear_that_is_rolled_back_frees_nothing() -> None:
    rooms, seen = Rooms(), []
    rooms.tick.on_clear(seen.append)
    rooms.tick.run(lambda _, __: rooms.store.set("", "k", b"1"), None)
    rooms.tick.end()
    rooms.engine.reason = "disk full"
    client = rooms.client()
    rooms.tick.run(lambda _, __: _try_to_clear(rooms), None)
    rooms.tick.end()
    assert (seen, rooms.store.entry_count) == ([], 1)
    rooms.engine.reason = None
    client.ask({"action": "set", "key": "k", "value": 2})
    assert seen == []


def _try_to_clear(rooms: Rooms) -> None:
    with suppress(WriteRefusedError):
        rooms.store.clear()
