"""The figures of `/metrics`."""

import math
from contextlib import suppress
from typing import Any

import orjson
from prometheus_client.parser import text_string_to_metric_families

from dunena.dialects.dialect import Dialect
from dunena.histogram import Histogram
from dunena.persistence.interface import Damage, Watching
from dunena.server.status.figures import Figures
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.settings import Settings
from dunena.store.errors import WriteRefusedError
from dunena.store.limits import Eviction, Limits
from dunena.store.store import Store
from tests.support.prepared import text_of
from tests.support.rooms import Rooms
from tests.support.sessions import sessions


class SyncedDisk:
    """The status of a folder of which something was forced to the device."""

    watching = Watching()
    files_behind = journal_bytes = slow_syncs = 0
    files_failure = None

    def __init__(self) -> None:
        self.sync_times = Histogram()

    def damages(self) -> list[Damage]:
        return []


class House:
    def __init__(self, limits: Limits | None = None) -> None:
        self.rooms = Rooms(limits)
        self.disk = SyncedDisk()
        self.figures = Figures(
            self.rooms.services, self.rooms.engine, self.disk, self.rooms.telemetry, sessions()
        )
        self.metrics = Metrics(self.figures)

    def figure(self, name: str, **labels: str) -> float | None:
        """One figure, by its name as it stands there; None if there is none."""
        text = text_of(self.metrics.respond(self.rooms.now))
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    def stats(self) -> Any:
        """What `/stats` says."""
        said = Introspection(self.figures, Settings())
        return orjson.loads(said.stats(self.rooms.now).body)

    def cached(self) -> dict[str, float | None]:
        """The figures that have the original's names; `/stats` and `/metrics` must agree."""
        stats, figures = self.stats()["cache"], {}
        for name in ("hits", "misses", "evictions", "puts", "deletes"):
            figures[name] = self.figure(f"dunena_cache_{name}_total")
            assert stats[name] == figures[name], name
        assert stats["currentSize"] == self.figure("dunena_cache_entries")
        return figures


def test_sessions_are_counted_by_dialect() -> None:
    house = House()

    def open_sessions() -> list[float | None]:
        return [house.figure("dunena_connections", protocol=one.value) for one in Dialect]

    assert open_sessions() == [0, 0, 0]
    undecided = house.rooms.client()
    dunena = house.rooms.client(Dialect.DUNENA)
    assert open_sessions() == [1, 1, 0]
    undecided.ask({"action": "get", "key": "k"})
    assert open_sessions() == [0, 1, 1]
    for client in (undecided, dunena, dunena):
        client.conversation.close()
    assert open_sessions() == [0, 0, 0]
    dunena.ask({"type": "ping"})
    assert open_sessions() == [0, 0, 0]


def test_messages_are_counted_by_type() -> None:
    house = House()
    client = house.rooms.client(Dialect.OBJECT_STORE)
    message = b'{"action":"get","key":"k"}'
    for _ in range(3):
        house.rooms.telemetry.messages += 1
        if not client.conversation.answer_cached_get(message, house.rooms.now):
            client.say(message)
            client.heard()
    house.rooms.telemetry.messages += 1
    client.ask(b"nonsense")
    labels = {"dialect": "object-store", "type": "get"}
    assert house.figure("dunena_messages_total", **labels) == 3
    assert house.figure("dunena_messages_total", dialect="", type="invalid") == 1
    assert house.figure("dunena_messages_total", dialect="object-store", type="nonsense") is None


def test_an_expired_key_is_counted_once() -> None:
    house = House()
    client = house.rooms.client(Dialect.DUNENA)
    client.ask({"type": "set", "key": "k", "value": "", "ttl": 5})
    house.rooms.now += 6
    house.rooms.engine.reason = "disk full"
    house.rooms.tick.expire()
    house.rooms.tick.end()
    assert house.figure("dunena_expirations_total") == 0, "it could not be kept"
    house.rooms.engine.reason = None
    house.rooms.tick.probe()
    house.rooms.tick.expire()
    house.rooms.tick.end()
    assert house.figure("dunena_expirations_total") == 1


def test_sync_durations_are_a_histogram_in_seconds() -> None:
    house = House()
    for milliseconds in (0.3, 7, 2000):
        house.disk.sync_times.add(milliseconds)
    assert house.figure("dunena_sync_seconds_bucket", le="0.0005") == 1
    assert house.figure("dunena_sync_seconds_bucket", le="0.01") == 2
    assert house.figure("dunena_sync_seconds_bucket", le="1.0") == 2
    assert house.figure("dunena_sync_seconds_bucket", le="+Inf") == 3
    assert house.figure("dunena_sync_seconds_count") == 3
    total = house.figure("dunena_sync_seconds_sum")
    assert total is not None
    assert round(total, 6) == 2.0073


def test_refusals_are_counted_by_cause() -> None:
    house = House()
    causes = ["host", "origin", "token", "wrong-tokens", "rights", "connections"]
    causes += ["bad-request", "limit", "full", "storage", "slow-reader"]
    for cause in causes:
        assert house.figure("dunena_refusals_total", cause=cause) == 0
    house.rooms.client(Dialect.DUNENA).ask({"type": "get", "key": ""})
    house.rooms.telemetry.refused_origins += 2
    assert house.figure("dunena_refusals_total", cause="limit") == 1
    assert house.figure("dunena_refusals_total", cause="origin") == 2


COUNTED = {"hits": 0, "misses": 0, "evictions": 0, "puts": 0, "deletes": 0}


def test_key_operations_are_counted_under_the_original_servers_names() -> None:
    house = House(Limits(entries_max=3, eviction=Eviction.LRU))
    client = house.rooms.client(Dialect.DUNENA)
    assert house.cached() == COUNTED
    for key in "abcd":  # a has to leave
        client.ask({"type": "set", "key": key, "value": "v", "ttl": 5 if key == "d" else 0})
    client.ask({"type": "set", "key": "c", "value": "w"})
    client.ask({"type": "mset", "entries": [{"key": "b", "value": "w"}] * 2})
    client.ask({"type": "mget", "keys": ["a", "b", "c"]})
    for key in ("b", "missing"):
        client.ask({"type": "del", "key": key})
    house.rooms.now += 6
    house.rooms.tick.expire()
    house.rooms.tick.run(lambda _, __: house.rooms.store.clear(), None)
    house.rooms.tick.end()
    wanted = {"hits": 2, "misses": 1, "evictions": 1, "puts": 7, "deletes": 1}
    assert house.cached() == wanted
    assert house.figure("dunena_cache_hit_rate") == 2 / 3
    assert house.figure("dunena_cache_max_entries") == house.stats()["cache"]["maxSize"] == 3


def test_writes_of_a_refused_tick_are_not_counted() -> None:
    house = House(Limits(entries_max=2, eviction=Eviction.LRU))
    client = house.rooms.client(Dialect.DUNENA)
    for key in "ab":
        client.ask({"type": "set", "key": key, "value": "v", "ttl": 5 if key == "a" else 0})
    before = house.cached()
    house.rooms.engine.reason = "disk full"
    client.say({"type": "set", "key": "c", "value": "v"})
    client.say({"type": "del", "key": "b"})

    def flush(_message: None, _now: int) -> None:
        with suppress(WriteRefusedError):  # when it is done once more
            house.rooms.store.clear()

    house.rooms.tick.run(flush, None)
    client.heard()
    assert house.cached() == before == COUNTED | {"puts": 2}


def test_loaded_entries_are_not_counted_as_puts() -> None:
    house, source = House(), Store()
    for number in range(5):
        source.set("", f"k{number}", b"1")
    house.rooms.store.load(list(source.entries()), 1000)
    assert house.cached() == COUNTED
    house.rooms.client(Dialect.DUNENA).ask({"type": "set", "key": "k", "value": "v"})
    assert house.cached() == COUNTED | {"puts": 1}


def test_max_entries_of_an_unlimited_store_is_infinite() -> None:
    house = House()
    assert house.figure("dunena_cache_max_entries") == math.inf
    assert house.stats()["cache"]["maxSize"] == 0


def test_latency_reports_the_quantiles_of_the_original_server() -> None:
    house = House()
    ticks = house.rooms.telemetry.ticks = Histogram()
    for duration in (1, 1, 1, 30):
        ticks.add(duration)
    latency = house.stats()["latency"]
    for share, name in (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")):
        figure = house.figure("dunena_request_latency_ms", quantile=share)
        assert figure == latency[name], name
    assert (latency["p50"], latency["p95"], latency["mean"]) == (1, 30, 8.25)
    assert house.figure("dunena_request_latency_ms_sum") == 33
    assert house.figure("dunena_request_latency_ms_count") == latency["count"] == 4
