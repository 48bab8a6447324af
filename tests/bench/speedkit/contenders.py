"""The servers that are compared: how each is started, and how one talks to it."""

import functools
import json
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import downloads, processes, programs
from .builds import Build, other_build, own_build, serve_words
from .phrases import Dunena, Http, Nats, ObjectStore, Phrases, Redis, Talk
from .workloads import DUNENA, HTTP, OTHER, STORE, WATCH, Workload

SERVERS = Path(__file__).resolve().parents[1] / "servers"
Ways = Mapping[str, type[Phrases]]


class CannotError(Exception):
    """A server does not do what a workload asks for; the text says what it lacks."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: where, and the process that is measured."""

    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started; ``prepare`` is called once it answers."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Contender:
    """One server.

    ``find`` names its program or raises `programs.NotHereError`; ``launch`` is asked with the
    program, a port, an empty folder and whether values must be kept; ``version`` tells what the
    program is.
    ``keeps``: it can write what it is given to the disk.
    """

    name: str
    ways: Ways
    find: Callable[[], str]
    launch: Callable[[str, int, Path, bool], Launch]
    version: Callable[[str], str]
    keeps: bool = False

    def talk(self, workload: Workload) -> Talk:
        """What a run of a workload says to it. Raises `CannotError`."""
        if workload.keeps and not self.keeps:
            raise CannotError("keeps nothing on disk")
        spoken = [self.ways[way] for way in workload.ways if way in self.ways]
        talk = workload.say(spoken[0](workload.fill)) if spoken else None
        if talk is None:
            raise CannotError("has no such request")
        return talk

    @contextmanager
    def running(self, *, keeps: bool = False) -> Iterator[Running]:
        """It, started on its core and answering; stopped at the end."""
        # Beside the source: the system's folder for temporary files may be in memory.
        with (
            tempfile.TemporaryDirectory(dir=programs.ROOT, prefix=".bench-") as folder,
            self.started(Path(folder), keeps=keeps) as server,
        ):
            yield server

    @contextmanager
    def started(self, folder: Path, *, keeps: bool) -> Iterator[Running]:
        """The same, in a folder that may hold what an earlier one has kept."""
        port = processes.free_port()
        launch = self.launch(self.find(), port, folder, keeps)
        with processes.started(launch.command, launch.environment, folder) as process:
            processes.wait_until_it_answers(port, process, folder)
            launch.prepare()
            yield Running(port, processes.serving(port, process.pid))


# --- dunena ---

DUNENA_WAYS: Ways = {STORE: ObjectStore, WATCH: ObjectStore, DUNENA: Dunena, HTTP: Http}


def dunena() -> Contender:
    """The tree that this file is part of."""
    return _contender(own_build())


def variant(text: str) -> Contender:
    """Another dunena, as `other_build` reads it."""
    return _contender(other_build(text))


def wheel(name: str, extra: str = "") -> Contender:
    """This checkout's wheel in an environment of its own; ``extra`` is ``[fast]`` with uvloop."""
    # Whatever PYTHONPATH names would be found before what is installed.
    contender = _contender(Build(name, "", {"PYTHONPATH": ""}))
    return replace(contender, find=functools.partial(downloads.wheel, extra))


def executable(name: str, path: str | None = None) -> Contender:
    """An executable: the one given, or this checkout's own."""

    def launch(program: str, port: int, folder: Path, keeps: bool) -> Launch:
        return Launch([program, *serve_words(port, *_store_options(folder, keeps=keeps))])

    find = downloads.executable if path is None else functools.partial(programs.named, path)
    return Contender(name, DUNENA_WAYS, find, launch, executable_version, keeps=True)


def named_executable(text: str) -> Contender:
    """An executable, from ``NAME=PATH``. Raises `ValueError`."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise ValueError("an executable is NAME=PATH")
    return executable(name, path)


def executable_version(program: str) -> str:
    """What it says of itself, and its size."""
    said = programs.first_line(program, "version").removeprefix("dunena ")
    return f"{said}, one file of {Path(program).stat().st_size / 1e6:.1f} MB"


def what_people_download() -> list[Contender]:
    """Made of this checkout when they are first needed."""
    return [executable("executable"), wheel("wheel"), wheel("wheel+uvloop", "[fast]")]


def _contender(build: Build) -> Contender:
    def launch(program: str, port: int, folder: Path, keeps: bool) -> Launch:
        command = build.serve(program, port, *_store_options(folder, keeps=keeps))
        return Launch(command, build.environment)

    return Contender(build.name, DUNENA_WAYS, build.find, launch, build.version, keeps=True)


def _store_options(folder: Path, *, keeps: bool) -> list[str]:
    return ["--cache-dir", str(folder / "values")] if keeps else ["--no-persist"]


# --- the others ---


def stock() -> Contender:
    """The asyncio server of `websockets`."""
    script = "import websockets; print(websockets.__version__)"
    return Contender(
        "websockets",
        {STORE: ObjectStore},
        lambda: sys.executable,
        lambda program, port, _folder, _keeps: Launch(
            [program, str(SERVERS / "stock.py"), str(port)]
        ),
        lambda program: programs.first_line(program, "-c", script),
    )


def bun(given: str | None) -> Contender:
    """A plain server on Bun."""
    return Contender(
        "Bun",
        {STORE: ObjectStore, HTTP: Http},
        lambda: programs.bun(given),
        lambda program, port, _folder, _keeps: Launch(
            [program, str(SERVERS / "bun_server.js"), str(port)]
        ),
        lambda program: programs.first_line(program, "--version"),
    )


def redis() -> Contender:
    """Redis, in its own protocol."""

    def launch(program: str, port: int, _folder: Path, keeps: bool) -> Launch:
        command = [program, "--bind", "127.0.0.1", "--port", str(port), "--daemonize", "no"]
        # Many connections come from other loopback addresses, which its protected mode refuses.
        open_to_many = ["--maxclients", "50000", "--protected-mode", "no"]
        command += ["--appendonly", "yes" if keeps else "no", "--appendfsync", "everysec"]
        return Launch([*command, "--save", "", *open_to_many])

    return Contender(
        "redis",
        {STORE: Redis, OTHER: Redis},
        programs.redis_server,
        launch,
        lambda program: programs.first_line(program, "--version").split(" sha=")[0],
        keeps=True,
    )


def nats(given: str | None) -> Contender:
    """NATS with JetStream, over WebSocket."""

    def launch(program: str, port: int, folder: Path, keeps: bool) -> Launch:
        own_port = processes.free_port()
        settings = {
            "listen": f"127.0.0.1:{own_port}",
            "websocket": {"listen": f"127.0.0.1:{port}", "no_tls": True},
            "jetstream": {"store_dir": str(folder / "jetstream")},
            "max_payload": 8_000_000,
        }
        path = folder / "nats.json"  # its format takes JSON
        path.write_text(json.dumps(settings))
        command = [program, "--config", str(path)]
        return Launch(command, prepare=lambda: _make_bucket(own_port, keeps=keeps))

    return Contender(
        "nats",
        {STORE: Nats, OTHER: Nats},
        lambda: programs.nats_server(given),
        launch,
        lambda program: programs.first_line(program, "--version"),
        keeps=True,
    )


def _make_bucket(port: int, *, keeps: bool) -> None:
    """The key-value store that the phrases use; ``port`` speaks NATS without WebSocket."""
    stream = {
        "name": Nats.STREAM,
        "subjects": [f"$KV.{Nats.BUCKET}.>"],
        "max_msgs_per_subject": 1,
        "storage": "file" if keeps else "memory",
        "allow_direct": True,
    }
    request = json.dumps(stream)
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(
            f'CONNECT {{"verbose":false}}\r\nSUB made 1\r\n'
            f"PUB $JS.API.STREAM.CREATE.{Nats.STREAM} made {len(request)}\r\n{request}\r\n".encode()
        )
        answer = b""
        while b'"did_create"' not in answer:
            received = client.recv(65536)
            answer += received
            if not received or b'"error"' in answer:
                raise RuntimeError(f"NATS made no bucket: {answer.decode(errors='replace')}")
