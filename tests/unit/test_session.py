"""Sessions in each dialect, without a socket."""

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.dialect import Dialect
from dunena.dialects.subscriptions import ENDED_AT_ONCE_MAX
from dunena.store.limits import Limits
from tests.support.rooms import Rooms

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
words = st.sampled_from(
    ["ping", "get", "set", "del", "mget", "mset", "subscribe", "unsubscribe", "delete", "x"]
)
messages = st.dictionaries(
    st.sampled_from(
        ["type", "action", "key", "value", "ttl", "ns", "keys", "entries", "channel", "id"]
    ),
    words
    | json_values
    | st.lists(
        st.dictionaries(st.sampled_from(["key", "value", "ttl"]), words | json_values), max_size=2
    ),
)


@given(
    st.lists(
        messages.map(orjson.dumps) | json_values.map(orjson.dumps) | st.binary(max_size=30),
        max_size=12,
    ),
    st.sampled_from(Dialect),
)
def test_any_message_gets_a_reply_in_its_dialect(texts: list[bytes], dialect: Dialect) -> None:
    rooms = Rooms(Limits(value_bytes_max=20))
    client = rooms.client(dialect)
    for text in texts:
        spoken = client.session.dialect
        answers = client.ask(text)
        assert answers or may_be_silent(text, spoken)
        for message in answers:
            if dialect is Dialect.OBJECT_STORE:
                assert set(message) in ({"key", "value"}, {"key", "value", "ns"}, {"error"})
            elif dialect is Dialect.DUNENA:
                assert "timestamp" in message
            else:
                assert message.keys() & {"timestamp", "error", "value"}
    for entry in rooms.store.entries():
        assert entry.size <= 20


def may_be_silent(text: bytes, dialect: Dialect) -> bool:
    """Whether a message may have no reply: the object store's dialect confirms no success, and
    dunena's says nothing of an `unsubscribe`.
    """
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(message, dict):
        return False
    if dialect is Dialect.DUNENA or (dialect is Dialect.AUTO and "type" in message):
        return message.get("type") == "unsubscribe"
    return message.get("action") in ("set", "delete", "subscribe", "unsubscribe")


def test_closing_a_session_removes_its_subscriptions() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.AUTO)
    client.ask({"type": "subscribe", "channel": "other"})
    client.ask({"action": "subscribe", "key": "k", "ns": "n"})
    assert len(client.session.subscriptions) == 3
    assert rooms.services.hub.subscription_count == 3
    client.session.close()
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
    client.session.close()
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
    assert len(client.session.subscriptions) == 3


@pytest.mark.parametrize("ttl", [2**53, 2**63, 2**64 - 1])
def test_an_infinite_ttl_expires_at_2_to_the_53(ttl: int) -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    assert client.ask({"action": "set", "key": "k", "value": 1, "ttl": ttl}) == []
    assert rooms.store.next_deadline == 2**53
