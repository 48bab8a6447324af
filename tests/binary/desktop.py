"""A desktop as it starts the executable: a terminal in a window, and a browser for its page."""

import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.binary.program import SECONDS_MAX, Program, wait_until

CTRL_C = b"\x03"
NOBODY = 65_534


class Browser:
    """What the page is opened with: a program that writes down what it was asked."""

    def __init__(self, base: Path) -> None:
        folder = base / "browser"
        folder.mkdir()
        folder.chmod(0o1777)
        self.program = folder / "open.sh"
        self._asked = folder / "asked"
        self.program.write_text(
            f'#!/bin/sh\necho "$1|$LD_LIBRARY_PATH" >{folder}/new\n'
            f"/bin/mv {folder}/new {self._asked}\n",
            encoding="utf-8",
        )
        self.program.chmod(0o755)

    @property
    def was_asked(self) -> bool:
        return self._asked.exists()

    def asked(self) -> tuple[str, str]:
        """The address, and the library path that a browser would have got."""
        wait_until(lambda: self.was_asked, "the browser asked")
        address, _, library_path = self._asked.read_text(encoding="utf-8").strip().partition("|")
        return address, library_path


class Terminal:
    """A window with a terminal in it that runs nothing but the program."""

    def __init__(self) -> None:
        self._master, self.slave = os.openpty()
        self.name = os.ttyname(self.slave)
        self._read = b""
        self._is_open = True
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return self._read.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.text, f"{text!r} in {self.text!r}")

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def close(self) -> None:
        """Close the window; more than once does nothing."""
        if self._is_open:
            self._is_open = False
            # A read that is going on would keep the terminal alive.
            self._reader.join()
            os.close(self._master)
            os.close(self.slave)

    def _follow(self) -> None:
        while self._is_open:
            if select.select([self._master], [], [], 0.05)[0]:
                self._read += os.read(self._master, 4096)


@contextmanager
def opened(
    program: Program, shell: str, environ: dict[str, str], user: int | None = None
) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    """A new terminal in which a shell's words are run; `$0` is the program."""
    terminal = Terminal()
    if user is not None:
        os.fchown(terminal.slave, user, -1)
    # The first terminal that a session's leader opens becomes that session's.
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'exec <"$1" >"$1" 2>&1; {shell}', program.path, terminal.name],
        env=environ,
        cwd=program.current,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        user=user,
    )
    try:
        yield terminal, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(SECONDS_MAX)
        terminal.close()


@contextmanager
def click(
    program: Program, browser: Browser, port: int, user: int | None = None, **extra: str
) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    """A double click on a desktop that opens a terminal for it."""
    environ = desktop(program, browser, port, **extra)
    with opened(program, 'exec "$0"', environ, user) as running:
        yield running


def desktop(program: Program, browser: Browser, port: int, **extra: str) -> dict[str, str]:
    """What a desktop sets, and the port: 3000 may be in use on the machine of the test."""
    return program.environment(
        DISPLAY=":7", TERM="xterm", BROWSER=str(browser.program), DUNENA_PORT=str(port), **extra
    )
