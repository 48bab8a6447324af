"""`/metrics`: every counter in Prometheus' text format."""

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING

from dunena import __version__
from dunena.dialects.dialect import Dialect
from dunena.dialects.services import Services
from dunena.histogram import BOUNDS_MS, Histogram
from dunena.persistence.interface import NO_DISK, DiskStatus, WatchState
from dunena.server.http.message import Response
from dunena.telemetry import Telemetry

if TYPE_CHECKING:
    from prometheus_client.metrics_core import HistogramMetricFamily, Metric

_Figures = Mapping[str, tuple[str, float]]
"""By name: what it means, and its value."""


class Metrics:
    """Reads the counters of one server; counts nothing itself. ``now`` in Unix ms."""

    def __init__(self, core: Services, disk: DiskStatus | None, telemetry: Telemetry) -> None:
        self._core = core
        self._store = core.store.unrestricted
        self._disk = disk or NO_DISK
        self._telemetry = telemetry

    def respond(self, now: int) -> Response:
        """The response to ``GET /metrics``."""
        # Loaded at the first scrape: most servers are never scraped.
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
        from prometheus_client.platform_collector import PlatformCollector
        from prometheus_client.process_collector import ProcessCollector
        from prometheus_client.registry import CollectorRegistry

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self, now))
        ProcessCollector(registry=registry)  # says nothing on Windows and macOS
        PlatformCollector(registry=registry)
        return Response(200, generate_latest(registry), CONTENT_TYPE_LATEST)

    def collect(self, now: int) -> Iterator["Metric"]:
        """The server's own figures."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        for name, (text, value) in self._gauges(now).items():
            yield GaugeMetricFamily(f"dunena_{name}", text, value)
        for name, (text, value) in self._counters().items():
            yield CounterMetricFamily(f"dunena_{name}", text, value)
        build = GaugeMetricFamily("dunena_build", "Which dunena this is", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield from self._labelled()
        yield from self._of_the_original()
        text = "From a tick's first request to its last reply"
        yield _seconds("dunena_tick_seconds", text, self._telemetry.ticks)
        text = "Forcing the journal to the device"
        yield _seconds("dunena_sync_seconds", text, self._disk.sync_times)

    def _labelled(self) -> Iterator["Metric"]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        stats = self._core.stats
        connections = GaugeMetricFamily(
            "dunena_connections", "Open connections by what they speak", labels=["protocol"]
        )
        for dialect in Dialect:
            connections.add_metric([dialect.value], stats.sessions[dialect])
        connections.add_metric(["http"], self._telemetry.http_connections)
        yield connections
        kinds = CounterMetricFamily(
            "dunena_messages", "WebSocket messages by dialect and type", labels=["dialect", "type"]
        )
        known = 0
        for (dialect, name), count in self._kinds().items():
            kinds.add_metric([dialect.value, name], count)
            known += count
        # What is none; nothing that is answered once more makes it fall.
        kinds.add_metric(["", "invalid"], max(0, self._telemetry.messages - known))
        yield kinds
        refusals = CounterMetricFamily(
            "dunena_refusals", "What clients were refused, by cause", labels=["cause"]
        )
        watch = GaugeMetricFamily(
            "dunena_watch", "How hand edits are learnt of: 1 for what is so", labels=["state"]
        )
        for state in WatchState:
            watch.add_metric([state.value], self._disk.watching.state is state)
        yield watch
        for cause, count in self._refusals().items():
            refusals.add_metric([cause], count)
        yield refusals

    def _of_the_original(self) -> Iterator["Metric"]:
        """What dashboards made for the original dunena ask for."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

        store, entries_max = self._store, self._core.limits.entries_max
        counters: _Figures = {
            "hits": ("Reads that found a value", store.hits),
            "misses": ("Reads that found none", store.misses),
            "evictions": ("Entries that left a full store", store.evictions),
            "puts": ("Values that were set", store.puts),
            "deletes": ("Keys that were deleted", store.deletions),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(f"dunena_cache_{name}", text, value)
        reads = store.hits + store.misses
        gauges: _Figures = {
            "entries": ("Keys that have a value", store.entry_count),
            "max_entries": ("Most keys there may be", entries_max or inf),
            "hit_rate": ("Share of reads that found a value", store.hits / reads if reads else 0),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"dunena_cache_{name}", text, value)
        ticks = self._telemetry.ticks
        latency = Metric("dunena_request_latency_ms", "dunena_tick_seconds in short", "summary")
        for share in (0.5, 0.95, 0.99):
            labels = {"quantile": str(share)}
            latency.add_sample(latency.name, labels, ticks.quantile_ms(share))
        latency.add_sample(f"{latency.name}_sum", {}, ticks.sum_ms)
        latency.add_sample(f"{latency.name}_count", {}, ticks.count)
        yield latency

    def _kinds(self) -> dict[tuple[Dialect, str], int]:
        stats = self._core.stats
        counts = {(Dialect.DUNENA, name): kind.count for name, kind in stats.dunena.items()}
        for name, kind in stats.object_store.items():
            counts[Dialect.OBJECT_STORE, name] = kind.count
        gets = (Dialect.OBJECT_STORE, "get")
        counts[gets] = counts.get(gets, 0) + stats.cached_gets
        return counts

    def _refusals(self) -> dict[str, int]:
        telemetry, stats, quota = self._telemetry, self._core.stats, self._store.quota
        return {
            "host": telemetry.refused_hosts,
            "origin": telemetry.refused_origins,
            "token": telemetry.refused_tokens,
            "wrong-tokens": telemetry.refused_tries,
            "rights": stats.forbidden,
            "connections": telemetry.refused_connections,
            "bad-request": telemetry.refused_requests,
            "limit": stats.over_limit,
            "full": 0 if quota is None else quota.refusals,
            "storage": telemetry.storage_failures,
            "slow-reader": telemetry.slow_readers_closed,
        }

    def _gauges(self, now: int) -> _Figures:
        store, telemetry, disk = self._store, self._telemetry, self._disk
        return {
            "entries": ("Keys that have a value", store.entry_count),
            "value_bytes": ("Bytes of all values as JSON", store.value_bytes),
            "revision": ("Revision of the latest change", store.revision),
            "subscriptions": ("Keys and channels followed", self._core.hub.subscription_count),
            "damaged_files": ("Files that cannot be read", len(disk.damages())),
            "journal_bytes": ("Bytes kept in the journal", disk.journal_bytes),
            "files_behind": ("Keys whose file lacks the latest change", disk.files_behind),
            "files_failing": ("1 while files cannot be written", _flag(disk.files_failure)),
            "storage_failing": ("1 while changes are refused", _flag(telemetry.storage_failure)),
            "uptime_seconds": (
                "Time since the start",
                max(0, now - telemetry.started_at_ms) / 1000,
            ),
        }

    def _counters(self) -> _Figures:
        store, telemetry = self._store, self._telemetry
        return {
            "http_requests": ("HTTP requests received", telemetry.http_requests),
            "received_bytes": ("Bytes received, before TLS", telemetry.bytes_received),
            "sent_bytes": ("Bytes sent, before TLS", telemetry.bytes_sent),
            "changes": ("Changes stored", telemetry.changes),
            "expirations": ("Keys whose time ended", store.expirations),
            "hits": ("Reads that found a value", store.hits),
            "misses": ("Reads that found none", store.misses),
            "evictions": ("Entries that left a full store", store.evictions),
            "slow_syncs": ("Syncs of the journal over two seconds", self._disk.slow_syncs),
            "watch_misses": (
                "How often more changed in the folder than the system could tell",
                self._disk.watching.misses,
            ),
            "updates_conflated": ("Updates a slow reader was spared", telemetry.conflated),
        }


class _Collector:
    """What Prometheus' registry asks, at one moment."""

    def __init__(self, metrics: Metrics, now: int) -> None:
        self._metrics = metrics
        self._now = now

    def collect(self) -> Iterable["Metric"]:
        return self._metrics.collect(self._now)


def _seconds(name: str, text: str, times: Histogram) -> "HistogramMetricFamily":
    from prometheus_client.metrics_core import HistogramMetricFamily

    passed, buckets = 0, []
    for bound, count in zip((*BOUNDS_MS, None), times.buckets, strict=True):
        passed += count
        buckets.append(("+Inf" if bound is None else str(bound / 1000), float(passed)))
    return HistogramMetricFamily(name, text, buckets, times.sum_ms / 1000)


def _flag(reason: str | None) -> int:
    return int(reason is not None)
