"""Every combination of If-Match and If-None-Match on every route that reads or writes values.

The table is RFC 9110 itself: 13.2.1 (a request that would not succeed anyway is answered as without
conditions) and 13.2.2 (the order, and the statuses).
"""

import json
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.protocol.clients import SECONDS_MAX, Reply, http, unique
from tests.support.server import ServerProcess

MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
ADD = [{"op": "add", "path": "/new", "value": 1}]


class Case(NamedTuple):
    """A request, and the status that it has without conditions."""

    method: str
    path: str
    there: int
    missing: int
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})
    has_tag: bool = True
    """Whether what the path names has a tag if the key exists."""
    always_exists: bool = False
    """Whether it has one without the key too."""


CASES = [
    Case("GET", "/kv/{key}", 200, 404),
    Case("HEAD", "/kv/{key}", 200, 404),
    Case("GET", "/kv/{key}?path=/a", 200, 404),
    Case("GET", "/kv/{key}?format=text", 200, 404),
    Case("HEAD", "/kv/{key}?format=rows&path=/a", 200, 404),
    Case("GET", "/kv/{key}?format=csv", 200, 404),
    Case("GET", "/kv/{key}?path=/no", 404, 404),
    Case("GET", "/kv/{key}?format=xml", 400, 400),
    Case("PUT", "/kv/{key}", 204, 201, "{}"),
    Case("PUT", "/kv/{key}?path=/a", 204, 201, "2"),
    Case("PUT", "/kv/{key}?ttl=x", 400, 400, "2"),
    Case("PATCH", "/kv/{key}", 200, 200, {"a": 2}, MERGE),
    Case("PATCH", "/kv/{key}", 200, 200, ADD, JSON_PATCH),
    Case("PATCH", "/kv/{key}?path=/a", 200, 200, "2", MERGE),
    Case("PATCH", "/kv/{key}", 415, 415, "2", {"Content-Type": "text/css"}),
    Case("POST", "/kv/{key}", 200, 200, {"op": "set", "value": 1}),
    Case("POST", "/kv/{key}", 200, 200, {"op": "incr", "path": "/a"}),
    Case("DELETE", "/kv/{key}", 204, 404),
    Case("DELETE", "/kv/{key}?path=/a", 204, 404),
    Case("DELETE", "/kv/{key}?path=/no", 404, 404),
    Case("POST", "/txn", 200, 200, {"ops": [{"op": "incr", "key": "KEY", "path": "/a"}]},
         has_tag=False),
    Case("GET", "/kv?pattern={key}", 200, 200, always_exists=True),
    Case("HEAD", "/kv?pattern={key}&format=rows", 200, 200, always_exists=True),
    Case("GET", "/kv?pattern={key}&format=csv", 200, 200, always_exists=True),
    Case("GET", "/kv?pattern={key}&format=text", 400, 400),
    Case("GET", "/history/{key}", 200, 200, always_exists=True),
    Case("HEAD", "/history/{key}", 200, 200, always_exists=True),
]  # fmt: skip

HEADERS: dict[str, Callable[[str], str | None]] = {
    "absent": lambda _: None,
    "matching": lambda tag: tag,
    "other": lambda _: '"other-1"',
    "any": lambda _: "*",
    "weak": lambda tag: f"W/{tag}",
    "list with it": lambda tag: f'"other-1", W/"other-2" , {tag}',
    "list with it, weak": lambda tag: f'"other-1", W/{tag}',
    "list without it": lambda _: '"other-1", "other-2"',
    "empty": lambda _: "",
}
"""Kinds of values of both headers, made with the tag that matches."""

STRONG = {"matching", "list with it"}
WEAK = STRONG | {"weak", "list with it, weak"}


def expected(case: Case, if_match: str, if_none_match: str, *, is_there: bool) -> int:
    """The status of a case by RFC 9110."""
    status = case.there if is_there else case.missing
    if status >= 400:
        return status  # 13.2.1
    exists = case.always_exists or (is_there and case.has_tag)
    if if_match != "absent" and not (exists and (if_match == "any" or if_match in STRONG)):
        return 412
    if exists and (if_none_match == "any" or if_none_match in WEAK):
        return 304 if case.method in ("GET", "HEAD") else 412
    return status


class Key:
    """A key of a server, as it is before each request of a case, by one connection."""

    def __init__(self, server: ServerProcess, case: Case, *, is_there: bool) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=SECONDS_MAX)
        self._case = case
        self._is_there = is_there
        self.name = unique("conditions")
        self.state: Reply
        self.tag = ""

    def reset(self) -> None:
        """Make the key, or take it away; ``tag`` is the one that matches, if any can."""
        if self._is_there:
            self.ask("PUT", "/kv/{key}", {"a": 1})
        else:
            self.ask("DELETE", "/kv/{key}")
        self.state = self.read()
        has_own = self._case.always_exists
        path = self._case.path if has_own else "/kv/{key}"
        self.tag = self.ask("GET", path).headers.get("etag", '"epoch-1"')

    def read(self) -> Reply:
        """The value with its tag."""
        reply = self.ask("GET", "/kv/{key}")
        return Reply(reply.status, {"etag": reply.headers.get("etag", "")}, reply.body)

    def ask_case(self, headers: dict[str, str]) -> Reply:
        """Send the request of the case with conditions."""
        case = self._case
        return self.ask(case.method, case.path, case.body, {**case.headers, **headers})

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send one request; ``{key}`` and KEY stand for the name of the key."""
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        encoded = None if text is None else text.replace("KEY", self.name).encode()
        self._connection.request(method, path.replace("{key}", self.name), encoded, headers or {})
        response = self._connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, fields, response.read())

    def close(self) -> None:
        self._connection.close()


@pytest.mark.parametrize("is_there", [True, False], ids=["there", "missing"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method} {case.path}")
def test_preconditions_have_the_precedence_of_rfc_9110(
    shared_server: ServerProcess, case: Case, is_there: bool
):
    wrong = []
    key = Key(shared_server, case, is_there=is_there)
    key.reset()
    for if_match, if_none_match in product(HEADERS, repeat=2):
        values = {
            "If-Match": HEADERS[if_match](key.tag),
            "If-None-Match": HEADERS[if_none_match](key.tag),
        }
        headers = {name: value for name, value in values.items() if value is not None}
        reply = key.ask_case(headers)
        status = expected(case, if_match, if_none_match, is_there=is_there)
        if reply.status != status:
            wrong.append((if_match, if_none_match, reply.status, status))
        if reply.status == 304:
            assert (reply.headers["etag"], reply.body) == (key.tag, b"")
        if case.method in ("GET", "HEAD") or reply.status >= 300:
            assert key.read() == key.state, "nothing was written"
        else:
            assert key.read() != key.state
            key.reset()
    key.close()
    assert wrong == []


def test_a_part_that_is_missing_has_the_tag_of_its_key_but_does_not_exist(
    shared_server: ServerProcess,
):
    """So a part can be added to what was read, and be made only if nobody has made it."""

    def put(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return http(shared_server, "PUT", f"/kv/{key}?path=/b", "2", named).status

    key = unique("conditions")
    http(shared_server, "PUT", f"/kv/{key}", {"a": 1})
    tag = http(shared_server, "GET", f"/kv/{key}").headers["etag"]
    assert put(If_Match="*") == 412
    assert put(If_None_Match=tag) == 412
    assert put(If_Match=tag, If_None_Match="*") == 201
    assert put(If_None_Match="*") == 412
    assert put(If_Match="*") == 204
