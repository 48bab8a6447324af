"""Marks for values that are missing, which null is not, and for values that are not decoded."""

from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as JSON, which need not be decoded."""

    text: bytes


class Mark(Enum):
    """The type of `MISSING` and `PRESENT`."""

    MISSING = "missing"
    PRESENT = "present"


MISSING = Mark.MISSING
"""Stands for a key, or a part of a value, that does not exist."""

PRESENT = Mark.PRESENT
"""Stands for a value that exists and need not be decoded."""

MaybeValue = Any
"""A `JsonValue`, `MISSING`, `PRESENT` or an `Encoded`."""
