"""Timers: a value that says what a clock shows at any time, so that a running one needs no writes.

Rule (the contract, "Time"): ``{"timer": {"at", "ms", "rate", "running"}}`` shows ``ms`` while it is
stopped, and ``ms + rate * (now - at)`` while it runs; one that counts down stops at 0.
"""

import math
from dataclasses import dataclass
from typing import Any

from dunena.dialects.errors import InvalidFieldError, OutOfRangeError, ValueKindError
from dunena.dialects.ops.missing import MISSING, MaybeValue
from dunena.store.values import JsonValue

ACTIONS = ("start", "stop", "toggle", "set", "add")

MS_MAX = 2**53
"""Longest time that a timer shows, in ms: every client reads such integers exactly."""

DEFAULT_RATE = 1
"""A timer that nobody gave a rate counts up, as a stopwatch does."""


@dataclass(frozen=True, slots=True)
class TimerChange:
    """What the op `timer` asks for: one of `ACTIONS`, and its ``ms`` and ``rate`` if given."""

    action: str
    ms: int | float | None
    rate: int | float | None


def check_timer_change(action: Any, ms: Any, rate: Any) -> TimerChange:
    """Make a `TimerChange` of the fields of a message; raise `InvalidFieldError` for wrong ones."""
    if action not in ACTIONS:
        raise InvalidFieldError(f"Do must be one of: {', '.join(ACTIONS)}")
    for name, value in (("Ms", ms), ("Rate", rate)):
        if value is not None and (type(value) not in (int, float) or abs(value) > MS_MAX):
            raise InvalidFieldError(f"{name} must be a number from {-MS_MAX} to {MS_MAX}")
    if ms is None and action == "add":
        raise InvalidFieldError("Missing field: ms")
    return TimerChange(action, ms, rate)


def changed_timer(value: MaybeValue, change: TimerChange, now: int, key: str) -> JsonValue:
    """Return the value with its timer changed at ``now`` (Unix ms); the value may be changed.

    A missing value becomes a stopped timer at 0 first; other members of the value stay. `set`
    takes ``ms`` and ``rate`` and leaves the timer running or stopped; `start` and `stop` alone do
    not change one that runs or stands already. A change rounds what is shown to whole ms. Raise
    `ValueKindError` if the value has no timer, and `OutOfRangeError` if it would show more than
    `MS_MAX`.
    """
    if value is MISSING:
        value = {"timer": {"at": now, "ms": 0, "rate": DEFAULT_RATE, "running": False}}
    if not is_timer(value):
        raise ValueKindError("timer", key)
    timer = value["timer"]
    rate = timer["rate"] if change.rate is None else change.rate
    ms = shown_ms(timer, now)
    running = timer["running"]
    if change.action == "add":
        assert change.ms is not None
        ms += change.ms
    elif change.ms is not None:
        ms = change.ms
    if change.action in ("start", "stop"):
        if running == (change.action == "start") and change.ms is None and change.rate is None:
            return value
        running = change.action == "start"
    elif change.action == "toggle":
        running = not running
    ms = max(ms, 0) if rate < 0 else ms
    if abs(ms) > MS_MAX:
        raise OutOfRangeError(key)
    value["timer"] = timer | {"at": now, "ms": round(ms), "rate": rate, "running": running}
    return value


def is_timer(value: JsonValue) -> bool:
    """Return whether a value is an object with a complete timer."""
    timer = value.get("timer") if isinstance(value, dict) else None
    return (
        isinstance(timer, dict)
        and all(type(timer.get(name)) in (int, float) for name in ("at", "ms", "rate"))
        and type(timer.get("running")) is bool
        and math.isfinite(timer["rate"] * 1.0)
    )


def shown_ms(timer: dict[str, Any], now: int) -> int | float:
    """Return the ms that a timer shows at ``now`` (Unix ms)."""
    ms: int | float = timer["ms"]
    if timer["running"]:
        ms += timer["rate"] * (now - timer["at"])
    return max(ms, 0) if timer["rate"] < 0 else ms
