"""The load generator of the benchmark is built and drives a server briefly.

`tests/bench` itself is run by hand. What is measured there means nothing here; that there is
something to measure, and that every reply was the one expected, is what `wsload` checks.
"""

import os
import select
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.curvekit import starting
from tests.bench.curvekit.curves import CURVES
from tests.bench.speedkit import contenders, load, past
from tests.bench.speedkit.rounds import measure
from tests.bench.speedkit.workloads import BESIDE, CPU, named

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the load generator needs Linux")

SECONDS = 0.2


@pytest.fixture(scope="module")
def wsload(compiler: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The load generator."""
    return load.build(tmp_path_factory.mktemp("wsload"))


@pytest.mark.parametrize(
    "name",
    [
        "get-16x16",
        "fan-out-100-4",
        "set-see-kept",
        "dunena-mget",
        "incr-64x1",
        "txn-10",
        "http-set",
        "http-kv-get",
        "http-kv-put",
    ],
)
def test_the_load_generator_measures_a_workload(wsload, name):
    (workload,) = named([name])
    result = measure(wsload, contenders.dunena(), workload, SECONDS)
    assert result["ops"] > 0
    assert result[CPU.field] > 0
    assert result["server_rss_kb"] > 1000
    assert result["replies_per_read"] > 0
    assert result["requests_per_send"] > 0
    assert 0 <= result["steal_percent"] <= 100
    assert 0 <= result["others_percent"] <= 100
    assert 0 < result["p50_us"] <= result["p99_us"] <= result["longest_us"]


@pytest.mark.parametrize("curve", [curve for curve in CURVES if not curve.is_start])
def test_the_load_generator_measures_a_point_of_a_curve(wsload, curve):
    result = measure(wsload, contenders.dunena(), curve.point(curve.xs[1]), SECONDS)
    for picture in curve.pictures:
        assert result[picture.figure.field] > 0


def test_a_start_is_measured_until_the_last_of_the_keys_is_there():
    with starting.folder_of(20) as folder:
        result = starting.measure(contenders.dunena(), folder, 20)
        assert 0 < result["start_ms"] < starting.ANSWER_SECONDS_MAX * 1000
        assert result["server_peak_kb"] >= result["server_rss_kb"] > 1000


def test_a_workload_is_compared_with_the_one_that_it_stands_beside(wsload):
    (workload,) = named(["watch-100-4"])
    few = replace(workload.beside, connections=6)
    result = measure(
        wsload, contenders.dunena(), replace(workload, connections=6, beside=few), SECONDS
    )
    assert result["ops"] > 0
    assert result[BESIDE] > 0


@pytest.mark.parametrize("name", ["resume-0", "resume-100", "resume-10000"])
def test_the_load_generator_resumes_from_a_position(wsload, name):
    (workload,) = named([name])
    few = replace(workload, keys=200, missed=min(workload.missed, 300))
    result = measure(wsload, contenders.dunena(), few, SECONDS)
    assert result["ops"] > 0
    assert result["p50_us"] > 0


def test_a_server_that_does_not_tell_what_was_missed_has_no_figures(wsload, monkeypatch):
    monkeypatch.setattr(past, "store", lambda *_: None)
    (workload,) = named(["resume-100"])
    with pytest.raises(load.LoadError, match="after 100 changes it tells 0 keys"):
        measure(wsload, contenders.dunena(), workload, SECONDS)


def test_of_several_replies_to_a_request_the_last_one_counts(wsload):
    (workload,) = named(["set-see"])
    contender = contenders.dunena()
    set_and_see = contender.talk(workload)
    # The update comes before the answer to the request that made it.
    message = '{"action":"set","key":"own:%c","value":1,"id":1}'
    both = replace(set_and_see, message=message, expected='{"result":', replies=2)
    with contender.running() as server:
        process = load.start(wsload, server, workload, both, seconds=SECONDS, connections=4)
        assert load.finish(process, SECONDS)["ops"] > 0
        single = replace(both, replies=1)
        process = load.start(wsload, server, workload, single, seconds=SECONDS, connections=4)
        with pytest.raises(load.LoadError, match="without"):
            load.finish(process, SECONDS)


def test_the_load_generator_fails_on_unexpected_replies(wsload):
    (workload,) = named(["get-64x1"])
    contender = contenders.dunena()
    talk = contender.talk(workload)
    wrong = replace(talk, expected="abacus")
    with contender.running() as server:
        process = load.start(wsload, server, workload, wrong, seconds=SECONDS, connections=4)
        with pytest.raises(load.LoadError, match="without abacus"):
            load.finish(process, SECONDS)


LAUNCHER = "import subprocess, sys; subprocess.run(sys.argv[1:])"
"""Serves from a child, as an executable of one file does, and passes no signal on to it."""


def test_a_server_that_a_launcher_starts_is_the_one_that_is_measured_and_stopped():
    plain = contenders.dunena()

    def launch(*arguments: object) -> contenders.Launch:
        launched = plain.launch(*arguments)
        return replace(launched, command=[sys.executable, "-c", LAUNCHER, *launched.command])

    with replace(plain, launch=launch).running() as server:
        words = Path(f"/proc/{server.pid}/cmdline").read_bytes().split(b"\0")
        ended = os.pidfd_open(server.pid)
    try:
        assert b"serve" in words
        assert LAUNCHER.encode() not in words
        assert select.select([ended], [], [], 30)[0]
    finally:
        os.close(ended)
