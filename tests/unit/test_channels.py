"""The messages of channels: who receives them, in both dialects, and when their tick is refused."""

from typing import Any

import pytest

from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import ChannelRights, Grant, Right
from dunena.dialects.views import Views
from dunena.hub import RESERVED_CHANNELS
from dunena.server import backlog as backlog_module
from dunena.store.limits import Limits
from tests.support.rooms import Client, HoldingEngine, Rooms

READ, WRITE = frozenset({Right.READ}), frozenset({Right.WRITE})


def dunena(rooms: Rooms, *channels: str) -> Client:
    """A client of the dunena dialect that hears nothing but these channels."""
    client = rooms.client(Dialect.DUNENA)
    client.ask({"type": "unsubscribe", "channel": "cache-events"})
    for channel in channels:
        client.ask({"type": "subscribe", "channel": channel})
    return client


def objects(rooms: Rooms, *channels: str) -> Client:
    client = rooms.client(Dialect.OBJECT_STORE)
    for channel in channels:
        assert client.ask({"action": "subscribe", "channel": channel}) == []
    return client


def said(channel: str, data: Any, rooms: Rooms) -> dict[str, Any]:
    return {"channel": channel, "event": "message", "data": data, "timestamp": rooms.now}


def data_of(messages: list[dict]) -> list[Any]:
    """What was published, in order; of a gap, how many are missing."""
    return [message["data"] for message in messages if "channel" in message]


# --- who receives what ---


@pytest.mark.parametrize(
    "data", [1, "text", None, True, [1, {"a": None}], {"from": "Ada", "n": 1.5}, "", "\u00e9\n"]
)
def test_everyone_subscribed_receives_any_json_in_both_dialects(data: Any) -> None:
    rooms = Rooms()
    one, other, stranger = dunena(rooms, "chat"), objects(rooms, "chat"), objects(rooms, "chats")
    (reply,) = dunena(rooms).ask({"type": "publish", "channel": "chat", "data": data, "id": 7})
    assert reply == {
        "type": "result", "data": {"channel": "chat"}, "timestamp": rooms.now, "id": 7,
    }  # fmt: skip
    assert one.heard() == other.heard() == [said("chat", data, rooms)]
    assert stranger.heard() == []


def test_the_object_store_answers_a_publish_only_if_it_has_an_id() -> None:
    rooms = Rooms()
    listener, writer = dunena(rooms, "chat"), objects(rooms)
    assert writer.ask({"action": "publish", "channel": "chat", "data": 1}) == []
    assert writer.ask({"action": "publish", "channel": "chat", "data": 2, "id": "x"}) == [
        {"result": {"channel": "chat"}, "id": "x"}
    ]
    assert data_of(listener.heard()) == [1, 2]


def test_a_subscription_to_a_channel_is_answered_in_the_object_store_if_it_has_an_id() -> None:
    rooms = Rooms()
    client = objects(rooms)
    ask = {"action": "subscribe", "channel": "chat", "id": 3}
    assert client.ask(ask) == [{"subscribed": {"channel": "chat"}, "id": 3}]
    assert client.ask({"action": "unsubscribe", "channel": "chat", "id": 4}) == []
    client.ask({"action": "publish", "channel": "chat", "data": 1})
    assert client.heard() == []


def test_a_publisher_that_is_subscribed_hears_its_message_before_the_reply() -> None:
    rooms = Rooms()
    client = dunena(rooms, "chat")
    message, reply = client.ask({"type": "publish", "channel": "chat", "data": 1})
    assert message == said("chat", 1, rooms)
    assert reply["type"] == "result"


def test_subscribers_share_the_frames_of_a_tick() -> None:
    rooms = Rooms()
    one, other, writer = objects(rooms, "chat"), dunena(rooms, "chat"), objects(rooms)
    for number in range(3):
        writer.say({"action": "publish", "channel": "chat", "data": number})
    rooms.tick.end()
    assert one.wire.writes[0] is other.wire.writes[0]
    assert data_of(one.received()) == data_of(other.received()) == [0, 1, 2]


def test_the_events_of_changes_are_one_more_channel_in_the_object_store() -> None:
    rooms = Rooms()
    client = objects(rooms, "cache-events")
    (event,) = client.ask({"action": "set", "key": "k", "value": 1})
    assert (event["channel"], event["event"], event["data"]["key"]) == ("cache", "set", "k")


def test_a_message_is_not_stored_and_not_sent_to_later_subscribers() -> None:
    rooms = Rooms()
    writer = objects(rooms)
    writer.ask({"action": "publish", "channel": "chat", "data": 1})
    late = objects(rooms, "chat")
    assert late.heard() == []
    assert (rooms.store.entry_count, rooms.store.revision, rooms.engine.committed) == (0, 0, [])


# --- errors ---


@pytest.mark.parametrize(
    ("message", "text", "code"),
    [
        ({"data": 1}, "Missing field: channel", "invalid"),
        ({"channel": "c"}, "Missing field: data", "invalid"),
        ({"channel": "", "data": 1}, "Channel must not be empty", "limit"),
        ({"channel": 5, "data": 1}, "Channel must be a string", "invalid"),
        ({"channel": None, "data": 1}, "Channel must be a string", "invalid"),
        ({"channel": "c" * 513, "data": 1}, "Channel exceeds max length (512)", "limit"),
        ({"channel": "a\nb", "data": 1}, "Channel contains invalid characters", "limit"),
        ({"channel": "c", "data": "x" * 21}, "Data exceeds max size (20 bytes)", "limit"),
        *(
            ({"channel": name, "data": 1}, f'Channel is reserved: "{name}"', "forbidden")
            for name in sorted(RESERVED_CHANNELS)
        ),
    ],
)
def test_a_wrong_publish_is_answered_with_its_error_and_code(
    message: dict[str, Any], text: str, code: str
) -> None:
    rooms = Rooms(Limits(value_bytes_max=20))
    (reply,) = dunena(rooms).ask({"type": "publish", "id": 1, **message})
    assert (reply["type"], reply["data"], reply["code"], reply["id"]) == ("error", text, code, 1)
    assert objects(rooms).ask({"action": "publish", **message}) == [{"error": text, "code": code}]
    assert rooms.services.hub.messages_published == 0


def test_data_of_the_largest_size_of_a_value_is_published() -> None:
    rooms = Rooms(Limits(value_bytes_max=20))
    listener = objects(rooms, "c")
    objects(rooms).ask({"action": "publish", "channel": "c", "data": "\u00e9" * 10})
    assert data_of(listener.heard()) == ["\u00e9" * 10]


def test_a_subscription_is_to_a_key_or_a_channel() -> None:
    client = objects(Rooms())
    both = {"key": "k", "channel": "c", "id": 1}
    text = "A subscription has one of key and channel"
    for action in ("subscribe", "unsubscribe"):
        error = {"error": text, "code": "invalid", "id": 1}
        assert client.ask({"action": action, **both}) == [error]
        assert client.ask({"action": action, "channel": "", "key": None}) == [
            {"error": "Channel must not be empty", "code": "limit"}
        ]
        assert client.ask({"action": action}) == [{"error": "Invalid message format"}]
    assert len(client.conversation.subscriptions) == 0


def test_channels_count_against_the_limit_of_subscriptions() -> None:
    rooms = Rooms(Limits(subscriptions_max=2))
    client = objects(rooms, "a", "b", "b")
    assert client.ask({"action": "subscribe", "channel": "c"}) == [
        {"error": "Subscriptions exceed max count (2)", "code": "limit"}
    ]
    client.ask({"action": "unsubscribe", "channel": "a"})
    assert client.ask({"action": "subscribe", "channel": "c"}) == []
    assert sorted(channel.name for channel in rooms.services.hub.channels()) == ["b", "c"]


# --- ticks ---


def test_messages_and_changes_of_a_tick_arrive_in_their_order() -> None:
    rooms = Rooms()
    listener, writer = objects(rooms, "c"), objects(rooms)
    listener.ask({"action": "subscribe", "key": "k"})
    for number in range(3):
        writer.say({"action": "publish", "channel": "c", "data": number})
        writer.say({"action": "set", "key": "k", "value": number})
    heard = [message.get("data", message.get("value")) for message in listener.heard()]
    assert heard == [0, 0, 1, 1, 2, 2]


def publish(client: Client, *numbers: int) -> None:
    for number in numbers:
        client.say({"action": "publish", "channel": "c", "data": number})


def set_key(client: Client) -> None:
    client.say({"action": "set", "key": "k", "value": 1})


def test_messages_of_a_refused_tick_arrive_once_each() -> None:
    rooms = Rooms()
    listener, other, writer = objects(rooms, "c"), dunena(rooms, "c"), objects(rooms)
    rooms.engine.reason = "disk full"
    publish(writer, 0, 1)
    set_key(writer)
    publish(writer, 2, 3)
    set_key(writer)
    publish(writer, 4)
    assert data_of(listener.heard()) == data_of(other.heard()) == [0, 1, 2, 3, 4]
    assert [message["error"] for message in writer.heard()] == [
        "Storage error: disk full; nothing was stored"
    ] * 2
    hub = rooms.services.hub
    assert (hub.messages_published, hub.messages_queued) == (5, 10)


@pytest.mark.parametrize("reason", [None, "disk full"])
def test_a_message_after_a_write_waits_until_the_write_is_stored(reason: str | None) -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    listener, writer = objects(rooms, "c"), objects(rooms)
    publish(writer, 0)
    set_key(writer)
    publish(writer, 1)
    assert data_of(listener.heard()) == []
    publish(writer, 2)
    assert data_of(listener.heard()) == []
    engine.release(reason)
    assert data_of(listener.heard()) == [0, 1, 2]
    publish(writer, 3)
    assert data_of(listener.heard()) == [3]
    hub = rooms.services.hub
    assert (hub.messages_published, hub.messages_queued) == (4, 4)


def test_the_messages_of_a_tick_behind_a_refused_one_arrive_once_each() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    listener, writer = objects(rooms, "c"), objects(rooms)
    set_key(writer)
    publish(writer, 0)
    rooms.tick.end()  # is held
    publish(writer, 1)
    set_key(writer)
    publish(writer, 2)
    engine.reason = "disk full"
    engine.release("disk full")
    assert data_of(listener.heard()) == [0, 1, 2]
    publish(writer, 3)
    set_key(writer)
    publish(writer, 4)
    assert data_of(listener.heard()) == [3, 4]


@pytest.mark.parametrize("is_held", [False, True])
def test_a_refused_tick_has_the_same_subscribers_when_it_runs_again(*, is_held: bool) -> None:
    engine = HoldingEngine(always=is_held)
    rooms = Rooms(engine=engine)
    comes, goes, writer = objects(rooms), objects(rooms, "c"), objects(rooms)
    follow = {"action": "subscribe", "channel": "c", "id": 1}
    set_key(writer)
    publish(writer, 0)
    comes.say(follow)
    goes.say({"action": "unsubscribe", "channel": "c"})
    publish(writer, 1)
    if is_held:
        rooms.tick.end()
        goes.say(follow)
        publish(writer, 2)
        engine.release("disk full")
    else:
        engine.reason = "disk full"
        goes.say(follow)
        publish(writer, 2)
    rooms.tick.end()
    answer = {"subscribed": {"channel": "c"}, "id": 1}
    assert comes.heard() == [answer, said("c", 1, rooms), said("c", 2, rooms)]
    assert goes.heard() == [said("c", 0, rooms), answer, said("c", 2, rooms)]
    assert rooms.services.hub.subscription_count == 2


def test_a_client_that_is_gone_is_not_subscribed_by_a_refused_tick() -> None:
    rooms = Rooms()
    leaver, writer = objects(rooms, "c"), objects(rooms)
    rooms.engine.reason = "disk full"
    set_key(writer)
    leaver.say({"action": "unsubscribe", "channel": "c"})
    leaver.conversation.close()
    rooms.tick.end()
    assert rooms.services.hub.channel_topic("c") is None
    assert rooms.services.hub.subscription_count == 0


# --- slow readers ---


def test_a_slow_reader_is_told_how_many_messages_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backlog_module, "CHANNEL_BACKLOG_BYTES_MAX", 400)
    rooms = Rooms()
    slow, quick, writer = objects(rooms, "c"), dunena(rooms, "c"), objects(rooms)
    slow.wire.is_blocked = True
    for number in range(100, 120):
        publish(writer, number)
        rooms.tick.end()
    assert data_of(slow.received()) == [100]
    slow.wire.unblock()
    missing, *rest = slow.received()
    assert missing["event"] == "gap"
    assert missing["channel"] == "c"
    assert data_of(rest) == list(range(101 + missing["data"]["missed"], 120))
    assert data_of(quick.received()) == list(range(100, 120))
    assert rooms.telemetry.messages_missed == missing["data"]["missed"] > 0
    assert slow.overflows == 0


def test_a_large_batch_of_messages_is_written_in_portions_and_keeps_its_order() -> None:
    rooms = Rooms()
    client, writer = objects(rooms, "c"), objects(rooms)
    client.wire.is_blocked = True
    for number in range(20):
        writer.say({"action": "publish", "channel": "c", "data": [number, "x" * 100_000]})
    assert [number for number, _ in data_of(client.heard())] == [0, 1]
    client.wire.unblock()
    missing, *rest = data_of(client.received())
    assert [number for number, _ in rest] == list(range(2 + missing["missed"], 20))
    assert missing["missed"] == 8, "ten messages are a megabyte"


# --- rights ---


def test_the_rights_to_channels_are_those_of_the_grant() -> None:
    rooms = Rooms()
    views = Views(rooms.services)
    both = Grant("b", READ | WRITE, channels=("chat-*",))
    guest = rooms.client(Dialect.OBJECT_STORE, views.of(both))
    listener = objects(rooms, "chat-1", "news")
    assert guest.ask({"action": "subscribe", "channel": "chat-1"}) == []
    assert guest.ask({"action": "publish", "channel": "chat-1", "data": 1})[0]["data"] == 1
    for message, what in (
        ({"action": "subscribe"}, "read"),
        ({"action": "publish", "data": 1}, "write"),
    ):
        assert guest.ask({**message, "channel": "news"}) == [
            {"error": f'Not permitted: {what} channel "news"', "code": "forbidden"}
        ]
    assert guest.ask({"action": "unsubscribe", "channel": "news"}) == []
    assert data_of(listener.heard()) == [1]
    reserved = guest.ask({"action": "publish", "channel": "stats", "data": 1})
    assert reserved[0]["error"] == 'Channel is reserved: "stats"'


@pytest.mark.parametrize(
    ("grant", "may_read", "may_write"),
    [
        (Grant("complete", READ | WRITE), True, True),
        (Grant("writes all", WRITE), False, True),
        (Grant("reads all", READ), True, False),
        (Grant("some keys", READ | WRITE, keys=("a",)), True, False),
        (Grant("some namespaces", READ | WRITE, namespaces=("a",)), True, False),
        (Grant("named", READ | WRITE, keys=("a",), channels=("c",)), True, True),
        (Grant("named, reads", READ, channels=("c",)), True, False),
        (Grant("named, writes", WRITE, channels=("c",)), False, True),
        (Grant("other", READ | WRITE, channels=("d",)), False, False),
        (Grant("none", READ | WRITE, channels=()), False, False),
        (Grant("admin", frozenset({Right.ADMIN})), False, False),
        (Grant("admin, named", frozenset({Right.ADMIN}), channels=("*",)), False, False),
    ],
)
def test_a_grant_permits_channels_by_its_rights_and_globs(
    grant: Grant, *, may_read: bool, may_write: bool
) -> None:
    rights = ChannelRights(grant)
    assert (rights.may_read("c"), rights.may_write("c")) == (may_read, may_write)
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA, Views(rooms.services).of(grant))
    (reply,) = client.ask({"type": "subscribe", "channel": "c"})
    assert reply["type"] == ("subscribed" if may_read else "error")
    *_, reply = client.ask({"type": "publish", "channel": "c", "data": 1})
    assert reply["type"] == ("result" if may_write else "error")


def test_subscriptions_to_channels_end_with_their_right() -> None:
    rooms = Rooms()
    views = Views(rooms.services)
    client = rooms.client(Dialect.OBJECT_STORE, views.of(Grant("g", READ, channels=("*",))))
    for channel in ("chat", "news", "cache-events"):
        client.ask({"action": "subscribe", "channel": channel})
    less = views.of(Grant("g", READ, channels=("news",)))
    lost = client.conversation.use_services(less)
    assert [error.text for error in lost] == ['Not permitted: read channel "chat"']
    writer = objects(rooms)
    for channel in ("chat", "news"):
        writer.ask({"action": "publish", "channel": channel, "data": channel})
    assert data_of(client.heard()) == ["news"]
    none = views.of(Grant("g", WRITE))
    lost = client.conversation.use_services(none)
    assert [error.text for error in lost] == [
        'Not permitted: read channel "news"',
        "Not permitted: read events",
    ]
    assert rooms.services.hub.subscription_count == 0
