"""Unset fields and integers as typed clients and other languages send them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.protocol.clients import Client, Clients, http, unique

Write = Callable[[Clients, dict[str, Any]], None]
"""Stores an entry, given as its fields, and returns when that is done."""


def write_by_set(clients: Clients, entry: dict[str, Any]) -> None:
    data = clients.dunena().ask({"type": "set", **entry})["data"]
    assert data == {"key": entry["key"], "ok": True}


def write_by_mset(clients: Clients, entry: dict[str, Any]) -> None:
    data = clients.dunena().ask({"type": "mset", **_split(entry)})["data"]
    assert data == {"stored": 1}


def write_by_action(clients: Clients, entry: dict[str, Any]) -> None:
    client = clients.objects()
    client.send({"action": "set", **entry})
    assert client.heard() == []


def write_by_post(clients: Clients, entry: dict[str, Any]) -> None:
    reply = http(clients.server, "POST", "/set", entry)
    wanted = {"key": entry["key"], "value": entry["value"]}
    assert (reply.status, reply.json) == (200, wanted)


def write_by_cache_api(clients: Clients, entry: dict[str, Any]) -> None:
    fields = dict(entry)
    reply = http(clients.server, "POST", f"/cache/{fields.pop('key')}", fields)
    assert (reply.status, reply.json) == (201, {"ok": True})


def write_by_cache_api_mset(clients: Clients, entry: dict[str, Any]) -> None:
    reply = http(clients.server, "POST", "/cache", {"action": "mset", **_split(entry)})
    assert (reply.status, reply.json) == (200, {"stored": 1})


def _split(entry: dict[str, Any]) -> dict[str, Any]:
    """The fields of an `mset` of one entry: its expiry is the entry's, the rest the message's."""
    inner = {name: entry[name] for name in ("key", "value", "ttl") if name in entry}
    outer = {name: value for name, value in entry.items() if name not in inner}
    return {"entries": [inner], **outer}


WRITES = [
    write_by_set,
    write_by_mset,
    write_by_action,
    write_by_post,
    write_by_cache_api,
    write_by_cache_api_mset,
]

UNSET: list[dict[str, Any]] = [
    {"ttl": None},
    {"ttl": 0.0},
    {"ns": None},
    {"ns": ""},
    {"durable": None},
    {"ttl": None, "ns": "", "durable": None, "id": None},
]


def entry_of(clients: Clients, key: str) -> dict[str, Any] | None:
    """What is stored under a key without a namespace."""
    entry: dict[str, Any] | None = http(clients.server, "GET", f"/entries/{key}").json["entry"]
    return entry


@pytest.mark.parametrize("fields", UNSET, ids=str)
@pytest.mark.parametrize("write", WRITES)
def test_a_null_or_empty_field_counts_as_absent(
    clients: Clients, write: Write, fields: dict[str, Any]
):
    key = unique()
    write(clients, {"key": key, "value": "v", **fields})
    entry = entry_of(clients, key)
    assert entry is not None
    assert (entry["value"], entry["expiresAt"]) == ("v", None)


@pytest.mark.parametrize("write", WRITES)
def test_an_unknown_field_is_ignored(clients: Clients, write: Write):
    key = unique()
    write(clients, {"key": key, "value": "v", "tll": 5000, "timestamp": 1})
    entry = entry_of(clients, key)
    assert entry is not None
    assert (entry["value"], entry["expiresAt"]) == ("v", None)


@pytest.mark.parametrize("write", WRITES)
def test_a_ttl_may_be_a_float_of_integer_value(clients: Clients, write: Write):
    key = unique()
    write(clients, {"key": key, "value": "v", "ttl": 60000.0})
    entry = http(clients.server, "GET", f"/entries/{key}").json
    assert entry["timestamp"] < entry["entry"]["expiresAt"] <= entry["timestamp"] + 60_000


@pytest.mark.parametrize("ns", [None, ""])
def test_an_unset_namespace_is_accepted_in_every_message(dunena: Client, clients: Clients, ns: Any):
    key = unique()
    dunena.ask({"type": "set", "key": key, "value": "v"})
    assert dunena.ask({"type": "get", "key": key, "ns": ns})["data"]["value"] == "v"
    read = dunena.ask({"type": "mget", "keys": [key], "ns": ns})
    assert read["data"]["result"] == {key: "v"}
    assert dunena.ask({"type": "del", "key": key, "ns": ns})["data"]["deleted"] is True
    objects = clients.objects()
    objects.send({"action": "subscribe", "key": key, "ns": ns})
    objects.send({"action": "set", "key": key, "value": 1, "ns": ns})
    objects.send({"action": "get", "key": key, "ns": ns})
    objects.send({"action": "delete", "key": key, "ns": ns})
    updates = [{"key": key, "value": value} for value in (1, 1, None)]
    assert objects.heard() == updates
    objects.send({"action": "unsubscribe", "key": key, "ns": ns})
    objects.send({"action": "set", "key": key, "value": 2})
    assert objects.heard() == []


def test_an_empty_namespace_in_a_body_does_not_override_the_querys(clients: Clients):
    key, ns = unique(), unique("ns")
    for value, unset in (("a", {"ns": None}), ("b", {"ns": ""}), ("c", {})):
        path = f"/cache/{key}?ns={ns}"
        assert http(clients.server, "POST", path, {"value": value, **unset}).status == 201
        assert http(clients.server, "GET", path).json["value"] == value
    assert http(clients.server, "GET", f"/cache/{key}").status == 404


def test_named_entries_accept_an_unset_namespace(clients: Clients):
    key = unique()
    http(clients.server, "POST", "/set", {"key": key, "value": 1})
    for ns in (None, ""):
        found = http(clients.server, "POST", "/entries", {"keys": [key], "ns": ns}).json["entries"]
        assert [entry["key"] for entry in found] == [key]
