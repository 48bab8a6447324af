"""The queue of deadlines."""

import pytest

from dunena.store.entry import Entry
from dunena.store.expiry import NEVER, Deadlines
from dunena.store.limits import EXPIRES_AT_MS_MAX


def expiring(deadline: int | None, key: str = "k") -> Entry:
    return Entry("", key, b"1", deadline, 1)


def test_empty_deadlines_have_nothing_due() -> None:
    deadlines = Deadlines()
    assert deadlines.next == NEVER > EXPIRES_AT_MS_MAX
    assert len(deadlines) == 0
    assert not deadlines.is_stale
    assert deadlines.pop_due(NEVER, 10) == []


def test_add_ignores_an_entry_without_an_expiry() -> None:
    deadlines = Deadlines()
    deadlines.add(expiring(None))
    deadlines.discard(expiring(None))
    assert len(deadlines) == 0
    assert deadlines.next == NEVER


def test_next_is_the_earliest_deadline_in_any_order_of_adding() -> None:
    deadlines = Deadlines()
    for added, first in ((30, 30), (10, 10), (20, 10)):
        deadlines.add(expiring(added))
        assert deadlines.next == first
    assert len(deadlines) == 3


def test_pop_due_returns_the_earliest_entries_up_to_the_limit() -> None:
    deadlines = Deadlines()
    entries = [expiring(deadline) for deadline in (30, 10, 20, 40)]
    for entry in entries:
        deadlines.add(entry)
    assert deadlines.pop_due(9, 10) == []
    assert deadlines.pop_due(30, 2) == [entries[1], entries[2]]
    assert deadlines.next == 30
    assert deadlines.pop_due(30, 10) == [entries[0]]
    assert deadlines.next == 40
    assert deadlines.pop_due(40, 1) == [entries[3]]
    assert deadlines.next == NEVER


def test_pop_due_returns_entries_of_one_deadline_in_the_order_of_adding() -> None:
    deadlines = Deadlines()
    entries = [expiring(10, key) for key in "cab"]
    for entry in entries:
        deadlines.add(entry)
    assert deadlines.pop_due(10, 10) == entries


def test_entries_that_were_put_back_are_due_again_in_their_order() -> None:
    deadlines = Deadlines()
    entries = [expiring(deadline, key) for key, deadline in zip("abcd", (1, 2, 2, 3), strict=True)]
    for one in entries:
        deadlines.add(one)
    assert deadlines.pop_due(3, 4) == entries
    deadlines.put_back(entries[1:])
    assert (len(deadlines), deadlines.next) == (3, 2)
    assert deadlines.pop_due(3, 4) == entries[1:]
    assert deadlines.next == NEVER


@pytest.mark.parametrize("living", [0, 1, 5])
def test_deadlines_are_stale_when_the_dead_outnumber_the_living_by_64(living: int) -> None:
    deadlines = Deadlines()
    for _ in range(living):
        deadlines.add(expiring(10))
    for _ in range(living + 64):
        assert not deadlines.is_stale
        entry = expiring(10)
        deadlines.add(entry)
        deadlines.discard(entry)
    assert not deadlines.is_stale
    deadlines.add(entry)
    deadlines.discard(entry)
    assert deadlines.is_stale


def test_compact_keeps_each_live_entry_once_and_in_order() -> None:
    deadlines = Deadlines()
    entries = [expiring(deadline) for deadline in (50, 10, 40, 30, 20)]
    for entry in (*entries, entries[2]):  # an entry that was put back is there twice
        deadlines.add(entry)
    deadlines.compact(lambda entry: entry is not entries[1])
    assert len(deadlines) == 4
    assert deadlines.next == 20
    assert deadlines.pop_due(50, 10) == [entries[4], entries[3], entries[2], entries[0]]
    deadlines.compact(lambda _entry: True)
    assert deadlines.next == NEVER
