"""A program of a cluster that runs here to be tried: started, stopped, and its lines passed on.

Each runs in a session of its own, so that Ctrl+C reaches the one who started it alone, which then
stops them in an order. What it says is kept in a file, and the lines that a person wants to see are
shown with its name before them.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS_MAX = 20

NAME_WIDTH = 3

_print_lock = threading.Lock()


def show(name: str, text: str) -> None:
    """Print a line as that of a program, whole, whatever thread prints at the same time."""
    with _print_lock:
        print(f"{name:<{NAME_WIDTH}}| {text}", flush=True)


@dataclass(slots=True)
class Program:
    """A program that can be started again and again.

    ``address`` is where people find it. All it says is added to the file ``log``; the lines for
    which ``is_shown`` holds are printed as well. ``is_meant_to_run`` from its start until it is
    asked to stop, or its end was told (`take_end`).
    """

    name: str
    command: Sequence[str | Path]
    address: str
    log: Path
    is_shown: Callable[[str], bool]
    _process: "subprocess.Popen[str] | None" = None
    is_meant_to_run: bool = False
    is_paused: bool = False
    _reader: threading.Thread | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The number of its process, 0 without one."""
        return self._process.pid if self._process is not None and self.is_running else 0

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it."""
        self._process = process = subprocess.Popen(
            [str(word) for word in self.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        self.is_meant_to_run = True
        self.is_paused = False
        self._reader = threading.Thread(target=self._relay, args=(process,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Ask it to end, and wait; it is killed when it takes too long."""
        process = self._process
        self.is_meant_to_run = False
        if process is None:
            return
        if sys.platform != "win32" and self.is_paused:
            self.resume()  # it would not hear the other
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.is_paused = False

    if sys.platform != "win32":

        def pause(self) -> None:
            """Let it hang."""
            self._send(signal.SIGSTOP)
            self.is_paused = True

        def resume(self) -> None:
            """Let it go on."""
            self._send(signal.SIGCONT)
            self.is_paused = False

    def _send(self, number: int) -> None:
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def take_end(self) -> int | None:
        """Return the exit code of one that was not meant to end, once; None otherwise."""
        if self._process is None or not self.is_meant_to_run:
            return None
        code = self._process.poll()
        if code is not None:
            self.is_meant_to_run = False
        return code

    def _relay(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout, self.log.open("a", encoding="utf-8") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if line.strip() and self.is_shown(line):
                    show(self.name, line.rstrip())


def describe_end(code: int) -> str:
    """Say how a program ended, from its exit code."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
