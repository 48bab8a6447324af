"""`python3 build/dev.py cluster`, but for setting up the environment: it runs, and can be hurt."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cluster.machines import NATS_SERVER, fetch, wait_until
from tests.support.patience import patiently
from tests.support.ports import find_row

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = patiently(60)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is a NATS server for Linux alone"),
    pytest.mark.timeout(300),
]


ROW = 32
"""So many ports in a row: the NATS servers take those from the first, and 10 and 20 above it."""

NODES_AT = 26


class Command:
    """The running command, what it prints, and what is typed."""

    def __init__(self) -> None:
        first = find_row(ROW)
        self.port = first + NODES_AT
        words = [str(NATS_SERVER), "--port", str(self.port), "--nats-port", str(first)]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "devkit.cluster", *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "build")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._news: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def wait_for(self, pattern: str) -> str:
        """The next line that has a pattern."""
        while True:
            try:
                line = self._news.get(timeout=SECONDS_MAX)
            except queue.Empty:
                pytest.fail(f"no line with {pattern}:\n{''.join(self.lines)}")
            if re.search(pattern, line):
                return line

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._news.put(line)


@pytest.fixture
def command() -> Iterator[Command]:
    command = Command()
    with command.process:
        yield command
        command.process.send_signal(signal.SIGINT)
        command.process.wait(SECONDS_MAX)
        command.reader.join()


def put(port: int, key: str, value: int) -> int:
    """Store a value; the status. While a leader is chosen a busy node may refuse it at first."""
    statuses: list[int] = []

    def is_stored() -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS_MAX)
        try:
            connection.request("PUT", f"/kv/{key}", str(value))
            statuses.append(connection.getresponse().status)
        finally:
            connection.close()
        return statuses[-1] < 500

    wait_until(is_stored, "it is stored", SECONDS_MAX)
    return statuses[-1]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_three_nodes_share_values_and_all_of_it_can_be_killed_and_stopped(
    command: Command,
) -> None:
    first, third = command.port, command.port + 2
    folder = Path(command.wait_for("data and complete logs").split(": ")[-1].strip())
    waiting = {"d1", "d2", "d3"}
    while waiting:
        waiting.discard(command.wait_for(r"dev\| d\d is ready").split()[1])
    assert put(first, "score", 2) == 201
    wait_until(lambda: fetch(f"http://127.0.0.1:{third}/kv/score") == 2, "it is at the third too")

    command.type("list")
    pids = [int(command.wait_for(rf"dev\| {name}  pid").split()[3]) for name in ("n1", "d1")]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    ends = {command.wait_for("was killed by signal 9").split()[1] for _ in pids}
    assert ends == {"n1", "d1"}
    assert put(third, "score", 3) == 204, "two of three servers are enough"
    command.type("start n1")
    command.type("start d1")
    command.wait_for(r"dev\| d1 is ready")
    wait_until(lambda: fetch(f"http://127.0.0.1:{first}/kv/score") == 3, "the first has it too")

    command.type("list")
    names = ("n1", "n2", "n3", "d1", "d2", "d3")
    pids = [int(command.wait_for(rf"dev\| {name}  pid").split()[3]) for name in names]
    command.process.send_signal(signal.SIGINT)
    assert command.process.wait(SECONDS_MAX) == 0
    assert [pid for pid in pids if is_alive(pid)] == []
    assert not folder.exists(), "what it stored is gone"
