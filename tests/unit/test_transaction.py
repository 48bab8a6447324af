"""Transactions against a plain model: all operations or none, one change a key, room and rights."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dunena.dialects.dialect import Dialect
from dunena.store.entry import Change, ChangeKind
from dunena.store.limits import Eviction, Limits
from tests.support.rooms import Client, Rooms

KEYS = ("a", "b", "c", "d")
Values = dict[tuple[str, str], Any]
Op = dict[str, Any]


class CannotBeDoneError(Exception):
    """What the model says of an operation that has to be refused."""


def apply(values: Values, op: Op) -> None:
    """One operation of the model, on plain values."""
    place = (op.get("ns", ""), op["key"])
    kind = op["op"]
    if kind == "set":
        values[place] = op["value"]
    elif kind == "delete":
        values.pop(place, None)
    elif kind == "incr":
        value = values.get(place, 0)
        if type(value) is not int:
            raise CannotBeDoneError
        values[place] = value + op["by"]
    elif kind == "append":
        value = values.get(place, [])
        if type(value) is not list:
            raise CannotBeDoneError
        values[place] = [*value, op["value"]]
    else:
        assert kind == "merge"
        value = values.get(place)
        merged = (value if type(value) is dict else {}) | op["value"]
        values[place] = {name: part for name, part in merged.items() if part is not None}


plain = st.integers(-3, 3) | st.just("text") | st.lists(st.integers(0, 1), max_size=2)
places = st.fixed_dictionaries(
    {"key": st.sampled_from(KEYS)}, optional={"ns": st.sampled_from(["", "n"])}
)
kinds = st.one_of(
    st.fixed_dictionaries({"op": st.just("set"), "value": plain}),
    st.fixed_dictionaries({"op": st.just("delete")}),
    st.fixed_dictionaries({"op": st.just("incr"), "by": st.integers(-5, 5)}),
    st.fixed_dictionaries({"op": st.just("append"), "value": st.integers(0, 9)}),
    st.fixed_dictionaries(
        {"op": st.just("merge"), "value": st.dictionaries(st.sampled_from("xy"), st.none() | plain)}
    ),
)
operations = st.tuples(places, kinds, st.sampled_from([None, None, "right", "wrong"])).map(
    lambda parts: parts[0] | parts[1] | {"condition": parts[2]}
)
transactions = st.lists(st.lists(operations, max_size=6), max_size=8)


def stored(rooms: Rooms) -> Values:
    return {(e.ns, e.key): orjson.loads(e.value) for e in rooms.store.entries()}


def revisions(rooms: Rooms) -> dict[tuple[str, str], int]:
    return {(e.ns, e.key): e.revision for e in rooms.store.entries()}


@given(transactions, st.lists(st.booleans(), min_size=8, max_size=8))
def test_random_transactions_do_all_or_nothing(
    requests: Sequence[Sequence[Op]], is_disk_full: Sequence[bool]
) -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    expected: Values = {}
    for request, refuses in zip(requests, is_disk_full, strict=False):
        ops, draft, is_refused = [], deepcopy(expected), False
        before = revisions(rooms)
        for op in request:
            sent = {name: part for name, part in op.items() if name != "condition"}
            if op["condition"] is not None:
                rev = before.get((op.get("ns", ""), op["key"]), 0)
                sent["ifRev"] = rev if op["condition"] == "right" else rev + 7
                is_refused = is_refused or op["condition"] == "wrong"
            ops.append(sent)
            try:
                apply(draft, op)
            except CannotBeDoneError:
                is_refused = True
        rooms.engine.reason = "disk full" if refuses else None
        first = len(rooms.engine.committed)
        revision = rooms.store.revision
        (answer,) = client.ask({"action": "txn", "ops": ops, "id": 1})
        changes = rooms.engine.committed[first:]
        if "error" in answer:
            assert is_refused or refuses
            assert changes == []
            assert rooms.store.revision == revision
        else:
            assert not is_refused
            expected = draft
            check_changes(changes, ops, revision)
            assert answer["result"]["rev"] == rooms.store.revision
            check_revisions(answer["result"]["results"], ops, changes, before)
        assert stored(rooms) == expected


def check_changes(changes: Sequence[Change], ops: Sequence[Op], revision: int) -> None:
    """Each key changes once, with consecutive revisions, and no other key does."""
    places = [(change.ns, change.key) for change in changes]
    assert len(set(places)) == len(places)
    assert set(places) <= {(op.get("ns", ""), op["key"]) for op in ops}
    count = len(changes)
    assert [change.revision for change in changes] == list(
        range(revision + 1, revision + count + 1)
    )


def check_revisions(
    results: Sequence[Any],
    ops: Sequence[Op],
    changes: Sequence[Change],
    before: dict[tuple[str, str], int],
) -> None:
    """Each answer has the revision of its key's change, or the one that the key has kept."""
    changed = {(change.ns, change.key): change.revision for change in changes}
    for result, op in zip(results, ops, strict=True):
        place = (op.get("ns", ""), op["key"])
        assert result["rev"] == changed.get(place, before.get(place, 0))


# --- room ---

sized = st.lists(
    st.tuples(st.sampled_from(KEYS), st.none() | st.integers(0, 30)), min_size=1, max_size=4
)


def as_op(key: str, size: int | None) -> Op:
    if size is None:
        return {"op": "delete", "key": key}
    return {"op": "set", "key": key, "value": "x" * size}


@given(st.lists(sized, max_size=8), st.sampled_from(Eviction), st.booleans())
@example([[("a", 10)], [("b", 10)], [("c", 1), ("a", 25)]], Eviction.LRU, False)
def test_a_transaction_fits_a_full_store_or_leaves_it_alone(
    requests: Sequence[Sequence[tuple[str, int | None]]], eviction: Eviction, by_count: bool
) -> None:
    limits = (
        Limits(entries_max=3, eviction=eviction)
        if by_count
        else Limits(memory_bytes_max=40, eviction=eviction)
    )
    rooms = Rooms(limits)
    client = rooms.client(Dialect.OBJECT_STORE)
    for request in requests:
        before = stored(rooms)
        outcome = dict(request)
        first = len(rooms.engine.committed)
        (answer,) = client.ask(
            {"action": "txn", "ops": [as_op(*part) for part in request], "id": 1}
        )
        changes = rooms.engine.committed[first:]
        after = dict(before)
        for key, size in outcome.items():
            after.pop(("", key), None)
            if size is not None:
                after["", key] = "x" * size
        touched = {("", key): after["", key] for key in outcome if ("", key) in after}
        if eviction is Eviction.NONE:
            assert ("error" in answer) != fits(after, limits)
            assert stored(rooms) == (before if "error" in answer else after)
        elif "error" in answer:
            assert not fits(touched, limits)
            assert stored(rooms) == before
        else:
            assert touched.items() <= stored(rooms).items() <= after.items()
            assert fits(stored(rooms), limits)
            own = [change for change in changes if change.key in outcome]
            assert changes[len(changes) - len(own) :] == own, "evictions come first"
            assert len({change.key for change in changes}) == len(changes)
        if "error" in answer:
            assert changes == []


def fits(values: Values, limits: Limits) -> bool:
    size = sum(len(key) + len(orjson.dumps(value)) for (_, key), value in values.items())
    return (not limits.entries_max or len(values) <= limits.entries_max) and (
        not limits.memory_bytes_max or size <= limits.memory_bytes_max
    )


def overfull(rooms: Rooms) -> Client:
    """A client of a store that was over its limit of 40 bytes when it was loaded."""
    for key in ("a", "b"):
        rooms.tick.run(
            lambda name, _now: rooms.store.set("", name, b'"%b"' % (b"x" * 27), from_disk=True), key
        )
    rooms.tick.end()
    return rooms.client(Dialect.OBJECT_STORE)


def test_an_overfull_store_may_shrink_but_refuses_a_transaction_that_adds() -> None:
    rooms = Rooms(Limits(memory_bytes_max=40))
    client = overfull(rooms)
    before = stored(rooms)
    ops = [{"op": "set", "key": "a", "value": "x" * 20}, {"op": "set", "key": "c", "value": 1}]
    (answer,) = client.ask({"action": "txn", "ops": ops})
    assert answer["code"] == "storage"
    assert stored(rooms) == before
    assert client.ask({"action": "txn", "ops": ops[:1]}) == []
    assert len(stored(rooms)["", "a"]) == 20


# --- expiry ---


def expiring(rooms: Rooms, now: int) -> Client:
    """A client of a store in which more keys are due at ``now`` than end in one turn."""
    client = rooms.client(Dialect.OBJECT_STORE)
    for number in range(300):
        client.say({"action": "set", "key": f"k{number}", "value": number, "ttl": now - rooms.now})
    rooms.tick.end()
    rooms.now = now
    return client


@pytest.mark.parametrize("reverse", [False, True])
def test_keys_that_are_overdue_end_before_the_first_change(reverse: bool) -> None:
    rooms = Rooms()
    client = expiring(rooms, rooms.now + 1000)
    keys = [f"k{number}" for number in sorted((297, 298, 299), reverse=reverse)]
    first = len(rooms.engine.committed)
    ops = [{"op": "incr", "key": key, "ifRev": 0} for key in keys]
    (answer,) = client.ask({"action": "txn", "ops": ops, "id": 1})
    assert [result["value"] for result in answer["result"]["results"]] == [1, 1, 1]
    changes = rooms.engine.committed[first:]
    assert {change.kind for change in changes[:-3]} == {ChangeKind.EXPIRED}
    assert {change.key for change in changes[-3:]} == set(keys)
    assert {change.kind for change in changes[-3:]} == {ChangeKind.SET}


# --- the order of operations on one key ---


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([{"op": "set", "value": 1}, {"op": "delete"}], None),
        ([{"op": "delete"}, {"op": "incr"}], 1),
        ([{"op": "append", "value": 1}, {"op": "delete", "path": "/0"}], []),
        ([{"op": "set", "value": {}}, {"op": "incr", "path": "/n"}], {"n": 1}),
    ],
)  # fmt: skip
def test_an_operation_sees_what_those_before_it_did(ops: list[Op], expected: Any) -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "txn", "ops": [{**op, "key": "k"} for op in ops]})
    assert stored(rooms).get(("", "k")) == expected
    assert len(rooms.engine.committed) == (0 if expected is None else 1)


@pytest.mark.parametrize(
    ("ops", "ttl"),
    [
        ([{"op": "incr", "ttl": 500}, {"op": "incr"}], 500),
        ([{"op": "incr", "ttl": 500}, {"op": "set", "value": 1}], None),
        ([{"op": "set", "value": 1, "ttl": 500}, {"op": "delete"}, {"op": "incr"}], None),
        ([{"op": "incr", "ttl": 500}, {"op": "touch", "ttl": 700}], 700),
    ],
)
def test_the_last_operation_that_says_so_sets_the_expiry(ops: list[Op], ttl: int | None) -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "txn", "ops": [{**op, "key": "k"} for op in ops]})
    entry = rooms.store.peek("", "k", rooms.now)
    assert entry is not None
    assert entry.expires_at == (None if ttl is None else rooms.now + ttl)


def test_followers_get_one_update_of_each_key() -> None:
    rooms = Rooms()
    client, follower = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.OBJECT_STORE)
    for key in KEYS:
        follower.ask({"action": "subscribe", "key": key})
    ops = [{"op": "incr", "key": key} for key in KEYS for _ in range(3)]
    client.ask({"action": "txn", "ops": ops})
    assert follower.heard() == [{"key": key, "value": 3} for key in KEYS]
