"""dunena/server/garbage.py: when everything is looked through for garbage."""

import gc
import sys

import pytest

from dunena.server.garbage import (
    CLOSED_MAX,
    CLOSED_MIN,
    LOOKS_MAX,
    LOOKS_MIN,
    MIDDLE_THRESHOLD,
    GarbageCollection,
)


class Server:
    """The counters that a collection asks for."""

    def __init__(self):
        self.closed = 7
        self.requests = 50
        self.looks = 0
        self.collection = GarbageCollection(
            lambda: self.closed, lambda: self.requests, lambda: self.looks
        )

    def collections_after(self, *, closed=0, requests=0, looks=0):
        """Count the collections of everything after so many more of each."""
        self.closed += closed
        self.requests += requests
        self.looks = looks
        before = gc.get_stats()[2]["collections"]
        self.collection.collect_if_due()
        return gc.get_stats()[2]["collections"] - before


@pytest.fixture
def server():
    thresholds = gc.get_threshold()
    try:
        yield Server()
    finally:
        gc.set_threshold(*thresholds)


def test_full_collections_are_not_made_automatically(server):
    young, middle, _ = gc.get_threshold()
    assert (young, middle) != (0, 0)
    assert gc.isenabled()
    assert gc.get_threshold()[2] > 1_000_000


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there a look has another extent")
def test_few_looks_are_made_before_what_stayed_is_looked_at_again(server):
    young, middle, _ = gc.get_threshold()
    assert middle == MIDDLE_THRESHOLD
    gc.collect()
    stay = [[] for _ in range(4 * (middle + 2) * (young + 1))]
    assert gc.get_count()[2] >= 4
    assert all(isinstance(one, list) for one in stay)


def test_nothing_is_collected_while_connections_stay(server):
    assert server.collections_after() == 0
    assert server.collections_after(requests=1000) == 0


def test_some_closed_connections_wait_for_a_quiet_moment(server):
    assert server.collections_after(closed=CLOSED_MIN - 1) == 0
    assert server.collections_after(closed=1, requests=1) == 0
    assert server.collections_after() == 1
    assert server.collections_after() == 0


def test_very_many_closed_connections_do_not_wait(server):
    assert server.collections_after(closed=CLOSED_MAX - 1, requests=1) == 0
    assert server.collections_after(closed=1, requests=1) == 1
    assert server.collections_after(closed=1, requests=1) == 0


def test_many_new_objects_wait_for_a_quiet_moment(server):
    assert server.collections_after(looks=LOOKS_MIN - 1) == 0
    assert server.collections_after(looks=LOOKS_MIN, requests=1) == 0
    assert server.collections_after(looks=LOOKS_MIN) == 1


def test_very_many_new_objects_do_not_wait(server):
    assert server.collections_after(looks=LOOKS_MAX - 1, requests=1) == 0
    assert server.collections_after(looks=LOOKS_MAX, requests=1) == 1


def test_what_refers_to_itself_is_freed(server):
    class Circle:
        freed = 0

        def __init__(self):
            self.itself = self

        def __del__(self):
            Circle.freed += 1

    Circle()
    gc.collect(1)  # it lasts no longer than that
    circle = Circle()
    gc.collect(1)
    gc.collect(1)
    del circle
    assert server.collections_after(closed=CLOSED_MIN) == 1
    assert Circle.freed == 2
