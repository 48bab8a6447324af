"""Messages of operations without sockets: refused commits, repeated requests, history, clock."""

from typing import Any

import pytest

from dunena.dialects.dialect import Dialect
from dunena.store.history import History
from dunena.store.limits import ANSWER_MS_MAX, REPLY_VALUES_BYTES_MAX
from tests.support.rooms import Client, HoldingEngine, Rooms

FULL = "Storage error: disk full; nothing was stored"


def data_of(client: Client, message: dict[str, Any]) -> Any:
    """The data of the answer to a message of the object store, which gets an id."""
    (answer,) = [answer for answer in client.ask({**message, "id": 1}) if "id" in answer]
    assert answer.pop("id") == 1
    return answer.pop("result", answer)


def values(rooms: Rooms) -> dict[str, bytes]:
    return {entry.key: entry.value for entry in rooms.store.entries()}


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def client(rooms: Rooms) -> Client:
    return rooms.client(Dialect.OBJECT_STORE)


OPERATIONS: list[dict[str, Any]] = [
    {"action": "incr", "key": "k"},
    {"action": "set", "key": "k", "value": 2, "ifRev": 1},
    {"action": "delete", "key": "k"},
    {"action": "patch", "key": "k", "patch": []},
    {"action": "touch", "key": "k", "ttl": 5},
    {"action": "timer", "key": "t", "do": "start"},
    {"action": "txn", "ops": [{"op": "incr", "key": "k"}, {"op": "incr", "key": "l"}]},
]


@pytest.mark.parametrize("message", OPERATIONS)
def test_nothing_is_left_of_a_refused_operation(
    rooms: Rooms, client: Client, message: dict[str, Any]
) -> None:
    client.ask({"action": "set", "key": "k", "value": 1})
    follower = rooms.client(Dialect.OBJECT_STORE)
    for key in ("k", "l", "t"):
        follower.ask({"action": "subscribe", "key": key})
    before = values(rooms)
    rooms.engine.reason = "disk full"
    assert data_of(client, message) == {"error": FULL, "code": "storage"}
    once = {**message, "idempotencyKey": "once"}
    assert data_of(client, once) == {"error": FULL, "code": "storage"}
    assert values(rooms) == before
    assert rooms.store.revision == 1
    assert follower.heard() == []
    rooms.engine.reason = None
    answer = data_of(client, once)
    assert answer["rev"] > 1
    assert "duplicate" not in answer
    assert follower.heard() != []
    assert data_of(client, once) == answer | {"duplicate": True}


def test_a_request_and_its_repetition_are_refused_together(rooms: Rooms, client: Client) -> None:
    rooms.engine.reason = "disk full"
    for number in (1, 2):
        client.say({"action": "incr", "key": "k", "idempotencyKey": "once", "id": number})
    assert [answer["error"] for answer in client.heard()] == [FULL, FULL]
    rooms.engine.reason = None
    assert "duplicate" not in data_of(
        client, {"action": "incr", "key": "k", "idempotencyKey": "once"}
    )


def test_a_repetition_of_an_older_request_is_answered_in_a_refused_tick(
    rooms: Rooms, client: Client
) -> None:
    once = {"action": "incr", "key": "k", "idempotencyKey": "once"}
    first = data_of(client, once)
    rooms.engine.reason = "disk full"
    client.say({"action": "incr", "key": "l", "id": 1})
    client.say({**once, "id": 2})
    answers = client.heard()
    assert answers[0]["error"] == FULL
    assert answers[1]["result"] == first | {"duplicate": True}
    assert data_of(client, once)["duplicate"] is True


def test_a_held_commit_that_fails_is_not_remembered() -> None:
    rooms = Rooms(engine=HoldingEngine())
    assert isinstance(rooms.engine, HoldingEngine)
    client = rooms.client(Dialect.OBJECT_STORE)
    once = {"action": "incr", "key": "k", "idempotencyKey": "once", "id": 1}
    assert client.ask(once) == []
    assert client.ask(once) == []  # gathered behind it
    rooms.engine.release("disk full")
    assert [answer["error"] for answer in client.heard()] == [FULL, FULL]
    assert rooms.store.entry_count == 0
    assert client.ask(once) == []
    rooms.engine.release()
    (answer,) = client.heard()
    assert answer["result"].items() >= {"value": 1, "rev": 1}.items()
    assert "duplicate" not in answer["result"]


@pytest.mark.parametrize(
    ("message", "is_durable"),
    [
        ({"action": "incr", "key": "k", "durable": True}, True),
        ({"action": "incr", "key": "k", "durable": False}, False),
        ({"action": "txn", "ops": [{"op": "incr", "key": "k"}], "durable": True}, True),
        ({"action": "txn", "ops": [{"op": "incr", "key": "k", "durable": True},
                                   {"op": "incr", "key": "l"}]}, True),
        ({"action": "txn", "ops": [{"op": "incr", "key": "k"}]}, False),
        ({"type": "mset", "rev": True,
          "entries": [{"key": "k", "value": 1, "durable": True}]}, True),
        ({"type": "mset", "entries": [{"key": "k", "value": 1}], "rev": True,
          "durable": True}, True),
        ({"type": "mset", "entries": [{"key": "k", "value": 1}], "rev": True}, False),
    ],
)  # fmt: skip
def test_a_durable_operation_waits_for_the_device(
    message: dict[str, Any], is_durable: bool
) -> None:
    rooms = Rooms(engine=HoldingEngine(always=False))
    assert isinstance(rooms.engine, HoldingEngine)
    client = rooms.client()
    client.ask({"type": "unsubscribe", "channel": "cache-events"})
    answers = client.ask({**message, "id": 1})
    assert (answers == []) is is_durable
    if is_durable:
        rooms.engine.release()
        answers = client.heard()
    assert [answer["id"] for answer in answers] == [1]
    assert all(change.is_durable is is_durable for change in rooms.engine.committed)


def test_an_idempotency_key_is_free_again_after_two_minutes(rooms: Rooms, client: Client) -> None:
    once = {"action": "incr", "key": "k", "idempotencyKey": "once"}
    assert data_of(client, once)["value"] == 1
    rooms.now += ANSWER_MS_MAX
    assert data_of(client, once)["duplicate"] is True
    rooms.now += 1
    assert data_of(client, once)["value"] == 2


# --- history ---


@pytest.fixture
def remembering(rooms: Rooms, client: Client) -> Client:
    """A client of a server with history; the values 1, 2 and 3 of "k" stood for a second each."""
    rooms.store.history = History(10)
    for value in (1, 2, 3):
        rooms.now += 1000
        client.ask({"action": "set", "key": "k", "value": value})
    rooms.now += 1000
    return client


def test_history_has_the_present_value_and_the_earlier_ones(
    rooms: Rooms, remembering: Client
) -> None:
    entries = [
        {"rev": rev, "timestamp": rooms.now - ago, "value": rev}
        for rev, ago in ((3, 1000), (2, 2000), (1, 3000))
    ]
    history = {"action": "history", "key": "k"}
    position = {"rev": 3, "epoch": rooms.services.epoch}
    assert remembering.ask(history) == [{"result": {"key": "k", **position, "entries": entries}}]
    assert data_of(remembering, {**history, "limit": 2})["entries"] == entries[:2]
    assert data_of(remembering, {**history, "limit": 1.0})["entries"] == entries[:1]
    assert data_of(remembering, {**history, "ns": "show"})["entries"] == []
    remembering.ask({"action": "delete", "key": "k"})
    data = data_of(remembering, history)
    assert (data["rev"], data["entries"]) == (0, entries)


@pytest.mark.parametrize(("size", "count"), [(3_000_000, 2), (4_000_000, 2), (2_000_000, 4)])
def test_history_has_the_newest_values_that_fit_one_reply(
    rooms: Rooms, client: Client, size: int, count: int
) -> None:
    rooms.store.history = History(10)
    for number in range(5):
        rooms.now += 1000
        client.ask({"action": "set", "key": "k", "value": str(number) * size})
    entries = data_of(client, {"action": "history", "key": "k"})["entries"]
    assert [entry["value"][0] for entry in entries] == ["4", "3", "2", "1", "0"][:count]


def test_history_has_one_value_of_any_size(rooms: Rooms, client: Client) -> None:
    rooms.tick.run(
        lambda _, _now: rooms.store.set("", "k", b'"%b"' % (b"x" * REPLY_VALUES_BYTES_MAX)), None
    )
    assert len(data_of(client, {"action": "history", "key": "k"})["entries"]) == 1


def test_revert_makes_a_new_revision_of_an_earlier_value(remembering: Client) -> None:
    assert (
        data_of(remembering, {"action": "revert", "key": "k"}).items()
        >= {"value": 2, "rev": 4}.items()
    )
    reverted = data_of(remembering, {"action": "revert", "key": "k", "toRev": 1})
    assert reverted.items() >= {"value": 1, "rev": 5}.items()
    undone = data_of(remembering, {"action": "revert", "key": "k", "toRev": 3, "return": True})
    assert undone["value"] == 3
    refused = data_of(remembering, {"action": "revert", "key": "k", "toRev": 100})
    assert refused == {"error": "No such revision: 100", "code": "no_rev"}


@pytest.mark.parametrize(
    "message",
    [
        {"action": "touch", "key": "k", "ttl": 60_000},
        {"action": "set", "key": "k", "value": 3},
        {"action": "incr", "key": "k", "by": 0},
    ],
)
def test_what_changes_no_value_does_not_spoil_revert(
    rooms: Rooms, remembering: Client, message: dict[str, Any]
) -> None:
    for _ in range(20):
        remembering.ask(message)
        rooms.now += 1100
    data = data_of(remembering, {"action": "history", "key": "k"})
    assert [entry["value"] for entry in data["entries"]] == [3, 2, 1]
    assert data_of(remembering, {"action": "revert", "key": "k"})["value"] == 2


def test_revert_skips_what_is_the_present_value(rooms: Rooms, remembering: Client) -> None:
    for value in (4, 3):  # 4 does not stand long enough
        remembering.ask({"action": "set", "key": "k", "value": value})
    data = data_of(remembering, {"action": "history", "key": "k"})
    assert [entry["value"] for entry in data["entries"]] == [3, 3, 2, 1]
    assert data_of(remembering, {"action": "revert", "key": "k"})["value"] == 2


def test_there_may_be_no_other_value_to_revert_to(rooms: Rooms, client: Client) -> None:
    rooms.store.history = History(10)
    client.ask({"action": "set", "key": "k", "value": 1})
    rooms.now += 1000
    client.ask({"action": "touch", "key": "k", "ttl": 60_000})
    refused = data_of(client, {"action": "revert", "key": "k"})
    assert refused == {"error": "No such revision: 0", "code": "no_rev"}


def test_revert_brings_back_what_was_deleted(remembering: Client) -> None:
    remembering.ask({"action": "delete", "key": "k"})
    assert data_of(remembering, {"action": "revert", "key": "k", "ifRev": 0})["value"] == 3


def test_revert_of_a_part_leaves_the_rest(rooms: Rooms, remembering: Client) -> None:
    for value in ({"a": 1, "b": 1}, {"a": 2, "b": 2}, {"c": 3}):
        rooms.now += 1000
        remembering.ask({"action": "set", "key": "o", "value": value})
    revert = {"action": "revert", "key": "o", "path": "/a"}
    assert data_of(remembering, revert)["value"] == 2
    (update,) = remembering.ask({"action": "get", "key": "o"})
    assert update["value"] == {"c": 3, "a": 2}
    refused = data_of(remembering, {**revert, "path": "/d"})
    assert refused == {"error": 'Nothing at "/d" of "o"', "code": "no_path", "key": "o"}


def test_revert_is_part_of_a_txn(remembering: Client) -> None:
    ops = [{"op": "revert", "key": "k", "toRev": 1}, {"op": "incr", "key": "k", "by": 10}]
    data = data_of(remembering, {"action": "txn", "ops": ops})
    assert [result["value"] for result in data["results"]] == [1, 11]
    assert {result["rev"] for result in data["results"]} == {4}


# --- time ---


def test_a_timer_counts_by_the_clock_of_the_server(rooms: Rooms, client: Client) -> None:
    timer = {"action": "timer", "key": "t"}
    data_of(client, {**timer, "do": "set", "ms": 5000, "rate": -1})
    data_of(client, {**timer, "do": "start"})
    rooms.now += 2000
    stopped = data_of(client, {**timer, "do": "stop"})["value"]["timer"]
    assert stopped == {"at": rooms.now, "ms": 3000, "rate": -1, "running": False}
    data_of(client, {**timer, "do": "toggle"})
    rooms.now += 60_000
    assert data_of(client, {**timer, "do": "stop"})["value"]["timer"]["ms"] == 0


def test_operations_but_set_keep_the_expiry_and_touch_changes_it(
    rooms: Rooms, client: Client
) -> None:
    def expiry() -> int | None:
        entry = rooms.store.peek("", "k", rooms.now)
        assert entry is not None
        return None if entry.expires_at is None else entry.expires_at - rooms.now

    client.ask({"action": "incr", "key": "k", "ttl": 5000})
    rooms.now += 1000
    keeping: list[dict[str, Any]] = [
        {"action": "incr"},
        {"action": "merge", "value": {"a": 1}},
        {"action": "patch", "patch": []},
        {"action": "delete", "path": "/a"},
    ]
    for message in keeping:
        client.ask({**message, "key": "k"})
        assert expiry() == 4000
    client.ask({"action": "touch", "key": "k", "ttl": 9000})
    assert expiry() == 9000
    client.ask({"action": "set", "key": "k", "value": 1, "rev": True})
    assert expiry() is None
    client.ask({"action": "merge", "key": "k", "value": {}, "ttl": 100})
    assert expiry() == 100
    client.ask({"action": "touch", "key": "k", "ttl": 0})
    assert expiry() is None


def test_a_key_whose_time_has_come_does_not_exist_for_operations(
    rooms: Rooms, client: Client
) -> None:
    client.ask({"action": "set", "key": "k", "value": 5, "ttl": 10})
    rooms.now += 10
    data = data_of(client, {"action": "incr", "key": "k", "ifRev": 0})
    assert data["value"] == 1
