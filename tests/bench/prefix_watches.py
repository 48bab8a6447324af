"""What a change costs more where many prefixes are watched: CPU time of the store alone.

    python tests/bench/prefix_watches.py [--prefixes N] [--keys N] [--changes N] [--rounds N]

No watch is told of a change, except in the last row: what is measured is finding that out. The rows
take turns, in another order each time; what a row costs more is the median of its differences from
the first one.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from dunena.dialects.messages import WatchUpdates, object_store_updates
from dunena.hub import Batch, Subscriber, Topic
from dunena.store.entry import Change
from dunena.store.store import Store
from dunena.watches.selector import Selector
from dunena.watches.watch_table import FeedId, WatchTable

KEY_LENGTH = 40


class CountingFollower(Subscriber):
    """A subscriber that drops what it is told, and counts it."""

    def __init__(self) -> None:
        self.told = 0

    def push(self, _batch: Batch) -> None:
        self.told += 1


class WatchedStore:
    """A store of which some prefixes are watched."""

    def __init__(self, prefixes: Sequence[str]) -> None:
        self.store = Store()
        self.follower = CountingFollower()
        self._opened: list[Topic] = []
        self._table = WatchTable()
        self._table.attach(self.store, self._opened)
        self.store.observe(self._changed)
        for prefix in prefixes:
            selector = Selector("", pattern=f"{prefix}*")
            self._table.follow(
                FeedId(selector, object_store_updates),
                _form_of(selector, self._table),
                None,
                self.follower,
            )

    def change(self, count: int, key_count: int) -> float:
        """Set keys in turn; return the CPU time of each change in us."""
        keys = [f"key-{number:06}".ljust(KEY_LENGTH, "-") for number in range(key_count)]
        begun = time.process_time()
        for number in range(count):
            self.store.set("", keys[number % key_count], b'"x"')
        return (time.process_time() - begun) / count * 1e6

    def _changed(self, change: Change) -> None:
        # As at the end of a tick with one change.
        if self._table.feed_count:
            self._table.changed(change, 0)
            for topic in self._opened:
                topic.end_batch()
            self._opened.clear()


def rows(count: int) -> dict[str, list[str]]:
    """Return what is watched in each row, for a number of prefixes."""
    other = [f"other-{number:06}" for number in range(count)]
    lengths = range(len(other[0]), KEY_LENGTH + 1)
    others = [
        text.ljust(length, "-")
        for text, length in zip(other, itertools.cycle(lengths), strict=False)
    ]
    return {
        "no watch": [],
        "one prefix": other[:1],
        f"{count:,} prefixes of one length": other,
        f"{count:,} prefixes of {len(lengths)} lengths": others,
        f"{count:,} prefixes, each change told to one": [
            f"key-{number:06}" for number in range(count)
        ],
    }


def _form_of(selector: Selector, table: WatchTable) -> Callable[[], WatchUpdates]:
    return lambda: object_store_updates(selector, "epoch", table.parts)


def measure(prefixes: int, keys: int, changes: int, rounds: int) -> dict[str, list[float]]:
    """Return the CPU time of a change in us, of each row and round."""
    watched = {name: WatchedStore(watches) for name, watches in rows(prefixes).items()}
    names = list(watched)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(watched[name].change(changes, keys))
    return times


def main(arguments: Sequence[str]) -> None:
    """Measure all, print the table."""
    options = argparse.ArgumentParser(prog="prefix_watches.py", description=__doc__)
    options.add_argument("--prefixes", type=int, default=1000)
    options.add_argument("--keys", type=int, default=1000)
    options.add_argument("--changes", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args(arguments)
    times = measure(given.prefixes, given.keys, given.changes, given.rounds)
    nothing = next(iter(times.values()))
    sys.stdout.write("| watched | CPU us a change | more than no watch |\n| --- | ---: | ---: |\n")
    for name, own in times.items():
        more = statistics.median(one - other for one, other in zip(own, nothing, strict=True))
        sys.stdout.write(f"| {name} | {statistics.median(own):.2f} | {more:.2f} |\n")


if __name__ == "__main__":
    main(sys.argv[1:])
