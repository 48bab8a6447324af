"""Detection of the terminal and of a running dunena, in child processes."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dunena.client.is_dunena import is_dunena
from tests.support.server import ServerProcess

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals here")

WAS_DOUBLE_CLICKED = (
    "from dunena.desktop.terminal import was_double_clicked; print(was_double_clicked())"
)


def run_in_terminal(arguments: list[str], *, shell: bool) -> str:
    """What a program prints in a new terminal, alone or below a shell."""
    import pty

    child, terminal = pty.fork()
    if child == 0:
        if shell:
            os.execvp("sh", ["sh", "-c", '"$@"; exit $?', "sh", *arguments])
        os.execv(arguments[0], arguments)
    output = b""
    while True:
        try:
            data = os.read(terminal, 1000)
        except OSError:
            break  # Linux says so at the end of a terminal
        if not data:
            break
        output += data
    os.waitpid(child, 0)
    os.close(terminal)
    return output.decode()


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS tells by its Terminal")
@pytest.mark.parametrize(("shell", "answer"), [(False, "True"), (True, "False")])
def test_was_double_clicked_is_true_in_a_terminal_that_runs_nothing_else(
    shell: bool, answer: str
) -> None:
    assert (
        run_in_terminal([sys.executable, "-c", WAS_DOUBLE_CLICKED], shell=shell).strip() == answer
    )


@pytest.mark.skipif(sys.platform != "linux", reason="how a Linux desktop starts programs")
@pytest.mark.parametrize(
    ("display", "answer"),
    [({"DISPLAY": ":0"}, "True"), ({"WAYLAND_DISPLAY": "w"}, "True"), ({}, "False")],
)
def test_was_double_clicked_without_a_terminal_depends_on_a_display(
    display: dict[str, str], answer: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if "DISPLAY" not in k} | display
    done = subprocess.run(
        [sys.executable, "-c", WAS_DOUBLE_CLICKED],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stdout.strip() == answer


@posix
@pytest.mark.parametrize("closed", ["1", "2", "0", "0 1 2"])
def test_closed_standard_files_are_reopened_before_their_numbers_are_reused(closed: str) -> None:
    script = (
        "import os, sys; "
        f"[os.close(int(n)) for n in '{closed}'.split()]; "
        "from dunena.desktop.onefile import reopen_standard_files; reopen_standard_files(); "
        "file = os.open(os.devnull, os.O_RDONLY); os._exit(0 if file > 2 else 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@posix
def test_say_ignores_a_closed_pipe() -> None:
    script = (
        "from dunena.desktop.terminal import say; import sys; sys.stdin.readline(); "
        "[say('x' * 1000) for _ in range(100)]; sys.stderr.write('done')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate("go\n", timeout=20)
    assert (process.returncode, errors) == (0, "done")


def test_is_dunena_recognizes_a_server_that_requires_a_token(start_server) -> None:
    server: ServerProcess = start_server("--token", "secret")
    assert is_dunena("127.0.0.1", server.port)


def test_is_dunena_rejects_another_http_server_and_a_closed_port() -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = threading.Thread(target=other.handle_request)
        thread.start()
        assert not is_dunena("127.0.0.1", other.server_port)
        thread.join()
        port = other.server_port
    assert not is_dunena("127.0.0.1", port), "nobody answers"
