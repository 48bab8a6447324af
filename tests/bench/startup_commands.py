"""How long a command takes that asks a server one thing and ends.

    python tests/bench/startup_commands.py [--runs N]

Compares each with an interpreter that imports asyncio and nothing else: what a client of the usual
kind costs before its first line. They take turns, so that whatever else the machine does meets all
of them, and the first turn does not count.
"""

import argparse
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = 25
BARE = "python -c 'import asyncio'"

_DUNENA = [sys.executable, "-m", "dunena"]


def measured(url: str) -> dict[str, list[str]]:
    """What is compared, by name; the bare interpreter first."""
    commands = {BARE: [sys.executable, "-c", "import asyncio"]}
    commands["dunena version"] = [*_DUNENA, "version"]
    for words in ("set k 1", "get k", "mset k=1 l=2", "mget k l", "keys", "del l"):
        commands[f"dunena {words}"] = [*_DUNENA, *words.split(), "--url", url]
    return commands


def measure(command: list[str]) -> float:
    """One run, from its start to its end, in milliseconds."""
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return (time.perf_counter() - began) * 1000


def url_of(server: "subprocess.Popen[str]") -> str:
    """Where a server that was just started says it is."""
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"http://[^/\s]+", line)
        if found is not None:
            return found[0]
    sys.exit(f"the server ended with {server.wait()}")


def report(name: str, times: list[float], bare: float) -> str:
    """A row of the table."""
    median = statistics.median(times)
    return f"| {name} | {min(times):.0f} | {median:.0f} | {median / bare:.2f} |"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    asked = parser.parse_args()
    serve = [*_DUNENA, "serve", "--port", "0", "--no-persist"]
    with subprocess.Popen(serve, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            commands = measured(url_of(server))
            times: dict[str, list[float]] = {name: [] for name in commands}
            for _ in range(asked.runs + 1):
                for name, command in commands.items():
                    times[name].append(measure(command))
        finally:
            server.terminate()
    bare = statistics.median(times[BARE][1:])
    lines = [f"{platform.platform()}, Python {platform.python_version()}, {asked.runs} runs", ""]
    lines.append("| command | fastest ms | median ms | times the first |")
    lines.append("| --- | ---: | ---: | ---: |")
    lines += [report(name, taken[1:], bare) for name, taken in times.items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
