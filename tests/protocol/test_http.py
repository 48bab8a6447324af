"""HTTP: every route, and the protocol down to its bytes."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.protocol.clients import (
    SECONDS_MAX,
    UPGRADE,
    Clients,
    RawConnection,
    Reply,
    escaped,
    frame,
    http,
    now_ms,
    open_dunena,
    open_objects,
    request_bytes,
    text,
    unique,
)
from tests.support.server import ServerProcess
from tests.support.shared_mode import is_later

JSON = "application/json"


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of whose contents a test decides, for what looks at all keys."""
    with ServerProcess(tmp_path_factory.mktemp("listing")) as server:
        yield server


def assert_json(reply: Reply, status: int, body: Any) -> None:
    assert (reply.status, reply.json) == (status, body)
    assert reply.headers["content-type"] == JSON
    assert int(reply.headers["content-length"]) == len(reply.body)


# --- the object store's routes ---


@pytest.mark.parametrize("value", [None, 0, 2**64 - 1, "żółw", {"z": [1, {"a": 2}], "a": None}])
def test_get_returns_the_value_of_a_set(shared_server: ServerProcess, value: Any):
    key = unique()
    reply = http(shared_server, "POST", "/set", {"key": key, "value": value})
    assert_json(reply, 200, {"key": key, "value": value})
    assert_json(http(shared_server, "GET", f"/get/{key}"), 200, {"key": key, "value": value})


def test_set_with_if_rev_succeeds_only_for_the_current_revision(shared_server: ServerProcess):
    def set_over(revision: Any, value: Any, ns: str = "") -> Reply:
        body = {"key": key, "value": value, "ifRev": revision} | ({"ns": ns} if ns else {})
        return http(shared_server, "POST", "/set", body)

    def revision() -> int:
        return http(shared_server, "GET", f"/entries/{key}").json["entry"]["revision"]

    key = unique()
    assert set_over(7, "nothing there").status == 409
    assert set_over(0, "made").status == 200
    first = revision()
    assert_json(set_over(0, "again"), 409, {"error": f'Revision conflict: "{key}" is at {first}'})
    assert set_over(0, "elsewhere", ns="app").status == 200
    assert set_over(first, "seen").status == 200
    assert set_over(first, "late").status == 409
    assert set_over(None, "whatever is there").status == 200
    assert http(shared_server, "GET", f"/get/{key}").json["value"] == "whatever is there"
    for wrong in (-1, 1.5, "1", True, [1]):
        reply = set_over(wrong, 1)
        assert_json(reply, 400, {"error": "ifRev must be a non-negative integer"})


def test_get_of_a_missing_key_is_null(shared_server: ServerProcess):
    assert_json(http(shared_server, "GET", "/get/no-such"), 200, {"key": "no-such", "value": None})


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/none", 404, "not_found"),
        ("POST", "/get/k", 405, "method"),
        ("GET", "/ws", 426, "upgrade"),
        ("GET", "/kv/%ff", 400, "invalid"),
        ("GET", "/entries?count=0", 400, "invalid"),
    ],
)
def test_an_error_of_http_has_a_code(
    shared_server: ServerProcess, method: str, path: str, status: int, code: str
) -> None:
    reply = http(shared_server, method, path)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.json.keys() == {"error", "code"}


def test_a_body_and_a_head_that_are_too_large_have_a_code(raw: RawConnection) -> None:
    raw.request("POST", "/set", {"Content-Length": "100000000"})
    reply = raw.read_reply()
    assert (reply.status, reply.json["code"]) == (413, "limit")


def test_a_byte_order_mark_before_a_body_is_ignored(shared_server: ServerProcess):
    key = unique()
    body = b'\xef\xbb\xbf{"key":"%s","value":1}' % key.encode()
    assert_json(http(shared_server, "POST", "/set", body), 200, {"key": key, "value": 1})


def test_a_value_is_returned_byte_for_byte(shared_server: ServerProcess):
    key = unique()
    value = '{"b":18446744073709551615,"a":[1.0,"é"]}'
    body = f'{{"key":"{key}","value":{value}}}'
    assert http(shared_server, "POST", "/set", body).body == body.encode()
    assert http(shared_server, "GET", f"/get/{key}").body == body.encode()


@pytest.mark.parametrize(
    "key",
    ["a/b/c", "../x", "a b+c", "100%", "%41", "é🐢", "?#&=", "x" * 512, "//", "..", ".", "a\\b"],
)
def test_keys_in_paths_are_percent_decoded(shared_server: ServerProcess, key: str):
    http(shared_server, "POST", "/set", {"key": key, "value": key})
    reply = http(shared_server, "GET", f"/get/{escaped(key)}")
    assert_json(reply, 200, {"key": key, "value": key})


def test_differently_escaped_paths_name_the_same_key(shared_server: ServerProcess):
    http(shared_server, "POST", "/set", {"key": "a/b+c A", "value": 1})
    for path in ("/get/a/b+c%20A", "/get/a%2Fb%2Bc%20%41", "/get/a%2fb+c%20A?", "/get/a/b+c%20A?x"):
        assert_json(http(shared_server, "GET", path), 200, {"key": "a/b+c A", "value": 1})


def test_an_invalid_percent_escape_is_taken_literally(shared_server: ServerProcess):
    assert http(shared_server, "GET", "/get/50%").json["key"] == "50%"
    assert http(shared_server, "GET", "/get/%zz").json["key"] == "%zz"


def test_set_and_get_use_the_given_namespace(shared_server: ServerProcess):
    key = unique()
    body = {"key": key, "value": 1, "ns": "app 1"}
    wanted = {"key": key, "value": 1, "ns": "app 1"}
    assert_json(http(shared_server, "POST", "/set", body), 200, wanted)
    assert_json(http(shared_server, "GET", f"/get/{key}?ns=app%201"), 200, wanted)
    assert_json(http(shared_server, "GET", f"/get/{key}?ns=app+1"), 200, wanted)
    assert_json(http(shared_server, "GET", f"/get/{key}"), 200, {"key": key, "value": None})
    assert_json(http(shared_server, "GET", f"/get/{key}?ns="), 200, {"key": key, "value": None})


def test_set_with_a_ttl_expires(shared_server: ServerProcess, clients: Clients):
    key, listener = unique(), clients.dunena()
    http(shared_server, "POST", "/set", {"key": key, "value": 1, "ttl": 30})
    listener.event(key, "expired")
    assert http(shared_server, "GET", f"/get/{key}").json["value"] is None


# --- the cache API ---


def test_cache_route_writes_reads_and_deletes_a_key(shared_server: ServerProcess):
    key = unique()
    path = f"/cache/{key}"
    assert_json(http(shared_server, "POST", path, {"value": "v"}), 201, {"ok": True})
    assert_json(http(shared_server, "GET", path), 200, {"key": key, "value": "v"})
    assert_json(http(shared_server, "DELETE", path), 200, {"deleted": True})
    assert_json(http(shared_server, "DELETE", path), 200, {"deleted": False})
    assert_json(http(shared_server, "GET", path), 404, {"error": "Key not found"})


def test_cache_route_uses_the_given_namespace(shared_server: ServerProcess):
    path = f"/cache/{unique()}"
    http(shared_server, "POST", path, {"value": "inside", "ns": "a b"})
    assert http(shared_server, "GET", path).status == 404
    assert http(shared_server, "GET", f"{path}?ns=a+b").json["value"] == "inside"
    assert http(shared_server, "DELETE", path).json == {"deleted": False}
    assert http(shared_server, "DELETE", f"{path}?ns=a%20b").json == {"deleted": True}


def test_cache_route_percent_decodes_keys(shared_server: ServerProcess):
    key = unique("a/b %41?")
    http(shared_server, "POST", f"/cache/{escaped(key)}", {"value": "v"})
    assert_json(
        http(shared_server, "GET", f"/cache/{escaped(key)}"), 200, {"key": key, "value": "v"}
    )


def test_cache_route_returns_other_values_as_compact_json(shared_server: ServerProcess):
    key = unique()
    http(shared_server, "POST", "/set", f'{{"key":"{key}","value":{{"b": [1, 2] , "a": null}}}}')
    assert http(shared_server, "GET", f"/cache/{key}").json["value"] == '{"b":[1,2],"a":null}'


def test_cache_route_with_a_ttl_expires(shared_server: ServerProcess, clients: Clients):
    key, listener = unique(), clients.dunena()
    http(shared_server, "POST", f"/cache/{key}", {"value": "v", "ttl": 30})
    listener.event(key, "expired")
    assert http(shared_server, "GET", f"/cache/{key}").status == 404


def test_cache_route_answers_mget_and_mset(shared_server: ServerProcess):
    one, two, missing = unique(), unique(), unique()
    entries = [{"key": one, "value": "1"}, {"key": two, "value": "2", "ttl": 60_000}]
    body = {"action": "mset", "entries": entries, "ns": "app"}
    assert_json(http(shared_server, "POST", "/cache", body), 200, {"stored": 2})
    body = {"action": "mget", "keys": [two, missing, one], "ns": "app"}
    wanted = {"result": {two: "2", missing: None, one: "1"}}
    assert_json(http(shared_server, "POST", "/cache", body), 200, wanted)
    body = {"action": "mget", "keys": [one]}
    assert_json(http(shared_server, "POST", "/cache", body), 200, {"result": {one: None}})


def test_flush_deletes_all_keys_of_all_namespaces(listing: ServerProcess):
    http(listing, "POST", "/set", {"key": "a", "value": 1})
    http(listing, "POST", "/set", {"key": "a", "value": 1, "ns": "app"})
    assert_json(http(listing, "POST", "/flush"), 200, {"flushed": True})
    assert http(listing, "GET", "/info").json["entries"] == 0
    assert http(listing, "GET", "/keys?ns=app").json == {"cursor": 0, "keys": []}
    assert_json(http(listing, "POST", "/flush", {"with": "a body"}), 200, {"flushed": True})


# --- /keys ---


KEYS = sorted([f"k{number}" for number in range(2498)] + ["a[b]", "ż"])


@pytest.fixture(scope="module")
def library() -> Iterator[ServerProcess]:
    """A server with many keys, and one of a namespace; tests only read it."""
    with ServerProcess(None, "--no-persist") as server:
        with open_objects(server) as client:
            for name in reversed(KEYS):
                client.send({"action": "set", "key": name, "value": 1})
            client.send({"action": "set", "key": "inside", "value": 1, "ns": "app"})
            client.heard()
        yield server


def page(server: ServerProcess, query: str) -> tuple[int, list[str]]:
    reply = http(server, "GET", f"/keys?{query}")
    assert reply.status == 200
    assert set(reply.json) == {"cursor", "keys"}
    return reply.json["cursor"], reply.json["keys"]


def test_keys_are_listed_sorted_in_pages(library: ServerProcess):
    cursor, seen = page(library, "")
    assert seen == KEYS[:100], "a hundred unless told"
    while cursor:
        cursor, more = page(library, f"cursor={cursor}&count=700")
        assert len(more) <= 700
        seen += more
    assert seen == KEYS


@pytest.mark.parametrize(
    ("count", "length"), [(1, 1), (999, 999), (1000, 1000), (1001, 1000), (2.0, 2), ("3.00", 3)]
)
def test_a_page_of_keys_has_at_most_1000(library: ServerProcess, count: object, length: int):
    cursor, found = page(library, f"count={count}")
    assert found == KEYS[:length]
    assert cursor != 0


def test_a_search_through_many_keys_is_answered_in_the_order_of_requests():
    with ServerProcess(None, "--no-persist") as server:
        with open_dunena(server) as client:
            entries = [{"key": f"k{number}", "value": "v"} for number in range(9000)]
            assert client.ask({"type": "mset", "entries": entries})["data"] == {"stored": 9000}
        paths = ["/keys?pattern=none", "/health/live", "/keys?pattern=*9&count=2", "/keys?cursor=x"]
        requests = "".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths)
        with RawConnection(server) as raw:
            raw.send(requests)
            replies = [raw.read_reply().json for _ in paths]
    assert replies == [
        {"cursor": 0, "keys": []},
        {"status": "alive"},
        {"cursor": 25, "keys": ["k1009", "k1019"]},
        {"error": "cursor must be a non-negative integer"},
    ]


def test_the_last_page_has_cursor_0(library: ServerProcess):
    query = "pattern=k24??&count="
    for count in (98, 99, 1000):
        cursor, found = page(library, f"{query}{count}")
        rest = page(library, f"{query}{count}&cursor={cursor}")[1] if cursor else []
        assert found + rest == [f"k{number}" for number in range(2400, 2498)]
    assert page(library, "cursor=999999") == (0, [])


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", None),
        ("k1", ["k1"]),
        ("k1?", [f"k1{digit}" for digit in range(10)]),
        ("k99*", ["k99", *[f"k99{digit}" for digit in range(10)]]),
        ("?77?", [f"k77{digit}" for digit in range(10)]),
        ("*9*9*9*9*", []),
        ("a[b]", ["a[b]"]),
        ("a[a-c]", []),
        ("a?b]", ["a[b]"]),
        ("%C5%BC", ["ż"]),
        ("?", ["ż"]),
        ("K1", []),
        ("1", []),
        ("k1.", []),
        (".*", []),
        ("%28k%29*", []),
        ("k1%0A", []),
    ],
)
def test_the_pattern_of_a_key_listing_is_a_glob(
    library: ServerProcess, pattern: str, matches: list[str] | None
):
    found = page(library, f"pattern={pattern}&count=1000")[1]
    assert found == (KEYS[:1000] if matches is None else matches)


def test_keys_lists_only_the_keys_of_its_namespace(library: ServerProcess):
    assert page(library, "ns=app") == (0, ["inside"])
    assert page(library, "ns=app&pattern=k*") == (0, [])
    assert page(library, "ns=none") == (0, [])
    assert "inside" not in KEYS


@pytest.mark.parametrize("pattern", ["*a" * 100 + "b", "*" * 400 + "b", "a*" * 200 + "?b"])
def test_an_expensive_pattern_is_answered_within_a_second(listing: ServerProcess, pattern: str):
    http(listing, "POST", "/flush")
    for ending in range(20):
        http(listing, "POST", "/set", {"key": "a" * 500 + str(ending), "value": 1})
    began = time.monotonic()
    assert page(listing, f"pattern={pattern}") == (0, [])
    assert time.monotonic() - began < 1


def test_expired_keys_are_not_listed(listing: ServerProcess):
    http(listing, "POST", "/flush")
    with open_dunena(listing) as client:
        client.send({"type": "set", "key": "gone", "value": "v", "ttl": 20})
        client.send({"type": "set", "key": "here", "value": "v"})
        client.event("gone", "expired")
    assert page(listing, "") == (0, ["here"])


# --- what the server says of itself ---


def test_info_reports_version_entries_and_uptime(listing: ServerProcess):
    http(listing, "POST", "/flush")
    http(listing, "POST", "/set", {"key": "k", "value": 1})
    http(listing, "POST", "/set", {"key": "k", "value": 1, "ns": "app"})
    info = http(listing, "GET", "/info").json
    assert info["name"] == "dunena"
    assert info["version"].count(".") >= 2
    assert info["entries"] == 2
    assert 0 <= info["uptime"] < 600
    assert re.fullmatch("[a-z0-9]{8,16}", info["epoch"])
    assert http(listing, "GET", "/info").json["epoch"] == info["epoch"]


def test_stats_report_counters_and_latency(listing: ServerProcess):
    http(listing, "POST", "/flush")
    http(listing, "POST", "/set", {"key": "k", "value": 1})
    before = http(listing, "GET", "/stats").json
    assert set(before) >= {"cache", "latency"}
    with open_dunena(listing) as client:
        for key in ("k", "k", "k", "missing"):
            client.ask({"type": "get", "key": key})
        client.ask({"type": "mget", "keys": ["k", "missing"]})
    http(listing, "GET", "/get/k")
    http(listing, "GET", "/cache/missing")
    after = http(listing, "GET", "/stats").json
    cache = after["cache"]
    assert cache["hits"] - before["cache"]["hits"] == 5
    assert cache["misses"] - before["cache"]["misses"] == 3
    assert cache["hitRate"] == pytest.approx(
        cache["hits"] / (cache["hits"] + cache["misses"]), abs=1e-3
    )
    assert cache["currentSize"] == 1
    assert cache["puts"] == before["cache"]["puts"]
    assert set(after["latency"]) >= {"mean", "p50", "p95", "p99", "min", "max", "stdDev"}
    assert all(isinstance(value, int | float) for value in after["latency"].values())


def test_health_is_200_with_status_and_checks(shared_server: ServerProcess):
    health = http(shared_server, "GET", "/health")
    assert health.status == 200
    assert health.json["status"] == "healthy"
    assert health.json["checks"]
    assert health.json["version"] == http(shared_server, "GET", "/info").json["version"]
    assert abs(health.json["timestamp"] - now_ms()) < SECONDS_MAX * 1000
    for path in ("/health/live", "/health/ready"):
        reply = http(shared_server, "GET", path)
        assert (reply.status, reply.headers["content-type"]) == (200, JSON)


def metrics(server: ServerProcess) -> dict[str, float]:
    reply = http(server, "GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(reply.body.decode()))
    assert len(families) > 10
    for family in families:
        assert family.documentation
        assert family.type in ("gauge", "counter", "histogram", "summary")
    return {
        sample.name
        + (
            "{{{}}}".format(",".join(f'{k}="{v}"' for k, v in sample.labels.items()))
            if sample.labels
            else ""
        ): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count_requests_and_changes(listing: ServerProcess):
    http(listing, "POST", "/flush")
    before = metrics(listing)
    with open_dunena(listing) as client:
        client.ask({"type": "set", "key": "k", "value": "v"})
        client.ask({"type": "get", "key": "k"})
        client.ask({"type": "get", "key": "missing"})
        after = metrics(listing)
    assert after["dunena_entries"] == 1
    for name, growth in {
        "dunena_changes_total": 1,
        "dunena_hits_total": 1,
        "dunena_misses_total": 1,
        "dunena_cache_hits_total": 1,
        "dunena_cache_puts_total": 1,
        'dunena_connections{protocol="dunena"}': 1,
        'dunena_messages_total{dialect="dunena",type="set"}': 1,
        'dunena_messages_total{dialect="dunena",type="get"}': 2,
        'dunena_messages_total{dialect="",type="invalid"}': 0,
    }.items():
        assert after[name] - before.get(name, 0) == growth, name
    for name in ("received", "sent"):
        assert after[f"dunena_{name}_bytes_total"] > before[f"dunena_{name}_bytes_total"] + 100
    assert after["process_resident_memory_bytes"] > 1_000_000 or sys.platform != "linux"
    assert after["dunena_http_requests_total"] > before["dunena_http_requests_total"]
    assert is_later(after["dunena_revision"], before["dunena_revision"], 1)
    assert after["dunena_tick_seconds_count"] > before["dunena_tick_seconds_count"]


# --- / and /test ---


def test_the_test_page_is_served_as_html(shared_server: ServerProcess):
    reply = http(shared_server, "GET", "/test")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<html" in reply.body.lower()


def test_a_browser_is_redirected_from_the_root_to_the_test_page(shared_server: ServerProcess):
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    reply = http(shared_server, "GET", "/", headers={"Accept": accept})
    assert reply.status in (302, 303, 307)
    assert reply.headers["location"] == "./test", "relative: a proxy may show it below a path"


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, {"Accept": JSON}])
def test_clients_other_than_browsers_get_info_at_the_root(
    shared_server: ServerProcess, headers: dict[str, str]
):
    reply = http(shared_server, "GET", "/", headers=headers)
    assert (reply.status, reply.json["name"]) == (200, "dunena")
    assert set(reply.json) == set(http(shared_server, "GET", "/info").json)


# --- methods ---

ROUTES = {
    "/": {"GET"},
    "/ws": {"GET"},
    "/test": {"GET"},
    "/get/k": {"GET"},
    "/set": {"POST"},
    "/kv": {"GET"},
    "/kv/k": {"DELETE", "GET", "PATCH", "POST", "PUT"},
    "/txn": {"POST"},
    "/history/k": {"GET"},
    "/backup": {"GET", "POST"},
    "/cache": {"POST"},
    "/cache/k": {"GET", "POST", "DELETE"},
    "/keys": {"GET"},
    "/watch": {"GET"},
    "/stats": {"GET"},
    "/info": {"GET"},
    "/health": {"GET"},
    "/health/live": {"GET"},
    "/health/ready": {"GET"},
    "/metrics": {"GET"},
    "/flush": {"POST"},
    "/publish/c": {"POST"},
    "/entries": {"GET", "POST"},
    "/entries/k": {"GET", "DELETE"},
    "/search": {"GET"},
    "/namespaces": {"GET"},
    "/server": {"GET"},
    "/pages-from-disk": {"POST"},
    "/qr": {"GET"},
    "/invites": {"GET", "POST"},
    "/invite/k": {"GET", "POST"},
    "/sharing": {"GET", "POST"},
    "/update-check": {"POST"},
}


def allowed(methods: set[str]) -> set[str]:
    return methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


@pytest.mark.parametrize(("path", "methods"), ROUTES.items())
def test_an_unsupported_method_is_405_with_allow(
    shared_server: ServerProcess, path: str, methods: set[str]
):
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "TRACE"} - allowed(methods):
        reply = http(shared_server, method, path, b"{}" if method == "POST" else None)
        assert reply.status == 405, method
        if method != "HEAD":
            assert reply.json == {"error": "Method not allowed", "code": "method"}
        assert set(reply.headers["allow"].split(", ")) == allowed(methods)


@pytest.mark.parametrize(
    "path", ["/no-such", "/get", "/sets", "/test/no-such", "/ws/", "/cachet", "//"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_404(shared_server: ServerProcess, method: str, path: str):
    assert_json(http(shared_server, method, path), 404, {"error": "Not found", "code": "not_found"})


PARTS_OF_THE_ORIGINAL = [
    ("GET", "ttl", None),
    ("GET", "version", None),
    ("HEAD", "ttl", None),
    ("POST", "touch", {"ttl": 1000}),
    ("POST", "incr", None),
    ("POST", "incr", {"delta": 2}),
    ("POST", "decr", "no JSON"),
    ("PUT", "cas", {"value": "v", "expectedVersion": 1}),
]


@pytest.mark.parametrize(("method", "part", "body"), PARTS_OF_THE_ORIGINAL)
def test_subroutes_of_a_key_of_the_original_server_are_not_implemented(
    shared_server: ServerProcess, method: str, part: str, body: Any
):
    key = unique()
    http(shared_server, "POST", f"/cache/{key}", {"value": "v"})
    reply = http(shared_server, method, f"/cache/{key}/{part}", body)
    assert reply.status == 404
    if method != "HEAD":
        assert reply.json == {"error": f"No such path: /cache/{{key}}/{part}"}
    assert http(shared_server, "GET", f"/cache/{key}").json["value"] == "v"


def test_a_key_may_end_in_the_name_of_an_original_subroute(shared_server: ServerProcess):
    key = unique()
    path = f"/cache/{key}/ttl"
    assert_json(http(shared_server, "POST", path, {"value": "v"}), 201, {"ok": True})
    for one in (path, f"/cache/{key}%2Fttl"):
        assert_json(http(shared_server, "GET", one), 200, {"key": f"{key}/ttl", "value": "v"})
    assert_json(http(shared_server, "DELETE", path), 200, {"deleted": True})
    for one in (f"/cache/{key}%2Fttl", f"/cache/{key}/other", "/cache/ttl"):
        assert_json(http(shared_server, "GET", one), 404, {"error": "Key not found"})


def test_the_websocket_path_without_an_upgrade_is_426(shared_server: ServerProcess):
    reply = http(shared_server, "GET", "/ws")
    assert reply.status == 426
    assert reply.headers["upgrade"] == "websocket"
    assert set(reply.json) == {"error", "code"}


@pytest.mark.parametrize(("path", "methods"), ROUTES.items())
def test_head_has_the_headers_of_get(shared_server: ServerProcess, path: str, methods: set[str]):
    if "GET" not in methods:
        assert http(shared_server, "HEAD", path).status == 405
        return
    got, head = (http(shared_server, method, path) for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path in ("/get/k", "/cache/k", "/test", "/ws"):  # the others may change in between
        assert head.headers["content-length"] == got.headers["content-length"]


def test_a_head_response_has_no_body_on_the_wire(raw: RawConnection):
    raw.request("HEAD", "/get/k")
    assert raw.read_reply(is_head=True).status == 200
    raw.request("GET", "/get/k")
    assert raw.read_reply().json == {"key": "k", "value": None}


@pytest.mark.parametrize(("path", "methods"), ROUTES.items())
def test_a_preflight_is_answered_with_the_allowed_methods_and_headers(
    shared_server: ServerProcess, path: str, methods: set[str]
):
    origin = "http://localhost:5173"
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    reply = http(shared_server, "OPTIONS", path, headers=headers)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == origin
    assert methods <= set(reply.headers["access-control-allow-methods"].split(", "))
    accepted = reply.headers["access-control-allow-headers"].lower()
    assert {"authorization", "content-type"} <= set(accepted.split(", "))
    assert "origin" in reply.headers["vary"].lower()


def test_a_preflight_allows_the_requested_valid_header_names(shared_server: ServerProcess):
    asked = "X-Requested-With, x-trace-id,content-type,, bäd, a b, x-trace-id"
    headers = {
        "Origin": "http://localhost:5173",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": asked.encode("latin-1"),
    }
    reply = http(shared_server, "OPTIONS", "/set", headers=headers)
    accepted = reply.headers["access-control-allow-headers"].split(", ")
    own = ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"]
    assert accepted == [*own, "X-Requested-With", "x-trace-id"]
    foreign = http(shared_server, "OPTIONS", "/set", headers=headers | {"Origin": "https://a.b"})
    assert foreign.status == 403
    assert "access-control-allow-headers" not in foreign.headers


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://example.com"])
def test_a_413_response_has_cors_headers_for_an_admitted_origin(raw: RawConnection, origin: str):
    raw.request("POST", "/set", {"Content-Length": str(10**9), "Origin": origin})
    reply = raw.read_reply()
    is_let_in = "localhost" in origin
    assert reply.status == (413 if is_let_in else 403)
    assert reply.headers.get("access-control-allow-origin") == (origin if is_let_in else None)


def test_a_preflight_allows_private_network_access(shared_server: ServerProcess):
    headers = {
        "Origin": "http://localhost:5173",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Private-Network": "true",
    }
    reply = http(shared_server, "OPTIONS", "/get/k", headers=headers)
    assert reply.headers["access-control-allow-private-network"] == "true"


def test_options_without_an_origin_lists_the_allowed_methods(shared_server: ServerProcess):
    reply = http(shared_server, "OPTIONS", "/cache/k")
    assert (reply.status, reply.body) == (204, b"")
    assert set(reply.headers["allow"].split(", ")) == allowed(ROUTES["/cache/k"])


@pytest.mark.parametrize("path", ["/get/k", "/cache/no-such", "/no-such", "/metrics"])
def test_every_response_has_cors_headers_for_an_admitted_origin(
    shared_server: ServerProcess, path: str
):
    origin = "http://localhost:5173"
    reply = http(shared_server, "GET", path, headers={"Origin": origin})
    assert reply.headers["access-control-allow-origin"] == origin


# --- bodies ---


@pytest.mark.parametrize("path", ["/set", "/cache", "/cache/k"])
def test_a_post_without_a_length_is_411(raw: RawConnection, path: str):
    raw.request("POST", path)
    reply = raw.read_reply()
    assert (reply.status, set(reply.json)) == (411, {"error", "code"})


@pytest.mark.parametrize("size", [25_231_361, 10**15, 2**64 + 5])
def test_a_content_length_over_the_limit_is_refused_at_once(raw: RawConnection, size: int):
    raw.request("POST", "/set", {"Content-Length": str(size)})
    reply = raw.read_reply()
    assert reply.status in ((413,) if size < 2**63 else (400, 413))
    assert set(reply.json) == {"error", "code"}
    assert raw.read_to_end() == b""


def test_a_chunked_body_over_the_limit_is_413(listing: ServerProcess):
    with RawConnection(listing) as raw:
        raw.request("POST", "/set", {"Transfer-Encoding": "chunked"})
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(40):
                raw.send(chunk)
        except ConnectionError:
            pass  # it need not take all of it
        else:
            assert raw.read_reply().status == 413
    assert http(listing, "GET", "/health/live").status == 200


@pytest.mark.parametrize("cuts", [[1000], [1, 1, 1, 1, 1000], [5, 7, 1000]])
def test_a_chunked_body_is_read(raw: RawConnection, cuts: list[int]):
    key = unique()
    body = json.dumps({"key": key, "value": "żółw"}).encode()
    raw.request("POST", "/set", {"Transfer-Encoding": "chunked"})
    for cut in cuts:
        part, body = body[:cut], body[cut:]
        raw.send(b"%x\r\n%s\r\n" % (len(part), part))
    raw.send("0\r\nTrailer: ignored\r\n\r\n")
    assert raw.read_reply().json == {"key": key, "value": "żółw"}
    raw.request("GET", f"/get/{key}")
    assert raw.read_reply().json == {"key": key, "value": "żółw"}


def test_a_body_may_come_byte_by_byte(raw: RawConnection):
    key = unique()
    body = json.dumps({"key": key, "value": 1}).encode()
    for byte in request_bytes("POST", "/set", {"Host": "localhost"}, body):
        raw.send(bytes((byte,)))
    assert raw.read_reply().json == {"key": key, "value": 1}


def test_curl_sends_a_large_body_after_100_continue(
    shared_server: ServerProcess, curl: Path, tmp_path: Path
):
    key = unique()
    file = tmp_path / "body"
    file.write_text(json.dumps({"key": key, "value": "x" * 2_000_000}), "utf-8")
    command = [curl, "-sS", "-i", "--http1.1", "--max-time", "20", "--expect100-timeout", "15"]
    command += [
        "-H",
        "Expect: 100-continue",
        "--data-binary",
        f"@{file}",
        f"{shared_server.url}/set",
    ]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    assert done.stdout.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert json.loads(done.stdout.rpartition(b"\r\n\r\n")[2])["key"] == key


def test_a_body_over_the_limit_gets_413_instead_of_100_continue(raw: RawConnection):
    raw.request("POST", "/set", {"Content-Length": "999999999", "Expect": "100-continue"})
    assert raw.read_reply().status == 413


def test_no_100_continue_is_sent_when_the_body_has_arrived(raw: RawConnection):
    body = json.dumps({"key": unique(), "value": 1}).encode()
    raw.request("POST", "/set", {"Expect": "100-continue"}, body)
    assert raw.read_reply().status == 200


def test_each_request_that_expects_100_continue_gets_one(raw: RawConnection):
    for _ in range(2):
        body = json.dumps({"key": unique(), "value": 1}).encode()
        raw.request("POST", "/set", {"Content-Length": str(len(body)), "Expect": "100-continue"})
        assert raw.read_reply().status == 100
        raw.send(body)
        assert raw.read_reply().status == 200


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", JSON])
def test_the_content_type_of_a_body_is_ignored(shared_server: ServerProcess, media_type: str):
    body = {"key": unique(), "value": 1}
    reply = http(shared_server, "POST", "/set", body, {"Content-Type": media_type})
    assert_json(reply, 200, body)


# --- connections ---


def test_a_connection_is_kept_alive(raw: RawConnection):
    for number in range(10):
        raw.request("GET", f"/get/{number}")
        reply = raw.read_reply()
        assert reply.json["key"] == str(number)
        assert reply.headers.get("connection", "keep-alive") != "close"


def test_an_error_response_keeps_the_connection_alive(raw: RawConnection):
    for path, status in (("/no-such", 404), ("/cache/k", 404), ("/get/%FF", 400), ("/set", 405)):
        raw.request("GET", path)
        assert raw.read_reply().status == status
    raw.request("POST", "/set", body=b"{")
    assert raw.read_reply().status == 400
    raw.request("GET", "/get/k")
    assert raw.read_reply().status == 200


def test_requests_may_be_pipelined(raw: RawConnection):
    key = unique()
    host = {"Host": "localhost"}
    requests = []
    for number in range(300):
        body = json.dumps({"key": key, "value": number}).encode()
        requests.append(request_bytes("POST", "/set", host, body))
        requests.append(request_bytes("GET", f"/get/{key}", host))
    raw.send(b"".join(requests))
    for number in range(300):
        for _ in range(2):
            assert raw.read_reply().json == {"key": key, "value": number}


def test_connection_close_closes_after_the_response(raw: RawConnection):
    raw.request("GET", "/get/k", {"Connection": "close"})
    reply = raw.read_reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert raw.read_to_end() == b""


def test_a_request_after_connection_close_is_ignored(raw: RawConnection):
    key = unique()
    body = json.dumps({"key": key, "value": 1}).encode()
    host = {"Host": "localhost"}
    raw.send(
        request_bytes("GET", "/get/k", {**host, "Connection": "close"})
        + request_bytes("POST", "/set", host, body)
    )
    assert raw.read_reply().status == 200
    assert raw.read_to_end() == b""
    assert http(raw.server, "GET", f"/get/{key}").json["value"] is None


def test_an_http_1_0_connection_is_closed_after_the_response(raw: RawConnection):
    raw.send("GET /get/k HTTP/1.0\r\n\r\n")
    reply = raw.read_reply()
    assert (reply.status, reply.json["key"]) == (200, "k")
    assert raw.read_to_end() == b""


def test_an_http_1_0_connection_can_be_kept_alive(raw: RawConnection):
    for _ in range(2):
        raw.send("GET /get/k HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        reply = raw.read_reply()
        assert reply.headers["connection"].lower() == "keep-alive"


def test_a_half_closed_connection_gets_its_responses(raw: RawConnection):
    key = unique()
    raw.request("POST", "/set", body=json.dumps({"key": key, "value": 1}).encode())
    raw.request("GET", f"/get/{key}")
    raw.end_writing()
    assert raw.read_reply().json["key"] == key
    assert raw.read_reply().json == {"key": key, "value": 1}
    assert raw.read_to_end() == b""


def put_large(server: ServerProcess) -> tuple[str, int]:
    """A key and how many characters its value has: more than a socket takes at once."""
    key, size = unique("large"), 1_000_000
    http(server, "POST", "/set", {"key": key, "value": "x" * size})
    return key, size


def test_a_half_closed_connection_gets_large_responses_completely(raw: RawConnection):
    key, size = put_large(raw.server)
    for _ in range(30):
        raw.request("GET", f"/get/{key}")
    raw.end_writing()
    assert [len(raw.read_reply().json["value"]) for _ in range(30)] == [size] * 30
    assert raw.read_to_end() == b""


def test_an_upgrade_is_answered_after_large_responses_before_it(raw: RawConnection):
    key, size = put_large(raw.server)
    host = {"Host": "localhost"}
    raw.send(
        request_bytes("GET", f"/get/{key}", host) * 10
        + request_bytes("GET", "/", {**host, **UPGRADE})
        + text({"action": "get", "key": key}) * 10
    )
    assert [len(raw.read_reply().json["value"]) for _ in range(10)] == [size] * 10
    assert raw.read_reply().status == 101
    assert [len(raw.read_message()["value"]) for _ in range(10)] == [size] * 10


@pytest.mark.parametrize("comes_later", [False, True])
def test_an_upgrade_after_unread_responses_is_accepted_when_they_are_read(
    raw: RawConnection, clients: Clients, comes_later: bool
):
    large, size = put_large(raw.server)
    key, count = unique(), 40
    host = {"Host": "localhost"}
    other = clients.objects()
    other.follow(key)
    before = http(raw.server, "GET", "/info").json["connections"]
    raw.send(request_bytes("GET", f"/get/{large}", host) * count)
    if comes_later:
        raw.wait_for_data()  # the answers are more than the system takes, and the outbox is full
    raw.send(
        request_bytes("GET", "/", {**host, **UPGRADE})
        + text({"action": "set", "key": key, "value": 1})
        + text({"action": "subscribe", "key": key})
    )
    raw.wait_for_data()
    assert other.updates(key) == []
    assert http(raw.server, "GET", "/info").json["connections"] <= before, "it is no WebSocket yet"
    assert [len(raw.read_reply().json["value"]) for _ in range(count)] == [size] * count
    assert raw.read_reply().status == 101
    assert raw.read_message() == {"key": key, "value": 1}
    assert other.receive() == {"key": key, "value": 1}
    other.send({"action": "set", "key": key, "value": 2})
    assert raw.read_message() == {"key": key, "value": 2}
    raw.send(text({"action": "get", "key": large}))
    assert len(raw.read_message()["value"]) == size


@pytest.mark.parametrize("beginning", [b"", b"GE", b"GET /get/k HTTP/1.1\r\nHost: local"])
def test_a_connection_half_closed_within_a_request_is_closed(raw: RawConnection, beginning: bytes):
    raw.send(beginning)
    raw.end_writing()
    raw.read_to_end()


def test_a_request_may_come_slowly(raw: RawConnection, shared_server: ServerProcess):
    head = request_bytes("GET", "/get/k", {"Host": "localhost"})
    for byte in head[:-1]:
        raw.send(bytes((byte,)))
    # While it is not whole, others are served.
    assert http(shared_server, "GET", "/health/live").status == 200
    raw.send(head[-1:])
    assert raw.read_reply().status == 200


def test_every_response_has_a_date_header(shared_server: ServerProcess):
    for path in ("/get/k", "/no-such", "/test"):
        assert http(shared_server, "GET", path).headers["date"].endswith("GMT")


def test_an_absolute_url_is_accepted_as_target(raw: RawConnection):
    raw.request("GET", f"http://127.0.0.1:{raw.server.port}/get/k?ns=app")
    assert raw.read_reply().json == {"key": "k", "value": None, "ns": "app"}


# --- what is no HTTP, and too much of it ---


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"nonsense\r\n\r\n",
        b"GET /get/k\r\n\r\n",
        b"GET /get/k HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /get/k HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /get/k HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n",
        b"GET /get/\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /set HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /set HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1x\r\n\r\n",
        b"POST /set HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /set HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /get/k HTTP/1.1\r\n\r\n",  # RFC 9112, 3.2: no Host
        b"GET /get/k HTTP/1.1\r\nHost: localhost:1\r\nHost: example.com:1\r\n\r\n",
    ],
)
def test_a_malformed_request_is_400_and_closes_the_connection(raw: RawConnection, data: bytes):
    raw.send(data)
    raw.end_writing()
    reply = raw.read_reply()
    assert (reply.status, set(reply.json)) == (400, {"error", "code"})
    assert raw.read_to_end() == b""


def test_requests_before_a_malformed_one_are_answered(raw: RawConnection):
    raw.send(request_bytes("GET", "/get/k", {"Host": "localhost"}) + b"nonsense\r\n\r\n")
    assert raw.read_reply().status == 200
    assert raw.read_reply().status == 400
    assert raw.read_to_end() == b""


HEAD_MAX = 65_536


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /" + b"x" * 2 * HEAD_MAX,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 2 * HEAD_MAX,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"x" * 2 * HEAD_MAX,
    ],
    ids=["target", "value", "name"],
)
def test_an_endless_line_is_431(raw: RawConnection, beginning: bytes):
    for start in range(0, len(beginning), 10_000):
        try:
            raw.send(beginning[start : start + 10_000])
        except ConnectionError:
            return  # it was shown the door
    reply = raw.read_reply()
    assert (reply.status, set(reply.json)) == (431, {"error", "code"})
    assert raw.read_to_end() == b""


@pytest.mark.parametrize(("size", "status"), [(HEAD_MAX // 2, 200), (HEAD_MAX + 1, 431)])
def test_the_size_of_a_request_head_is_limited(raw: RawConnection, size: int, status: int):
    raw.request("GET", "/get/k", {f"X-{number}": "x" * (size // 8) for number in range(8)})
    assert raw.read_reply().status == status


@pytest.mark.parametrize(("count", "status"), [(100, 200), (1000, 431)])
def test_the_number_of_headers_is_limited(raw: RawConnection, count: int, status: int):
    raw.request("GET", "/get/k", {f"X-{number}": "x" for number in range(count)})
    assert raw.read_reply().status == status


def test_the_size_of_trailers_is_limited(raw: RawConnection):
    raw.request("POST", "/set", {"Transfer-Encoding": "chunked"})
    raw.send("2\r\n{}\r\n0\r\n")
    try:
        for _ in range(200):
            raw.send("Trailer: " + "x" * 10_000 + "\r\n")
    except ConnectionError:
        return
    assert raw.read_reply().status in (400, 431)


# --- upgrades ---


def test_frames_sent_with_the_upgrade_request_are_read(raw: RawConnection):
    key = unique()
    behind = text({"type": "set", "key": key, "value": "v", "id": 1}) + frame(0x9, b"here?")
    assert raw.upgrade(behind=behind).status == 101
    assert raw.read_message()["type"] == "connected"
    assert raw.read_message()["event"] == "set"
    assert raw.read_message()["id"] == 1
    assert raw.read_frame().payload == b"here?"


def test_an_upgrade_request_may_come_byte_by_byte(raw: RawConnection):
    request = request_bytes("GET", "/ws", {"Host": "localhost", **UPGRADE})
    for byte in request + text({"type": "ping"}):
        raw.send(bytes((byte,)))
    assert raw.read_reply().status == 101
    assert raw.read_message()["type"] == "connected"
    assert raw.read_message()["type"] == "pong"


def test_requests_before_an_upgrade_are_answered_first(raw: RawConnection):
    key = unique()
    host = {"Host": "localhost"}
    body = json.dumps({"key": key, "value": 1}).encode()
    raw.send(
        request_bytes("POST", "/set", host, body)
        + request_bytes("GET", f"/get/{key}", host)
        + request_bytes("GET", "/", {**host, **UPGRADE})
        + text({"action": "get", "key": key})
    )
    for _ in range(2):
        assert raw.read_reply().json == {"key": key, "value": 1}
    assert raw.read_reply().status == 101
    assert raw.read_message() == {"key": key, "value": 1}


def test_the_handshake_response_has_the_accept_key_of_rfc_6455(raw: RawConnection):
    reply = raw.upgrade(headers={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert reply.status == 101
    assert reply.headers["upgrade"].lower() == "websocket"
    assert reply.headers["connection"].lower() == "upgrade"
    # RFC 6455, 1.3: the key of its example and the answer to it.
    assert reply.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("connection", ["keep-alive, Upgrade", "upgrade", "Upgrade , x"])
def test_the_connection_header_of_an_upgrade_may_list_other_options(
    raw: RawConnection, connection: str
):
    assert raw.upgrade(headers={"Connection": connection}).status == 101


@pytest.mark.parametrize("key", ["", "short", "no base64 of 16 bytes!!!"])
def test_a_handshake_with_an_invalid_key_is_400(raw: RawConnection, key: str):
    reply = raw.upgrade(headers={"Sec-WebSocket-Key": key})
    assert (reply.status, set(reply.json)) == (400, {"error", "code"})
    assert raw.read_to_end() == b""


def test_a_handshake_with_another_version_is_told_version_13(raw: RawConnection):
    reply = raw.upgrade(headers={"Sec-WebSocket-Version": "8"})
    assert reply.status in (400, 426)  # RFC 6455, 4.4 leaves the choice, but not the header
    assert reply.headers["sec-websocket-version"] == "13"


def test_a_handshake_without_a_key_is_400(raw: RawConnection):
    headers = {name: value for name, value in UPGRADE.items() if name != "Sec-WebSocket-Key"}
    raw.request("GET", "/ws", headers)
    assert raw.read_reply().status == 400


def test_an_upgrade_of_an_unknown_path_is_404(raw: RawConnection):
    assert raw.upgrade("/socket").status == 404


def hidden_request(key: str) -> bytes:
    """A body that would set a key if it were taken for a request."""
    body = json.dumps({"key": key, "value": 1}).encode()
    return request_bytes("POST", "/set", {"Host": "localhost"}, body)


def test_an_upgrade_with_a_body_is_400(raw: RawConnection):
    key = unique()
    raw.request("GET", "/ws", UPGRADE, hidden_request(key))
    assert raw.read_reply().status == 400
    assert raw.read_to_end() == b"", "the body is no request"
    assert http(raw.server, "GET", f"/get/{key}").json["value"] is None


def test_an_upgrade_by_post_is_405(raw: RawConnection):
    key = unique()
    raw.request("POST", "/ws", UPGRADE, hidden_request(key))
    reply = raw.read_reply()
    assert reply.status == 405
    assert "GET" in reply.headers["allow"]
    raw.request("GET", f"/get/{key}")
    assert raw.read_reply().json == {"key": key, "value": None}, "the body was no request"


def test_a_chunked_body_of_an_upgrade_is_not_parsed_as_a_request(raw: RawConnection):
    key = unique()
    hidden = hidden_request(key)
    raw.request("POST", "/set", {**UPGRADE, "Transfer-Encoding": "chunked"})
    raw.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden))
    assert raw.read_reply().status == 400, "no JSON"
    assert http(raw.server, "GET", f"/get/{key}").json["value"] is None


def test_an_upgrade_to_another_protocol_is_ignored(raw: RawConnection):
    headers = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABk",
    }
    host = {"Host": "localhost"}
    raw.send(
        request_bytes("GET", "/get/a", {**host, **headers}) + request_bytes("GET", "/get/b", host)
    )
    assert raw.read_reply().json["key"] == "a"
    assert raw.read_reply().json["key"] == "b"
    raw.request("GET", "/get/c")
    assert raw.read_reply().json["key"] == "c"


def test_curl_falls_back_from_http_2(shared_server: ServerProcess, curl: Path):
    command = [curl, "-sS", "--http2", "--max-time", "20", f"{shared_server.url}/get/k"]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    assert json.loads(done.stdout) == {"key": "k", "value": None}


def test_curl_falls_back_from_http_2_with_a_body(shared_server: ServerProcess, curl: Path):
    """Other HTTP libraries, such as Java's, also offer HTTP/2 with every request."""
    body = json.dumps({"key": unique(), "value": 1})
    command = [curl, "-sS", "--http2", "--max-time", "20", "-d", body, f"{shared_server.url}/set"]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    assert json.loads(done.stdout) == json.loads(body)


def test_an_upgrade_with_content_length_0_is_accepted(raw: RawConnection):
    assert raw.upgrade(headers={"Content-Length": "0"}).status == 101


def test_curl_uses_every_method(shared_server: ServerProcess, curl: Path):
    key = unique()
    url = f"{shared_server.url}/cache/{key}"

    def run(*arguments: str) -> bytes:
        command = [curl, "-sS", "--fail", "--max-time", "20", *arguments]
        return subprocess.run(command, capture_output=True, timeout=30, check=True).stdout

    assert json.loads(run("-d", '{"value":"v"}', url)) == {"ok": True}
    assert json.loads(run(url)) == {"key": key, "value": "v"}
    assert run("-I", url).startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(run("-X", "DELETE", url)) == {"deleted": True}
    assert run("-i", "-X", "OPTIONS", url).startswith(b"HTTP/1.1 204 No Content\r\n")
