"""How long a server with many keys makes a client wait: its pauses, beside those of others.

    python -m tests.bench.pauses [--minutes N] [--keys N] [--rate N] [--beside N] [--json FILE]
        [--variant NAME=PYTHON[,VARIABLE=VALUE...]] [--explain]

A server with a folder has core 0; on core 1 a load (`pausekit/load.py`) changes its keys, follows
them and asks for figures. A prober on core 1 sends a small `get` each millisecond and times the
answer. A pause is an answer that took more than a millisecond. Beside it witnesses sleep on both
cores until each next millisecond: a pause during which they woke late for at least half of its
time is the machine's own, as other guests of its processor or the kernel took the core. Before,
other servers are probed for ``--beside`` seconds each, while keys are set at the same rate. Ctrl+C
ends the run early; it reports what it has. Needs Linux, two cores and a C compiler.

``--explain`` says what the server did during its longest pauses (`perf` must be installed; it takes
some of the server's time). ``--variant`` measures an installed dunena instead of this checkout.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from .pausekit.explaining import Recording, during
from .pausekit.probes import Late, Prober, ProberError, Waits, build, without_stolen
from .speedkit import contenders
from .speedkit.console import refuse, say
from .speedkit.contenders import Contender, Running
from .speedkit.machine import LOAD_CORE, SERVER_CORE, has_two_cores, started_on
from .speedkit.past import KEYS_PER_MESSAGE, store
from .speedkit.programs import ROOT, NotHereError

BOUNDS_MS = (1, 2, 5, 10)
EXPLAINED_MAX = 12

PROBE = '{"action":"get","key":"probe"}'
PROBED = '{"action":"set","key":"probe","value":1}'


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table; the exit code."""
    given = _parser().parse_args(arguments)
    if not has_two_cores():
        return refuse(
            "pauses.py", "it needs Linux and two cores: one for the server, one for the load"
        )
    own = contenders.variant(given.variant) if given.variant else contenders.dunena()
    results: dict[str, Any] = {}
    is_over = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: is_over.set())
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = build(Path(folder))
            say(f"| server | seconds | {_heads()} | longest ms | p99 us | the machine's |")
            say("| --- |" + " ---: |" * (len(BOUNDS_MS) + 4))
            beside = [contenders.bun(None), contenders.stock()] if given.beside else []
            for other in beside:
                results[other.name] = _measure(program, other, given, given.beside, is_over)
            explained_in = Path(folder) if given.explain else None
            results[own.name] = _measure(
                program, own, given, given.minutes * 60, is_over, explained_in
            )
        except (NotHereError, ProberError, RuntimeError) as error:
            return refuse("pauses.py", str(error))
    if given.json:
        given.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pauses.py", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of the measurement")
    parser.add_argument("--keys", type=int, default=100_000, help="that the server has")
    parser.add_argument("--rate", type=int, default=500, help="keys that are set each second")
    parser.add_argument("--beside", type=float, default=5.0, help="seconds for each other server")
    parser.add_argument("--variant", metavar="NAME=PYTHON[,VARIABLE=VALUE...]")
    parser.add_argument("--explain", action="store_true", help="say what the server did meanwhile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all pauses there too")
    return parser


def _measure(
    program: Path,
    contender: Contender,
    given: argparse.Namespace,
    seconds: float,
    is_over: threading.Event,
    explained_in: Path | None = None,
) -> dict[str, Any]:
    """Probe a server under load, print its row and return its figures."""
    is_dunena = contender.keeps
    with contender.running(keeps=is_dunena) as server, ExitStack() as stack:
        _prepare(server, given.keys if is_dunena else 0)
        witnesses = [
            Prober(program, core, ["witness", str(core)]) for core in (SERVER_CORE, LOAD_CORE)
        ]
        prober = Prober(program, LOAD_CORE, ["probe", str(server.port), PROBE])
        load = stack.enter_context(_load(server, given, is_plain=not is_dunena))
        recording = Recording(server.pid, explained_in) if explained_in else None
        before, cpu, memory = _stolen_seconds(), _cpu_seconds(server.pid), _memory_kb(server.pid)
        is_over.wait(seconds)
        after, cpu = _stolen_seconds(), _cpu_seconds(server.pid) - cpu
        waits = prober.stop()
        if load.poll() is not None:
            raise RuntimeError("the load ended early")
        witnessed = [late for witness in witnesses for late in witness.stop().late]
        ours = without_stolen(waits.late, witnessed)
        grown = _memory_kb(server.pid) - memory
        say(row(contender.name, waits, ours))
        if recording is not None:
            _explain(ours, recording, server.pid)
    return {
        "figures": waits.figures,
        "ours": ours,
        "machine's": sorted(set(waits.late) - set(ours)),
        "stolen seconds": after - before,
        "cpu seconds": cpu,
        "grown KB": grown,
    }


def _prepare(server: Running, keys: int) -> None:
    """Store the keys, and the one that is probed."""
    with connect(f"ws://127.0.0.1:{server.port}/ws", compression=None, max_size=None) as client:
        for first in range(0, keys, KEYS_PER_MESSAGE):
            store(client, range(first, min(keys, first + KEYS_PER_MESSAGE)))
        client.send(PROBED)
        client.send(PROBE)
        client.recv()


@contextmanager
def _load(
    server: Running, given: argparse.Namespace, *, is_plain: bool
) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "tests.bench.pausekit.load", str(server.port)]
    command += ["--keys", str(given.keys), "--rate", str(given.rate)]
    with started_on(LOAD_CORE):
        process = subprocess.Popen([*command, *(["--plain"] if is_plain else [])], cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _explain(ours: list[Late], recording: Recording, pid: int) -> None:
    longest = sorted(ours, key=lambda late: -late.us)[:EXPLAINED_MAX]
    samples = [
        sample
        for sample in recording.stop()
        if any(late.began_ns <= sample.at_ns <= late.ended_ns for late in longest)
    ]
    for late in longest:
        say(f"\n{late.us / 1000:.1f} ms at {late.began_ns / 1e9:.3f} s:")
        say("\n".join(during(samples, late.began_ns, late.ended_ns, pid)))


def _heads() -> str:
    return " | ".join(f"over {bound} ms" for bound in BOUNDS_MS)


def row(name: str, waits: Waits, ours: list[Late]) -> str:
    """Make the row of a server; ``ours`` are the waits that are not the machine's."""
    counts = [str(sum(late.us > bound * 1000 for late in ours)) for bound in BOUNDS_MS]
    longest = max((late.us for late in ours), default=waits.figures["p99_us"])
    others = [late.us for late in set(waits.late) - set(ours)]
    machines = f"{len(others)}, longest {max(others, default=0.0) / 1000:.1f} ms"
    cells = [name, f"{waits.figures['count'] / 1000:.0f}", *counts]
    cells += [f"{longest / 1000:.1f}", f"{waits.figures['p99_us']:.0f}", machines]
    return f"| {' | '.join(cells)} |"


def _stolen_seconds() -> float:
    """Time that others took from this machine's processors, of all together."""
    ticks = Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]
    return int(ticks) / 100


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
