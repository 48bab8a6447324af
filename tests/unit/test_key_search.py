"""Searches go on in portions, and find what stands."""

import json

from dunena.dialects import http_api, key_search
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


def test_what_matches_nothing_takes_a_bounded_portion_of_each_turn(monkeypatch) -> None:
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


def test_a_small_store_is_searched_at_once() -> None:
    turns, answer = portions_of(http_api.list_keys(large(50), {"pattern": "*9"}, NOW))
    assert turns == 1
    assert listed(answer) == (0, ["k000009", "k000019", "k000029", "k000039", "k000049"])


def test_keys_that_come_and_go_between_portions_neither_hide_nor_double_others() -> None:
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


def test_what_went_before_the_answer_is_not_in_it() -> None:
    services = large(3)
    answer = outcome(http_api.list_keys(services, {}, NOW))
    services.store.delete("", "k000001")
    assert listed(answer) == (0, ["k000000", "k000002"])


def test_a_store_that_is_flushed_meanwhile_is_empty() -> None:
    services = large(2 * KEYS_AT_ONCE_MAX)
    work = http_api.list_keys(services, {}, NOW)
    next(work)
    services.store.clear()
    assert listed(outcome(work)) == (0, [])


def test_only_so_many_searches_are_kept() -> None:
    services = large(3)
    for number in range(40):
        outcome(
            services.search.matching(services.unrestricted_store, services.store, "", f"*{number}")
        )
    assert len(services.search._found) == key_search._KEPT_MAX
