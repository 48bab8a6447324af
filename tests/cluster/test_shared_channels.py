"""The channels of whole servers on real NATS servers."""

from contextlib import ExitStack
from typing import Any

from tests.cluster.test_shared_sessions import node
from tests.protocol.clients import Client, http, open_objects
from tests.support.event_stream import EventStreamClient
from tests.support.nats_cluster import Cluster, wait_for
from tests.support.server import ServerProcess

THERE = ["there?"]


def test_messages_reach_both_nodes_in_one_order(single: Cluster) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(node(single, "channels"))
        other = stack.enter_context(node(single, "channels"))
        clients = [stack.enter_context(open_objects(server)) for server in (one, other)]
        for client in clients:
            client.send({"action": "subscribe", "channel": "chat"})
            client.heard()
        until_heard(clients[1], one)
        for number in range(50):
            for server in (one, other):
                data = [server.port, number]
                assert http(server, "POST", "/publish/chat", body=data).status == 204
        for client in clients:
            heard: dict[int, list[int]] = {one.port: [], other.port: []}
            while not all(49 in numbers for numbers in heard.values()):
                data = client.receive()["data"]
                if data != THERE:
                    heard[data[0]].append(data[1])
            assert list(heard.values()) == [list(range(50))] * 2


def until_heard(client: Client, server: ServerProcess) -> None:
    """Publish at another node until a subscription here has arrived there."""
    heard: list[Any] = []

    def is_heard() -> bool:
        http(server, "POST", "/publish/chat", body=THERE)
        heard.extend(client.heard())
        return bool(heard)

    wait_for(is_heard, lambda: server.log)
    client.heard()


def test_an_event_stream_has_the_messages_of_another_node(single: Cluster) -> None:
    with (
        node(single, "events") as one,
        node(single, "events") as other,
        EventStreamClient(other, "channel=chat") as stream,
        open_objects(other) as client,
    ):
        client.send({"action": "subscribe", "channel": "chat"})
        until_heard(client, one)
        http(one, "POST", "/publish/chat", body={"a": "\n"})
        data = [stream.event().json["data"]]
        while data[-1] != {"a": "\n"}:
            data.append(stream.event().json["data"])
        assert data[:-1] == [THERE] * (len(data) - 1)


def test_nothing_is_published_while_a_node_has_no_connection(
    nats_server: Any, tmp_path: Any
) -> None:
    with Cluster(nats_server, tmp_path) as cluster, node(cluster, "alone") as server:
        assert http(server, "POST", "/publish/chat", body=1).status == 204
        cluster.kill()
        wait_for(
            lambda: http(server, "POST", "/publish/chat", body=1).status == 503,
            lambda: server.log,
        )
        reply = http(server, "POST", "/publish/chat", body=1)
        assert reply.json["error"].startswith("Storage error: ")
        cluster.mend()
        wait_for(
            lambda: http(server, "POST", "/publish/chat", body=1).status == 204,
            lambda: server.log,
        )
