"""Sessions of whole servers on real NATS servers: one is killed, the other knows them all."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

import dunena
from dunena import Session
from dunena.persistence.log import LEASE_MS
from dunena.sessions.limits import SHARED_SESSION_KEYS_MAX, WILL_OPERATIONS_MAX
from tests.protocol.clients import Client, http, open_objects
from tests.support.cutting_proxy import CuttingProxy
from tests.support.nats_cluster import Cluster, wait_for
from tests.support.node_client import NodeClient
from tests.support.patience import patiently
from tests.support.server import ServerProcess


def node_of(cluster: Cluster, bucket: str, *arguments: str) -> ServerProcess:
    """A server that shares a bucket with others of its name."""
    return ServerProcess(None, "--store", ",".join(cluster.urls), "--bucket", bucket, *arguments)


@contextmanager
def two_nodes(cluster: Cluster, bucket: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two servers that share a bucket."""
    with node_of(cluster, bucket) as one, node_of(cluster, bucket) as other:
        yield one, other


@contextmanager
def outage(
    nats_server: Path, folder: Path
) -> Iterator[tuple[Cluster, ServerProcess, CuttingProxy]]:
    """NATS servers that may end, a server at them, and the way to it."""
    with (
        Cluster(nats_server, folder) as cluster,
        node_of(cluster, "outage") as server,
        CuttingProxy(server.port) as proxy,
    ):
        yield cluster, server, proxy


def ask(client: Client, action: str, **fields: Any) -> dict[str, Any]:
    """The result of a request."""
    answer = client.ask({"action": action, "id": 1, **fields})
    result: dict[str, Any] = answer["result"]
    return result


def keys_of(server: ServerProcess) -> dict[str, Any]:
    values: dict[str, Any] = http(server, "GET", "/kv").json
    return values


def wait_for_keys(server: ServerProcess, expected: dict[str, Any]) -> None:
    wait_for(lambda: keys_of(server) == expected, lambda: f"{keys_of(server)} {server.log}")


def test_a_node_that_is_killed_leaves_no_ephemeral_key_and_its_wills_run(single: Cluster) -> None:
    with two_nodes(single, "killed") as (one, other), ExitStack() as stack:
        client = stack.enter_context(open_objects(one))
        follower = stack.enter_context(open_objects(other))
        ask(client, "session", grace=2000, will=[{"op": "set", "key": "gone", "value": 1}])
        ask(client, "set", key="here", value=1, ephemeral=True)
        wait_for_keys(other, {"here": 1})
        first = ask_update(follower, {"action": "watch", "pattern": "*"})
        assert first["reset"] is True
        one.kill()
        killed_at = time.monotonic()
        update = json.loads(follower.connection.recv(patiently(30)))["update"]
        assert time.monotonic() - killed_at >= LEASE_MS / 1000 - 4  # since its last sign
        changes = {change["key"]: change.get("event", "set") for change in update["changes"]}
        assert changes == {"here": "delete", "gone": "set"}
        assert keys_of(other) == {"gone": 1}


def hears_nothing(client: Client, seconds: float) -> None:
    """Nothing is told for so long."""
    with pytest.raises(TimeoutError):
        client.connection.recv(seconds)


def ask_update(client: Client, message: dict[str, Any]) -> dict[str, Any]:
    update: dict[str, Any] = client.ask(message)["update"]
    return update


def test_a_session_is_resumed_at_another_node_without_a_flicker(single: Cluster) -> None:
    with two_nodes(single, "resumed") as (one, other), ExitStack() as stack:
        client = stack.enter_context(open_objects(one))
        begun = ask(client, "session", grace=4000)
        ask(client, "set", key="here", value=1, ephemeral=True)
        follower = stack.enter_context(open_objects(one))
        ask_update(follower, {"action": "watch", "pattern": "*"})
        client.connection.socket.close()
        second = stack.enter_context(open_objects(other))
        wait_for_keys(other, {"here": 1})
        resumed = ask(second, "session", resume=begun["resume"])
        assert (resumed["session"], resumed["resumed"]) == (begun["session"], True)
        hears_nothing(follower, 5)  # which is longer than the grace
        assert keys_of(one) == keys_of(other) == {"here": 1}
        second.close()
        wait_for_keys(one, {})


def test_a_session_with_all_the_keys_it_may_have_ends_in_one_change(single: Cluster) -> None:
    with two_nodes(single, "many") as (one, other), ExitStack() as stack:
        client = stack.enter_context(open_objects(one))
        wills = [{"op": "set", "key": f"w{n}", "value": 1} for n in range(WILL_OPERATIONS_MAX)]
        ask(client, "session", will=wills)
        keys = [f"k{number}" for number in range(SHARED_SESSION_KEYS_MAX)]
        ops = [{"op": "set", "key": key, "value": 1, "ephemeral": True} for key in keys]
        ask(client, "txn", ops=ops)
        wait_for(lambda: len(keys_of(other)) == len(keys), lambda: other.log)
        batches_before = batches_of(other)
        client.close()
        wait_for_keys(other, {will["key"]: 1 for will in wills})
        assert batches_of(other) == batches_before + 1, "it came in parts"


def batches_of(server: ServerProcess) -> int:
    """The batches with changes that the node has seen."""
    batches: int = http(server, "GET", "/stats").json["store"]["batches"]
    return batches


def test_an_open_connection_is_closed_when_its_session_is_resumed_at_another_node(
    single: Cluster,
) -> None:
    with two_nodes(single, "displaced") as (one, other), ExitStack() as stack:
        client = stack.enter_context(open_objects(one))
        begun = ask(client, "session", grace=4000)
        second = stack.enter_context(open_objects(other))
        wait_for(
            lambda: ask(second, "session", resume=begun["resume"])["resumed"], lambda: other.log
        )
        with pytest.raises(ConnectionClosed) as closed:
            client.connection.recv(patiently(10))
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001


def test_a_session_of_a_killed_node_is_resumed_at_another_one(single: Cluster) -> None:
    with two_nodes(single, "moved") as (one, other), ExitStack() as stack:
        client = stack.enter_context(open_objects(one))
        begun = ask(client, "session", grace=1000)
        ask(client, "set", key="here", value=1, ephemeral=True)
        wait_for_keys(other, {"here": 1})
        one.kill()
        follower = stack.enter_context(open_objects(other))
        ask_update(follower, {"action": "watch", "pattern": "*"})
        second = stack.enter_context(open_objects(other))
        assert ask(second, "session", resume=begun["resume"])["resumed"] is True
        hears_nothing(follower, (LEASE_MS + 4000) / 1000)  # which is longer than the lease
        assert keys_of(other) == {"here": 1}


def test_a_server_that_stops_lets_its_clients_go_on_elsewhere(single: Cluster) -> None:
    with two_nodes(single, "stopped") as (one, other), ExitStack() as stack:
        client = stack.enter_context(open_objects(one))
        begun = ask(client, "session", grace=30_000)
        ask(client, "set", key="here", value=1, ephemeral=True)
        without_grace = stack.enter_context(open_objects(one))
        ask(without_grace, "set", key="there", value=1, ephemeral=True)
        assert one.stop() == 0
        second = stack.enter_context(open_objects(other))
        assert ask(second, "session", resume=begun["resume"])["resumed"] is True
        assert keys_of(other) == {"here": 1}


@pytest.fixture
def page(node: Path, node_modules: Path, tmp_path: Path) -> Iterator[NodeClient]:
    """The JavaScript client in a process of its own."""
    with NodeClient(node, node_modules, tmp_path / "page") as page:
        yield page


def test_python_clients_keep_session_and_presence_over_an_outage_of_the_store(
    nats_server: Path, tmp_path: Path
) -> None:
    with outage(nats_server, tmp_path) as (cluster, server, proxy), ExitStack() as stack:
        session = Session(timeout=2000, grace=60_000)
        store = stack.enter_context(dunena.sync.connect(proxy.url, session=session))
        store.present("ada", {"name": "Ada"})
        lose_the_store(cluster, server)
        proxy.cut()
        follower = stack.enter_context(open_objects(server))
        ask_update(follower, {"action": "watch", "pattern": "*"})
        cluster.mend()
        wait_for(lambda: sessions_of(server)["resumed"] == 1, lambda: server.log)
        assert keys_of(server) == {"ada": {"name": "Ada"}}
        assert follower.heard() == []


def be_present_through(
    page: NodeClient, options: str, cluster: Cluster, server: ServerProcess, proxy: CuttingProxy
) -> None:
    """A page is present, its store and its connection are lost, and the store is back."""
    page.open(proxy.url, options)
    page.run("await state.store.present('ada', 1)")
    lose_the_store(cluster, server)
    proxy.cut()
    page.run("await until(() => state.errors.some((text) => text.startsWith('Storage error')))")
    cluster.mend()


def test_pages_keep_session_and_presence_over_an_outage_of_the_store(
    nats_server: Path, tmp_path: Path, page: NodeClient
) -> None:
    with outage(nats_server, tmp_path) as (cluster, server, proxy):
        be_present_through(page, "session: { timeout: 2000, grace: 60000 }", cluster, server, proxy)
        wait_for(lambda: sessions_of(server)["resumed"] == 1, lambda: server.log)
        assert keys_of(server) == {"ada": 1}


def test_pages_without_a_session_are_present_again_after_an_outage_of_the_store(
    nats_server: Path, tmp_path: Path, page: NodeClient
) -> None:
    with outage(nats_server, tmp_path) as (cluster, server, proxy):
        be_present_through(page, "", cluster, server, proxy)
        wait_for(lambda: sessions_of(server)["ended"] == 1, lambda: server.log)
        wait_for_keys(server, {"ada": 1})


def lose_the_store(cluster: Cluster, server: ServerProcess) -> None:
    """End the NATS servers, and wait until the node refuses changes at once."""
    cluster.kill()
    wait_for(lambda: http(server, "GET", "/health/ready").status == 503, lambda: server.log)


def sessions_of(server: ServerProcess) -> dict[str, int]:
    sessions: dict[str, int] = http(server, "GET", "/stats").json["sessions"]
    return sessions


def test_a_node_that_hung_ends_the_connections_whose_sessions_others_ended(
    single: Cluster,
) -> None:
    with two_nodes(single, "hung") as (one, other), ExitStack() as stack:
        client = stack.enter_context(open_objects(one, ping_interval=None))
        begun = ask(client, "session", grace=1000, timeout=60_000)
        ask(client, "set", key="here", value=1, ephemeral=True)
        follower = stack.enter_context(open_objects(other))
        wait_for_keys(other, {"here": 1})
        ask_update(follower, {"action": "watch", "pattern": "*"})
        one.process.send_signal(signal.SIGSTOP)
        update = json.loads(follower.connection.recv(patiently(30)))["update"]
        assert [change["event"] for change in update["changes"]] == ["delete"]
        one.process.send_signal(signal.SIGCONT)
        with pytest.raises(ConnectionClosed) as closed:
            client.connection.recv(patiently(10))
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, "session has ended")
        wait_for_keys(one, {})
        again = stack.enter_context(open_objects(one))
        assert ask(again, "session", resume=begun["resume"])["resumed"] is False
