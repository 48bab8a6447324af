"""A store with limits: refusals, evictions and rollback."""

import random

import pytest

from dunena.dialects.dialect import Dialect
from dunena.store.entry import Change, ChangeKind
from dunena.store.errors import StoreFullError
from dunena.store.limits import Eviction, Limits
from dunena.store.quota import quota_of, size_of
from dunena.store.store import Store
from tests.support.rooms import Rooms

NOW = 1_700_000_000_000


def bounded(**limits: object) -> tuple[Store, list[Change]]:
    changes: list[Change] = []
    return Store(changes.append, quota_of(Limits(**limits))), changes


def keys_of(store: Store) -> list[str]:
    return [entry.key for entry in store.entries()]


def test_quota_of_is_none_without_a_limit() -> None:
    assert quota_of(Limits(eviction=Eviction.LRU)) is None


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, True), (4, False)])
def test_a_set_beyond_the_entry_limit_is_refused(count: int, fits: bool) -> None:
    store, _ = bounded(entries_max=3)
    for number in range(count - 1):
        store.set("", f"k{number}", b"1")
    if fits:
        store.set("", "last", b"1")
        return
    with pytest.raises(StoreFullError, match=r"^store is full \(max 3 entries\)$"):
        store.set("", "last", b"1")
    assert store.entry_count == 3
    assert store.quota is not None
    assert store.quota.refusals == 1


@pytest.mark.parametrize(("size", "fits"), [(9, True), (10, True), (11, False)])
@pytest.mark.parametrize("key", ["kk", "\u00e4"])  # both of two bytes
def test_a_set_beyond_the_limit_of_key_and_value_bytes_is_refused(
    key: str, size: int, fits: bool
) -> None:
    store, _ = bounded(memory_bytes_max=10)
    value = b"1" * (size - 2)
    if fits:
        store.set("", key, value)
    else:
        with pytest.raises(StoreFullError, match=r"^store is full \(max 10 bytes\)$"):
            store.set("", key, value)
        assert store.entry_count == 0


def test_what_comes_when_a_ttl_ends_counts_as_long_as_it_waits() -> None:
    store, _ = bounded(memory_bytes_max=10)
    store.set("", "k", b"1", NOW, then=b"12345678")
    assert (store.quota and store.quota.bytes) == 10
    for key, value, then in [
        ("j", b"", None),
        ("k", b"1", b"123456789"),
        ("k", b"12", b"12345678"),
    ]:
        with pytest.raises(StoreFullError):
            store.set("", key, value, NOW, then=then)
    store.expire(NOW)
    assert (store.quota and store.quota.bytes) == 9
    store.set("", "k", b"1")
    store.set("", "k", b"1", NOW, then=b"12345678")
    store.set("", "k", b"1")
    assert (store.quota and store.quota.bytes) == 2


@pytest.mark.parametrize("eviction", list(Eviction))
@pytest.mark.parametrize(("size", "fits"), [(90, True), (100, False)])
def test_an_operation_finds_no_room_for_what_comes_when_its_ttl_ends(
    eviction: Eviction, size: int, fits: bool
) -> None:
    rooms = Rooms(Limits(memory_bytes_max=100, eviction=eviction))
    client = rooms.client(Dialect.OBJECT_STORE)
    then = "x" * size
    touch = {"op": "touch", "key": "k", "ttl": 5, "then": then}
    (answer,) = client.ask(
        {"action": "txn", "ops": [{"op": "set", "key": "k", "value": 1}, touch], "id": 1}
    )
    assert ("result" in answer) is fits
    assert answer.get("code") == (None if fits else "storage")
    assert rooms.store.entry_count == fits


def test_a_full_store_accepts_replacements_and_deletions() -> None:
    store, _ = bounded(entries_max=1, memory_bytes_max=10)
    store.set("", "k", b"123456789")
    store.set("", "k", b"1")
    store.delete("", "k")
    store.set("", "other", b"1")


def test_a_store_loaded_over_its_limits_accepts_values_that_shrink() -> None:
    source = Store()
    source.set("", "a", b"1" * 100)
    source.set("", "b", b"1" * 100)
    store, _ = bounded(memory_bytes_max=50)
    store.load(list(source.entries()), source.revision)
    store.set("", "a", b"1" * 60)
    with pytest.raises(StoreFullError):
        store.set("", "a", b"1" * 61)


def test_a_full_store_accepts_entries_from_disk() -> None:
    store, _ = bounded(entries_max=1)
    store.set("", "a", b"1")
    store.set("", "by-hand", b"1", from_disk=True)
    assert store.entry_count == 2


def test_the_least_recently_used_entry_is_evicted_as_a_delete() -> None:
    store, changes = bounded(entries_max=3, eviction=Eviction.LRU)
    for key in "abc":
        store.set("", key, b"1")
    store.get("", "a", NOW)  # read
    store.set("", "b", b"2")  # written
    changes.clear()
    store.set("other", "d", b"1")
    assert [(change.kind, change.key) for change in changes] == [
        (ChangeKind.DELETE, "c"),
        (ChangeKind.SET, "d"),
    ]
    assert store.quota is not None
    assert store.quota.evictions == 1


def test_a_peek_does_not_protect_an_entry_from_eviction() -> None:
    store, _ = bounded(entries_max=2, eviction=Eviction.LRU)
    store.set("", "a", b"1")
    store.set("", "b", b"1")
    store.peek("", "a", NOW)
    store.set("", "c", b"1")
    assert keys_of(store) == ["b", "c"]


def test_a_read_without_a_hit_protects_an_entry_from_eviction() -> None:
    store, _ = bounded(entries_max=2, eviction=Eviction.LRU)
    store.set("", "a", b"1", NOW + 1)
    store.set("", "b", b"1")
    assert store.read("", "a", NOW) is store.peek("", "a", NOW)
    assert store.read("", "a", NOW + 1) is None
    assert store.read("", "missing", NOW) is None
    store.set("", "c", b"1")
    assert keys_of(store) == ["a", "c"]
    assert (store.hits, store.misses) == (0, 0)


def test_a_large_value_evicts_as_many_entries_as_needed() -> None:
    store, changes = bounded(memory_bytes_max=20, eviction=Eviction.LRU)
    for key in "abcd":
        store.set("", key, b"1234")
    changes.clear()
    store.set("", "b", b"1" * 10)
    assert [change.key for change in changes] == ["a", "c", "b"]
    assert keys_of(store) == ["b", "d"]
    assert store.quota is not None
    assert store.quota.bytes <= 20


def test_a_value_larger_than_the_store_evicts_nothing() -> None:
    store, changes = bounded(memory_bytes_max=20, eviction=Eviction.LRU)
    store.set("", "a", b"1")
    changes.clear()
    with pytest.raises(StoreFullError):
        store.set("", "b", b"1" * 20)
    assert changes == []


def test_evictions_are_rolled_back_with_their_change() -> None:
    store, changes = bounded(entries_max=2, eviction=Eviction.LRU)
    store.set("", "a", b"1")
    store.set("", "b", b"1")
    changes.clear()
    store.set("", "c", b"1")
    store.undo(changes)
    assert sorted(keys_of(store)) == ["a", "b"]
    assert store.quota is not None
    assert store.quota.entries == 2
    assert (store.evictions, store.puts) == (0, 2)


def test_evict_excess_evicts_the_oldest_of_a_loaded_store_over_its_limits() -> None:
    source = Store()
    for number in range(10):
        source.set("", f"k{number}", b"1")
    store, _ = bounded(entries_max=3, eviction=Eviction.LRU)
    store.load(list(source.entries()), source.revision)
    store.evict_excess()
    assert keys_of(store) == ["k7", "k8", "k9"]


@pytest.mark.parametrize("seed", range(20))
def test_quota_counters_match_the_entries_after_random_operations(seed: int) -> None:
    draw = random.Random(seed)
    store, changes = bounded(entries_max=8, memory_bytes_max=120, eviction=Eviction.LRU)
    for _ in range(400):
        key, now = draw.choice("abcdefghijklm"), NOW + draw.randrange(50)
        match draw.randrange(6):
            case 0:
                store.delete("", key)
            case 1:
                store.get("", key, now)
            case 2 if changes:
                count = draw.randrange(1, 4)
                store.undo(changes[-count:])
                del changes[-count:]
            case 3 if draw.random() < 0.1:
                store.clear()
            case 4:
                store.expire(now)
            case _:
                expires_at = now + 10 if draw.random() < 0.3 else None
                then = b"2" * draw.randrange(1, 50) if draw.random() < 0.5 else None
                store.set("", key, b"1" * draw.randrange(1, 40), expires_at, then=then)
        assert store.quota is not None
        entries = list(store.entries())
        assert store.quota.entries == store.entry_count == len(entries)
        assert store.quota.bytes == sum(
            size_of(entry.key, entry.value, entry.then) for entry in entries
        )


# --- through the dialects ---


def test_a_refused_set_sends_only_an_error_to_the_writer() -> None:
    rooms = Rooms(Limits(entries_max=1))
    client, other = rooms.client(), rooms.client()
    client.ask({"type": "set", "key": "a", "value": "x"})
    other.heard()
    (reply,) = client.ask({"type": "set", "key": "b", "value": "x"})
    assert reply["type"] == "error"
    assert reply["data"] == "Storage error: store is full (max 1 entries); nothing was stored"
    assert other.heard() == []
    (reply,) = client.ask({"action": "set", "key": "b", "value": 1})
    assert reply["error"] == "Storage error: store is full (max 1 entries); nothing was stored"


@pytest.mark.parametrize("eviction", Eviction)
def test_an_mset_that_does_not_fit_stores_nothing(eviction: Eviction) -> None:
    rooms = Rooms(Limits(memory_bytes_max=40, eviction=eviction))
    client = rooms.client()
    entries = [
        {"key": "a", "value": "x" * 30},
        {"key": "a", "value": ""},
        {"key": "b", "value": "x" * 10},
    ]
    (reply,) = client.ask({"type": "mset", "entries": entries})
    assert reply["data"] == "Storage error: store is full (max 40 bytes); nothing was stored"
    assert rooms.store.entry_count == 0
    assert rooms.engine.committed == []


def test_an_mset_evicts_none_of_its_own_entries() -> None:
    rooms = Rooms(Limits(entries_max=4, eviction=Eviction.LRU))
    client = rooms.client()
    for key in "abcd":
        client.ask({"type": "set", "key": key, "value": "old"})
    client.ask({"type": "mset", "entries": [{"key": key, "value": "new"} for key in "dxyz"]})
    assert sorted(keys_of(rooms.store)) == ["d", "x", "y", "z"]


def test_a_refused_tick_restores_evicted_entries() -> None:
    rooms = Rooms(Limits(entries_max=1, eviction=Eviction.LRU))
    client = rooms.client()
    client.ask({"type": "set", "key": "a", "value": "x"})
    rooms.engine.reason = "disk full"
    replies = client.ask({"type": "set", "key": "b", "value": "x"})
    assert [reply["data"] for reply in replies] == ["Storage error: disk full; nothing was stored"]
    assert keys_of(rooms.store) == ["a"]


@pytest.mark.parametrize(
    ("writes", "shortage"),
    [
        ([("a", b"1"), ("b", b"1")], None),  # replace
        ([("a", b"1"), ("x", b"1"), ("y", b"1")], None),
        ([("x", b"1"), ("x", b"2"), ("x", b"3"), ("y", b"1")], None),  # one key is one entry
        ([("x", b"1"), ("y", b"1"), ("z", b"1")], "4 entries"),
        ([("a", b"1"), ("x", b"1"), ("y", b"1"), ("z", b"1")], "4 entries"),
        ([("x", b"1" * 15)], None),
        ([("x", b"1" * 16)], "20 bytes"),
        ([("x", b"1" * 7), ("y", b"1" * 7)], None),
        ([("x", b"1" * 7), ("y", b"1" * 8)], "20 bytes"),
        ([("a", b"1" * 17)], None),  # grows by 16, and four bytes are there
        ([("a", b"1" * 18)], "20 bytes"),
        ([("a", b"1" * 18), ("a", b"1")], "20 bytes"),  # whatever their order
        ([("a", b"1"), ("a", b"1" * 18)], "20 bytes"),
        ([("a", b"1" * 9), ("b", b"1" * 9)], None),
        ([("a", b"1" * 9), ("b", b"1" * 10)], "20 bytes"),
    ],
)
def test_check_writes_accepts_or_refuses_all_writes_together(
    writes: list[tuple[str, bytes]], shortage: str | None
) -> None:
    store, changes = bounded(entries_max=4, memory_bytes_max=20)
    store.set("", "a", b"1")
    store.set("", "b", b"1")
    changes.clear()
    quota = store.quota
    assert quota is not None
    for number in (1, 2):
        if shortage is None:
            store.check_writes("", writes)
            assert quota.refusals == 0
        else:
            with pytest.raises(StoreFullError, match=rf"^store is full \(max {shortage}\)$"):
                store.check_writes("", writes)
            assert quota.refusals == number
    assert changes == []


def test_check_writes_compares_with_entries_of_the_same_namespace() -> None:
    store, _ = bounded(entries_max=2)
    store.set("n", "a", b"1")
    store.set("n", "b", b"1")
    store.check_writes("n", [("a", b"1"), ("b", b"1")])
    with pytest.raises(StoreFullError):
        store.check_writes("", [("a", b"1")])


@pytest.mark.parametrize("ns", ["", "n"])
@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, False)])
def test_check_writes_counts_overdue_entries_as_free_room(ns: str, count: int, fits: bool) -> None:
    store, _ = bounded(entries_max=3)
    store.set(ns, "standing", b"1")
    store.set(ns, "a", b"1", NOW + 1)
    store.set(ns, "b", b"1", NOW + 2)
    writes = [("standing", b"1"), *((f"k{number}", b"1") for number in range(count))]
    with pytest.raises(StoreFullError):
        store.check_writes(ns, writes)
    assert store.entry_count == 3
    store.expire(NOW + 2, 0)  # their time has come, and nobody took them out
    if fits:
        store.check_writes(ns, writes)
    else:
        with pytest.raises(StoreFullError):
            store.check_writes(ns, writes)
    assert keys_of(store) == ["standing"]


def test_check_writes_refuses_growth_in_a_full_store() -> None:
    store, _ = bounded(memory_bytes_max=6)
    store.set("", "a", b"12")
    store.set("", "b", b"12")
    store.check_writes("", [("a", b"34"), ("b", b"3")])
    with pytest.raises(StoreFullError):
        store.check_writes("", [("a", b"345"), ("b", b"3")])


def test_every_eviction_is_counted() -> None:
    store, _ = bounded(entries_max=1, eviction=Eviction.LRU)
    for number in range(4):
        store.set("", f"k{number}", b"1")
    assert store.evictions == 3


def test_evict_excess_removes_overdue_entries_first() -> None:
    source = Store()
    source.set("", "oldest", b"1")
    source.set("", "overdue", b"1", NOW)
    source.set("", "newest", b"1")
    store, changes = bounded(entries_max=1, eviction=Eviction.LRU)
    store.load(list(source.entries()), source.revision)
    store.expire(NOW, 0)
    store.evict_excess()
    assert [(change.kind, change.key) for change in changes] == [
        (ChangeKind.EXPIRED, "overdue"),
        (ChangeKind.DELETE, "oldest"),
    ]
    assert keys_of(store) == ["newest"]


def test_every_refusal_is_counted() -> None:
    store, _ = bounded(entries_max=1)
    store.set("", "k", b"1")
    for number in (1, 2):
        with pytest.raises(StoreFullError):
            store.set("", "other", b"1")
        assert store.quota is not None
        assert store.quota.refusals == number


def test_a_set_is_refused_when_expiry_frees_too_little() -> None:
    store, _ = bounded(memory_bytes_max=10)
    store.set("", "a", b"1" * 7)
    store.set("", "b", b"1", NOW)
    store.expire(NOW, 0)
    with pytest.raises(StoreFullError):
        store.set("", "c", b"1" * 5)
    assert keys_of(store) == ["a"]
    store.set("", "c", b"1")


def test_an_oversized_value_from_disk_evicts_the_others_and_stays() -> None:
    store, changes = bounded(memory_bytes_max=10, eviction=Eviction.LRU)
    store.set("", "a", b"1")
    store.set("", "b", b"1")
    changes.clear()
    store.set("", "a", b"1" * 20, from_disk=True)
    assert [(change.kind, change.key) for change in changes] == [
        (ChangeKind.DELETE, "b"),
        (ChangeKind.SET, "a"),
    ]
    assert changes[1].replaced is not None


@pytest.mark.parametrize("limits", [{"entries_max": 2}, {"memory_bytes_max": 5}])
def test_a_store_over_its_limits_accepts_writes_that_do_not_grow(limits: dict[str, int]) -> None:
    source = Store()
    for key in "abc":
        source.set("", key, b"1")
    store, _ = bounded(**limits)
    store.load(list(source.entries()), source.revision)
    store.set("", "a", b"2")
    store.check_writes("", [("a", b"3"), ("b", b"3")])
    with pytest.raises(StoreFullError):
        store.set("", "d", b"1")
