"""Any query, header and body of `/kv`, `/watch` and their neighbours gets a defined answer.

schemathesis sends what `/openapi.json` describes (`tests/conformance`), and not `/watch`. Here
fields come twice, in wrong places and half escaped, and bodies are what other requests expect. See
`test_fuzz.py` for the settings.
"""

import json
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.test_fuzz import EXAMPLES, FIELD_VALUES, JSON, MESSAGES, OPERATION_FIELDS, fuzz
from tests.protocol.clients import RawConnection, http
from tests.support.server import ServerProcess

pytestmark = pytest.mark.timeout(120 * max(1, EXAMPLES // 300))

STATUSES = {200, 201, 204, 304, 400, 404, 405, 409, 411, 412, 413, 415}
"""Those that docs/http.md has for these requests, to a server without a token and with room."""

METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]
NAMES = ["k", "l", "list", "clock", "a b", "ü", "..", "a/b", "\x00", "%", "k" * 600, ""]
FIELDS = [
    *("ns", "path", "ttl", "then", "durable", "ifRev", "epoch", "format", "rev", "wait"),
    *("pattern", "order", "limit", "max", "key", "keys", "since", "maxRate", "channel", "x", ""),
]
VALUES = [
    *(value for value in FIELD_VALUES if value != "30"),  # that would hold a request for so long
    *("rows", "csv", "json", "text", "true", "0", "-", "{}", '{"a":1}', "null", '"', "9" * 30),
    *("cache-events", "[", "]", "a&b", "#", "/0", "/-", "/a/b", "*" * 20, "\x7f", "\udcff"),
]
TAGS = ['"x-1"', 'W/"x-1"', "*", '"', "", '"a", "b"', "x" * 100, '"é"']
HEADERS: dict[str, st.SearchStrategy[str]] = {
    "If-Match": st.sampled_from(TAGS),
    "If-None-Match": st.sampled_from(TAGS),
    "Last-Event-ID": st.sampled_from(["x-1", "x--1", "", "é", *TAGS]),
    "Idempotency-Key": st.sampled_from(["once", '"once"', "", "é", "k" * 65]),
    "Accept": st.sampled_from(["text/event-stream", "*/*", "", "text/csv;q=0"]),
    "Content-Type": st.sampled_from(
        [
            *("application/json", "application/merge-patch+json", "application/json-patch+json"),
            *("text/plain", "text/plain; charset=latin-1", "", ";", "application/JSON ; x"),
        ]
    ),
}


class Sent(NamedTuple):
    """A request, as it is written."""

    method: str
    target: bytes
    headers: dict[str, str]
    body: bytes | None


def escaped(text: str) -> st.SearchStrategy[bytes]:
    """A part of an address as clients escape it, or as it stands where that is possible."""
    encoded = text.encode("utf-8", "surrogateescape")
    raw = bytes(byte for byte in encoded if byte > 0x20 and byte not in b"#\x7f")
    return st.sampled_from([quote(encoded, safe="").encode(), raw])


TEXTS = st.sampled_from(NAMES) | st.text("ab/*?~%-.0159é", max_size=8)
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(FIELDS).flatmap(escaped),
        (st.sampled_from(VALUES) | st.text("ab,*?/~%-.0159", max_size=12)).flatmap(escaped),
    ).map(b"=".join),
    max_size=5,
).map(b"&".join)
PATHS = st.sampled_from(
    [b"/kv", b"/kv/k", b"/kv/list", b"/kv/clock", b"/watch", b"/watch/", b"/txn", b"/history/k"]
) | st.tuples(
    st.sampled_from([b"/kv/", b"/history/", b"/publish/", b"/watch/"]), TEXTS.flatmap(escaped)
).map(b"".join)
TARGETS = st.tuples(PATHS, QUERIES).map(lambda parts: b"?".join(parts) if parts[1] else parts[0])
OPERATION = st.fixed_dictionaries(
    {
        "op": st.sampled_from(
            [
                *("set", "delete", "merge", "patch", "incr", "append", "touch", "timer"),
                *("revert", "txn"),
            ]
        )
    },
    optional=OPERATION_FIELDS,
)
BODIES = (
    st.none()
    | st.binary(max_size=20)
    | MESSAGES
    | JSON.map(lambda value: json.dumps(value).encode())
    | OPERATION.map(lambda value: json.dumps(value).encode())
    | st.lists(OPERATION, max_size=3).map(lambda ops: json.dumps({"ops": ops}).encode())
)
REQUESTS = st.builds(
    Sent,
    st.sampled_from(METHODS),
    TARGETS,
    st.fixed_dictionaries({}, optional=HEADERS),
    BODIES,
)


def to_set(key: str, value: Any) -> dict[str, Any]:
    return {"op": "set", "key": key, "value": value}


VALUES_OF_EACH_KIND = [
    to_set("k", {"a": 1}),
    to_set("list", [1, 2]),
    to_set("l", "text"),
    {"op": "timer", "key": "clock", "do": "set", "ms": 60_000, "rate": -1},
]
BEGINNING = [
    Sent("POST", b"/flush", {}, b""),
    Sent("POST", b"/txn", {}, json.dumps({"ops": VALUES_OF_EACH_KIND}).encode()),
]
"""Each example begins with the same values, so that what fails fails again."""


@pytest.fixture(scope="module")
def fuzzed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server which at the end is as well as it was."""
    with ServerProcess(tmp_path_factory.mktemp("values")) as server:
        yield server
        assert http(server, "GET", "/health").json["status"] == "healthy"
        assert server.stop() == 0
        assert "Traceback" not in server.log


@fuzz
@given(st.lists(REQUESTS, min_size=1, max_size=4))
def test_any_request_for_values_gets_a_defined_answer(
    fuzzed_server: ServerProcess, requests: list[Sent]
) -> None:
    with RawConnection(fuzzed_server) as connection:
        for request in [*BEGINNING, *requests]:
            connection.send(written(request))
            answer = HTTPResponse(connection.socket, method=request.method)
            answer.begin()
            if answer.headers.get_content_type() == "text/event-stream":
                assert answer.status == 200
                return  # it has no end
            check(request, answer, answer.read())
            if answer.will_close:
                return


def written(request: Sent) -> bytes:
    """The bytes of a request; the length is said if there is a body, also if that is empty."""
    headers = {"Host": "localhost", **request.headers}
    if request.body is not None:
        headers["Content-Length"] = str(len(request.body))
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
    first = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.target)
    return first + lines + b"\r\n" + (request.body or b"")


def check(request: Sent, answer: HTTPResponse, body: bytes) -> None:
    """Check what holds for every answer that ends."""
    assert answer.status in STATUSES, body
    if request.method == "HEAD" or answer.status in (204, 304):
        assert body == b""
        return
    if answer.headers.get_content_type() == "application/json":
        value: Any = json.loads(body)
        if answer.status >= 400:
            assert value["error"]
            assert isinstance(value["error"], str)
    else:
        body.decode()
        assert answer.status == 200 or (answer.status == 201 and not body)
