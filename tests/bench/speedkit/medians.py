"""Figures out of rounds: medians, and ratios between contenders of the same round."""

import statistics
from collections.abc import Sequence

from .workloads import Figure, Result


def median(results: Sequence[Result], figure: Figure) -> float | None:
    """The middle of all rounds, in the figure's unit; None without rounds."""
    values = [value for result in results if (value := result.get(figure.field)) is not None]
    return statistics.median(values) / figure.divisor if values else None


def ratio(results: Sequence[Result], reference: Sequence[Result], figure: Figure) -> float | None:
    """The median of one contender's figure over another's, round by round.

    Rounds are compared in pairs because a busy machine slows both of one round. None when either
    has no rounds, or the reference is nothing at all.
    """
    pairs = [
        (own[figure.field], other[figure.field])
        for own, other in zip(results, reference, strict=False)
        if figure.field in own and other.get(figure.field)
    ]
    return statistics.median(own / other for own, other in pairs) if pairs else None
