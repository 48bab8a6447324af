"""Health, stats and info of the storage."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft202012Validator

from dunena.dialects.grants import EVERYTHING, NOTHING, Grant, Right
from dunena.dialects.services import Services
from dunena.histogram import Histogram
from dunena.hub import Hub
from dunena.persistence.interface import Damage, DamageKind, Watching, WatchState
from dunena.persistence.log import LogFigures, LogState, LogStatus
from dunena.persistence.memory import MemoryEngine
from dunena.server.http.message import Response
from dunena.server.shortage import Shortage
from dunena.server.status.figures import Figures
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.server.status.status_schemas import HEALTH, INFO, STATS, STATUS
from dunena.settings import Settings
from dunena.store.store import Store
from dunena.telemetry import Telemetry
from tests.support.prepared import text_of
from tests.support.sessions import sessions


class TroubledDisk:
    """The status of a folder that says what a test wants to hear."""

    files_reason: str | None = None
    damaged: tuple[Damage, ...] = ()
    watched = Watching(WatchState.WATCHING)

    def __init__(self) -> None:
        self.sync_times = Histogram()

    @property
    def watching(self) -> Watching:
        return self.watched

    @property
    def files_behind(self) -> int:
        return 3

    @property
    def files_failure(self) -> str | None:
        return self.files_reason

    @property
    def journal_bytes(self) -> int:
        return 1234

    @property
    def slow_syncs(self) -> int:
        return 2

    def damages(self) -> list[Damage]:
        return list(self.damaged)


@pytest.fixture
def disk() -> TroubledDisk:
    return TroubledDisk()


def services() -> Services:
    store = Store()
    return Services(store, store, Hub())


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(started_at_ms=0)


@pytest.fixture
def introspection(disk: TroubledDisk, telemetry: Telemetry) -> Introspection:
    return Introspection(
        Figures(services(), MemoryEngine(), disk, telemetry, sessions()), Settings()
    )


def test_health_is_healthy_while_files_are_only_behind(introspection: Introspection) -> None:
    response = introspection.health(0)
    assert response.status == 200
    body = orjson.loads(response.body)
    assert body["status"] == "healthy"
    assert body["checks"]["files"] == {"status": "healthy"}


def test_health_is_degraded_when_a_file_cannot_be_written(
    introspection: Introspection, disk: TroubledDisk
) -> None:
    disk.files_reason = "k.json: is a directory"
    response = introspection.health(0)
    assert response.status == 200
    body = orjson.loads(response.body)
    assert body["status"] == "degraded"
    assert body["checks"]["storage"] == {"status": "healthy"}
    files = {"status": "degraded", "reason": "k.json: is a directory", "behind": 3}
    assert body["checks"]["files"] == files
    assert introspection.ready(0).status == 200


def test_health_reports_damage_apart_from_refused_changes(
    introspection: Introspection, disk: TroubledDisk, telemetry: Telemetry
) -> None:
    disk.damaged = (Damage("half.json", "line 1"),)
    telemetry.storage_failure = "no space left on device"
    response = introspection.health(0)
    assert response.status == 503
    body = orjson.loads(response.body)
    assert body["status"] == "unhealthy"
    assert body["checks"]["files"]["status"] == "degraded"
    assert body["checks"]["files"]["count"] == 1
    assert introspection.ready(0).status == 503


def test_health_and_ready_report_only_the_status_without_rights(
    introspection: Introspection, disk: TroubledDisk, telemetry: Telemetry
) -> None:
    def told(response: Response) -> tuple[int, dict]:
        return response.status, orjson.loads(response.body)

    assert told(introspection.health(0, NOTHING)) == (200, {"status": "healthy"})
    assert told(introspection.ready(0, NOTHING)) == (200, {"status": "ready"})
    disk.damaged = (Damage("half.json", "line 1"),)
    assert told(introspection.health(0, NOTHING)) == (200, {"status": "degraded"})
    telemetry.storage_failure = "no space left on device"
    assert told(introspection.health(0, NOTHING)) == (503, {"status": "unhealthy"})
    assert told(introspection.ready(0, NOTHING)) == (503, {"status": "failing"})


def test_health_shows_relative_file_names_only_to_permitted_clients(
    disk: TroubledDisk, telemetry: Telemetry, tmp_path: Path
) -> None:
    settings = Settings(cache_dir=tmp_path)
    introspection = Introspection(
        Figures(services(), MemoryEngine(), disk, telemetry, sessions()), settings
    )
    path = tmp_path / "app" / "half.json"
    disk.damaged = (Damage(f"\\\\?\\{path}", f"{path} is a folder"),)
    disk.files_reason = f"{tmp_path / 'k.json'}: is a directory"
    some = Grant("some", frozenset({Right.READ, Right.WRITE}), keys=("a*",))

    def files(grant: Grant) -> dict:
        return orjson.loads(introspection.health(0, grant).body)["checks"]["files"]

    name = str(Path("app") / "half.json")
    for grant in (EVERYTHING, Grant("a", frozenset({Right.ADMIN})), Grant("r", frozenset(Right))):
        assert files(grant)["damaged"] == [{"path": name, "reason": f"{name} is a folder"}]
        assert files(grant)["reason"] == "k.json: is a directory"
    for grant in (some, Grant("w", frozenset({Right.WRITE}))):
        assert files(grant) == {
            "status": "degraded",
            "reason": "a file cannot be written",
            "behind": 3,
            "count": 1,
        }


def test_stats_and_metrics_include_journal_and_file_figures(
    introspection: Introspection, disk: TroubledDisk, telemetry: Telemetry
) -> None:
    storage = orjson.loads(introspection.stats(0).body)["storage"]
    assert storage == {"journalBytes": 1234, "filesBehind": 3, "slowSyncs": 2, "failures": 0}
    metrics = Metrics(Figures(services(), MemoryEngine(), disk, telemetry, sessions()))
    text = text_of(metrics.respond(0))
    assert "dunena_journal_bytes 1234.0" in text
    assert "dunena_files_behind 3.0" in text
    assert "dunena_files_failing 0.0" in text
    assert "dunena_slow_syncs_total 2.0" in text
    disk.files_reason = "read-only file system"
    assert "dunena_files_failing 1.0" in text_of(metrics.respond(0))


@pytest.mark.parametrize("state", WatchState)
def test_health_is_degraded_while_hand_edits_can_be_missed(
    introspection: Introspection, disk: TroubledDisk, state: WatchState
) -> None:
    disk.watched = Watching(state, "a reason", 3)
    is_blind = state in {WatchState.CATCHING_UP, WatchState.FAILING}
    status = "degraded" if is_blind else "healthy"
    response = introspection.health(0)
    assert response.status == 200
    body = orjson.loads(response.body)
    assert body["status"] == status
    check = {"status": status, "state": state.value, "reason": "a reason"}
    assert body["checks"]["watch"] == check
    text = text_of(
        Metrics(Figures(services(), MemoryEngine(), disk, Telemetry(0), sessions())).respond(0)
    ).encode()
    assert f'dunena_watch{{state="{state.value}"}} 1.0' in text.decode()
    assert "dunena_watch_misses_total 3.0" in text.decode()


def test_health_escapes_a_path_that_is_not_utf_8(
    introspection: Introspection, disk: TroubledDisk
) -> None:
    disk.damaged = (Damage("k\udcff\n\u202e.json", "odd", DamageKind.NAME),)
    (one,) = orjson.loads(introspection.health(0).body)["checks"]["files"]["damaged"]
    assert one == {"path": "k\\xff\\n\\u202e.json", "reason": "odd"}


def test_health_is_degraded_while_connections_are_refused(
    disk: TroubledDisk, telemetry: Telemetry
) -> None:
    figures = Figures(services(), MemoryEngine(), disk, telemetry, sessions())
    shortage = Shortage()
    introspection = Introspection(figures, Settings(), shortage=shortage)
    assert orjson.loads(introspection.health(0).body)["status"] == "healthy"
    shortage.tell("no more than 10 connections", "close some")
    response = introspection.health(0)
    assert response.status == 200
    body = orjson.loads(response.body)
    assert body["status"] == "degraded"
    check = {"status": "degraded", "reason": "no more than 10 connections"}
    assert body["checks"]["connections"] == check


def test_a_server_without_a_folder_reports_storage_figures_of_zero() -> None:
    telemetry = Telemetry(started_at_ms=0)
    figures = Figures(services(), MemoryEngine(), None, telemetry, sessions())
    introspection = Introspection(figures, Settings())
    assert MemoryEngine().disk_status is None
    storage = orjson.loads(introspection.stats(0).body)["storage"]
    assert storage == {"journalBytes": 0, "filesBehind": 0, "slowSyncs": 0, "failures": 0}
    assert orjson.loads(introspection.health(0).body)["checks"] == {
        "storage": {"status": "healthy"},
        "files": {"status": "healthy"},
        "watch": {"status": "healthy", "state": "off"},
        "connections": {"status": "healthy"},
        "sessions": {"status": "healthy"},
    }
    text = text_of(Metrics(figures).respond(0))
    names = ["damaged_files", "journal_bytes", "files_behind", "files_failing", "slow_syncs_total"]
    for name in [*names, "watch_misses_total", "sync_seconds_count"]:
        assert f"dunena_{name} 0.0" in text, name
    assert 'dunena_watch{state="off"} 1.0' in text


class TroubledTextFiles:
    failure: str | None = None
    last_error: str | None = None
    written = 7
    failures = 2


def test_text_files_have_a_check_of_their_own_if_there_are_any(disk: TroubledDisk) -> None:
    store = Store()
    services = Services(store, store, Hub())
    figures = Figures(services, MemoryEngine(), disk, Telemetry(0), sessions())
    text_files = TroubledTextFiles()
    without = Introspection(figures, Settings())
    assert "textFiles" not in orjson.loads(without.health(0).body)["checks"]
    assert "textFiles" not in orjson.loads(without.stats(0).body)
    figures = Figures(services, MemoryEngine(), disk, Telemetry(0), sessions(), text_files)
    introspection = Introspection(figures, Settings())
    counts = orjson.loads(introspection.stats(0).body)["textFiles"]
    assert counts == {"written": 7, "failures": 2}
    assert orjson.loads(introspection.health(0).body)["status"] == "healthy"
    text_files.failure = "score.txt: no space left on device"
    health = introspection.health(0)
    assert health.status == 200
    body = orjson.loads(health.body)
    assert body["status"] == "degraded"
    assert body["checks"]["textFiles"] == {"status": "degraded", "reason": text_files.failure}
    assert orjson.loads(introspection.health(0, NOTHING).body) == {"status": "degraded"}
    text_files.failure, text_files.last_error = None, text_files.failure
    check = orjson.loads(introspection.health(0).body)["checks"]["textFiles"]
    assert check == {"status": "healthy", "lastError": text_files.last_error}


def test_the_features_name_get_writes_while_there_is_a_secret(disk: TroubledDisk) -> None:
    store = Store()
    figures = Figures(Services(store, store, Hub()), MemoryEngine(), disk, Telemetry(0), sessions())
    has_secret = [False]
    introspection = Introspection(figures, Settings(), has_get_writes=lambda: has_secret[0])
    features = orjson.loads(introspection.info(0, store).body)["features"]
    assert "getWrites" not in features
    has_secret[0] = True
    named = orjson.loads(introspection.info(0, store).body)["features"]
    assert named == sorted([*features, "getWrites"])


def said(response: Response, schema: dict[str, Any]) -> set[str]:
    """The places of an answer that follows the schema, each of which the schema has to name."""
    body = orjson.loads(response.body)
    Draft202012Validator(schema).validate(body)
    return places(body, schema, "")


def places(value: Any, schema: dict[str, Any], place: str) -> set[str]:
    found = {place}
    members = value.items() if isinstance(value, dict) and "properties" in schema else ()
    for name, member in members:
        assert name in schema["properties"], f"{place}/{name} is not described"
        found |= places(member, schema["properties"][name], f"{place}/{name}")
    for item in value if isinstance(value, list) else ():
        found |= places(item, schema["items"], f"{place}/[]")
    return found


def described(schema: dict[str, Any], place: str = "") -> set[str]:
    found = {place}
    for name, member in schema.get("properties", {}).items():
        found |= described(member, f"{place}/{name}")
    return found | (described(schema["items"], f"{place}/[]") if "items" in schema else set())


def test_every_field_of_the_answers_is_described_and_every_described_one_comes(
    disk: TroubledDisk, telemetry: Telemetry
) -> None:
    """With all troubles at once on a server that has a shared store, and without any of both."""
    here, shortage, text_files = services(), Shortage(), TroubledTextFiles()
    log = SimpleNamespace(
        status=LogStatus(LogState.READY, nodes=("a",), warning="no room"),
        figures=LogFigures(),
        node="a",
        value_bytes_max=None,
    )
    plain = Figures(here, MemoryEngine(), disk, telemetry, sessions())
    full = Figures(here, MemoryEngine(), disk, telemetry, sessions(), text_files, log=log)
    grant = Grant("a", frozenset({Right.READ}), ("a",), channels=("b",))
    stores = []
    for figures in (plain, full):
        one = Introspection(figures, Settings(), addresses=("localhost",), shortage=shortage)
        infos = said(one.info(0, here.store), INFO) | said(one.info(0, here.store, grant), INFO)
        stores.append((infos, said(one.stats(0), STATS), said(one.health(0), HEALTH)))
        said(one.live(0), STATUS)
        disk.files_reason, disk.damaged = "k.json: is a directory", (Damage("a.json", "line 1"),)
        disk.watched = Watching(WatchState.FAILING, "too many")
        text_files.failure = text_files.last_error = "score.txt: no space left on device"
        telemetry.storage_failure = "no space left on device"
    assert said(one.ready(0), STATUS) == described(STATUS)
    infos, stats, health = (one | other for one, other in zip(*stores, strict=True))
    assert stats == described(STATS)
    assert described(HEALTH) - health == {
        "/checks/connections/reason", "/checks/sessions/reason", "/checks/sessions/count",
    }  # fmt: skip
    assert described(INFO) - infos == {"/namespaces/[]"}
