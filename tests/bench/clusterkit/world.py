"""All that is measured, running: NATS servers, and of each dunena its nodes and one on a folder."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.speedkit.builds import Build
from tests.support.nats_cluster import Cluster

from .servers import Server, wait_until_idle

RAW_BUCKET = "raw"


@dataclass(frozen=True, slots=True)
class Dunena:
    """One dunena: ``nodes`` share ``bucket``, ``alone`` has a folder. All are ready."""

    build: Build
    bucket: str
    nodes: Sequence[Server]
    alone: Server

    @property
    def name(self) -> str:
        """Of its columns."""
        return self.build.name

    @property
    def stream(self) -> str:
        """That of the bucket."""
        return f"KV_{self.bucket}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the command line asks for; ``seconds`` are those of one measurement."""

    rounds: int
    seconds: float
    servers: int
    nodes: int
    keys: int
    sync: str


@dataclass(frozen=True, slots=True)
class World:
    """What measurements work with. ``load`` is the built load generator; ``folder`` is empty.

    ``tell`` is called with what is being measured.
    """

    cluster: Cluster
    dunenas: Sequence[Dunena]
    load: Path
    folder: Path
    terms: Terms
    tell: Callable[[str], None]

    def settle(self) -> None:
        """Wait until nothing goes on any more, such as writing files after what was measured."""
        servers = [server for one in self.dunenas for server in (*one.nodes, one.alone)]
        wait_until_idle([server.pid for server in (*servers, *self.cluster.servers)])

    def new_node(self, build: Build, bucket: str, folder: Path) -> Server:
        """One more node, which is not started."""
        return _node(self.cluster, build, bucket, folder)


@contextmanager
def running(
    builds: Sequence[Build],
    nats_server: str,
    load: Path,
    folder: Path,
    terms: Terms,
    tell: Callable[[str], None],
) -> Iterator[World]:
    """Start everything, and stop it at the end. Raises `servers.MeasureError`."""
    with ExitStack() as started:
        tell(f"starting {terms.servers} NATS servers")
        cluster = Cluster(
            Path(nats_server), folder / "nats", terms.servers, sync_interval=terms.sync
        )
        started.enter_context(cluster)
        dunenas = []
        for build in builds:
            tell(f"starting {terms.nodes} nodes of {build.name}, and one with a folder")
            dunenas.append(_start(started, cluster, build, folder / build.name, terms.nodes))
        (folder / "more").mkdir()
        yield World(cluster, dunenas, load, folder / "more", terms, tell)


def _start(started: ExitStack, cluster: Cluster, build: Build, folder: Path, count: int) -> Dunena:
    nodes = [
        started.enter_context(_node(cluster, build, build.name, folder / f"node-{number}"))
        for number in range(1, count + 1)
    ]
    values = str(folder / "values")
    alone = started.enter_context(Server(build, folder / "alone", "--cache-dir", values))
    return Dunena(build, build.name, nodes, alone)


def _node(cluster: Cluster, build: Build, bucket: str, folder: Path) -> Server:
    copies = str(len(cluster.servers))
    options = ["--store", ",".join(cluster.urls), "--bucket", bucket, "--store-replicas", copies]
    return Server(build, folder, *options)
