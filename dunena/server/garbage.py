"""Collecting garbage at times that delay few requests.

Python frees nearly everything as soon as nothing refers to it. Its collector only finds what refers
to itself in a circle, such as the objects of a closed connection. It looks through new objects
often, which takes some 0.1 ms, and every twelfth time once more through all that stayed since the
last such time, which takes some ms: here that is done every fourth time.
Now and then it also looks through all objects: of a store with 100,000 keys for 0.2 s, during which
nobody is answered. Python does that for each quarter of new objects. As values are in no circles,
it is done here for closed connections, or for very many new objects: of some while no requests
come, and of far more at any time.
"""

import gc
import sys
from collections.abc import Callable

CLOSED_MIN = 100
"""Closed connections from which on everything is looked through at the next quiet moment."""

CLOSED_MAX = 10_000
"""The same at any moment: what these leave behind is some 50 MB at most."""

MIDDLE_THRESHOLD = 2
"""Looks at new objects above which those that stayed are looked through once more."""

LOOKS_MIN = 300
LOOKS_MAX = 6000
"""The same in looks at those that stayed: each is for some 3,000 more of them."""

_NEVER = 2**31 - 1


class GarbageCollection:
    """Decides when to look through all objects; the process should have nothing else to do.

    ``closed_count`` returns how many connections have closed so far, ``requests_count`` how many
    requests there were, ``looks_count`` how often new objects were looked through since the last
    time that all were.
    """

    def __init__(
        self,
        closed_count: Callable[[], int],
        requests_count: Callable[[], int],
        looks_count: Callable[[], int] = lambda: gc.get_count()[2],
    ) -> None:
        self._closed_count = closed_count
        self._requests_count = requests_count
        self._looks_count = looks_count
        self._closed = closed_count()  # at the last collection
        self._requests = requests_count()  # at the last call
        young, middle, _ = gc.get_threshold()
        if sys.version_info < (3, 14):  # later it is the part of all objects that is not looked at
            middle = min(middle, MIDDLE_THRESHOLD)
        gc.set_threshold(young, middle, _NEVER)

    def collect_if_due(self) -> None:
        """Look through all objects if it is time to; to be called about once a second."""
        before, self._requests = self._requests, self._requests_count()
        is_quiet = self._requests == before
        closed = self._closed_count() - self._closed
        is_due = closed >= (CLOSED_MIN if is_quiet else CLOSED_MAX)
        if is_due or self._looks_count() >= (LOOKS_MIN if is_quiet else LOOKS_MAX):
            self._closed += closed
            gc.collect()
