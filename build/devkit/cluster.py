"""A cluster to try: three NATS servers and three nodes of dunena on this machine.

    python3 build/dev.py cluster [--port 3001] [--nats-port 14221] [--keep FOLDER]

The nodes share the bucket `try`. Ctrl+C stops all of them; what they stored is gone then, if no
folder is named. Runs with the Python of .venv, with the path of a nats-server as first argument.
"""

import argparse
import contextlib
import re
import signal
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from devkit.cluster_programs import Program, describe_end, show

NUMBERS = (1, 2, 3)
BUCKET = "try"
ROUTES_AT = 10
"""The port of a NATS server for the others is this much above the one for clients."""

MONITOR_AT = 20

WATCH_SECONDS = 0.3

SPEAKER = "dev"

NATS_CONFIGURATION = """\
server_name: {name}
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor}"
max_payload: 8MB
jetstream {{ store_dir: {store}, sync_interval: always }}
cluster {{ name: try, listen: "127.0.0.1:{routes_port}", routes: [{routes}] }}
"""

HELP = """\
commands: list | kill NAME (as a crash) | stop NAME | start NAME | pause NAME, resume NAME | quit
"""

is_banner = re.compile(
    r"(dunena \d|  (Test page|WebSocket|HTTP|Listens on|Data|First key|Press) |Stopped)"
).match
"""What a node says of itself when it is ready: the list has it already."""

is_of_interest = re.compile(r"\[FTL\]|Server is ready|new .* leader").search
"""The lines of a NATS server that tell how it is."""


def main(arguments: Sequence[str]) -> int:
    """Run the cluster until Ctrl+C; the exit code."""
    parser = argparse.ArgumentParser(
        prog="dev.py cluster",
        description="Run three NATS servers and three nodes of dunena that share a store.",
        allow_abbrev=False,
    )
    parser.add_argument("nats_server", type=Path, help=argparse.SUPPRESS)  # dev.py gives it
    parser.add_argument("--port", type=int, default=3001, help="of the first node; default 3001")
    parser.add_argument(
        "--nats-port", type=int, default=14221, help="of the first NATS server; default 14221"
    )
    parser.add_argument("--keep", type=Path, help="a folder for all data, kept for the next time")
    options = parser.parse_args(arguments)
    # A service manager's request to end is as good as Ctrl+C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _folder(options.keep) as folder:
        programs = make_programs(folder, options.nats_server, options.nats_port, options.port)
        try:
            run(programs, folder)
        except KeyboardInterrupt:
            show(SPEAKER, "stopping")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            stop_all(programs)
    return 0


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """A folder for all that the cluster writes."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="dunena-cluster-") as name:
        yield Path(name)


def make_programs(folder: Path, nats_server: Path, nats_port: int, port: int) -> list[Program]:
    """The three servers n1 to n3 and the three nodes d1 to d3, none of them started."""
    first = nats_port - NUMBERS[0]
    programs = []
    for number in NUMBERS:
        file = folder / f"n{number}.conf"
        client, monitor = first + number, first + number + MONITOR_AT
        file.write_text(nats_configuration(number, folder, first), encoding="utf-8")
        programs.append(
            Program(
                f"n{number}",
                (nats_server, "--config", file),
                f"nats://127.0.0.1:{client}  http://127.0.0.1:{monitor}/healthz",
                folder / f"n{number}.log",
                lambda line: bool(is_of_interest(line)),
            )
        )
    servers = ",".join(f"nats://127.0.0.1:{first + number}" for number in NUMBERS)
    for place, number in enumerate(NUMBERS):
        words = ("serve", "--port", str(port + place), "--store", servers, "--bucket", BUCKET)
        programs.append(
            Program(
                f"d{number}",
                (sys.executable, "-P", "-m", "dunena", *words),
                f"http://127.0.0.1:{port + place}",
                folder / f"d{number}.log",
                lambda line: not is_banner(line),
            )
        )
    return programs


def nats_configuration(number: int, folder: Path, first: int) -> str:
    """The file of a NATS server, whose port is its number added to ``first``."""
    ports = [first + one + ROUTES_AT for one in NUMBERS]
    return NATS_CONFIGURATION.format(
        name=f"n{number}",
        port=first + number,
        monitor=first + number + MONITOR_AT,
        # Slashes on Windows too, and quoted, as the parser wants it.
        store=f'"{(folder / f"n{number}").as_posix()}"',
        routes_port=first + number + ROUTES_AT,
        routes=", ".join(f'"nats://127.0.0.1:{port}"' for port in ports),
    )


def run(programs: list[Program], folder: Path) -> None:
    """Start all, say what is where, and carry out commands until one says to stop."""
    for program in programs:
        program.start()
    print_list(programs)
    show(SPEAKER, f"data and complete logs: {folder}")
    nodes = [program for program in programs if program.name.startswith("d")]
    show(SPEAKER, f"open {nodes[0].address}/test and {nodes[-1].address}/test: they show the same")
    show(SPEAKER, "then kill one here, or a pid with `kill -9` elsewhere, and see what goes on")
    show(SPEAKER, HELP.strip())
    is_over = threading.Event()
    watcher = threading.Thread(target=watch, args=(programs, nodes, is_over), daemon=True)
    watcher.start()
    try:
        for line in sys.stdin:
            if line.strip() and not carry_out(programs, line.split()):
                return
        # Nobody can type: run until a signal comes.
        threading.Event().wait()
    finally:
        is_over.set()
        watcher.join()


def print_list(programs: list[Program]) -> None:
    """Show every program with its process and its address."""
    for program in programs:
        state = f"pid {program.pid}" if program.is_running else "not running"
        if program.is_running and program.is_paused:
            state += ", paused"
        show(SPEAKER, f"{program.name}  {state:<19} {program.address}")


def carry_out(programs: list[Program], words: list[str]) -> bool:
    """Do what somebody has typed; whether to go on."""
    if words == ["quit"]:
        return False
    by_name = {program.name: program for program in programs}
    if words == ["list"]:
        print_list(programs)
    elif len(words) == 2 and words[0] == "start" and words[1] in by_name:
        _start(by_name[words[1]])
    elif len(words) == 2 and words[0] in COMMANDS and words[1] in by_name:
        program = by_name[words[1]]
        if program.is_running:
            COMMANDS[words[0]](program)
        else:
            show(SPEAKER, f"{program.name} is not running")
    else:
        show(SPEAKER, HELP.strip())
    return True


def _start(program: Program) -> None:
    if program.is_running:
        show(SPEAKER, f"{program.name} is running")
        return
    program.start()
    show(SPEAKER, f"{program.name} was started, pid {program.pid}")


def _stop(program: Program) -> None:
    program.stop()
    show(SPEAKER, f"{program.name} has stopped; {_again(program)}")


def _again(program: Program) -> str:
    return f"`start {program.name}` starts it again"


COMMANDS: dict[str, Callable[[Program], None]] = {"kill": Program.kill, "stop": _stop}
"""What is done to a program that runs."""

if sys.platform != "win32":

    def _pause(program: Program) -> None:
        program.pause()
        show(SPEAKER, f"{program.name} hangs now; `resume {program.name}` ends that")

    def _resume(program: Program) -> None:
        if program.is_paused:
            program.resume()
            show(SPEAKER, f"{program.name} goes on")
        else:
            show(SPEAKER, f"{program.name} is not paused")

    COMMANDS["pause"] = _pause
    COMMANDS["resume"] = _resume


def watch(programs: list[Program], nodes: list[Program], is_over: threading.Event) -> None:
    """Tell the news until it is over."""
    told: dict[str, str] = {}
    while not is_over.wait(WATCH_SECONDS):
        tell_ends(programs)
        told = tell_health(nodes, told)


def tell_ends(programs: list[Program]) -> None:
    """Say which programs have ended without being asked to."""
    for program in programs:
        code = program.take_end()
        if code is not None:
            end = describe_end(code)
            show(SPEAKER, f"{program.name} has stopped: it {end}; {_again(program)}")


READY = "is ready"


def tell_health(nodes: list[Program], told: dict[str, str]) -> dict[str, str]:
    """Say how the nodes are, where that is news; how each is that runs, by its name.

    Nothing is said of one that begins, until it is ready, nor of one that ends.
    """
    now: dict[str, str] = {}
    for node in nodes:
        if node.is_meant_to_run and node.is_running:
            now[node.name] = health_of(f"{node.address}/health/ready")
    for node in nodes:
        health, before = now.get(node.name), told.get(node.name)
        if health is None or not (node.is_meant_to_run and node.is_running):
            now.pop(node.name, None)
        elif before is None and health != READY:
            del now[node.name]
        elif health != before:
            show(SPEAKER, f"{node.name} {health}")
    return now


def health_of(address: str) -> str:
    """What a health check says, in words."""
    try:
        with urllib.request.urlopen(address, timeout=WATCH_SECONDS):
            return READY
    except urllib.error.HTTPError as error:
        error.close()
        return "is not ready for changes"
    except (urllib.error.URLError, OSError):
        return "does not answer"


def stop_all(programs: list[Program]) -> None:
    """Stop the nodes, then the servers that they are at."""
    for program in reversed(programs):
        program.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
