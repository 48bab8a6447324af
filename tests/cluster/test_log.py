"""The log in streams of real servers: nodes that agree, whatever happens to the servers."""

import asyncio
from pathlib import Path

from dunena.persistence.jetstream.permissions import permissions_of
from dunena.persistence.log import (
    GROUP_OPS_MAX,
    LogBatch,
    Op,
    OpKind,
    Refusal,
    RefusalKind,
)
from tests.cluster.node import Node, node_at
from tests.cluster.room import run
from tests.support.nats_cluster import Cluster, free_port

KEYS = 20_000


def test_what_one_node_proposes_both_make_at_the_same_revision(single: Cluster):
    async def test() -> None:
        async with node_at(single.urls, "two") as one, node_at(single.urls, "two") as two:
            stored = await one.set("a", b"1", ttl_ms=60_000)
            assert isinstance(stored, LogBatch)
            assert stored.node == one.log.node
            record = stored.groups[0][0]
            assert record.ends_at == stored.timestamp + 60_000
            await two.until(lambda: two.values)
            assert two.values == one.values == {"a": (record.revision, b"1")}
            assert two.batches[-1].node == one.log.node
            assert two.batches[-1].number is None
            removed = await two.propose((Op(OpKind.REMOVE, "", "a"), Op(OpKind.SET, "", "b", b"2")))
            assert isinstance(removed, LogBatch)
            await one.until(lambda: one.revision >= removed.revision)
            assert list(one.values) == list(two.values) == ["b"]

    run(test())


def test_a_condition_holds_only_if_nobody_has_changed_the_key(single: Cluster):
    async def test() -> None:
        async with node_at(single.urls, "cas") as one, node_at(single.urls, "cas") as two:
            first, second = await asyncio.gather(
                one.set("a", b"1", is_conditional=True), two.set("a", b"2", is_conditional=True)
            )
            refused = [one for one in (first, second) if isinstance(one, Refusal)]
            assert [one.kind for one in refused] == [RefusalKind.CONFLICT]
            loser = one if first is refused[0] else two
            assert "a" in loser.values, "a refusal comes after what it is about"
            assert isinstance(await loser.set("a", b"3", is_conditional=True), LogBatch)

    run(test())


def test_channels_reach_all_nodes_that_listen(single: Cluster):
    async def test() -> None:
        async with node_at(single.urls, "ch") as one, node_at(single.urls, "ch") as two:
            for node in (one, two):
                node.log.listen("news of ä", wanted=True)
            await two.set("a", b"1")  # the servers know of the interest by then
            await one.until(lambda: one.values)
            one.log.tell("news of ä", b"hello")
            for node in (one, two):
                await node.until(lambda node=node: node.told == [("news of ä", b"hello")])

    run(test())


def test_a_node_that_has_gone_is_no_longer_among_the_live_ones(single: Cluster):
    async def test() -> None:
        async with node_at(single.urls, "live") as one:
            async with node_at(single.urls, "live") as two:
                await one.until(lambda: len(one.log.status.nodes) == 2)
                await two.until(lambda: len(two.log.status.nodes) == 2)
                assert one.log.status.nodes == two.log.status.nodes
            await one.until(lambda: one.log.status.nodes == (one.log.node,))

    run(test())


def test_a_new_node_loads_20_000_keys(single: Cluster):
    async def test() -> None:
        async with node_at(single.urls, "many") as one:
            for keys in _portions(KEYS):
                await one.propose(
                    tuple(Op(OpKind.SET, "", f"k{key}", b'{"n":%d}' % key) for key in keys)
                )
            async with node_at(single.urls, "many") as two:
                assert two.values == one.values
                assert len(two.values) == KEYS
                assert two.loads == 1

    run(test(), debug=False)


def test_what_is_merged_at_the_end_of_a_ttl_may_be_as_large_as_a_value(single: Cluster):
    async def test() -> None:
        async with node_at(single.urls, "then") as one, node_at(single.urls, "then") as two:
            then = b'"%s"' % (b"x" * (one.log.value_bytes_max - 10))
            last = await one.propose((Op(OpKind.SET, "", "k", b"{}", ttl_ms=60_000, then=then),))
            assert isinstance(last, LogBatch)
            await two.until(lambda: two.revision >= last.revision)
            async with node_at(single.urls, "then") as three:
                for node in (one, two, three):
                    assert node.values["k"][1] == b"{}"
                    assert node.thens["k"] == then

    run(test())


def test_all_removed_at_once_is_gone_at_all_nodes_and_for_a_new_one(single: Cluster):
    async def test() -> None:
        async with node_at(single.urls, "clear") as one, node_at(single.urls, "clear") as two:
            for number in range(10):
                await one.set(f"k{number}", b"1")
            cleared = await two.propose((Op(OpKind.CLEAR),))
            assert isinstance(cleared, LogBatch)
            last = await one.set("after", b"1")
            assert isinstance(last, LogBatch)
            await two.until(lambda: two.revision >= last.revision)
            assert list(one.values) == list(two.values) == ["after"]
            async with node_at(single.urls, "clear") as three:
                assert list(three.values) == ["after"]

    run(test())


def test_a_reader_follows_with_the_least_rights_and_a_writer_writes_with_its_own(
    nats_server: Path, tmp_path: Path
):
    def user(name: str, *, is_reader: bool) -> str:
        rights = permissions_of("show", is_reader=is_reader)
        return (
            f"{{ user: {name}, password: x, permissions: {{"
            f" publish: {_listed(rights.publish)}, subscribe: {_listed(rights.subscribe)} }} }}"
        )

    users = f"{user('writer', is_reader=False)}, {user('reader', is_reader=True)}"

    async def test(cluster: Cluster) -> None:
        async with (
            node_at(cluster.urls, "show", user="writer", password="x") as one,
            node_at(cluster.urls, "show", user="reader", password="x", is_reader=True) as two,
        ):
            two.log.listen("news", wanted=True)
            await one.set("a", b"1")
            await one.propose((Op(OpKind.CLEAR),))
            last = await one.set("b", b"1")
            assert isinstance(last, LogBatch)
            await two.until(lambda: two.revision >= last.revision)
            assert two.values == one.values
            one.log.tell("news", b"1")
            await two.until(lambda: two.told)
            refused = await two.set("c", b"1")
            assert isinstance(refused, Refusal)
            assert "permissions" not in cluster.servers[0].log.lower()

    configuration = f"authorization {{ users: [ {users} ] }}"
    with Cluster(nats_server, tmp_path, configuration=configuration) as cluster:
        run(test(cluster))


def test_behind_a_leaf_node_a_log_works_by_its_domain_with_the_least_rights(
    nats_server: Path, tmp_path: Path
):
    rights = permissions_of("show", domain="hub")
    listed = f"publish: {_listed(rights.publish)}, subscribe: {_listed(rights.subscribe)}"
    # The same user at the hub, by which the leaf comes in, and at the leaf.
    users = f"users: [ {{ user: venue, password: x, permissions: {{ {listed} }} }} ]"

    async def test(leaf: Cluster) -> None:
        login = {"user": "venue", "password": "x", "domain": "hub"}
        async with (
            node_at(leaf.urls, "show", **login) as one,
            node_at(leaf.urls, "show", **login) as two,
        ):
            stored = await one.set("a", b"1")
            assert isinstance(stored, LogBatch)
            await two.until(lambda: two.values)
            assert two.values == one.values

    port = free_port()
    listen = f"leafnodes {{ listen: 127.0.0.1:{port} }}\nauthorization {{ {users} }}"
    remote = f"leafnodes {{ remotes: [ {{ urls: [ 'nats://venue:x@127.0.0.1:{port}' ] }} ] }}"
    configuration = f"{remote}\nauthorization {{ {users} }}"
    with (
        Cluster(nats_server, tmp_path / "hub", configuration=listen, domain="hub"),
        Cluster(
            nats_server, tmp_path / "leaf", configuration=configuration, has_jetstream=False
        ) as leaf,
    ):
        leaf.wait_until_leaf()
        run(test(leaf))


def test_nothing_acknowledged_is_lost_when_the_leader_is_killed(three: Cluster):
    async def test() -> None:
        async with node_at(three.urls, "kill") as one, node_at(three.urls, "kill") as two:
            await one.set("a", b"0")
            leader = await asyncio.to_thread(three.leader_of, "KV_kill")
            await asyncio.to_thread(three.wait_until_followed, "KV_kill")
            await asyncio.to_thread(leader.kill)
            acknowledged = await asyncio.gather(_write(one, "one"), _write(two, "two"))
            assert all(acknowledged)
            last = max(node.revision for node in (one, two))
            for node in (one, two):
                await node.until(lambda node=node: node.revision >= last)
            assert one.values == two.values
            assert {"one", "two"} <= one.values.keys()
        await asyncio.to_thread(three.mend)

    run(test())


def test_without_a_quorum_writes_are_refused_and_go_on_with_one(three: Cluster):
    async def test() -> None:
        terms = {"timeout_s": 1.0}
        async with (
            node_at(three.urls, "quorum", **terms) as one,
            node_at(three.urls, "quorum", **terms) as two,
        ):
            await one.set("before", b"0")
            await asyncio.to_thread(three.wait_until_followed, "KV_quorum")
            leader = await asyncio.to_thread(three.leader_of, "KV_quorum")
            others = [server for server in three.servers if server is not leader]
            for server in others:
                await asyncio.to_thread(server.kill)
            unknown = await one.set("unknown", b"1")
            assert isinstance(unknown, Refusal)
            assert unknown.kind is RefusalKind.UNKNOWN
            unavailable = await one.set("unavailable", b"1")
            assert isinstance(unavailable, Refusal)
            assert unavailable.kind is RefusalKind.UNAVAILABLE
            assert one.values["before"][1] == b"0"
            await asyncio.to_thread(three.mend)
            await one.until(lambda: one.log.status.is_writable)
            after = await _until_stored(one, "after")
            await two.until(lambda: two.revision >= after.revision)
            assert one.values == two.values
            assert "unavailable" not in one.values

    run(test())


def test_a_node_whose_server_hangs_goes_on_at_another_one(three: Cluster):
    async def test() -> None:
        async with node_at(three.urls, "hang") as one, node_at(three.urls, "hang") as two:
            await one.set("a", b"0")
            leader = await asyncio.to_thread(three.leader_of, "KV_hang")
            leader.suspend()
            stored = await asyncio.gather(_write(one, "one"), _write(two, "two"))
            assert all(stored)
            leader.resume()
            for node in (one, two):
                await node.until(lambda: one.values == two.values and len(one.values) == 3)
        await asyncio.to_thread(three.mend)

    run(test())


def test_a_node_continues_after_a_restart_of_its_only_server(nats_server: Path, tmp_path: Path):
    async def test(cluster: Cluster) -> None:
        async with node_at(cluster.urls, "disk") as node:
            await node.set("a", b"1")
            server = cluster.servers[0]
            await asyncio.to_thread(server.kill)
            await node.until(lambda: not node.log.status.is_connected)
            await asyncio.to_thread(server.restart)
            await _until_stored(node, "b")
            assert set(node.values) == {"a", "b"}
            assert node.loads == 1

    with Cluster(nats_server, tmp_path) as cluster:
        run(test(cluster))


def test_a_stream_that_has_gone_is_waited_for_and_another_one_of_its_name_loaded(
    nats_server: Path, tmp_path: Path
):
    """Only a node that starts makes one: that which has gone may be one that comes back."""

    async def test(cluster: Cluster) -> None:
        async with node_at(cluster.urls, "disk") as node:
            await node.set("a", b"1")
            server = cluster.servers[0]
            await asyncio.to_thread(server.kill)
            await node.until(lambda: not node.log.status.is_connected)
            await asyncio.to_thread(server.forget)
            await asyncio.to_thread(server.restart)
            await node.until(lambda: node.log.status.reason == "stream not found")
            assert node.values
            async with node_at(cluster.urls, "disk") as other:
                await other.set("b", b"1")
                await node.until(lambda: node.values == other.values)
                assert node.loads == 2
                assert isinstance(await node.set("c", b"1"), LogBatch)

    with Cluster(nats_server, tmp_path) as cluster:
        run(test(cluster))


async def _write(node: Node, key: str) -> bool:
    """Write a few times, and return whether each was acknowledged or not made."""
    for number in range(3):
        result = await node.set(key, str(number).encode())
        if isinstance(result, Refusal):
            assert result.kind is not RefusalKind.INVALID
            await _until_stored(node, key)
    return True


async def _until_stored(node: Node, key: str) -> LogBatch:
    """Write a key until it is acknowledged."""
    while True:
        await node.until(lambda: node.log.status.is_writable)
        result = await node.set(key, b"9")
        if isinstance(result, LogBatch):
            return result


def _portions(count: int) -> list[range]:
    return [
        range(start, min(start + GROUP_OPS_MAX, count)) for start in range(0, count, GROUP_OPS_MAX)
    ]


def _listed(subjects: tuple[str, ...]) -> str:
    return "[ " + ", ".join(f'"{subject}"' for subject in subjects) + " ]"
