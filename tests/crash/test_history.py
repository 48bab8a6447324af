"""The model of the crash test accepts possible states and rejects impossible ones."""

from typing import Any

import pytest

from tests.crash.history import CLOCK_SLACK_MS, History, Request

KILLED_AT = 1_000


@pytest.fixture
def history() -> History:
    """Two requests that were answered and two that were not."""
    history = History("ns", ["a", "b", "c"])
    history.send(Request({"a": 1}), 100)
    history.send(Request({"b": 2}, ttl=5_000), 100)
    history.send(Request({"a": 3, "c": 3}), 100)
    history.send(Request({"a": None}), 100)
    history.acknowledge(110)
    history.acknowledge(110)
    return history


@pytest.mark.parametrize(
    ("found", "extra"),
    [({"a": 1, "b": 2}, 0), ({"a": 3, "b": 2, "c": 3}, 1), ({"b": 2, "c": 3}, 2)],
)
def test_settle_accepts_any_state_since_the_last_acknowledged_write(
    history: History, found: dict[str, Any], extra: int
) -> None:
    assert history.settle(found, KILLED_AT, 1_000, 1_000) == extra
    assert {key: kept.value for key, kept in history.base.items()} == found


@pytest.mark.parametrize(
    "found",
    [
        {},  # all was lost
        {"a": 1},  # one that was answered was lost
        {"a": 3, "b": 2},  # half a request of two keys
        {"a": 1, "b": 2, "c": 3},  # the other half
        {"a": "1", "b": 2},  # another value
        {"a": 1, "b": 2, "d": 4},  # a key that nobody set
    ],
)
def test_settle_rejects_any_other_state(history: History, found: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        history.settle(found, KILLED_AT, 1_000, 1_000)


def test_settle_rejects_an_expired_value(history: History) -> None:
    over = 110 + 5_000 + CLOCK_SLACK_MS + 1
    with pytest.raises(AssertionError):
        history.settle({"a": 1, "b": 2}, KILLED_AT, over, over)
    assert history.settle({"a": 1}, KILLED_AT, over, over) == 0


def test_settle_rejects_a_deleted_key_that_reappears(history: History) -> None:
    history.settle({"b": 2, "c": 3}, KILLED_AT, 1_000, 1_000)
    with pytest.raises(AssertionError):
        history.settle({"a": 3, "b": 2, "c": 3}, KILLED_AT, 1_000, 1_000)


def test_settle_rejects_the_loss_of_a_request_that_a_watcher_was_told_of(history: History) -> None:
    history.was_told({"a": 3, "b": 2})
    with pytest.raises(AssertionError):
        history.settle({"a": 1, "b": 2}, KILLED_AT, 1_000, 1_000)
    assert history.settle({"b": 2, "c": 3}, KILLED_AT, 1_000, 1_000) == 2
    assert history.told == 0


def test_a_value_that_was_never_sent_must_not_be_told(history: History) -> None:
    history.was_told({"a": 1})
    with pytest.raises(AssertionError):
        history.was_told({"a": 2})


def test_what_stands_is_all_but_what_may_have_expired(history: History) -> None:
    history.settle({"a": 1, "b": 2}, KILLED_AT, 1_000, 1_000)
    assert history.find_unknown({"a": 1, "b": 2}) == []
    assert history.find_unknown({"a": 1}) == [], "b expires"
    assert history.find_unknown({"b": 3, "c": 3}) == ["a", "b", "c"]
