"""The program as copies of a process that has imported it, where a start is not what is tested.

Nine tenths of what a start of `dunena` costs is Python and its imports, and the suite starts it a
thousand times. So on Linux each process of the suite has one that did all that once, the template.
Asked for a program it forks: the copy gets the arguments, environment, folder and standard files of
the one that was asked for, and runs as that would. It is another process in all that a test can
see, but not a child of the test's.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = (sys.executable, "-m", "dunena")
"""The command that starts it."""

PREPARATION = "DUNENA_TEST_PREPARATION"
"""The variable with Python code that a copy runs first, as `python -c` could."""

_REQUEST_BYTES_MAX = 1 << 17
_IMPORTED_LATE = ("uvloop", "concurrent.futures.thread", "prometheus_client", "encodings.idna")
"""What a server imports when it first needs it; each copy would anew."""

_AT_START = ("LD_", "PYTHON")  # beginnings of variables that are looked at before the program is


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a copy would be what a start is, with these additions to the environment."""
    is_too_late = any(name.startswith(_AT_START) for name in environment)
    return sys.platform == "linux" and not is_too_late


class ForkedProcess:
    """`dunena` with these arguments; as much of `subprocess.Popen` as tests use.

    ``environment`` is added to that of the tests. Standard input is empty; what it writes goes to
    pipes, which are text, or to the files given.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: Path | None = None,
        output: IO[Any] | None = None,
        errors: IO[Any] | None = None,
    ) -> None:
        self.returncode: int | None = None
        self.stdout, theirs_out = _pipe() if output is None else (None, output.fileno())
        self.stderr, theirs_err = _pipe() if errors is None else (None, errors.fileno())
        self._state, theirs = socket.socketpair()
        request = json.dumps(
            {
                "arguments": [*arguments],
                "environment": {**os.environ, "PYTHONUTF8": "1", **environment},
                "folder": str(folder or Path.cwd()),
            }
        )
        with theirs:
            _template().ask(request.encode(), [theirs_out, theirs_err, theirs.fileno()])
        if output is None:
            os.close(theirs_out)
        if errors is None:
            os.close(theirs_err)
        answer = self._state.recv(4)
        assert answer, "the template has ended"
        self.pid = int.from_bytes(answer, signed=True)

    def poll(self) -> int | None:
        """What it ended with; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and with what."""
        if self.returncode is None:
            if not select.select([self._state], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(["dunena"], timeout or 0)
            self.returncode = int.from_bytes(self._state.recv(4), signed=True)
            self._state.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _pipe() -> tuple[IO[str], int]:
    """The end that is read, and the other."""
    ours, theirs = os.pipe()
    return os.fdopen(ours, encoding="utf-8"), theirs


class _Template:
    """The process that is copied, from this side; it ends with this one."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _REQUEST_BYTES_MAX)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _TEMPLATE_PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env={**os.environ, "PYTHONUTF8": "1"},
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._control.close()
        self._process.wait()

    def ask(self, request: bytes, files: list[int]) -> None:
        socket.send_fds(self._control, [request], files)


@functools.cache
def _template() -> _Template:
    return _Template()


# --- the other side ---

_TEMPLATE_PROGRAM = """
import sys
from tests.support import forked
forked.serve_copies(int(sys.argv[1]))
"""


def serve_copies(descriptor: int) -> None:
    """Be the template: import everything, then make the copies that are asked for."""
    _import_all()
    signal.signal(signal.SIGCHLD, lambda *_: None)  # it is told of by the wake-up file
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who presses Ctrl+C means the tests
    with socket.socket(fileno=descriptor) as control:
        asked = _make_copies(control)
    if asked is None:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _become(*asked)
    _run_program()


def _run_program() -> None:
    """Run it, and end as the interpreter does, but without taking apart all that was imported.

    That would be half of what a copy costs: it writes to all the memory that was shared till then.
    """
    from dunena import cli

    code = 0
    try:
        cli.run()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        code = end.code
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # the interpreter says what there is to say of it
    os._exit(code)


def _import_all() -> None:
    for found in pkgutil.walk_packages(importlib.import_module("dunena").__path__, "dunena."):
        with contextlib.suppress(ImportError):  # what only other systems have
            if found.name != "dunena.__main__":
                importlib.import_module(found.name)
    for name in _IMPORTED_LATE:
        with contextlib.suppress(ImportError):  # the faster event loop is optional
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a copy would write to all of it, and so copy it indeed


def _make_copies(control: socket.socket) -> tuple[Any, int, int] | None:
    """Fork when asked. Returns in each copy what it is to become, in the template None at its end.

    A request comes with the files for output and errors, and with one that is told the process id
    and, when the copy has ended, its exit code.
    """
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    copies: dict[int, int] = {}
    while True:
        ready = select.select([control, ended], [], [])[0]
        if ended in ready:
            os.read(ended, 4096)
            _report(copies)
        if control in ready:
            request, files, _, _ = socket.recv_fds(control, _REQUEST_BYTES_MAX, 3)
            if not request:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for file in (ended, wake, files[2], *copies.values()):
                    os.close(file)
                return json.loads(request), files[0], files[1]
            os.close(files[0])
            os.close(files[1])
            copies[pid] = files[2]
            _tell(files[2], pid)


def _report(copies: dict[int, int]) -> None:
    """Say of each copy that has ended with what."""
    while copies:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        state = copies.pop(pid)
        _tell(state, os.waitstatus_to_exitcode(status))
        os.close(state)


def _tell(state: int, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody may want to know any more
        os.write(state, number.to_bytes(4, signed=True))


def _become(request: Any, output: int, errors: int) -> None:
    """What a process is given by the one that starts it."""
    for number, file in enumerate((output, errors), 1):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = [str(Path(ROOT, "dunena", "__main__.py")), *request["arguments"]]
    sys.modules["__main__"].__package__ = "dunena"  # as `-m` says, which help repeats
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    exec(request["environment"].get(PREPARATION, ""), {})
