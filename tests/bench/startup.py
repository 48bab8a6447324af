"""How long a start takes: from the start of the process to the first accepted connection.

    python tests/bench/startup.py [PROGRAM ...]

Compares `python -m dunena` with the programs named, or with the executable in dist/. They take
turns, so that whatever else the machine does meets all of them, and the first turn does not count.
"""

import argparse
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = 15
POLL_SECONDS = 0.0005


def measure(command: list[str]) -> float:
    """One start, in milliseconds."""
    port = free_port()
    folder = tempfile.mkdtemp(prefix="dunena-bench-")
    words = [*command, "serve", "--port", str(port), "--cache-dir", folder]
    began = time.perf_counter()
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while not accepts(port):
            if process.poll() is not None:
                sys.exit(f"{command[0]} ended with {process.returncode}")
            time.sleep(POLL_SECONDS)
        return (time.perf_counter() - began) * 1000
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def accepts(port: int) -> bool:
    """Whether a connection to the port is accepted."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def built() -> list[Path]:
    """What is in dist/, without the archives."""
    found = sorted((ROOT / "dist").glob("dunena-*"))
    return [path for path in found if path.suffix in ("", ".exe")]


def report(name: str, size: int, times: list[float]) -> str:
    """A row of the table."""
    ordered = sorted(times)
    megabytes = f"{size / 1_000_000:.1f}" if size else "-"
    return (
        f"| {name} | {megabytes} | {ordered[0]:.0f} | {statistics.median(ordered):.0f} "
        f"| {ordered[-1]:.0f} |"
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*", type=Path)
    parser.add_argument("--runs", type=int, default=RUNS)
    asked = parser.parse_args()
    programs = asked.programs or built()
    commands = {"python -m dunena": [sys.executable, "-m", "dunena"]}
    commands |= {str(path): [str(path.resolve())] for path in programs}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(asked.runs + 1):
        for name, command in commands.items():
            times[name].append(measure(command))
    lines = [f"{platform.platform()}, Python {platform.python_version()}, {asked.runs} runs", ""]
    lines.append("| program | MB | fastest ms | median ms | slowest ms |")
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for name in commands:
        size = 0 if name not in map(str, programs) else Path(name).stat().st_size
        lines.append(report(name, size, times[name][1:]))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
