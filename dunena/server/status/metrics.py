"""The answer of `/metrics`: every figure in Prometheus' text format."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dunena import __version__
from dunena.histogram import BOUNDS_MS, Histogram
from dunena.server.http.message import Response
from dunena.server.status.figures import (
    FIGURES,
    SYNCS,
    TICKS,
    Figures,
    Times,
    messages_by_type,
)
from dunena.server.status.moment import Moment

if TYPE_CHECKING:
    from prometheus_client.metrics_core import (
        HistogramMetricFamily,
        Metric,
    )


class Metrics:
    """Formats the figures of one server for Prometheus; ``now`` is in Unix ms."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def respond(self, now: int) -> Response:
        """Answer ``GET /metrics`` with the figures of server, process and Python."""
        # Imported at the first scrape: most servers are never scraped.
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
        from prometheus_client.platform_collector import PlatformCollector
        from prometheus_client.process_collector import ProcessCollector
        from prometheus_client.registry import CollectorRegistry

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self, now))
        ProcessCollector(registry=registry)  # has no figures on Windows and macOS
        PlatformCollector(registry=registry)
        return Response(200, generate_latest(registry), CONTENT_TYPE_LATEST)

    def collect(self, now: int) -> Iterator["Metric"]:
        """Yield the server's own metrics at the time ``now``."""
        at = self._figures.at(now)
        yield from _table(at)
        yield _build()
        yield _messages(at)
        yield _seconds(TICKS, at)
        yield _seconds(SYNCS, at)
        yield _latency(TICKS.read(at))


class _Collector:
    """A collector for Prometheus' registry with the figures of one time."""

    def __init__(self, metrics: Metrics, now: int) -> None:
        self._metrics = metrics
        self._now = now

    def collect(self) -> Iterable["Metric"]:
        return self._metrics.collect(self._now)


def _table(at: Moment) -> Iterable["Metric"]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for figure in FIGURES:
        label, what = figure.label
        made = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
        for name in figure.metrics:
            if name not in families:
                families[name] = made(
                    f"dunena_{name}", figure.text, labels=[label] if label else []
                )
            families[name].add_metric([what] if label else [], figure.read(at))
    return families.values()


def _build() -> "Metric":
    from prometheus_client.metrics_core import GaugeMetricFamily

    build = GaugeMetricFamily("dunena_build", "Which dunena this is", labels=["version"])
    build.add_metric([__version__], 1)
    return build


def _messages(at: Moment) -> "Metric":
    from prometheus_client.metrics_core import CounterMetricFamily

    text, labels = "WebSocket messages by dialect and type", ["dialect", "type"]
    messages = CounterMetricFamily("dunena_messages", text, labels=labels)
    for kind, count in messages_by_type(at).items():
        messages.add_metric(kind, count)
    return messages


def _latency(ticks: Histogram) -> "Metric":
    """Make the latency metric of the original dunena, for dashboards made for it."""
    from prometheus_client.metrics_core import Metric

    latency = Metric("dunena_request_latency_ms", "dunena_tick_seconds in short", "summary")
    for share in (0.5, 0.95, 0.99):
        labels = {"quantile": str(share)}
        latency.add_sample(latency.name, labels, ticks.quantile_ms(share))
    latency.add_sample(f"{latency.name}_sum", {}, ticks.sum_ms)
    latency.add_sample(f"{latency.name}_count", {}, ticks.count)
    return latency


def _seconds(of: Times, at: Moment) -> "HistogramMetricFamily":
    from prometheus_client.metrics_core import HistogramMetricFamily

    times, passed, buckets = of.read(at), 0, []
    for bound, count in zip((*BOUNDS_MS, None), times.buckets, strict=True):
        passed += count
        buckets.append(("+Inf" if bound is None else str(bound / 1000), float(passed)))
    return HistogramMetricFamily(f"dunena_{of.name}", of.text, buckets, times.sum_ms / 1000)
