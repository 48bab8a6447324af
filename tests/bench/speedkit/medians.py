"""Figures out of rounds: medians and ranges, and ratios between contenders of the same round."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .workloads import Figure, Result


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds came to: the middle one, the least and the most."""

    middle: float
    least: float
    most: float

    @property
    def is_single(self) -> bool:
        """Whether there is nothing between least and most."""
        return self.least == self.most


def spread_of(values: Sequence[float]) -> Spread | None:
    """None without values."""
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values))


def spread(results: Sequence[Result], figure: Figure) -> Spread | None:
    """Of all rounds, in the figure's unit; None without rounds."""
    values = [value for result in results if (value := result.get(figure.field)) is not None]
    return spread_of([value / figure.divisor for value in values])


def ratios(results: Sequence[Result], reference: Sequence[Result], figure: Figure) -> Spread | None:
    """One contender's figure over another's, round by round.

    Rounds are compared in pairs because a busy machine slows both of one round. None when either
    has no rounds, or the reference is nothing at all.
    """
    pairs = [
        (own[figure.field], other[figure.field])
        for own, other in zip(results, reference, strict=False)
        if figure.field in own and other.get(figure.field)
    ]
    return spread_of([own / other for own, other in pairs])


def median(results: Sequence[Result], figure: Figure) -> float | None:
    """The middle of all rounds, in the figure's unit; None without rounds."""
    found = spread(results, figure)
    return found.middle if found else None


def ratio(results: Sequence[Result], reference: Sequence[Result], figure: Figure) -> float | None:
    """The middle of `ratios`."""
    found = ratios(results, reference, figure)
    return found.middle if found else None
