"""What following a key over HTTP costs the server, beside a watch over the WebSocket.

    python -m tests.bench.http_followers [--readers N] [--polls N] [--updates N] [--rounds N]

The server has one core, all readers the other one. Streams and watches take turns, with a new
server each time: the CPU time of a delivery, and the memory of a reader. Then many requests wait
for one key: the CPU time of each when it changes, and the time until the last one is answered.
"""

import argparse
import contextlib
import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path

from .speedkit.machine import LOAD_CORE, SERVER_CORE, connections_max, started_on

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 20
ANSWER_SECONDS_MAX = 60
KEY = "score"
VALUE = b'{"home":%d,"guest":0,"clock":"12:34","name":"a value of about a hundred bytes"}'
OPENED_AT_ONCE = 100
"""Connections that are opened before any is waited for: less than the server's backlog."""

_STREAM = b"GET /watch?key=score HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_POLL = b"GET /watch?key=score&wait=60&since=%b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class MeasuredServer:
    """A server process on its own core, and one connection to ask it on."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self._stat = Path(f"/proc/{process.pid}/stat")
        self._status = Path(f"/proc/{process.pid}/status")
        self._http = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)

    def put(self, number: int) -> str:
        """Store the next value; return its position."""
        return self.put_value(KEY, VALUE % number)

    def put_value(self, key: str, value: bytes) -> str:
        """Store a value (JSON) under a key; return its position."""
        self._http.request("PUT", f"/kv/{key}", value)
        reply = self._http.getresponse()
        reply.read()
        assert reply.status in (201, 204), reply.status
        return reply.headers["ETag"].strip('"')

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of the process up to now."""
        fields = self._stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_bytes(self) -> int:
        """The memory of the process that is not swapped out."""
        line = next(one for one in self._status.read_text().splitlines() if "VmRSS" in one)
        return int(line.split()[1]) * 1024


class Readers:
    """Many connections that read everything; ``heard`` says how many got a text in what they read.

    A text that is cut by the end of a read counts with the next one.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.sockets: list[socket.socket] = []

    def open(self, port: int, count: int, request: bytes, first: bytes) -> None:
        """Open connections, send each a request, and wait for ``first`` in its answer."""
        for begun in range(0, count, OPENED_AT_ONCE):
            opened = []
            for _ in range(min(OPENED_AT_ONCE, count - begun)):
                reader = socket.create_connection(("127.0.0.1", port))
                reader.sendall(request)
                reader.setblocking(False)
                self._selector.register(reader, selectors.EVENT_READ, bytearray())
                opened.append(reader)
            self.sockets += opened
            self.wait_for(first, len(opened))

    def send(self, request: bytes) -> None:
        """Send a request on every connection."""
        for reader in self.sockets:
            reader.sendall(request)

    def wait_for(self, text: bytes, count: int) -> None:
        """Read until ``count`` connections have got ``text``, which they then forget."""
        end = time.monotonic() + ANSWER_SECONDS_MAX
        while count:
            assert time.monotonic() < end, f"{count} readers have not got {text!r}"
            for key, _ in self._selector.select(1):
                reader = key.fileobj
                assert isinstance(reader, socket.socket)
                held: bytearray = key.data
                held += reader.recv(65536)
                if text in held:
                    held.clear()
                    count -= 1

    def close(self) -> None:
        """Close all connections."""
        self._selector.close()
        for reader in self.sockets:
            reader.close()


def follow_stream(readers: Readers, port: int, count: int) -> None:
    """Open event streams of the key."""
    readers.open(port, count, _STREAM, b"\n\n")


def follow_watch(readers: Readers, port: int, count: int) -> None:
    """Open watches of the key over the WebSocket."""
    message = b'{"action":"watch","key":"score"}'
    mask_of_zeros = bytes(4)
    frame = bytes([0x81, 0x80 | len(message)]) + mask_of_zeros + message
    readers.open(port, count, _UPGRADE + frame, b'"changes":[')


Follow = Callable[[Readers, int, int], None]

FOLLOWS: dict[str, Follow] = {
    "watch over the WebSocket": follow_watch,
    "server-sent events": follow_stream,
}


def measure_deliveries(follow: Follow, readers_count: int, updates: int) -> tuple[float, float]:
    """Return the CPU time of a delivery in us, and the memory of a reader in bytes."""
    with running_server() as server, contextlib.closing(Readers()) as readers:
        server.put(0)
        before = server.memory_bytes
        follow(readers, server.port, readers_count)
        memory = (server.memory_bytes - before) / readers_count
        begun = server.cpu_seconds
        for number in range(1, updates + 1):
            server.put(number)
            readers.wait_for(b'"home":%d,' % number, readers_count)
        return (server.cpu_seconds - begun) / updates / readers_count * 1e6, memory


def measure_polls(polls: int, updates: int) -> tuple[float, float]:
    """Return the CPU time of a poll in us, and the time until the last has its answer in ms."""
    took = []
    with running_server() as server, contextlib.closing(Readers()) as readers:
        position = server.put(0)
        readers.open(server.port, polls, _POLL % b"", b'"changes":[')
        begun = server.cpu_seconds
        for number in range(1, updates + 1):
            readers.send(_POLL % position.encode())
            wait_until_held(server, polls)
            changed = time.perf_counter()
            position = server.put(number)
            readers.wait_for(b'"home":%d,' % number, polls)
            took.append((time.perf_counter() - changed) * 1000)
        cpu = (server.cpu_seconds - begun) / updates / polls * 1e6
    return cpu, statistics.median(took)


def wait_until_held(server: MeasuredServer, polls: int) -> None:
    """Wait until the server has read all requests: an idle server spends no CPU time."""
    last = -1.0
    while (now := server.cpu_seconds) != last:
        last = now
        time.sleep(0.1)


@contextlib.contextmanager
def running_server() -> Iterator[MeasuredServer]:
    """Run a server without a disk on its core."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dunena", "serve", "--no-persist"]
    with started_on(SERVER_CORE):
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        wait_for_port(port)
        with contextlib.closing(MeasuredServer(process, port)) as server:
            yield server
    finally:
        process.terminate()
        process.wait()


def wait_for_port(port: int) -> None:
    """Wait until the server accepts connections."""
    end = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.02)
        else:
            return


def main(arguments: Sequence[str]) -> None:
    """Measure all, print the tables."""
    options = argparse.ArgumentParser(prog="http_followers.py", description=__doc__)
    options.add_argument("--readers", type=int, default=5000)
    options.add_argument("--polls", type=int, default=1000)
    options.add_argument("--updates", type=int, default=20)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args(arguments)
    readers = connections_max(given.readers)
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in FOLLOWS}
    polled = []
    with started_on(LOAD_CORE):
        for _ in range(given.rounds):
            for name, follow in FOLLOWS.items():
                results[name].append(measure_deliveries(follow, readers, given.updates))
            polled.append(measure_polls(given.polls, given.updates))
    print_rows(
        f"| {readers:,} readers of a key | CPU us a delivery | KB a reader |",
        [(name, *medians(rounds, 1, 1 / 1024)) for name, rounds in results.items()],
    )
    print_rows(
        "| waiting for a key | CPU us a request | ms until the last has its answer |",
        [(f"{given.polls:,} long polls", *medians(polled, 1, 1))],
    )


def medians(rounds: list[tuple[float, float]], *factors: float) -> list[float]:
    """Return the median of each figure, by a factor."""
    return [
        statistics.median(figures) * factor
        for figures, factor in zip(zip(*rounds, strict=True), factors, strict=True)
    ]


def print_rows(head: str, rows: list[tuple[str, float, float]]) -> None:
    """Print a table of two figures a row."""
    sys.stdout.write(f"{head}\n| --- | ---: | ---: |\n")
    for name, first, second in rows:
        sys.stdout.write(f"| {name} | {first:.2f} | {second:.1f} |\n")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
