"""Who owns which key stays right, whatever is changed and taken back; disks hear of no such key."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dunena.store.entry import Change, ChangeKind, EphemeralEntry, stored_changes, stored_value
from dunena.store.limits import Eviction, Limits
from dunena.store.quota import quota_of
from dunena.store.store import Store

KEYS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, st.sampled_from([None, None, "x", "y"])),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.just("clear")),
        st.tuples(st.just("expire"), st.integers(0, 3)),
    ),
    max_size=12,
)


def carry_out(store: Store, step: tuple[Any, ...], number: int) -> None:
    kind = step[0]
    if kind == "set":
        then = b'{"n":0}' if number % 3 == 0 else None
        expires_at = store.now + 2 if number % 2 == 0 else None
        store.set("", step[1], b'{"n":%d}' % number, expires_at, then=then, owner=step[2])
    elif kind == "delete":
        store.delete("", step[1])
    elif kind == "clear":
        store.clear()
    else:
        store.now += step[1]
        store.expire(store.now)


def owned(store: Store) -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {"x": set(), "y": set()}
    for entry in store.entries():
        if isinstance(entry, EphemeralEntry):
            found[entry.owner].add((entry.ns, entry.key))
    return found


def expect_index(store: Store) -> None:
    index, found = store.table.ephemeral, owned(store)
    if index is None:
        assert not any(found.values())
        return
    for owner, keys in found.items():
        assert set(index.of(owner)) == keys
        assert index.count_of(owner) == len(keys)
    assert index.owners() == {owner for owner, keys in found.items() if keys}
    assert index.count == sum(map(len, found.values()))
    assert sorted(index) == sorted(found["x"] | found["y"])


def on_disk(changes: list[Change]) -> dict[str, bytes]:
    """What a disk has that is told of changes as it should be."""
    disk: dict[str, bytes] = {}
    for change in stored_changes(changes):
        if change.cleared is not None:
            disk.clear()
        elif change.entry is None:
            assert change.kind is not ChangeKind.SET
            del disk[change.key]  # it was there
        else:
            assert not isinstance(change.entry, EphemeralEntry)
            disk[change.key] = change.entry.value
    return disk


@given(STEPS, st.integers(0, 12), st.booleans())
def test_owners_and_the_disk_are_right_after_any_changes_and_after_taking_them_back(
    steps: list[tuple[Any, ...]],
    kept_steps: int,
    evicts: bool,
) -> None:
    limits = Limits(entries_max=2, eviction=Eviction.LRU) if evicts else Limits()
    store = Store(quota=quota_of(limits))
    changes: list[Change] = []
    store.observe(changes.append)
    kept = 0
    for number, step in enumerate(steps):
        if number == kept_steps:
            kept = len(changes)
            before = {entry.key: (entry.value, stored_value(entry)) for entry in store.entries()}
        carry_out(store, step, number)
        expect_index(store)
        stored = {entry.key: value for entry in store.entries() if (value := stored_value(entry))}
        assert on_disk(changes) == stored
    if kept_steps < len(steps):
        store.undo(changes[kept:])
        expect_index(store)
        after = {entry.key: (entry.value, stored_value(entry)) for entry in store.entries()}
        assert after == before


def test_changes_of_ordinary_entries_are_stored_as_they_are() -> None:
    store = Store()
    changes: list[Change] = []
    store.observe(changes.append)
    store.set("", "a", b"1")
    store.delete("", "a")
    assert stored_changes(changes) is changes


def test_what_an_ephemeral_entry_replaces_is_deleted_as_durably_as_it_was_asked_for() -> None:
    store = Store()
    changes: list[Change] = []
    store.set("", "a", b"1")
    store.observe(changes.append)
    store.set("", "a", b"2", owner="x", is_durable=True)
    (stored,) = stored_changes(changes)
    assert (stored.kind, stored.key, stored.entry) == (ChangeKind.DELETE, "a", None)
    assert stored.is_durable
    assert stored.revision == changes[0].revision
