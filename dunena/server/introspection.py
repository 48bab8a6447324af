"""What the server says of itself: `/info`, `/stats`, `/health`, `/metrics`."""

from collections.abc import Iterable
from types import BuiltinFunctionType
from typing import TYPE_CHECKING

import orjson

from dunena import NAME, __version__
from dunena.dialects.core import Core
from dunena.frames import text_frame
from dunena.persistence.interface import Engine
from dunena.server.http_message import Response
from dunena.settings import Settings
from dunena.telemetry import LATENCY_BOUNDS_MS, Telemetry

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"

_DAMAGES_SHOWN_MAX = 20

_IS_COMPILED = isinstance(text_frame, BuiltinFunctionType)
"""Whether the hot modules are machine code, of which this function stands for all."""


class Introspection:
    """Reads the counters of one server; counts nothing itself. ``now`` in Unix ms."""

    def __init__(
        self,
        core: Core,
        settings: Settings,
        engine: Engine,
        telemetry: Telemetry,
        event_loop: str = "asyncio",
    ) -> None:
        self._event_loop = event_loop
        self._core = core
        self._settings = settings
        self._engine = engine
        self._telemetry = telemetry

    def info(self, now: int) -> Response:
        """Who this server is."""
        store = self._core.store
        return _json(
            {
                "name": NAME,
                "version": __version__,
                "compiled": _IS_COMPILED,
                "entries": store.entry_count,
                "namespaces": [ns for ns in store.namespaces() if ns],
                "revision": store.revision,
                "uptime": self._uptime_seconds(now),
                "connections": self._telemetry.websocket_connections,
                "persistent": self._settings.cache_dir is not None,
                "protocol": self._settings.dialect.value,
                "eventLoop": self._event_loop,
                "hasToken": self._settings.token is not None,
                "refusedOrigins": self._telemetry.refused_origins,
                "maxValueBytes": self._core.limits.value_bytes_max,
                "maxEntries": self._core.limits.entries_max,
                "maxMemoryBytes": self._core.limits.memory_bytes_max,
            }
        )

    def stats(self, _now: int) -> Response:
        """How the cache does."""
        store, telemetry = self._core.store, self._telemetry
        reads = store.hits + store.misses
        return _json(
            {
                "cache": {
                    "hits": store.hits,
                    "misses": store.misses,
                    "hitRate": round(store.hits / reads, 4) if reads else 0,
                    "currentSize": store.entry_count,
                    "valueBytes": store.value_bytes,
                    "changes": telemetry.changes,
                    "revision": store.revision,
                    "subscriptions": self._core.hub.subscription_count,
                },
                "storage": {
                    "journalBytes": self._engine.journal_bytes,
                    "filesBehind": self._engine.files_behind,
                    "slowSyncs": self._engine.slow_syncs,
                    "failures": telemetry.storage_failures,
                },
                "latency": telemetry.ticks.summary(),
                "messages": telemetry.messages,
                "httpRequests": telemetry.http_requests,
            }
        )

    def health(self, now: int) -> Response:
        """Every check; 503 while changes are refused."""
        failure = self._telemetry.storage_failure
        files = self._files_check()
        status = UNHEALTHY if failure else files["status"]
        storage: dict[str, object] = {"status": UNHEALTHY if failure else HEALTHY}
        if failure:
            storage["reason"] = failure
        body = {
            "status": status,
            "uptime": self._uptime_seconds(now),
            "checks": {"storage": storage, "files": files},
        }
        return _json(body, 503 if failure else 200)

    def _files_check(self) -> dict[str, object]:
        """Files that cannot be read, or not be written: neither refuses a change."""
        damages, reason = self._engine.damages(), self._engine.files_failure
        check: dict[str, object] = {"status": DEGRADED if damages or reason else HEALTHY}
        if reason:
            check["reason"] = reason
            check["behind"] = self._engine.files_behind
        if damages:
            check["count"] = len(damages)
            check["damaged"] = [
                {"path": damage.path.removeprefix("\\\\?\\"), "reason": damage.reason}
                for damage in damages[:_DAMAGES_SHOWN_MAX]
            ]
        return check

    def live(self, _now: int) -> Response:
        """The process answers."""
        return _json({"status": "alive"})

    def ready(self, _now: int) -> Response:
        """Changes are stored."""
        failure = self._telemetry.storage_failure
        if failure:
            return _json({"status": "failing", "reason": failure}, 503)
        return _json({"status": "ready"})

    def metrics(self, now: int) -> Response:
        """All counters in Prometheus' text format."""
        # Loaded at the first scrape: most servers are never scraped.
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
        from prometheus_client.registry import CollectorRegistry

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self, now))
        return Response(200, generate_latest(registry), CONTENT_TYPE_LATEST)

    def collect(self, now: int) -> Iterable["Metric"]:
        """The counters as Prometheus' metrics."""
        from prometheus_client.metrics_core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        for name, (text, value) in self._gauges(now).items():
            yield GaugeMetricFamily(f"dunena_{name}", text, value)
        for name, (text, value) in self._counters().items():
            yield CounterMetricFamily(f"dunena_{name}", text, value)
        ticks = self._telemetry.ticks
        passed, buckets = 0, []
        for bound, count in zip((*LATENCY_BOUNDS_MS, None), ticks.buckets, strict=True):
            passed += count
            buckets.append(("+Inf" if bound is None else str(bound / 1000), float(passed)))
        yield HistogramMetricFamily(
            "dunena_tick_seconds",
            "From a tick's first request to its last reply",
            buckets,
            ticks.sum_ms / 1000,
        )

    def _gauges(self, now: int) -> dict[str, tuple[str, int]]:
        store, telemetry, engine = self._core.store, self._telemetry, self._engine
        return {
            "entries": ("Keys that have a value", store.entry_count),
            "value_bytes": ("Bytes of all values as JSON", store.value_bytes),
            "revision": ("Revision of the latest change", store.revision),
            "subscriptions": ("Keys and channels followed", self._core.hub.subscription_count),
            "websocket_connections": ("Open WebSockets", telemetry.websocket_connections),
            "http_connections": ("Open HTTP connections", telemetry.http_connections),
            "damaged_files": ("Files that cannot be read", len(engine.damages())),
            "journal_bytes": ("Bytes kept in the journal", engine.journal_bytes),
            "files_behind": ("Keys whose file lacks the latest change", engine.files_behind),
            "files_failing": (
                "1 while files cannot be written",
                int(engine.files_failure is not None),
            ),
            "storage_failing": (
                "1 while changes are refused",
                int(bool(telemetry.storage_failure)),
            ),
            "uptime_seconds": ("Time since the start", self._uptime_seconds(now)),
        }

    def _counters(self) -> dict[str, tuple[str, int]]:
        store, telemetry, room = self._core.store, self._telemetry, self._core.store.room
        return {
            "messages": ("WebSocket messages received", telemetry.messages),
            "http_requests": ("HTTP requests received", telemetry.http_requests),
            "changes": ("Changes stored", telemetry.changes),
            "hits": ("Reads that found a value", store.hits),
            "misses": ("Reads that found none", store.misses),
            "storage_failures": ("Ticks whose changes were refused", telemetry.storage_failures),
            "slow_syncs": ("Syncs of the journal over two seconds", self._engine.slow_syncs),
            "refused_hosts": ("Requests refused by host", telemetry.refused_hosts),
            "refused_origins": ("Requests refused by origin", telemetry.refused_origins),
            "refused_tokens": ("Requests without the token", telemetry.refused_tokens),
            "refused_connections": ("Connections over the limit", telemetry.refused_connections),
            "refused_requests": (
                "Requests broken or too long",
                telemetry.refused_requests,
            ),
            "over_limit": ("Messages and requests over a limit", self._core.tally.over_limit),
            "evictions": ("Entries that left a full store", 0 if room is None else room.evictions),
            "store_full": (
                "Writes without room",
                0 if room is None else room.refusals,
            ),
            "updates_conflated": ("Updates a slow reader was spared", telemetry.conflated),
            "slow_readers_closed": ("Closed for not reading", telemetry.slow_readers_closed),
        }

    def _uptime_seconds(self, now: int) -> int:
        return max(0, (now - self._telemetry.started_at_ms) // 1000)


class _Collector:
    """What Prometheus' registry asks, at one moment."""

    def __init__(self, introspection: Introspection, now: int) -> None:
        self._introspection = introspection
        self._now = now

    def collect(self) -> Iterable["Metric"]:
        return self._introspection.collect(self._now)


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(status, orjson.dumps(body))
