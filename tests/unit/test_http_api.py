"""What both protocols offer over HTTP, without HTTP: status and body, to the letter."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dunena.dialects import http_api
from dunena.dialects.errors import ClientError
from dunena.dialects.http_api import HttpResult, Query
from dunena.dialects.services import Services, unicode_name
from dunena.hub import Hub
from dunena.store.entry import Change
from dunena.store.limits import PAGE_KEYS_DEFAULT, PAGE_KEYS_MAX
from dunena.store.store import Store
from tests.support.work import outcome

NOW = 1_700_000_000_000


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def services(store: Store) -> Services:
    return Services(store, store, Hub())


def refusal(request: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        request()
    return caught.value.status, caught.value.text


def listed(services: Services, query: Query, now: int = NOW) -> dict[str, Any]:
    status, body = outcome(http_api.list_keys(services, query, now))(now)
    assert status == 200
    return json.loads(body)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"value"', b"1", b'{"a":1,"a":1}', b"\xff{}"])
def test_a_body_is_a_json_object(body: bytes) -> None:
    assert refusal(lambda: http_api.body_object(body)) == (400, "Invalid JSON body")
    assert http_api.has_value(body) is False


def test_a_body_may_begin_with_a_byte_order_mark() -> None:
    assert http_api.body_object(b'\xef\xbb\xbf{"a":1}') == {"a": 1}
    assert http_api.has_value(b'{"value":null}') is True
    assert http_api.has_value(b'{"a":1}') is False


# --- the object store's requests ---


def test_a_value_of_any_kind_is_set_and_got(services: Services) -> None:
    place = {"key": "é", "ns": "ü"}
    answer = '{"key":"é","value":[1],"ns":"ü"}'.encode()
    body = json.dumps({**place, "value": [1], "ttl": 5}).encode()
    assert http_api.set_object(services, body, NOW) == (200, answer)
    assert http_api.get_object(services, "é", {"ns": "ü"}, NOW) == (200, answer)
    missing = '{"key":"é","value":null,"ns":"ü"}'.encode()
    assert http_api.get_object(services, "é", {"ns": "ü"}, NOW + 5) == (200, missing)
    assert http_api.get_object(services, "é", {}, NOW)[1] == '{"key":"é","value":null}'.encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[]", "Invalid JSON body"),
        (b"{}", "Missing key"),
        (b'{"key":"","value":1}', "Missing key"),
        (b'{"key":null,"value":1}', "Key must be a string"),
        (b'{"key":"k"}', "Missing value"),
        (b'{"key":"k","value":1,"ns":1}', "Namespace must be a string"),
    ],
)
def test_an_invalid_set_is_refused_with_its_reason(
    services: Services, body: bytes, text: str
) -> None:
    assert refusal(lambda: http_api.set_object(services, body, NOW)) == (400, text)


def test_a_get_needs_a_key(services: Services) -> None:
    get = http_api.get_object
    assert refusal(lambda: get(services, "", {}, NOW)) == (400, "Missing key")
    text = "Key contains invalid characters"
    assert refusal(lambda: get(services, "\n", {}, NOW)) == (400, text)
    text = "Namespace contains invalid characters"
    assert refusal(lambda: get(services, "k", {"ns": "\n"}, NOW)) == (400, text)


def set_if(services: Services, revision: Any, value: int, now: int = NOW) -> HttpResult:
    message = {"key": "k", "ns": "n", "value": value, "ifRev": revision}
    return http_api.set_object(services, json.dumps(message).encode(), now)


def test_a_set_with_a_revision_is_for_a_key_at_that_revision(
    store: Store, services: Services
) -> None:
    store.set("", "k", b"1")
    assert set_if(services, 0, 1)[0] == 200, "in its namespace there is none"
    assert refusal(lambda: set_if(services, 0, 2)) == (409, 'Revision conflict: "k" is at 2')
    assert refusal(lambda: set_if(services, 1, 2)) == (409, 'Revision conflict: "k" is at 2')
    assert set_if(services, 2, 2)[0] == 200
    assert set_if(services, None, 3)[0] == 200
    store.set("n", "k", b"4", NOW)
    assert refusal(lambda: set_if(services, 5, 5)) == (409, 'Revision conflict: "k" is at 0')


@pytest.mark.parametrize("revision", [-1, True, False, 1.0, "1", []])
def test_an_invalid_if_rev_is_refused(services: Services, revision: Any) -> None:
    text = "ifRev must be a non-negative integer"
    assert refusal(lambda: set_if(services, revision, 1)) == (400, text)


OF_OPERATIONS: list[dict[str, Any]] = [
    {"path": "/home/score"},
    {"epoch": "e"},
    {"then": {"on": False}},
    {"return": True},
    {"idempotencyKey": "7Yq2"},
    {"rev": True},
    {"json": True},
]


@pytest.mark.parametrize("fields", OF_OPERATIONS, ids=str)
def test_a_write_with_a_field_that_only_operations_have_is_refused(
    store: Store, services: Services, fields: dict[str, Any]
) -> None:
    store.set("", "k", b'{"home":{"score":1}}')
    entry = {"key": "k", "value": "5", **fields}
    text = f"{next(iter(fields))} is for operations: use /kv or the WebSocket"

    def post(body: dict[str, Any]) -> HttpResult:
        return http_api.batch(services, json.dumps({"action": "mset", **body}).encode(), NOW)

    encoded = json.dumps(entry).encode()
    for write in (
        lambda: http_api.set_object(services, encoded, NOW),
        lambda: http_api.write_key(services, "k", {}, encoded, NOW),
        lambda: post({"entries": [entry]}),
        lambda: post({"entries": [{"key": "k", "value": "5"}], **fields}),
    ):
        assert refusal(write) == (400, text)
    assert http_api.get_object(services, "k", {}, NOW)[1] == (
        b'{"key":"k","value":{"home":{"score":1}}}'
    )
    unset = {"key": "k", "value": "5", **dict.fromkeys(fields)}
    assert http_api.set_object(services, json.dumps(unset).encode(), NOW)[0] == 200


def test_the_cache_api_refuses_a_revision_that_it_would_not_compare(services: Services) -> None:
    text = "ifRev is for operations: use /kv or the WebSocket"
    body = b'{"value":"1","ifRev":3}'
    assert refusal(lambda: http_api.write_key(services, "k", {}, body, NOW)) == (400, text)


# --- the cache API ---


def test_a_key_is_written_read_and_deleted_by_its_path(store: Store, services: Services) -> None:
    query, body = {"ns": "n"}, b'{"value":"v","ttl":5}'
    written = http_api.write_key(services, "k", query, body, NOW)
    assert written == (201, b'{"ok":true}')
    assert [(e.ns, e.value, e.expires_at) for e in store.entries()] == [("n", b'"v"', NOW + 5)]
    read = http_api.read_key
    assert read(services, "k", query, NOW) == (200, b'{"key":"k","value":"v"}')
    assert refusal(lambda: read(services, "k", query, NOW + 5)) == (404, "Key not found")
    assert refusal(lambda: read(services, "k", {}, NOW)) == (404, "Key not found")
    assert http_api.delete_key(services, "k", {}, NOW) == (200, b'{"deleted":false}')
    assert http_api.delete_key(services, "k", query, NOW) == (200, b'{"deleted":true}')
    assert store.entry_count == 0


def test_a_namespace_in_the_body_overrides_one_in_the_query(
    store: Store, services: Services
) -> None:
    http_api.write_key(services, "k", {"ns": "q"}, b'{"value":"","ns":"b"}', NOW)
    http_api.write_key(services, "k", {"ns": "q"}, b'{"value":"","ns":""}', NOW)
    assert store.namespaces() == ["b", "q"]


@pytest.mark.parametrize(
    ("key", "query", "body", "text"),
    [
        ("", {}, b'{"value":""}', "Key must not be empty"),
        ("é", {}, b'{"value":""}', "Key contains invalid characters"),
        ("k", {"ns": "é"}, b'{"value":""}', "Namespace contains invalid characters"),
        ("k", {}, b'{"value":"","ns":"\xc3\xa9"}', "Namespace contains invalid characters"),
        ("k", {}, b"{}", "Missing field: value"),
        ("k", {}, b"", "Invalid JSON body"),
    ],
)
def test_names_in_the_cache_are_printable_ascii(
    services: Services, key: str, query: Query, body: bytes, text: str
) -> None:
    assert refusal(lambda: http_api.write_key(services, key, query, body, NOW)) == (400, text)
    if text != "Missing field: value" and body.startswith(b'{"value":""}'):
        assert refusal(lambda: http_api.read_key(services, key, query, NOW)) == (400, text)
        assert refusal(lambda: http_api.delete_key(services, key, query, NOW)) == (400, text)


def test_delete_key_accepts_names_by_the_given_rule(store: Store, services: Services) -> None:
    store.set("ü", "é", b"1")
    deleted = http_api.delete_key(services, "é", {"ns": "ü"}, NOW, unicode_name)
    assert deleted == (200, b'{"deleted":true}')
    text = "Key contains invalid characters"
    request = lambda: http_api.delete_key(services, "\n", {}, NOW, unicode_name)  # noqa: E731
    assert refusal(request) == (400, text)


@pytest.mark.parametrize(
    ("query", "is_durable"),
    [({"durable": "true"}, True), ({"durable": "1"}, False), ({"durable": ""}, False), ({}, False)],
)
def test_a_delete_is_durable_if_the_query_says_so(
    store: Store, services: Services, query: Query, is_durable: bool
) -> None:
    changes: list[Change] = []
    store.set("", "k", b"1")
    store.observe(changes.append)
    http_api.delete_key(services, "k", query, NOW)
    assert [change.is_durable for change in changes] == [is_durable]


def test_a_batch_reads_or_writes(store: Store, services: Services) -> None:
    entries = b'{"action":"mset","entries":[{"key":"k","value":"v","ttl":5}],"ns":"n"}'
    assert http_api.batch(services, entries, NOW) == (200, b'{"stored":1}')
    assert [(e.ns, e.expires_at) for e in store.entries()] == [("n", NOW + 5)]
    keys = b'{"action":"mget","keys":["k","j"],"ns":"n"}'
    assert http_api.batch(services, keys, NOW) == (200, b'{"result":{"k":"v","j":null}}')
    assert http_api.batch(services, keys, NOW + 5)[1] == b'{"result":{"k":null,"j":null}}'


@pytest.mark.parametrize("body", [b"{}", b'{"action":"get"}', b'{"action":null}'])
def test_a_batch_with_an_unknown_action_is_refused(services: Services, body: bytes) -> None:
    text = 'Unknown action. Use "mget" or "mset".'
    assert refusal(lambda: http_api.batch(services, body, NOW)) == (400, text)


# --- listings ---


def test_keys_are_listed_page_by_page_until_the_cursor_is_0(
    store: Store, services: Services
) -> None:
    for key in ("a1", "a2", "b1", "a3", "b2"):
        store.set("n", key, b"1")
    store.set("", "other", b"1")
    page = {"ns": "n", "count": "2"}
    assert listed(services, page) == {"cursor": 2, "keys": ["a1", "a2"]}
    assert listed(services, {**page, "cursor": "2"}) == {"cursor": 4, "keys": ["a3", "b1"]}
    assert listed(services, {**page, "cursor": "4"}) == {"cursor": 0, "keys": ["b2"]}
    assert listed(services, {**page, "cursor": "9"}) == {"cursor": 0, "keys": []}
    assert listed(services, {"ns": "n"})["cursor"] == 0
    some = {"ns": "n", "pattern": "?1", "count": "1"}
    assert listed(services, some) == {"cursor": 1, "keys": ["a1"]}
    assert listed(services, {**some, "cursor": "1"}) == {"cursor": 4, "keys": ["b1"]}
    assert listed(services, {**some, "cursor": "4"}) == {"cursor": 0, "keys": []}
    assert listed(services, {}) == {"cursor": 0, "keys": ["other"]}


def test_a_listing_of_full_pages_ends_with_the_last_key(store: Store, services: Services) -> None:
    store.set("", "a", b"1")
    store.set("", "b", b"1")
    assert listed(services, {"count": "2"}) == {"cursor": 0, "keys": ["a", "b"]}


def test_an_expired_key_is_not_listed(store: Store, services: Services) -> None:
    store.set("", "a", b"1", NOW)
    store.set("", "b", b"1", NOW + 1)
    assert listed(services, {"count": "1"}) == {"cursor": 0, "keys": ["b"]}
    answer = outcome(http_api.list_keys(services, {}, NOW))
    assert json.loads(answer(NOW + 1)[1]) == {"cursor": 0, "keys": []}, "not when it is told"


def test_a_listing_accepts_names_by_the_given_rule(store: Store, services: Services) -> None:
    store.set("ü", "é", b"1")
    assert listed(services, {"ns": "ü"})["keys"] == ["é"]
    text = "Namespace contains invalid characters"
    assert refusal(lambda: listed(services, {"ns": "\n"})) == (400, text)


def test_flush_removes_all_entries(store: Store, services: Services) -> None:
    store.set("n", "k", b"1")
    assert http_api.flush(services) == (200, b'{"flushed":true}')
    assert store.entry_count == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (None, PAGE_KEYS_DEFAULT),
        ("", PAGE_KEYS_DEFAULT),
        ("1", 1),
        (str(PAGE_KEYS_MAX), PAGE_KEYS_MAX),
        (str(PAGE_KEYS_MAX + 1), PAGE_KEYS_MAX),
    ],
)
def test_a_page_has_the_requested_number_of_keys_up_to_the_limit(
    text: str | None, count: int
) -> None:
    assert http_api.page_count({} if text is None else {"count": text}) == count


def test_a_page_has_at_least_one_key() -> None:
    assert refusal(lambda: http_api.page_count({"count": "0"})) == (
        400,
        "count must be at least 1",
    )
    text = "count must be a non-negative integer"
    assert refusal(lambda: http_api.page_count({"count": "x"})) == (400, text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("12.0", 12),
        ("12.000", 12),
        ("9" * 15, 10**15 - 1),
        ("9" * 15 + ".0", 10**15 - 1),
        ("9" * 16, None),
        ("12.", None),
        ("12.5", None),
        ("12.05", None),
        ("1.0.0", None),
        ("1.X", None),
        (".0", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        (" 1", None),
        ("٣", None),
        ("²", None),
    ],
)
def test_a_number_in_a_query_is_whole_and_not_negative(text: str, number: int | None) -> None:
    query = {"x": text}
    if number is None:
        text = "x must be a non-negative integer"
        assert refusal(lambda: http_api.whole_number(query, "x", 5)) == (400, text)
    else:
        assert http_api.whole_number(query, "x", 5) == number


@pytest.mark.parametrize("query", [{}, {"x": ""}, {"y": "1"}])
def test_a_number_missing_in_the_query_is_the_default(query: Query) -> None:
    assert http_api.whole_number(query, "x", 5) == 5
