"""What the measurements of a soak must show: no growth, and no slowing down."""

from collections.abc import Sequence
from typing import Any

GROWTH_BYTES_MAX = 24 * 1024 * 1024
DESCRIPTORS_MAX = 8
SLOWER_TIMES_MAX, SLOWER_SECONDS_MAX = 3, 0.01
"""Of the median of the rounds' 99th percentiles: a busy machine shows in single rounds."""

ROUNDS_MIN = 10


def assert_steady(rows: Sequence[dict[str, Any]]) -> None:
    """Compare the last third with the first, after a time to warm up.

    A row has resident ``bytes``, open ``fds`` and ``p99``, the 99th percentile in seconds. The
    least of a third counts for memory and files: what was let go of later was no leak.
    """
    steady = rows[max(5, len(rows) // 5) :]
    assert len(steady) >= ROUNDS_MIN, "too short to tell"
    third = len(steady) // 3
    before, after = steady[:third], steady[-third:]
    assert _least(after, "bytes") - _least(before, "bytes") < GROWTH_BYTES_MAX, "memory grew"
    assert _least(after, "fds") - _least(before, "fds") < DESCRIPTORS_MAX, "files stay open"
    slowest = SLOWER_TIMES_MAX * _median(before) + SLOWER_SECONDS_MAX
    assert _median(after) < slowest, "it became slower"


def _least(rows: Sequence[dict[str, Any]], name: str) -> int:
    return min(int(row[name]) for row in rows)


def _median(rows: Sequence[dict[str, Any]]) -> float:
    return sorted(float(row["p99"]) for row in rows)[len(rows) // 2]
