"""A real server in a process of its own, as its users start it."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.forked import PROGRAM, ForkedProcess, can_fork
from tests.support.patience import patiently
from tests.support.shared_mode import is_shared, store_words

Process = subprocess.Popen[str] | ForkedProcess

START_SECONDS_MAX = patiently(20)
STOP_SECONDS_MAX = patiently(10)

_TEST_PAGE = re.compile(r"(https?)://[^\s/]+:(\d+)/test")


class ServerProcess:
    """`dunena serve` on a free port, with its values in ``folder``.

    ``arguments`` are added to the command line; a folder of None leaves `--cache-dir` out. At the
    end of a `with`, the server is stopped and must not have logged a traceback. Without a
    ``command`` the program is forked, where that can be done.
    """

    def __init__(
        self,
        folder: Path | None,
        *arguments: str,
        environment: dict[str, str] | None = None,
        command: tuple[str, ...] | None = None,
    ) -> None:
        self.folder = folder
        self.port = 0
        self.scheme = "http"
        self.output: list[str] = []
        self.errors: list[str] = []
        self._arguments = arguments
        self._environment = environment or {}
        self._command = command
        self._process: Process | None = None
        self._readers: list[threading.Thread] = []

    # --- addresses ---

    @property
    def url(self) -> str:
        """Where HTTP is, without a slash at the end."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where WebSocket is."""
        return f"{self.scheme.replace('http', 'ws')}://127.0.0.1:{self.port}/ws"

    @property
    def process(self) -> "Process":
        """The running process."""
        assert self._process is not None, "not started"
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return "".join(self.errors)

    # --- life ---

    def start(self) -> "ServerProcess":
        """Start it and wait until it answers."""
        if self._command is None and can_fork(self._environment):
            self.output, self.errors = [], []
            self._process = ForkedProcess(self._words(), self._environment)
        else:
            self.launch()
        ready = threading.Event()
        self._follow(ready)
        assert ready.wait(START_SECONDS_MAX), f"no banner: {self.output} {self.errors}"
        match = _TEST_PAGE.search("".join(self.output))
        if match is None:
            self.kill()
        assert match is not None, f"it did not start: {self.output} {self.errors}"
        self.scheme, self.port = match.group(1), int(match.group(2))
        return self

    def launch(self) -> "subprocess.Popen[str]":
        """Start the command as a process of its own, without waiting for anything."""
        self.output, self.errors = [], []
        self._process = process = subprocess.Popen(
            [*(self._command or PROGRAM), *self._words()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1", **self._environment},
            # Windows can send a stop signal only to a process group of its own.
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        return process

    def stop(self) -> int:
        """Ask it to stop, as a service manager does; its exit code."""
        if sys.platform == "win32":
            self.process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            self.process.terminate()
        return self._wait()

    def kill(self) -> None:
        """End it without a word, as a power cut would."""
        self.process.kill()
        self._wait()

    def restart(self) -> None:
        """Stop and start it, on the same port."""
        assert self.stop() == 0, self.log
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.stop()
        if kind is None:
            assert "Traceback" not in self.log, self.log

    # --- inside ---

    def _words(self) -> list[str]:
        words = ["serve", "--port", str(self.port)]
        if self.folder is None:
            return [*words, *self._arguments]
        if is_shared():
            return [*words, *store_words(self.folder, self._arguments)]
        return [*words, "--cache-dir", str(self.folder), *self._arguments]

    def _follow(self, ready: threading.Event) -> None:
        process = self.process

        def follow_output() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                self.output.append(line)
                if "Press Ctrl+C" in line:
                    ready.set()
            ready.set()

        def follow_errors() -> None:
            assert process.stderr is not None
            self.errors.extend(process.stderr)

        self._readers = [
            threading.Thread(target=follow_output),
            threading.Thread(target=follow_errors),
        ]
        for reader in self._readers:
            reader.daemon = True
            reader.start()

    def _wait(self) -> int:
        code = self.process.wait(STOP_SECONDS_MAX)
        for reader in self._readers:
            reader.join(STOP_SECONDS_MAX)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code
