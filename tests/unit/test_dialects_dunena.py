"""The dunena dialect without a socket: the whole of each reply, and what it leaves in the store."""

from typing import Any

import pytest

from dunena.dialects.dialect import Dialect
from dunena.store.limits import KEYS_PER_MESSAGE_MAX, REPLY_VALUES_BYTES_MAX, Limits
from tests.support.rooms import Client, Rooms


class Conversation:
    """One client that follows nothing."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.rooms = Rooms(limits)
        self.client = self.quiet_client()
        self.now = self.rooms.now

    def quiet_client(self) -> Client:
        client = self.rooms.client(Dialect.DUNENA)
        client.ask({"type": "unsubscribe", "channel": "cache-events"})
        return client

    def put(self, ns: str, key: str, value: bytes, expires_at: int | None = None) -> None:
        """Something that another dialect may have stored."""
        self.rooms.tick.run(lambda *_: self.rooms.store.set(ns, key, value, expires_at), None)
        self.rooms.tick.end()

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        (reply,) = self.client.ask(message)
        assert reply.pop("timestamp") == self.now
        return reply

    def data(self, message: dict[str, Any]) -> Any:
        reply = self.ask(message)
        assert reply == {"type": "result", "data": reply["data"]}
        return reply["data"]

    def error(self, message: dict[str, Any]) -> str:
        reply = self.ask(message)
        assert reply == {"type": "error", "data": reply["data"]}
        return reply["data"]

    def standing(self) -> dict[tuple[str, str], tuple[bytes, int | None]]:
        entries = self.rooms.store.entries()
        return {(entry.ns, entry.key): (entry.value, entry.expires_at) for entry in entries}


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


def test_ping_is_answered_with_only_the_time(conversation: Conversation) -> None:
    assert conversation.ask({"type": "ping"}) == {"type": "pong"}


@pytest.mark.parametrize("request_id", ["a", "", 7, 0, 1.5])
@pytest.mark.parametrize(
    "message",
    [
        {"type": "ping"},
        {"type": "get", "key": "k"},
        {"type": "set", "key": "k", "value": "v"},
        {"type": "del", "key": "k"},
        {"type": "mget", "keys": []},
        {"type": "mset", "entries": []},
        {"type": "subscribe", "channel": "c"},
        {"type": "get"},
        {"type": "no such"},
    ],
)
def test_every_reply_has_the_id_of_its_request(
    conversation: Conversation, message: dict[str, Any], request_id: Any
) -> None:
    reply = conversation.ask({**message, "id": request_id})
    assert reply["id"] == request_id
    assert type(reply["id"]) is type(request_id)


@pytest.mark.parametrize("request_id", [None, True, [], {}])
def test_an_id_that_is_no_text_or_number_counts_as_none(
    conversation: Conversation, request_id: Any
) -> None:
    assert conversation.ask({"type": "ping", "id": request_id}) == {"type": "pong"}


def test_replies_to_set_get_and_del_have_the_key_and_the_result(conversation: Conversation) -> None:
    key = {"key": "k", "ns": "n"}
    assert conversation.data({"type": "set", **key, "value": "v"}) == {"key": "k", "ok": True}
    assert conversation.standing() == {("n", "k"): (b'"v"', None)}
    assert conversation.data({"type": "get", **key}) == {"key": "k", "value": "v"}
    assert conversation.data({"type": "get", "key": "k"}) == {"key": "k", "value": None}
    assert conversation.data({"type": "del", "key": "k"}) == {"key": "k", "deleted": False}
    assert conversation.data({"type": "del", **key}) == {"key": "k", "deleted": True}
    assert conversation.standing() == {}


def test_a_value_is_readable_until_it_expires(conversation: Conversation) -> None:
    conversation.put("", "k", b'"v"', conversation.now + 1)
    assert conversation.data({"type": "get", "key": "k"})["value"] == "v"
    assert conversation.data({"type": "mget", "keys": ["k"]})["result"] == {"k": "v"}
    conversation.rooms.now = conversation.now = conversation.now + 1
    assert conversation.data({"type": "get", "key": "k"})["value"] is None
    assert conversation.data({"type": "mget", "keys": ["k"]})["result"] == {"k": None}


@pytest.mark.parametrize("durable", [True, False, None])
@pytest.mark.parametrize(
    "message",
    [
        {"type": "set", "key": "k", "value": "new"},
        {"type": "del", "key": "k"},
        {"type": "mset", "entries": [{"key": "k", "value": "new"}]},
    ],
)
def test_a_change_is_as_durable_as_its_sender_asks(
    conversation: Conversation, message: dict[str, Any], durable: bool | None
) -> None:
    conversation.data({"type": "set", "key": "k", "value": "old"})
    conversation.data({**message, "durable": durable})
    assert conversation.rooms.engine.committed[-1].is_durable is bool(durable)


@pytest.mark.parametrize("kind", ["set", "mset"])
def test_a_ttl_counts_from_now(conversation: Conversation, kind: str) -> None:
    entry = {"key": "k", "value": "v", "ttl": 1500}
    fields = entry if kind == "set" else {"entries": [entry, {"key": "j", "value": "v"}], "ttl": 7}
    conversation.data({"type": kind, **fields})
    assert conversation.standing()["", "k"] == (b'"v"', conversation.now + 1500)
    assert all(
        expiry is None for (_, key), (_, expiry) in conversation.standing().items() if key == "j"
    )


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "get"}, "Missing field: key"),
        ({"type": "set", "value": "v"}, "Missing field: key"),
        ({"type": "set", "key": "k"}, "Missing field: value"),
        ({"type": "del"}, "Missing field: key"),
        ({"type": "mget"}, "Missing field: keys"),
        ({"type": "mget", "keys": {}}, "Missing field: keys"),
        ({"type": "mset"}, "Missing field: entries"),
        ({"type": "mset", "entries": "k"}, "Missing field: entries"),
        ({"type": "subscribe"}, "Missing field: channel"),
        ({"type": "unsubscribe"}, "Missing field: channel"),
        ({"type": "get", "key": ""}, "Key must not be empty"),
        ({"type": "get", "key": 1}, "Key must be a string"),
        ({"type": "del", "key": ""}, "Key must not be empty"),
        ({"type": "set", "key": "\n", "value": ""}, "Key contains invalid characters"),
        ({"type": "set", "key": "k", "value": 1}, "Value must be a string"),
        ({"type": "set", "key": "k", "value": None}, "Value must be a string"),
        ({"type": "set", "key": "k", "value": "v", "ns": 1}, "Namespace must be a string"),
        ({"type": "get", "key": "k", "ns": "ü"}, "Namespace contains invalid characters"),
        ({"type": "del", "key": "k", "ns": 1}, "Namespace must be a string"),
        ({"type": "mget", "keys": [], "ns": 1}, "Namespace must be a string"),
        ({"type": "mset", "entries": [], "ns": 1}, "Namespace must be a string"),
        ({"type": "mset", "entries": [], "durable": 1}, "Durable must be a boolean"),
        ({"type": "del", "key": "k", "durable": 1}, "Durable must be a boolean"),
        ({"type": "set", "key": "k", "value": "", "ttl": -1}, "TTL must be a non-negative integer"),
        ({"type": "subscribe", "channel": ""}, "Channel must not be empty"),
        ({"type": "unsubscribe", "channel": 1}, "Channel must be a string"),
        ({"type": "no such"}, "Unknown message type: no such"),
        ({"type": ["é", 1]}, 'Unknown message type: ["é",1]'),
        ({"type": "x" * 512}, "Unknown message type: " + "x" * 512),
        ({"type": "x" * 513}, "Unknown message type: " + "x" * 512 + "..."),
    ],
)  # fmt: skip
def test_an_invalid_request_is_refused_with_its_reason(
    conversation: Conversation, message: dict[str, Any], text: str
) -> None:
    assert conversation.error(message) == text
    assert conversation.standing() == {}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("k", "mset key error: Key must be a string"),
        ({"value": "v"}, "mset key error: Key must be a string"),
        ({"key": ""}, "mset key error: Key must not be empty"),
        ({"key": "k"}, 'mset value error for "k": Value must be a string'),
        (
            {"key": "k", "value": "v", "ttl": "1"},
            'mset value error for "k": TTL must be a non-negative integer',
        ),
        (
            {"key": "k", "value": "v" * 11},
            'mset value error for "k": Value exceeds max size (10 bytes)',
        ),
    ],
)
def test_an_mset_with_an_invalid_entry_names_it_and_stores_nothing(entry: Any, text: str) -> None:
    conversation = Conversation(Limits(value_bytes_max=10))
    entries = [{"key": "good", "value": "v"}, entry]
    assert conversation.error({"type": "mset", "entries": entries}) == text
    assert conversation.standing() == {}


def test_an_mset_over_the_store_limit_stores_nothing() -> None:
    conversation = Conversation(Limits(entries_max=2))
    entries = [{"key": key, "value": "v"} for key in "abc"]
    assert conversation.error({"type": "mset", "entries": entries}).startswith("Storage error: ")
    assert conversation.standing() == {}
    for _ in range(2):
        two = {"type": "mset", "entries": entries[:2], "ns": "n"}
        assert conversation.data(two) == {"stored": 2}, "again: what stands takes no more room"


def test_mget_and_mset_refuse_more_keys_than_the_limit(conversation: Conversation) -> None:
    keys = ["k"] * KEYS_PER_MESSAGE_MAX
    entries = [{"key": "k", "value": "v"}] * KEYS_PER_MESSAGE_MAX
    assert conversation.data({"type": "mget", "keys": keys}) == {"result": {"k": None}}
    assert conversation.error({"type": "mget", "keys": [*keys, "k"]}) == (
        f"Keys exceed max count ({KEYS_PER_MESSAGE_MAX})"
    )
    assert conversation.data({"type": "mset", "entries": entries}) == {"stored": len(entries)}
    assert conversation.error({"type": "mset", "entries": [*entries, {}]}) == (
        f"Entries exceed max count ({KEYS_PER_MESSAGE_MAX})"
    )


def test_mget_reads_one_namespace_in_the_order_of_the_request(conversation: Conversation) -> None:
    conversation.put("n", "b", b"[1,2]")
    conversation.put("n", "a", b'"v"')
    found = conversation.data({"type": "mget", "keys": ["c", "b", "a"], "ns": "n"})["result"]
    assert list(found.items()) == [("c", None), ("b", "[1,2]"), ("a", "v")]


@pytest.mark.parametrize(
    ("bad", "shown"), [("", ""), ("é", "é"), ("k" * 513, "k" * 513), (1, "1"), ({}, "{}")]
)
def test_an_invalid_key_of_mget_is_null_beside_the_valid_ones(
    conversation: Conversation, bad: Any, shown: str
) -> None:
    conversation.put("", "k", b'"v"')
    found = conversation.data({"type": "mget", "keys": [bad, "k"]})["result"]
    assert found == {shown: None, "k": "v"}


def test_an_invalid_key_of_mget_does_not_hide_a_key_of_the_same_text(
    conversation: Conversation,
) -> None:
    conversation.put("", "1", b'"v"')
    for keys in (["1", 1], [1, "1"]):
        assert conversation.data({"type": "mget", "keys": keys})["result"] == {"1": "v"}


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize(
    ("value_bytes_max", "bytes_max"),
    [(1, REPLY_VALUES_BYTES_MAX), (REPLY_VALUES_BYTES_MAX + 5, REPLY_VALUES_BYTES_MAX + 5)],
)
def test_the_total_size_of_values_in_one_reply_is_limited(
    value_bytes_max: int, bytes_max: int, more: int
) -> None:
    """A value counts once, however often it is asked for; what is no key counts by its name."""
    conversation = Conversation(Limits(value_bytes_max=value_bytes_max))
    keys = ["large", "small", "large", "missing", "", "é", "é", [123]]
    conversation.put("", "small", b"1234")
    conversation.put("", "large", b"1" * (bytes_max - len("1234éé[123]") + more))
    if more:
        text = f"Values exceed max size of one reply ({bytes_max} bytes)"
        assert conversation.error({"type": "mget", "keys": keys}) == text
    else:
        result = conversation.data({"type": "mget", "keys": keys})["result"]
        assert list(result) == ["large", "small", "missing", "", "é", "[123]"]


def test_a_channel_is_subscribed_to_and_unsubscribed_from_by_name(
    conversation: Conversation,
) -> None:
    reply = conversation.ask({"type": "subscribe", "channel": "news"})
    assert reply == {"type": "subscribed", "data": {"channel": "news"}}
    hub = conversation.rooms.services.hub
    assert hub.channel_topic("news") is not None
    assert conversation.client.ask({"type": "unsubscribe", "channel": "news"}) == []
    assert hub.subscription_count == 0


def test_messages_are_counted_by_their_type(conversation: Conversation) -> None:
    for _ in range(2):
        conversation.data({"type": "get", "key": "k"})
    conversation.error({"type": "set"})
    conversation.error({"type": "no such"})
    counts = {"get": 2, "set": 1, "unsubscribe": 1}
    assert conversation.rooms.services.stats.dunena == counts
