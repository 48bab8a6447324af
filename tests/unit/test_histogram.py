"""Durations counted by bucket."""

from dunena.histogram import BOUNDS_MS, Histogram


def test_a_histogram_counts_durations_by_bucket() -> None:
    histogram = Histogram()
    for duration in (0.05, 0.06, 3.0, 5000.0):
        histogram.add(duration)
    assert histogram.buckets[0] == 1, "a bound belongs to its bucket"
    assert histogram.buckets[1] == 1
    assert histogram.buckets[BOUNDS_MS.index(5)] == 1
    assert histogram.buckets[-1] == 1
    mean = 5003.11 / 4
    squares = 0.05**2 + 0.06**2 + 3.0**2 + 5000.0**2
    assert histogram.summary() == {
        "count": 4,
        "mean": round(mean, 4),
        "p50": 0.1,
        "p95": 5000.0,
        "p99": 5000.0,
        "min": 0.05,
        "max": 5000.0,
        "stdDev": round((squares / 4 - mean**2) ** 0.5, 4),
        "meanMs": round(mean, 4),
        "p50Ms": 0.1,
        "p99Ms": 5000.0,
        "maxMs": 5000.0,
    }


def test_the_summary_of_an_empty_histogram_is_all_zero() -> None:
    assert set(Histogram().summary().values()) == {0}


def test_a_quantile_is_never_above_the_longest_duration() -> None:
    histogram = Histogram()
    histogram.add(0.07)
    assert histogram.quantile_ms(0.5) == 0.07


def test_equal_durations_have_a_standard_deviation_of_zero() -> None:
    histogram = Histogram()
    for _ in range(1000):
        histogram.add(0.1)  # whose square is no exact float
    assert histogram.summary()["stdDev"] == 0
