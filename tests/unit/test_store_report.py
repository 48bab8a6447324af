"""What the reports say of a store that a server shares with others."""

from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dunena.dialects.grants import NOTHING
from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.persistence.log import LogFigures, LogState, LogStatus
from dunena.persistence.memory import MemoryEngine
from dunena.persistence.policy import StoreSettings
from dunena.server.http.message import Response
from dunena.server.status.figures import Figures
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.settings import Settings
from dunena.store.store import Store
from dunena.telemetry import Telemetry
from tests.support.prepared import text_of
from tests.support.sessions import sessions
from tests.support.stub_log import StubLog

SETTINGS = Settings(store=StoreSettings(("nats://n1:4222",), "show", password="geheim"))


class House:
    """The reports of a server with a shared store."""

    def __init__(self, log: StubLog | None) -> None:
        self.store = Store()
        services = Services(self.store, self.store, Hub())
        self.figures = Figures(
            services,
            MemoryEngine(),
            None,
            Telemetry(started_at_ms=0),
            sessions(),
            log=log,
            clock_ms=None if log is None else lambda: 61_500,
        )
        self.reports = Introspection(self.figures, SETTINGS if log else Settings())

    def info(self) -> dict[str, Any]:
        return self.read(self.reports.info(0, self.store))

    def metrics(self) -> dict[str, float]:
        text = text_of(Metrics(self.figures).respond(0))
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @staticmethod
    def read(response: Response) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads(response.body)
        return body


@pytest.fixture
def log() -> StubLog:
    return StubLog()


@pytest.fixture
def house(log: StubLog) -> House:
    return House(log)


def test_info_names_bucket_nodes_and_limits(house: House, log: StubLog) -> None:
    log.status = LogStatus(LogState.READY, behind=3, nodes=("a1", "b2"))
    house.store.load([], 4711)
    info = house.info()
    assert info["store"] == {
        "kind": "nats",
        "bucket": "show",
        "node": "a1",
        "nodes": ["a1", "b2"],
        "rev": house.store.revision,
        "behind": 3,
        "maxChanges": 998,
        "maxChangesBytes": 4 * 1024 * 1024,
    }
    assert info["persistent"] is True
    assert info["settings"]["store"] == ["nats://n1:4222"]
    assert "geheim" not in str(info)


@pytest.mark.parametrize(("log_max", "told"), [(0, 4194304), (1_000, 1_000), (9_000_000, 4194304)])
def test_info_names_the_smaller_limit_of_a_value(
    log_max: int, told: int, house: House, log: StubLog
) -> None:
    log.value_bytes_max = log_max
    assert house.info()["maxValueBytes"] == told


def test_a_server_of_its_own_says_nothing_of_a_shared_store() -> None:
    house = House(None)
    assert "store" not in house.info()
    assert "store" not in house.read(house.reports.stats(0))
    assert "store" not in house.read(house.reports.health(0))["checks"]
    assert house.metrics()["dunena_store_nodes"] == 0


def test_the_uptime_is_by_the_clock_of_the_machine_and_not_the_log(house: House) -> None:
    assert house.info()["uptime"] == 61
    body = house.read(house.reports.health(0))
    assert (body["uptime"], body["timestamp"]) == (61, 61_500)


def test_health_is_healthy_while_the_store_answers(house: House) -> None:
    response = house.reports.health(0)
    assert response.status == 200
    body = house.read(response)
    assert body["status"] == "healthy"
    assert body["checks"]["store"] == {"status": "healthy", "connected": True, "staleMs": 0}
    assert house.reports.ready(0).status == 200


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (LogStatus(LogState.READY, is_connected=True), 200, "healthy"),
        (LogStatus(LogState.STALE, stale_ms=2_999, is_connected=True), 200, "degraded"),
        (LogStatus(LogState.STALE, stale_ms=3_000, is_connected=True), 503, "unhealthy"),
        (LogStatus(LogState.STALE, stale_ms=3_600_000), 503, "unhealthy"),
        (LogStatus(LogState.STARTING), 503, "unhealthy"),
        (LogStatus(LogState.STARTING, is_connected=True), 503, "unhealthy"),
        (LogStatus(LogState.READY, is_connected=True, refusal="full"), 503, "unhealthy"),
        (LogStatus(LogState.READY, is_connected=True, warning="max_age"), 200, "degraded"),
    ],
)
def test_health_and_ready_are_503_after_three_seconds_and_until_all_is_loaded(
    status: LogStatus, code: int, word: str, house: House, log: StubLog
) -> None:
    log.status = status
    assert house.reports.ready(0).status == house.reports.health(0).status == code
    body = house.read(house.reports.health(0))
    assert body["status"] == body["checks"]["store"]["status"] == word
    assert body["checks"]["store"]["staleMs"] == status.stale_ms
    assert house.reports.live(0).status == 200
    assert house.metrics()["dunena_storage_failing"] == (code == 503)


def test_health_says_why_the_store_does_not_answer_to_who_has_rights(
    house: House, log: StubLog
) -> None:
    log.status = LogStatus(LogState.STALE, stale_ms=12_345, reason="no servers available")
    body = house.read(house.reports.health(0))
    assert body["checks"]["store"] == {
        "status": "unhealthy",
        "connected": False,
        "staleMs": 12_345,
        "reason": "no servers available",
    }
    reason = "the store has not answered for 12 s: no servers available"
    assert body["checks"]["storage"] == {"status": "unhealthy", "reason": reason}
    assert house.read(house.reports.ready(0)) == {"status": "failing", "reason": reason}
    assert house.read(house.reports.ready(0, NOTHING)) == {"status": "failing"}
    assert house.read(house.reports.health(0, NOTHING)) == {"status": "unhealthy"}


def test_health_says_that_the_store_is_full(house: House, log: StubLog) -> None:
    log.status = LogStatus(LogState.READY, is_connected=True, refusal="maximum bytes exceeded")
    body = house.read(house.reports.health(0))
    assert body["checks"]["store"] == {
        "status": "unhealthy",
        "connected": True,
        "staleMs": 0,
        "reason": "maximum bytes exceeded",
    }
    reason = "the store refuses changes: maximum bytes exceeded"
    assert body["checks"]["storage"] == {"status": "unhealthy", "reason": reason}


def test_health_says_what_endangers_the_store(house: House, log: StubLog) -> None:
    log.status = LogStatus(LogState.READY, is_connected=True, warning="max_age is 1")
    body = house.read(house.reports.health(0))
    assert body["checks"]["store"] == {
        "status": "degraded",
        "connected": True,
        "staleMs": 0,
        "reason": "max_age is 1",
    }
    assert body["checks"]["storage"] == {"status": "healthy"}
    assert house.reports.ready(0).status == 200
    assert house.metrics()["dunena_store_degraded"] == 1
    log.status = LogStatus(LogState.READY, is_connected=True)
    assert house.metrics()["dunena_store_degraded"] == 0


def test_stats_and_metrics_report_what_the_log_has_counted(house: House, log: StubLog) -> None:
    log.figures = LogFigures(
        batches=1, changes=2, retries=3, conflicts=4, gaps=5, fetched_entries=6, loads=7,
        commit_ms_total=1_500.0, commits=8,
    )  # fmt: skip
    log.status = LogStatus(LogState.STALE, stale_ms=2_500, behind=9, nodes=("a", "b", "c"))
    assert house.read(house.reports.stats(0))["store"] == {
        "batches": 1,
        "changes": 2,
        "retries": 3,
        "conflicts": 4,
        "gaps": 5,
        "fetchedEntries": 6,
        "loads": 7,
        "commits": 8,
        "commitMs": 187.5,
    }
    metrics = house.metrics()
    names = ["batches", "changes", "retries", "conflicts", "gaps", "fetched_entries", "loads"]
    names = [f"{name}_total" for name in names] + ["commits_total", "behind"]
    assert [metrics[f"dunena_store_{name}"] for name in names] == list(range(1, 10))
    assert metrics["dunena_store_commit_seconds_total"] == 1.5
    assert metrics["dunena_store_stale_seconds"] == 2.5
    assert metrics["dunena_store_nodes"] == 3
    assert metrics["dunena_store_connected"] == 0
