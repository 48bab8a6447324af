"""The answers of `/info`, `/stats` and `/health`."""

from collections.abc import Callable
from types import BuiltinFunctionType

import orjson

from dunena import NAME, __version__
from dunena.dialects.grants import EVERYTHING, NOTHING, Grant, Right
from dunena.frames import text_frame
from dunena.server.http.message import Response
from dunena.server.shortage import Shortage
from dunena.server.status.figures import TICKS, Figures
from dunena.server.status.health_checks import DEGRADED, HEALTHY, UNHEALTHY, HealthChecks
from dunena.server.status.moment import Moment
from dunena.sessions.limits import (
    GRACE_MS_MAX,
    SESSION_KEYS_MAX,
    TIMEOUT_MS_DEFAULT,
    TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
    WILL_BYTES_MAX,
    WILL_OPERATIONS_MAX,
)
from dunena.settings import Settings, describe_settings
from dunena.store.view import StoreView

_SESSION_LIMITS = {
    "minTimeout": TIMEOUT_MS_MIN,
    "maxTimeout": TIMEOUT_MS_MAX,
    "defaultTimeout": TIMEOUT_MS_DEFAULT,
    "maxGrace": GRACE_MS_MAX,
    "maxKeys": SESSION_KEYS_MAX,
    "maxWillOps": WILL_OPERATIONS_MAX,
    "maxWillBytes": WILL_BYTES_MAX,
}

_IS_COMPILED = isinstance(text_frame, BuiltinFunctionType)
"""Whether the hot modules are compiled: this function is from one of them."""


class Introspection:
    """Describes one server; ``now`` is in Unix ms.

    ``wall_step_ms`` returns how far the wall clock is ahead of the server's clock, in ms;
    ``shortage`` knows whether connections are refused, ``has_get_writes`` whether GET writes are
    on.
    """

    def __init__(
        self,
        figures: Figures,
        settings: Settings,
        event_loop: str = "asyncio",
        addresses: tuple[str, ...] = (),
        wall_step_ms: Callable[[], int] = lambda: 0,
        shortage: Shortage | None = None,
        has_get_writes: Callable[[], bool] = lambda: False,
    ) -> None:
        self._has_get_writes = has_get_writes
        self._checks = HealthChecks(figures, settings, shortage or Shortage())
        self._wall_step_ms = wall_step_ms
        self._event_loop = event_loop
        self._addresses = addresses
        self._figures = figures
        self._settings = settings
        self._services = figures.services
        self._engine = figures.engine
        self._telemetry = figures.telemetry
        self._shared = figures.shared

    def info(self, now: int, seen: StoreView, grant: Grant = EVERYTHING) -> Response:
        """Answer `/info` for a grant; ``seen`` is its view of the store.

        The server's settings are included for grants with the right admin, which may also read
        `/server`.
        """
        at = self._figures.at(now)
        is_for_admin = Right.ADMIN in grant.rights
        revision = at.value("revision")
        return _json(
            {
                "name": NAME,
                "version": __version__,
                "compiled": _IS_COMPILED,
                "entries": at.value("entries"),
                "namespaces": [ns for ns in seen.namespaces() if ns],
                "revision": revision,
                "epoch": self._services.epoch,
                "uptime": at.uptime_seconds,
                "clockStepMs": self._wall_step_ms(),
                "connections": at.value("websocket_connections"),
                "addresses": list(self._addresses),
                "persistent": not self._settings.no_persist,
                "features": self._features(),
                "protocol": self._settings.dialect.value,
                "eventLoop": self._event_loop,
                "hasToken": self._settings.has_token or bool(grant.digest),
                "permitted": {
                    "rights": [right.value for right in Right if right in grant.rights],
                    "keys": grant.keys,
                    "namespaces": grant.namespaces,
                    "channels": {
                        "read": grant.readable_channels,
                        "write": grant.writable_channels,
                    },
                },
                "refusedOrigins": at.value("refusals", "origin"),
                "maxValueBytes": self._value_bytes_max,
                "defaultTtlMs": self._services.default_ttl_ms,
                "maxEntries": self._services.limits.entries_max,
                "maxMemoryBytes": self._services.limits.memory_bytes_max,
                "session": _SESSION_LIMITS | {"maxKeys": self._figures.sessions.keys_max},
                **self._store(revision),
            }
            | ({"settings": describe_settings(self._settings)} if is_for_admin else {})
        )

    def _store(self, revision: float) -> dict[str, object]:
        """Return what `/info` has of the shared store; empty without one."""
        if self._shared is None:
            return {}
        return {"store": self._shared.describe(self._settings.bucket, revision)}

    @property
    def _value_bytes_max(self) -> int:
        configured = self._services.limits.value_bytes_max
        return configured if self._shared is None else self._shared.value_bytes_max(configured)

    def _features(self) -> list[str]:
        features = ["channels", "history", "http", "http-watch", "ops", "session", "txn", "watch"]
        return sorted([*features, "getWrites"]) if self._has_get_writes() else features

    def stats(self, now: int) -> Response:
        """Answer `/stats` with the counters of cache, storage and connections."""
        at = self._figures.at(now)
        return _json(
            {
                "cache": {
                    "hits": at.value("hits"),
                    "misses": at.value("misses"),
                    "hitRate": round(at.value("cache_hit_rate"), 4),
                    "evictions": at.value("evictions"),
                    "puts": at.value("cache_puts"),
                    "deletes": at.value("cache_deletes"),
                    "currentSize": at.value("entries"),
                    "maxSize": self._services.limits.entries_max,
                    "valueBytes": at.value("value_bytes"),
                    "changes": at.value("changes"),
                    "revision": at.value("revision"),
                    "subscriptions": at.value("subscriptions"),
                },
                "storage": {
                    "journalBytes": at.value("journal_bytes"),
                    "filesBehind": at.value("files_behind"),
                    "slowSyncs": at.value("slow_syncs"),
                    "failures": at.value("refusals", "storage"),
                },
                "channels": {
                    "subscribed": at.value("channels"),
                    "published": at.value("channel_messages"),
                    "delivered": at.value("channel_deliveries")
                    - at.value("channel_messages_missed"),
                    "missed": at.value("channel_messages_missed"),
                },
                "sessions": {
                    "connected": at.value("sessions", "connected"),
                    "lost": at.value("sessions", "lost"),
                    "ending": at.value("sessions", "ending"),
                    "resumed": at.value("sessions_resumed"),
                    "ended": at.value("sessions_ended"),
                    "failedWills": at.value("wills_failed"),
                    "ephemeralKeys": at.value("ephemeral_keys"),
                },
                **self._text_file_counts(at),
                **({} if self._shared is None else {"store": self._shared.count()}),
                "latency": TICKS.read(at).summary(),
                "messages": at.value("messages"),
                "httpRequests": at.value("http_requests"),
                "eventStreams": at.value("connections", "event-stream"),
            }
        )

    def health(self, now: int, grant: Grant = EVERYTHING) -> Response:
        """Answer `/health` with all checks for a grant; 503 while changes are refused.

        A client without a token, such as a load balancer, gets only the status.
        """
        failure = self._storage_failure
        checks = self._checks.all(shows_names=grant.may_see_names)
        is_well = all(check["status"] == HEALTHY for check in checks.values())
        status = UNHEALTHY if failure else HEALTHY if is_well else DEGRADED
        if grant is NOTHING:
            return _json({"status": status}, 503 if failure else 200)
        storage: dict[str, object] = {"status": UNHEALTHY if failure else HEALTHY}
        if failure:
            storage["reason"] = failure
        at = self._figures.at(now)
        body = {
            "status": status,
            "version": __version__,
            "timestamp": at.now,
            "uptime": at.uptime_seconds,
            "checks": {"storage": storage, **checks},
        }
        return _json(body, 503 if failure else 200)

    def _text_file_counts(self, at: Moment) -> dict[str, object]:
        """Return how many text files were written and failed; empty if there are to be none."""
        if self._figures.text_files is None:
            return {}
        written, failures = at.value("text_files_written"), at.value("text_file_failures")
        return {"textFiles": {"written": written, "failures": failures}}

    def live(self, _now: int) -> Response:
        """Answer `/health/live`: the process is running."""
        return _json({"status": "alive"})

    def ready(self, _now: int, grant: Grant = EVERYTHING) -> Response:
        """Answer `/health/ready`: 503 if changes cannot be stored, with the reason for tokens."""
        failure = self._storage_failure
        if failure:
            body: dict[str, object] = {"status": "failing"}
            if grant is not NOTHING:
                body["reason"] = failure
            return _json(body, 503)
        return _json({"status": "ready"})

    @property
    def _storage_failure(self) -> str | None:
        refused = self._telemetry.storage_failure or self._engine.failure
        return refused or (None if self._shared is None else self._shared.failure)


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(status, orjson.dumps(body))
