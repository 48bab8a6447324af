"""The table of all counters and gauges of a server: name, meaning and a function that reads each.

Code counts by adding to plain attributes in many places; this table reads all of them. `/metrics`
shows the whole table; `/stats`, `/info` and `/server` show some of its figures.
"""

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Literal, NamedTuple

from dunena.dialects.dialect import Dialect
from dunena.histogram import Histogram
from dunena.persistence.interface import WatchState
from dunena.server.status.moment import Moment, Sources

if TYPE_CHECKING:
    from dunena.server.status.store_report import StoreReport

FigureKind = Literal["counter", "gauge"]
"""A counter only grows since the start; a gauge goes up and down."""


class Figure(NamedTuple):
    """One row of the table of figures.

    ``metrics`` are its names in `/metrics`, which adds the prefix ``dunena_``, and ``_total`` to a
    counter; it is empty if the figure is not there. ``label`` is a name and a value that
    distinguish figures of the same name.
    """

    name: str
    kind: FigureKind
    text: str
    read: Callable[[Moment], float]
    metrics: tuple[str, ...]
    label: tuple[str, str] = ("", "")


class Times(NamedTuple):
    """A histogram of durations in `/metrics`."""

    name: str
    text: str
    read: Callable[[Moment], Histogram]


def _counter(name: str, text: str, read: Callable[[Moment], float], *others: str) -> Figure:
    return Figure(name, "counter", text, read, (name, *others))


def _gauge(name: str, text: str, read: Callable[[Moment], float], *others: str) -> Figure:
    return Figure(name, "gauge", text, read, (name, *others))


def _refusal(cause: str, read: Callable[[Moment], float]) -> Figure:
    text = "What clients were refused, by cause"
    return Figure("refusals", "counter", text, read, ("refusals",), ("cause", cause))


def _connections(protocol: str, read: Callable[[Moment], float]) -> Figure:
    text = "Open connections by what they speak"
    return Figure("connections", "gauge", text, read, ("connections",), ("protocol", protocol))


def _conversations(dialect: Dialect) -> Figure:
    return _connections(dialect.value, lambda at: at.services.stats.conversations[dialect])


def _watch(state: WatchState) -> Figure:
    text = "How hand edits are learnt of: 1 for what is so"
    label = ("state", state.value)
    return Figure(
        "watch", "gauge", text, lambda at: at.disk.watching.state is state, ("watch",), label
    )


def _store_gauge(name: str, text: str, read: "Callable[[StoreReport], float]") -> Figure:
    return _gauge(f"store_{name}", text, lambda at: 0 if at.shared is None else read(at.shared))


def _store_counter(name: str, text: str, read: "Callable[[StoreReport], float]") -> Figure:
    return _counter(f"store_{name}", text, lambda at: 0 if at.shared is None else read(at.shared))


def _session_count(state: str, read: Callable[[Moment], float]) -> Figure:
    text = "Sessions by whether they have a connection"
    return Figure("sessions", "gauge", text, read, ("sessions",), ("state", state))


def _ephemeral_keys(at: Moment) -> int:
    ephemeral = at.store.table.ephemeral
    return 0 if ephemeral is None else ephemeral.count


def _hit_rate(at: Moment) -> float:
    reads = at.store.hits + at.store.misses
    return at.store.hits / reads if reads else 0


def _refuses(at: Moment) -> bool:
    failure = at.telemetry.storage_failure or (at.shared and at.shared.failure)
    return failure is not None


def _full_refusals(at: Moment) -> int:
    quota = at.store.quota
    return 0 if quota is None else quota.refusals


FIGURES = (
    _gauge("entries", "Keys that have a value", lambda at: at.store.entry_count, "cache_entries"),
    _gauge("value_bytes", "Bytes of all values as JSON", lambda at: at.store.value_bytes),
    _gauge("revision", "Revision of the latest change", lambda at: at.store.revision),
    _gauge(
        "subscriptions", "Keys and channels followed", lambda at: at.services.hub.subscription_count
    ),
    _gauge("channels", "Channels with subscribers", lambda at: at.services.hub.channel_count),
    _gauge("ephemeral_keys", "Keys that end with a session", _ephemeral_keys),
    _session_count("connected", lambda at: at.sessions.connected_count),
    _session_count("lost", lambda at: at.sessions.lost_count),
    _session_count("ending", lambda at: at.sessions.ending_count),
    _gauge("damaged_files", "Files that cannot be read", lambda at: len(at.disk.damages())),
    _gauge("journal_bytes", "Bytes kept in the journal", lambda at: at.disk.journal_bytes),
    _gauge(
        "files_behind", "Keys whose file lacks the latest change", lambda at: at.disk.files_behind
    ),
    _gauge(
        "files_failing",
        "1 while files cannot be written",
        lambda at: at.disk.files_failure is not None,
    ),
    _gauge(
        "text_files_failing",
        "1 while a text file does not show what it should",
        lambda at: at.text_files.failure is not None,
    ),
    _counter("text_files_written", "Text files written", lambda at: at.text_files.written),
    _counter(
        "text_file_failures",
        "How often a text file could not be written",
        lambda at: at.text_files.failures,
    ),
    _gauge(
        "storage_failing",
        "1 while changes are refused",
        _refuses,
    ),
    _gauge(
        "uptime_seconds",
        "Time since the start",
        lambda at: max(0, at.now - at.telemetry.started_at_ms) / 1000,
    ),
    # /metrics has these connections by dialect.
    Figure(
        "websocket_connections",
        "gauge",
        "Open WebSockets",
        lambda at: at.telemetry.websocket_connections,
        (),
    ),
    *map(_conversations, Dialect),
    _connections("event-stream", lambda at: at.telemetry.event_streams),
    _connections("http", lambda at: at.telemetry.http_connections),
    *map(_watch, WatchState),
    # /metrics has the messages by type: `messages_by_type`.
    Figure("messages", "counter", "WebSocket messages", lambda at: at.telemetry.messages, ()),
    _counter("http_requests", "HTTP requests received", lambda at: at.telemetry.http_requests),
    _counter(
        "received_bytes", "Bytes received, before TLS", lambda at: at.telemetry.bytes_received
    ),
    _counter("sent_bytes", "Bytes sent, before TLS", lambda at: at.telemetry.bytes_sent),
    _counter("changes", "Changes stored", lambda at: at.telemetry.changes),
    _counter("expirations", "Keys whose time ended", lambda at: at.store.expirations),
    # The second names are those of the original dunena, for dashboards made for it.
    _counter("hits", "Reads that found a value", lambda at: at.store.hits, "cache_hits"),
    _counter("misses", "Reads that found none", lambda at: at.store.misses, "cache_misses"),
    _counter(
        "evictions",
        "Entries that left a full store",
        lambda at: at.store.evictions,
        "cache_evictions",
    ),
    _counter("cache_puts", "Values that were set", lambda at: at.store.puts),
    _counter("cache_deletes", "Keys that were deleted", lambda at: at.store.deletions),
    _gauge(
        "cache_max_entries",
        "Most keys there may be",
        lambda at: at.services.limits.entries_max or inf,
    ),
    _gauge("cache_hit_rate", "Share of reads that found a value", _hit_rate),
    _counter(
        "sessions_resumed", "Sessions that were resumed", lambda at: at.sessions.resumed_count
    ),
    _counter("sessions_ended", "Sessions that ended", lambda at: at.sessions.ended_count),
    _counter("wills_failed", "Wills that did not run", lambda at: at.sessions.failed_wills),
    _counter("slow_syncs", "Syncs of the journal over two seconds", lambda at: at.disk.slow_syncs),
    _counter(
        "watch_misses",
        "How often more changed in the folder than the system could tell",
        lambda at: at.disk.watching.misses,
    ),
    _store_gauge("connected", "1 while NATS is connected", lambda of: of.status.is_connected),
    _store_gauge("nodes", "Servers that share the store", lambda of: len(of.status.nodes)),
    _store_gauge("behind", "Changes that are known to be missing", lambda of: of.status.behind),
    _store_gauge(
        "stale_seconds",
        "How long the store has not answered",
        lambda of: of.status.stale_ms / 1000,
    ),
    _store_gauge(
        "degraded",
        "1 while a lost right or a setting of the store endangers it",
        lambda of: of.status.warning is not None,
    ),
    _store_counter("batches", "Batches that were taken over", lambda of: of.figures.batches),
    _store_counter("changes", "Changes in these batches", lambda of: of.figures.changes),
    _store_counter("commits", "Batches of this server", lambda of: of.figures.commits),
    _store_counter(
        "commit_seconds",
        "Time of this server's batches, from sending to delivery",
        lambda of: of.figures.commit_ms_total / 1000,
    ),
    _store_counter("retries", "Batches that were sent again", lambda of: of.figures.retries),
    _store_counter(
        "conflicts",
        "Batches that were refused as others had changed the same",
        lambda of: of.figures.conflicts,
    ),
    _store_counter("gaps", "How often changes had been missed", lambda of: of.figures.gaps),
    _store_counter(
        "fetched_entries",
        "Entries that were asked for, to load or after a gap",
        lambda of: of.figures.fetched_entries,
    ),
    _store_counter("loads", "How often everything was loaded", lambda of: of.figures.loads),
    _counter(
        "updates_conflated", "Updates a slow reader was spared", lambda at: at.telemetry.conflated
    ),
    _counter(
        "channel_messages",
        "Messages published to channels",
        lambda at: at.services.hub.messages_published,
    ),
    _counter(
        "channel_deliveries",
        "Messages of channels, each counted for every subscriber",
        lambda at: at.services.hub.messages_queued,
    ),
    _counter(
        "channel_messages_missed",
        "Of these deliveries, those that slow readers missed",
        lambda at: at.telemetry.messages_missed,
    ),
    _refusal("host", lambda at: at.telemetry.refused_hosts),
    _refusal("origin", lambda at: at.telemetry.refused_origins),
    _refusal("token", lambda at: at.telemetry.refused_tokens),
    _refusal("wrong-tokens", lambda at: at.telemetry.refused_tries),
    _refusal("rights", lambda at: at.services.stats.forbidden),
    _refusal("connections", lambda at: at.telemetry.refused_connections),
    _refusal("bad-request", lambda at: at.telemetry.refused_requests),
    _refusal("limit", lambda at: at.services.stats.over_limit),
    _refusal("full", _full_refusals),
    _refusal("storage", lambda at: at.telemetry.storage_failures),
    _refusal("slow-reader", lambda at: at.telemetry.slow_readers_closed),
)

TICKS = Times(
    "tick_seconds", "From a tick's first request to its last reply", lambda at: at.telemetry.ticks
)
SYNCS = Times("sync_seconds", "Forcing the journal to the device", lambda at: at.disk.sync_times)

_BY_NAME = {(figure.name, figure.label[1]): figure for figure in FIGURES}


class Figures(Sources):
    """The figures of one server."""

    def at(self, now: int) -> Moment:
        """Return a reader of the figures for the time ``now`` (Unix ms) of a request."""
        return Moment(self, _BY_NAME, now if self.clock_ms is None else self.clock_ms())


def messages_by_type(at: Moment) -> dict[tuple[str, str], int]:
    """Return the number of WebSocket messages by dialect and type.

    Messages of no dialect count as ("", "invalid").
    """
    stats = at.services.stats
    counts = {(Dialect.DUNENA.value, name): count for name, count in stats.dunena.items()}
    for name, count in stats.object_store.items():
        counts[Dialect.OBJECT_STORE.value, name] = count
    for name, count in (("get", stats.cached_gets), ("set", stats.plain_sets)):
        kind = (Dialect.OBJECT_STORE.value, name)
        counts[kind] = counts.get(kind, 0) + count
    # A message that is answered again counts twice by type: the difference must not be negative.
    counts["", "invalid"] = max(0, at.telemetry.messages - sum(counts.values()))
    return counts
