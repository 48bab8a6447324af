"""A node whose NATS server is cut off from the others says so, and goes to one of those."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cluster.machines import Cluster, NatsServer, Node, end, wait_until
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


def put(node: Node, value: int = 1) -> int:
    return ask(node, "PUT", "/kv/k", str(value))[0]


def health(node: Node) -> dict[str, str]:
    """What a node says of its store."""
    check: dict[str, str] = json.loads(ask(node, "GET", "/health")[1])["checks"]["store"]
    return check


def ask(node: Node, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    connection = HTTPConnection(node.place.address, node.port, timeout=patiently(30))
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
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


@pytest.mark.parametrize("is_leader", [True, False], ids=["leader", "follower"])
def test_a_reader_says_that_it_is_stale_and_leaves_a_server_that_is_cut_off(
    cluster: Cluster, *, is_leader: bool
) -> None:
    (writer,) = cluster.nodes
    assert put(writer) == 201
    network = cluster.network
    assert isinstance(network, Namespaces)
    server = cluster.leader() if is_leader else cluster.follower()
    others = [one for one in cluster.servers if one is not server]
    urls = [one.url for one in cluster.servers]
    with ExitStack() as stack:

        def reader_at(name: str, urls: list[str]) -> Node:
            place = network.make_place(name)
            node = Node(place, cluster.folder, network, urls, "--store-read-only")
            stack.callback(end, node)
            node.start()
            wait_until(lambda: node.is_ready, f"{name} is ready\n{node.log}")
            return node

        fixed = reader_at("r0", [server.url])
        free = reader_at("r1", urls)
        while server_of(cluster, free) is not server:  # it takes any
            free.stop()
            free.start()
            wait_until(lambda: free.is_ready, f"it is ready\n{free.log}")
        for other in others:
            network.split(server.place, other.place)
        began_at = time.monotonic()
        for node in (fixed, free):
            wait_until(
                lambda one=node: health(one)["status"] == "unhealthy",  # type: ignore[misc]
                f"it is stale\n{node.log}",
                patiently(8),
            )
            sys.stderr.write(f"stale after {time.monotonic() - began_at:.1f} s\n")
        wait_until(lambda: put(writer, 2) == 204, f"writes go on\n{writer.log}", patiently(60))
        wait_until(lambda: ask(free, "GET", "/kv/k")[1] == b"2", free.log, patiently(40))
        wait_until(lambda: health(free)["status"] == "healthy", free.log, patiently(30))
        sys.stderr.write(f"level at another server after {time.monotonic() - began_at:.1f} s\n")
        assert server_of(cluster, free) in others
        assert ask(fixed, "GET", "/kv/k")[1] == b"1"
        assert health(fixed)["status"] == "unhealthy"
        for other in others:
            network.join(server.place, other.place)
        wait_until(lambda: ask(fixed, "GET", "/kv/k")[1] == b"2", fixed.log, patiently(30))
        wait_until(lambda: health(fixed)["status"] == "healthy", fixed.log, patiently(30))
        cluster.wait_until_ready()
