"""The messages of channels between the nodes of a log, which are stored nowhere."""

from typing import Any

import pytest

from dunena.dialects import http_api
from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import StoreUnavailableError, TooLargeError
from dunena.hub import CACHE_EVENTS
from dunena.persistence.log import LogState
from dunena.store.limits import Limits
from tests.support.shared_rooms import Cluster, LaneClient, SharedRooms


def dunena(node: SharedRooms, *channels: str) -> LaneClient:
    """A client of the dunena dialect that hears nothing but these channels."""
    client = node.client(Dialect.DUNENA)
    client.ask({"type": "unsubscribe", "channel": "cache-events"})
    for channel in channels:
        client.ask({"type": "subscribe", "channel": channel})
    return client


def publish(client: LaneClient, data: Any, channel: str = "chat") -> list[dict]:
    return client.ask({"type": "publish", "channel": channel, "data": data, "id": 1})


def data_of(messages: list[dict]) -> list[Any]:
    return [message["data"] for message in messages if message.get("event") == "message"]


def test_a_message_reaches_the_subscribers_of_all_nodes_in_both_dialects() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    publisher = dunena(a)
    here, there = dunena(a, "chat"), dunena(b, "chat")
    objects = b.client(Dialect.OBJECT_STORE)
    objects.ask({"action": "subscribe", "channel": "chat"})
    (answer,) = publish(publisher, {"from": "Ada"})
    assert answer["data"] == {"channel": "chat"}
    said = {
        "channel": "chat",
        "event": "message",
        "data": {"from": "Ada"},
        "timestamp": cluster.now,
    }
    assert [one.heard() for one in (here, there, objects)] == [[said]] * 3
    assert (a.services.hub.messages_published, b.services.hub.messages_published) == (1, 0)
    assert (a.services.hub.messages_queued, b.services.hub.messages_queued) == (1, 2)
    assert cluster.log.batches == []


def test_all_subscribers_see_one_order_of_two_publishers() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    first, second = dunena(a, "chat"), dunena(b, "chat")
    for number in range(3):
        first.say({"type": "publish", "channel": "chat", "data": number})
        second.say({"type": "publish", "channel": "chat", "data": -number})
    cluster.work()
    orders = [data_of(one.heard()) for one in (first, second)]
    assert orders[0] == orders[1] == [0, 0, 1, -1, 2, -2]


def test_a_message_is_published_after_the_writes_before_it() -> None:
    cluster = Cluster(1).load()
    (node,) = cluster.nodes
    client = dunena(node, "chat")
    client.say({"type": "set", "key": "k", "value": "v", "id": 1})
    client.say({"type": "publish", "channel": "chat", "data": 1, "id": 2})
    node.log.hear()
    assert client.heard() == []
    cluster.work()
    cluster.work()
    assert [m.get("id", m.get("event")) for m in client.heard()] == [1, 2, "message"]


def test_a_node_listens_to_the_channels_that_somebody_follows_there() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    first, second = dunena(a, "chat"), dunena(a, "chat", "other")
    assert a.log.channels == {"chat", "other"}
    assert b.log.channels == set()
    first.ask({"type": "unsubscribe", "channel": "chat"})
    first.ask({"type": "unsubscribe", "channel": "chat"})
    assert a.log.channels == {"chat", "other"}
    second.leave()
    assert a.log.channels == set()


def test_the_channels_of_the_server_itself_stay_local() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    client = b.client()  # which follows the events
    stats = dunena(b, "stats")
    assert b.log.channels == set()
    for channel in (CACHE_EVENTS, "stats", f"{CACHE_EVENTS}\nname"):
        b.log.follower.message(channel, b"1")
    assert client.heard() == stats.heard() == []
    (answer,) = publish(dunena(a), 1, "stats")
    assert answer["data"] == 'Channel is reserved: "stats"'


@pytest.mark.parametrize("reason", ["no server answers", None])
def test_nothing_is_published_while_the_node_is_not_connected(reason: str | None) -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    follower, publisher = dunena(b, "chat"), dunena(a)
    a.log.change_state(LogState.STALE, reason)
    (answer,) = publish(publisher, 1)
    assert answer["type"] == "error"
    assert answer["data"] == f"Storage error: {reason or 'not connected'}; nothing was stored"
    assert answer["code"] == "unavailable"
    with pytest.raises(StoreUnavailableError) as refused:
        http_api.publish(a.services, "chat", 1, a.now)
    assert refused.value.status == 503
    assert a.services.hub.messages_published == 0
    a.log.change_state(LogState.READY)
    assert http_api.publish(a.services, "chat", 2, a.now) == (204, b"")
    cluster.work()
    assert data_of(follower.heard()) == [2]


def test_a_node_that_may_only_read_publishes_nothing() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    follower, reader = dunena(b, "chat"), dunena(a, "chat")
    a.log.is_reader = True
    (answer,) = publish(reader, 1)
    assert answer["data"] == "Storage error: this server may only read; nothing was stored"
    assert answer["code"] == "unavailable"
    with pytest.raises(StoreUnavailableError) as refused:
        http_api.publish(a.services, "chat", 1, a.now)
    assert refused.value.status == 503
    assert a.services.hub.messages_published == 0
    publish(dunena(b), 2)
    assert data_of(follower.heard()) == data_of(reader.heard()) == [2]


def test_a_message_is_no_larger_than_the_servers_of_the_log_permit() -> None:
    cluster = Cluster(1, Limits(value_bytes_max=10_000_000)).load()
    (node,) = cluster.nodes
    node.log.value_bytes_max = 100
    http_api.publish(node.services, "chat", "x" * 98, node.now)
    with pytest.raises(TooLargeError, match=r"Data exceeds max size \(100 bytes\)"):
        http_api.publish(node.services, "chat", "x" * 99, node.now)


def test_what_others_publish_is_left_out_if_it_is_no_json(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster(1).load()
    (node,) = cluster.nodes
    client = dunena(node, "chat")
    for data in (b"{nothing", b'{ "a" :\n 1 }', b"", b"\xff"):
        node.log.follower.message("chat", data)
    assert data_of(client.heard()) == [{"a": 1}]
    assert caplog.text.count("is no JSON") == 3
