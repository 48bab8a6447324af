"""A server of dunena as a process of its own, and what any process spends."""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.speedkit.builds import Build
from tests.bench.speedkit.contenders import Running
from tests.support.nats_cluster import free_port

READY_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60
LOOK_SECONDS = 0.005

IDLE_SECONDS_MAX = 10
IDLE_LOOK_SECONDS = 0.25
IDLE_SHARE_MAX = 0.05
"""Of a core; a node that nobody asks tells the others that it lives."""


class MeasureError(Exception):
    """Something cannot be measured; the text says why, in one line."""


class Server:
    """A server that is started on a free port; at the end of a `with` it is stopped.

    ``folder`` gets what it says. Started again it keeps its port.
    """

    def __init__(self, build: Build, folder: Path, *options: str) -> None:
        self._log = folder / "server.log"
        self._folder = folder
        self._environment = {**os.environ, **build.environment}
        self.port = free_port()
        self._command = build.serve(build.find(), self.port, *options)
        self.took_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def running(self) -> Running:
        """As the load generator wants it."""
        return Running(self.port, self.pid)

    def start(self) -> None:
        """Start it, and wait until it is ready: ``took_s``. Raises `MeasureError`."""
        began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() - began > READY_SECONDS_MAX:
                self.stop()
                raise MeasureError(self._last_words())
            time.sleep(LOOK_SECONDS)
        self.took_s = time.monotonic() - began

    def stop(self) -> None:
        """End it as a service manager does."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_words(self) -> str:
        said = self._log.read_text("utf-8", errors="replace").strip().splitlines()
        name = f"{self._folder.parent.name}/{self._folder.name}"
        return f"{name} does not get ready: {said[-1] if said else 'it says nothing'}"


def cpu_s(pid: int) -> float:
    """The CPU seconds of a process with all its threads.

    From the clock that the kernel has for it: the ticks of /proc/PID/stat are 10 ms wide.
    """
    return time.clock_gettime(~pid << 3 | 2)  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)


def cpu_of(pids: Sequence[int]) -> list[float]:
    """The CPU seconds of several processes, at nearly the same moment."""
    return [cpu_s(pid) for pid in pids]


def wait_until_idle(pids: Sequence[int]) -> None:
    """Wait until none of the processes has much to do, or for as long as is worth waiting."""
    deadline = time.monotonic() + IDLE_SECONDS_MAX
    before = cpu_of(pids)
    while time.monotonic() < deadline:
        time.sleep(IDLE_LOOK_SECONDS)
        after = cpu_of(pids)
        used = max(later - earlier for later, earlier in zip(after, before, strict=True))
        if used < IDLE_SHARE_MAX * IDLE_LOOK_SECONDS:
            return
        before = after


def megabytes(pid: int, name: str) -> float:
    """A line of /proc/PID/status, such as VmRSS or VmHWM (the most it ever was), in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) / 1024
    raise KeyError(name)
