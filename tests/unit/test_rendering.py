"""The texts of a value and of its members, and when they change by themselves."""

from typing import Any

import orjson
import pytest

from dunena.server.limits import TEXT_MEMBERS_MAX
from dunena.server.text_files.rendering import Rendering, render
from dunena.store.limits import PARTIAL_BYTES_MAX

NOW = 1_700_000_000_000


def rendered(value: Any, now: int = NOW) -> Rendering:
    return render(orjson.dumps(value), now)


def timer(ms: float, rate: float = -1, *, running: bool = True, at: int = NOW) -> dict[str, Any]:
    return {"timer": {"at": at, "ms": ms, "rate": rate, "running": running}}


@pytest.mark.parametrize(
    ("value", "text"),
    [("on air", "on air"), (3, "3"), (None, "null"), (True, "true"), ([1, "a"], '[1,"a"]')],
)
def test_what_is_no_object_has_one_text(value: Any, text: str) -> None:
    assert rendered(value) == Rendering({None: text})


def test_each_member_of_an_object_has_a_text() -> None:
    value = {"name": "Ada", "score": 2, "home": {"score": 1}, "": "empty", "a.b": None}
    assert rendered(value).texts == {
        None: orjson.dumps(value).decode(),
        "name": "Ada",
        "score": "2",
        "home": '{"score":1}',
        "": "empty",
        "a.b": "null",
    }


def test_a_timer_shows_its_time_and_its_other_members() -> None:
    value = {**timer(300_000), "label": "Half"}
    assert rendered(value).texts == {None: "5:00", "timer": "5:00", "label": "Half"}
    assert rendered(value, NOW + 61_000).texts[None] == "3:59"


def test_a_timer_that_is_a_member_shows_its_time() -> None:
    shown = rendered({"clock": timer(90_000), "name": "Ada"})
    assert shown.texts["clock"] == "1:30"
    assert shown.changes_at == NOW + 1000


@pytest.mark.parametrize(
    ("value", "wait_ms"),
    [
        (timer(300_000), 1000),
        (timer(299_001), 1),
        (timer(299_000), 1000),
        (timer(1), 1),
        (timer(0), None),
        (timer(-5), None),
        (timer(0, 1), 1000),
        (timer(1500, 1), 500),
        (timer(300_000, -2), 1000),
        (timer(300_000, -0.5), 2000),
        (timer(0, 1e-300), 86_400_000),
        (timer(0, 0), None),
        (timer(300_000, running=False), None),
        ({"timer": {"running": True}}, None),
        ("running", None),
    ],
)
def test_a_text_changes_by_itself_when_a_timer_shows_another_second(
    value: Any, wait_ms: int | None
) -> None:
    changes_at = rendered(value).changes_at
    assert changes_at == (None if wait_ms is None else NOW + wait_ms)


@pytest.mark.parametrize("rate", [-1, 1, -0.7, 0.3])
def test_between_two_changes_the_text_stays_and_at_each_it_is_another(rate: float) -> None:
    value, now = timer(12_345, rate), NOW + 17
    for _ in range(10):
        shown = rendered(value, now)
        assert shown.changes_at is not None
        assert rendered(value, shown.changes_at - 2).texts == shown.texts  # rounding costs 1 ms
        assert rendered(value, shown.changes_at).texts != shown.texts
        now = shown.changes_at


def test_the_first_of_several_timers_counts() -> None:
    value = {"a": timer(300_000), "b": timer(299_400), "c": timer(1, running=False)}
    assert rendered(value).changes_at == NOW + 400


def test_only_so_many_members_have_a_text() -> None:
    shown = rendered({f"m{number}": number for number in range(TEXT_MEMBERS_MAX + 1)})
    assert len(shown.texts) == TEXT_MEMBERS_MAX + 1
    assert shown.fault.startswith("more than 100 members")
    assert rendered({f"m{number}": 1 for number in range(TEXT_MEMBERS_MAX)}).fault == ""


def test_the_members_of_a_large_object_have_no_text() -> None:
    shown = rendered({"a": "x" * PARTIAL_BYTES_MAX})
    assert shown.texts.keys() == {None}
    assert "so its members have none" in shown.fault
