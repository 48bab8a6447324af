"""Excluding the values of a large folder from Python's garbage collection."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Turn garbage collection off: a start makes many objects, all of which stay.

    Scanning them again and again would take a third of the time of reading.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_for_good() -> None:
    """Exclude all present objects from later collections, which block the event loop."""
    gc.freeze()
