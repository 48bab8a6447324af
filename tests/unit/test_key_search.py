"""Searches run in portions and find the current keys."""

import json
from collections.abc import Callable

import pytest

from dunena.dialects import http_api, key_search
from dunena.dialects.grants import Grant, Right
from dunena.dialects.guarded_store import GuardedStore
from dunena.dialects.key_search import KEYS_AT_ONCE_MAX
from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.store.store import Store
from tests.support.work import outcome, portions_of

NOW = 1_700_000_000_000


def large(count: int) -> Services:
    store = Store()
    for number in range(count):
        store.set("", f"k{number:06}", b"1")
    return Services(store, store, Hub())


def listed(answer: http_api.LateHttpResult, now: int = NOW) -> tuple[int, list[str]]:
    body = json.loads(answer(now)[1])
    return body["cursor"], body["keys"]


def test_a_search_examines_a_limited_number_of_keys_per_turn(monkeypatch) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr(http_api, "glob", lambda _pattern: looked_at.append)
    services = large(5 * KEYS_AT_ONCE_MAX)
    work = http_api.list_keys(services, {"pattern": "none"}, NOW)
    most, turns = 0, 0
    while True:
        before = len(looked_at)
        try:
            next(work)
        except StopIteration as end:
            answer = end.value
            break
        most, turns = max(most, len(looked_at) - before), turns + 1
    assert listed(answer) == (0, [])
    assert most == KEYS_AT_ONCE_MAX
    assert len(looked_at) == 5 * KEYS_AT_ONCE_MAX
    assert turns >= 8, "to put them in order, and to look at them"


def test_a_small_store_is_searched_in_one_turn() -> None:
    turns, answer = portions_of(http_api.list_keys(large(50), {"pattern": "*9"}, NOW))
    assert turns == 1
    assert listed(answer) == (0, ["k000009", "k000019", "k000029", "k000039", "k000049"])


def test_changes_between_portions_neither_hide_nor_duplicate_keys() -> None:
    services = large(3 * KEYS_AT_ONCE_MAX)
    work = http_api.list_keys(services, {"pattern": "k*00", "count": "1000"}, NOW)
    for turn in range(9):
        try:
            next(work)
        except StopIteration as end:
            cursor, keys = listed(end.value)
            break
        services.store.delete("", f"k{turn:06}1")
        services.store.delete("", f"k{turn + 1:06}")
        services.store.set("", f"a{turn}", b"1")
    assert cursor == 0
    assert keys == [f"k{number:06}" for number in range(0, 3 * KEYS_AT_ONCE_MAX, 100)]


def test_a_key_deleted_before_the_reply_is_not_listed() -> None:
    services = large(3)
    answer = outcome(http_api.list_keys(services, {}, NOW))
    services.store.delete("", "k000001")
    assert listed(answer) == (0, ["k000000", "k000002"])


def test_a_store_cleared_during_a_listing_is_listed_as_empty() -> None:
    services = large(2 * KEYS_AT_ONCE_MAX)
    work = http_api.list_keys(services, {}, NOW)
    next(work)
    services.store.clear()
    assert listed(outcome(work)) == (0, [])


def test_a_listing_ends_if_the_keys_after_its_portion_are_deleted_meanwhile() -> None:
    services = large(KEYS_AT_ONCE_MAX + 1)
    while not services.unrestricted_store.table.place_keys("", KEYS_AT_ONCE_MAX):
        pass
    work = http_api.list_keys(services, {"pattern": "none"}, NOW)
    next(work)
    services.store.delete("", f"k{KEYS_AT_ONCE_MAX:06}")
    assert listed(outcome(work)) == (0, [])


def test_the_number_of_cached_searches_is_limited() -> None:
    services = large(3)
    for number in range(40):
        outcome(
            services.search.matching(services.unrestricted_store, services.store, "", f"*{number}")
        )
    assert len(services.search._found) == key_search._KEPT_MAX


def matching(services: Services, pattern: str = "*", ns: str = "") -> list[str]:
    store = services.unrestricted_store
    return outcome(services.search.matching(store, services.store, ns, pattern)).page(0, 10**6)


@pytest.mark.parametrize("pattern", ["", "*"])
def test_a_namespace_readable_by_all_is_not_searched(pattern: str) -> None:
    services = large(3)
    order = outcome(
        services.search.matching(services.unrestricted_store, services.store, "", pattern)
    )
    assert order is services.unrestricted_store.table.key_order("")
    assert services.search._found == {}


def test_a_search_without_a_pattern_finds_all_keys() -> None:
    services = large(3)
    store = services.unrestricted_store
    assert outcome(services.search.matching(store, store, "")).count == 3
    assert matching(services, "*2") == ["k000002"]
    store.set("n", "k2", b"1")
    assert matching(services, "*2", "n") == ["k2"]
    assert matching(services, "*2") == ["k000002"]


def test_search_results_are_cached_until_keys_change(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def glob(pattern: str) -> Callable[[str], object]:
        asked.append(pattern)
        return lambda key: key.endswith("2")

    monkeypatch.setattr(key_search, "glob", glob)
    services = large(3)
    store = services.unrestricted_store
    for _ in range(2):
        assert matching(services, "*2") == ["k000002"]
    assert asked == ["*2"]
    store.set("", "k000002", b"2")
    assert (matching(services, "*2"), len(asked)) == (["k000002"], 1)
    store.set("", "a2", b"1")
    assert (matching(services, "*2"), len(asked)) == (["a2", "k000002"], 2)
    store.clear()
    store.set("", "b2", b"1")
    assert (matching(services, "*2"), len(asked)) == (["b2"], 3)


def test_the_least_recently_used_search_is_dropped() -> None:
    services = large(3)
    for number in range(key_search._KEPT_MAX):
        matching(services, f"*{number}")
    assert len(services.search._found) == key_search._KEPT_MAX
    matching(services, "*0")
    matching(services, "new")
    patterns = [pattern for _, pattern in services.search._found]
    assert len(patterns) == key_search._KEPT_MAX
    assert patterns[-2:] == ["*0", "new"]
    assert "*1" not in patterns


def test_only_readable_keys_are_found() -> None:
    services = large(3)
    store = services.unrestricted_store
    seen = GuardedStore(store, Grant("some", frozenset({Right.READ}), keys=("*1",)))
    for pattern in ("", "*"):
        found = outcome(services.search.matching(store, seen, "", pattern))
        assert found.page(0, 9) == ["k000001"]


@pytest.mark.parametrize(("count", "turns"), [(-1, 1), (0, 2)])
def test_a_search_pauses_after_a_whole_portion(count: int, turns: int) -> None:
    services = large(KEYS_AT_ONCE_MAX + count)
    store = services.unrestricted_store
    while not store.table.place_keys("", KEYS_AT_ONCE_MAX):
        pass
    assert portions_of(services.search.matching(store, store, "", "k*"))[0] == turns


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [("a*", "abc", True), ("a*", "ba", False), ("b", "abc", False), ("?", "a", True)],
)
def test_a_glob_matches_whole_keys(pattern: str, key: str, matches: bool) -> None:
    assert bool(key_search.glob(pattern)(key)) is matches
