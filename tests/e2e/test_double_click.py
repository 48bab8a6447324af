"""The program started by a double click, run from source.

The executable decides between the two by its terminal; here that decision is made for it.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import ServerProcess

CLICKED = (
    "import sys; from dunena.cli.program import app;"
    "from dunena.cli.start_mode import DOUBLE_CLICKED;"
    "app(sys.argv[1:], obj=DOUBLE_CLICKED)"
)
WAIT_SECONDS_MAX = 20

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="a stand-in for the browser is a shell script here"
)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], str]:
    """What the browser was asked to open, waited for."""
    script, log = tmp_path / "browser", tmp_path / "opened"
    script.write_text(f'#!/bin/sh\necho "$1" > "{log}.part"; mv "{log}.part" "{log}"\n')
    script.chmod(0o755)

    def read() -> str:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not log.exists():
            assert time.monotonic() < deadline, "no page was opened"
            time.sleep(0.01)
        return log.read_text().strip()

    return read


@pytest.fixture
def click(tmp_path: Path, opened: Callable[[], str]) -> Iterator[Callable[..., ServerProcess]]:
    """Make a server that believes it was clicked; its folder and port are as given."""
    started: list[ServerProcess] = []

    def make(folder: Path, *arguments: str) -> ServerProcess:
        server = ServerProcess(
            folder,
            *arguments,
            command=(sys.executable, "-c", CLICKED),
            environment={"BROWSER": f"{tmp_path / 'browser'} %s", "DISPLAY": ":0"},
        )
        started.append(server)
        return server

    yield make
    for server in started:
        if server.is_running:
            server.stop()


def test_a_double_click_opens_the_test_page(
    click: Callable[..., ServerProcess], opened: Callable[[], str], tmp_path: Path
) -> None:
    server = click(tmp_path / "values").start()
    assert opened() == f"http://localhost:{server.port}/test"
    assert server.stop() == 0


def test_a_double_click_uses_the_next_port_when_another_program_has_it(
    click: Callable[..., ServerProcess], opened: Callable[[], str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        busy = other.getsockname()[1]
        server = click(tmp_path / "values", "--port", str(busy)).start()
        assert busy < server.port < busy + 20
        assert f"port {busy} is used by another program, so it is {server.port}" in "".join(
            server.output
        )
        assert opened() == f"http://localhost:{server.port}/test"


def test_a_double_click_opens_the_page_of_a_dunena_on_the_port(
    click: Callable[..., ServerProcess],
    opened: Callable[[], str],
    server: ServerProcess,
    tmp_path: Path,
) -> None:
    process = click(tmp_path / "other", "--port", str(server.port)).launch()
    output, _ = process.communicate(timeout=WAIT_SECONDS_MAX)
    assert process.returncode == 0
    assert f"running already, at http://localhost:{server.port}/test" in output
    assert opened() == f"http://localhost:{server.port}/test"


def test_a_double_click_opens_the_page_of_the_dunena_using_the_folder(
    click: Callable[..., ServerProcess], opened: Callable[[], str], server: ServerProcess
) -> None:
    assert server.folder is not None
    process = click(server.folder).launch()
    output, _ = process.communicate(timeout=WAIT_SECONDS_MAX)
    assert process.returncode == 0
    assert f"running already, at http://localhost:{server.port}/test" in output
    assert opened() == f"http://localhost:{server.port}/test"


def test_a_double_click_that_cannot_start_prints_the_reason(
    click: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    process = click(tmp_path / "file" / "below").launch()
    _, errors = process.communicate(timeout=WAIT_SECONDS_MAX)
    assert process.returncode == 1
    assert errors.startswith("dunena: cannot use the folder ")
    assert errors.count("\n") == 1


def test_a_typed_serve_opens_no_page_and_tries_no_other_port(
    server: ServerProcess, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dunena", "serve", "--port", str(server.port)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "BROWSER": "false", "DISPLAY": ":0"},
        check=False,
    )
    assert done.returncode == 1
    assert f"port {server.port} of 127.0.0.1 is already in use" in done.stderr
    assert done.stdout == ""
