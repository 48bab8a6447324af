"""What the server says of the place where values are kept."""

import orjson
import pytest

from dunena.dialects.core import Core
from dunena.hub import Hub
from dunena.persistence.interface import Damage, DamageKind, Watching, WatchState
from dunena.persistence.memory import MemoryEngine
from dunena.server.introspection import Introspection
from dunena.server.metrics import Metrics
from dunena.settings import Settings
from dunena.store.store import Store
from dunena.telemetry import Telemetry


class TroubledEngine(MemoryEngine):
    """Says what a test wants to hear."""

    failure: str | None = None
    damaged: tuple[Damage, ...] = ()
    watched = Watching(WatchState.WATCHING)

    @property
    def watching(self) -> Watching:
        return self.watched

    @property
    def files_behind(self) -> int:
        return 3

    @property
    def files_failure(self) -> str | None:
        return self.failure

    @property
    def journal_bytes(self) -> int:
        return 1234

    @property
    def slow_syncs(self) -> int:
        return 2

    def damages(self) -> list[Damage]:
        return list(self.damaged)


@pytest.fixture
def engine() -> TroubledEngine:
    return TroubledEngine()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(started_at_ms=0)


@pytest.fixture
def introspection(engine: TroubledEngine, telemetry: Telemetry) -> Introspection:
    return Introspection(Core(Store(), Hub()), Settings(), engine, telemetry)


def test_files_that_are_only_behind_are_healthy(introspection: Introspection) -> None:
    response = introspection.health(0)
    assert response.status == 200
    body = orjson.loads(response.body)
    assert body["status"] == "healthy"
    assert body["checks"]["files"] == {"status": "healthy"}


def test_files_that_cannot_be_written_degrade_it(
    introspection: Introspection, engine: TroubledEngine
) -> None:
    engine.failure = "k.json: is a directory"
    response = introspection.health(0)
    assert response.status == 200
    body = orjson.loads(response.body)
    assert body["status"] == "degraded"
    assert body["checks"]["storage"] == {"status": "healthy"}
    files = {"status": "degraded", "reason": "k.json: is a directory", "behind": 3}
    assert body["checks"]["files"] == files
    assert introspection.ready(0).status == 200


def test_damage_and_refused_changes_are_told_apart(
    introspection: Introspection, engine: TroubledEngine, telemetry: Telemetry
) -> None:
    engine.damaged = (Damage("half.json", "line 1"),)
    telemetry.storage_failure = "no space left on device"
    response = introspection.health(0)
    assert response.status == 503
    body = orjson.loads(response.body)
    assert body["status"] == "unhealthy"
    assert body["checks"]["files"]["status"] == "degraded"
    assert body["checks"]["files"]["count"] == 1
    assert introspection.ready(0).status == 503


def test_journal_and_files_are_in_the_figures(
    introspection: Introspection, engine: TroubledEngine, telemetry: Telemetry
) -> None:
    storage = orjson.loads(introspection.stats(0).body)["storage"]
    assert storage == {"journalBytes": 1234, "filesBehind": 3, "slowSyncs": 2, "failures": 0}
    metrics = Metrics(Core(Store(), Hub()), engine, telemetry)
    text = metrics.respond(0).body.decode()
    assert "dunena_journal_bytes 1234.0" in text
    assert "dunena_files_behind 3.0" in text
    assert "dunena_files_failing 0.0" in text
    assert "dunena_slow_syncs_total 2.0" in text
    engine.failure = "read-only file system"
    assert "dunena_files_failing 1.0" in metrics.respond(0).body.decode()


@pytest.mark.parametrize("state", WatchState)
def test_hand_edits_that_are_not_seen_degrade_it(
    introspection: Introspection, engine: TroubledEngine, state: WatchState
) -> None:
    engine.watched = Watching(state, "a reason", 3)
    is_blind = state in {WatchState.CATCHING_UP, WatchState.FAILING}
    status = "degraded" if is_blind else "healthy"
    response = introspection.health(0)
    assert response.status == 200
    body = orjson.loads(response.body)
    assert body["status"] == status
    check = {"status": status, "state": state.value, "reason": "a reason"}
    assert body["checks"]["watch"] == check
    text = Metrics(Core(Store(), Hub()), engine, Telemetry(started_at_ms=0)).respond(0).body
    assert f'dunena_watch{{state="{state.value}"}} 1.0' in text.decode()
    assert "dunena_watch_misses_total 3.0" in text.decode()


def test_a_path_that_is_no_text_is_escaped(
    introspection: Introspection, engine: TroubledEngine
) -> None:
    engine.damaged = (Damage("k\udcff\n\u202e.json", "odd", DamageKind.NAME),)
    (one,) = orjson.loads(introspection.health(0).body)["checks"]["files"]["damaged"]
    assert one == {"path": "k\\xff\\n\\u202e.json", "reason": "odd"}
