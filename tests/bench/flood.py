"""What one stranger can cost everybody: another client's ping and the server's memory under attack.

    python tests/bench/flood.py [--seconds S] [--only WORD] [--checkout DIR] [PROGRAM ...]

Linux. Starts the server of this checkout, of another one, or a program (an executable, or `python
-m dunena` of another installation), anew for each attack (`flood_attacks.py`), which runs in a
process of its own for so many seconds; meanwhile a client asks for a key every few milliseconds.
Everything stays on this machine. Where there are two cores, the server has one of them.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flood_attacks import ATTACKS, FOUND, GET_FRAME, TOKEN, Attack, fill, open_websocket
from speedkit.machine import LOAD_CORE, SERVER_CORE, describe, has_two_cores
from startup import accepts, free_port

ROOT = Path(__file__).resolve().parents[2]
PAUSE_SECONDS = 0.004
WARM_UP = 50


@dataclass
class Result:
    """What others saw of one attack."""

    name: str
    pings_ms: list[float]
    rss_before_mb: float
    rss_peak_mb: float
    log_bytes: int

    def row(self) -> str:
        """A line of the table."""
        pings = sorted(self.pings_ms)
        p99 = pings[min(len(pings) - 1, int(len(pings) * 0.99))]
        return (
            f"| {self.name} | {statistics.median(pings):.1f} | {p99:.1f} | {pings[-1]:.1f} |"
            f" {self.rss_before_mb:.0f} | {self.rss_peak_mb:.0f} | {self.log_bytes / 1000:.0f} |"
        )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", default="", help="attacks with this word in their name")
    parser.add_argument("--checkout", type=Path, default=ROOT)
    parser.add_argument("program", nargs="*", default=[sys.executable, "-m", "dunena"])
    options = parser.parse_args()
    prefer(0)
    print(f"{describe()}; {options.seconds:g} s each\n")
    print("| attack | p50, ms | p99, ms | max, ms | MB before | MB at most | log, KB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for attack in ATTACKS:
        if options.only in attack.name:
            result = measure(attack, options.program, options.checkout, options.seconds)
            print(result.row(), flush=True)


def measure(attack: Attack, program: list[str], checkout: Path, seconds: float) -> Result:
    """One attack on a server of its own."""
    port = free_port()
    words = [*program, "serve", "--port", str(port), "--token", TOKEN, *attack.options]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb+") as log:
        server = subprocess.Popen(
            [*words, "--cache-dir", folder], cwd=checkout, stdout=subprocess.DEVNULL, stderr=log
        )
        pin(server.pid, SERVER_CORE)
        prefer(server.pid)
        try:
            while not accepts(port):
                time.sleep(0.01)
            fill(port, attack)
            pings, before = under_attack(attack, port, server.pid, seconds)
            peak = memory_mb(server.pid, "VmHWM")
        finally:
            server.kill()
            server.wait()
        return Result(attack.name, pings, before, peak, os.fstat(log.fileno()).st_size)


def under_attack(
    attack: Attack, port: int, server: int, seconds: float
) -> tuple[list[float], float]:
    """Times of another client's requests, in ms, and the memory before."""
    with open_websocket(port) as client:
        for _ in range(WARM_UP):
            ping(client)
        before = memory_mb(server, "VmRSS")
        with suppress(PermissionError):
            Path(f"/proc/{server}/clear_refs").write_text("5", "ascii")  # the peak begins here
        words = [sys.executable, str(Path(__file__).with_name("flood_attacks.py"))]
        attacker = subprocess.Popen(
            [*words, attack.name, str(port), str(seconds)], stdout=subprocess.PIPE
        )
        pin(attacker.pid, LOAD_CORE)
        assert attacker.stdout is not None
        attacker.stdout.readline()  # it is about to begin
        pings = []
        try:
            while attacker.poll() is None:
                pings.append(ping(client))
                time.sleep(PAUSE_SECONDS)
        finally:
            attacker.kill()
            attacker.wait()
    return pings, before


def ping(client: socket.socket) -> float:
    """One request and its reply, in ms."""
    began = time.perf_counter()
    client.sendall(GET_FRAME)
    left = len(FOUND)
    while left:
        data = client.recv(left)
        if not data:
            sys.exit("the server ended the connection of a client that did nothing wrong")
        left -= len(data)
    return (time.perf_counter() - began) * 1000


def pin(process: int, core: int) -> None:
    """Keep a process to one core, where there are two."""
    if has_two_cores():
        os.sched_setaffinity(process, {core})


def prefer(process: int) -> None:
    """Before what else the machine does, where that is permitted."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, process, -10)


def memory_mb(process: int, field: str) -> float:
    """A figure of /proc/PID/status."""
    for line in Path(f"/proc/{process}/status").read_text("ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


if __name__ == "__main__":
    main()
