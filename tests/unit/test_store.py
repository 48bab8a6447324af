"""The store: what it holds, its revisions, expiry and undo."""

from copy import copy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.errors import StoreFullError, WriteRefusedError
from dunena.store.expiry import NEVER
from dunena.store.limits import EXPIRED_AT_ONCE_MAX, Eviction, Limits
from dunena.store.quota import Quota
from dunena.store.store import Store

NOW = 1_000_000


def value_of(store: Store, key: str, ns: str = "", now: int = NOW) -> bytes | None:
    entry = store.peek(ns, key, now)
    return None if entry is None else entry.value


def sorted_keys(store: Store, ns: str = "") -> list[str]:
    while not store.table.place_keys(ns, 2):
        pass
    return store.table.key_order(ns).page(0, 1000)


def test_a_set_replaces_and_keeps_namespaces_apart() -> None:
    store = Store()
    store.set("", "k", b"1")
    store.set("a", "k", b"2")
    store.set("", "k", b"3")
    assert value_of(store, "k") == b"3"
    assert value_of(store, "k", "a") == b"2"
    assert value_of(store, "k", "b") is None
    assert (store.entry_count, store.value_bytes, store.revision) == (2, 2, 3)
    assert store.namespaces() == ["", "a"]


def test_every_change_is_observed_with_the_next_revision() -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    store.set("", "k", b"1")
    store.set("", "k", b"2")
    assert store.delete("", "missing") is None
    store.delete("", "k")
    store.set("n", "e", b"3", NOW)
    store.expire(NOW)
    store.clear()
    assert [(change.kind, change.revision) for change in seen] == [
        (ChangeKind.SET, 1),
        (ChangeKind.SET, 2),
        (ChangeKind.DELETE, 3),
        (ChangeKind.SET, 4),
        (ChangeKind.EXPIRED, 5),
        (ChangeKind.CLEAR, 6),
    ]
    assert seen[1].replaced is seen[0].entry


def test_reads_are_counted_and_peeks_are_not() -> None:
    store = Store()
    store.set("", "k", b"1")
    store.get("", "k", NOW)
    store.get("", "x", NOW)
    store.peek("", "k", NOW)
    assert (store.hits, store.misses) == (1, 1)


def test_an_entry_expires_at_its_deadline_and_not_before() -> None:
    store = Store()
    store.set("", "k", b"1", NOW + 10)
    assert store.next_deadline == NOW + 10
    assert store.expire(NOW + 9) == []
    assert value_of(store, "k", now=NOW + 9) == b"1"
    assert value_of(store, "k", now=NOW + 10) is None, "hidden even before it is taken out"
    (change,) = store.expire(NOW + 10)
    assert (change.kind, change.key) == (ChangeKind.EXPIRED, "k")
    assert store.entry_count == 0
    assert store.next_deadline == NEVER


def test_a_later_set_replaces_the_deadline() -> None:
    store = Store()
    store.set("", "k", b"1", NOW + 10)
    store.set("", "k", b"2")
    assert store.expire(NOW + 10) == []
    store.set("", "k", b"3", NOW + 30)
    assert store.expire(NOW + 29) == []
    assert len(store.expire(NOW + 30)) == 1


def test_entries_expire_in_the_order_of_their_deadlines() -> None:
    store = Store()
    for key, wait in (("c", 3), ("a", 1), ("b", 2), ("d", 99)):
        store.set("", key, b"0", NOW + wait)
    assert [change.key for change in store.expire(NOW + 3)] == ["a", "b", "c"]


def crowd(count: int, seen: list[Change] | None = None, quota: Quota | None = None) -> Store:
    """A store of so many keys that all expire at `NOW`."""
    changes = [] if seen is None else seen
    store = Store(changes.append, quota)
    for number in range(count):
        store.set("", f"k{number}", b"0", NOW)
    changes.clear()
    return store


def test_many_entries_expire_in_portions_and_each_key_once() -> None:
    seen: list[Change] = []
    store = crowd(2 * EXPIRED_AT_ONCE_MAX + 1, seen)
    sizes = []
    while store.next_deadline <= NOW:
        sizes.append(len(store.expire(NOW)))
    assert sizes == [EXPIRED_AT_ONCE_MAX, EXPIRED_AT_ONCE_MAX, 1]
    assert [change.key for change in seen] == [f"k{number}" for number in range(sum(sizes))]
    assert store.expirations == sum(sizes)


def test_an_overdue_entry_is_absent_for_reads_and_writes_before_it_is_removed() -> None:
    seen: list[Change] = []
    store = crowd(3, seen)
    store.expire(NOW, 1)
    assert value_of(store, "k1", now=NOW) is None
    store.set("", "k1", b"new")
    assert store.delete("", "k2") is None, "there was nothing to delete"
    kinds = [(change.kind.value, change.key) for change in seen]
    assert kinds == [("expired", "k0"), ("expired", "k1"), ("set", "k1"), ("expired", "k2")]
    assert store.expire(NOW) == []
    assert value_of(store, "k1", now=NOW) == b"new"
    assert store.expirations == 3


@pytest.mark.parametrize("eviction", list(Eviction))
def test_an_overdue_entry_takes_no_quota(eviction: Eviction) -> None:
    quota = Quota(Limits(entries_max=4, eviction=eviction))
    store = crowd(3, quota=quota)
    store.set("", "lasting", b"0")
    store.expire(NOW, 0)
    store.check_writes("", [("a", b"1"), ("b", b"1"), ("c", b"1")])
    for key in ("a", "b", "c"):
        store.set("", key, b"1")
    assert {entry.key for entry in store.entries()} == {"a", "b", "c", "lasting"}
    assert (quota.evictions, quota.refusals) == (0, 0)


def test_a_store_that_refuses_writes_changes_nothing() -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    store.set("", "k", b"1", NOW)
    seen.clear()
    store.refusal = "disk full"
    for write in (
        lambda: store.set("", "k", b"2"),
        lambda: store.delete("", "k"),
        store.clear,
    ):
        with pytest.raises(WriteRefusedError) as caught:
            write()
        assert caught.value.reason == "disk full"
    assert store.expire(NOW) == []
    assert store.delete("", "missing") is None, "there is nothing to refuse"
    assert not seen
    store.refusal = None
    assert len(store.expire(NOW)) == 1, "the deadline was not forgotten"


def test_load_observes_no_change_and_counts_as_one() -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    store.now = NOW
    store.load([Entry("", "k", b"1", NOW + 5, 7), Entry("n", "k", b"1", None, 3)], 7)
    assert not seen
    assert store.revision == 8
    assert [(entry.revision, entry.written_at) for entry in store.entries()] == [(8, NOW)] * 2
    assert store.puts == 0
    assert store.set("", "x", b"2").revision == 9
    assert len(store.expire(NOW + 5)) == 1


def test_load_of_no_entries_counts_as_a_change_unless_nothing_ever_stood_there() -> None:
    store = Store()
    store.load([], 0)
    assert store.revision == 0
    store = Store()
    store.load([], 7)
    assert store.revision == 8


class Undo(RuleBasedStateMachine):
    """Any run of changes, undone: the store is as it was, down to what expires when."""

    def __init__(self) -> None:
        super().__init__()
        self.tick: list[Change] = []
        self.store = Store(self.tick.append)
        self.now = NOW
        self.overdue_at = 0
        self.model: dict[tuple[str, str], tuple[bytes, int | None]] = {}
        self.then: dict[tuple[str, str], bytes] = {}  # of keys that are to stay
        self.then_before = copy(self.then)
        self.before = copy(self.model)
        self.revision_before = 0

    names = st.sampled_from(["a", "b", "c"])
    spaces = st.sampled_from(["", "n"])

    @rule(
        ns=spaces,
        key=names,
        value=st.sampled_from([b"1", b"22", b"333"]),
        ttl=st.none() | st.integers(1, 9),
        then=st.sampled_from([None, b"4444"]),
    )
    def set(self, ns: str, key: str, value: bytes, ttl: int | None, then: bytes | None) -> None:
        expires_at = None if ttl is None else self.now + ttl
        if expires_at is None:
            then = None
        self.store.set(ns, key, value, expires_at, then=then)
        self._put(ns, key, value, expires_at, then)

    def _put(
        self, ns: str, key: str, value: bytes, expires_at: int | None, then: bytes | None
    ) -> None:
        self.model[ns, key] = (value, expires_at)
        self.then.pop((ns, key), None)
        if then is not None:
            self.then[ns, key] = then

    @rule(ns=spaces, key=names)
    def read(self, ns: str, key: str) -> None:
        """Who reads a key whose time has come makes what is to be there."""
        value, deadline = self.model.get((ns, key), (None, None))
        if deadline is not None and deadline <= self.now:
            value = self.then.get((ns, key)) if deadline <= self.overdue_at else value
            if (ns, key) in self.then and deadline <= self.overdue_at:
                assert value is not None
                self._put(ns, key, value, None, None)
            elif (ns, key) not in self.then:
                value = None
        assert value_of(self.store, key, ns, self.now) == value

    @rule(ns=spaces, key=names)
    def delete(self, ns: str, key: str) -> None:
        change = self.store.delete(ns, key)
        _, deadline = self.model.get((ns, key), (b"", self.overdue_at))
        # One whose time has come is no longer there to be deleted, unless it stays for good.
        is_there = deadline is None or deadline > self.overdue_at or (ns, key) in self.then
        assert (change is not None) == is_there
        self.model.pop((ns, key), None)
        self.then.pop((ns, key), None)

    @rule()
    def clear(self) -> None:
        self.store.clear()
        self.model.clear()
        self.then.clear()

    @rule(wait=st.integers(0, 5), portion=st.integers(0, 6))
    def expire(self, wait: int, portion: int) -> None:
        self.now += wait
        self.overdue_at = self.now
        due = {
            place: deadline
            for place, (_, deadline) in self.model.items()
            if deadline is not None and deadline <= self.now
        }
        changes = self.store.expire(self.now, portion)
        places = [(change.ns, change.key) for change in changes]
        # Portions count deadlines of entries that were replaced, too.
        assert len(places) <= portion
        assert [due[place] for place in places] == sorted(due.values())[: len(places)]
        for change, place in zip(changes, places, strict=True):
            assert (change.kind is ChangeKind.SET) == (place in self.then)
            if place in self.then:
                self._put(*place, self.then[place], None, None)
            else:
                del self.model[place]

    @rule()
    def keep(self) -> None:
        self.tick.clear()
        self.before, self.then_before = copy(self.model), copy(self.then)
        self.revision_before = self.store.revision

    @precondition(lambda self: self.tick)
    @rule()
    def undo(self) -> None:
        self.store.undo(self.tick)
        self.overdue_at = 0
        self.tick.clear()
        self.model, self.then = copy(self.before), copy(self.then_before)
        assert self.store.revision == self.revision_before

    @invariant()
    def store_equals_model(self) -> None:
        held = {(e.ns, e.key): (e.value, e.expires_at) for e in self.store.entries()}
        assert held == self.model
        assert self.then == {
            (e.ns, e.key): e.then for e in self.store.entries() if e.then is not None
        }
        assert self.store.entry_count == len(self.model)
        assert self.store.value_bytes == sum(len(value) for value, _ in self.model.values())
        deadlines = [deadline for _, deadline in self.model.values() if deadline is not None]
        if deadlines:
            assert self.store.next_deadline is not None
            assert self.store.next_deadline <= min(deadlines)
        for ns in ("", "n"):
            assert sorted_keys(self.store, ns) == sorted(k for n, k in self.model if n == ns)


TestUndo = Undo.TestCase
TestUndo.settings = settings(max_examples=150, stateful_step_count=40)


def test_skipped_revisions_are_not_observed_and_are_rolled_back() -> None:
    changes: list[Change] = []
    store = Store(changes.append)
    store.load([Entry("", "old", b"1", None, 3)], 3)
    store.skip_to(6)
    store.set("", "a", b"1")
    store.set("", "b", b"1")
    store.skip_to(8)
    store.skip_to(2)
    store.set("", "c", b"1")
    store.skip_to(20)
    store.delete("", "a")
    assert [change.revision for change in changes] == [6, 7, 8, 20]
    assert (store.puts, store.deletions) == (3, 1)
    store.undo(changes[1:])
    assert (store.revision, store.puts, store.deletions) == (6, 1, 0)
    assert sorted_keys(store) == ["a", "old"]
    store.undo([])
    assert (store.revision, store.puts) == (6, 1)
    store.refusal = "disk full"
    with pytest.raises(WriteRefusedError):
        store.skip_to(30)
    assert store.revision == 6


def test_every_hit_and_miss_is_counted_and_a_peek_is_not() -> None:
    store = Store()
    store.set("", "k", b"1")
    store.set("", "over", b"1", NOW)
    for _ in range(3):
        store.get("", "k", NOW)
        store.peek("", "k", NOW)
    for ns, key in (("", "missing"), ("n", "k"), ("", "over"), ("", "missing")):
        assert store.get(ns, key, NOW) is None
        assert store.peek(ns, key, NOW) is None
    assert (store.hits, store.misses) == (3, 4)


def test_a_store_without_a_guard_permits_reading_any_key() -> None:
    store = Store()
    store.set("n", "b", b"1")
    assert store.may_read("n", "b")
    assert store.may_read("none", "any")


@pytest.mark.parametrize("flags", [{}, {"from_disk": True}, {"is_durable": True}])
def test_a_change_has_the_requested_options(flags: dict[str, bool]) -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    first = store.set("n", "k", b"1", NOW, **flags)
    second = store.set("n", "k", b"2", **flags)
    gone = store.delete("n", "k", **flags)
    assert seen == [first, second, gone]
    for change in seen:
        assert (change.ns, change.key, change.cleared) == ("n", "k", None)
        assert change.from_disk is flags.get("from_disk", False)
        assert change.is_durable is flags.get("is_durable", False)
    entry = first.entry
    assert (entry.ns, entry.key, entry.value, entry.expires_at) == ("n", "k", b"1", NOW)
    assert [change.entry.revision for change in (first, second)] == [1, 2]
    assert second.entry.expires_at is None
    assert (first.replaced, second.replaced) == (None, first.entry)
    assert (gone.entry, gone.replaced) == (None, second.entry)


@pytest.mark.parametrize("from_disk", [True, False])
def test_a_clear_is_one_change_with_all_removed_entries(from_disk: bool) -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    one = store.set("", "a", b"1").entry
    other = store.set("n", "b", b"2").entry
    change = store.clear(from_disk=True) if from_disk else store.clear()
    assert seen[-1] is change
    assert (change.kind, change.ns, change.key, change.revision) == (ChangeKind.CLEAR, "", "", 3)
    assert (change.entry, change.replaced, change.from_disk) == (None, None, from_disk)
    assert change.cleared == {"": {"a": one}, "n": {"b": other}}
    assert (store.entry_count, store.value_bytes, store.namespaces()) == (0, 0, [])


def test_an_expiry_is_neither_durable_nor_from_disk() -> None:
    store = Store()
    entry = store.set("n", "k", b"1", NOW, is_durable=True).entry
    (change,) = store.expire(NOW)
    assert (change.kind, change.ns, change.key, change.revision) == (
        ChangeKind.EXPIRED, "n", "k", 2,
    )  # fmt: skip
    assert (change.entry, change.replaced) == (None, entry)
    assert (change.from_disk, change.is_durable) == (False, False)


def counts(store: Store) -> tuple[int, ...]:
    """Sets, deletions, expirations, clears."""
    return store.puts, store.deletions, store.expirations, store.clears


def test_changes_are_counted_by_kind_and_undone_ones_no_more() -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    assert counts(store) == (0, 0, 0, 0)
    for _ in range(2):
        for key in "abcd":
            store.set("", key, b"1", NOW if key == "d" else None)
        store.delete("", "a")
        store.delete("", "b")
        store.expire(NOW)
        store.clear()
    assert counts(store) == (8, 4, 2, 2)
    assert (store.revision, store.evictions) == (16, 0)
    store.undo(seen[8:])
    assert counts(store)[:3] == (4, 2, 1)
    assert store.clears == 2, "a clear that was undone was one"
    store.undo(seen[:8])
    assert (counts(store)[:3], store.revision, store.entry_count) == ((0, 0, 0), 0, 0)


def test_a_store_begins_empty_and_refuses_nothing() -> None:
    store = Store()
    assert store.refusal is None
    assert (store.revision, store.hits, store.misses, store.entry_count) == (0, 0, 0, 0)
    assert store.value_bytes == 0
    assert store.quota is None
    assert store.next_deadline == NEVER
    assert list(store.entries()) == store.namespaces() == []


def test_namespaces_are_sorted_and_entries_of_all_of_them() -> None:
    store = Store()
    for ns in ("b", "", "a"):
        store.set(ns, "k", b"1")
    assert store.namespaces() == ["", "a", "b"]
    assert sorted(entry.ns for entry in store.entries()) == ["", "a", "b"]


def test_observe_calls_the_observer_for_later_changes() -> None:
    first: list[Change] = []
    second: list[Change] = []
    store = Store(first.append)
    store.set("", "a", b"1")
    store.observe(second.append)
    store.set("", "b", b"1")
    assert [[change.key for change in seen] for seen in (first, second)] == [["a"], ["b"]]


def test_the_first_deadline_that_is_due_is_the_first_to_expire() -> None:
    store = crowd(2 * EXPIRED_AT_ONCE_MAX)
    assert len(store.expire(NOW)) == EXPIRED_AT_ONCE_MAX
    assert store.next_deadline == NOW
    assert len(store.expire(NOW, 1)) == 1


def test_no_entry_is_overdue_between_an_undo_and_the_next_expire() -> None:
    seen: list[Change] = []
    store = crowd(3, seen)
    store.expire(NOW, 1)
    store.undo(seen)
    assert store.delete("", "k1").kind is ChangeKind.DELETE
    assert store.set("", "k2", b"1").replaced is not None
    assert store.expirations == 0


def test_a_write_does_not_expire_a_key_before_its_deadline() -> None:
    seen: list[Change] = []
    store = crowd(2, seen)
    later = store.set("", "later", b"1", NOW + 1).entry
    seen.clear()
    store.expire(NOW, 1)
    change = store.set("", "later", b"2")
    assert change.replaced is later
    assert [one.kind for one in seen] == [ChangeKind.EXPIRED, ChangeKind.SET]
    assert store.delete("n", "k1") is None, "another namespace has other keys"
    assert len(seen) == 2


def test_overdue_entries_are_not_removed_while_changes_are_refused() -> None:
    seen: list[Change] = []
    store = crowd(2, seen)
    store.expire(NOW, 0)
    store.refusal = "disk full"
    with pytest.raises(WriteRefusedError, match=r"^disk full$"):
        store.delete("", "k1")
    assert (seen, store.expirations, store.revision) == ([], 0, 2)


def test_overdue_entries_make_no_room_while_changes_are_refused() -> None:
    seen: list[Change] = []
    store = crowd(2, seen, Quota(Limits(entries_max=2)))
    store.expire(NOW, 0)
    store.refusal = "disk full"
    with pytest.raises(StoreFullError):
        store.set("", "new", b"1")
    with pytest.raises(StoreFullError):
        store.check_writes("", [("new", b"1")])
    assert seen == []
    store.refusal = None
    store.check_writes("", [("new", b"1")])
    store.set("", "new", b"1")
    assert [(change.kind.value, change.key) for change in seen] == [
        ("expired", "k0"), ("expired", "k1"), ("set", "new"),
    ]  # fmt: skip


def test_only_overdue_entries_are_removed_to_make_room() -> None:
    store = Store(quota=Quota(Limits(entries_max=2)))
    store.set("", "a", b"1", NOW)
    store.set("", "b", b"1", NOW + 1)
    with pytest.raises(StoreFullError):
        store.set("", "new", b"1")
    store.expire(NOW - 1)
    with pytest.raises(StoreFullError):
        store.check_writes("", [("new", b"1")])
    assert [entry.key for entry in store.entries()] == ["a", "b"]
    assert store.quota.refusals == 2


def test_overdue_entries_are_removed_before_others_are_evicted() -> None:
    quota = Quota(Limits(entries_max=2, eviction=Eviction.LRU))
    seen: list[Change] = []
    store = Store(seen.append, quota)
    entries = [Entry("", "old", b"1", None, 1), Entry("", "k", b"1", NOW, 2)]
    store.load([*entries, Entry("", "new", b"1", None, 3)], 3)
    store.expire(NOW, 0)
    store.evict_excess()
    assert [(change.kind.value, change.key) for change in seen] == [("expired", "k")]
    assert store.evictions == 0


def test_the_oldest_entries_are_evicted_until_a_loaded_store_is_within_its_limits() -> None:
    seen: list[Change] = []
    store = Store(seen.append, Quota(Limits(entries_max=2, eviction=Eviction.LRU)))
    entries = [Entry("", key, b"1", None, 1) for key in ("old", "new", "newest")]
    store.load(entries, 3)
    store.evict_excess()
    assert [(change.kind.value, change.key, change.revision) for change in seen] == [
        ("delete", "old", 5)
    ]
    assert seen[0].replaced is entries[0]
    assert (store.evictions, store.deletions) == (1, 0)


def test_a_store_without_eviction_stays_over_its_limits() -> None:
    store = Store(quota=Quota(Limits(entries_max=1)))
    store.load([Entry("", key, b"1", None, 1) for key in "ab"], 1)
    store.evict_excess()
    assert store.entry_count == 2
    Store().evict_excess()


@pytest.mark.parametrize("eviction", list(Eviction))
def test_writes_that_could_never_fit_are_refused_before_the_first(eviction: Eviction) -> None:
    quota = Quota(Limits(entries_max=2, eviction=eviction))
    store = Store(quota=quota)
    store.set("n", "k", b"1")
    store.check_writes("n", [("k", b"1"), ("j", b"1")])
    three = [(key, b"1") for key in "abc"]
    with pytest.raises(StoreFullError, match=r"^store is full \(max 2 entries\)$"):
        store.check_writes("n", three)
    assert quota.refusals == 1
    Store().check_writes("n", three)


def test_a_read_entry_is_evicted_after_unread_ones() -> None:
    store = Store(quota=Quota(Limits(entries_max=2, eviction=Eviction.LRU)))
    store.set("", "a", b"1")
    store.set("", "b", b"1")
    assert store.get("", "a", NOW) is not None
    store.set("", "c", b"1")
    assert {entry.key for entry in store.entries()} == {"a", "c"}


def test_a_value_from_disk_evicts_others_if_the_store_evicts() -> None:
    store = Store(quota=Quota(Limits(entries_max=1, eviction=Eviction.LRU)))
    store.set("", "a", b"1")
    store.set("", "b", b"1", from_disk=True)
    assert [entry.key for entry in store.entries()] == ["b"]
    small = Store(quota=Quota(Limits(memory_bytes_max=3, eviction=Eviction.LRU)))
    small.set("", "a", b"1")
    small.set("", "b", b"12345", from_disk=True)
    assert [entry.key for entry in small.entries()] == ["b"], "what never fits is taken too"
    assert (small.evictions, small.quota.refusals) == (1, 0)
    small.set("", "b", b"1234567", from_disk=True)
    assert [entry.value for entry in small.entries()] == [b"1234567"]


def test_skip_to_changes_only_the_next_revision() -> None:
    store = Store()
    store.skip_to(1)
    assert store.revision == 0
    store.skip_to(3)
    assert (store.revision, store.puts) == (2, 0)
    assert store.set("", "k", b"1").revision == 3
    store.skip_to(4)
    assert (store.revision, store.puts) == (3, 1)
    store.refusal = "disk full"
    with pytest.raises(WriteRefusedError, match=r"^disk full$"):
        store.skip_to(1)


def test_loading_counts_as_one_change_but_as_no_put() -> None:
    store = Store()
    store.load([Entry("", "k", b"12", None, 7)], 9)
    assert (store.revision, store.puts, store.entry_count, store.value_bytes) == (10, 0, 1, 2)
    store.set("", "k", b"1")
    assert (store.puts, store.value_bytes) == (1, 1)
