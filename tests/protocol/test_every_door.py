"""A change through any interface is seen through every other one, in the form of each."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.protocol.clients import Client, Clients, http, unique

Door = Callable[[Clients, str, str], None]
"""Sets a key to a string, or takes it away, and returns when that is done."""


def set_by_dunena(clients: Clients, key: str, value: str) -> None:
    clients.dunena().ask({"type": "set", "key": key, "value": value})


def set_by_mset(clients: Clients, key: str, value: str) -> None:
    entries = [{"key": key, "value": value}]
    clients.dunena().ask({"type": "mset", "entries": entries})


def set_by_action(clients: Clients, key: str, value: str) -> None:
    client = clients.objects()
    client.send({"action": "set", "key": key, "value": value})
    client.heard()


def set_by_action_of_a_mixed_client(clients: Clients, key: str, value: str) -> None:
    client = clients.dunena()
    client.send({"action": "set", "key": key, "value": value})
    client.heard()


def set_by_post(clients: Clients, key: str, value: str) -> None:
    reply = http(clients.server, "POST", "/set", {"key": key, "value": value})
    assert reply.status == 200


def set_by_cache_api(clients: Clients, key: str, value: str) -> None:
    assert http(clients.server, "POST", f"/cache/{key}", {"value": value}).status == 201


def set_by_cache_api_mset(clients: Clients, key: str, value: str) -> None:
    body = {"action": "mset", "entries": [{"key": key, "value": value}]}
    assert http(clients.server, "POST", "/cache", body).json == {"stored": 1}


def set_by_put(clients: Clients, key: str, value: str) -> None:
    assert http(clients.server, "PUT", f"/kv/{key}", json.dumps(value)).status in (201, 204)


def set_by_put_of_text(clients: Clients, key: str, value: str) -> None:
    plain = {"Content-Type": "text/plain"}
    assert http(clients.server, "PUT", f"/kv/{key}", value, plain).status in (201, 204)


def set_by_patch(clients: Clients, key: str, value: str) -> None:
    body, merge = json.dumps(value), {"Content-Type": "application/merge-patch+json"}
    assert http(clients.server, "PATCH", f"/kv/{key}", body, merge).json == value


def set_by_http_operation(clients: Clients, key: str, value: str) -> None:
    body = {"op": "set", "value": value}
    assert http(clients.server, "POST", f"/kv/{key}", body).status == 200


def set_by_http_transaction(clients: Clients, key: str, value: str) -> None:
    body = {"ops": [{"op": "set", "key": key, "value": value}]}
    assert http(clients.server, "POST", "/txn", body).status == 200


def delete_by_dunena(clients: Clients, key: str, _value: str) -> None:
    clients.dunena().ask({"type": "del", "key": key})


def delete_by_action(clients: Clients, key: str, _value: str) -> None:
    client = clients.objects()
    client.send({"action": "delete", "key": key})
    client.heard()


def delete_by_cache_api(clients: Clients, key: str, _value: str) -> None:
    assert http(clients.server, "DELETE", f"/cache/{key}").json == {"deleted": True}


def delete_by_kv(clients: Clients, key: str, _value: str) -> None:
    assert http(clients.server, "DELETE", f"/kv/{key}").status == 204


SETTERS = [
    set_by_dunena,
    set_by_mset,
    set_by_action,
    set_by_action_of_a_mixed_client,
    set_by_post,
    set_by_cache_api,
    set_by_cache_api_mset,
    set_by_put,
    set_by_put_of_text,
    set_by_patch,
    set_by_http_operation,
    set_by_http_transaction,
]
DELETERS = [delete_by_dunena, delete_by_action, delete_by_cache_api, delete_by_kv]


def reads(clients: Clients, key: str) -> list[Any]:
    """What every door for reading says of a key."""
    cached = http(clients.server, "GET", f"/cache/{key}")
    batch = http(clients.server, "POST", "/cache", {"action": "mget", "keys": [key]})
    value = http(clients.server, "GET", f"/kv/{key}")
    return [
        clients.dunena().ask({"type": "get", "key": key})["data"]["value"],
        clients.dunena().ask({"type": "mget", "keys": [key]})["data"]["result"][key],
        clients.objects().ask({"action": "get", "key": key})["value"],
        http(clients.server, "GET", f"/get/{key}").json["value"],
        cached.json["value"] if cached.status == 200 else None,
        batch.json["result"][key],
        value.json if value.status == 200 else None,
        http(clients.server, "GET", f"/kv?pattern={key}").json.get(key),
    ]


@pytest.fixture
def listeners(clients: Clients) -> tuple[Client, Client, Client]:
    """One for the events, one for updates of a key, one for both on one connection."""
    mixed = clients.dunena()
    mixed.ask({"type": "ping"})
    return clients.dunena(), clients.objects(), mixed


@pytest.mark.parametrize("door", SETTERS)
def test_a_set_through_any_interface_reaches_every_listener(
    clients: Clients, listeners: tuple[Client, Client, Client], door: Door
):
    by_event, by_key, mixed = listeners
    key = unique()
    for listener in (by_key, mixed):
        listener.follow(key)
    door(clients, key, "żółw")
    (event,) = by_event.events(key)
    del event["timestamp"]
    assert event == {"channel": "cache", "event": "set", "data": {"key": key, "size": 7}}
    assert by_key.heard() == [{"key": key, "value": "żółw"}]
    heard = mixed.heard()
    assert {"key": key, "value": "żółw"} in heard
    assert [message["data"] for message in heard if "event" in message] == [event["data"]]
    assert reads(clients, key) == ["żółw"] * 8


@pytest.mark.parametrize("door", DELETERS)
def test_a_delete_through_any_interface_reaches_every_listener(
    clients: Clients, listeners: tuple[Client, Client, Client], door: Door
):
    by_event, by_key, mixed = listeners
    key = unique()
    set_by_post(clients, key, "v")
    for listener in listeners:
        listener.heard()
    for listener in (by_key, mixed):
        assert listener.ask({"action": "subscribe", "key": key}) == {"key": key, "value": "v"}
    door(clients, key, "")
    (event,) = by_event.events(key)
    del event["timestamp"]
    assert event == {"channel": "cache", "event": "delete", "data": {"key": key}}
    assert by_key.heard() == [{"key": key, "value": None}]
    assert mixed.updates(key) == [None]
    assert reads(clients, key) == [None] * 8


def test_a_flush_through_any_interface_reaches_every_listener(
    clients: Clients, listeners: tuple[Client, Client, Client]
):
    by_event, by_key, mixed = listeners
    key, other = unique(), unique()
    for name in (key, other):
        set_by_post(clients, name, "v")
        for listener in (by_key, mixed):
            assert listener.ask({"action": "subscribe", "key": name})["value"] == "v"
    for listener in listeners:
        listener.heard()
    assert http(clients.server, "POST", "/flush").json == {"flushed": True}
    (event,) = by_event.events(None)
    del event["timestamp"]
    assert event == {"channel": "cache", "event": "clear", "data": {}}
    updates = by_key.heard()
    assert sorted(update["key"] for update in updates) == sorted([key, other])
    assert {update["value"] for update in updates} == {None}
    assert sorted(message["key"] for message in mixed.heard() if "key" in message) == sorted(
        [key, other]
    )
    assert reads(clients, key) == [None] * 8


def test_an_expiry_reaches_listeners_of_every_interface(
    clients: Clients, listeners: tuple[Client, Client, Client]
):
    by_event, by_key, mixed = listeners
    key = unique()
    for listener in (by_key, mixed):
        listener.follow(key)
    http(clients.server, "POST", "/set", {"key": key, "value": [1], "ttl": 30})
    event = by_event.event(key, "expired")
    assert event["data"] == {"key": key}
    assert by_key.heard() == [{"key": key, "value": [1]}, {"key": key, "value": None}]
    assert mixed.updates(key) == [[1], None]
    assert reads(clients, key) == [None] * 8


@pytest.mark.parametrize("door", SETTERS)
def test_the_update_reaches_a_listener_no_later_than_the_reply_reaches_the_writer(
    clients: Clients, door: Door
):
    """The reply to a write and its updates are sent in the same tick."""
    listener = clients.objects()
    key = unique()
    listener.follow(key)
    for number in range(5):
        door(clients, key, str(number))
        assert listener.updates(key) == [str(number)]


def test_each_of_50_listeners_gets_every_change(clients: Clients):
    listeners = [clients.objects() for _ in range(50)]
    key = unique()
    for listener in listeners:
        listener.follow(key)
    for number, door in enumerate(SETTERS):
        door(clients, key, str(number))
    wanted = [str(number) for number in range(len(SETTERS))]
    assert [listener.updates(key) for listener in listeners] == [wanted] * len(listeners)
