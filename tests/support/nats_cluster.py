"""Real NATS servers with JetStream: one, or a cluster of several, on free ports."""

import ctypes
import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.patience import patiently
from tests.support.ports import find_row

SECONDS_MAX = 30
"""How long servers may take to start, and a cluster to choose a leader (4 to 9 s)."""

_PR_SET_PDEATHSIG = 1

_SPAWNER = ThreadPoolExecutor(1)
"""Starts all servers: they end with the thread that started them, as this one does with the tests,
also if those are killed.
"""


class NatsServer:
    """One server, which keeps its streams in its folder and its ports over restarts."""

    def __init__(self, program: Path, folder: Path, name: str) -> None:
        self.name = name
        self._program = program
        self._folder = folder
        first = find_row(3)
        self.port, self.route_port, self._http_port = range(first, first + 3)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_suspended = False
        self._configured: tuple[list[int], str | None] = ([], None)

    @property
    def url(self) -> str:
        return f"nats://localhost:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text("utf-8")

    def configure(self, routes: Iterable[int], more: str, jetstream: str | None) -> None:
        """Write the configuration; `more` is appended to it, `jetstream` to that of JetStream."""
        routes = list(routes)
        self._configured = (routes, jetstream)
        self._folder.mkdir(parents=True, exist_ok=True)
        others = ", ".join(f"nats://127.0.0.1:{port}" for port in routes)
        cluster = (
            f"cluster {{ name: test, listen: 127.0.0.1:{self.route_port}, routes: [{others}] }}"
            if others
            else ""
        )
        store = json.dumps(str(self._folder / "store"))
        lines = [
            f"server_name: {self.name}",
            f"listen: 127.0.0.1:{self.port}",
            f"http: 127.0.0.1:{self._http_port}",
            f"pid_file: {json.dumps(str(self._folder / 'pid'))}",
            # Without a size, the server asks for three quarters of the disk and the memory.
            ""
            if jetstream is None
            else f"jetstream {{ store_dir: {store}, max_mem: 256MB, max_file: 4GB, {jetstream} }}",
            cluster,
            more,
        ]
        (self._folder / "conf").write_text("\n".join(lines), "utf-8")

    def reconfigure(self, more: str) -> None:
        """Let the server that runs take another configuration, and wait until it has."""
        assert self._process is not None
        routes, jetstream = self._configured
        self.configure(routes, more, jetstream)
        done = "Reloaded server configuration"
        before = self.log.count(done)
        self._process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log.count(done) > before, lambda: self.log)

    def start(self) -> None:
        """Start the process; `wait_until_ready` waits for it."""
        assert self._process is None
        library = ctypes.CDLL(None)
        with (self._folder / "log").open("ab") as log:
            self._process = _SPAWNER.submit(
                lambda: subprocess.Popen(
                    [self._program, "-c", self._folder / "conf"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=lambda: library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
                )
            ).result()

    def stop(self) -> None:
        """Let it end by itself, as a service manager does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self.resume()
            self._process.wait(patiently(SECONDS_MAX))
            self._process = None

    def restart(self) -> None:
        """Start it again after its end, and wait until it takes part."""
        self.start()
        self.wait_until_ready()

    def suspend(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._is_suspended = True
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End the hanging."""
        if self._process is not None and self._is_suspended:
            self._is_suspended = False
            self._process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Remove all streams of a server that does not run."""
        assert self._process is None
        shutil.rmtree(self._folder / "store")

    def save(self) -> None:
        """Copy all streams of a server that does not run; `put_back` puts that in their place."""
        assert self._process is None
        shutil.copytree(self._folder / "store", self._folder / "saved")

    def put_back(self) -> None:
        """Have the streams that were saved, in place of the present ones."""
        self.forget()
        (self._folder / "saved").rename(self._folder / "store")

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def ask(self, path: str) -> dict[str, Any] | None:
        """Ask the port for observers; return None if it does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._http_port}{path}", timeout=2
            ) as r:
                answer: dict[str, Any] = json.load(r)
                return answer
        except (OSError, urllib.error.HTTPError):
            return None

    def wait_until_ready(self) -> None:
        """Wait until streams can be made."""
        wait_for(lambda: self.ask("/healthz") == {"status": "ok"}, lambda: self.log)


class Cluster:
    """Servers that replicate each other's streams, or one; at the end of a `with` none is left.

    `configuration` is appended to that of each server.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        size: int = 1,
        configuration: str = "",
        *,
        has_jetstream: bool = True,
        domain: str | None = None,
        sync_interval: str | None = None,
    ) -> None:
        names = [f"n{number}" for number in range(1, size + 1)]
        self.servers = [NatsServer(program, folder / name, name) for name in names]
        ports = [server.route_port for server in self.servers] if size > 1 else []
        given = {"domain": domain, "sync_interval": sync_interval}
        jetstream = ", ".join(f"{name}: {value}" for name, value in given.items() if value)
        for server in self.servers:
            server.configure(ports, configuration, jetstream if has_jetstream else None)

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End all servers at once."""
        for server in self.servers:
            server.kill()

    def mend(self) -> None:
        """Let all servers run that do not, and wait until they take part."""
        for server in self.servers:
            server.resume()
            if not server.is_running:
                server.start()
        self.wait_until_ready()

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(server.url for server in self.servers)

    def wait_until_ready(self) -> None:
        """Wait until streams can be made, with as many copies as there are servers."""
        for server in self.servers:
            server.wait_until_ready()
        if len(self.servers) > 1:
            wait_for(self._is_whole, lambda: self.servers[0].log)

    def _is_whole(self) -> bool:
        for server in self.servers:
            meta = (server.ask("/jsz") or {}).get("meta_cluster", {})
            if not meta.get("leader") or meta.get("cluster_size") != len(self.servers):
                return False
            if meta["leader"] == server.name and any(
                peer.get("offline") or not peer.get("current") for peer in meta.get("replicas", [])
            ):
                return False
        return True

    def leader_of(self, stream: str) -> NatsServer:
        """The server that leads a stream, once there is one and it runs."""
        found: list[NatsServer] = []

        def is_found() -> bool:
            found[:] = [one for one in self.servers if _leads(one, stream)]
            return len(found) == 1

        wait_for(is_found, lambda: f"nobody leads {stream}")
        return found[0]

    def wait_until_leaf(self) -> None:
        """Wait until the only server is connected to that of which it is a leaf."""
        server = self.servers[0]
        wait_for(lambda: (server.ask("/leafz") or {}).get("leafnodes"), lambda: server.log)

    def wait_until_followed(self, stream: str) -> None:
        """Wait until all servers have all of a stream."""

        def is_followed() -> bool:
            details = _stream_details(self.leader_of(stream), stream)
            replicas = details.get("cluster", {}).get("replicas", [])
            return len(replicas) == len(self.servers) - 1 and all(
                one.get("current") and not one.get("offline") for one in replicas
            )

        wait_for(
            is_followed,
            lambda: json.dumps({one.name: _stream_details(one, stream) for one in self.servers}),
        )


def wait_for(is_met: Callable[[], object], describe: Callable[[], str]) -> None:
    """Wait for a condition of other processes; fail with a description if it is not met."""
    deadline = time.monotonic() + patiently(SECONDS_MAX)
    while not is_met():
        assert time.monotonic() < deadline, describe()
        time.sleep(0.02)


def _leads(server: NatsServer, stream: str) -> bool:
    cluster = _stream_details(server, stream).get("cluster", {})
    return server.is_running and cluster.get("leader") == server.name


def _stream_details(server: NatsServer, stream: str) -> dict[str, Any]:
    answer = server.ask("/jsz?streams=true&accounts=true") or {}
    for account in answer.get("account_details", []):
        for details in account.get("stream_detail", []):
            if details["name"] == stream:
                found: dict[str, Any] = details
                return found
    return {}


def free_port() -> int:
    """A port that is free now."""
    return find_row(1)
