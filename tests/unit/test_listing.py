"""Listings for the test page: by offset, filtered, and at the cost of one page."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import orjson
import pytest

from dunena.dialects.errors import ClientError
from dunena.dialects.grants import Grant, Right
from dunena.dialects.key_search import KeySearch
from dunena.dialects.listing import PREVIEW_CHARS_MAX, Listing
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.hub import Hub
from dunena.store.limits import PAGE_KEYS_DEFAULT, PAGE_KEYS_MAX
from dunena.store.store import Store
from tests.support.work import outcome, portions_of

NOW = 1_700_000_000_000


class CountedStore:
    """A store that tells how often somebody looked at an entry of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.peeks = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def peek(self, ns, key, now):
        self.peeks += 1
        return self._store.peek(ns, key, now)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def listing(store: Store) -> Listing:
    return Listing(Services(store, store, Hub()))


def page(listing: Listing, **query: object) -> dict:
    fields = {name: str(value) for name, value in query.items()}
    status, body = outcome(listing.page(fields))(NOW)
    assert status == 200
    return json.loads(body)


def keys(answer: dict) -> list[str]:
    return [entry["key"] for entry in answer["entries"]]


def fill(store: Store, count: int = 10, ns: str = "") -> None:
    for number in range(count):
        store.set(ns, f"key-{number:03}", b"%d" % number)


def test_a_page_reports_all_fields_of_its_entries(store: Store, listing: Listing) -> None:
    store.set("", "plain", b'{"x":1}')
    store.set("", "text", '"grü"'.encode(), NOW + 5000)
    answer = page(listing)
    assert answer == {
        "total": 2,
        "offset": 0,
        "revision": 2,
        "timestamp": NOW,
        "entries": [
            {"key": "plain", "size": 7, "revision": 1, "expiresAt": None, "preview": '{"x":1}'},
            {
                "key": "text",
                "size": 4,
                "revision": 2,
                "expiresAt": NOW + 5000,
                "preview": '"grü"',
            },
        ],
    }


def test_what_is_to_be_merged_is_listed_with_its_entry(store: Store, listing: Listing) -> None:
    then = orjson.dumps({"on": False, "text": "x" * 500})
    store.set("", "lower", b'{"on":true}', NOW + 5000, then=then)
    store.set("", "null", b"1", NOW + 5000, then=b"null")
    store.set("", "plain", b"1", NOW + 5000)
    entries = page(listing)["entries"]
    assert [entry.get("thenPreview") for entry in entries] == [
        then.decode()[:PREVIEW_CHARS_MAX],
        "null",
        None,
    ]
    lower, null, plain = (
        json.loads(listing.one(key, {}, NOW)[1])["entry"] for key in ("lower", "null", "plain")
    )
    assert lower["then"] == json.loads(then)
    assert null["then"] is None
    assert "then" not in plain


def test_an_overdue_entry_is_listed_as_what_it_became(store: Store, listing: Listing) -> None:
    store.set("", "lower", b'{"on":true}', NOW, then=b'{"on":false}')
    store.expire(NOW, 0)
    (entry,) = page(listing)["entries"]
    assert (entry["preview"], entry["expiresAt"]) == ('{"on":false}', None)
    assert "thenPreview" not in entry


def test_a_page_can_start_at_any_offset(store: Store, listing: Listing) -> None:
    fill(store)
    assert keys(page(listing, offset=8, count=5)) == ["key-008", "key-009"]
    assert keys(page(listing, offset=10)) == []
    assert keys(page(listing, offset=3, count=2)) == ["key-003", "key-004"]


def test_a_page_can_be_in_descending_order(store: Store, listing: Listing) -> None:
    fill(store)
    assert keys(page(listing, order="desc", count=2)) == ["key-009", "key-008"]
    assert keys(page(listing, order="desc", offset=8, count=5)) == ["key-001", "key-000"]
    assert keys(page(listing, order="desc", offset=11)) == []
    with pytest.raises(ClientError, match="order must be"):
        page(listing, order="size")


def test_the_total_of_a_pattern_counts_the_matching_keys(store: Store, listing: Listing) -> None:
    fill(store, 30)
    answer = page(listing, pattern="*-01?", offset=8)
    assert answer["total"] == 10
    assert keys(answer) == ["key-018", "key-019"]


def test_a_filtered_listing_follows_added_and_removed_keys(store: Store, listing: Listing) -> None:
    fill(store, 3)
    assert page(listing, pattern="key*")["total"] == 3
    store.set("", "key-new", b"1")
    assert page(listing, pattern="key*")["total"] == 4
    store.delete("", "key-001")
    assert keys(page(listing, pattern="key*")) == ["key-000", "key-002", "key-new"]


def test_a_page_reads_only_the_entries_on_it(store: Store) -> None:
    counted = CountedStore(store)
    listing = Listing(SimpleNamespace(store=counted, unrestricted_store=store, search=KeySearch()))
    fill(store, 5000)
    page(listing, pattern="*9*")
    counted.peeks = 0
    page(listing, pattern="*9*", offset=500, count=20)
    assert counted.peeks == 20


def test_an_expired_entry_is_not_listed(store: Store, listing: Listing) -> None:
    store.set("", "gone", b"1", NOW)
    assert keys(page(listing)) == []
    assert json.loads(listing.one("gone", {}, NOW)[1])["entry"] is None


@pytest.mark.parametrize("char", ["a", "ü", "€", "😀"])
def test_a_preview_is_cut_between_characters(store: Store, listing: Listing, char: str) -> None:
    store.set("", "long", orjson.dumps(char * 1000))
    (entry,) = page(listing)["entries"]
    assert entry["preview"] == '"' + char * (PREVIEW_CHARS_MAX - 1)
    assert entry["size"] == 1000 * len(char.encode())


def test_some_returns_the_named_entries_that_exist(store: Store, listing: Listing) -> None:
    fill(store, 3, ns="app")
    body = orjson.dumps({"keys": ["key-002", "missing"], "ns": "app"})
    answer = json.loads(listing.some(body, NOW)[1])
    assert keys(answer) == ["key-002"]
    assert answer["revision"] == 3


@pytest.mark.parametrize(
    "message",
    [{}, {"keys": "k"}, {"keys": [1]}, {"keys": [""]}, {"keys": ["k"] * 1001}, {"keys": {}}],
)
def test_some_rejects_keys_that_are_not_a_list_of_strings(listing: Listing, message: dict) -> None:
    with pytest.raises(ClientError):
        listing.some(orjson.dumps(message), NOW)


def test_one_returns_the_entry_with_its_complete_value(store: Store, listing: Listing) -> None:
    store.set("app", "k", b'{"b":1.0,"a":18446744073709551615}', NOW + 1)
    status, body = listing.one("k", {"ns": "app"}, NOW)
    assert status == 200
    assert b'"value":{"b":1.0,"a":18446744073709551615}' in body
    entry = json.loads(body)["entry"]
    assert (entry["revision"], entry["expiresAt"], entry["size"]) == (1, NOW + 1, 34)


def test_namespaces_are_listed_with_their_key_counts(store: Store, listing: Listing) -> None:
    fill(store, 3)
    fill(store, 2, ns="app")
    fill(store, 1, ns="rooms")

    def names(**query: str) -> dict:
        return json.loads(outcome(listing.namespaces(query))(NOW)[1])

    assert names() == {
        "total": 3,
        "offset": 0,
        "namespaces": [
            {"ns": "", "keys": 3},
            {"ns": "app", "keys": 2},
            {"ns": "rooms", "keys": 1},
        ],
    }
    assert names(pattern="r*")["namespaces"] == [{"ns": "rooms", "keys": 1}]
    assert names(offset="1", count="1") == {
        "total": 3,
        "offset": 1,
        "namespaces": [{"ns": "app", "keys": 2}],
    }


def refusal(request: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        request()
    return caught.value.text


def test_a_page_has_one_namespace_and_the_default_length(store: Store, listing: Listing) -> None:
    fill(store, PAGE_KEYS_DEFAULT + 1, ns="ü")
    fill(store, 1)
    answer = page(listing, ns="ü")
    assert len(keys(answer)) == PAGE_KEYS_DEFAULT
    assert (answer["total"], answer["offset"]) == (PAGE_KEYS_DEFAULT + 1, 0)
    assert page(listing, ns="ü", offset=7)["offset"] == 7
    assert page(listing, order="asc") == page(listing)
    assert page(listing)["total"] == 1


def test_the_last_page_in_descending_order_has_the_remaining_keys(
    store: Store, listing: Listing
) -> None:
    fill(store, 3)
    assert keys(page(listing, order="desc", offset=1, count=1)) == ["key-001"]
    assert keys(page(listing, order="desc", offset=2, count=1)) == ["key-000"]
    assert keys(page(listing, order="desc", offset=2, count=9)) == ["key-000"]
    assert keys(page(listing, order="desc", offset=3)) == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"ns": "\n"}, "Namespace contains invalid characters"),
        ({"offset": "-1"}, "offset must be a non-negative integer"),
        ({"count": "0"}, "count must be at least 1"),
        ({"order": "ASC"}, 'order must be "asc" or "desc"'),
    ],
)
def test_an_invalid_query_is_refused_with_its_reason(
    listing: Listing, query: dict[str, str], text: str
) -> None:
    assert refusal(lambda: outcome(listing.page(query))) == text


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({}, "Missing field: keys"),
        ({"keys": None}, "Missing field: keys"),
        ({"keys": "k"}, "keys must be a list"),
        ({"keys": ["k"] * (PAGE_KEYS_MAX + 1)}, f"keys exceed max count ({PAGE_KEYS_MAX})"),
        ({"keys": [1]}, "Key must be a string"),
        ({"keys": ["\n"]}, "Key contains invalid characters"),
        ({"keys": [], "ns": "\n"}, "Namespace contains invalid characters"),
    ],
)
def test_invalid_keys_are_refused_with_the_reason(
    listing: Listing, message: dict[str, object], text: str
) -> None:
    assert refusal(lambda: listing.some(orjson.dumps(message), NOW)) == text


def test_as_many_entries_can_be_named_as_a_page_has(store: Store, listing: Listing) -> None:
    store.set("", "k", b"1", NOW + 1)
    body = orjson.dumps({"keys": ["k"] * PAGE_KEYS_MAX})
    status, answer = listing.some(body, NOW)
    assert (status, len(json.loads(answer)["entries"])) == (200, PAGE_KEYS_MAX)
    answer = json.loads(listing.some(body, NOW + 1)[1])
    assert answer == {"revision": 1, "timestamp": NOW + 1, "entries": []}


def test_one_entry_has_the_exact_fields(store: Store, listing: Listing) -> None:
    store.set("ü", "é", b"[1]", NOW + 1)
    shown = {"key": "é", "size": 3, "revision": 1, "expiresAt": NOW + 1, "value": [1]}
    status, body = listing.one("é", {"ns": "ü"}, NOW)
    assert (status, json.loads(body)) == (200, {"timestamp": NOW, "entry": shown})
    nothing = (200, b'{"timestamp":%d,"entry":null}' % (NOW + 1))
    assert listing.one("é", {"ns": "ü"}, NOW + 1) == nothing
    assert listing.one("é", {}, NOW + 1) == nothing
    for key, query, text in (
        ("", {}, "Key must not be empty"),
        ("\n", {}, "Key contains invalid characters"),
        ("k", {"ns": "\n"}, "Namespace contains invalid characters"),
    ):
        assert refusal(lambda key=key, query=query: listing.one(key, query, NOW)) == text


def test_a_preview_has_only_the_first_bytes(store: Store, listing: Listing) -> None:
    store.set("", "a", orjson.dumps("a" * (PREVIEW_CHARS_MAX - 2)))
    store.set("", "b", orjson.dumps("a" * (PREVIEW_CHARS_MAX - 1)))
    store.set("", "c", orjson.dumps("😀" * 10_000))
    previews = [entry["preview"] for entry in page(listing)["entries"]]
    assert [len(preview) for preview in previews] == [PREVIEW_CHARS_MAX] * 3
    assert [preview[-1] for preview in previews] == ['"', "a", "😀"]


def test_namespaces_are_listed_with_their_own_defaults_and_limits(
    store: Store, listing: Listing
) -> None:
    for number in range(PAGE_KEYS_DEFAULT + 1):
        store.set(f"n{number:03}", "k", b"1")
    status, body = outcome(listing.namespaces({}))(NOW)
    answer = json.loads(body)
    assert (status, answer["total"], answer["offset"]) == (200, PAGE_KEYS_DEFAULT + 1, 0)
    assert len(answer["namespaces"]) == PAGE_KEYS_DEFAULT
    answer = json.loads(outcome(listing.namespaces({"offset": "100"}))(NOW)[1])
    assert answer["namespaces"] == [{"ns": "n100", "keys": 1}]
    text = "offset must be a non-negative integer"
    assert refusal(lambda: outcome(listing.namespaces({"offset": "x"}))) == text


def test_keys_are_counted_in_portions_for_a_limited_grant(
    store: Store,
) -> None:
    fill(store, 3)
    fill(store, 2, ns="app")
    views = Views(Services(store, store, Hub()))
    some = Listing(views.of(Grant("some", frozenset({Right.READ}), keys=("*1", "*2"))))
    turns, answer = portions_of(some.namespaces({}))
    assert turns == 3, "one more for each namespace"
    assert json.loads(answer(NOW)[1])["namespaces"] == [
        {"ns": "", "keys": 2}, {"ns": "app", "keys": 1},
    ]  # fmt: skip
