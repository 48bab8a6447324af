"""Which requests wait for the log, and which of them depend on what is there."""

from typing import Any

import pytest

from dunena.dialects.dialect import Dialect
from dunena.server.http.message import Request
from dunena.server.shared.kinds import (
    is_certain_status,
    is_conditional,
    is_conditional_request,
    is_ping,
    may_change,
)

OPERATIONS = ("merge", "patch", "incr", "append", "touch", "timer", "revert", "txn")


@pytest.mark.parametrize("name", ["set", "del", "mset", *OPERATIONS])
def test_writes_of_the_dunena_dialect_wait(name: str) -> None:
    assert may_change(Dialect.DUNENA, {"type": name})
    assert may_change(Dialect.AUTO, {"type": name})


@pytest.mark.parametrize("name", ["set", "delete", *OPERATIONS])
def test_writes_of_the_object_store_wait(name: str) -> None:
    assert may_change(Dialect.OBJECT_STORE, {"action": name})


@pytest.mark.parametrize(
    "message",
    [
        {"type": "get"},
        {"type": "watch"},
        {"type": "publish"},
        {"type": 5},
        {"type": ["set"]},
        {"action": "set"},
        {},
        ["set"],
        None,
    ],
)
def test_all_others_are_answered_at_once(message: Any) -> None:
    assert not may_change(Dialect.DUNENA, message)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "set", "key": "k", "value": "v", "ttl": 5, "ephemeral": True}, False),
        ({"type": "set", "key": "k", "value": "v", "ifRev": 0}, True),
        ({"type": "set", "key": "k", "value": "v", "path": "/a"}, True),
        ({"type": "set", "key": "k", "value": "v", "idempotencyKey": "x"}, True),
        ({"type": "del", "key": "k"}, False),
        ({"type": "mset", "entries": [{"key": "k", "value": "v"}]}, False),
        ({"type": "mset", "entries": [{"key": "k", "value": "v", "ifRev": 1}]}, True),
        ({"type": "incr", "key": "k"}, True),
        ({"type": "txn", "ops": []}, True),
    ],
)
def test_messages_that_depend_on_what_is_there(message: Any, expected: bool) -> None:
    assert is_conditional(Dialect.DUNENA, message) is expected


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected"),
    [
        ("POST", "/set", {}, False),
        ("POST", "/cache", {}, False),
        ("DELETE", "/cache/k", {}, False),
        ("POST", "/flush", {}, False),
        ("PUT", "/kv/k?ttl=5", {}, False),
        ("PUT", "/kv/k?path=/a", {}, True),
        ("PUT", "/kv/k", {"if-match": "*"}, True),
        ("PUT", "/kv/k", {"if-none-match": "*"}, True),
        ("PUT", "/kv/k", {"idempotency-key": "x"}, True),
        ("DELETE", "/kv/k", {}, False),
        ("PATCH", "/kv/k", {}, True),
        ("POST", "/kv/k", {}, True),
        ("POST", "/txn", {}, True),
        ("GET", "/do/secret/set/k", {}, True),
    ],
)
def test_http_requests_that_depend_on_what_is_there(
    method: str, target: str, headers: dict[str, str], expected: bool
) -> None:
    request = Request(method, target, headers)
    assert is_conditional_request(request) is expected


def test_which_errors_a_request_gets_whatever_is_there() -> None:
    assert is_certain_status(400, is_conditional=True)
    assert is_certain_status(413, is_conditional=False)
    assert not is_certain_status(413, is_conditional=True)
    assert not is_certain_status(412, is_conditional=True)


@pytest.mark.parametrize(
    ("dialect", "message", "expected"),
    [
        (Dialect.DUNENA, {"type": "ping", "id": 1}, True),
        (Dialect.OBJECT_STORE, {"action": "ping"}, True),
        (Dialect.OBJECT_STORE, {"type": "ping"}, False),
        (Dialect.DUNENA, {"action": "ping"}, False),
        (Dialect.DUNENA, {"type": "get", "key": "k"}, False),
        (Dialect.AUTO, "ping", False),
    ],
)
def test_a_ping_asks_for_nothing_but_an_answer(
    dialect: Dialect, message: Any, expected: bool
) -> None:
    assert is_ping(dialect, message) is expected
