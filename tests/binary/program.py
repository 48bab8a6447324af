"""The executable as a person has it: copied alone into a folder of theirs, on a machine without
Python, in an environment with nothing set."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.patience import patiently
from tests.support.server import ServerProcess

WINDOWS = sys.platform == "win32"
FOLDER_NAME = "Mein Ordner für Größeres"
"""With spaces and letters beyond ASCII: many a home folder has both."""

UNPACKED = "_MEI*"
SECONDS_MAX = patiently(15)


def wait_until(condition: Callable[[], object], what: str, seconds: float = SECONDS_MAX) -> None:
    """Look again and again until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Program:
    """One copy of the executable, with a folder for temporary files that nobody else uses."""

    def __init__(self, path: Path, base: Path) -> None:
        self.path = path
        self.prefix: list[str] = []
        self.base = base
        self.cache = base / "cache"
        self.temporary = base / "tmp"
        self.current = base / "current"
        self.temporary.mkdir()
        # Others may need it: a test of missing rights is run by another user.
        self.temporary.chmod(0o1777)
        self.current.mkdir()
        self.current.chmod(0o555)

    def environment(self, **extra: str) -> dict[str, str]:
        """As good as nothing: no PATH, no HOME, no locale."""
        if WINDOWS:
            # Sockets do not work without the first of these.
            names = ("SYSTEMROOT", "SYSTEMDRIVE", "USERPROFILE", "LOCALAPPDATA")
            kept = {name: os.environ[name] for name in names if name in os.environ}
            return {**kept, "TEMP": str(self.temporary), "TMP": str(self.temporary), **extra}
        return {"TMPDIR": str(self.temporary), "XDG_CACHE_HOME": str(self.cache), **extra}

    def run(self, *words: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        return subprocess.run(
            [*self.prefix, self.path, *words],
            env=self.environment(**extra),
            cwd=self.current,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS_MAX,
            check=False,
        )

    def server(self, *words: str, folder: Path | None = None, **extra: str) -> "BareServer":
        """A server that is not started yet, with its values in a folder of its own."""
        return BareServer(self, folder or self.base / "values", *words, extra=extra)

    def unpacked(self) -> list[Path]:
        """What was unpacked for one run, by those that are going on or left by those that ended."""
        return sorted(self.temporary.glob(UNPACKED))

    def version(self) -> Path:
        """What the launcher unpacked for all runs: the one version in the cache, and no draft."""
        (found,) = (self.cache / "dunena").iterdir()
        return found

    def assert_nothing_left(self) -> None:
        """What was unpacked for a run is gone, at once or in a moment; nothing else was written."""
        # The parent removes the folder after the child has ended, which is when the port is free.
        wait_until(lambda: not self.unpacked(), f"{self.unpacked()} gone")
        assert list(self.temporary.iterdir()) == []
        assert list(self.current.iterdir()) == []


class BareServer(ServerProcess):
    """`serve`, with nothing of this process's environment."""

    def __init__(
        self, program: Program, folder: Path | None, *words: str, extra: dict[str, str]
    ) -> None:
        super().__init__(folder, *words, command=(str(program.path),))
        self._program = program
        self._extra = extra

    def launch(self) -> "subprocess.Popen[str]":
        """Start the process without waiting for anything."""
        self.output, self.errors = [], []
        self._process = subprocess.Popen(
            [*self._program.prefix, self._program.path, *self._words()],
            env=self._program.environment(**self._extra),
            cwd=self._program.current,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # A group of its own, to which signals can be sent as a terminal does.
            start_new_session=not WINDOWS,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        return self._process

    def _words(self) -> list[str]:
        folder = [] if self.folder is None else ["--cache-dir", str(self.folder)]
        return ["serve", "--port", str(self.port), *folder, *self._arguments]

    def wait(self) -> int:
        """The exit code, once everything it wrote was read."""
        return self._wait()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="dunena-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder
