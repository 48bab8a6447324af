"""What a start on many keys costs: seconds and memory, beside a plain loop over the same files.

    python tests/bench/startup_keys.py [--keys N] [--bytes N] [--rounds N]

Linux. Memory is the peak of the process (VmHWM), less that of one on an empty folder.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PLAIN_LOOP = """
import json, os, sys, time
began = time.perf_counter()
values = {}
for item in os.scandir(sys.argv[1]):
    if item.name.endswith(".json"):
        with open(item.path, "rb") as file:
            values[item.name[:-5]] = json.loads(file.read())
print(time.perf_counter() - began)
print(open("/proc/self/status").read())
"""


def main() -> None:
    """Make the files, measure, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keys", type=int, default=100_000)
    options.add_argument("--bytes", type=int, default=200)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as empty:
        nothing = [_start(Path(empty)) for _ in range(given.rounds)]
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder:
        for number in range(given.keys):
            value = {"number": number, "text": "x" * (given.bytes - 40)}
            Path(folder, f"key-{number}.json").write_text(json.dumps(value, indent=2))
        loops, starts = [], []
        for _ in range(given.rounds):
            loops.append(_loop(Path(folder)))
            starts.append(_start(Path(folder)))
    loop = statistics.median(seconds for seconds, _ in loops)
    before = statistics.median(seconds for seconds, _ in nothing)
    start = statistics.median(seconds for seconds, _ in starts)
    grown = statistics.median(kb for _, kb in starts) - statistics.median(kb for _, kb in nothing)
    _say(f"{given.keys} keys of {given.bytes} bytes, medians of {given.rounds}")
    _say(f"plain loop            {loop:.2f} s")
    _say(f"start, empty folder   {before:.2f} s")
    keys = start - before
    _say(f"start                 {start:.2f} s, {keys:.2f} s for the keys: {keys / loop:.2f} loops")
    _say(f"memory                {grown * 1024 / given.keys:.0f} bytes a key at the peak")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _loop(folder: Path) -> tuple[float, int]:
    command = [sys.executable, "-c", PLAIN_LOOP, str(folder)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(output.split("\n", 1)[0]), _peak_kb(output)


def _start(folder: Path) -> tuple[float, int]:
    """Until the banner says that the server answers."""
    command = [sys.executable, "-m", "dunena", "serve", "--port", "0", "--cache-dir", str(folder)]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "Press Ctrl+C" not in process.stdout.readline():
            pass
        seconds = time.perf_counter() - began
        peak = _peak_kb(Path(f"/proc/{process.pid}/status").read_text())
        process.terminate()
        process.stdout.read()
    return seconds, peak


def _peak_kb(status: str) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1))


if __name__ == "__main__":
    main()
