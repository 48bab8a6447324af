"""What a server takes while nothing happens: memory of connections and keys, wake-ups, CPU.

    python -m tests.bench.footprint [--python PATH] [--only connections,keys,wakes]

Linux. Prints markdown tables:

- *connections*: growth of resident memory for each idle WebSocket, and of which objects it
  consists: their number and bytes for each connection, as Python counts them. The objects are
  those of a server that runs inside another program and may be a little larger in sum than the
  growth, which counts memory that was free before.
- *keys*: growth of resident memory for each key besides the bytes of its name and its value, in
  memory and with a folder; there also after a start that reads the files.
- *wakes*: how often the threads of an idle server woke in a second (its voluntary context
  switches), and what it used of a core; in memory and with a folder, without connections and with
  some, which answer pings.

``--python`` is an environment in which dunena is installed, compiled perhaps; else this checkout
is measured. ``--connections``, ``--keys`` and ``--seconds`` make a run shorter.
"""

import argparse
import json
import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from dunena.frames import PONG_HEAD

ROOT = Path(__file__).resolve().parents[2]

SETTLE_SECONDS = 2.0
QUIET_SECONDS_MAX = 120
KEY_BYTES, VALUE_BYTES = 16, 100
SETS_AT_ONCE = 500
TYPES_SHOWN = 30
LEAST_SHARE = 0.01  # objects of which fewer than one in a hundred connections has one are no part
MASKED_PONG = bytes((PONG_HEAD, 0x80, 0, 0, 0, 0))
UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PATHS = {"dunena": b"/ws?protocol=dunena", "objectstore": b"/"}

INSIDE = """
import gc, json, sys, threading

def sizes():
    gc.collect()
    seen, counts = set(), {}
    found = gc.get_objects()
    for thing in [*found, *(inner for outer in found for inner in gc.get_referents(outer))]:
        if id(thing) not in seen:
            seen.add(id(thing))
            kind = type(thing)
            name = repr(kind)
            count = counts.setdefault(name, [0, 0])
            count[0] += 1
            count[1] += (sys.getsizeof(thing) + 15) // 16 * 16  # as pymalloc rounds
    print(json.dumps(counts), flush=True)

def answer():
    for _ in sys.stdin:
        sizes()

threading.Thread(target=answer, daemon=True).start()
from dunena.cli import main
sys.argv[0] = "dunena"
main()
"""


class Server:
    """A running server; ``python`` runs it, ``program`` are the arguments for that."""

    def __init__(self, python: str, *options: str, is_inside: bool = False) -> None:
        program = ("-c", INSIDE) if is_inside else ("-m", "dunena")
        self.process = subprocess.Popen(
            [python, *program, "serve", "--port", "0", *options],
            cwd=ROOT if python == sys.executable else tempfile.gettempdir(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = 0
        while "Press Ctrl+C" not in (line := self.line()):
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found is not None and not self.port:
                self.port = int(found.group(1))

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server has ended"
        return line

    def rss(self) -> int:
        """Return its resident bytes."""
        text = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii")
        return int(text.split()[1]) * resource.getpagesize()

    def sizes(self) -> dict[str, list[int]]:
        """Return number and bytes of its objects by type."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        while not (line := self.line()).startswith("{"):
            pass  # the rest of the banner
        counts: dict[str, list[int]] = json.loads(line)
        return counts

    def threads(self) -> dict[str, tuple[int, int]]:
        """Return the voluntary context switches and the ns of CPU of its threads."""
        found = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            status = (task / "status").read_text(encoding="utf-8")
            switches = int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
            spent = int((task / "schedstat").read_text(encoding="ascii").split()[0])
            name = (task / "comm").read_text(encoding="utf-8").strip()
            found[f"{name} ({task.name})"] = switches, spent
        return found

    def stats(self) -> dict[str, Any]:
        """Return what it reports about itself."""
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(b"GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: client.recv(65536), b""))
        stats: dict[str, Any] = json.loads(text.partition(b"\r\n\r\n")[2])
        return stats

    def stop(self) -> None:
        """Stop it and wait for its end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=QUIET_SECONDS_MAX)


def main() -> None:
    """Measure what was chosen; print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--python", default=sys.executable)
    options.add_argument("--only", default="connections,keys,wakes")
    options.add_argument("--connections", type=int, default=10_000)
    options.add_argument("--keys", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=20)
    given = options.parse_args()
    chosen = given.only.split(",")
    if "connections" in chosen:
        _measure_connections(given.python, given.connections)
    if "keys" in chosen:
        _measure_keys(given.python, given.keys)
    if "wakes" in chosen:
        _measure_wakes(given.python, given.seconds)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _serving(python: str, *options: str, is_inside: bool = False) -> Iterator[Server]:
    server = Server(python, *options, is_inside=is_inside)
    try:
        yield server
    finally:
        server.stop()


# --- connections ---


def _measure_connections(python: str, count: int) -> None:
    _say("\n| idle WebSocket | connections | bytes each |")
    _say("| --- | ---: | ---: |")
    for name, path in PATHS.items():
        with _serving(python, "--no-persist") as server, ExitStack() as clients:
            _open(server, clients, path, 100)
            time.sleep(SETTLE_SECONDS)
            before = server.rss()
            _open(server, clients, path, count)
            time.sleep(SETTLE_SECONDS)
            _say(f"| {name} | {count} | {(server.rss() - before) / count:.0f} |")
    with _serving(python, "--no-persist", is_inside=True) as server, ExitStack() as clients:
        counted = min(count, 1000)
        _open(server, clients, PATHS["dunena"], 100)
        time.sleep(SETTLE_SECONDS)
        before_sizes = server.sizes()
        _open(server, clients, PATHS["dunena"], counted)
        time.sleep(SETTLE_SECONDS)
        _print_objects(before_sizes, server.sizes(), counted)


def _print_objects(
    before: dict[str, list[int]], after: dict[str, list[int]], connections: int
) -> None:
    grown = []
    for name, (count, size) in after.items():
        count_before, size_before = before.get(name, (0, 0))
        if count - count_before >= LEAST_SHARE * connections:
            grown.append((size - size_before, count - count_before, name))
    grown.sort(reverse=True)
    _say("\n| objects of an idle WebSocket | of each | bytes |")
    _say("| --- | ---: | ---: |")
    for size, count, name in grown[:TYPES_SHOWN]:
        _say(f"| {name} | {count / connections:.2f} | {size / connections:.0f} |")
    count, size = sum(row[1] for row in grown), sum(row[0] for row in grown)
    _say(f"| together | {count / connections:.2f} | {size / connections:.0f} |")


def _open(server: Server, clients: ExitStack, path: bytes, count: int) -> list[socket.socket]:
    """Open WebSockets, and read the greeting of each, until there are ``count`` more."""
    opened = []
    for _ in range(count):
        client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        client.sendall(UPGRADE % path)
        answer = client.recv(4096)
        while b"\r\n\r\n" not in answer:
            answer += client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        opened.append(client)
    return opened


# --- keys ---


def _measure_keys(python: str, count: int) -> None:
    _say(
        f"\n| {count} keys of {KEY_BYTES} bytes, values of {VALUE_BYTES} | bytes more than those |"
    )
    _say("| --- | ---: |")
    with _serving(python, "--no-persist") as server:
        _say(f"| in memory | {_growth(server, count):.0f} |")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as nothing:
        with _serving(python, "--cache-dir", folder) as server:
            _say(f"| with a folder | {_growth(server, count):.0f} |")
        with _serving(python, "--cache-dir", nothing) as server:
            time.sleep(SETTLE_SECONDS)
            before = server.rss()
        with _serving(python, "--cache-dir", folder) as server:
            time.sleep(SETTLE_SECONDS)
            each = (server.rss() - before) / count - KEY_BYTES - VALUE_BYTES
            _say(f"| started from the folder | {each:.0f} |")


def _growth(server: Server, count: int) -> float:
    """Return how much more than key and value each of ``count`` new keys takes."""
    _set(server, 100, "warm")
    time.sleep(SETTLE_SECONDS)
    before = server.rss()
    _set(server, count, "keys")
    end = time.monotonic() + QUIET_SECONDS_MAX
    while server.stats().get("storage", {}).get("filesBehind"):
        assert time.monotonic() < end, "the files are still behind"
        time.sleep(0.5)
    time.sleep(SETTLE_SECONDS)
    return (server.rss() - before) / count - KEY_BYTES - VALUE_BYTES


def _set(server: Server, count: int, prefix: str) -> None:
    url = f"ws://127.0.0.1:{server.port}/"
    value = "x" * (VALUE_BYTES - 2)  # the quotes are stored, too
    with connect(url, compression=None, max_queue=None) as client:
        for start in range(0, count, SETS_AT_ONCE):
            numbers = range(start, min(count, start + SETS_AT_ONCE))
            for number in numbers:
                key = f"{prefix}-{number:0{KEY_BYTES - len(prefix) - 1}}"
                message = {"action": "set", "key": key, "value": value, "id": number}
                client.send(json.dumps(message))
            for _ in numbers:
                client.recv()


# --- wake-ups ---


def _measure_wakes(python: str, seconds: float) -> None:
    _say("\n| idle server | connections | wakes/s | CPU % | by thread: wakes/s, CPU ms/s |")
    _say("| --- | ---: | ---: | ---: | --- |")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as texts:
        for name, options in (
            ("in memory", ["--no-persist"]),
            ("folder", ["--cache-dir", folder]),
            (
                "folder and text files",
                ["--cache-dir", folder, "--text-dir", texts, "--text-keys", "*"],
            ),
        ):
            for connections in (0, 1000):
                with _serving(python, *options) as server, ExitStack() as clients:
                    opened = _open(server, clients, PATHS["dunena"], connections)
                    _answer_pings(opened, SETTLE_SECONDS)
                    before = server.threads()
                    _answer_pings(opened, seconds)
                    _print_threads(name, connections, before, server.threads(), seconds)


def _print_threads(
    name: str,
    connections: int,
    before: dict[str, tuple[int, int]],
    after: dict[str, tuple[int, int]],
    seconds: float,
) -> None:
    wakes, spent, parts = 0.0, 0.0, []
    for thread, (switches, ns) in after.items():
        switches_before, ns_before = before.get(thread, (0, 0))
        each, ms = (switches - switches_before) / seconds, (ns - ns_before) / 1e6 / seconds
        wakes, spent = wakes + each, spent + ms
        if each:
            parts.append(f"{thread.partition(' (')[0]} {each:.2f}, {ms:.3f}")
    shown = "; ".join(parts)
    _say(f"| {name} | {connections} | {wakes:.2f} | {spent / 10:.3f} | {shown} |")


def _answer_pings(clients: list[socket.socket], seconds: float) -> None:
    """Wait for ``seconds``, and answer what the server sends meanwhile."""
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        if not clients:
            time.sleep(seconds)
        while (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                client = key.fileobj
                assert isinstance(client, socket.socket)
                if b"\x89\x00" in client.recv(4096):
                    client.sendall(MASKED_PONG)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
