"""dunena/persistence/disk/behind.py: which files are behind, and when each is due."""

import random

from dunena.persistence.disk.behind import BehindFiles, change_of, entry_of, shown_by
from dunena.store.entry import Change, ChangeKind, Entry, SetChange


def entry(key: str, revision: int, ns: str = "") -> Entry:
    return Entry(ns, key, b"1", None, revision)


def keys_of(taken) -> list[str]:
    return [key for (_, key), _ in taken]


def test_of_a_usual_set_only_the_entry_is_kept():
    new = entry("k", 3)
    assert shown_by(SetChange(new, entry("k", 2))) is new
    assert entry_of(new) is new
    change = change_of(new)
    assert (change.kind, change.entry, change.replaced) == (ChangeKind.SET, new, None)
    assert (change.ns, change.key, change.revision) == ("", "k", 3)


def test_any_other_change_is_kept_itself():
    new = entry("k", 3)
    for change in (
        SetChange(new, None, from_disk=True),
        Change(ChangeKind.SET, "", "k", 4, entry=new),
        Change(ChangeKind.DELETE, "", "k", 4, replaced=new),
    ):
        assert shown_by(change) is change
        assert change_of(change) is change
        assert entry_of(change) is change.entry


def test_files_are_due_in_the_order_of_their_changes():
    behind = BehindFiles()
    for revision in (1, 2, 3):
        behind.queue("n", f"k{revision}", entry(f"k{revision}", revision, "n"), revision, 10.0)
    assert behind.count == 3
    assert behind.first == behind.first_queued == 1
    assert behind.next_due == 10
    assert behind.take_due(9.0, 5) == []
    assert keys_of(behind.take_due(10.0, 2)) == ["k1", "k2"]
    assert (behind.first, behind.first_queued) == (1, 3)
    assert keys_of(behind.take_due(10.0, 2)) == ["k3"]
    assert behind.take_due(10.0, 2) == []
    assert behind.next_due is None


def test_a_file_that_shows_the_latest_is_not_behind_any_more():
    behind = BehindFiles()
    behind.queue("", "k", entry("k", 1), 1, 0.0)
    ((entry_id, shown),) = behind.take_due(0.0, 5)
    behind.done(entry_id, shown, 5.0)
    assert behind.count == 0
    assert behind.first is behind.next_due is behind.shown(("", "k")) is None
    assert behind.items() == []
    behind.done(entry_id, shown, 5.0)
    behind.postpone(entry_id, 5.0)
    assert behind.count == 0
    assert behind.next_due is None


def test_a_key_that_changed_meanwhile_is_due_after_its_rest():
    behind = BehindFiles()
    behind.queue("", "k", entry("k", 1), 1, 0.0)
    ((entry_id, shown),) = behind.take_due(0.0, 5)
    newer = entry("k", 4)
    assert behind.replace("", "k", newer)
    assert not behind.replace("", "other", newer)
    behind.done(entry_id, shown, 5.0)
    assert (behind.count, behind.first, behind.next_due) == (1, 2, 5.0)
    assert behind.shown(entry_id) is newer
    assert behind.take_due(4.0, 5) == []
    assert behind.take_due(5.0, 5) == [(entry_id, newer)]


def test_the_earliest_is_taken_first_wherever_it_waits():
    behind = BehindFiles()
    behind.queue("", "a", entry("a", 1), 1, 10.0)
    behind.wait("", "rested", entry("rested", 2), 2, 5.0)
    behind.queue("", "b", entry("b", 3), 3, 20.0)
    behind.wait("", "rests", entry("rests", 4), 4, 15.0)
    assert behind.next_due == 5
    assert keys_of(behind.take_due(30.0, 9)) == ["rested", "a", "rests", "b"]


def test_a_queue_that_is_held_delays_nothing_else():
    behind = BehindFiles()
    behind.queue("", "a", entry("a", 1), 1, 0.0)
    behind.wait("", "b", entry("b", 2), 2, 9.0)
    behind.hold_queue(7.0)
    assert behind.next_due == 7
    assert behind.take_due(6.0, 5) == []
    behind.hold_queue(12.0)
    assert behind.next_due == 9
    assert keys_of(behind.take_due(10.0, 5)) == ["b"]
    assert keys_of(behind.take_due(12.0, 5)) == ["a"]


def test_a_postponed_file_is_due_again():
    behind = BehindFiles()
    behind.queue("", "a", entry("a", 1), 1, 0.0)
    ((entry_id, shown),) = behind.take_due(0.0, 5)
    behind.postpone(entry_id, 3.0)
    assert (behind.first, behind.next_due) == (1, 3.0)
    assert behind.take_due(3.0, 5) == [(entry_id, shown)]


def test_a_queued_file_that_was_written_out_of_turn_is_not_taken():
    behind = BehindFiles()
    first, second = entry("a", 1), entry("b", 2)
    behind.queue("", "a", first, 1, 0.0)
    behind.queue("", "b", second, 2, 0.0)
    behind.done(("", "a"), first, 0.0)
    assert (behind.count, behind.first) == (1, 2)
    behind.done(("", "b"), second, 0.0)
    assert behind.first is None
    behind.queue("", "a", entry("a", 3), 3, 0.0)
    assert keys_of(behind.take_due(0.0, 5)) == ["a"]


def test_the_first_lacking_revision_is_the_lowest_whatever_happens():
    chance = random.Random(3)
    behind, model, taken = BehindFiles(), {}, []
    revision = 0
    for step in range(5000):
        now = float(step)
        what = chance.random()
        if what < 0.5:
            revision += 1
            key = str(chance.randrange(40))
            new = entry(key, revision)
            if not behind.replace("", key, new):
                model[key] = revision
                if chance.random() < 0.7:
                    behind.queue("", key, new, revision, now)
                else:
                    behind.wait("", key, new, revision, now + chance.randrange(5))
        elif what < 0.7:
            taken += behind.take_due(now, 3)
        elif taken:
            entry_id, shown = taken.pop(chance.randrange(len(taken)))
            if what < 0.8:
                behind.postpone(entry_id, now + 2)
                continue
            if behind.shown(entry_id) is shown:
                del model[entry_id[1]]
            else:
                model[entry_id[1]] = shown.revision + 1
            behind.done(entry_id, shown, now + 3)
        assert behind.first == min(model.values(), default=None)
        assert behind.count == len(model) == len(behind.items())
