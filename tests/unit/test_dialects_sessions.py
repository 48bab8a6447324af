"""The message `session`, ephemeral keys, and what is left when a session ends."""

from typing import Any

import orjson
import pytest

from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import Grant, Right
from dunena.dialects.views import Views
from dunena.server.status.figures import Figures
from dunena.server.status.introspection import Introspection
from dunena.sessions.limits import SESSION_KEYS_MAX, WILL_BYTES_MAX
from dunena.settings import Settings
from dunena.store.entry import EphemeralEntry, stored_changes
from dunena.store.limits import Eviction, Limits
from tests.support.rooms import Client, HoldingEngine, Rooms

OPERATIONS_TEXT = "there are set, delete, merge, patch, incr, append, touch, timer, revert"

GRACE = 5000


def ask(client: Client, **message: Any) -> dict[str, Any]:
    """The answer to a message, without the events that come before it."""
    (answer,) = [one for one in client.ask(message) if one.get("type") in ("result", "error")]
    return answer


def session(client: Client, **fields: Any) -> dict[str, Any]:
    """Ask for a session; the data of the answer, or the whole error."""
    heard = ask(client, type="session", **fields)
    return heard["data"] if heard["type"] == "result" else heard


def put(client: Client, key: str, value: Any = "here", **fields: Any) -> dict[str, Any]:
    name = "set" if isinstance(value, str) else "merge"
    return ask(client, type=name, key=key, value=value, ephemeral=True, **fields)


def values(rooms: Rooms) -> dict[str, Any]:
    return {entry.key: orjson.loads(entry.value) for entry in rooms.store.entries()}


def settle(rooms: Rooms, ms: int = 0) -> None:
    """Let time pass, and all that is due happen."""
    rooms.pass_time(ms)
    rooms.tick.end()


def health(rooms: Rooms) -> Any:
    """What `/health` says of sessions."""
    figures = Figures(rooms.services, rooms.engine, None, rooms.telemetry, rooms.sessions.table)
    body = orjson.loads(Introspection(figures, Settings()).health(rooms.now).body)
    return body["checks"]["sessions"]


def test_the_answer_has_the_terms_of_the_session_in_both_dialects() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    data = session(client, timeout=10_000, grace=GRACE, name="Ada")
    assert data == {
        "session": data["session"],
        "resume": data["resume"],
        "resumed": False,
        "timeout": 10_000,
        "grace": GRACE,
        "timestamp": rooms.now,
    }
    assert client.timeout_ms == 10_000
    other = rooms.client(Dialect.OBJECT_STORE)
    (heard,) = other.ask({"action": "session", "grace": 1})
    assert heard["result"]["timeout"] == 40_000
    assert heard["result"]["grace"] == 1
    assert heard["result"]["session"] != data["session"]
    assert other.ask({"action": "session", "id": 7})[0]["id"] == 7


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"timeout": 1999}, "Timeout must be 2000 to 60000 ms"),
        ({"timeout": 60_001}, "Timeout must be 2000 to 60000 ms"),
        ({"timeout": "5000"}, "Timeout must be 2000 to 60000 ms"),
        ({"timeout": True}, "Timeout must be 2000 to 60000 ms"),
        ({"grace": -1}, "Grace must be 0 to 60000 ms"),
        ({"grace": 60_001}, "Grace must be 0 to 60000 ms"),
        ({"grace": 0.5}, "Grace must be 0 to 60000 ms"),
        ({"name": "x" * 65}, "Name must be at most 64 printable characters"),
        ({"name": "a\nb"}, "Name must be at most 64 printable characters"),
        ({"name": 5}, "Name must be at most 64 printable characters"),
        ({"resume": 5}, "Resume must be a string"),
        ({"will": {}}, "Will must be a list of operations"),
        (
            {"will": [{"op": "set", "key": "a", "value": 1}] * 101},
            "Operations of a will exceed max",
        ),
        ({"will": [5]}, "will op 0: Missing field: op"),
        (
            {"will": [{"op": "fly", "key": "a"}]},
            f'will op 0: Unknown operation: "fly" ({OPERATIONS_TEXT})',
        ),
        ({"will": [{"op": "set", "key": ""}]}, "will op 0: Key must not be empty"),
        (
            {"will": [{"op": "set", "key": "a", "value": 1, "ephemeral": True}]},
            "will op 0: Ephemeral needs a session that goes on",
        ),
        (
            {"will": [{"op": "set", "key": "a", "value": "x" * WILL_BYTES_MAX}]},
            f"Will exceeds max size ({WILL_BYTES_MAX} bytes)",
        ),
    ],
)
def test_a_wrong_session_gets_an_exact_error_and_begins_nothing(
    fields: dict[str, Any], text: str
) -> None:
    rooms = Rooms()
    error = session(rooms.client(Dialect.DUNENA), **fields)
    assert error["data"].startswith(text)
    assert error["code"] in ("invalid", "limit")
    assert len(rooms.sessions.table) == 0
    (heard,) = rooms.client(Dialect.OBJECT_STORE).ask({"action": "session", **fields})
    assert heard["error"].startswith(text) or heard["error"] == "Invalid message format"


def test_whole_numbers_may_be_written_with_a_fraction_and_null_is_no_field() -> None:
    rooms = Rooms()
    data = session(rooms.client(Dialect.DUNENA), timeout=5000.0, grace=None, name=None, will=None)
    assert (data["timeout"], data["grace"]) == (5000, 0)


def test_a_second_message_changes_the_session_and_keeps_the_secret() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    first = session(client, grace=GRACE, name="Ada")
    second = session(client, timeout=3000, name="")
    assert second == {**first, "timeout": 3000}
    assert client.holder.session is not None
    assert client.holder.session.name == ""


def test_an_ephemeral_key_goes_with_its_connection_if_there_was_no_session() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    put(client, "me")
    client.ask({"type": "set", "key": "stays", "value": "1"})
    client.leave()
    settle(rooms)
    assert values(rooms) == {"stays": "1"}


def test_an_ephemeral_key_stays_for_the_grace_and_not_longer() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    session(client, grace=GRACE)
    put(client, "me")
    client.leave()
    settle(rooms, GRACE - 1)
    assert values(rooms) == {"me": "here"}
    settle(rooms, 1)
    assert values(rooms) == {}


def test_a_resumed_session_keeps_its_keys_and_nobody_is_told_of_a_gap() -> None:
    rooms = Rooms()
    watcher = rooms.client(Dialect.DUNENA)
    watcher.ask({"type": "watch", "pattern": "*"})
    client = rooms.client(Dialect.DUNENA)
    secret = session(client, grace=GRACE)["resume"]
    put(client, "me")
    watcher.heard()
    client.leave()
    settle(rooms, GRACE - 1)
    again = rooms.client(Dialect.DUNENA)
    assert session(again, resume=secret)["resumed"] is True
    settle(rooms, 10 * GRACE)
    assert values(rooms) == {"me": "here"}
    assert [one for one in watcher.heard() if "changes" in one.get("data", {})] == []
    again.leave(on_purpose=True)
    settle(rooms)
    assert values(rooms) == {}


def test_the_end_of_a_session_is_one_update_with_its_keys_and_its_will() -> None:
    rooms = Rooms()
    watcher = rooms.client(Dialect.DUNENA)
    watcher.ask({"type": "watch", "pattern": "*"})
    client = rooms.client(Dialect.DUNENA)
    will = [{"op": "incr", "key": "left"}, {"op": "set", "key": "last", "value": {"who": "Ada"}}]
    session(client, will=will)
    put(client, "a")
    put(client, "b")
    watcher.heard()
    client.leave()
    settle(rooms)
    updates = [one for one in watcher.received() if one.get("type") == "update"]
    assert len(updates) == 1
    changes = {
        one["key"]: one.get("event", one.get("value")) for one in updates[0]["data"]["changes"]
    }
    assert changes == {"a": "delete", "b": "delete", "left": 1, "last": {"who": "Ada"}}


def test_the_end_of_a_session_is_told_as_deletions_to_events_and_subscribers() -> None:
    rooms = Rooms()
    reader, listener = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.DUNENA)
    reader.ask({"action": "subscribe", "key": "me"})
    client = rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "set", "key": "me", "value": 1, "ephemeral": True})
    assert reader.heard() == [{"key": "me", "value": 1}]
    client.leave()
    settle(rooms)
    assert reader.received() == [{"key": "me", "value": None}]
    events = [one["event"] for one in listener.received()]
    assert events == ["set", "delete"]


def test_a_new_owners_key_survives_the_end_of_the_old_session() -> None:
    rooms = Rooms()
    old, new = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)
    put(old, "me", "old")
    put(new, "me", "new")
    old.leave()
    settle(rooms)
    assert values(rooms) == {"me": "new"}
    new.leave()
    settle(rooms)
    assert values(rooms) == {}


def test_a_set_without_ephemeral_makes_a_key_an_ordinary_one() -> None:
    rooms = Rooms()
    client, other = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)
    for key in "abc":
        put(client, key)
    other.ask({"type": "set", "key": "a", "value": "kept"})
    client.ask({"type": "set", "key": "b", "value": "kept", "ifRev": rooms.store.revision - 2})
    client.ask({"type": "touch", "key": "c", "ttl": 0, "ephemeral": False})
    client.leave()
    settle(rooms)
    assert values(rooms) == {"a": "kept", "b": "kept", "c": "here"}


def test_other_operations_leave_a_key_with_its_session() -> None:
    rooms = Rooms()
    client, other = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)
    put(client, "me", {"ready": False})
    other.ask({"type": "merge", "key": "me", "value": {"ready": True}})
    client.ask({"type": "touch", "key": "me", "ttl": 60_000})
    assert values(rooms) == {"me": {"ready": True}}
    client.leave()
    settle(rooms)
    assert values(rooms) == {}


def test_a_key_that_is_deleted_and_made_anew_in_one_transaction_is_an_ordinary_one() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    put(client, "me")
    ask(client, type="txn", ops=[{"op": "delete", "key": "me"}, {"op": "incr", "key": "me"}])
    client.leave()
    settle(rooms)
    assert values(rooms) == {"me": 1}


def test_a_lock_is_taken_once_and_free_when_its_holder_is_gone() -> None:
    rooms = Rooms()
    first, second = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)
    session(first, grace=GRACE)
    assert put(first, "lock", "first", ifRev=0)["data"]["ok"] is True
    refused = put(second, "lock", "second", ifRev=0)
    assert refused["code"] == "conflict"
    first.leave()
    settle(rooms, GRACE - 1)
    assert put(second, "lock", "second", ifRev=0)["code"] == "conflict"
    settle(rooms, 1)
    assert put(second, "lock", "second", ifRev=0)["data"]["ok"] is True


def test_entries_of_mset_and_operations_of_txn_can_be_ephemeral() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    entries = [{"key": "a", "value": "1", "ephemeral": True}, {"key": "b", "value": "2"}]
    client.ask({"type": "mset", "entries": entries})
    ops = [
        {"op": "incr", "key": "c", "ephemeral": True},
        {"op": "incr", "key": "d"},
        {"op": "append", "key": "e", "value": 1, "ephemeral": True},
    ]
    client.ask({"type": "txn", "ops": ops})
    client.leave()
    settle(rooms)
    assert values(rooms) == {"b": "2", "d": 1}


def test_ephemeral_must_be_a_boolean() -> None:
    client = Rooms().client(Dialect.DUNENA)
    (error,) = client.ask({"type": "set", "key": "a", "value": "1", "ephemeral": "yes"})
    assert error["data"] == "Ephemeral must be a boolean"


def test_a_session_owns_only_so_many_keys_and_room_becomes_free() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    entries = [{"key": f"k{n}", "value": "", "ephemeral": True} for n in range(SESSION_KEYS_MAX)]
    client.ask({"type": "mset", "entries": entries})
    error = put(client, "more")
    assert error["data"] == f"Ephemeral keys exceed max count ({SESSION_KEYS_MAX})"
    assert error["code"] == "limit"
    assert put(client, "k0", "again")["type"] == "result"
    swap = [{"op": "delete", "key": "k1"}, {"op": "set", "key": "x", "value": 1, "ephemeral": True}]
    assert ask(client, type="txn", ops=swap)["type"] == "result"
    rooms.client(Dialect.DUNENA).ask({"type": "set", "key": "k2", "value": "mine"})
    assert put(client, "more")["type"] == "result"
    client.leave()
    settle(rooms)
    assert values(rooms) == {"k2": "mine"}


def test_an_ephemeral_key_expires_like_any_other_and_stays_ephemeral_with_then() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    put(client, "short", ttl=100)
    put(client, "later", {"on": True}, ttl=100, then={"on": False})
    rooms.now += 100
    rooms.tick.expire()
    rooms.tick.end()
    assert values(rooms) == {"later": {"on": False}}
    assert stored_changes(rooms.engine.committed) == []
    client.leave()
    settle(rooms)
    assert values(rooms) == {}


def test_eviction_and_clear_take_ephemeral_keys_and_the_end_of_the_session_finds_none() -> None:
    rooms = Rooms(Limits(entries_max=2, eviction=Eviction.LRU))
    client = rooms.client(Dialect.DUNENA)
    for key in "abc":
        put(client, key)
    assert sorted(values(rooms)) == ["b", "c"]
    rooms.tick.run(lambda _message, _now: rooms.store.clear(), None)
    rooms.tick.end()
    revision = rooms.store.revision
    client.leave()
    settle(rooms)
    assert rooms.store.revision == revision


# --- wills ---


def test_a_will_that_fails_is_dropped_and_the_keys_go_all_the_same() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    session(client, will=[{"op": "set", "key": "x", "value": 1}, {"op": "incr", "key": "text"}])
    put(client, "me")
    rooms.client(Dialect.OBJECT_STORE).ask({"action": "set", "key": "text", "value": [1]})
    client.leave()
    settle(rooms)
    assert values(rooms) == {"text": [1]}
    assert rooms.sessions.table.failed_wills == 1
    assert len(rooms.sessions.table) == 0


def test_a_will_can_set_a_key_of_its_own_session_in_the_same_change() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    session(client, will=[{"op": "set", "key": "me", "value": "offline"}])
    put(client, "me", "online")
    client.leave()
    settle(rooms)
    assert values(rooms) == {"me": "offline"}
    assert not isinstance(rooms.store.table.find("", "me"), EphemeralEntry)


def test_a_will_without_rights_is_refused_when_it_is_set() -> None:
    rooms = Rooms()
    grant = Grant("some", frozenset({Right.READ, Right.WRITE}), keys=("mine-*",))
    client = rooms.client(Dialect.DUNENA, Views(rooms.services).of(grant), grant=grant)
    error = session(client, will=[{"op": "set", "key": "other", "value": 1}])
    assert error["data"] == 'will op 0: Not permitted: write "other"'
    assert session(client, will=[{"op": "set", "key": "mine-1", "value": 1}])["resumed"] is False


def test_a_will_runs_with_the_rights_that_its_token_has_at_the_end() -> None:
    rooms = Rooms()
    grant = Grant("some", frozenset({Right.READ, Right.WRITE}))
    client = rooms.client(Dialect.DUNENA, Views(rooms.services).of(grant), grant=grant)
    session(client, grace=GRACE, will=[{"op": "set", "key": "x", "value": 1}])
    put(client, "me")
    client.leave()
    less = Grant("some", frozenset({Right.READ}))
    rooms.sessions.table.change_rights(lambda _: less, rooms.now)
    settle(rooms, GRACE)
    assert values(rooms) == {}
    assert rooms.sessions.table.failed_wills == 1


def test_keys_go_and_the_will_does_not_run_when_the_token_became_invalid() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    session(client, grace=GRACE, will=[{"op": "set", "key": "x", "value": 1}])
    put(client, "me")
    client.leave()
    rooms.sessions.table.change_rights(lambda _: None, rooms.now)
    settle(rooms)
    assert values(rooms) == {}


def test_a_will_can_be_replaced_and_removed() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    session(client, will=[{"op": "set", "key": "x", "value": 1}])
    session(client, will=[{"op": "set", "key": "y", "value": 1}])
    other = rooms.client(Dialect.DUNENA)
    session(other, will=[{"op": "set", "key": "z", "value": 1}])
    session(other, will=[])
    client.leave()
    other.leave()
    settle(rooms)
    assert values(rooms) == {"y": 1}


# --- refused changes ---


def test_a_session_that_ends_while_changes_are_refused_ends_when_they_are_not() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    session(client, will=[{"op": "incr", "key": "left"}])
    put(client, "me")
    rooms.engine.reason = "disk full"
    client.leave()
    settle(rooms)
    assert values(rooms) == {"me": "here"}
    assert rooms.sessions.table.postponed_count == 1
    assert health(rooms) == {
        "status": "degraded",
        "reason": "the end of sessions cannot be stored and is tried again",
        "count": 1,
    }
    settle(rooms, 1000)
    assert values(rooms) == {"me": "here"}
    rooms.engine.reason = None
    rooms.tick.probe()
    settle(rooms, 1000)
    assert values(rooms) == {"left": 1}
    assert health(rooms) == {"status": "healthy"}
    settle(rooms, 10_000)
    assert values(rooms) == {"left": 1}


def test_an_end_whose_sync_failed_is_tried_again_as_a_whole() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    client = rooms.client(Dialect.DUNENA)
    client.say({"type": "session", "will": [{"op": "incr", "key": "left"}]})
    client.say({"type": "set", "key": "me", "value": "here", "ephemeral": True})
    rooms.tick.end()
    engine.release()
    client.leave()
    settle(rooms)
    assert values(rooms) == {"left": 1}
    assert len(rooms.sessions.table) == 0
    engine.release("input/output error")
    assert values(rooms) == {"me": "here"}
    assert rooms.sessions.table.postponed_count == 1
    rooms.tick.probe()
    settle(rooms, 1000)
    engine.release()
    assert values(rooms) == {"left": 1}
    assert rooms.sessions.table.ended_count == 1


def test_a_refused_ephemeral_write_leaves_what_stood_before() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    client.ask({"type": "set", "key": "a", "value": "stored"})
    put(client, "b", "mine")
    rooms.engine.reason = "disk full"
    assert put(client, "a", "ephemeral")["data"].startswith("Storage error: disk full")
    assert ask(client, type="set", key="b", value="stored")["type"] == "error"
    assert values(rooms) == {"a": "stored", "b": "mine"}
    rooms.engine.reason = None
    rooms.tick.probe()
    client.leave()
    settle(rooms)
    assert values(rooms) == {"a": "stored"}


def test_a_session_message_in_a_refused_tick_begins_one_session() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    rooms.engine.reason = "disk full"
    client.say({"type": "set", "key": "a", "value": "1"})
    client.say({"type": "session", "grace": GRACE})
    refused, answered = client.heard()
    assert refused["type"] == "error"
    assert answered["data"]["resumed"] is False
    assert len(rooms.sessions.table) == 1


def test_many_sessions_that_end_at_once_end_in_several_turns() -> None:
    rooms = Rooms()
    clients = [rooms.client(Dialect.DUNENA) for _ in range(300)]
    for number, client in enumerate(clients):
        put(client, f"k{number}")
    for client in clients:
        client.leave()
    rooms.pass_time(0)
    rooms.tick.end()
    assert 0 < len(values(rooms)) < 300
    for _ in range(5):
        settle(rooms)
    assert values(rooms) == {}
