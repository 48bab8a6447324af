"""The executable as a desktop starts it: without arguments, with and without a terminal.

As desktops on Linux do it. What macOS and Windows do can be seen only on their desktops.
"""

import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.binary.conftest import linux_only
from tests.binary.program import SECONDS_MAX, Program, free_port, is_open, wait_until

pytestmark = linux_only

STARTED = "Press Ctrl+C to stop."
KEY_WANTED = "Press any key"
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


@pytest.fixture
def browser(program: Program) -> Browser:
    return Browser(program.base)


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


def click(program: Program, browser: Browser, port: int, user: int | None = None, **extra: str):
    """A double click on a desktop that opens a terminal for it."""
    environ = desktop(program, browser, port, **extra)
    return opened(program, 'exec "$0"', environ, user)


def press_any_key(terminal: Terminal, process: "subprocess.Popen[bytes]") -> None:
    """Until it is seen: what was typed before the question does not count as an answer."""

    def ended() -> bool:
        terminal.press(b"x")
        return process.poll() is not None

    wait_until(ended, "the window closed by a key")


def desktop(program: Program, browser: Browser, port: int, **extra: str) -> dict[str, str]:
    """What a desktop sets, and the port: 3000 may be in use on the machine of the test."""
    return program.environment(
        DISPLAY=":7", TERM="xterm", BROWSER=str(browser.program), DUNENA_PORT=str(port), **extra
    )


def test_a_double_click_serves_and_opens_the_page(program: Program, browser: Browser):
    port = free_port()
    with click(program, browser, port) as (terminal, process):
        terminal.wait_for(STARTED)
        assert f"Test page   http://localhost:{port}/test" in terminal.text
        assert browser.asked() == (f"http://localhost:{port}/test", "")
        assert is_open(port)
        assert (program.path.parent / ".cache").is_dir()
        terminal.press(CTRL_C)
        assert process.wait(SECONDS_MAX) == 0
        terminal.wait_for("Stopped.")
    program.assert_nothing_left()


def test_closing_the_terminal_window_stops_the_server(program: Program, browser: Browser):
    port = free_port()
    with click(program, browser, port) as (terminal, process):
        terminal.wait_for(STARTED)
        terminal.close()
        assert process.wait(SECONDS_MAX) == 0
    program.assert_nothing_left()


def test_a_double_click_without_a_terminal_serves_and_opens_the_page(
    program: Program, browser: Browser
):
    port = free_port()
    process = subprocess.Popen(
        [program.path],
        env=desktop(program, browser, port),
        cwd=program.current,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert browser.asked()[0] == f"http://localhost:{port}/test"
    assert is_open(port)
    assert (program.path.parent / ".cache").is_dir()
    process.terminate()
    assert process.wait(SECONDS_MAX) == 0
    program.assert_nothing_left()


def test_the_browser_gets_the_original_library_path(program: Program, browser: Browser):
    with click(program, browser, free_port(), LD_LIBRARY_PATH="/opt/own") as (terminal, process):
        assert browser.asked()[1] == "/opt/own"
        terminal.press(CTRL_C)
        assert process.wait(SECONDS_MAX) == 0


def test_a_second_double_click_opens_the_page_of_the_first(program: Program, browser: Browser):
    with program.server() as first, click(program, browser, first.port) as (terminal, process):
        terminal.wait_for("running already")
        assert browser.asked()[0] == f"http://localhost:{first.port}/test"
        terminal.wait_for(KEY_WANTED)
        assert process.poll() is None
        press_any_key(terminal, process)
        assert process.returncode == 0
        assert is_open(first.port)
    program.assert_nothing_left()


def test_a_double_click_uses_the_next_port_when_another_program_has_it(
    program: Program, browser: Browser
):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with click(program, browser, port) as (terminal, process):
            terminal.wait_for(STARTED)
            assert f"port {port} is used by another program" in terminal.text
            address = browser.asked()[0]
            taken = int(address.removesuffix("/test").rpartition(":")[2])
            assert taken > port
            assert is_open(taken)
            terminal.press(CTRL_C)
            assert process.wait(SECONDS_MAX) == 0


def test_a_double_click_in_an_unwritable_folder_uses_the_users_folder(
    program: Program, browser: Browser
):
    user = NOBODY if os.geteuid() == 0 else None
    if user is None:
        program.path.parent.chmod(0o555)
    home = program.base / "home"
    home.mkdir()
    if user is not None:
        os.chown(home, user, -1)
    with click(program, browser, free_port(), user, HOME=str(home)) as (terminal, process):
        terminal.wait_for(STARTED)
        lines = terminal.text.splitlines()
        (data,) = (line for line in lines if line.strip().startswith("Data "))
        assert str(home) in data
        assert any("Note " in line and "cannot be written" in line for line in lines)
        assert not (program.path.parent / ".cache").exists()
        terminal.press(CTRL_C)
        assert process.wait(SECONDS_MAX) == 0
    program.path.parent.chmod(0o755)


def test_a_failed_double_click_keeps_its_message_on_the_screen(program: Program, browser: Browser):
    words = {"DUNENA_TLS_CERT": "/nowhere/a.pem", "DUNENA_TLS_KEY": "/nowhere/b.pem"}
    with click(program, browser, free_port(), **words) as (terminal, process):
        terminal.wait_for(KEY_WANTED)
        assert "cannot use the certificate /nowhere/a.pem" in terminal.text
        assert "Traceback" not in terminal.text
        assert process.poll() is None
        press_any_key(terminal, process)
        assert process.returncode == 1
    assert not browser.was_asked
    program.assert_nothing_left()


def test_a_start_from_a_shell_opens_no_page(program: Program, browser: Browser):
    environ = desktop(program, browser, free_port())
    # The shell stays and leads the session, as that of a person does.
    with opened(program, '"$0"; echo "ended with $?"', environ) as (terminal, process):
        terminal.wait_for(STARTED)
        terminal.press(CTRL_C)
        assert process.wait(SECONDS_MAX) in (0, -signal.SIGINT, 130)
    assert not browser.was_asked
    program.assert_nothing_left()
