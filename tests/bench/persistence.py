"""What keeping values costs: acknowledged sets per second and server CPU per set, beside Redis.

    python tests/bench/persistence.py [--rounds N] [--seconds S] [--keys N]

Linux, with gcc; without a `redis-server` its rows are left out. Servers are pinned to one core and
the load to another; they take turns, so that whatever else the machine does meets all of them.
CPU per set is the figure to compare on a shared machine.
"""

import argparse
import csv
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE, LOAD_CORE = 0, 1
VALUE = "x" * 64
CONNECTIONS = (1, 64)
POLICIES = ("no", "everysec", "always")
START_SECONDS_MAX = 20

MESSAGE = json.dumps({"type": "set", "key": "key:%d", "value": VALUE})
FIRST = json.dumps({"action": "get", "key": "none"})  # it ends the stream of events

Measured = tuple[float, float]
"""Sets per second, microseconds of server CPU per set."""


def main() -> None:
    """Measure all, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--keys", type=int, default=1000, help="how many are written in turn")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        load = Path(folder) / "wsload"
        source = Path(__file__).with_name("wsload.c")
        subprocess.run(["gcc", "-O2", "-o", str(load), str(source)], check=True)
        results: dict[tuple[str, int], list[Measured]] = {}
        for _ in range(given.rounds):
            for name, measured in _round(load, given.seconds, given.keys):
                results.setdefault(name, []).append(measured)
    _print_table(results)


def _round(load: Path, seconds: float, keys: int) -> Iterator[tuple[tuple[str, int], Measured]]:
    for policy in (None, *POLICIES):
        arguments = ["--no-persist"] if policy is None else ["--fsync", policy]
        for connections in CONNECTIONS:
            with _dunena(arguments) as (port, pid):
                name = f"dunena {' '.join(arguments)}"
                yield (name, connections), _load_dunena(load, port, pid, connections, seconds, keys)
    for policy in POLICIES if shutil.which("redis-server") else ():
        for connections in CONNECTIONS:
            with _redis(policy) as (port, pid):
                name = f"redis --appendfsync {policy}"
                yield (name, connections), _load_redis(port, pid, connections, seconds, keys)


# --- servers ---


@contextmanager
def _dunena(arguments: list[str]) -> Iterator[tuple[int, int]]:
    command = [sys.executable, "-m", "dunena", "serve", "--log-level", "error", *arguments]
    with _running(command, "--cache-dir") as server:
        yield server


@contextmanager
def _redis(policy: str) -> Iterator[tuple[int, int]]:
    command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
    command += ["--appendfsync", policy, "--daemonize", "no"]
    with _running(command, "--dir") as server:
        yield server


@contextmanager
def _running(command: list[str], folder_option: str) -> Iterator[tuple[int, int]]:
    """A server on a free port and in a folder of its own; port and process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    # Beside the source: a folder for temporary files may be in memory.
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder:
        pinned = ["taskset", "-c", str(SERVER_CORE)]
        process = subprocess.Popen(
            [*pinned, *command, "--port", str(port), folder_option, folder],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError("the server does not answer")


# --- load ---


def _load_dunena(
    load: Path, port: int, pid: int, connections: int, seconds: float, keys: int
) -> Measured:
    command = [str(load), "-p", str(port), "-P", str(pid), "-c", str(connections)]
    command += ["-t", str(seconds), "-k", str(keys), "-g", "2", "-f", FIRST, MESSAGE]
    result = json.loads(_loading(command))
    return result["ops_s"], result["cpu_us"]


def _load_redis(port: int, pid: int, connections: int, seconds: float, keys: int) -> Measured:
    """Redis' load generator counts requests, not seconds: a first, short run tells how many."""
    count = 2000
    for _ in range(2):
        command = ["redis-benchmark", "-p", str(port), "-t", "set", "-d", str(len(VALUE))]
        command += ["-r", str(keys), "-c", str(connections), "-n", str(count), "--csv"]
        cpu = _cpu_seconds(pid)
        rows = list(csv.DictReader(_loading(command).splitlines()))
        per_set = (_cpu_seconds(pid) - cpu) / count * 1e6
        rate = float(rows[0]["rps"])
        count = max(1000, int(rate * seconds))
    return rate, per_set


def _loading(command: list[str]) -> str:
    pinned = ["taskset", "-c", str(LOAD_CORE), *command]
    return subprocess.run(pinned, capture_output=True, text=True, check=True).stdout


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- table ---


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _print_table(results: dict[tuple[str, int], list[Measured]]) -> None:
    heads = [f"{n} connection{'s'[: n > 1]}" for n in CONNECTIONS]
    _say("| server | " + " | ".join(f"{head}: sets/s | CPU us/set" for head in heads) + " |")
    _say("| --- |" + " ---: |" * 2 * len(CONNECTIONS))
    for name in dict.fromkeys(name for name, _ in results):
        cells = []
        for connections in CONNECTIONS:
            measured = results[name, connections]
            cells.append(f"{statistics.median(rate for rate, _ in measured):,.0f}")
            cells.append(f"{statistics.median(cpu for _, cpu in measured):.1f}")
        _say(f"| `{name}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
