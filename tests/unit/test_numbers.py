"""Counting within a value: exact within 64 bits, and texts of integers stay texts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.errors import InvalidFieldError, OutOfRangeError, ValueKindError
from dunena.dialects.ops.missing import MISSING
from dunena.dialects.ops.numbers import check_number, incremented
from dunena.store.values import INTEGER_MAX, INTEGER_MIN

INTEGERS = st.integers(INTEGER_MIN, INTEGER_MAX) | st.integers(-9, 9)


def count(value: Any, by: float, lowest: float | None = None, highest: float | None = None) -> Any:
    return incremented(value, by, "votes", lowest, highest)


@pytest.mark.parametrize(
    ("value", "by", "result"),
    [
        (MISSING, 1, 1),
        (MISSING, -2.5, -2.5),
        (5, 1, 6),
        (5, 0.5, 5.5),
        (5.5, 1, 6.5),
        (-1, 1, 0),
        (INTEGER_MAX - 1, 1, INTEGER_MAX),
        (INTEGER_MIN + 1, -1, INTEGER_MIN),
        (INTEGER_MIN, INTEGER_MAX, 2**63 - 1),
        (2**53, 1, 2**53 + 1),
        (2**60, 1.0, 2**60 + 1),
        (5, 1e300, 1e300),
        ("5", 1, "6"),
        ("5", 1.0, "6"),
        ("0", -1, "-1"),
        ("-1", 1, "0"),
        (str(INTEGER_MAX - 1), 1, str(INTEGER_MAX)),
    ],
)
def test_the_sum_is_exact_and_of_the_kind_of_the_value(value: Any, by: float, result: Any) -> None:
    counted = count(value, by)
    assert counted == result
    assert type(counted) is type(result)


@pytest.mark.parametrize(
    ("value", "by"),
    [
        (INTEGER_MAX, 1),
        (INTEGER_MIN, -1),
        (INTEGER_MAX, 1.0),
        (1e308, 1e308),
        (-1e308, -1e308),
        (1.7e308, 1.7e308),
        (str(INTEGER_MAX), 1),
        (str(INTEGER_MIN), -1),
        ("99999999999999999999", 1),
        ("5", 1e300),
    ],
)
def test_a_sum_past_64_bits_or_any_float_is_out_of_range(value: Any, by: float) -> None:
    with pytest.raises(OutOfRangeError, match=r'^Out of range: "votes"$'):
        count(value, by)


@pytest.mark.parametrize(
    "value",
    ["007", "1.5", "+1", "-0", "00", "-", "", " 1", "1 ", "1\n", "\uff11", "1e3", "0x1", "1_0",
     "100000000000000000000", True, False, None, [], {}],
)  # fmt: skip
def test_what_is_no_number_and_no_integer_text_is_refused(value: Any) -> None:
    with pytest.raises(ValueKindError, match=r'^Not a number: "votes"$'):
        count(value, 1)


def test_a_fraction_is_not_added_to_a_text() -> None:
    with pytest.raises(ValueKindError, match=r'^Not a number: "votes"$'):
        count("5", 0.5)


@pytest.mark.parametrize(
    ("value", "by", "lowest", "highest", "permitted"),
    [
        (9, 1, None, 10, True),
        (10, 1, None, 10, False),
        (1, -1, 0, None, True),
        (0, -1, 0, None, False),
        (MISSING, 1, 2, None, False),
        ("9", 1, None, 10, True),
        ("10", 1, None, 10, False),
        (2**63, 1, None, 2**63, False),
        (0, 0.5, 0.5, 0.5, True),
        (0, 1, 5, 3, False),
    ],
)
def test_the_result_stays_between_min_and_max(
    value: Any, by: float, lowest: float | None, highest: float | None, permitted: bool
) -> None:
    if permitted:
        count(value, by, lowest, highest)
    else:
        with pytest.raises(OutOfRangeError):
            count(value, by, lowest, highest)


@pytest.mark.parametrize("value", [1, -1, 0, 1.5, INTEGER_MAX])
def test_numbers_are_taken_from_a_message_as_they_are(value: float) -> None:
    assert check_number(value, "By") is value


@pytest.mark.parametrize("value", [True, "1", None, [], {}])
def test_a_field_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidFieldError, match=r"^By must be a number$"):
        check_number(value, "By")


@given(INTEGERS, INTEGERS, st.booleans())
def test_integers_are_added_as_python_adds_them(value: int, by: int, is_text: bool) -> None:
    total = value + by
    start = str(value) if is_text else value
    if INTEGER_MIN <= total <= INTEGER_MAX:
        assert count(start, by) == (str(total) if is_text else total)
    else:
        with pytest.raises(OutOfRangeError):
            count(start, by)
