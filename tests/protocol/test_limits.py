"""Limits over the wire: each is reported to its cause, counted, and without effect on others."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dunena.store.limits import KEYS_PER_MESSAGE_MAX, REPLY_VALUES_BYTES_MAX
from tests.protocol.clients import http, open_dunena, open_objects
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.shared_mode import ENTRIES_MAX


def metric(server: ServerProcess, name: str) -> int:
    return metric_of(http(server, "GET", "/metrics").body.decode(), name)


def metric_of(text: str, name: str) -> int:
    """A metric's value, of a counter by its name without ``_total``."""
    found = re.search(rf"^dunena_{re.escape(name)} ([0-9.]+)$", text, re.MULTILINE)
    assert found is not None, name
    return int(float(found.group(1)))


def test_a_write_to_a_full_store_is_507_and_counted(start_server: StartServer) -> None:
    server = start_server("--max-entries", "1")
    assert http(server, "POST", "/set", {"key": "a", "value": 1}).status == 200
    answer = http(server, "POST", "/set", {"key": "b", "value": 1})
    assert answer.status == 507
    assert answer.json == {
        "error": "Storage error: store is full (max 1 entries); nothing was stored"
    }
    assert http(server, "GET", "/health/ready").status == 200
    assert metric(server, 'refusals_total{cause="full"}') == 1


def test_files_of_evicted_keys_are_removed(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--max-memory", "100", "--eviction", "lru")
    for number in range(20):
        assert http(server, "POST", "/set", {"key": f"k{number}", "value": "x" * 30}).status == 200
    assert metric(server, "evictions_total") == 18
    server.restart()
    assert http(server, "GET", "/keys").json["keys"] == ["k18", "k19"]
    assert {path.name for path in server.folder.glob("*.json")} == {"k18.json", "k19.json"}


def subscribe_to(server: ServerProcess, key: str) -> None:
    with open_objects(server) as client:
        assert client.ask({"action": "subscribe", "key": key})["value"] == "1"


def ask_object_store(server: ServerProcess, key: str) -> None:
    with open_objects(server) as client:
        assert client.ask({"action": "get", "key": key})["value"] == "1"


def ask_dunena(server: ServerProcess, **message: object) -> None:
    with open_dunena(server) as client:
        assert client.ask(message)["type"] == "result"


def load(server: ServerProcess, method: str, path: str, body: object = None) -> None:
    assert http(server, method, path, body).status == 200


READS: dict[str, Callable[[ServerProcess], None]] = {
    "GET /get": lambda server: load(server, "GET", "/get/old"),
    "GET /cache": lambda server: load(server, "GET", "/cache/old"),
    "GET /entries/{key}": lambda server: load(server, "GET", "/entries/old"),
    "mget of the cache API": lambda server: load(
        server, "POST", "/cache", {"action": "mget", "keys": ["old"]}
    ),
    "get of dunena": lambda server: ask_dunena(server, type="get", key="old"),
    "mget of dunena": lambda server: ask_dunena(server, type="mget", keys=["old"]),
    "get of the object store": lambda server: ask_object_store(server, "old"),
    "subscribe": lambda server: subscribe_to(server, "old"),
}

LOOKS: dict[str, Callable[[ServerProcess], None]] = {
    "GET /entries": lambda server: load(server, "GET", "/entries"),
    "POST /entries": lambda server: load(server, "POST", "/entries", {"keys": ["old"]}),
    "GET /keys": lambda server: load(server, "GET", "/keys"),
    "GET /search": lambda server: load(server, "GET", "/search?q=old"),
}


@pytest.mark.parametrize(
    ("read", "left"),
    [pytest.param(READS[name], {"old", "newest"}, id=name) for name in READS]
    + [pytest.param(LOOKS[name], {"new", "newest"}, id=name) for name in LOOKS],
)
def test_each_read_of_a_value_counts_as_use_for_eviction(
    start_server: StartServer, read: Callable[[ServerProcess], None], left: set[str]
) -> None:
    server = start_server("--max-entries", "2", "--eviction", "lru")
    for key in ("old", "new"):
        assert http(server, "POST", "/set", {"key": key, "value": "1"}).status == 200
    read(server)
    assert http(server, "POST", "/set", {"key": "newest", "value": "1"}).status == 200
    assert set(http(server, "GET", "/keys").json["keys"]) == left


def test_a_subscription_and_a_described_entry_count_as_no_hit(server: ServerProcess) -> None:
    assert http(server, "POST", "/set", {"key": "old", "value": "1"}).status == 200
    READS["subscribe"](server)
    READS["GET /entries/{key}"](server)
    assert metric(server, "cache_hits_total") == 0


def test_a_store_over_its_lowered_limits_is_trimmed_at_the_start(
    start_server: StartServer, tmp_path: Path
) -> None:
    first = start_server(folder=tmp_path / "shared")
    for number in range(9):
        http(first, "POST", "/set", {"key": f"k{number}", "value": number})
    assert first.stop() == 0
    second = start_server("--max-entries", "4", "--eviction", "lru", folder=tmp_path / "shared")
    assert len(http(second, "GET", "/keys").json["keys"]) == 4


@pytest.mark.parametrize(
    ("more", "fits"),
    [(-1, True), (0, True), (1, False)],
)
def test_the_number_of_keys_and_entries_of_a_message_is_limited(
    shared_server: ServerProcess, more: int, fits: bool
) -> None:
    keys = [f"k{number}" for number in range(KEYS_PER_MESSAGE_MAX + more)]
    entries = [{"key": key, "value": ""} for key in keys[: ENTRIES_MAX + more]]
    for message, text in (
        ({"action": "mget", "keys": keys}, "Keys exceed max count (10000)"),
        ({"action": "mset", "entries": entries}, f"Entries exceed max count ({ENTRIES_MAX})"),
    ):
        answer = http(shared_server, "POST", "/cache", message)
        assert answer.status == (200 if fits else 400)
        assert fits or answer.json == {"error": text}


def test_a_request_over_a_limit_is_counted(server: ServerProcess) -> None:
    with open_dunena(server) as client:
        assert client.ask({"type": "get", "key": "k" * 513})["type"] == "error"
    assert metric(server, 'refusals_total{cause="limit"}') == 1


def test_connections_are_limited_per_forwarded_address(start_server: StartServer) -> None:
    server = start_server("--proxy-header", "127.0.0.1", "--max-connections-per-address", "2")
    crowd = {"X-Forwarded-For": "198.51.100.7"}
    with (
        open_dunena(server, additional_headers=crowd),
        open_dunena(server, additional_headers=crowd),
    ):
        refused = http(server, "GET", "/ws", headers={**crowd, **UPGRADE})
        assert refused.status == 429
        assert refused.json == {"error": "Too many connections from this address", "code": "rate"}
        with open_dunena(server, additional_headers={"X-Forwarded-For": "198.51.100.8"}) as other:
            assert other.ask({"type": "ping"})["type"] == "pong"
        shown = http(server, "GET", "/server").json["connections"]["shown"]
        assert {one["address"] for one in shown} >= {"198.51.100.7"}
    assert metric(server, 'refusals_total{cause="connections"}') == 1
    (line,) = [line for line in server.errors if "--max-connections-per-address" in line]
    assert "198.51.100.7" in line
    with open_dunena(server, additional_headers=crowd) as again:
        assert again.ask({"type": "ping"})["type"] == "pong"


def test_x_forwarded_for_is_ignored_without_a_trusted_proxy(start_server: StartServer) -> None:
    server = start_server("--max-connections-per-address", "1")
    claim = {"X-Forwarded-For": "198.51.100.7"}
    with (
        open_dunena(server, additional_headers=claim),
        open_dunena(server, additional_headers=claim),
    ):
        shown = http(server, "GET", "/server").json["connections"]["shown"]
        assert all(one["address"].startswith("127.0.0.1:") for one in shown)
        assert len(shown) == 2


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def test_an_mget_over_the_reply_size_limit_is_refused_and_counted(
    start_server: StartServer,
) -> None:
    server = start_server()
    value = "x" * (REPLY_VALUES_BYTES_MAX // 4 - 10)
    with open_dunena(server) as client:
        for number in range(5):
            client.ask({"type": "set", "key": f"k{number}", "value": value})
        keys = [f"k{number}" for number in range(5)]
        assert len(client.ask({"type": "mget", "keys": keys[:4] * 2})["data"]["result"]) == 4
        text = f"Values exceed max size of one reply ({REPLY_VALUES_BYTES_MAX} bytes)"
        answer = client.ask({"type": "mget", "keys": keys, "id": 1})
        assert (answer["type"], answer["data"], answer["id"]) == ("error", text, 1)
    answer = http(server, "POST", "/cache", {"action": "mget", "keys": keys})
    assert (answer.status, answer.json) == (413, {"error": text})
    assert metric(server, 'refusals_total{cause="limit"}') == 2
