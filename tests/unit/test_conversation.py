"""Sessions in each dialect, without a socket."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import RateLimitedError
from dunena.dialects.services import Services
from dunena.dialects.subscriptions import ENDED_AT_ONCE_MAX
from dunena.store.limits import Limits
from tests.support.described import check_message
from tests.support.rooms import Client, Rooms

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
WRITES = ("merge", "patch", "incr", "append", "touch", "timer", "revert", "txn")
words = st.sampled_from(
    [
        *("ping", "get", "set", "del", "mget", "mset", "subscribe", "unsubscribe", "delete", "x"),
        *(*WRITES, "history", "watch", "unwatch", "publish", "session"),
    ]
)
paths = st.sampled_from(["", "/x", "/0", "/-", "x"])
revisions = st.none() | st.integers(0, 3)
operations = st.fixed_dictionaries(
    {},
    optional={
        "op": words,
        "key": words,
        "value": json_values,
        "path": paths,
        "patch": st.lists(
            st.fixed_dictionaries(
                {"op": st.sampled_from(["add", "remove", "test", "copy"]), "path": paths},
                optional={"value": json_values, "from": paths},
            ),
            max_size=2,
        ),
        "by": st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        "values": st.lists(json_values, max_size=2),
        "do": st.sampled_from(["start", "stop", "toggle", "set", "add"]),
        "ms": st.none() | st.integers(-(2**63), 2**64 - 1),
        "ifRev": revisions,
        "toRev": revisions,
        "ttl": st.none() | st.integers(0, 5),
        "return": st.booleans(),
    },
)
new_messages = st.builds(
    lambda operation, more: operation | more,
    operations,
    st.fixed_dictionaries(
        {},
        optional={
            "type": words,
            "action": words,
            "ops": st.lists(operations, max_size=3),
            "entries": st.lists(operations, max_size=3),
            "keys": st.lists(words, max_size=2),
            "id": st.integers(0, 3) | words,
            "rev": st.booleans(),
            "json": st.booleans(),
            "idempotencyKey": words,
        },
    ),
)
messages = st.dictionaries(
    st.sampled_from(
        [
            *("type", "action", "key", "value", "ttl", "ns", "keys", "entries", "channel", "id"),
            *("pattern", "path", "since", "maxRate", "data"),
        ]
    ),
    words
    | json_values
    | st.lists(
        st.dictionaries(st.sampled_from(["key", "value", "ttl"]), words | json_values), max_size=2
    ),
)


@given(
    st.lists(
        messages.map(orjson.dumps)
        | new_messages.map(orjson.dumps)
        | json_values.map(orjson.dumps)
        | st.binary(max_size=30),
        max_size=12,
    ),
    st.sampled_from(Dialect),
)
def test_any_message_gets_a_reply_in_its_dialect(texts: list[bytes], dialect: Dialect) -> None:
    rooms = Rooms(Limits(value_bytes_max=20))
    client = rooms.client(dialect)
    for text in texts:
        answers = client.ask(text)
        assert answers or may_be_silent(text, dialect)
        for message in answers:
            check_message(message)
            if dialect is Dialect.OBJECT_STORE:
                assert "timestamp" not in message
            elif dialect is Dialect.DUNENA:
                assert "timestamp" in message
    for entry in rooms.store.entries():
        assert entry.size <= 20


def may_be_silent(text: bytes, dialect: Dialect) -> bool:
    """Return whether a message of a client that chose ``dialect``, or none, may have no reply.

    The object store's dialect confirms no success, and dunena's answers no `unsubscribe`. A client
    that chose none may use both.
    """
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(message, dict):
        return False
    if dialect is Dialect.DUNENA or (dialect is Dialect.AUTO and "type" in message):
        return message.get("type") in ("unsubscribe", "unwatch")
    silent = ("set", "delete", "subscribe", "unsubscribe", "unwatch", "publish", *WRITES)
    return message.get("action") in silent


def test_closing_a_session_removes_its_subscriptions() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.AUTO)
    client.ask({"type": "subscribe", "channel": "other"})
    client.ask({"action": "subscribe", "key": "k", "ns": "n"})
    assert len(client.conversation.subscriptions) == 3
    assert rooms.services.hub.subscription_count == 3
    client.conversation.close()
    assert rooms.services.hub.subscription_count == 0


def test_closing_a_session_with_many_subscriptions_removes_them_in_portions() -> None:
    rooms = Rooms()
    left: list[Callable[[], bool]] = []
    rooms.services.hub.do_later = left.append
    client, other = rooms.client(Dialect.AUTO), rooms.client(Dialect.AUTO)
    count = 2 * ENDED_AT_ONCE_MAX
    for number in range(count):
        client.ask({"action": "subscribe", "key": f"k{number}"})
        client.ask({"type": "subscribe", "channel": f"c{number}"})
    before = rooms.services.hub.subscription_count
    client.conversation.close()
    assert before - rooms.services.hub.subscription_count == ENDED_AT_ONCE_MAX
    client.wire.writes.clear()
    for number in range(count):
        other.say({"action": "set", "key": f"k{number}", "value": 1})
    rooms.tick.end()
    assert client.wire.writes == []
    (portion,) = left
    while portion():
        pass
    assert rooms.services.hub.subscription_count == 0


def test_followers_of_a_key_are_sent_the_same_frame_object() -> None:
    rooms = Rooms()
    clients = [rooms.client(Dialect.OBJECT_STORE) for _ in range(3)]
    for client in clients:
        client.ask({"action": "subscribe", "key": "k"})
    clients[0].say({"action": "set", "key": "k", "value": [1]})
    rooms.tick.end()
    frames = {id(client.wire.writes[0]) for client in clients}
    assert len(frames) == 1


@pytest.mark.parametrize("size", [19, 20, 21])
def test_the_size_of_a_value_is_measured_without_escapes(size: int) -> None:
    rooms = Rooms(Limits(value_bytes_max=20))
    client = rooms.client()
    (reply,) = [
        m for m in client.ask({"type": "set", "key": "k", "value": "\n" * size}) if "type" in m
    ]
    if size <= 20:
        assert reply["data"] == {"key": "k", "ok": True}
    else:
        assert reply["data"] == "Value exceeds max size (20 bytes)"
    update = client.ask({"action": "set", "key": "j", "value": [7] * 9})
    assert [m["data"]["size"] for m in update if m.get("event") == "set"] == [19]


def test_a_flush_sends_null_to_followers_of_every_existing_key() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    for ns, key in (("", "a"), ("n", "a"), ("", "missing")):
        scope = {"ns": ns} if ns else {}
        client.say({"action": "subscribe", "key": key, **scope})
    client.say({"action": "set", "key": "a", "value": 1})
    client.say({"action": "set", "key": "a", "value": 2, "ns": "n"})
    client.heard()
    rooms.tick.run(lambda _, __: rooms.store.clear(), None)
    assert client.heard() == [
        {"key": "a", "value": None},
        {"key": "a", "value": None, "ns": "n"},
    ]


def test_subscriptions_beyond_the_limit_are_refused_naming_the_limit() -> None:
    rooms = Rooms(Limits(subscriptions_max=3))
    client = rooms.client()  # follows the events already
    for key in ("a", "b", "a"):
        assert client.ask({"type": "subscribe", "channel": key})[0]["type"] == "subscribed"
    full = "Subscriptions exceed max count (3)"
    assert client.ask({"type": "subscribe", "channel": "c"})[0]["data"] == full
    assert client.ask({"action": "subscribe", "key": "c"}) == [{"error": full}]
    client.ask({"type": "unsubscribe", "channel": "a"})
    assert client.ask({"action": "subscribe", "key": "c"}) == []
    assert len(client.conversation.subscriptions) == 3


@pytest.mark.parametrize("ttl", [2**53, 2**63, 2**64 - 1])
def test_an_infinite_ttl_expires_at_2_to_the_53(ttl: int) -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    assert client.ask({"action": "set", "key": "k", "value": 1, "ttl": ttl}) == []
    assert rooms.store.next_deadline == 2**53


NOT_OBJECTS = [b"[]", b'"type"', b"1", b"null", b"{}", b'{"key":"k"}']
MISSING = "Missing field: type"
INVALID = "Invalid message format"


def unopened(rooms: Rooms, dialect: Dialect, services: Services | None = None) -> Client:
    return Client(rooms, dialect, services)


def open_session(client: Client) -> list[dict]:
    client.rooms.tick.run(lambda _, now: client.conversation.open("test-id", now), None)
    return client.heard()


@pytest.mark.parametrize("dialect", Dialect)
def test_a_client_is_greeted_and_gets_events_unless_its_dialect_has_none(dialect: Dialect) -> None:
    rooms = Rooms()
    client = unopened(rooms, dialect)
    greeting = {"type": "connected", "data": {"id": "test-id"}, "timestamp": rooms.now}
    is_quiet = dialect is Dialect.OBJECT_STORE
    assert open_session(client) == ([] if is_quiet else [greeting])
    assert len(client.conversation.subscriptions) == (not is_quiet)
    other = rooms.client(Dialect.OBJECT_STORE)
    other.ask({"action": "set", "key": "k", "value": 1})
    assert [one["event"] for one in client.heard()] == ([] if is_quiet else ["set"])


def test_a_client_that_may_see_no_events_is_greeted_and_follows_none() -> None:
    rooms = Rooms()
    services = replace(rooms.services, events=None)
    client = unopened(rooms, Dialect.AUTO, services)
    assert [one["type"] for one in open_session(client)] == ["connected"]
    assert len(client.conversation.subscriptions) == 0
    assert client.ask({"action": "get", "key": "k"}) == [{"key": "k", "value": None}]


@pytest.mark.parametrize("text", NOT_OBJECTS)
def test_a_message_without_a_dialect_is_answered_in_that_of_the_connection(text: bytes) -> None:
    rooms = Rooms()
    timestamp = rooms.now
    undecided = {"type": "error", "data": MISSING, "timestamp": timestamp, "error": INVALID}
    dunena = {"type": "error", "data": MISSING, "timestamp": timestamp}
    for dialect, answer in (
        (Dialect.AUTO, undecided),
        (Dialect.DUNENA, dunena),
        (Dialect.OBJECT_STORE, {"error": INVALID}),
    ):
        assert rooms.client(dialect).ask(text) == [answer]


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        ({"type": "ping"}, {"type": "error", "data": "Invalid JSON"}),
        ({"action": "get", "key": "k"}, {"error": INVALID}),
    ],
)
def test_invalid_json_is_answered_in_the_dialect_of_the_first_message(
    first: dict[str, Any], answer: dict[str, Any]
) -> None:
    rooms = Rooms()
    client = rooms.client()
    both = {"type": "error", "data": "Invalid JSON", "error": INVALID, "timestamp": rooms.now}
    assert client.ask(b"{") == [both]
    client.ask(first)
    if "type" in answer:
        answer = {**answer, "timestamp": rooms.now}
    assert client.ask(b"{") == [answer]


def test_an_undecided_error_has_the_id_of_its_request() -> None:
    client = Rooms().client()
    (error,) = client.ask({"id": 7})
    assert (error["data"], error["error"], error["id"]) == (MISSING, INVALID, 7)


def test_a_client_without_a_hint_may_mix_both_dialects() -> None:
    client = Rooms().client()
    assert client.ask({"type": "ping"})[0]["type"] == "pong"
    assert client.ask({"action": "get", "key": "k"}) == [{"key": "k", "value": None}]
    assert client.ask({"action": "get", "type": "ping"})[0]["type"] == "pong"
    assert client.ask({"action": "x"}) == [{"error": INVALID}]
    assert client.ask({"type": "x"})[0]["data"] == "Unknown message type: x"


@pytest.mark.parametrize(
    ("dialect", "message", "answer"),
    [
        (Dialect.DUNENA, {"action": "get", "key": "k"}, {"type": "error", "data": MISSING}),
        (Dialect.OBJECT_STORE, {"type": "ping"}, {"error": INVALID}),
    ],
)
def test_a_client_that_chose_a_dialect_has_no_other(
    dialect: Dialect, message: dict[str, Any], answer: dict[str, Any]
) -> None:
    rooms = Rooms()
    client = rooms.client(dialect)
    (heard,) = client.ask(message)
    heard.pop("timestamp", None)
    assert heard == answer
    assert client.conversation.dialect is dialect
    both = {"type": "get", "action": "get", "key": "k"}
    (heard,) = client.ask(both)
    assert ("type" in heard) is (dialect is Dialect.DUNENA)


@pytest.mark.parametrize(
    ("first", "follows"),
    [
        ({"action": "get", "key": "k"}, False),
        ({"type": "ping"}, True),
        ({"type": "ping", "action": "get"}, True),
        ({}, True),
    ],
)
def test_a_client_that_begins_with_an_action_gets_no_more_events(
    first: dict[str, Any], follows: bool
) -> None:
    rooms = Rooms()
    client = rooms.client()
    client.ask(first)
    assert len(client.conversation.subscriptions) == follows
    client.ask({"type": "ping"})
    client.ask({"action": "get", "key": "k"})
    if "type" in first:
        assert len(client.conversation.subscriptions) == 1, "only the very first message counts"


def sessions_of(rooms: Rooms) -> dict[str, int]:
    return {one.value: count for one, count in rooms.services.stats.conversations.items()}


def test_sessions_are_counted_by_their_dialect() -> None:
    rooms = Rooms()
    client, other = rooms.client(), rooms.client(Dialect.DUNENA)
    assert sessions_of(rooms) == {"auto": 1, "dunena": 1, "object-store": 0}
    client.ask({})
    assert sessions_of(rooms) == {"auto": 1, "dunena": 1, "object-store": 0}
    client.ask({"action": "get", "key": "k"})
    client.ask({"type": "ping"})
    assert sessions_of(rooms) == {"auto": 0, "dunena": 1, "object-store": 1}
    for _ in range(2):
        client.conversation.close()
    other.conversation.close()
    assert sessions_of(rooms) == {"auto": 0, "dunena": 0, "object-store": 0}


def test_sessions_of_one_dialect_are_counted_together() -> None:
    rooms = Rooms()
    clients = [rooms.client() for _ in range(3)]
    rooms.client(Dialect.DUNENA)
    assert sessions_of(rooms) == {"auto": 3, "dunena": 1, "object-store": 0}
    for client in clients[:2]:
        (pong,) = client.ask({"type": "ping"})
        assert pong == {"type": "pong", "timestamp": rooms.now}
    assert sessions_of(rooms) == {"auto": 1, "dunena": 3, "object-store": 0}


def test_a_closed_session_is_not_counted_again_by_a_message() -> None:
    rooms = Rooms()
    client = rooms.client()
    client.conversation.close()
    client.conversation.receive(b'{"type":"ping"}', rooms.now)
    assert sessions_of(rooms) == {"auto": 0, "dunena": 0, "object-store": 0}


def test_an_answered_get_is_cached_by_its_bytes() -> None:
    rooms = Rooms()
    client, mixed = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.AUTO)
    text = b'{"action":"get","key":"k","ns":"n"}'

    def answer_cached(one: Client, question: bytes = text) -> tuple[bool, list[dict]]:
        answered = []
        rooms.tick.run(
            lambda _, now: answered.append(one.conversation.answer_cached_get(question, now)), None
        )
        return answered[0], one.heard()

    assert answer_cached(client) == (False, [])
    mixed.ask({"type": "ping", "action": "get", "key": "k"})
    client.ask({"action": "get"})
    client.ask({"action": "get", "key": "k", "type": "ping"})
    assert rooms.services.get_cache.entry_ids == {}
    client.ask(text)
    client.ask({"action": "set", "key": "k", "ns": "n", "value": 1, "ttl": 5})
    answer = {"key": "k", "value": 1, "ns": "n"}
    assert answer_cached(client) == (True, [answer])
    assert answer_cached(mixed)[0] is False
    assert answer_cached(client, text + b" ") == (False, [])
    rooms.now += 5
    assert answer_cached(client) == (True, [{**answer, "value": None}])
    assert rooms.services.stats.cached_gets == 2
    assert rooms.services.get_cache.entry_ids == {text: ("n", "k")}, "nothing but a get is kept"


def test_a_plain_get_of_the_dunena_dialect_is_answered_from_the_cache() -> None:
    rooms = Rooms()
    client, other = rooms.client(Dialect.DUNENA), rooms.client(Dialect.OBJECT_STORE)
    text = b'{"type":"get","key":"k","ns":"n"}'

    def answer_cached(one: Client, question: bytes = text) -> tuple[bool, list[dict]]:
        answered = []
        rooms.tick.run(
            lambda _, now: answered.append(one.conversation.answer_cached_get(question, now)), None
        )
        return answered[0], one.heard()

    assert answer_cached(client) == (False, [])
    for more in ({"id": 1}, {"json": True}, {"rev": True}, {"action": "get"}):
        client.ask({"type": "get", "key": "k", **more})
    client.ask({"type": "ping"})
    client.ask({"type": "del", "key": "k"})
    client.ask({"type": "get", "key": "\x01"})
    client.ask({"type": "get", "key": "x" * 300})
    assert rooms.services.get_cache.dunena_ids == {}
    assert client.ask(text)[0]["data"] == {"key": "k", "value": None}
    assert rooms.services.get_cache.dunena_ids == {text: ("n", "k")}, "nothing but a get is kept"
    assert client.conversation.is_cached_get(text)
    assert not other.conversation.is_cached_get(text)
    assert answer_cached(other) == (False, [])
    for value, data in (("a\n\u00fc", "a\n\u00fc"), (1.5, "1.5"), ([1, "x"], '[1,"x"]')):
        other.ask({"action": "set", "key": "k", "ns": "n", "value": value})
        client.heard()  # the event
        is_known, answers = answer_cached(client)
        assert is_known
        assert answers == client.ask(text)
        assert answers[0]["type"] == "result"
        assert answers[0]["data"] == {"key": "k", "value": data}
    assert rooms.services.stats.dunena["get"] == 7 + 2 * 3
    assert rooms.services.stats.cached_gets == 0
    assert rooms.services.get_cache.entry_ids == {}


def test_refuse_answers_in_the_dialect_and_counts() -> None:
    rooms = Rooms()
    for dialect, answer in (
        (Dialect.DUNENA, {"type": "error", "data": "Rate limit exceeded", "timestamp": rooms.now}),
        (Dialect.OBJECT_STORE, {"error": "Rate limit exceeded"}),
    ):
        client = rooms.client(dialect)
        rooms.tick.run(
            lambda _, now, one=client: one.conversation.refuse(RateLimitedError(), now), None
        )
        assert client.heard() == [answer]
    assert rooms.services.stats.over_limit == 2


def test_a_violated_limit_is_counted() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    client.ask({"type": "get", "key": ""})
    client.ask({"type": "get"})
    assert rooms.services.stats.over_limit == 1


@pytest.mark.parametrize("dialect", [Dialect.DUNENA, Dialect.OBJECT_STORE])
def test_a_refused_write_is_answered_with_the_reason(dialect: Dialect) -> None:
    rooms = Rooms()
    rooms.engine.reason = "No space left on device"
    client = rooms.client(dialect)
    name = "type" if dialect is Dialect.DUNENA else "action"
    (answer,) = client.ask({name: "set", "key": "k", "value": "v", "id": 7})
    text = "Storage error: No space left on device; nothing was stored"
    if dialect is Dialect.DUNENA:
        assert answer == {"type": "error", "data": text, "timestamp": rooms.now, "id": 7}
    else:
        assert answer == {"error": text, "code": "storage", "id": 7}
