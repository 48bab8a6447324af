"""Whole processes: started to fail, started elsewhere, and what differs between systems."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.support.forked import PROGRAM, ROOT, ForkedProcess, can_fork

SECONDS_MAX = 30

IS_WINDOWS = sys.platform == "win32"

FOLDS_CASE = sys.platform in ("win32", "darwin")
"""Whether the usual file system takes `Foo` and `foo` for one name."""

_ELSEWHERE = """
import os, sys
from dunena.cli import main
os.chdir(sys.argv.pop(1))
main()
"""


def program_in(folder: Path) -> tuple[str, ...]:
    """The program with another current folder: its module is found in this one."""
    return (sys.executable, "-c", _ELSEWHERE, str(folder))


def run_program(
    *arguments: str,
    environment: dict[str, str] | None = None,
    program: tuple[str, ...] = PROGRAM,
) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end."""
    return subprocess.run(
        [*program, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS_MAX,
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1", **(environment or {})},
    )


def run_copy(
    *arguments: str, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end, forked where that can be done."""
    environment = environment or {}
    if not can_fork(environment):
        return run_program(*arguments, environment=environment)
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        copy = ForkedProcess(arguments, environment, folder=ROOT, output=out, errors=err)
        try:
            code = copy.wait(SECONDS_MAX)
        finally:
            copy.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([*PROGRAM, *arguments], code, out.read(), err.read())


def assert_failed(
    done: "subprocess.CompletedProcess[str]", *, says: tuple[str, ...], code: int = 1
) -> None:
    """It ended with this code, and one line that says why and what to do."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for part in says:
        assert part in lines[0]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key; gone with the folder."""
    openssl = shutil.which("openssl")
    if openssl is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("openssl is missing")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, check=True)
    return certificate, key


def wait_until(condition: Callable[[], object]) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


_WITHOUT_PORT = """
import sys
from dunena.cli import main
at = sys.argv.index("--port")
del sys.argv[at : at + 2]
main()
"""

PROGRAM_WITHOUT_PORT = (sys.executable, "-c", _WITHOUT_PORT)
"""The program, for a `ServerProcess` whose port is to come from elsewhere."""


def free_port() -> int:
    """A port that nobody uses; somebody might, before the caller does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


STOP_SIGNALS = (
    # A process group of its own, which Windows needs for any of them, has no Ctrl+C.
    ["SIGBREAK"] if IS_WINDOWS else ["SIGINT", "SIGTERM", "SIGHUP"]
)


def send_stop(process: "subprocess.Popen[str]", name: str) -> None:
    """Ask a process to stop."""
    event = "CTRL_BREAK_EVENT" if IS_WINDOWS else name
    process.send_signal(getattr(signal, event))


def data_home(folder: Path) -> dict[str, str]:
    """An environment in which the user's data folder is below ``folder``."""
    if IS_WINDOWS:
        pytest.skip("the user's data folder is not in the environment there")
    return {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
