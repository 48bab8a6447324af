"""The seeds of the histories that a test plays."""

import os
from collections.abc import Iterable


def seeds_of(
    variable: str, count: int, part: int, parts: int, others: Iterable[int] = ()
) -> Iterable[int]:
    """Return one of so many parts of ``count`` seeds, which processes share among them.

    ``others`` are such as have shown a fault that few do, and are played beside those. If an
    environment variable of the name has a seed, the first part is this one alone.
    """
    only = os.environ.get(variable)
    if only is not None:
        return [int(only)] if part == 0 else []
    return sorted({*range(count), *others})[part::parts]


def seeds_from(first: int, count: int) -> Iterable[int]:
    """Return ``count`` seeds, from this one on and then those before it."""
    return (*range(first, count), *range(first))
