"""The load generator of the benchmark is built and drives a server briefly.

`tests/bench` itself is run by hand. What is measured there means nothing here; that there is
something to measure, and that every reply was the one expected, is what `wsload` checks.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.speedkit import contenders, load
from tests.bench.speedkit.rounds import measure
from tests.bench.speedkit.workloads import CPU, named

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the load generator needs Linux")

SECONDS = 0.2


@pytest.fixture(scope="module")
def wsload(compiler: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The load generator."""
    return load.build(tmp_path_factory.mktemp("wsload"))


@pytest.mark.parametrize(
    "name", ["get-16x16", "fan-out-100-4", "set-see-kept", "dunena-mget", "http-set"]
)
def test_the_load_generator_measures_a_workload(wsload, name):
    (workload,) = named([name])
    result = measure(wsload, contenders.dunena(), workload, SECONDS)
    assert result["ops"] > 0
    assert result[CPU.field] > 0
    assert result["server_rss_kb"] > 1000
    assert 0 < result["p50_us"] <= result["p99_us"] <= result["longest_us"]


def test_the_load_generator_fails_on_unexpected_replies(wsload):
    (workload,) = named(["get-64x1"])
    contender = contenders.dunena()
    talk = contender.talk(workload)
    wrong = replace(talk, expected="abacus")
    with contender.running() as server:
        process = load.start(wsload, server, workload, wrong, seconds=SECONDS, connections=4)
        with pytest.raises(load.LoadError, match="without abacus"):
            load.finish(process, SECONDS)
