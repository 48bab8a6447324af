"""The dunena dialect: the reply to each message, and the events of every change."""

import json
import uuid
from typing import Any

import pytest

from tests.protocol.clients import Client, Clients, http, now_ms, timestamps_from, unique
from tests.support.server import ServerProcess

EXPIRY_LATE_MS_MAX = 50
"""The contract's figure."""

SCHEDULING_MS = 100
"""What a busy machine may add to it."""


def reply_to(client: Client, message: dict[str, Any]) -> dict[str, Any]:
    """The reply without its timestamp, which must be the time of the exchange."""
    before = timestamps_from()
    reply = client.ask(message)
    timestamp = reply.pop("timestamp")
    assert type(timestamp) is int
    assert before <= timestamp <= now_ms()
    return reply


def result(client: Client, message: dict[str, Any]) -> Any:
    """The data of a result, and nothing else beside it."""
    reply = reply_to(client, message)
    assert set(reply) == {"type", "data"}
    assert reply["type"] == "result"
    return reply["data"]


# --- connect and ping ---


def test_a_client_is_greeted_with_its_id(clients: Clients):
    before = timestamps_from()
    greetings = [clients.any().receive() for _ in range(2)]
    for greeting in greetings:
        assert set(greeting) == {"type", "data", "timestamp"}
        assert greeting["type"] == "connected"
        assert set(greeting["data"]) == {"id"}
        assert str(uuid.UUID(greeting["data"]["id"])) == greeting["data"]["id"]
        assert before <= greeting["timestamp"] <= now_ms()
    assert greetings[0]["data"] != greetings[1]["data"]


def test_ping_is_answered_with_pong(dunena: Client):
    assert reply_to(dunena, {"type": "ping"}) == {"type": "pong"}


# --- get, set, del ---


def test_get_returns_the_value_of_a_set(dunena: Client):
    key = unique()
    assert result(dunena, {"type": "set", "key": key, "value": "hello"}) == {"key": key, "ok": True}
    assert result(dunena, {"type": "get", "key": key}) == {"key": key, "value": "hello"}


def test_get_of_a_missing_key_is_null(dunena: Client):
    key = unique()
    assert result(dunena, {"type": "get", "key": key}) == {"key": key, "value": None}


@pytest.mark.parametrize(
    "value", ["", " ", "a\nb\t\0\x1f", '"quoted" \\ /', "żółw 🐢 \u2028", "x" * 100_000]
)
def test_get_returns_a_string_unchanged(dunena: Client, value: str):
    key = unique()
    result(dunena, {"type": "set", "key": key, "value": value})
    assert result(dunena, {"type": "get", "key": key})["value"] == value


def test_a_key_may_contain_every_printable_ascii_character(dunena: Client):
    key = unique() + "".join(map(chr, range(0x20, 0x7F)))
    result(dunena, {"type": "set", "key": key, "value": "v"})
    assert result(dunena, {"type": "get", "key": key}) == {"key": key, "value": "v"}


def test_set_replaces_a_value(dunena: Client):
    key = unique()
    for value in ("one", "two"):
        result(dunena, {"type": "set", "key": key, "value": value})
    assert result(dunena, {"type": "get", "key": key})["value"] == "two"


def test_keys_are_case_sensitive(dunena: Client):
    key = unique("Case")
    result(dunena, {"type": "set", "key": key, "value": "v"})
    assert result(dunena, {"type": "get", "key": key.lower()})["value"] is None


def test_del_deletes_a_key_and_reports_whether_it_existed(dunena: Client):
    key = unique()
    result(dunena, {"type": "set", "key": key, "value": "v"})
    for was_there in (True, False):
        data = result(dunena, {"type": "del", "key": key})
        assert data == {"key": key, "deleted": was_there}
    assert result(dunena, {"type": "get", "key": key})["value"] is None


def test_a_namespace_has_keys_of_its_own(dunena: Client):
    key, ns = unique(), unique("ns")
    result(dunena, {"type": "set", "key": key, "value": "inside", "ns": ns})
    assert result(dunena, {"type": "get", "key": key})["value"] is None
    result(dunena, {"type": "set", "key": key, "value": "outside"})
    assert result(dunena, {"type": "get", "key": key, "ns": ns}) == {"key": key, "value": "inside"}
    assert result(dunena, {"type": "del", "key": key, "ns": ns}) == {"key": key, "deleted": True}
    assert result(dunena, {"type": "get", "key": key})["value"] == "outside"


def test_a_slash_in_a_key_does_not_name_a_namespace(dunena: Client):
    ns = unique("ns")
    result(dunena, {"type": "set", "key": "b/c", "value": "v", "ns": ns})
    for other in ({"key": "c", "ns": f"{ns}/b"}, {"key": f"{ns}/b/c"}, {"key": f"{ns}:b/c"}):
        assert result(dunena, {"type": "get", **other})["value"] is None


# --- mget, mset ---


def test_mget_answers_values_and_null_for_missing_keys_in_order(dunena: Client):
    there, missing = unique(), unique()
    result(dunena, {"type": "set", "key": there, "value": "v"})
    data = result(dunena, {"type": "mget", "keys": [missing, there]})
    assert data == {"result": {missing: None, there: "v"}}
    assert list(data["result"]) == [missing, there], "in the order of the request"


def test_mget_answers_no_keys_and_duplicate_keys(dunena: Client):
    key = unique()
    assert result(dunena, {"type": "mget", "keys": []}) == {"result": {}}
    assert result(dunena, {"type": "mget", "keys": [key, key]}) == {"result": {key: None}}


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        ("", ""),
        ("ключ", "ключ"),
        ("a\nb", "a\nb"),
        ("x" * 513, "x" * 513),
        (None, "null"),
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (["k"], '["k"]'),
        ({}, "{}"),
    ],
)
def test_mget_answers_null_for_an_invalid_key(
    dunena: Client, shared_server: ServerProcess, bad: Any, shown: str
):
    key = unique()
    result(dunena, {"type": "set", "key": key, "value": "v"})
    wanted = {shown: None, key: "v"}
    data = result(dunena, {"type": "mget", "keys": [bad, key, bad]})
    assert data == {"result": wanted}
    body = {"action": "mget", "keys": [key, bad]}
    assert http(shared_server, "POST", "/cache", body).json == {"result": wanted}


def test_mget_of_the_key_1_and_the_number_1_answers_the_value(dunena: Client):
    result(dunena, {"type": "set", "key": "1", "value": "v"})
    for keys in ([1, "1"], ["1", 1]):
        assert result(dunena, {"type": "mget", "keys": keys}) == {"result": {"1": "v"}}
    result(dunena, {"type": "del", "key": "1"})


def test_invalid_mget_keys_count_towards_the_reply_size_limit(dunena: Client):
    error = dunena.ask({"type": "mget", "keys": ["x" * 9_000_000]})
    assert error["data"] == "Values exceed max size of one reply (8388608 bytes)"


def test_mget_reads_keys_of_its_namespace(dunena: Client):
    key, ns = unique(), unique("ns")
    result(dunena, {"type": "set", "key": key, "value": "v", "ns": ns})
    assert result(dunena, {"type": "mget", "keys": [key]})["result"] == {key: None}
    assert result(dunena, {"type": "mget", "keys": [key], "ns": ns})["result"] == {key: "v"}


def test_mset_stores_every_entry(dunena: Client):
    one, two, ns = unique(), unique(), unique("ns")
    entries = [{"key": one, "value": "1"}, {"key": two, "value": "2", "ttl": 60_000}]
    assert result(dunena, {"type": "mset", "entries": entries, "ns": ns}) == {"stored": 2}
    data = result(dunena, {"type": "mget", "keys": [one, two], "ns": ns})
    assert data["result"] == {one: "1", two: "2"}
    assert result(dunena, {"type": "get", "key": one})["value"] is None


def test_mset_without_entries_stores_0(dunena: Client):
    assert result(dunena, {"type": "mset", "entries": []}) == {"stored": 0}


def test_mset_with_a_key_twice_keeps_the_last(dunena: Client):
    key = unique()
    entries = [{"key": key, "value": "first"}, {"key": key, "value": "last"}]
    assert result(dunena, {"type": "mset", "entries": entries}) == {"stored": 2}
    assert result(dunena, {"type": "get", "key": key})["value"] == "last"


@pytest.mark.parametrize("bad", [{"key": ""}, {"value": 1}, {"ttl": -1}, None, []])
def test_mset_stores_all_or_nothing(dunena: Client, bad: Any):
    first, last = unique(), unique()
    wrong = {"key": unique(), "value": "v", **bad} if isinstance(bad, dict) else bad
    entries = [{"key": first, "value": "v"}, wrong, {"key": last, "value": "v"}]
    assert dunena.ask({"type": "mset", "entries": entries})["type"] == "error"
    assert dunena.events(first) == []
    assert set(result(dunena, {"type": "mget", "keys": [first, last]})["result"].values()) == {None}


# --- id, order ---


@pytest.mark.parametrize(
    "request_id", ["a", "", "ключ", 0, 7, -1, 2**53 + 1, 2**64 - 1, -(2**63), 1.5, -0.25]
)
@pytest.mark.parametrize("message", [{"type": "ping"}, {"type": "get", "key": "k"}, {"type": "x"}])
def test_a_reply_has_the_id_of_its_request(
    dunena: Client, message: dict[str, Any], request_id: Any
):
    reply = dunena.ask({**message, "id": request_id})
    assert reply["id"] == request_id
    assert type(reply["id"]) is type(request_id)


@pytest.mark.parametrize("request_id", [None, True, False, {"a": 1}, [1]])
def test_an_id_that_is_no_string_or_number_is_ignored(dunena: Client, request_id: Any):
    assert set(dunena.ask({"type": "ping", "id": request_id})) == {"type", "timestamp"}
    assert set(dunena.ask({"type": "x", "id": request_id})) == {"type", "data", "timestamp"}


def test_every_kind_of_reply_carries_the_id(dunena: Client):
    key = unique()
    messages = [
        {"type": "set", "key": key, "value": "v"},
        {"type": "get", "key": key},
        {"type": "mget", "keys": [key]},
        {"type": "mset", "entries": []},
        {"type": "del", "key": key},
        {"type": "subscribe", "channel": key},
    ]
    for number, message in enumerate(messages):
        assert dunena.ask({**message, "id": number})["id"] == number


def test_a_thousand_pipelined_requests_are_answered_in_order(clients: Clients):
    client = clients.dunena()
    key = unique()
    client.ask({"type": "unsubscribe", "channel": "cache-events"} | {"type": "ping"})
    client.send({"type": "unsubscribe", "channel": "cache-events"})
    for number in range(1000):
        kind = ("set", "get", "ping", "nonsense")[number % 4]
        client.send({"type": kind, "id": number, "key": key, "value": str(number)})
    for number in range(1000):
        reply = client.receive()
        assert reply["id"] == number
        assert reply["type"] == ("result", "result", "pong", "error")[number % 4]
        if number % 4 == 1:
            assert reply["data"]["value"] == str(number - 1), "it sees the set before it"


def test_unknown_fields_are_ignored(dunena: Client):
    key = unique()
    message = {"type": "set", "key": key, "value": "v", "flags": [1], "nested": {"deep": {}}}
    assert result(dunena, message) == {"key": key, "ok": True}


# --- events ---


def assert_event(event: dict[str, Any], kind: str, data: dict[str, Any], since: int) -> None:
    """An event has exactly its four fields."""
    timestamp = event.pop("timestamp")
    assert event == {"channel": "cache", "event": kind, "data": data}
    assert type(timestamp) is int
    assert since <= timestamp <= now_ms()


@pytest.mark.parametrize("has_namespace", [False, True])
def test_set_delete_and_expiry_send_events(clients: Clients, *, has_namespace: bool):
    writer, listener = clients.dunena(), clients.dunena()
    key, since = unique(), timestamps_from()
    where = {"ns": unique("ns")} if has_namespace else {}
    writer.ask({"type": "set", "key": key, "value": "żółw", **where})
    assert_event(listener.event(key), "set", {"key": key, "size": 7, **where}, since)
    writer.ask({"type": "del", "key": key, **where})
    assert_event(listener.event(key), "delete", {"key": key, **where}, since)
    writer.ask({"type": "set", "key": key, "value": "v", "ttl": 1, **where})
    assert_event(listener.event(key), "set", {"key": key, "size": 1, **where}, since)
    assert_event(listener.event(key), "expired", {"key": key, **where}, since)


def test_flush_sends_one_event(clients: Clients, shared_server: ServerProcess):
    listener = clients.dunena()
    key, since = unique(), timestamps_from()
    listener.ask({"type": "set", "key": key, "value": "v"})
    listener.ask({"type": "set", "key": key, "value": "v", "ns": "app"})
    listener.heard()
    http(shared_server, "POST", "/flush")
    (event,) = listener.heard()
    assert_event(event, "clear", {}, since)
    assert listener.ask({"type": "get", "key": key})["data"]["value"] is None


def test_the_sender_of_a_change_gets_its_event(dunena: Client):
    key = unique()
    dunena.send({"type": "set", "key": key, "value": "v"})
    assert dunena.event(key)["event"] == "set"


def test_a_set_of_the_same_value_sends_an_event(dunena: Client):
    key = unique()
    for _ in range(2):
        dunena.send({"type": "set", "key": key, "value": "same"})
    assert [event["event"] for event in dunena.events(key)] == ["set", "set"]


def test_reading_and_deleting_a_missing_key_send_no_event(dunena: Client):
    key = unique()
    dunena.ask({"type": "get", "key": key})
    dunena.ask({"type": "del", "key": key})
    dunena.ask({"type": "mget", "keys": [key]})
    assert dunena.events(key) == []


def test_events_of_an_mset_are_in_the_order_of_its_entries(clients: Clients):
    listener = clients.dunena()
    keys = [unique() for _ in range(20)]
    entries = [{"key": key, "value": "v" * size} for size, key in enumerate(keys)]
    clients.dunena().ask({"type": "mset", "entries": entries})
    data = [message["data"] for message in listener.heard()]
    assert data == [{"key": key, "size": size} for size, key in enumerate(keys)]


@pytest.mark.parametrize(
    ("value", "size"),
    [("", 0), ('a"\\b', 4), ("é🐢", 6), ("\n", 1)],
)
def test_the_size_in_an_event_is_the_utf_8_length_of_the_string(
    dunena: Client, value: str, size: int
):
    key = unique()
    dunena.send({"type": "set", "key": key, "value": value})
    assert dunena.event(key)["data"]["size"] == size


def test_unsubscribe_sends_no_reply_and_ends_the_events(clients: Clients):
    listener, writer = clients.dunena(), clients.dunena()
    key = unique()
    listener.send({"type": "unsubscribe", "channel": "cache-events", "id": 1})
    assert listener.heard() == []
    writer.ask({"type": "set", "key": key, "value": "v"})
    assert listener.heard() == []


def test_subscribe_is_confirmed_and_resumes_the_events(clients: Clients):
    listener, writer = clients.dunena(), clients.dunena()
    key = unique()
    listener.send({"type": "unsubscribe", "channel": "cache-events"})
    for _ in range(2):  # a second time changes nothing
        reply = reply_to(listener, {"type": "subscribe", "channel": "cache-events"})
        assert reply == {"type": "subscribed", "data": {"channel": "cache-events"}}
    writer.ask({"type": "set", "key": key, "value": "v"})
    assert len(listener.events(key)) == 1


def test_subscribing_to_an_unused_channel_is_confirmed_and_sends_no_events(clients: Clients):
    listener, writer = clients.dunena(), clients.dunena()
    listener.send({"type": "unsubscribe", "channel": "cache-events"})
    reply = reply_to(listener, {"type": "subscribe", "channel": "news"})
    assert reply == {"type": "subscribed", "data": {"channel": "news"}}
    writer.ask({"type": "set", "key": unique(), "value": "v"})
    assert listener.heard() == []


def test_unsubscribing_from_a_channel_never_followed_sends_nothing(dunena: Client):
    dunena.send({"type": "unsubscribe", "channel": "never"})
    assert dunena.heard() == []


# --- expiry ---


def assert_in_time(event: dict[str, Any], written_at: int, ttl: int) -> None:
    late = event["timestamp"] - (written_at + ttl)
    assert 0 <= late <= EXPIRY_LATE_MS_MAX + SCHEDULING_MS, f"{late} ms late"
    arrived = now_ms() - (written_at + ttl)
    assert arrived <= EXPIRY_LATE_MS_MAX + SCHEDULING_MS, f"{arrived} ms late at the client"


@pytest.mark.parametrize("ttl", [1, 60, 250])
def test_an_expired_event_arrives_within_50_ms(dunena: Client, ttl: int):
    key = unique()
    dunena.heard()  # so that nothing else keeps the server awake
    written_at = dunena.ask({"type": "set", "key": key, "value": "v", "ttl": ttl})["timestamp"]
    assert_in_time(dunena.event(key, "expired"), written_at, ttl)
    assert dunena.ask({"type": "get", "key": key})["data"]["value"] is None


def test_each_key_of_an_mset_expires_at_its_own_time(dunena: Client):
    keys = {unique(): ttl for ttl in (300, 100, 200, 150, 100)}
    entries = [{"key": key, "value": "v", "ttl": ttl} for key, ttl in keys.items()]
    written_at = dunena.ask({"type": "mset", "entries": entries})["timestamp"]
    expired = []
    while len(expired) < len(keys):
        event = dunena.receive()
        if event.get("event") == "expired":
            assert_in_time(event, written_at, keys[event["data"]["key"]])
            expired.append(event["data"]["key"])
    assert [keys[key] for key in expired] == [100, 100, 150, 200, 300]


def test_a_key_is_readable_until_its_deadline_and_not_after(dunena: Client):
    key, ttl = unique(), 120
    written_at = dunena.ask({"type": "set", "key": key, "value": "v", "ttl": ttl})["timestamp"]
    value: str | None = "v"
    while value is not None:
        reply = dunena.ask({"type": "get", "key": key})
        value = reply["data"]["value"]
        assert (value is None) == (reply["timestamp"] >= written_at + ttl)


@pytest.mark.parametrize("again", [{}, {"ttl": 0}, {"ttl": 60_000}])
def test_a_new_set_replaces_the_time_to_live(dunena: Client, again: dict[str, int]):
    key, later = unique(), unique()
    dunena.ask({"type": "set", "key": key, "value": "v", "ttl": 40})
    dunena.ask({"type": "set", "key": key, "value": "v", **again})
    dunena.ask({"type": "set", "key": later, "value": "v", "ttl": 80})
    dunena.event(later, "expired")
    assert dunena.ask({"type": "get", "key": key})["data"]["value"] == "v"


def test_a_deleted_key_does_not_expire(dunena: Client):
    key, later = unique(), unique()
    dunena.ask({"type": "set", "key": key, "value": "v", "ttl": 40})
    dunena.ask({"type": "del", "key": key})
    dunena.ask({"type": "set", "key": later, "value": "v", "ttl": 80})
    seen = []
    while not seen or seen[-1]["data"]["key"] != later:
        seen += [message for message in [dunena.receive()] if message.get("event") == "expired"]
    assert [event["data"]["key"] for event in seen] == [later]


@pytest.mark.parametrize("ttl", [2**31, 2**53, 2**63, 2**64 - 1])
def test_a_very_long_ttl_is_accepted(dunena: Client, ttl: int):
    key = unique()
    result(dunena, {"type": "set", "key": key, "value": "v", "ttl": ttl})
    assert result(dunena, {"type": "get", "key": key})["value"] == "v"


# --- values of the other dialect ---


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("42", "42"),
        ("-0.5", "-0.5"),
        ("true", "true"),
        ("null", "null"),
        ("[ ]", "[]"),
        ('{ "b" : [1, 2.50] , "a" : "é" }', '{"b":[1,2.5],"a":"é"}'),
        ("18446744073709551615", "18446744073709551615"),
        ('"text"', "text"),
        ('"\\"quoted\\""', '"quoted"'),
    ],
)
def test_a_value_of_the_object_store_dialect_is_read_as_compact_json(
    clients: Clients, sent: str, read: str
):
    listener, writer = clients.dunena(), clients.objects()
    key = unique()
    writer.send(f'{{"action":"set","key":{json.dumps(key)},"value":{sent}}}')
    writer.heard()
    assert listener.event(key)["data"] == {"key": key, "size": len(read.encode())}
    assert result(listener, {"type": "get", "key": key}) == {"key": key, "value": read}
    assert result(listener, {"type": "mget", "keys": [key]}) == {"result": {key: read}}


def test_a_non_ascii_key_of_the_object_store_dialect_sends_an_event(clients: Clients):
    listener, writer = clients.dunena(), clients.objects()
    key = unique("ключ-🐢")
    writer.send({"action": "set", "key": key, "value": 1})
    assert listener.event(key)["data"] == {"key": key, "size": 1}
