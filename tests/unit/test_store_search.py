"""A search through all keys and values: what it finds, in portions, and how it goes on."""

import json
from typing import Any

import pytest

from dunena.dialects import store_search
from dunena.dialects.errors import ClientError
from dunena.dialects.grants import Grant, Right
from dunena.dialects.key_search import KEYS_AT_ONCE_MAX
from dunena.dialects.services import Services
from dunena.dialects.store_search import PORTION_BYTES_MAX, StoreSearch
from dunena.dialects.views import Views
from dunena.hub import Hub
from dunena.store.limits import SEARCH_CHARS_MAX, SEARCHED_KEYS_MAX
from dunena.store.store import Store
from tests.support.work import outcome, portions_of

NOW = 1_700_000_000_000


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def services(store: Store) -> Services:
    return Services(store, store, Hub())


def search(services: Services, q: str, **query: object) -> Any:
    fields = {"q": q} | {name: str(value) for name, value in query.items()}
    status, body = outcome(StoreSearch(services, fields).work())(NOW)
    assert status == 200
    return json.loads(body)


def places(answer: Any) -> list[tuple[str, str]]:
    return [(entry["ns"], entry["key"]) for entry in answer["entries"]]


def found(services: Services, q: str, **query: object) -> list[tuple[str, str]]:
    return places(search(services, q, **query))


def test_a_text_is_found_in_names_and_values_of_all_namespaces(
    store: Store, services: Services
) -> None:
    store.set("", "score", b'{"home":2}')
    store.set("app", "title", b'"High SCORE of today"')
    store.set("app", "scoreboard", b"1")
    store.set("zoo", "other", b"2")
    answer = search(services, "Score")
    assert [(one["ns"], one["key"], one["match"]) for one in answer["entries"]] == [
        ("", "score", "key"),
        ("app", "scoreboard", "key"),
        ("app", "title", "value"),
    ]
    first = answer["entries"][0]
    assert first["preview"] == '{"home":2}'
    assert (first["size"], first["revision"], first["expiresAt"]) == (10, 1, None)
    assert (answer["cursor"], answer["searched"], answer["timestamp"]) == (None, 4, NOW)


@pytest.mark.parametrize(
    ("q", "is_found"),
    [
        ('"home":2', True),
        ("ÜBER", True),
        ('say "hi"', True),
        ('say \\"hi\\"', True),
        ("a\nb", True),
        ("none of it", False),
        ("*", True),
        ("k?y", True),
        ("K*", True),
        ("?", False),
        ("y*", False),
        ("2*3", True),
    ],
)
def test_a_text_matches_as_json_and_wildcards_match_whole_names(
    store: Store, services: Services, q: str, is_found: bool
) -> None:
    value = {"home": 2, "text": 'say "hi"', "line": "a\nb", "u": "über", "sum": "2*3"}
    store.set("", "key", json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    assert found(services, q) == ([("", "key")] if is_found else [])


def test_the_excerpt_is_the_text_around_a_place_that_is_not_at_the_beginning(
    store: Store, services: Services
) -> None:
    store.set("", "near", b'"needle in front"')
    store.set("", "far", json.dumps("x" * 300 + " the Needle " + "y" * 300).encode())
    far, near = search(services, "needle")["entries"]
    assert "excerpt" not in near
    assert "the Needle yy" in far["excerpt"]
    assert len(far["excerpt"]) == 200


@pytest.mark.parametrize("before", range(PORTION_BYTES_MAX - 9, PORTION_BYTES_MAX + 2))
def test_a_large_value_is_searched_in_slices_that_overlap(
    store: Store, services: Services, before: int
) -> None:
    store.set("", "large", f'"{"x" * before}nädel{"y" * 3 * PORTION_BYTES_MAX}"'.encode())
    turns, answer = portions_of(StoreSearch(services, {"q": "NÄDEL"}).work())
    assert places(json.loads(answer(NOW)[1])) == [("", "large")]
    turns, _ = portions_of(StoreSearch(services, {"q": "absent"}).work())
    assert turns >= 4


def test_100000_keys_are_searched_in_portions_of_a_limited_size(
    store: Store, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr(store_search, "_name_matcher", lambda _text: looked_at.append)
    for number in range(100_000):
        store.set(f"ns{number % 7}", f"k{number:06}", b'"0123456789"')
    work = StoreSearch(services, {"q": "absent"}).work()
    most = turns = 0
    while True:
        before = len(looked_at)
        try:
            next(work)
        except StopIteration as end:
            answer = end.value
            break
        most, turns = max(most, len(looked_at) - before), turns + 1
    assert json.loads(answer(NOW)[1])["searched"] == len(looked_at) == 100_000
    assert most <= KEYS_AT_ONCE_MAX
    assert turns >= 2 * 100_000 / KEYS_AT_ONCE_MAX, "to put them in order, and to look at them"


def test_many_small_namespaces_are_searched_in_portions(store: Store, services: Services) -> None:
    for number in range(1000):
        store.set(f"ns{number}", "k", b"1")
    turns, answer = portions_of(StoreSearch(services, {"q": "absent"}).work())
    assert turns > 10
    assert json.loads(answer(NOW)[1])["searched"] == 1000


def test_a_search_goes_on_by_its_cursor_without_gap_or_double(
    store: Store, services: Services
) -> None:
    for number in range(10):
        store.set("", f"k{number}", b"1")
        store.set("app", f"k{number}", b"1")
    seen: list[tuple[str, str]] = []
    cursor = ""
    while cursor is not None:
        answer = search(services, "k", count=3, cursor=cursor)
        seen += places(answer)
        cursor = answer["cursor"]
        store.delete("", "k0")
        store.set("", "k1a", b"1")
    wanted = [*[("", f"k{n}") for n in range(10)], *[("app", f"k{n}") for n in range(10)]]
    assert [place for place in seen if place != ("", "k1a")] == wanted


def test_a_request_ends_after_so_many_keys(
    store: Store, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SEARCHED_KEYS_MAX == 100_000
    monkeypatch.setattr(store_search, "SEARCHED_KEYS_MAX", 5)
    for number in range(7):
        store.set("", f"k{number}", b"1")
    first = search(services, "k6")
    assert (first["entries"], first["searched"]) == ([], 5)
    second = search(services, "k6", cursor=first["cursor"])
    assert (places(second), second["cursor"]) == ([("", "k6")], None)


def test_a_request_ends_after_so_many_bytes(
    store: Store, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_search, "SEARCHED_BYTES_MAX", 20)
    for number in range(4):
        store.set("", f"k{number}", b'"0123456789"')
    assert search(services, "absent")["searched"] == 2


def test_expired_keys_are_not_found(store: Store, services: Services) -> None:
    store.set("", "old", b"1", NOW - 1)
    store.set("", "older", b'{"a":1}', NOW + 1)
    assert found(services, "old") == [("", "older")]


def test_a_grant_finds_only_what_it_may_read_and_the_cursor_names_nothing_else(
    store: Store, services: Services
) -> None:
    for key in ("a-hidden", "b-seen", "c-hidden", "d-seen", "e-hidden"):
        store.set("stage", key, b'"text"')
        store.set("other", key, b'"text"')
    grant = Grant("g", frozenset([Right.READ]), ("*-seen",), ("stage",))
    guarded = Views(services).of(grant)
    answer = search(guarded, "text", count=1)
    assert places(answer) == [("stage", "b-seen")]
    assert store_search._place_of(answer["cursor"]) == ("stage", "b-seen")
    assert answer["searched"] == 1
    assert found(guarded, "text", cursor=answer["cursor"]) == [("stage", "d-seen")]
    assert found(guarded, "hidden") == []
    blind = Views(services).of(Grant("w", frozenset([Right.WRITE])))
    assert search(blind, "text")["searched"] == 0


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": ""},
        {"q": "x" * (SEARCH_CHARS_MAX + 1)},
        {"q": "x", "count": "0"},
        {"q": "x", "count": "many"},
        {"q": "x", "cursor": "5"},
        {"q": "x", "cursor": "ü"},
        {"q": "x", "cursor": "WzEsMl0"},
        {"q": "x", "cursor": "bnVsbA"},
    ],
)
def test_a_wrong_query_is_refused(services: Services, query: dict[str, str]) -> None:
    with pytest.raises(ClientError):
        StoreSearch(services, query)
