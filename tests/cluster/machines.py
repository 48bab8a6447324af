"""A cluster of real programs: NATS servers, and nodes of dunena that share a bucket of theirs."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster.disks import Disk
from tests.cluster.networks import Loopback, Namespaces, Network, Place
from tests.support.forked import PROGRAM
from tests.support.patience import patiently

NATS_SERVER = Path(sys.executable).with_name("nats-server")
"""The program that is among the packages of the tests."""

BUCKET = "show"
STREAM = f"KV_{BUCKET}"

READY_SECONDS_MAX = patiently(40)
STOP_SECONDS_MAX = patiently(20)
POLL_SECONDS = 0.1

CONFIGURATION = """\
server_name: {name}
listen: "{address}:{port}"
http: "{address}:{monitor}"
max_payload: 8MB
jetstream {{ store_dir: "{store}", sync_interval: always, domain: hub }}
cluster {{ name: hub, listen: "{address}:{routes_port}", routes: [{routes}] }}
leafnodes {{ listen: "{address}:{leaf_port}" }}
"""


class Machine:
    """A program at a place, which is started and ended in all ways."""

    def __init__(self, place: Place, log: Path) -> None:
        self.place = place
        self.log_file = log
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The name of its place."""
        return self.place.name

    @property
    def is_running(self) -> bool:
        """Whether the process lives, also if it is paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """All that it has said."""
        return self.log_file.read_text("utf-8", errors="replace") if self.log_file.exists() else ""

    def words(self) -> list[str]:
        """The command."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, without waiting for anything."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.place.prefix, *self.words()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            )

    def send(self, number: int) -> None:
        """Send a signal to it, if it lives."""
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STOP_SECONDS_MAX)

    def pause(self) -> None:
        """Let it hang."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)


class NatsServer(Machine):
    """A NATS server; ``folder`` has its configuration and its log, ``store`` its data."""

    def __init__(self, place: Place, folder: Path, network: Network, store: Path) -> None:
        super().__init__(place, folder / f"{place.name}.log")
        self.store = store
        self.configuration = folder / f"{place.name}.conf"
        self.port = network.find_port(4222)
        self.monitor = network.find_port(8222)
        self.routes_port = network.find_port(6222)
        self.leaf_port = network.find_port(7422)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"nats://{self.place.address}:{self.port}"

    def configure(self, servers: "list[NatsServer]") -> None:
        """Write its file, with routes to all."""
        routes = [f'"nats://{one.place.address}:{one.routes_port}"' for one in servers]
        text = CONFIGURATION.format(
            name=self.name,
            address=self.place.address,
            port=self.port,
            monitor=self.monitor,
            store=self.store,
            routes_port=self.routes_port,
            leaf_port=self.leaf_port,
            routes=", ".join(routes),
        )
        self.configuration.write_text(text, "utf-8")

    def words(self) -> list[str]:
        return [str(NATS_SERVER), "--config", str(self.configuration)]

    def ask(self, path: str) -> Any:
        """What its monitor answers; None if it does not, or not well."""
        return fetch(f"http://{self.place.address}:{self.monitor}/{path}")

    @property
    def is_healthy(self) -> bool:
        """Whether it and its streams are up to date."""
        answer = self.ask("healthz")
        return answer is not None and answer.get("status") == "ok"


class Node(Machine):
    """A node of dunena."""

    def __init__(
        self, place: Place, folder: Path, network: Network, urls: list[str], *options: str
    ) -> None:
        super().__init__(place, folder / f"{place.name}.log")
        self.port = network.find_port(3000)
        self._urls = urls
        self._options = options

    @property
    def ws_url(self) -> str:
        """Where WebSocket is, without a path."""
        return f"ws://{self.place.address}:{self.port}"

    @property
    def url(self) -> str:
        """Where HTTP is."""
        return f"http://{self.place.address}:{self.port}"

    def words(self) -> list[str]:
        where = ("--host", self.place.address, "--port", str(self.port))
        store = ("--store", ",".join(self._urls), "--bucket", BUCKET)
        return [*PROGRAM, "serve", *where, *store, *self._options]

    @property
    def is_ready(self) -> bool:
        """Whether it stores changes."""
        return fetch(f"{self.url}/health/ready") is not None

    def read_all(self, ns: str) -> dict[str, Any]:
        """All values of a namespace."""
        values = fetch(f"{self.url}/kv?ns={ns}")
        assert isinstance(values, dict), f"{self.name} does not answer"
        return values


def fetch(url: str) -> Any:
    """The JSON at an address; None if there is no answer in time, or one that is no 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.loads(answer.read())
    except (urllib.error.URLError, OSError, ValueError):
        return None


def wait_until(
    holds: Callable[[], bool], what: str, seconds_max: float = READY_SECONDS_MAX
) -> float:
    """Wait for a condition; how long it took, in seconds."""
    began_at = time.monotonic()
    while not holds():
        assert time.monotonic() - began_at < seconds_max, f"not in {seconds_max} s: {what}"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began_at


class Cluster:
    """NATS servers n1, n2... and nodes d1, d2..., all started and ready at the begin of a `with`.

    In namespaces if ``network`` is one. ``disks`` are disks for the data of servers by name, in the
    place of folders in ``folder``.
    """

    def __init__(
        self,
        folder: Path,
        network: Loopback | Namespaces,
        *,
        servers: int = 3,
        nodes: int = 3,
        disks: Mapping[str, Disk] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.network = network
        self._counts = (servers, nodes)
        self.disks = disks or {}
        self._options = options
        self._stack = ExitStack()
        self.servers: list[NatsServer] = []
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.network)
            servers, nodes = self._counts
            for number in range(1, servers + 1):
                place = self.network.make_place(f"n{number}")
                disk = self.disks.get(place.name)
                store = self.folder / place.name if disk is None else disk.store
                server = NatsServer(place, self.folder, self.network, store)
                self.servers.append(server)
                stack.callback(end, server)
            for server in self.servers:
                server.configure(self.servers)
                server.start()
            urls = [server.url for server in self.servers]
            for number in range(1, nodes + 1):
                place = self.network.make_place(f"d{number}")
                node = Node(place, self.folder, self.network, urls, *self._options)
                self.nodes.append(node)
                stack.callback(end, node)
                node.start()
            self.wait_until_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        if kind is None:
            for node in self.nodes:
                assert "Traceback" not in node.log, node.log

    def wait_until_ready(self) -> None:
        """Wait until every server and every node says that it is well."""
        for server in self.servers:
            wait_until(lambda one=server: one.is_healthy, f"{server.name} is healthy")
        for node in self.nodes:
            wait_until(lambda one=node: one.is_ready, f"{node.name} is ready\n{node.log}")

    def leader(self) -> NatsServer:
        """The leader of the bucket's stream."""
        found: list[str] = []

        def is_known() -> bool:
            found[:] = filter(None, map(_leader_said_by, self.servers))
            return bool(found)

        wait_until(is_known, "a leader")
        (server,) = [one for one in self.servers if one.name == found[0]]
        return server

    def follower(self) -> NatsServer:
        """A server that is not the leader."""
        leader = self.leader()
        return next(server for server in self.servers if server is not leader)

    def read_all(self, node: int, ns: str) -> dict[str, Any]:
        """All values of a namespace at a node."""
        return self.nodes[node].read_all(ns)


def _leader_said_by(server: NatsServer) -> str | None:
    """The leader of the stream, if this server says that it is that itself."""
    answer = server.ask("jsz?accounts=1&streams=1") if server.is_running else None
    for account in (answer or {}).get("account_details", []):
        for stream in account.get("stream_detail", []):
            if stream["name"] == STREAM and stream["cluster"].get("leader") == server.name:
                return server.name
    return None


def end(machine: Machine) -> None:
    """End a machine whatever state it is in."""
    if not machine.is_running:
        return
    machine.resume()
    try:
        machine.stop()
    except subprocess.TimeoutExpired:
        machine.kill()
