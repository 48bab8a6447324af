"""/kv/{key}, /txn and /history: values by the tools of HTTP."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.protocol.clients import (
    SECONDS_MAX,
    RawConnection,
    Reply,
    escaped,
    http,
    now_ms,
    open_objects,
    request_bytes,
    unique,
)
from tests.support.fixtures import StartServer
from tests.support.refusing import commits_refused
from tests.support.server import ServerProcess
from tests.support.shared_mode import ENTRIES_MAX
from tests.support.tokens import write_tokens

OPERATIONS_TEXT = "there are set, delete, merge, patch, incr, append, touch, timer, revert"
HOST = {"Host": "localhost"}
LONG = {"Content-Length": "1000000"}
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
PATCHES = "application/merge-patch+json, application/json, application/json-patch+json"


class Keys:
    """Requests for ``/kv`` of one server."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    def ask(
        self,
        method: str,
        key: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Reply:
        """One request; every answer of these paths forbids caches to keep it."""
        fields = "&".join(f"{name}={escaped(str(value))}" for name, value in query.items())
        path = f"/kv/{escaped(key)}?{fields}"
        reply = http(self.server, method, path, body, headers)
        assert reply.headers["cache-control"] == "no-store"
        return reply

    def get(self, key: str, **query: Any) -> Reply:
        return self.ask("GET", key, **query)

    def put(self, key: str, value: Any, headers: Any = None, **query: Any) -> Reply:
        return self.ask("PUT", key, json.dumps(value), headers, **query)

    def value(self, key: str, **query: Any) -> Any:
        reply = self.get(key, **query)
        assert reply.status == 200, reply
        return reply.json

    def made(self, value: Any, **query: Any) -> str:
        """The name of a new key with this value."""
        key = unique("kv")
        reply = self.put(key, value, **query)
        assert (reply.status, reply.body) == (201, b"")
        return key


@pytest.fixture
def keys(shared_server: ServerProcess) -> Keys:
    return Keys(shared_server)


def assert_error(reply: Reply, status: int, text: str, code: str, **fields: Any) -> None:
    assert (reply.status, reply.json) == (status, {"error": text, "code": code, **fields})


def conflict(key: str, revision: int) -> dict[str, Any]:
    text = f'Revision conflict: "{key}" is at {revision}'
    return {"error": text, "code": "conflict", "key": key, "rev": revision}


# --- reading ---


@pytest.mark.parametrize("value", [None, 0, 2**64 - 1, "żółw", [], {"z": [1, {"a": 2}], "a": None}])
def test_get_returns_the_value_itself(keys: Keys, value: Any):
    key = keys.made(value)
    reply = keys.get(key)
    assert (reply.status, reply.body) == (200, orjson.dumps(value))
    assert reply.headers["content-type"] == "application/json"
    epoch, revision = reply.headers["etag"].strip('"').split("-")
    info = http(keys.server, "GET", "/info").json
    assert (epoch, int(revision)) == (info["epoch"], info["revision"])
    assert "http" in info["features"]


def test_a_missing_key_is_404(keys: Keys):
    assert_error(keys.get("no-such"), 404, "Key not found", "no_key", key="no-such")
    assert "etag" not in keys.get("no-such").headers


@pytest.mark.parametrize("key", ["a/b c", "%2F", "é🐢", "?#&=", "..", "x" * 512, "//", "a\\b", "+"])
def test_a_key_is_percent_decoded(keys: Keys, key: str):
    assert keys.put(key, key).status in (201, 204)
    assert keys.value(key) == key
    assert http(keys.server, "GET", f"/get/{escaped(key)}").json["value"] == key
    assert keys.ask("DELETE", key).status == 204


def test_a_slash_need_not_be_escaped(keys: Keys):
    key = keys.made(1)
    keys.put(f"{key}/b", 2)
    assert http(keys.server, "GET", f"/kv/{key}/b").json == 2
    assert http(keys.server, "GET", f"/kv/{key}%2Fb").json == 2


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("", "Key must not be empty"),
        ("x" * 513, "Key exceeds max length (512)"),
        ("\n", "Key contains invalid characters"),
    ],
)
def test_a_name_that_no_key_has_is_400(keys: Keys, key: str, text: str):
    for method, body in (("GET", None), ("PUT", "1"), ("DELETE", None), ("POST", '{"op":"incr"}')):
        assert_error(keys.ask(method, key, body), 400, text, "limit")


def test_a_namespace_is_named_by_the_query(keys: Keys):
    key = keys.made(1, ns="app 1")
    assert keys.value(key, ns="app 1") == 1
    assert keys.get(key).status == keys.get(key, ns="").status == 404


def test_a_path_names_a_part(keys: Keys):
    key = keys.made({"home": {"score": 2}, "a/b": [1, {"~": "tilde"}]})
    assert keys.value(key, path="/home/score") == 2
    assert keys.value(key, path="/a~1b/1/~0") == "tilde"
    assert keys.value(key, path="") == keys.value(key)
    assert keys.get(key, path="/home").headers["etag"] == keys.get(key).headers["etag"]
    for path in ("/home/no", "/a~1b/2", "/a~1b/-", "/home/score/x"):
        reply = keys.get(key, path=path)
        assert_error(reply, 404, f'Nothing at "{path}" of "{key}"', "no_path", key=key)
    assert_error(
        keys.get(key, path="home"),
        400,
        "Path must be a JSON Pointer",
        "invalid",
        path="home",
        example="/home",
    )


def test_a_value_too_large_to_be_taken_apart_is_413(keys: Keys):
    key = keys.made({"long": "x" * 1_048_576})
    text = "Value exceeds max size for partial changes (1048576 bytes)"
    assert_error(keys.get(key, path="/long"), 413, text, "limit")
    text = "Value exceeds max size for rows (1048576 bytes)"
    assert_error(keys.get(key, format="rows"), 413, text, "limit")
    assert len(keys.get(key, format="text").body) > 1_048_576


def test_head_has_the_headers_of_get(keys: Keys):
    def head(method: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
        reply = keys.ask(method, key, headers=headers, **query)
        return reply.status, {**reply.headers, "date": ""}

    key = keys.made({"score": "2"})
    tag = {"If-None-Match": keys.get(key).headers["etag"]}
    for query in ({}, {"path": "/score", "format": "text"}, {"format": "csv"}, {"path": "/no"}):
        assert head("HEAD", **query) == head("GET", **query)
        assert head("HEAD", tag, **query) == head("GET", tag, **query)
    assert keys.ask("HEAD", key).body == b""
    assert head("HEAD", tag)[0] == 304


# --- formats ---


@pytest.mark.parametrize(
    ("value", "shown_as", "content_type", "body"),
    [
        ("GOAL ü", "text", "text/plain; charset=utf-8", "GOAL ü"),
        ({"a": 1}, "text", "text/plain; charset=utf-8", '{"a":1}'),
        ({"a": 1}, "json", "application/json", '{"a":1}'),
        ({"a": 1}, "", "application/json", '{"a":1}'),
        ({"home": {"score": 2}}, "rows", "application/json", '[{"home.score":2}]'),
        ([{"a": 1}, {"b": "=1"}], "rows", "application/json", '[{"a":1},{"b":"=1"}]'),
        (3, "rows", "application/json", '[{"value":3}]'),
        ([{"a": 1}, {"b": "=1"}], "csv", "text/csv; charset=utf-8; header=present",
         "a,b\r\n1,\r\n,'=1\r\n"),
    ],
)  # fmt: skip
def test_a_value_is_shown_in_a_format(
    keys: Keys, value: Any, shown_as: str, content_type: str, body: str
):
    key = keys.made({"inner": value})
    reply = keys.get(key, format=shown_as, path="/inner")
    assert (reply.status, reply.headers["content-type"]) == (200, content_type)
    assert reply.body.decode() == body


def test_an_unknown_format_is_400(keys: Keys):
    text = "format must be one of: json, text, rows, csv"
    assert_error(keys.get(keys.made(1), format="xml"), 400, text, "invalid")


def test_a_timer_is_shown_by_the_servers_clock(keys: Keys):
    key = unique("clock")
    keys.ask("POST", key, {"op": "timer", "do": "set", "ms": 300_000, "rate": -1})
    standing = keys.get(key, format="text")
    assert standing.body == b"5:00"
    tag = {"If-None-Match": standing.headers["etag"]}
    assert keys.ask("GET", key, headers=tag, format="text").status == 304
    keys.ask("POST", key, {"op": "timer", "do": "start", "ms": 3_599_500})
    running = keys.get(key, format="text")
    assert running.body in (b"60:00", b"59:59", b"59:58")
    assert keys.get(key, format="rows").json[0]["timer"] in ("60:00", "59:59", "59:58")


def test_a_running_timer_shown_as_text_is_never_not_modified(keys: Keys):
    key = keys.made({"timer": {"at": now_ms(), "ms": 0, "rate": 1, "running": True}})
    tag = keys.get(key).headers["etag"]
    assert keys.ask("GET", key, headers={"If-None-Match": tag}).status == 304
    for shown_as in ("text", "rows", "csv"):
        reply = keys.ask("GET", key, headers={"If-None-Match": tag}, format=shown_as)
        assert reply.status == 200
        assert "etag" not in reply.headers


# --- PUT ---


def test_put_says_whether_something_was_there_and_gives_the_tag(keys: Keys):
    key = unique("kv")
    made = keys.put(key, 1)
    assert (made.status, made.body) == (201, b"")
    assert "content-type" not in made.headers
    assert keys.get(key).headers["etag"] == made.headers["etag"]
    replaced = keys.put(key, 2)
    assert (replaced.status, replaced.body) == (204, b"")
    assert keys.get(key).headers["etag"] == replaced.headers["etag"] != made.headers["etag"]
    assert keys.put(key, 3, path="/x").status == 409
    assert keys.put(key, {}).status == 204
    assert keys.put(key, 3, path="/x").status == 201
    assert keys.put(key, 4, path="/x").status == 204
    assert keys.value(key) == {"x": 4}


def test_put_at_a_path_makes_the_key_but_no_parents(keys: Keys):
    key = unique("kv")
    text = f'Nothing at "/a/b" of "{key}"'
    assert_error(keys.put(key, 1, path="/a/b"), 409, text, "no_path", key=key)
    assert keys.put(key, 1, path="/a").status == 201
    assert keys.value(key) == {"a": 1}


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/x-www-form-urlencoded", b'{"a": 1}', {"a": 1}),  # what curl -d sends
        ("", b" [1, 2] ", [1, 2]),
        ("application/json", b'\xef\xbb\xbf"marked"', "marked"),
        ("text/plain", b'{"a": 1}', '{"a": 1}'),
        ("Text/Plain; charset=UTF-8", "ü".encode(), "ü"),
        ('text/plain; charset="us-ascii"', b"x", "x"),
        ("text/plain", b"\xef\xbb\xbfmarked", "marked"),
        ("text/plain", b"", ""),
        ("text/json", b"1", 1),
    ],
)
def test_a_body_is_json_unless_it_is_plain_text(
    keys: Keys, content_type: str, body: bytes, value: Any
):
    key = unique("kv")
    headers = {"Content-Type": content_type} if content_type else {}
    assert keys.ask("PUT", key, body, headers).status == 201
    assert keys.value(key) == value


INVALID = "Invalid JSON body: {}; a text is sent in quotes, or as text/plain"


@pytest.mark.parametrize(
    ("content_type", "body", "status", "text"),
    [
        ("", b"", 400, INVALID.format("Input is a zero-length, empty document (line 1, column 1)")),
        ("", b"{", 400, INVALID.format("unexpected end of data (line 1, column 2)")),
        (
            "",
            b"Ada",
            400,
            INVALID.format("unexpected character, expected a JSON value (line 1, column 1)"),
        ),
        (
            "",
            b"NaN",
            400,
            INVALID.format("unexpected character, expected a JSON value (line 1, column 1)"),
        ),
        ("", b"18446744073709551616", 400, INVALID.format("an integer is past 64 bits")),
        ("", b'{"a":1,"a":2}', 400, INVALID.format("an object has the same key twice")),
        ("", b'"\\ud800"', 400, INVALID.format("no low surrogate in string (line 1, column 2)")),
        ("text/plain", b"\xff", 400, "Body is not UTF-8"),
        ("text/plain; charset=latin1", b"x", 415, "Charset must be UTF-8"),
    ],
)
def test_a_body_that_cannot_be_kept_exactly_is_refused(
    keys: Keys, content_type: str, body: bytes, status: int, text: str
):
    key = unique("kv")
    headers = {"Content-Type": content_type} if content_type else {}
    assert_error(keys.ask("PUT", key, body, headers), status, text, "invalid")
    assert keys.get(key).status == 404


def test_a_request_without_a_body_is_411(keys: Keys):
    for method, path in (("PUT", "/kv/k"), ("PATCH", "/kv/k"), ("POST", "/kv/k"), ("POST", "/txn")):
        with RawConnection(keys.server) as connection:
            connection.send(request_bytes(method, path, HOST | JSON))
            assert_error(connection.read_reply(), 411, "Length Required", "invalid")


def test_a_value_above_the_limit_is_413(start_server: StartServer):
    keys = Keys(start_server("--max-value", "1000"))
    text = "Value exceeds max size (1000 bytes)"
    assert_error(keys.put("k", "x" * 1001), 413, text, "limit")
    assert keys.put("k", "x" * 1000).status == 201


def test_ttl_then_and_durable_stand_in_the_query(keys: Keys):
    key = keys.made({"on": True}, ttl=30, then='{"on":false}', durable="true")
    gone = keys.made(1, ttl=30)
    with open_objects(keys.server) as client:
        client.follow(unique())
        client.send({"action": "subscribe", "key": key})
        while client.receive()["value"] != {"on": False}:
            pass
        client.send({"action": "subscribe", "key": gone})
        while keys.get(gone).status != 404:
            client.heard()
    assert keys.value(key) == {"on": False}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"ttl": -1}, "ttl must be a non-negative integer of milliseconds"),
        ({"ttl": "soon"}, "ttl must be a non-negative integer of milliseconds"),
        ({"then": "{}"}, "Then needs a ttl"),
        ({"then": "{", "ttl": 5}, "then must be JSON"),
        ({"durable": "yes"}, "durable must be true or false"),
        ({"ns": "x" * 513}, "Namespace exceeds max length (512)"),
        ({"path": "x"}, "Path must be a JSON Pointer"),
        ({"path": "/" + "x" * 1024}, "Path exceeds max length (1024)"),
    ],
)
def test_a_wrong_query_changes_nothing(keys: Keys, query: dict[str, Any], text: str):
    key = unique("kv")
    for method, body, headers in (("PUT", "1", {}), ("PATCH", "1", JSON)):
        reply = keys.ask(method, key, body, headers, **query)
        assert reply.json["error"] == text
        assert reply.status == 400
    assert keys.get(key).status == 404


# --- PATCH ---


def test_a_merge_patch_returns_the_new_value(keys: Keys):
    key = keys.made({"a": 1, "b": {"c": 2, "d": 3}})
    for headers in (MERGE, JSON, {"Content-Type": "Application/Merge-Patch+JSON; charset=utf-8"}):
        reply = keys.ask("PATCH", key, {"b": {"c": None}, "e": 4}, headers)
        assert (reply.status, reply.json) == (200, {"a": 1, "b": {"d": 3}, "e": 4})
        assert reply.headers["etag"] == keys.get(key).headers["etag"]
    reply = keys.ask("PATCH", key, {"d": 5}, MERGE, path="/b")
    assert (reply.status, reply.json) == (200, {"d": 5})
    assert keys.ask("PATCH", key, b"", MERGE).status == 400
    assert keys.ask("PATCH", unique(), {"new": 1}, MERGE).json == {"new": 1}


def test_a_json_patch_is_done_whole_or_not_at_all(keys: Keys):
    key = keys.made({"list": [1, 2]})
    patch = [{"op": "add", "path": "/list/-", "value": 3}, {"op": "remove", "path": "/list/0"}]
    reply = keys.ask("PATCH", key, patch, JSON_PATCH)
    assert (reply.status, reply.json) == (200, {"list": [2, 3]})
    failing = [patch[1], {"op": "test", "path": "/list/0", "value": 9}]
    text = 'Patch test failed: "/list/0"'
    assert_error(keys.ask("PATCH", key, failing, JSON_PATCH), 409, text, "test_failed")
    text = "Patch must be a list of operations"
    assert_error(keys.ask("PATCH", key, {"a": 1}, JSON_PATCH), 400, text, "invalid")
    assert keys.value(key) == {"list": [2, 3]}


def test_another_type_of_patch_is_415_with_the_types_there_are(keys: Keys):
    key = keys.made({})
    text = f"Content-Type must be one of: {PATCHES}"
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/xml"}):
        reply = keys.ask("PATCH", key, b"{}", headers)
        assert_error(reply, 415, text, "invalid")
        assert reply.headers["accept-patch"] == PATCHES


# --- POST ---


def test_post_carries_out_any_operation(keys: Keys):
    def operate(**body: Any) -> Any:
        reply = keys.ask("POST", key, body)
        assert reply.status == 200, reply
        if "etag" in reply.headers:
            assert reply.headers["etag"] == f'"{reply.json["epoch"]}-{reply.json["rev"]}"'
            assert reply.headers["etag"] == keys.get(key).headers["etag"]
        return reply.json

    key = unique("kv")
    assert operate(op="set", value={"home": {"score": 1}})["key"] == key
    assert operate(op="incr", path="/home/score", by=2)["value"] == 3
    assert operate(op="append", path="/log", value="goal", key=key)["length"] == 1
    merged = operate(op="merge", value={"log": None}, **{"return": True})
    assert merged["value"] == {"home": {"score": 3}}
    assert operate(op="patch", patch=[{"op": "remove", "path": "/home"}])["rev"] > merged["rev"]
    assert operate(op="touch", ttl=60_000)["rev"]
    assert operate(op="delete")["deleted"] is True
    assert keys.ask("POST", key, {"op": "delete"}).json["deleted"] is False


def test_a_field_of_the_body_overrides_one_of_the_query(keys: Keys):
    key = unique("kv")
    keys.ask("POST", key, {"op": "incr"}, path="/a", ns="one")
    keys.ask("POST", key, {"op": "incr", "path": "/b"}, path="/a", ns="one")
    keys.ask("POST", key, {"op": "incr", "ns": "two"}, path="/a", ns="one")
    assert keys.value(key, ns="one") == {"a": 1, "b": 1}
    assert keys.value(key, ns="two") == {"a": 1}


def test_an_operation_that_cannot_be_done_has_the_fields_of_the_websocket(keys: Keys):
    key = keys.made("text")
    for body, status, text, code, fields in [
        ({"op": "incr"}, 409, f'Not a number: "{key}"', "wrong_type", {"key": key}),
        ({"op": "append", "value": 1}, 409, f'Not a list: "{key}"', "wrong_type", {"key": key}),
        ({"op": "revert", "toRev": 1}, 404, "No such revision: 1", "no_rev", {}),
        ({"op": "get"}, 400, f'Unknown operation: "get" ({OPERATIONS_TEXT})', "invalid", {}),
        ({}, 400, 'Body must be an object with "op"; PUT stores a value', "invalid", {}),
        ({"op": "set"}, 400, "Missing value", "invalid", {}),
        ({"op": "delete", "key": "other"}, 400, "key must be that of the path, or left out",
         "invalid", {}),
        ([], 400, 'Body must be an object with "op"; PUT stores a value', "invalid", {}),
        (3, 400, 'Body must be an object with "op"; PUT stores a value', "invalid", {}),
    ]:  # fmt: skip
        assert_error(keys.ask("POST", key, body), status, text, code, **fields)
    revision = int(keys.get(key).headers["etag"].strip('"').split("-")[1])
    reply = keys.ask("POST", key, {"op": "delete", "ifRev": 0})
    assert (reply.status, reply.json) == (412, conflict(key, revision))
    keys.put(key, 2**64 - 1)
    reply = keys.ask("POST", key, {"op": "incr"})
    assert_error(reply, 409, f'Out of range: "{key}"', "range", key=key)


# --- DELETE ---


def test_delete_removes_a_key_or_a_part(keys: Keys):
    key = keys.made({"a": 1, "list": [1, 2, 3]})
    reply = keys.ask("DELETE", key, path="/list/1")
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["etag"] == keys.get(key).headers["etag"]
    assert keys.value(key) == {"a": 1, "list": [1, 3]}
    text = f'Nothing at "/b" of "{key}"'
    assert_error(keys.ask("DELETE", key, path="/b"), 404, text, "no_path", key=key)
    gone = keys.ask("DELETE", key, durable="true")
    assert (gone.status, "etag" in gone.headers) == (204, False)
    assert_error(keys.ask("DELETE", key), 404, "Key not found", "no_key", key=key)


# --- conditions: tests/protocol/test_preconditions.py has all of them ---


def test_a_conditional_write_is_done_only_for_the_tag_that_was_read(keys: Keys):
    key = keys.made(1)
    tag = keys.get(key).headers["etag"]
    newer = keys.put(key, 2, {"If-Match": tag}).headers["etag"]
    for method, body, headers in [
        ("PUT", "3", {}), ("PATCH", "3", JSON), ("POST", '{"op":"incr"}', {}), ("DELETE", None, {}),
    ]:  # fmt: skip
        reply = keys.ask(method, key, body, headers | {"If-Match": tag})
        revision = int(newer.strip('"').split("-")[1])
        assert (reply.status, reply.json) == (412, conflict(key, revision))
    assert keys.put(key, 3, {"If-None-Match": "*"}).status == 412
    assert keys.value(key) == 2
    assert keys.put(unique(), 3, {"If-None-Match": "*"}).status == 201
    reply = keys.put(key, 3, {"If-Match": tag.strip('"')})
    text = "If-Match must be * or a list of entity tags in quotes"
    assert_error(reply, 400, text, "invalid")


def test_a_tag_from_before_a_restart_matches_nothing(tmp_path: Path):
    with ServerProcess(tmp_path) as server:
        tag = Keys(server).put("k", 1).headers["etag"]
    with ServerProcess(tmp_path) as server:
        keys = Keys(server)
        assert keys.put("k", 2, {"If-Match": tag}).status == 412
        assert keys.ask("GET", "k", headers={"If-None-Match": tag}).status == 200
        assert keys.value("k") == 1


# --- once ---


def test_a_request_that_comes_again_gets_the_first_answer(keys: Keys):
    key, once = unique("kv"), {"Idempotency-Key": unique("once")}
    first = keys.ask("POST", key, {"op": "incr"}, once)
    again = keys.ask("POST", key, {"op": "incr"}, once)
    assert again.json == first.json | {"duplicate": True}
    assert again.headers["etag"] == first.headers["etag"]
    assert keys.value(key) == 1
    text = "idempotencyKey was used for another request"
    assert_error(keys.ask("POST", key, {"op": "incr", "by": 2}, once), 400, text, "invalid")
    assert_error(keys.put(key, 5, once), 400, text, "invalid")


def test_every_write_with_an_idempotency_key_is_done_once(keys: Keys):
    key = unique("kv")
    for method, body, headers in [
        ("PUT", '{"a":[]}', {"If-None-Match": "*"}),
        ("PATCH", '[{"op":"add","path":"/a/-","value":1}]', JSON_PATCH),
        ("PATCH", '{"b":2}', MERGE | {"If-Match": "*"}),
        ("DELETE", None, {}),
    ]:
        headers = {**headers, "Idempotency-Key": unique("once")}
        first = keys.ask(method, key, body, headers)
        assert first.status in (200, 201, 204)
        keys.put(key, {"other": 1}, path="/c") if method == "PUT" else None
        again = keys.ask(method, key, body, headers)
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers.get("etag") == first.headers.get("etag")
    wrong = {"Idempotency-Key": "x" * 65}
    text = "idempotencyKey must be 1 to 64 printable characters"
    assert_error(keys.put(key, 1, wrong), 400, text, "invalid")


# --- transactions and history ---


def txn(server: ServerProcess, body: Any, headers: Any = None, query: str = "") -> Reply:
    return http(server, "POST", f"/txn{query}", body, headers)


def test_a_transaction_is_done_whole_or_not_at_all(keys: Keys):
    a, b = unique("kv"), unique("kv")
    ops = [{"op": "incr", "key": a}, {"op": "set", "key": b, "value": "x", "ifRev": 0}]
    reply = txn(keys.server, {"ops": ops}, query="?ns=txn")
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json["results"] == [
        {"rev": reply.json["rev"] - 1, "value": 1},
        {"rev": reply.json["rev"]},
    ]
    again = txn(keys.server, {"ops": ops, "ns": "txn"})
    text = f'op 1: Revision conflict: "{b}" is at {reply.json["rev"]}'
    assert_error(again, 412, text, "conflict", key=b, rev=reply.json["rev"], op=1)
    assert keys.value(a, ns="txn") == 1
    assert_error(txn(keys.server, {}), 400, "Missing field: ops", "invalid")
    text = "Operations exceed max count (1000)"
    assert_error(txn(keys.server, {"ops": ops * 501}), 400, text, "limit")


def test_a_transaction_that_comes_again_is_done_once(keys: Keys):
    key, once = unique("kv"), {"Idempotency-Key": unique("once")}
    body = {"ops": [{"op": "incr", "key": key}]}
    first = txn(keys.server, body, once)
    assert txn(keys.server, body, once).json == first.json | {"duplicate": True}
    assert keys.value(key) == 1


def test_history_is_that_of_the_websocket(keys: Keys):
    key = keys.made("only")
    reply = http(keys.server, "GET", f"/history/{key}")
    with open_objects(keys.server) as client:
        result = client.ask({"action": "history", "key": key, "id": 1})["result"]
    assert reply.json == result
    assert [entry["value"] for entry in reply.json["entries"]] == ["only"]
    tag = {"If-None-Match": reply.headers["etag"]}
    assert http(keys.server, "GET", f"/history/{key}", headers=tag).status == 304
    keys.put(key, "next")
    assert http(keys.server, "GET", f"/history/{key}?limit=1", headers=tag).status == 200
    assert http(keys.server, "GET", "/history/no-such").json["entries"] == []
    reply = http(keys.server, "GET", f"/history/{key}?limit=x")
    assert_error(reply, 400, "limit must be a non-negative integer", "invalid")


# --- all keys of a pattern ---


def listed(keys: Keys, headers: Any = None, method: str = "GET", **query: Any) -> Reply:
    fields = "&".join(f"{name}={escaped(str(value))}" for name, value in query.items())
    reply = http(keys.server, method, f"/kv?{fields}", headers=headers)
    assert reply.headers["cache-control"] == "no-store"
    return reply


def test_all_values_of_a_pattern_are_one_object_or_one_table(keys: Keys):
    ns = unique("ns")
    keys.put("sensor-1", {"celsius": 20.5, "at": {"x": 1}}, ns=ns)
    keys.put("sensor-2", {"celsius": 21, "note": "=A1"}, ns=ns)
    keys.put("other é", [1, "a"], ns=ns)
    assert listed(keys, ns=ns).body.decode() == (
        '{"other é":[1,"a"],"sensor-1":{"celsius":20.5,"at":{"x":1}},'
        '"sensor-2":{"celsius":21,"note":"=A1"}}'
    )
    assert listed(keys, ns=ns, pattern="sensor-*", format="rows").json == [
        {"key": "sensor-1", "celsius": 20.5, "at.x": 1},
        {"key": "sensor-2", "celsius": 21, "note": "=A1"},
    ]
    reply = listed(keys, ns=ns, format="csv")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert reply.body.decode() == (
        "key,value,celsius,at.x,note\r\n"
        "other é,1,,,\r\nother é,a,,,\r\nsensor-1,,20.5,1,\r\nsensor-2,,21,,'=A1\r\n"
    )
    assert listed(keys, ns=ns, pattern="none").json == {}
    reply = listed(keys, ns=ns, format="text")
    assert_error(reply, 400, "format must be one of: json, rows, csv", "invalid")


def test_the_tag_of_a_list_changes_with_its_text(keys: Keys):
    ns = unique("ns")
    keys.put("a", 1, ns=ns)
    for form in ("json", "rows", "csv"):
        reply = listed(keys, ns=ns, format=form)
        known = {"If-None-Match": reply.headers["etag"]}
        for method in ("GET", "HEAD"):
            same = listed(keys, known, method, ns=ns, format=form)
            assert (same.status, same.body, same.headers["etag"]) == (
                304, b"", reply.headers["etag"],
            )  # fmt: skip
        head = listed(keys, method="HEAD", ns=ns, format=form)
        assert {**head.headers, "date": ""} == {**reply.headers, "date": ""}
        keys.put("a", form, ns=ns)
        assert listed(keys, known, ns=ns, format=form).status == 200


def test_a_list_of_many_keys_comes_in_portions_and_has_limits(start_server: StartServer):
    keys = Keys(start_server())
    entries = [{"key": f"key-{number:05}", "value": str(number)} for number in range(10_000)]
    for start in range(0, len(entries), ENTRIES_MAX):
        mset = {"action": "mset", "entries": entries[start : start + ENTRIES_MAX]}
        assert http(keys.server, "POST", "/cache", mset).status == 200
    page = {"Origin": "http://localhost:5173"}
    for form in ("json", "rows", "csv"):
        reply = listed(keys, page, format=form)
        assert (reply.status, reply.body.count(b"key-")) == (200, 10_000)
        assert reply.headers["access-control-expose-headers"] == "ETag"
        known = {"If-None-Match": reply.headers["etag"]}
        assert listed(keys, known, format=form).status == 304
        other = {"If-Match": '"other"'}
        assert_error(listed(keys, other, format=form), 412, "Precondition failed", "conflict")
    keys.put("one more", 1)
    text = "Keys exceed max count (10000)"
    assert_error(listed(keys), 400, text, "limit")
    assert listed(keys, pattern="key-*").status == 200
    for number in range(5):
        keys.put(f"large-{number}", "x" * 3_400_000)
    text = "Values exceed max size of one reply (16777216 bytes)"
    assert_error(listed(keys, pattern="large-*"), 413, text, "limit")
    assert len(listed(keys, pattern="large-[0-3]").json) == 0, "a pattern has * and ? only"
    text = "Value exceeds max size for rows (1048576 bytes)"
    reply = listed(keys, pattern="*-*", format="csv")
    assert reply.status == 400
    reply = listed(keys, pattern="large-*", format="csv")
    assert_error(reply, 413, text, "limit", key="large-0")


# --- who may what ---

TOKENS = """
[reader]
token = "reader"
rights = ["read"]

[writer]
token = "writer"
rights = ["write"]

[own]
token = "own"
rights = ["read", "write"]
keys = ["own-*"]
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("tokens")
    file = write_tokens(folder, TOKENS)
    with ServerProcess(folder / "data", "--tokens", str(file)) as server:
        yield server


def as_(name: str, **headers: str) -> dict[str, str]:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return {"Authorization": f"Bearer {name}", **named}


def forbidden(what: str, key: str) -> tuple[int, Any]:
    return 403, {"error": f'Not permitted: {what} "{key}"', "code": "forbidden"}


def test_a_token_reads_and_writes_only_what_it_may(guarded: ServerProcess):
    keys = Keys(guarded)

    def ask(*args: Any, **query: Any) -> tuple[int, Any]:
        reply = keys.ask(*args, **query)
        return reply.status, reply.json if reply.body else None

    assert ask("PUT", "k", "1", as_("reader")) == forbidden("write", "k")
    assert ask("PUT", "k", "1", as_("own")) == forbidden("write", "k")
    assert ask("DELETE", "k", None, as_("own")) == forbidden("write", "k")
    assert ask("GET", "k", None, as_("writer")) == forbidden("read", "k")
    assert ask("GET", "k", None, as_("own")) == forbidden("read", "k")
    assert ask("PUT", "own-1", "1", as_("own")) == (201, None)
    assert ask("GET", "own-1", None, as_("own")) == (200, 1)
    reply = http(guarded, "GET", "/history/k", headers=as_("own"))
    assert (reply.status, reply.json) == forbidden("read", "k")
    body = {"ops": [{"op": "incr", "key": "k"}]}
    status, error = forbidden("write", "k")
    error |= {"error": f"op 0: {error['error']}", "op": 0}
    reply = txn(guarded, body, as_("own"))
    assert (reply.status, reply.json) == (status, error)


def test_a_list_leaves_out_what_a_token_may_not_read(guarded: ServerProcess):
    keys = Keys(guarded)
    ns = unique("ns")
    keys.put("own-1", 1, as_("own"))
    keys.put("other", 2, as_("writer"), ns=ns)
    assert listed(keys, as_("own")).json["own-1"] == 1
    assert listed(keys, as_("own"), ns=ns).json == {}
    assert listed(keys, as_("writer"), ns=ns).json == {}
    assert listed(keys, as_("reader"), ns=ns).json == {"other": 2}


def test_a_token_that_may_not_read_learns_nothing_of_what_is_there(guarded: ServerProcess):
    keys = Keys(guarded)
    missing, there = unique("kv"), unique("kv")
    keys.put(there, {"secret": 1}, as_("writer"))
    json_type = {"Content_Type": "application/json"}
    for key in (missing, there):
        put = keys.put(key, {"a": 1}, as_("writer"))
        assert (put.status, "etag" in put.headers) == (204, False)
        patched = keys.ask("PATCH", key, {"b": 2}, as_("writer", **json_type))
        assert (patched.status, patched.body, "etag" in patched.headers) == (204, b"", False)
        posted = keys.ask("POST", key, {"op": "incr", "path": "/a"}, as_("writer"))
        assert "value" not in posted.json
        assert "etag" not in posted.headers
        for headers in ({"If_Match": "*"}, {"If_None_Match": "*"}, {"If_Match": '"a-1"'}):
            reply = keys.put(key, 1, as_("writer", **headers))
            assert (reply.status, reply.json) == forbidden("read", key)
        body = {"op": "incr", "path": "/a", "return": True}
        reply = keys.ask("POST", key, body, as_("writer"))
        assert (reply.status, reply.json) == forbidden("read", key)


# --- pages of other origins ---


def test_pages_may_use_and_read_what_these_requests_need(keys: Keys):
    page = {"Origin": "http://localhost:5173"}
    wanted = "if-match,if-none-match,idempotency-key,content-type"
    preflight = http(keys.server, "OPTIONS", "/kv/k", headers=page | {
        "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": wanted,
    })  # fmt: skip
    assert preflight.status == 204
    methods = set(preflight.headers["access-control-allow-methods"].split(", "))
    assert methods == {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
    allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
    assert set(wanted.split(",")) <= set(allowed)
    key = keys.made(1)
    reply = keys.ask("GET", key, headers=page)
    assert reply.headers["access-control-expose-headers"] == "ETag"
    foreign = {"Origin": "https://example.com"}
    assert http(keys.server, "PUT", f"/kv/{key}", b"2", foreign).status == 403
    assert keys.value(key) == 1


# --- bodies are admitted by their heads ---


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "DELETE"])
def test_a_body_is_refused_before_it_is_received(guarded: ServerProcess, method: str):
    with RawConnection(guarded) as connection:
        headers = HOST | LONG | {"Expect": "100-continue"}
        connection.send(request_bytes(method, "/kv/k", headers))
        assert connection.read_reply().status == 401


@pytest.mark.parametrize(("method", "headers"), [("PUT", {}), ("PATCH", JSON), ("POST", {})])
def test_a_body_above_the_limit_is_413(
    start_server: StartServer, method: str, headers: dict[str, str]
):
    server = start_server("--max-value", "1000")
    with RawConnection(server) as connection:
        connection.send(request_bytes(method, "/kv/k", HOST | LONG | headers))
        assert connection.read_reply().status == 413


def test_a_delete_with_a_body_ignores_it(keys: Keys):
    key = keys.made(1)
    assert keys.ask("DELETE", key, '{"any": "thing"}').status == 204


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be moved there")
def test_a_write_whose_commit_is_refused_changes_neither_value_nor_tag(
    start_server: StartServer, tmp_path: Path
):
    folder = tmp_path / "values"
    keys = Keys(start_server("--fsync", "always", folder=folder))
    tag, value, seen = keys.put("k", 0).headers["etag"], 0, set()
    until = time.monotonic() + SECONDS_MAX
    with commits_refused(folder):
        while seen != {204, 507}:
            assert time.monotonic() < until, seen
            reply = keys.put("k", value + 1, {"If-Match": tag, "Idempotency-Key": unique()})
            seen.add(reply.status)
            if reply.status == 204:
                tag, value = reply.headers["etag"], value + 1
            else:
                assert reply.json["code"] == "storage"
            now = keys.get("k")
            assert (now.headers["etag"], now.json) == (tag, value)


def test_a_write_that_cannot_be_stored_is_507_and_changes_nothing(start_server: StartServer):
    server = start_server("--max-entries", "1")
    keys = Keys(server)
    assert keys.put("k", 1).status == 201
    for method, body, headers in [("PUT", "2", {}), ("PATCH", "2", JSON), ("POST", None, {})]:
        body = body or '{"op":"incr"}'
        reply = keys.ask(method, "other", body, headers)
        assert (reply.status, reply.json["code"]) == (507, "storage")
    assert keys.get("other").status == 404


FIELDS_TEXT = (
    "key, path, ns, ifRev, epoch, ttl, then, ephemeral, durable, return, rev, idempotencyKey"
)


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/kv/misspelt", {"op": "set", "value": 1, "if_rev": 0}, "if_rev (there are value, "),
        ("/kv/misspelt", {"op": "incr", "value": 1}, "value (there are by, min, max, "),
        ("/kv/misspelt", {"op": "delete", "value": 1}, "value (there are "),
        ("/kv/misspelt", {"op": "timer", "do": "start", "mss": 1}, "mss (there are do, ms, rate, "),
        ("/kv/misspelt", {"op": "set", "value": 1, "x" * 100: 1}, "x" * 64 + " (there are value, "),
    ],
)
def test_an_unknown_field_of_an_operation_is_refused(
    shared_server: ServerProcess, path: str, body: Any, error: str
) -> None:
    text = f"Unknown field: {error}{FIELDS_TEXT})"
    reply = http(shared_server, "POST", path, body)
    assert (reply.status, reply.json) == (400, {"error": text, "code": "invalid"})
    steps = [{"op": "set", "key": "misspelt", "value": 1}, {"key": "misspelt", **body}]
    reply = http(shared_server, "POST", "/txn", {"ops": steps})
    expected = {"error": f"op 1: {text}", "code": "invalid", "op": 1}
    assert (reply.status, reply.json) == (400, expected)
    reply = http(shared_server, "POST", "/txn", {"ops": [], "durabel": True})
    known = "ops, ns, durable, idempotencyKey"
    assert reply.json["error"] == f"Unknown field: durabel (there are {known})"
    assert http(shared_server, "GET", "/kv/misspelt").status == 404, "nothing was done"


def test_fields_of_a_message_and_of_no_meaning_are_ignored(shared_server: ServerProcess) -> None:
    body = {"op": "touch", "ttl": 0, "type": "touch", "action": "touch", "id": 1, "_": 5}
    http(shared_server, "PUT", "/kv/misspelt-not", 1)
    assert http(shared_server, "POST", "/kv/misspelt-not", body).status == 200
    assert http(shared_server, "DELETE", "/kv/misspelt-not").status == 204


@pytest.mark.parametrize(
    ("method", "target", "field", "known"),
    [
        ("PUT", "/kv/misspelt?tll=5000", "tll", "ns, path, ttl, then, durable"),
        ("GET", "/kv/misspelt?pth=/a", "pth", "ns, path, format, wait, rev"),
        ("GET", "/kv?patern=zz*", "patern", "pattern, ns, format"),
        ("DELETE", "/kv/misspelt?ttl=1", "ttl", "ns, path, durable"),
        ("POST", "/txn?path=/a", "path", "ns, durable"),
        ("GET", "/history/misspelt?count=1", "count", "ns, limit"),
        ("PATCH", "/kv/misspelt?if_rev=0", "if_rev", "ns, path, ttl, then, durable"),
        (
            "GET",
            "/watch?chanel=chat",
            "chanel",
            "key, keys, pattern, channel, ns, path, maxRate, since, format, wait",
        ),
    ],
)
def test_an_unknown_field_of_the_query_is_refused(
    shared_server: ServerProcess, method: str, target: str, field: str, known: str
) -> None:
    body = {"ops": []} if target.startswith("/txn") else {"value": 1}
    reply = http(shared_server, method, target, None if method in ("GET", "DELETE") else body)
    error = f"Unknown field: {field} (there are {known})"
    assert (reply.status, reply.json) == (400, {"error": error, "code": "invalid"})
    assert http(shared_server, "GET", "/kv/misspelt?_=1796").status == 404
