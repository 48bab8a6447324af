"""Which earlier values of keys are kept, and what they take."""

import tracemalloc

import pytest

from dunena.store import history as history_module
from dunena.store.entry import Entry
from dunena.store.history import History
from dunena.store.limits import HISTORY_MS_MIN, Eviction, Limits
from dunena.store.quota import quota_of
from dunena.store.store import Store

COUNT_MAX = 3


def new_store(entries_max: int = 0) -> Store:
    limits = Limits(entries_max=entries_max, eviction=Eviction.LRU)
    store = Store(quota=quota_of(limits), history=History(COUNT_MAX))
    store.now = 1_700_000_000_000
    return store


def put(store: Store, value: str, key: str = "k", stands_ms: int = HISTORY_MS_MIN) -> None:
    """Set a value, and let it stand."""
    store.set("", key, value.encode())
    store.now += stands_ms


def values(store: Store, key: str = "k") -> list[str]:
    return [entry.value.decode() for entry in store.history.of("", key)]


def test_replaced_values_are_returned_the_newest_first_with_revision_and_time() -> None:
    store = new_store()
    first_at = store.now
    for value in "123":
        put(store, value)
    assert [(e.value, e.revision, e.written_at) for e in store.history.of("", "k")] == [
        (b"2", 2, first_at + HISTORY_MS_MIN),
        (b"1", 1, first_at),
    ]
    assert store.history.of("n", "k") == store.history.of("", "other") == []


def test_a_value_that_stood_for_less_than_a_second_is_not_kept() -> None:
    store = new_store()
    put(store, "1", stands_ms=HISTORY_MS_MIN - 1)
    put(store, "2")
    put(store, "3", stands_ms=0)
    store.delete("", "k")
    assert values(store) == ["2"]


def test_a_value_that_is_written_again_stands_on() -> None:
    store = new_store()
    first_at = store.now
    put(store, "1", stands_ms=HISTORY_MS_MIN // 2)
    for _ in range(2 * COUNT_MAX):
        put(store, "1", stands_ms=HISTORY_MS_MIN // 2)
    put(store, "2")
    store.set("", "k", b"2", store.now + HISTORY_MS_MIN, then=b"2")
    store.now += HISTORY_MS_MIN
    store.expire(store.now)
    assert values(store) == ["1"]
    (kept,) = store.history.of("", "k")
    assert (kept.written_at, kept.revision) == (first_at, 2 * COUNT_MAX + 1)
    put(store, "3")
    assert values(store) == ["2", "1"]


def test_a_value_that_was_written_again_and_taken_back_stands_on() -> None:
    store = new_store()
    put(store, "1")
    store.undo([store.set("", "k", b"1")])
    put(store, "2")
    assert values(store) == ["1"]


def test_only_the_newest_values_of_a_key_are_kept() -> None:
    store = new_store()
    for number in range(10):
        put(store, str(number))
    assert values(store) == ["8", "7", "6"]


def test_a_history_of_no_values_keeps_none() -> None:
    store = Store(history=History(0))
    put(store, "1")
    put(store, "2")
    store.delete("", "k")
    assert values(store) == []
    assert store.history.bytes == 0


def test_deleted_and_expired_values_are_kept() -> None:
    store = new_store()
    put(store, "1")
    store.delete("", "k")
    store.set("", "k", b"2", store.now + HISTORY_MS_MIN)
    store.now += HISTORY_MS_MIN
    assert len(store.expire(store.now)) == 1
    assert values(store) == ["2", "1"]


def test_cleared_and_evicted_values_are_not_kept() -> None:
    store = new_store(entries_max=1)
    put(store, "1")
    put(store, "2", "other")
    assert store.evictions == 1
    store.clear()
    assert values(store) == values(store, "other") == []


def test_undone_changes_leave_no_values_behind() -> None:
    store = new_store()
    put(store, "1")
    put(store, "2")
    before = store.history.bytes
    changes = [store.set("", "k", b"3")]
    store.now += HISTORY_MS_MIN
    deleted = store.delete("", "k")
    assert deleted is not None
    changes.append(deleted)
    assert values(store) == ["3", "2", "1"]
    store.undo(changes)
    assert values(store) == ["1"]
    assert store.history.bytes == before
    store.delete("", "k")
    assert values(store) == ["2", "1"]


def test_undoing_a_change_that_kept_no_value_leaves_earlier_ones() -> None:
    store = new_store()
    put(store, "1")
    put(store, "2", stands_ms=0)
    store.undo([store.set("", "k", b"3"), store.clear()])
    assert values(store) == ["1"]


def test_bytes_are_counted_exactly_down_to_none() -> None:
    store = new_store()
    put(store, "1")
    put(store, "2", "other")
    changes = [store.set("", "k", b'"much longer"'), store.set("", "other", b"0")]
    entries = [store.history.of("", key)[0] for key in ("k", "other")]
    expected = sum(entry.memory_bytes + history_module._KEY_BYTES for entry in entries)
    assert store.history.bytes == expected
    store.undo(changes)
    assert store.history.bytes == 0
    assert values(store) == values(store, "other") == []


@pytest.mark.parametrize("count", [1, 2, 10])
def test_what_is_counted_is_no_less_than_the_memory_it_takes(count: int) -> None:
    history = History(10)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2000):
            for index in range(count):
                entry = Entry("show", f"key-{number}", b"%d" % index, None, index)
                history.keep(entry, HISTORY_MS_MIN, index + 1)
            del entry
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.5 * history.bytes < taken < history.bytes


def test_a_value_that_would_have_become_another_counts_with_what_it_would_be() -> None:
    store = new_store()
    store.set("", "k", b"1", store.now + 9000, then=b"x" * 1000)
    store.now += HISTORY_MS_MIN
    store.delete("", "k")
    assert store.history.bytes > 1000


def test_the_oldest_values_go_when_all_take_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "_KEY_BYTES", 0)
    entry_bytes = Entry("", "k", b"x" * 100, None, 1).memory_bytes
    monkeypatch.setattr(history_module, "HISTORY_BYTES_MAX", 3 * entry_bytes)
    kept = History(COUNT_MAX)

    def keep(key: str, revision: int) -> None:
        kept.keep(Entry("", key, b"x" * 100, None, revision), HISTORY_MS_MIN, revision + 1)

    def revisions(key: str) -> list[int]:
        return [entry.revision for entry in kept.of("", key)]

    for revision, key in enumerate("abb", 1):
        keep(key, revision)
    assert (revisions("a"), revisions("b"), kept.bytes) == ([1], [3, 2], 3 * entry_bytes)
    keep("c", 4)
    assert (revisions("a"), revisions("b"), revisions("c")) == ([], [3, 2], [4])
    keep("c", 5)
    assert (revisions("b"), revisions("c"), kept.bytes) == ([3], [5, 4], 3 * entry_bytes)
    kept.keep(Entry("", "d", b"x" * 4 * entry_bytes, None, 6), HISTORY_MS_MIN, 7)
    assert kept.bytes == 0
    assert [revisions(key) for key in "abcd"] == [[]] * 4


def test_a_kept_value_keeps_no_frame_of_its_update() -> None:
    store = new_store()
    entry = store.set("", "k", b"1").entry
    assert entry is not None
    entry.update = b"a frame"
    store.now += HISTORY_MS_MIN
    store.set("", "k", b"2")
    assert store.history.of("", "k") == [entry]
    assert entry.update is None
