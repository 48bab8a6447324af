"""The executable as a desktop starts it: without arguments, with and without a terminal.

As desktops on Linux do it. What macOS and Windows do can be seen only on their desktops.
"""

import os
import signal
import socket
import subprocess

import pytest

from tests.binary.conftest import linux_only
from tests.binary.desktop import CTRL_C, NOBODY, Browser, Terminal, click, desktop, opened
from tests.binary.program import SECONDS_MAX, Program, free_port, is_open, wait_until

pytestmark = linux_only

STARTED = "Press Ctrl+C to stop."
KEY_WANTED = "Press any key"


@pytest.fixture
def browser(program: Program) -> Browser:
    return Browser(program.base)


def press_any_key(terminal: Terminal, process: "subprocess.Popen[bytes]") -> None:
    """Until it is seen: what was typed before the question does not count as an answer."""

    def ended() -> bool:
        terminal.press(b"x")
        return process.poll() is not None

    wait_until(ended, "the window closed by a key")


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
