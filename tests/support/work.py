"""Bulk work, done in one go."""

from typing import TypeVar

from dunena.dialects.key_search import Work

Result = TypeVar("Result")


def outcome(work: Work[Result]) -> Result:
    """What it comes to."""
    return portions_of(work)[1]


def portions_of(work: Work[Result]) -> tuple[int, Result]:
    """In how many turns, and what it comes to."""
    turns = 1
    while True:
        try:
            next(work)
        except StopIteration as end:
            return turns, end.value
        turns += 1
