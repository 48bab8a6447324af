"""What TLS costs, on each event loop: server CPU per `get`, with and without it.

    python tests/bench/tls.py [--rounds N] [--seconds S]

Linux and two cores. The load is a Python client, slower than the servers: the figures compare with
each other and with nothing else. ``openssl`` makes the certificate.
"""

import argparse
import asyncio
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from speedkit.machine import LOAD_CORE, SERVER_CORE, describe, started_on
from startup import accepts, free_port
from websockets.frames import Frame, Opcode

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 32
WARM_UP_SECONDS = 0.5
REQUEST = Frame(Opcode.TEXT, b'{"action":"get","key":"score"}').serialize(mask=True)
REPLY_BYTES = 2 + len(b'{"key":"score","value":null}')
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Load(asyncio.Protocol):
    """One connection with ``depth`` requests in flight."""

    replies = 0  # of all of them

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._head = b""
        self._is_open = False
        self._bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._head += data
            if b"\r\n\r\n" in self._head:
                self._is_open = True
                self._transport.write(REQUEST * self._depth)
            return
        self._bytes += len(data)
        count, self._bytes = divmod(self._bytes, REPLY_BYTES)
        Load.replies += count
        self._transport.write(REQUEST * count)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    options = parser.parse_args()
    figures: dict[tuple[int, str, bool], list[float]] = {}
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory() as folder:
        tls = make_certificate(Path(folder))
        runs = [(d, e, t) for d in (1, 16) for e in ("standard", "auto") for t in (False, True)]
        for number in range(options.rounds):
            for run in runs[number % len(runs) :] + runs[: number % len(runs)]:
                figure = measure(*run, tls, options.seconds)
                figures.setdefault(run, []).append(figure)
                print(f"round {number + 1}: {run} {figure:.2f}", file=sys.stderr)
    print(f"{describe()}; medians of {options.rounds} rounds of {options.seconds} s\n")
    print("| `get`, server CPU us | standard loop | + TLS | uvloop | + TLS |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for depth in (1, 16):
        row = [statistics.median(figures[run]) for run in runs if run[0] == depth]
        cells = " | ".join(f"{figure:.2f}" for figure in row)
        print(f"| {CONNECTIONS} connections x {depth} in flight | {cells} |")


def make_certificate(folder: Path) -> list[str]:
    """The options of a server with TLS."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True)
    return ["--tls-cert", str(chain), "--tls-key", str(key)]


def measure(depth: int, event_loop: str, uses_tls: bool, tls: list[str], seconds: float) -> float:
    """Server CPU per request, us."""
    port = free_port()
    command = [sys.executable, "-m", "dunena", "serve", "--no-persist", "--log-level", "error"]
    command += ["--port", str(port), "--event-loop", event_loop, *(tls if uses_tls else [])]
    with started_on(SERVER_CORE):
        server = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
    try:
        while not accepts(port):
            if server.poll() is not None:
                sys.exit(f"the server ended with {server.returncode}")
        return asyncio.run(load(server.pid, port, depth, uses_tls, seconds))
    finally:
        server.terminate()
        server.wait()


async def load(pid: int, port: int, depth: int, uses_tls: bool, seconds: float) -> float:
    """Ask for a while; what each request took of the server, us."""
    context = ssl._create_unverified_context() if uses_tls else None
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Load(depth), "127.0.0.1", port, ssl=context)
    await asyncio.sleep(WARM_UP_SECONDS)
    replies, cpu = Load.replies, cpu_seconds(pid)
    await asyncio.sleep(seconds)
    return (cpu_seconds(pid) - cpu) / (Load.replies - replies) * 1e6


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
