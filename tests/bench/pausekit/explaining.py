"""What a server did during its longest pauses: samples of `perf`, by time."""

import re
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.speedkit.machine import LOAD_CORE, started_on
from tests.bench.speedkit.programs import NotHereError

SAMPLES_PER_SECOND = 4000
STOP_SECONDS_MAX = 60
FUNCTIONS_MAX = 14

_HEAD = re.compile(r"^\s*(\d+)\s+(\d+)\.(\d{9}):")
_FRAME = re.compile(r"^\s+[0-9a-f]+\s+(\S+)")


class Sample(NamedTuple):
    """Where a thread was at a time (ns, monotonic): its functions, the innermost first."""

    thread: int
    at_ns: int
    functions: tuple[str, ...]


class Recording:
    """`perf` records a process from now until `stop`. Raises `NotHereError` without it."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._file = folder / "perf.data"
        command = ["perf", "record", "--quiet", "-g", "-k", "CLOCK_MONOTONIC", "-e", "cpu-clock"]
        command += ["-F", str(SAMPLES_PER_SECOND), "-p", str(pid), "-o", str(self._file)]
        try:
            with started_on(LOAD_CORE):
                self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        except OSError:
            raise NotHereError("no perf on the PATH") from None

    def stop(self) -> Iterator[Sample]:
        """End it; yield all samples."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_SECONDS_MAX)
        command = ["perf", "script", "--ns", "-F", "tid,time,ip,sym", "-i", str(self._file)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as script:
            assert script.stdout is not None, "it is a pipe"
            yield from parse(script.stdout)


def parse(lines: Iterable[str]) -> Iterator[Sample]:
    """Read the samples that `perf script` prints."""
    thread = at_ns = 0
    functions: list[str] = []
    for line in lines:
        if head := _HEAD.match(line):
            thread, at_ns = int(head[1]), int(head[2] + head[3])
            functions = []
        elif frame := _FRAME.match(line):
            functions.append(frame[1])
        elif not line.strip() and functions:
            yield Sample(thread, at_ns, tuple(functions))
            functions = []
    if functions:
        yield Sample(thread, at_ns, tuple(functions))


def during(samples: Iterable[Sample], began_ns: float, ended_ns: float, main: int) -> list[str]:
    """Lines that say what each thread did between two times, ``main`` being the loop's thread."""
    own: defaultdict[int, Counter[str]] = defaultdict(Counter)
    whole: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        if began_ns <= sample.at_ns <= ended_ns:
            own[sample.thread][sample.functions[0]] += 1
            whole[sample.thread].update(dict.fromkeys(sample.functions, 1))
    lines = []
    for thread, counts in sorted(whole.items(), key=lambda pair: -own[pair[0]].total()):
        name = "event loop" if thread == main else f"thread {thread}"
        lines.append(f"  {name}: {own[thread].total()} samples")
        lines.append(f"    in    {_most(own[thread])}")
        lines.append(f"    below {_most(counts)}")
    return lines or ["  it was not running"]


def _most(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common(FUNCTIONS_MAX))
