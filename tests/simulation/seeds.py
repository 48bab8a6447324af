"""The seeds of the histories that a test plays."""

import os
from collections.abc import Iterable


def seeds_of(variable: str, count: int, part: int, parts: int) -> Iterable[int]:
    """Return one of so many parts of ``count`` seeds, which processes share among them.

    If an environment variable of the name has a seed, the first part is this one alone.
    """
    only = os.environ.get(variable)
    if only is not None:
        return [int(only)] if part == 0 else []
    return range(part, count, parts)


def seeds_from(first: int, count: int) -> Iterable[int]:
    """Return ``count`` seeds, from this one on and then those before it."""
    return (*range(first, count), *range(first))
