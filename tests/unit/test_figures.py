"""The table of figures holds every counter, and all reports read from it."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dunena.dialects.message_stats import MessageStats
from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.persistence.memory import MemoryEngine
from dunena.server.status.figures import FIGURES, Figure, Figures
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.settings import Settings
from dunena.store.store import Store
from dunena.telemetry import Telemetry
from tests.support.prepared import text_of
from tests.support.sessions import sessions

NOW = 61_500


class House:
    """A server's figures."""

    def __init__(self) -> None:
        self.telemetry = Telemetry(started_at_ms=0)
        self.store = Store()
        self.stats = MessageStats()
        services = Services(self.store, self.store, Hub(), stats=self.stats)
        self.figures = Figures(services, MemoryEngine(), None, self.telemetry, sessions())

    def values(self) -> Iterable[float]:
        """Of every figure of the table."""
        at = self.figures.at(NOW)
        return [at.value(figure.name, figure.label[1]) for figure in FIGURES]


def count_telemetry(house: House, name: str) -> None:
    setattr(house.telemetry, name, 4711)


def count_stats(house: House, name: str) -> None:
    setattr(house.stats, name, 4711)


def counters_of(counted: object) -> list[str]:
    # Not by the slots: a compiled class has none.
    names = [name for name in dir(counted) if not name.startswith("_")]
    return [name for name in names if type(getattr(counted, name)) is int]


COUNTED = [(count_telemetry, name) for name in counters_of(Telemetry(0)) if name != "started_at_ms"]
# Those that were known by their bytes are among the messages by type.
BY_BYTES = ("cached_gets", "plain_sets")
COUNTED += [(count_stats, name) for name in counters_of(MessageStats()) if name not in BY_BYTES]


@pytest.mark.parametrize(("count", "name"), COUNTED)
def test_every_counter_is_in_the_table_once(count: Callable[[House, str], None], name: str) -> None:
    house = House()
    assert 4711 not in house.values()
    count(house, name)
    assert Counter(house.values())[4711] == 1


def test_every_figure_has_a_unique_name_and_label() -> None:
    names = Counter((figure.name, figure.label[1]) for figure in FIGURES)
    metrics = Counter((name, one.label[1]) for one in FIGURES for name in one.metrics)
    assert set(names.values()) == set(metrics.values()) == {1}


def test_figures_with_the_same_name_have_the_same_kind() -> None:
    kinds: dict[str, set[Any]] = {}
    for figure in FIGURES:
        kinds.setdefault(figure.name, set()).add((figure.kind, figure.text, figure.label[0]))
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda one: f"{one.name}{one.label[1]}")
def test_every_figure_is_in_the_metrics_under_its_names(figure: Figure) -> None:
    house = House()
    for number, name in enumerate(counters_of(house.telemetry), start=100):
        if name != "started_at_ms":
            setattr(house.telemetry, name, number)
    house.telemetry.storage_failure = "disk full"
    text = text_of(Metrics(house.figures).respond(NOW))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    label, what = figure.label
    for name in figure.metrics:
        family = families[f"dunena_{name}"]
        assert (family.type, family.documentation) == (figure.kind, figure.text)
        (value,) = [
            sample.value
            for sample in family.samples
            if sample.labels == ({label: what} if label else {})
        ]
        assert value == house.figures.at(NOW).value(figure.name, what)


def test_stats_and_info_report_the_figures_of_the_table() -> None:
    house = House()
    for number, name in enumerate(counters_of(house.telemetry), start=100):
        if name != "started_at_ms":
            setattr(house.telemetry, name, number)
    house.store.set("", "k", b"1")
    house.store.get("", "k", 0)
    at = house.figures.at(NOW)
    said = Introspection(house.figures, Settings())
    stats = orjson.loads(said.stats(NOW).body)
    info = orjson.loads(said.info(NOW, house.store).body)
    for value, wanted in (
        (stats["cache"]["hits"], at.value("hits")),
        (stats["cache"]["changes"], at.value("changes")),
        (stats["storage"]["failures"], at.value("refusals", "storage")),
        (stats["messages"], at.value("messages")),
        (stats["httpRequests"], at.value("http_requests")),
        (info["refusedOrigins"], at.value("refusals", "origin")),
        (info["connections"], at.value("websocket_connections")),
        (info["entries"], at.value("entries")),
        (info["uptime"], 61),
    ):
        assert value == wanted > 0
        assert type(value) is int


def test_an_unknown_figure_raises_key_error() -> None:
    with pytest.raises(KeyError):
        House().figures.at(NOW).value("no-such")
