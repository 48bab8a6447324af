"""A rolling upgrade, of nodes and of NATS servers, as docs/cluster.md describes it, under load.

The clients are those of Python, behind a balancer; each adds to a counter, and must be told of no
error. `DUNENA_CLUSTER_ROUNDS` says how often everything is restarted (once).
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dunena
from tests.cluster.balancer import Balancer
from tests.cluster.machines import Cluster, NatsServer, wait_until
from tests.cluster.networks import Loopback
from tests.support.patience import patiently

ROUNDS = int(os.environ.get("DUNENA_CLUSTER_ROUNDS", "1"))
CLIENTS = 4

WAIT_SECONDS_MAX = 3.0
"""For one write: a client's own pause before it connects again is within it."""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is a NATS server for Linux alone"),
    pytest.mark.timeout(300 + 200 * ROUNDS),
]


class Adder(threading.Thread):
    """Adds one to the counter, again and again, and remembers how long each took."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self.is_over = threading.Event()
        self.seconds: list[float] = []
        self.failure: dunena.Error | None = None

    def run(self) -> None:
        try:
            with dunena.sync.connect(self._address, timeout=patiently(30)) as store:
                while not self.is_over.is_set():
                    began_at = time.monotonic()
                    store.incr("count")
                    self.seconds.append(time.monotonic() - began_at)
                    self.is_over.wait(0.005)
        except dunena.Error as error:
            self.failure = error


class Watcher(threading.Thread):
    """Sees the counter, which only grows."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self.seen: list[int] = []

    def run(self) -> None:
        with dunena.sync.connect(self._address) as store, store.watch("count", "end") as changes:
            for key, value in changes:
                if key == "count" and value is not None:
                    self.seen.append(value)
                if key == "end" and value is not None:
                    return


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, Loopback()) as cluster:
        yield cluster


def say(text: str) -> None:
    """Tell whoever looks at the figures."""
    sys.stderr.write(f"{text}\n")


def upgrade_under_load(cluster: Cluster, upgrade: Callable[[], None], what: str) -> float:
    """Let clients work while everything is restarted; the longest wait of a write, in seconds."""
    with Balancer(cluster.nodes) as balancer:
        watcher = Watcher(balancer.address)
        watcher.start()
        adders = [Adder(balancer.address) for _ in range(CLIENTS)]
        for adder in adders:
            adder.start()
        wait_until(
            lambda: all(adder.seconds or adder.failure for adder in adders),
            "the clients have begun",
        )
        began_at = time.monotonic()
        for _ in range(ROUNDS):
            upgrade()
        lasted = time.monotonic() - began_at
        for adder in adders:
            adder.is_over.set()
            adder.join(patiently(40))
        assert [adder.failure for adder in adders] == [None] * CLIENTS
        with dunena.sync.connect(balancer.address) as store:
            store.set("end", 1)
            count = store.get("count")
        watcher.join(patiently(20))
    times = sorted(second for adder in adders for second in adder.seconds)
    slow = sum(second > 0.5 for second in times)
    say(
        f"{what}: {len(times)} writes in {lasted:.1f} s, p50 {times[len(times) // 2] * 1e3:.1f} ms,"
        f" p99 {times[len(times) * 99 // 100] * 1e3:.0f} ms, longest {times[-1]:.2f} s,"
        f" {slow} over 0.5 s"
    )
    assert count == len(times), "each was made once"
    assert watcher.seen == sorted(watcher.seen)
    assert watcher.seen[-1] == count
    return times[-1]


def restart_nodes(cluster: Cluster) -> None:
    """One at a time: stop, start, wait until it is ready."""
    for node in cluster.nodes:
        assert node.stop() == 0, node.log
        node.start()
        wait_until(lambda one=node: one.is_ready, f"{node.name} is ready\n{node.log}")


def restart_servers(cluster: Cluster, stop: Callable[[NatsServer], object]) -> None:
    """One at a time: stop, start, wait until it has caught up."""
    for server in cluster.servers:
        stop(server)
        server.start()
        wait_until(lambda one=server: one.is_healthy, f"{server.name} is healthy")
        # It may have been asked before it knew what it has missed.
        time.sleep(1)
        wait_until(lambda one=server: one.is_healthy, f"{server.name} is healthy")


def stop_by_lame_duck(server: NatsServer) -> None:
    """Send clients away first, as `nats-server --signal ldm` does."""
    server.send(signal.SIGUSR2)
    wait_until(lambda: not server.is_running, f"{server.name} has ended", patiently(60))


def test_nodes_are_upgraded_without_an_error(cluster: Cluster) -> None:
    longest = upgrade_under_load(cluster, lambda: restart_nodes(cluster), "nodes")
    assert longest < patiently(WAIT_SECONDS_MAX)


def test_nats_servers_are_upgraded_without_an_error(cluster: Cluster) -> None:
    longest = upgrade_under_load(
        cluster, lambda: restart_servers(cluster, NatsServer.stop), "NATS servers, SIGTERM"
    )
    assert longest < patiently(WAIT_SECONDS_MAX)


@pytest.mark.skipif(ROUNDS < 2, reason="it waits for half a minute at each server")
def test_nats_servers_can_be_stopped_as_lame_ducks(cluster: Cluster) -> None:
    longest = upgrade_under_load(
        cluster, lambda: restart_servers(cluster, stop_by_lame_duck), "NATS servers, lame duck"
    )
    assert longest < patiently(WAIT_SECONDS_MAX)
