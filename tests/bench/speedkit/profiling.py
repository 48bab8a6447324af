"""Where dunena's time goes in a workload: py-spy beside a run, its samples as a table."""

import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import contenders, load, programs
from .contenders import Running
from .machine import LOAD_CORE, connections_max, started_on
from .phrases import Talk
from .report import number, table
from .rounds import measure
from .workloads import CPU, Workload

SAMPLES_PER_SECOND = 500
LOAD_SECONDS = 600
"""Longer than the profiler records, which takes its time to start; the load is then ended."""
ROWS_MAX = 40


def profile(program: Path, workload: Workload, seconds: float, keep_as: Path | None) -> str:
    """A table of functions; ``keep_as`` gets the samples for https://speedscope.app.

    One run without the profiler says what an operation costs, another one with it how that is
    shared out. Raises `NotHereError` without py-spy, `LoadError` and `RuntimeError`.
    """
    spy = programs.py_spy()
    contender = contenders.dunena()
    talk = contender.talk(workload)
    plain = measure(program, contender, workload, seconds)
    with tempfile.TemporaryDirectory() as folder, contender.running(keeps=workload.keeps) as server:
        samples = Path(folder) / "samples.json"
        _record(spy, samples, program, server, workload, talk, seconds)
        if keep_as is not None:
            shutil.copyfile(samples, keep_as)
        recorded = json.loads(samples.read_text(encoding="utf-8"))
    return _report(workload, plain[CPU.field], recorded)


def shares(recorded: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Functions of a speedscope file by their own time: name, own share, share with callees."""
    frames = recorded["shared"]["frames"]
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for part in recorded["profiles"]:
        for stack, weight in zip(part["samples"], part["weights"], strict=True):
            names = [_frame_name(frames[index]) for index in stack]
            if not names:
                continue
            own[names[-1]] += weight
            for name in set(names):
                whole[name] += weight
    total = own.total()
    rows = [(name, own[name] / total, whole[name] / total) for name in whole]
    return sorted(rows, key=lambda row: row[1:], reverse=True)


def _frame_name(frame: Mapping[str, Any]) -> str:
    file = str(frame.get("file") or "")
    parts = Path(file).parts
    place = "/".join(parts[-2:]) if parts else ""
    return f"{frame['name']} ({place})" if place else str(frame["name"])


def _record(
    spy: str,
    samples: Path,
    program: Path,
    server: Running,
    workload: Workload,
    talk: Talk,
    seconds: float,
) -> None:
    connections = connections_max(workload.connections)
    driving = load.start(
        program, server, workload, talk, seconds=LOAD_SECONDS, connections=connections
    )
    try:
        assert driving.stderr is not None, "it is a pipe"
        said = driving.stderr.readline()
        if said != load.MEASURING:
            raise load.LoadError(load.reason(said))
        _sample(spy, server.pid, samples, seconds)
    finally:
        load.stop(driving)


def _sample(spy: str, pid: int, samples: Path, seconds: float) -> None:
    command = [spy, "record", "--pid", str(pid), "--duration", str(max(1, round(seconds)))]
    command += ["--rate", str(SAMPLES_PER_SECOND), "--format", "speedscope", "--function"]
    command += ["--native", "--output", str(samples)]
    with started_on(LOAD_CORE):
        recording = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    said, _ = recording.communicate()
    if recording.returncode or not samples.exists():
        last = (said.strip().splitlines() or ["nothing"])[-1]
        raise RuntimeError(f"py-spy says: {last}")


def _report(workload: Workload, cpu_us: float, recorded: Mapping[str, Any]) -> str:
    rows: list[Sequence[str]] = [
        [f"`{name}`", number(own * 100, 1), number(own * cpu_us, 2), number(whole * 100, 1)]
        for name, own, whole in shares(recorded)[:ROWS_MAX]
    ]
    head = f"### {workload.title}: {cpu_us:.2f} us of CPU each\n"
    return f"{head}\n{table(['function', '% own', 'us own', '% with callees'], rows)}"
