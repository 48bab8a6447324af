"""Counting: a number in a value plus another, exact within 64 bits."""

import math
import re
from typing import Any

from dunena.dialects.errors import InvalidFieldError, OutOfRangeError, ValueKindError
from dunena.dialects.ops.missing import MISSING, MaybeValue
from dunena.store.values import INTEGER_MAX, INTEGER_MIN, JsonValue

_INTEGER_TEXT = re.compile(r"0|-?[1-9][0-9]{0,19}")


def check_number(value: Any, name: str) -> int | float:
    """Return a field of a message if it is a number; raise `InvalidFieldError` if not."""
    if type(value) not in (int, float):
        raise InvalidFieldError(f"{name} must be a number")
    number: int | float = value
    return number


def incremented(
    value: MaybeValue,
    by: float,
    key: str,
    lowest: float | None,
    highest: float | None,
) -> JsonValue:
    """Return ``value`` plus ``by``; a missing value counts as 0.

    A string that is an integer's text stays a string: the dunena dialect has no other values.
    Raise `ValueKindError` for anything else that is no number, and `OutOfRangeError` if the result
    is below ``lowest``, above ``highest``, past 64 bits or no finite number.
    """
    if value is MISSING:
        value = 0
    is_text = isinstance(value, str) and _INTEGER_TEXT.fullmatch(value) is not None
    if is_text:
        value = int(value)
    elif type(value) not in (int, float):
        raise ValueKindError("number", key)
    is_small = is_text or abs(by) <= INTEGER_MAX
    if type(value) is int and isinstance(by, float) and by.is_integer() and is_small:
        by = int(by)  # 1.0 is 1 in JSON, and a float would not be exact
    result = value + by
    if is_text and isinstance(result, float):
        raise ValueKindError("number", key)
    if isinstance(result, float):
        in_range = math.isfinite(result)
    else:
        in_range = INTEGER_MIN <= result <= INTEGER_MAX
    if (
        not in_range
        or (lowest is not None and result < lowest)
        or (highest is not None and result > highest)
    ):
        raise OutOfRangeError(key, lowest, highest)
    return str(result) if is_text else result
