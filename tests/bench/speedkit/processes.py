"""The processes of a server: started on its core, the one that serves found, all of them stopped.

Not every server is the process that was started. PyInstaller's executable of one file unpacks
itself and serves from a child; a launcher may become the server or start it.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .machine import SERVER_CORE, started_on

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10
POLL_SECONDS = 0.02

PROC = Path("/proc")
LISTENS = "0A"
"""The state of a listening socket in /proc/net/tcp (Linux, include/net/tcp_states.h)."""


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server on its core, with ``folder`` as its own and ``server.log`` in it.

    At the end it and all that it has started are stopped, which it is first asked for.
    """
    with started_on(SERVER_CORE), log_of(folder).open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,  # its children are in the group too, and no signal for us reaches them
        )
    try:
        yield process
    finally:
        stop(process)


def log_of(folder: Path) -> Path:
    """What a server with this folder has printed."""
    return folder / "server.log"


def wait_until_it_answers(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Return when it accepts connections. Raises `RuntimeError` with what it said instead."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            return
    said = log_of(folder).read_text(errors="replace").strip().splitlines()
    raise RuntimeError(f"it does not start: {said[-1] if said else 'it says nothing'}")


def serving(port: int, group: int) -> int:
    """The process of a group that listens on ``port``. Raises `RuntimeError` if there is none."""
    wanted = {
        f"socket:[{inode}]"
        for table in ("tcp", "tcp6")
        for inode in listening(_text_of(PROC / "net" / table), port)
    }
    for process in sorted(int(path.name) for path in PROC.iterdir() if path.name.isdecimal()):
        if _group_of(process) == group and wanted & _open_files(process):
            return process
    raise RuntimeError(f"none of its processes listens on port {port}")


def listening(table: str, port: int) -> list[str]:
    """The inodes of sockets that listen on ``port``, out of /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [
        row[9] for row in rows if row[3] == LISTENS and int(row[1].rpartition(":")[2], 16) == port
    ]


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server: the process that was started is asked to, and whatever is left is killed."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS_MAX)
    with suppress(ProcessLookupError):  # as it should be: nobody is left in its group
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _group_of(process: int) -> int | None:
    try:
        return os.getpgid(process)
    except ProcessLookupError:
        return None


def _open_files(process: int) -> set[str]:
    """What its descriptors lead to; of a process that ends meanwhile, what was still to be seen."""
    found = set()
    with suppress(FileNotFoundError, PermissionError, ProcessLookupError):
        for descriptor in (PROC / str(process) / "fd").iterdir():
            found.add(str(descriptor.readlink()))
    return found
