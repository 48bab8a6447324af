"""Appending to a list in a value."""

from typing import Any

from dunena.dialects.errors import InvalidFieldError, ValueKindError
from dunena.dialects.ops.missing import MISSING, MaybeValue
from dunena.store.values import JsonValue


def check_count(value: Any, name: str) -> int:
    """Return a field of a message if it is a positive integer; raise `InvalidFieldError` if not."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 1:
        raise InvalidFieldError(f"{name} must be a positive integer")
    return value


def appended(
    value: MaybeValue, items: list[JsonValue], count_max: int | None, key: str
) -> list[JsonValue]:
    """Return the list with items at its end, which is changed in place; a missing one is empty.

    Only the newest ``count_max`` items stay, None for all. Raise `ValueKindError` for a value that
    is no list.
    """
    if value is MISSING:
        value = []
    if not isinstance(value, list):
        raise ValueKindError("list", key)
    value.extend(items)
    if count_max is not None:
        del value[:-count_max]  # in place: a copy of a long list would take longer
    return value
