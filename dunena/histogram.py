"""A histogram of durations, for the figures of `/stats` and `/metrics`."""

from bisect import bisect_left
from math import inf, sqrt

BOUNDS_MS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000)
"""Upper bounds of the buckets in ms."""


class Histogram:
    """Counts durations in ms by bucket, with their sum, sum of squares, minimum and maximum."""

    __slots__ = ("buckets", "count", "max_ms", "min_ms", "sum_ms", "sum_of_squares")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_MS) + 1)  # the last one is for all above
        self.count = 0
        self.sum_ms = 0.0
        self.sum_of_squares = 0.0  # ms²
        self.min_ms = inf
        self.max_ms = 0.0

    def add(self, duration_ms: float) -> None:
        """Count one duration in ms."""
        self.buckets[bisect_left(BOUNDS_MS, duration_ms)] += 1
        self.count += 1
        self.sum_ms += duration_ms
        self.sum_of_squares += duration_ms * duration_ms
        # Not min() and max(): one call would cost as much as the rest of the method.
        if duration_ms < self.min_ms:
            self.min_ms = duration_ms
        if duration_ms > self.max_ms:
            self.max_ms = duration_ms

    def quantile_ms(self, share: float) -> float:
        """Return the bucket bound in ms below which ``share`` (0 to 1) of the durations lies.

        Return 0 if no duration was counted.
        """
        wanted = share * self.count
        passed = 0
        for bound, count in zip(BOUNDS_MS, self.buckets, strict=False):
            passed += count
            if passed >= wanted:
                return min(bound, self.max_ms)
        return self.max_ms

    def summary(self) -> dict[str, float]:
        """Return the figures of `/stats` in ms, each also under the name in the original dunena."""
        mean = self.sum_ms / self.count if self.count else 0.0
        spread = self.sum_of_squares / self.count - mean * mean if self.count else 0.0
        p50, p95, p99 = (round(self.quantile_ms(share), 4) for share in (0.5, 0.95, 0.99))
        return {
            "count": self.count,
            "mean": round(mean, 4),
            "p50": p50,
            "p95": p95,
            "p99": p99,
            "min": round(self.min_ms, 4) if self.count else 0.0,
            "max": round(self.max_ms, 4),
            "stdDev": round(sqrt(max(0.0, spread)), 4),
            "meanMs": round(mean, 4),
            "p50Ms": p50,
            "p99Ms": p99,
            "maxMs": round(self.max_ms, 4),
        }
