"""Durations counted by how long they took."""

from bisect import bisect_left

BOUNDS_MS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000)
"""Upper bounds of the buckets, ms."""


class Histogram:
    """Durations in ms, counted by bucket."""

    __slots__ = ("buckets", "count", "max_ms", "sum_ms")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_MS) + 1)  # the last one is for all above
        self.count = 0
        self.sum_ms = 0.0
        self.max_ms = 0.0

    def add(self, duration_ms: float) -> None:
        """Count one duration."""
        self.buckets[bisect_left(BOUNDS_MS, duration_ms)] += 1
        self.count += 1
        self.sum_ms += duration_ms
        self.max_ms = max(self.max_ms, duration_ms)

    def quantile_ms(self, share: float) -> float:
        """The bucket bound below which this share of the durations lies; 0 without any."""
        wanted = share * self.count
        passed = 0
        for bound, count in zip(BOUNDS_MS, self.buckets, strict=False):
            passed += count
            if passed >= wanted:
                return min(bound, self.max_ms)
        return self.max_ms

    def summary(self) -> dict[str, float]:
        """The figures of `/stats`."""
        return {
            "count": self.count,
            "meanMs": round(self.sum_ms / self.count, 4) if self.count else 0.0,
            "p50Ms": round(self.quantile_ms(0.5), 4),
            "p99Ms": round(self.quantile_ms(0.99), 4),
            "maxMs": round(self.max_ms, 4),
        }
