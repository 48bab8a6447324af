"""What others notice of bulk work: how long a ping of theirs takes while it goes on.

    python tests/bench/bulk.py [--tree DIR]

Prints a markdown table with median, 99th percentile and maximum of another client's round trip.
``--tree`` measures another checkout's server. The load comes from a process of its own.
"""

import argparse
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import orjson
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 20
SETTLE_SECONDS_MAX = 120
PAUSE_SECONDS = 0.002
EXPIRING, REMOVED, LISTED, FLUSHED = 100_000, 20_000, 1_000_000, 100_000
ENTRIES_PER_MESSAGE = 5000

Load = Callable[[int, Path], None]
ON_DISK, IN_MEMORY = "--cache-dir={folder}", "--no-persist"


def main() -> None:
    """Measure all, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tree", type=Path, default=ROOT)
    tree = options.parse_args().tree
    print("| meanwhile | pings | p50 ms | p99 ms | max ms | took s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, place, prepare, load in SCENES:
        with _server(tree, place) as (port, folder):
            prepare(port, folder)
            _print_row(name, *_pings_during(port, folder, load))


def _print_row(name: str, times_ms: list[float], seconds: float) -> None:
    parts = statistics.quantiles(times_ms, n=100, method="inclusive")
    print(
        f"| {name} | {len(times_ms)} | {parts[49]:.2f} | {parts[98]:.1f} | {max(times_ms):.1f}"
        f" | {seconds:.1f} |",
        flush=True,
    )


def _pings_during(port: int, folder: Path, load: Load) -> tuple[list[float], float]:
    process = multiprocessing.get_context("fork").Process(target=load, args=(port, folder))
    times_ms = []
    with connect(f"ws://127.0.0.1:{port}/", compression=None, max_size=None) as client:
        process.start()
        begun = time.perf_counter()
        while process.is_alive():
            sent = time.perf_counter()
            client.send('{"action":"get","key":"none"}')
            client.recv()
            times_ms.append((time.perf_counter() - sent) * 1000)
            time.sleep(PAUSE_SECONDS)
        seconds = time.perf_counter() - begun
    process.join()
    assert process.exitcode == 0, "the load failed"
    return times_ms, seconds


# --- what happens meanwhile ---


def _fill(port: int, count: int, ends_at: float = 0.0) -> None:
    entries = []
    with connect(f"ws://127.0.0.1:{port}/ws", compression=None, max_size=None) as client:
        client.send('{"action":"get","key":"none"}')  # it ends the stream of events
        for number in range(count):
            entries.append({"key": f"key-{number * 7919 % count:07}", "value": "x" * 40})
            if len(entries) == ENTRIES_PER_MESSAGE or number == count - 1:
                if ends_at:
                    ttl = max(1, round((ends_at - time.time()) * 1000))
                    entries = [entry | {"ttl": ttl} for entry in entries]
                client.send(orjson.dumps({"type": "mset", "entries": entries, "id": 1}))
                while orjson.loads(client.recv()).get("id") != 1:
                    pass
                entries = []


def _ask(port: int, method: str, path: str) -> dict[str, object]:
    connection = HTTPConnection("127.0.0.1", port, timeout=SETTLE_SECONDS_MAX)
    connection.request(method, path)
    answer: dict[str, object] = orjson.loads(connection.getresponse().read())
    connection.close()
    return answer


def _wait_for_count(port: int, count: int) -> None:
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while _ask(port, "GET", "/info")["entries"] != count:
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def _nothing(_port: int, _folder: Path) -> None:
    """Nothing to prepare."""


def _idle(_port: int, _folder: Path) -> None:
    time.sleep(2)


def _fill_expiring(port: int, _folder: Path) -> None:
    ends_at = time.time() + 6
    _fill(port, EXPIRING, ends_at)
    time.sleep(max(0, ends_at - time.time() - 0.5))


def _wait_for_none(port: int, _folder: Path) -> None:
    _wait_for_count(port, 0)


def _fill_files(port: int, _folder: Path) -> None:
    _fill(port, REMOVED)
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while _ask(port, "GET", "/stats")["storage"]["filesBehind"]:  # type: ignore[index]
        assert time.monotonic() < end, "not in time"
        time.sleep(0.2)


def _remove_files(port: int, folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    _wait_for_count(port, 0)


def _fill_million(port: int, _folder: Path) -> None:
    _fill(port, LISTED)


def _list_without_match(port: int, _folder: Path) -> None:
    for number in range(3):
        cursor = 0
        while True:
            answer = _ask(port, "GET", f"/keys?pattern=*zz*&cursor={cursor}")
            cursor = answer["cursor"]  # type: ignore[assignment]
            if not cursor:
                break
        _ask(port, "POST", f"/flush-none-{number}")  # any other request
        _fill(port, 3 * (number + 1))


def _page_without_match(port: int, _folder: Path) -> None:
    for _ in range(3):
        _ask(port, "GET", "/entries?pattern=*zz*")


def _flush(port: int, _folder: Path) -> None:
    time.sleep(0.2)
    _ask(port, "POST", "/flush")
    _wait_for_count(port, 0)
    time.sleep(1)


SCENES: tuple[tuple[str, str, Load, Load], ...] = (
    ("nothing", ON_DISK, _nothing, _idle),
    ("100,000 keys expire at once", ON_DISK, _fill_expiring, _wait_for_none),
    ("20,000 files are removed", ON_DISK, _fill_files, _remove_files),
    # In memory: a million files would be written meanwhile.
    ("/keys without a match, a million keys", IN_MEMORY, _fill_million, _list_without_match),
    ("/entries without a match, a million keys", IN_MEMORY, _fill_million, _page_without_match),
    ("flush of 100,000 keys", ON_DISK, lambda port, _: _fill(port, FLUSHED), _flush),
    ("flush of a million keys", IN_MEMORY, _fill_million, _flush),
)


# --- servers ---


@contextmanager
def _server(tree: Path, place: str) -> Iterator[tuple[int, Path]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp())
    process = subprocess.Popen(
        [sys.executable, "-m", "dunena", "serve", "--port", str(port), place.format(folder=folder)],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for_start(port)
        yield port, folder
    finally:
        process.kill()  # what it would still write is of no use
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_start(port: int) -> None:
    end = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < end, "no answer"
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    main()
