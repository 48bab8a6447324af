"""Logarithmic axes: where they end, where they have marks, and how numbers stand on them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (1, 2, 5)
"""Marks of a decade, where there is room for more than one."""

DECADES_WITH_STEPS_MAX = 3
BINARY_UNITS = ((1 << 20, "MB"), (1 << 10, "KB"), (1, "B"))


@dataclass(frozen=True, slots=True)
class Axis:
    """From ``least`` to ``most``, with marks at ``ticks``."""

    least: float
    most: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value stands: 0 at the least, 1 at the most."""
        return math.log(value / self.least) / math.log(self.most / self.least)


def around(values: Sequence[float]) -> Axis:
    """An axis for these values, which are more than 0, that begins and ends at a mark."""
    least, most = _step_below(min(values)), _step_above(max(values))
    if least == most:
        most = _step_above(most * 1.01)
    steps = _steps(least, most)
    if math.log10(most / least) > DECADES_WITH_STEPS_MAX:
        tens = [step for step in steps if is_power_of_ten(step)]
        return Axis(least, most, tuple(tens))
    return Axis(least, most, tuple(steps))


def along(values: Sequence[float], *, is_bytes: bool = False) -> Axis:
    """An axis that begins and ends at the values' own ends, with marks at powers of 10.

    For sizes in bytes the marks are at powers of 16, which all of ours are near.
    """
    least, most = min(values), max(values)
    if least == most:
        return Axis(least / 2, most * 2, (least,))
    base = 16 if is_bytes else 10
    first = math.ceil(math.log(least, base) - 1e-9)
    last = math.floor(math.log(most, base) + 1e-9)
    return Axis(least, most, tuple(float(base**power) for power in range(first, last + 1)))


def label(value: float) -> str:
    """A number as it stands beside a mark."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def bytes_label(value: float) -> str:
    """A size as it stands beside a mark, in units of 1,024."""
    for size, unit in BINARY_UNITS:
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"


def is_power_of_ten(value: float) -> bool:
    """Whether it is 1, 10, 0.1 and so on, as far as a float can say."""
    power = math.log10(value)
    return math.isclose(power, round(power), abs_tol=1e-9)


def _steps(least: float, most: float) -> list[float]:
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    every = [_exact(step, power) for power in range(first, last + 1) for step in STEPS]
    return [step for step in every if least * 0.999 <= step <= most * 1.001]


def _step_below(value: float) -> float:
    power = math.floor(math.log10(value))
    below = [_exact(step, at) for at in (power - 1, power) for step in STEPS]
    return max(step for step in below if step <= value * 1.000001)


def _step_above(value: float) -> float:
    power = math.floor(math.log10(value))
    above = [_exact(step, at) for at in (power, power + 1) for step in STEPS]
    return min(step for step in above if step >= value * 0.999999)


def _exact(step: int, power: int) -> float:
    return step * 10.0**power if power >= 0 else step / 10.0**-power
