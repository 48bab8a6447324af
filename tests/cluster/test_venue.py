"""A venue behind a leaf node, whose link is cut and comes back: what docs/cluster.md says of it."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.machines import (
    NATS_SERVER,
    Cluster,
    Machine,
    Node,
    end,
    fetch,
    wait_until,
)
from tests.cluster.networks import (
    Loopback,
    Namespaces,
    Network,
    Place,
    why_no_namespaces,
)
from tests.support.patience import patiently

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is a NATS server for Linux alone"),
    pytest.mark.timeout(200),
]

CONFIGURATION = """\
server_name: {name}
listen: "{address}:{port}"
max_payload: 8MB
ping_interval: 5s
leafnodes {{ reconnect: 1s, remotes: [ {{ urls: [{urls}] }} ] }}
"""

STORE_TIMEOUT_SECONDS = 2


class Leaf(Machine):
    """A NATS server at the venue, which keeps nothing itself."""

    def __init__(self, place: Place, folder: Path, network: Network, urls: list[str]) -> None:
        super().__init__(place, folder / f"{place.name}.log")
        self.port = network.find_port(4222)
        self._configuration = folder / f"{place.name}.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                name=place.name,
                address=place.address,
                port=self.port,
                urls=", ".join(f'"{url}"' for url in urls),
            ),
            "utf-8",
        )

    @property
    def url(self) -> str:
        """Where the venue's nodes reach it."""
        return f"nats://{self.place.address}:{self.port}"

    def words(self) -> list[str]:
        return [str(NATS_SERVER), "--config", str(self._configuration)]


class Venue:
    """The three servers with a node of theirs, a leaf node, and a node behind it."""

    def __init__(self, cluster: Cluster, leaf: Leaf, node: Node) -> None:
        self.cluster = cluster
        self.leaf = leaf
        self.node = node

    @property
    def hub(self) -> Node:
        """The node next to the servers."""
        return self.cluster.nodes[0]

    def cut(self) -> None:
        """Let nothing come through; where networks cannot be cut, the leaf node hangs."""
        network = self.cluster.network
        if isinstance(network, Namespaces):
            for server in self.cluster.servers:
                network.split(self.leaf.place, server.place)
        else:
            self.leaf.pause()

    def mend(self) -> None:
        """Let it come through again."""
        network = self.cluster.network
        if isinstance(network, Namespaces):
            for server in self.cluster.servers:
                network.join(self.leaf.place, server.place)
        else:
            self.leaf.resume()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    with ExitStack() as stack:
        network = Loopback() if why_no_namespaces() else Namespaces()
        cluster = stack.enter_context(Cluster(tmp_path, network, nodes=1))
        urls = [f"nats://{one.place.address}:{one.leaf_port}" for one in cluster.servers]
        leaf = Leaf(network.make_place("v1"), tmp_path, network, urls)
        stack.callback(end, leaf)
        leaf.start()
        options = ("--store-domain", "hub", "--store-timeout", str(STORE_TIMEOUT_SECONDS))
        node = Node(network.make_place("d9"), tmp_path, network, [leaf.url], *options)
        stack.callback(end, node)
        node.start()
        wait_until(lambda: node.is_ready, f"the venue's node is ready\n{leaf.log}\n{node.log}")
        yield Venue(cluster, leaf, node)


def put(node: Node, key: str, value: Any) -> tuple[int, str]:
    """Set a key; the status and the body of the answer."""
    connection = HTTPConnection(node.place.address, node.port, timeout=patiently(20))
    try:
        connection.request("PUT", f"/kv/{key}", json.dumps(value))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def value_at(node: Node, key: str) -> Any:
    return fetch(f"{node.url}/kv/{key}")


def test_a_venue_reads_while_its_link_is_cut_and_is_level_when_it_is_back(venue: Venue) -> None:
    assert put(venue.node, "a", 1)[0] == 201
    wait_until(lambda: value_at(venue.hub, "a") == 1, "the hub has it")
    assert put(venue.hub, "b", 2)[0] == 201
    wait_until(lambda: value_at(venue.node, "b") == 2, "the venue has it")

    venue.cut()
    began_at = time.monotonic()
    status, text = put(venue.node, "c", 3)
    waited = time.monotonic() - began_at
    assert status == 504, text
    assert "the change may have been made" in text
    assert waited < patiently(STORE_TIMEOUT_SECONDS + 2)
    status, text = put(venue.node, "d", 4)
    assert status == 503, text
    assert "nothing was stored" in text
    assert put(venue.hub, "b", 5)[0] == 204
    assert value_at(venue.node, "b") == 2, "old, but there"
    wait_until(lambda: not venue.node.is_ready, "it says that it stores nothing")

    venue.mend()
    seconds = wait_until(lambda: value_at(venue.node, "b") == 5, "the venue is level")
    wait_until(lambda: venue.node.is_ready, "it stores changes again")
    sys.stderr.write(f"level again after {seconds:.1f} s\n")
    # It was made at once or never: nothing is sent late.
    later = value_at(venue.node, "c")
    assert later in (None, 3)
    assert value_at(venue.hub, "c") == later
    assert value_at(venue.node, "d") is None
    assert put(venue.node, "e", 6)[0] == 201
