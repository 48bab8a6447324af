"""Python's search for garbage, kept away from a large folder's values."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Search for no garbage: a start makes many objects that all stay.

    Looking through them again and again would be a third of the time that reading takes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_for_good() -> None:
    """What there is now stays: it is not looked through in later searches, which hold up a loop."""
    gc.freeze()
