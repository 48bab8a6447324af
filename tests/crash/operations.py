"""Operations on the values of one writer's keys, and what they make of them.

Nobody else writes these keys, so what an operation leads to is known when it is sent.
"""

import random
from typing import Any

from tests.crash.history import State

KEYS_PER_KIND = 4
ELEMENTS_MAX = 5
STRIDE = 1_000_000  # between two numbers with which a tally begins, which grows by 1

KINDS = ("tally", "merged", "list")


class Operations:
    """A number that is incremented, an object that is merged into, a list that is appended to."""

    def __init__(self, prefix: str, chance: random.Random) -> None:
        self.keys = [f"{prefix} {kind} {n}" for kind in KINDS for n in range(KEYS_PER_KIND)]
        self._random = chance
        self._values: dict[str, Any] = {}

    def begin(self, base: State) -> None:
        """This is what stands."""
        self._values = {key: base[key].value for key in self.keys if key in base}

    def next(self, key: str, number: int) -> tuple[dict[str, Any], Any]:
        """An operation on a key, and the value after it; the number was in none before."""
        held, kind = self._values.get(key), key.split(" ")[-2]
        if kind == "tally" and isinstance(held, int):
            operation, value = {"op": "incr"}, held + 1
        elif kind == "merged" and isinstance(held, dict):
            patch = {"n": number, f"m{number % 5}": number}
            operation, value = {"op": "merge", "value": patch}, held | patch
        elif kind == "list" and isinstance(held, list):
            operation = {"op": "append", "value": number, "max": ELEMENTS_MAX}
            value = [*held, number][-ELEMENTS_MAX:]
        else:  # there is nothing, or what another hand left
            value = {"tally": number * STRIDE, "merged": {"n": number}, "list": [number]}[kind]
            operation = {"op": "set", "value": value}
        self._values[key] = value
        return {**operation, "key": key}, value

    def some(self, count: int) -> list[str]:
        """Different keys."""
        return self._random.sample(self.keys, count)


def number_of(value: Any) -> int | None:
    """A number that grows with each value that a writer gives a key; None of other hands' values.

    So who is told of a value with a lower number than before is told of an older one.
    """
    if isinstance(value, dict):
        return value["n"] if "n" in value else number_of(value["text"])
    if isinstance(value, list):
        return value[-1]
    if isinstance(value, str):
        first = value.partition(":")[0]
        return int(first) if first.isdecimal() else None
    return value
