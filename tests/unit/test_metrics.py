"""The figures of `/metrics`."""

from prometheus_client.parser import text_string_to_metric_families

from dunena.dialects.dialect import Dialect
from dunena.histogram import Histogram
from dunena.persistence.memory import MemoryEngine
from dunena.server.metrics import Metrics
from tests.support.rooms import Rooms


class SyncedEngine(MemoryEngine):
    """Has forced something to the device."""

    def __init__(self) -> None:
        self.times = Histogram()

    @property
    def sync_times(self) -> Histogram:
        return self.times


class House:
    def __init__(self) -> None:
        self.rooms = Rooms()
        self.engine = SyncedEngine()
        self.metrics = Metrics(self.rooms.core, self.engine, self.rooms.telemetry)

    def figure(self, name: str, **labels: str) -> float | None:
        """One figure, by its name as it stands there; None if there is none."""
        text = self.metrics.respond(self.rooms.now).body.decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None


def test_sessions_are_counted_by_what_they_speak() -> None:
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
        client.session.close()
    assert open_sessions() == [0, 0, 0]
    dunena.ask({"type": "ping"})
    assert open_sessions() == [0, 0, 0]


def test_messages_are_counted_by_type() -> None:
    house = House()
    client = house.rooms.client(Dialect.OBJECT_STORE)
    message = b'{"action":"get","key":"k"}'
    for _ in range(3):
        house.rooms.telemetry.messages += 1
        if not client.session.recall(message, house.rooms.now):
            client.say(message)
            client.heard()
    house.rooms.telemetry.messages += 1
    client.ask(b"nonsense")
    labels = {"dialect": "object-store", "type": "get"}
    assert house.figure("dunena_messages_total", **labels) == 3
    assert house.figure("dunena_messages_total", dialect="", type="invalid") == 1
    assert house.figure("dunena_messages_total", dialect="object-store", type="nonsense") is None


def test_what_expired_is_counted_once() -> None:
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


def test_syncs_are_a_histogram_in_seconds() -> None:
    house = House()
    for milliseconds in (0.3, 7, 2000):
        house.engine.times.add(milliseconds)
    assert house.figure("dunena_sync_seconds_bucket", le="0.0005") == 1
    assert house.figure("dunena_sync_seconds_bucket", le="0.01") == 2
    assert house.figure("dunena_sync_seconds_bucket", le="1.0") == 2
    assert house.figure("dunena_sync_seconds_bucket", le="+Inf") == 3
    assert house.figure("dunena_sync_seconds_count") == 3
    total = house.figure("dunena_sync_seconds_sum")
    assert total is not None
    assert round(total, 6) == 2.0073


def test_refusals_have_a_cause() -> None:
    house = House()
    causes = ["host", "origin", "token", "wrong-tokens", "rights", "connections"]
    causes += ["bad-request", "limit", "full", "storage", "slow-reader"]
    for cause in causes:
        assert house.figure("dunena_refusals_total", cause=cause) == 0
    house.rooms.client(Dialect.DUNENA).ask({"type": "get", "key": ""})
    house.rooms.telemetry.refused_origins += 2
    assert house.figure("dunena_refusals_total", cause="limit") == 1
    assert house.figure("dunena_refusals_total", cause="origin") == 2
