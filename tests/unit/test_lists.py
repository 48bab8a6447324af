"""Appending to a list within a value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.errors import InvalidFieldError, ValueKindError
from dunena.dialects.ops.lists import appended, check_count
from dunena.dialects.ops.missing import MISSING


@pytest.mark.parametrize(
    ("value", "items", "count_max", "result"),
    [
        (MISSING, [1], None, [1]),
        (MISSING, [], None, []),
        ([1], [2, 3], None, [1, 2, 3]),
        ([1], [[2]], None, [1, [2]]),
        ([1, 2], [3], 2, [2, 3]),
        ([1, 2], [3], 3, [1, 2, 3]),
        ([1], [2, 3, 4], 1, [4]),
        ([1, 2, 3], [], 2, [2, 3]),
        ([1], [2], 2**64, [1, 2]),
    ],
)
def test_items_come_to_the_end_and_the_newest_stay(
    value: Any, items: list[Any], count_max: int | None, result: list[Any]
) -> None:
    assert appended(value, items, count_max, "chat") == result


@pytest.mark.parametrize("value", [None, True, 1, "text", {}, {"0": 1}])
def test_what_is_no_list_is_refused(value: Any) -> None:
    with pytest.raises(ValueKindError, match=r'^Not a list: "chat"$'):
        appended(value, [1], None, "chat")


@given(st.lists(st.integers()), st.lists(st.integers()), st.integers(1, 9))
def test_the_list_is_the_end_of_all_that_was_appended(
    value: list[int], items: list[int], count_max: int
) -> None:
    assert appended(list(value), items, count_max, "chat") == (value + items)[-count_max:]


def test_the_items_are_not_changed_by_a_later_append() -> None:
    items: list[Any] = [1]
    appended(appended(MISSING, items, None, "chat"), [2], None, "chat")
    assert items == [1]


@pytest.mark.parametrize(("value", "count"), [(1, 1), (50, 50), (2.0, 2)])
def test_a_positive_integer_is_a_count(value: float, count: int) -> None:
    assert check_count(value, "Max") == count


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1", None, []])
def test_anything_else_is_no_count(value: Any) -> None:
    with pytest.raises(InvalidFieldError, match=r"^Max must be a positive integer$"):
        check_count(value, "Max")
