"""What one client is subscribed to, and the hub with it."""

from dataclasses import replace
from typing import Any

import pytest

from dunena.dialects import subscriptions as subscriptions_module
from dunena.dialects.client_watches import ENDED_WATCHES_MAX
from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import TooManyError
from dunena.dialects.grants import Grant, Right
from dunena.dialects.services import Services
from dunena.dialects.subscriptions import NoPacing, Subscriptions
from dunena.dialects.views import Views
from dunena.hub import CACHE_EVENTS, Batch, Hub
from dunena.server.committed import CommittedOutbox
from dunena.store.entry import EntryId
from dunena.store.limits import Limits
from dunena.telemetry import Telemetry
from dunena.watches.limits import REQUEST_ID_CHARS_MAX
from dunena.watches.watch_table import WatchTable
from tests.support.rooms import Rooms


@pytest.fixture
def hub() -> Hub:
    return Hub()


class Heard:
    """What a client is pushed."""

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.outbox = CommittedOutbox(lambda _: None, Telemetry(0), self.batches.extend)

    def entry_ids(self) -> list[EntryId | None]:
        self.outbox.flush()
        return [batch.entry_id for batch in self.batches]


def client_of(hub: Hub, count_max: int = 100) -> tuple[Subscriptions, Heard]:
    heard = Heard()
    limits = Limits(subscriptions_max=count_max)
    return Subscriptions(hub, WatchTable(), limits, heard.outbox, NoPacing()), heard


def services_with(hub: Hub) -> Services:
    return replace(Rooms().services, hub=hub)


def publish(hub: Hub, topic: Any) -> None:
    if topic is not None:
        topic.publish(b"x")
    hub.end_batches()


def test_a_key_is_followed_in_its_namespace_until_unsubscribed(hub: Hub) -> None:
    client, heard = client_of(hub)
    client.follow_key("n", "k")
    publish(hub, hub.key_topic("n", "k"))
    assert heard.entry_ids() == [("n", "k")]
    assert hub.followed_keys() == [("n", "k")]
    client.unfollow_key("n", "k")
    assert (len(client), hub.subscription_count, hub.followed_keys()) == (0, 0, [])


def test_a_channel_is_followed_until_unsubscribed(hub: Hub) -> None:
    client, heard = client_of(hub)
    client.follow_channel("c")
    publish(hub, hub.channel_topic("c"))
    assert heard.entry_ids() == [None]
    client.unfollow_channel("c")
    assert (len(client), hub.subscription_count) == (0, 0)
    assert hub.channel_topic("c") is None


def test_unsubscribing_without_a_subscription_does_nothing(hub: Hub) -> None:
    client, other = client_of(hub)[0], client_of(hub)[0]
    other.follow_key("", "k")
    other.follow_channel("c")
    client.unfollow_key("", "k")
    client.unfollow_channel("c")
    assert hub.subscription_count == 2


def test_keys_and_channels_count_once_each_against_one_limit(hub: Hub) -> None:
    client, _ = client_of(hub, 2)
    client.follow_key("", "k")
    client.follow_channel("c")
    client.follow_key("", "k")
    client.follow_channel("c")
    assert len(client) == hub.subscription_count == 2
    text = r"^Subscriptions exceed max count \(2\)$"
    with pytest.raises(TooManyError, match=text):
        client.follow_key("n", "k")
    with pytest.raises(TooManyError, match=text):
        client.follow_channel("d")
    assert len(client) == hub.subscription_count == 2
    client.unfollow_key("", "k")
    client.follow_channel("d")
    assert len(client) == 2


def test_a_closed_session_has_no_subscriptions_and_gets_no_updates(hub: Hub) -> None:
    client, heard = client_of(hub)
    client.follow_key("", "k")
    client.follow_channel("c")
    client.end()
    client.follow_key("", "k")
    client.follow_channel("c")
    assert (len(client), hub.subscription_count) == (0, 0)
    client.push(Batch(None, b"x"))
    assert heard.entry_ids() == []


@pytest.mark.parametrize(("count", "portions"), [(1, 0), (3, 0), (4, 1), (6, 1), (7, 2)])
def test_very_many_subscriptions_end_in_portions(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, count: int, portions: int
) -> None:
    monkeypatch.setattr(subscriptions_module, "ENDED_AT_ONCE_MAX", 3)
    later: list[Any] = []
    hub.do_later = later.append
    client, _ = client_of(hub)
    for number in range(count):
        if number % 2:
            client.follow_channel(f"c{number}")
        else:
            client.follow_key("n", f"k{number}")
    client.end()
    assert hub.subscription_count == max(0, count - 3)
    assert len(later) == bool(portions)
    for left in range(portions - 1, -1, -1):
        (portion,) = later
        assert portion() is (left > 0)
    assert hub.subscription_count == 0


READ, WRITE = frozenset({Right.READ}), frozenset({Right.WRITE})


def test_changed_rights_end_subscriptions_they_do_not_permit(hub: Hub) -> None:
    rooms = Rooms()
    rooms.tick.run(lambda _, now: rooms.store.set("n", "b", b"1", now + 5), None)
    views = Views(replace(rooms.services, hub=hub))
    old = views.of(Grant("old", READ, keys=("*",), namespaces=("", "n")))
    new = views.of(Grant("new", READ, keys=("b*",), namespaces=("n",)))
    client, _ = client_of(hub)
    for ns, key in (("n", "b"), ("n", "a"), ("", "b")):
        client.follow_key(ns, key)
    assert old.events is not None
    client.follow_channel(old.events)
    client.follow_channel("news")
    refused = client.keep_permitted(old, new)
    assert [error.text for error in refused] == [
        'Not permitted: read "b"',
        'Not permitted: read "a" in "n"',
    ]
    assert hub.followed_keys() == [("n", "b")]
    assert hub.channel_topic(old.events) is None
    assert hub.channel_topic(new.events) is not None
    assert hub.channel_topic("news") is not None
    assert len(client) == 3
    none = views.of(Grant("w", WRITE))
    refused = client.keep_permitted(new, none)
    assert [error.text for error in refused] == [
        'Not permitted: read "b" in "n"',
        'Not permitted: read channel "news"',
        "Not permitted: read events",
    ]
    assert len(client) == hub.subscription_count == 0


def test_changed_rights_do_not_add_events(hub: Hub) -> None:
    views = Views(services_with(hub))
    some, whole = views.of(Grant("some", READ, keys=("a",))), services_with(hub)
    none = views.of(Grant("w", WRITE))
    client, _ = client_of(hub)
    for old, new in ((some, whole), (none, some), (whole, none), (whole, some)):
        assert client.keep_permitted(old, new) == []
        assert len(client) == 0
    client.follow_channel(CACHE_EVENTS)
    assert client.keep_permitted(whole, whole) == []
    assert hub.channel_topic(CACHE_EVENTS) is not None


def test_ended_watches_are_remembered_up_to_a_number_of_keys() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    followed = client.conversation.subscriptions
    for number in range(50):
        keys = [f"{number}-{index}" for index in range(ENDED_WATCHES_MAX // 4)]
        for name in ("watch", "unwatch", "watch", "unwatch"):
            client.ask({"action": name, "keys": keys})
    assert followed._watches is not None
    assert len(followed._watches._ended) == 4
    assert len(followed) == 0


def test_the_id_of_a_watch_is_limited() -> None:
    client = Rooms().client(Dialect.OBJECT_STORE)
    longest = "x" * REQUEST_ID_CHARS_MAX
    (answer,) = client.ask({"action": "watch", "key": "k", "id": longest})
    assert answer["id"] == longest
    (answer,) = client.ask({"action": "watch", "key": "j", "id": longest + "x"})
    assert (answer["error"], answer["code"]) == ("id exceeds max length (1024)", "limit")
    assert len(client.conversation.subscriptions) == 1
