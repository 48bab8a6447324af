"""The store: what it holds, its revisions, expiry and undo."""

from copy import copy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.expiry import NEVER
from dunena.store.store import Store, WriteRefusedError

NOW = 1_000_000


def value_of(store: Store, key: str, ns: str = "", now: int = NOW) -> bytes | None:
    entry = store.peek(ns, key, now)
    return None if entry is None else entry.value


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


def test_an_entry_is_gone_at_its_time_and_not_before() -> None:
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


def test_a_later_set_forgets_the_deadline() -> None:
    store = Store()
    store.set("", "k", b"1", NOW + 10)
    store.set("", "k", b"2")
    assert store.expire(NOW + 10) == []
    store.set("", "k", b"3", NOW + 30)
    assert store.expire(NOW + 29) == []
    assert len(store.expire(NOW + 30)) == 1


def test_expiry_is_in_the_order_of_deadlines() -> None:
    store = Store()
    for key, wait in (("c", 3), ("a", 1), ("b", 2), ("d", 99)):
        store.set("", key, b"0", NOW + wait)
    assert [change.key for change in store.expire(NOW + 3)] == ["a", "b", "c"]


def test_deadlines_of_replaced_entries_do_not_pile_up() -> None:
    store = Store()
    for step in range(10_000):
        store.set("", "k", b"0", NOW + step + 1)
    assert len(store._deadlines) < 200
    assert store.expire(NOW + 9_999) == []
    assert len(store.expire(NOW + 10_000)) == 1


def test_keys_are_sorted_and_follow_the_changes() -> None:
    store = Store()
    for key in ("b", "a", "C"):
        store.set("", key, b"0")
    assert store.sorted_keys("") == ["C", "a", "b"]
    store.set("", "a", b"1")
    store.delete("", "b")
    store.set("", "B", b"0")
    assert store.sorted_keys("") == ["B", "C", "a"]
    assert store.sorted_keys("other") == []
    store.clear()
    assert store.sorted_keys("") == []


def test_while_refusing_nothing_changes() -> None:
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


def test_loading_announces_nothing_and_sets_the_revision() -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    store.load([Entry("", "k", b"1", NOW + 5, 7)], 7)
    assert not seen
    assert store.set("", "x", b"2").revision == 8
    assert len(store.expire(NOW + 5)) == 1


class Undo(RuleBasedStateMachine):
    """Any run of changes, undone: the store is as it was, down to what expires when."""

    def __init__(self) -> None:
        super().__init__()
        self.tick: list[Change] = []
        self.store = Store(self.tick.append)
        self.now = NOW
        self.model: dict[tuple[str, str], tuple[bytes, int | None]] = {}
        self.before = copy(self.model)
        self.revision_before = 0

    names = st.sampled_from(["a", "b", "c"])
    spaces = st.sampled_from(["", "n"])

    @rule(
        ns=spaces,
        key=names,
        value=st.sampled_from([b"1", b"22", b"333"]),
        ttl=st.none() | st.integers(1, 9),
    )
    def set(self, ns: str, key: str, value: bytes, ttl: int | None) -> None:
        expires_at = None if ttl is None else self.now + ttl
        self.store.set(ns, key, value, expires_at)
        self.model[ns, key] = (value, expires_at)

    @rule(ns=spaces, key=names)
    def delete(self, ns: str, key: str) -> None:
        change = self.store.delete(ns, key)
        assert (change is not None) == ((ns, key) in self.model)
        self.model.pop((ns, key), None)

    @rule()
    def clear(self) -> None:
        self.store.clear()
        self.model.clear()

    @rule(wait=st.integers(1, 5))
    def expire(self, wait: int) -> None:
        self.now += wait
        due = {
            place: deadline
            for place, (_, deadline) in self.model.items()
            if deadline is not None and deadline <= self.now
        }
        changes = self.store.expire(self.now)
        assert {(change.ns, change.key) for change in changes} == set(due)
        assert [due[change.ns, change.key] for change in changes] == sorted(due.values())
        for place in due:
            del self.model[place]

    @rule()
    def keep(self) -> None:
        self.tick.clear()
        self.before = copy(self.model)
        self.revision_before = self.store.revision

    @precondition(lambda self: self.tick)
    @rule()
    def undo(self) -> None:
        self.store.undo(self.tick)
        self.tick.clear()
        self.model = copy(self.before)
        assert self.store.revision == self.revision_before

    @invariant()
    def store_equals_model(self) -> None:
        held = {(e.ns, e.key): (e.value, e.expires_at) for e in self.store.entries()}
        assert held == self.model
        assert self.store.entry_count == len(self.model)
        assert self.store.value_bytes == sum(len(value) for value, _ in self.model.values())
        deadlines = [deadline for _, deadline in self.model.values() if deadline is not None]
        if deadlines:
            assert self.store.next_deadline is not None
            assert self.store.next_deadline <= min(deadlines)
        for ns in ("", "n"):
            assert self.store.sorted_keys(ns) == sorted(k for n, k in self.model if n == ns)


TestUndo = Undo.TestCase
TestUndo.settings = settings(max_examples=150, stateful_step_count=40)
