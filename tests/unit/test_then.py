"""A value that something is merged into at its deadline, instead of its removal."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ForbiddenError
from dunena.dialects.grants import Grant, Right
from dunena.dialects.guarded_store import GuardedStore
from dunena.dialects.http_api import list_keys
from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.expiry import NEVER
from dunena.store.history import History
from dunena.store.limits import (
    EXPIRED_AT_ONCE_MAX,
    MERGED_AT_ONCE_BYTES_MAX,
    Eviction,
    Limits,
)
from dunena.store.merge_patch import merge
from dunena.store.quota import Quota
from dunena.store.store import Store
from tests.support.rooms import Rooms
from tests.support.work import outcome
from tests.unit.test_merge_patch import VALUES

NOW = 1_000_000
SHOWN, OVER, HIDDEN = b'{"name":"Ada","on":true}', b'{"on":false}', b'{"name":"Ada","on":false}'


def lower_third(seen: list[Change] | None = None, quota: Quota | None = None) -> Store:
    """A store with one key that is hidden at `NOW`; its set is not in ``seen``."""
    changes: list[Change] = [] if seen is None else seen
    store = Store(changes.append, quota)
    store.set("", "lower", SHOWN, NOW, then=OVER)
    changes.clear()
    return store


def value_of(store: Store, key: str = "lower", now: int = NOW) -> bytes | None:
    entry = store.peek("", key, now)
    return None if entry is None else entry.value


def test_at_its_deadline_the_value_is_changed_and_stays_without_an_expiry() -> None:
    seen: list[Change] = []
    store = lower_third(seen)
    before = store.peek("", "lower", NOW - 1)
    assert store.expire(NOW - 1) == []
    assert value_of(store, now=NOW - 1) == SHOWN
    (change,) = store.expire(NOW)
    assert seen == [change]
    assert (change.kind, change.key, change.revision) == (ChangeKind.SET, "lower", 2)
    assert change.replaced is before
    assert change.entry is store.peek("", "lower", NEVER - 1)
    assert change.entry is not None
    assert (change.entry.value, change.entry.revision) == (HIDDEN, 2)
    assert (change.entry.expires_at, change.entry.then) == (None, None)
    assert store.next_deadline == NEVER
    assert (store.entry_count, store.value_bytes) == (1, len(HIDDEN))
    assert (store.puts, store.expirations) == (2, 0)


@pytest.mark.parametrize("then", [b'"over"', b"[1]", b"0", b"null"])
def test_what_is_no_object_replaces_the_value(then: bytes) -> None:
    store = Store()
    store.set("", "lower", SHOWN, NOW, then=then)
    store.expire(NOW)
    assert value_of(store) == then


@given(st.lists(st.tuples(VALUES, st.none() | st.integers(1, 5), VALUES), max_size=9))
def test_the_last_write_decides_what_is_there_after_the_deadline(
    writes: list[tuple[Any, int | None, Any]],
) -> None:
    store = Store()
    now, expected = NOW, None
    for value, ttl, then in writes:
        now += 1
        store.expire(now)
        deadline = None if ttl is None else now + ttl
        store.set("", "lower", orjson.dumps(value), deadline, then=ttl and orjson.dumps(then))
        expected = orjson.dumps(value if ttl is None else merge(value, then))
    store.expire(now + 5)
    assert value_of(store, now=now + 5) == expected
    assert store.revision >= len(writes)


def test_a_later_write_cancels_it() -> None:
    for cancel in (
        lambda store: store.set("", "lower", b"1"),
        lambda store: store.set("", "lower", b"1", NOW + 9),
        lambda store: store.delete("", "lower"),
        lambda store: store.clear(),
    ):
        store = lower_third()
        cancel(store)
        before = value_of(store)
        assert store.expire(NOW) == []
        assert value_of(store) == before


def test_an_overdue_value_is_changed_by_who_reads_or_writes_it_first() -> None:
    def end(act: Any) -> list[tuple[str, int]]:
        seen: list[Change] = []
        store = lower_third(seen)
        store.expire(NOW, 0)
        act(store)
        kinds = [(change.kind.value, change.revision) for change in seen]
        assert store.expire(NOW) == [], "it was changed already"
        return kinds

    assert end(lambda store: store.peek("", "lower", NOW)) == [("set", 2)]
    assert end(lambda store: store.get("", "lower", NOW)) == [("set", 2)]
    assert end(lambda store: store.set("", "lower", b"1")) == [("set", 2), ("set", 3)]
    assert end(lambda store: store.delete("", "lower")) == [("set", 2), ("delete", 3)]

    store = lower_third()
    store.expire(NOW, 0)
    entry = store.get("", "lower", NOW)
    assert entry is not None
    assert (entry.value, entry.revision, store.hits, store.misses) == (HIDDEN, 2, 1, 0)


def test_whether_a_key_stands_is_told_without_a_change() -> None:
    seen: list[Change] = []
    store = lower_third(seen)
    store.set("", "gone", b"1", NOW)
    store.set("", "lasting", b"1")
    seen.clear()
    store.expire(NOW, 0)
    keys = [key for key in ("gone", "lasting", "lower", "missing") if store.has("", key, NOW)]
    assert keys == ["lasting", "lower"]
    assert store.has("", "gone", NOW - 1)
    assert not store.has("other", "lower", NOW)
    assert not seen
    guarded = GuardedStore(store, Grant("a", frozenset({Right.READ}), keys=("la*",)))
    assert guarded.has("", "lasting", NOW)
    with pytest.raises(ForbiddenError):
        guarded.has("", "lower", NOW)


def test_a_listing_of_keys_has_an_overdue_one_and_changes_nothing() -> None:
    seen: list[Change] = []
    store = lower_third(seen)
    store.set("", "gone", b"1", NOW)
    seen.clear()
    store.expire(NOW, 0)
    answer = outcome(list_keys(Services(store, store, Hub()), {}, NOW))
    _, body = answer(NOW)
    assert orjson.loads(body)["keys"] == ["lower"]
    assert not seen, "a search goes on between ticks, where nothing can be changed"


def test_while_changes_are_refused_the_value_stays_as_it_is() -> None:
    seen: list[Change] = []
    store = lower_third(seen)
    store.expire(NOW, 0)
    store.refusal = "disk full"
    assert store.expire(NOW) == []
    assert value_of(store) == SHOWN
    assert store.has("", "lower", NOW)
    assert not seen
    store.refusal = None
    assert value_of(store) == HIDDEN


def test_undo_brings_back_what_is_to_be_merged_and_when() -> None:
    seen: list[Change] = []
    store = lower_third(seen)
    store.expire(NOW)
    store.undo(seen)
    assert (store.revision, store.puts) == (1, 1)
    assert value_of(store, now=NOW - 1) == SHOWN
    assert value_of(store) == SHOWN, "until `expire` says so again"
    assert store.next_deadline == NOW
    seen.clear()
    store.expire(NOW)
    assert [change.revision for change in seen] == [2]
    assert value_of(store) == HIDDEN


def test_positions_and_history_have_it_as_any_set() -> None:
    store = Store(history=History(3))
    store.set("", "lower", SHOWN, NOW, then=OVER)
    store.now = NOW
    store.expire(NOW)
    difference = store.positions.since(1)
    assert difference is not None
    assert [(e.key, e.value, e.revision) for e in difference.entries] == [("lower", HIDDEN, 2)]
    assert difference.removals == []
    assert [entry.value for entry in store.history.of("", "lower")] == [SHOWN]
    assert difference.entries[0].written_at == NOW


def test_a_loaded_value_whose_time_has_come_is_changed_at_once() -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    store.load([Entry("", "lower", SHOWN, NOW - 5000, 7, then=OVER)], 7)
    assert not seen
    assert store.next_deadline <= NOW
    store.expire(NOW)
    assert [change.kind for change in seen] == [ChangeKind.SET]
    assert value_of(store) == HIDDEN


def test_large_values_are_changed_in_portions_and_each_once() -> None:
    seen: list[Change] = []
    store = Store(seen.append)
    large = orjson.dumps({"text": "x" * (MERGED_AT_ONCE_BYTES_MAX // 2)})
    for number in range(5):
        store.set("", f"k{number}", large, NOW, then=OVER)
    store.set("", "gone", b"1", NOW)
    seen.clear()
    sizes = []
    while store.next_deadline <= NOW:
        sizes.append(len(store.expire(NOW, EXPIRED_AT_ONCE_MAX)))
    assert sizes[:2] == [2, 2]
    assert sum(sizes) == 6
    assert [change.key for change in seen if change.entry] == [f"k{n}" for n in range(5)]
    assert all(change.entry.expires_at is None for change in seen if change.entry)


@pytest.mark.parametrize("eviction", list(Eviction))
@pytest.mark.parametrize(
    ("value", "then"), [(b"1", b'"xxxxxxxx"'), (b"{}", b'{"a":{}}'), (b'{"a":1}', b'{"b":2}')]
)
def test_a_full_store_has_room_for_a_value_that_grows_at_its_deadline(
    eviction: Eviction, value: bytes, then: bytes
) -> None:
    seen: list[Change] = []
    quota = Quota(Limits(memory_bytes_max=1 + len(value) + len(then) + 2, eviction=eviction))
    store = Store(seen.append, quota)
    store.set("", "b", b"1")
    store.set("", "a", value, NOW, then=then)
    seen.clear()
    store.expire(NOW)
    assert [(change.kind.value, change.key) for change in seen] == [("set", "a")]
    assert quota.excess is None
    assert quota.bytes == sum(len(e.key) + len(e.value) for e in store.entries())


def test_followers_are_told_a_set_with_the_merged_value() -> None:
    rooms = Rooms()
    reader, listener = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.DUNENA)
    reader.say({"action": "subscribe", "key": "lower"})
    rooms.tick.run(lambda _, now: rooms.store.set("", "lower", SHOWN, now + 10, then=OVER), None)
    reader.heard()
    listener.heard()
    rooms.now += 10
    rooms.tick.expire()
    merged = {"name": "Ada", "on": False}
    assert reader.heard() == [{"key": "lower", "value": merged}]
    (event,) = listener.heard()
    assert (event["event"], event["data"]) == ("set", {"key": "lower", "size": len(HIDDEN)})
    assert reader.ask({"action": "get", "key": "lower"}) == [{"key": "lower", "value": merged}]


def test_a_merge_that_is_refused_is_seen_by_nobody_until_it_is_kept() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    rooms.tick.run(lambda _, now: rooms.store.set("", "lower", b"1", now + 10, then=b"2"), None)
    client.say({"action": "subscribe", "key": "lower"})
    client.heard()
    rooms.engine.reason = "disk full"
    rooms.now += 10
    for _ in range(2):
        answers = client.ask({"action": "get", "key": "lower"})
        assert [message["value"] for message in answers] == [1]
    assert rooms.telemetry.storage_failures == 1, "a read does not try again and again"
    rooms.engine.reason = None
    rooms.tick.probe()
    rooms.tick.expire()
    assert [message["value"] for message in client.heard()] == [2]


def test_every_read_in_a_tick_sees_all_that_is_due_however_much_it_is() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    count = EXPIRED_AT_ONCE_MAX + 3

    def fill(_: None, now: int) -> None:
        for number in range(count):
            rooms.store.set("", f"k{number}", b"1", now + 10, then=b"2")

    rooms.tick.run(fill, None)
    rooms.tick.end()
    rooms.now += 10
    for number in range(count):
        client.say({"action": "get", "key": f"k{number}"})
    assert [message["value"] for message in client.heard()] == [2] * count
    assert rooms.store.revision == 2 * count
