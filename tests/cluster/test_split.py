"""A node whose NATS server is cut off from the others goes to one of those."""

import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cluster.machines import Cluster, NatsServer, Node, wait_until
from tests.cluster.networks import Namespaces, why_no_namespaces
from tests.support.patience import patiently

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(reason)
    with Cluster(tmp_path, Namespaces(), nodes=1) as cluster:
        yield cluster


def server_of(cluster: Cluster, node: Node) -> NatsServer:
    """The server that a node is connected to."""
    for server in cluster.servers:
        connections = server.ask("connz")["connections"]
        if any(one["ip"] == node.place.address for one in connections):
            return server
    raise AssertionError("the node is connected nowhere")


def put(node: Node) -> int:
    connection = HTTPConnection(node.place.address, node.port, timeout=patiently(30))
    try:
        connection.request("PUT", "/kv/k", "1")
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_node_leaves_a_server_that_answers_no_request(cluster: Cluster) -> None:
    (node,) = cluster.nodes
    assert put(node) == 201
    server = server_of(cluster, node)
    network = cluster.network
    assert isinstance(network, Namespaces)
    others = [one for one in cluster.servers if one is not server]
    for other in others:
        network.split(server.place, other.place)
    began_at = time.monotonic()
    wait_until(lambda: put(node) in (201, 204), f"writes go on\n{node.log}", patiently(60))
    sys.stderr.write(f"writes go on after {time.monotonic() - began_at:.1f} s\n")
    assert server_of(cluster, node) in others
    for other in others:
        network.join(server.place, other.place)
    cluster.wait_until_ready()
