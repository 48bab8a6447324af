"""The answer of `/metrics`: every figure in Prometheus' text format.

The figures are read at once, by the event loop. A worker thread makes the text of them, as it takes
some ms, and the first time 50 ms more to import the library for it.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from dunena import __version__
from dunena.histogram import BOUNDS_MS, Histogram
from dunena.server.http.message import Prepared, Response
from dunena.server.status.figures import (
    FIGURES,
    SYNCS,
    TICKS,
    Figures,
    Times,
    messages_by_type,
)

if TYPE_CHECKING:
    from prometheus_client.metrics_core import (
        HistogramMetricFamily,
        Metric,
    )

QUANTILES = (0.5, 0.95, 0.99)


class Durations(NamedTuple):
    """What a histogram has at one time, in ms."""

    buckets: list[int]
    total: int
    sum_ms: float
    quantiles_ms: list[float]


class MetricValues(NamedTuple):
    """All figures at one time: ``values`` are those of `FIGURES`."""

    values: list[float]
    messages: dict[tuple[str, str], int]
    ticks: Durations
    syncs: Durations


class Metrics:
    """Formats the figures of one server for Prometheus; ``now`` is in Unix ms."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def respond(self, now: int) -> Response:
        """Answer ``GET /metrics`` with the figures of server, process and Python."""
        return Response(200, later=partial(_prepare, self._read(now)))

    def _read(self, now: int) -> MetricValues:
        at = self._figures.at(now)
        return MetricValues(
            [figure.read(at) for figure in FIGURES],
            messages_by_type(at),
            durations_of(TICKS.read(at)),
            durations_of(SYNCS.read(at)),
        )


def durations_of(of: Histogram) -> Durations:
    """Return what a histogram has now."""
    quantiles = [of.quantile_ms(share) for share in QUANTILES]
    return Durations(list(of.buckets), of.count, of.sum_ms, quantiles)


def _prepare(snapshot: MetricValues) -> Prepared:
    # Imported at the first scrape: most servers are never scraped.
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.platform_collector import PlatformCollector
    from prometheus_client.process_collector import ProcessCollector
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(snapshot))
    ProcessCollector(registry=registry)  # has no figures on Windows and macOS
    PlatformCollector(registry=registry)
    return Prepared(Response(200, generate_latest(registry), CONTENT_TYPE_LATEST))


class Collector:
    """A collector for Prometheus' registry with the server's own metrics of one time."""

    def __init__(self, snapshot: MetricValues) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator["Metric"]:
        """Yield every metric; the registry calls this."""
        snapshot = self._snapshot
        yield from _table(snapshot.values)
        yield _build()
        yield _messages(snapshot.messages)
        yield _seconds(TICKS, snapshot.ticks)
        yield _seconds(SYNCS, snapshot.syncs)
        yield _latency(snapshot.ticks)


def _table(values: list[float]) -> Iterable["Metric"]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for figure, value in zip(FIGURES, values, strict=True):
        label, what = figure.label
        made = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
        for name in figure.metrics:
            if name not in families:
                families[name] = made(
                    f"dunena_{name}", figure.text, labels=[label] if label else []
                )
            families[name].add_metric([what] if label else [], value)
    return families.values()


def _build() -> "Metric":
    from prometheus_client.metrics_core import GaugeMetricFamily

    build = GaugeMetricFamily("dunena_build", "Which dunena this is", labels=["version"])
    build.add_metric([__version__], 1)
    return build


def _messages(counts: dict[tuple[str, str], int]) -> "Metric":
    from prometheus_client.metrics_core import CounterMetricFamily

    text, labels = "WebSocket messages by dialect and type", ["dialect", "type"]
    messages = CounterMetricFamily("dunena_messages", text, labels=labels)
    for kind, count in counts.items():
        messages.add_metric(kind, count)
    return messages


def _latency(ticks: Durations) -> "Metric":
    """Make the latency metric of the original dunena, for dashboards made for it."""
    from prometheus_client.metrics_core import Metric

    latency = Metric("dunena_request_latency_ms", "dunena_tick_seconds in short", "summary")
    for share, quantile_ms in zip(QUANTILES, ticks.quantiles_ms, strict=True):
        latency.add_sample(latency.name, {"quantile": str(share)}, quantile_ms)
    latency.add_sample(f"{latency.name}_sum", {}, ticks.sum_ms)
    latency.add_sample(f"{latency.name}_count", {}, ticks.total)
    return latency


def _seconds(of: Times, times: Durations) -> "HistogramMetricFamily":
    from prometheus_client.metrics_core import HistogramMetricFamily

    passed, buckets = 0, []
    for bound, count in zip((*BOUNDS_MS, None), times.buckets, strict=True):
        passed += count
        buckets.append(("+Inf" if bound is None else str(bound / 1000), float(passed)))
    return HistogramMetricFamily(f"dunena_{of.name}", of.text, buckets, times.sum_ms / 1000)
