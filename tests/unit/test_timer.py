"""Timers: what each action makes of each state, and what a timer shows."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.errors import InvalidFieldError, OutOfRangeError, ValueKindError
from dunena.dialects.ops.missing import MISSING
from dunena.dialects.ops.timer import (
    ACTIONS,
    MS_MAX,
    changed_timer,
    check_timer_change,
    is_timer,
    shown_ms,
)

AT = 1_710_000_000_000
NOW = AT + 1_000


def timer(ms: float, rate: float, running: bool, at: float = AT) -> dict[str, Any]:
    return {"timer": {"at": at, "ms": ms, "rate": rate, "running": running}}


def change(value: Any, do: str, ms: Any = None, rate: Any = None, now: int = NOW) -> Any:
    change = check_timer_change(do, ms, rate)
    return changed_timer(copy.deepcopy(value), change, now, "clock")


STOPPED = timer(5_000, -1, False)
RUNNING = timer(5_000, -1, True)


@pytest.mark.parametrize(
    ("value", "do", "fields", "result"),
    [
        (STOPPED, "start", {}, timer(5_000, -1, True, NOW)),
        (RUNNING, "start", {}, RUNNING),
        (STOPPED, "stop", {}, STOPPED),
        (RUNNING, "stop", {}, timer(4_000, -1, False, NOW)),
        (STOPPED, "toggle", {}, timer(5_000, -1, True, NOW)),
        (RUNNING, "toggle", {}, timer(4_000, -1, False, NOW)),
        (STOPPED, "set", {"ms": 9_000}, timer(9_000, -1, False, NOW)),
        (RUNNING, "set", {"ms": 9_000}, timer(9_000, -1, True, NOW)),
        (RUNNING, "set", {"rate": 1}, timer(4_000, 1, True, NOW)),
        (STOPPED, "add", {"ms": 500}, timer(5_500, -1, False, NOW)),
        (RUNNING, "add", {"ms": -500}, timer(3_500, -1, True, NOW)),
        (STOPPED, "start", {"ms": 9_000, "rate": 1}, timer(9_000, 1, True, NOW)),
        (RUNNING, "start", {"rate": 2}, timer(4_000, 2, True, NOW)),
        (STOPPED, "stop", {"ms": 0}, timer(0, -1, False, NOW)),
    ],
)
def test_each_action_in_each_state(value: Any, do: str, fields: Any, result: Any) -> None:
    assert change(value, do, **fields) == result


@pytest.mark.parametrize(
    ("do", "fields", "result"),
    [
        ("start", {}, timer(0, 1, True, NOW)),
        ("stop", {}, timer(0, 1, False, NOW)),
        ("toggle", {}, timer(0, 1, True, NOW)),
        ("set", {"ms": 300_000, "rate": -1}, timer(300_000, -1, False, NOW)),
        ("add", {"ms": 10}, timer(10, 1, False, NOW)),
    ],
)
def test_a_missing_timer_is_a_stopped_one_at_0(do: str, fields: Any, result: Any) -> None:
    assert change(MISSING, do, **fields) == result


def test_a_countdown_stops_at_0() -> None:
    late = NOW + 60_000
    assert shown_ms(RUNNING["timer"], late) == 0
    assert change(RUNNING, "stop", now=late) == timer(0, -1, False, late)
    assert change(RUNNING, "add", 1_000, now=late) == timer(1_000, -1, True, late)
    assert change(STOPPED, "add", -9_000) == timer(0, -1, False, NOW)


def test_a_timer_that_counts_up_may_be_below_0() -> None:
    assert change(timer(-5_000, 1, True), "stop") == timer(-4_000, 1, False, NOW)


def test_other_members_stay() -> None:
    value = {"title": "Break", "timer": {**STOPPED["timer"], "colour": "red"}, "n": [1]}
    changed = change(value, "start")
    assert changed == {
        "title": "Break",
        "timer": {**timer(5_000, -1, True, NOW)["timer"], "colour": "red"},
        "n": [1],
    }
    assert list(changed) == list(value)


def test_a_fractional_rate_is_rounded_to_whole_ms() -> None:
    stopped = change(timer(0, 0.3333, True), "stop")
    assert stopped == timer(333, 0.3333, False, NOW)
    assert type(stopped["timer"]["ms"]) is int


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "text",
        [],
        {},
        {"timer": 5},
        {"timer": None},
        *({"timer": {**STOPPED["timer"], name: None}} for name in STOPPED["timer"]),
        {"timer": {**STOPPED["timer"], "ms": True}},
        {"timer": {**STOPPED["timer"], "running": 1}},
    ],
)
def test_what_is_no_timer_is_refused(value: Any) -> None:
    assert not is_timer(value)
    with pytest.raises(ValueKindError, match=r'^Not a timer: "clock"$'):
        change(value, "start")


@pytest.mark.parametrize(
    ("value", "do", "ms"),
    [
        (timer(MS_MAX, 1, False), "add", 1),
        (timer(-MS_MAX, 1, False), "add", -1),
        (timer(0, 1e308, True, -1e308), "stop", None),
        (timer(0, -1e308, True, 1e308), "stop", None),
        (timer(2**64 - 1, 2**64 - 1, True, -(2**63)), "stop", None),
    ],
)
def test_a_timer_past_what_clients_read_exactly_is_out_of_range(
    value: Any, do: str, ms: Any
) -> None:
    with pytest.raises(OutOfRangeError, match=r'^Out of range: "clock"$'):
        change(value, do, ms)


def test_a_timer_out_of_range_can_be_set_again() -> None:
    assert change(timer(1e300, 1, False), "set", 5) == timer(5, 1, False, NOW)


@pytest.mark.parametrize("action", [None, "", "Start", "reset", 1, ["start"], {}])
def test_an_unknown_action_is_refused(action: Any) -> None:
    with pytest.raises(
        InvalidFieldError, match=r"^Do must be one of: start, stop, toggle, set, add$"
    ):
        check_timer_change(action, 1, 1)


@pytest.mark.parametrize("number", [True, "1", [], {}, MS_MAX + 1, -MS_MAX - 1, 1e300])
@pytest.mark.parametrize("name", ["Ms", "Rate"])
def test_a_field_that_is_no_number_is_refused(name: str, number: Any) -> None:
    ms, rate = (number, 1) if name == "Ms" else (1, number)
    with pytest.raises(
        InvalidFieldError, match=rf"^{name} must be a number from -{MS_MAX} to {MS_MAX}$"
    ):
        check_timer_change("set", ms, rate)


def test_add_needs_ms() -> None:
    with pytest.raises(InvalidFieldError, match=r"^Missing field: ms$"):
        check_timer_change("add", None, 1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (timer(5_000, -1, False), 5_000),
        (timer(5_000, -1, True), 4_000),
        (timer(5_000, 1, True), 6_000),
        (timer(5_000, 0.5, True), 5_500),
        (timer(500, -1, True), 0),
        (timer(-5, -1, False), 0),
        (timer(-5, 1, False), -5),
        (timer(5_000, 0, True), 5_000),
    ],
)
def test_what_a_timer_shows(value: Any, shown: float) -> None:
    assert shown_ms(value["timer"], NOW) == shown


STEPS = st.lists(
    st.tuples(st.sampled_from(["start", "stop", "toggle"]), st.integers(0, 10_000)), max_size=9
)


@given(st.integers(0, 20_000), st.sampled_from([-2, -1, 0, 1, 3]), STEPS)
def test_starting_and_stopping_never_change_what_is_shown_at_that_moment(
    ms: int, rate: int, steps: list[tuple[str, int]]
) -> None:
    value, now = timer(ms, rate, False), AT
    for do, passed in steps:
        now += passed
        before = shown_ms(value["timer"], now)
        value = change(value, do, now=now)
        assert shown_ms(value["timer"], now) == before


FIELDS = st.none() | st.integers(-MS_MAX, MS_MAX) | st.floats(-1e15, 1e15)


@given(
    st.sampled_from(ACTIONS),
    FIELDS,
    FIELDS,
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_timer_comes_to_a_timer_or_is_refused(
    do: str, ms: Any, rate: Any, at: float, old_ms: float, old_rate: float
) -> None:
    if do == "add" and ms is None:
        ms = 1
    old = timer(old_ms, old_rate, True, at)
    try:
        value = change(old, do, ms, rate)
    except OutOfRangeError:
        return
    assert is_timer(value)
    assert value == old or abs(value["timer"]["ms"]) <= MS_MAX
