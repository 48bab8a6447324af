"""A stream of real servers that is purged, or replaced by an older copy of it: all nodes notice."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from tests.cluster.node import LOOK_SECONDS, Node, node_at
from tests.cluster.room import run
from tests.support.nats_cluster import Cluster
from tests.support.patience import patiently

SECONDS_MAX = patiently(20)
QUIET_SECONDS = 8.0
"""Longer than a node needs to notice a loss."""


@asynccontextmanager
async def admin_at(servers: Sequence[str]) -> AsyncIterator[Client]:
    """Somebody with all rights."""
    before = asyncio.all_tasks()
    client = await nats.connect(list(servers))
    tasks = asyncio.all_tasks() - before
    try:
        yield client
    finally:
        await client.close()  # which does not wait for its tasks
        await asyncio.wait(tasks, timeout=SECONDS_MAX)


async def ask(admin: Client, what: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask the API of JetStream, which has to say yes."""
    answer = await admin.request(f"$JS.API.{what}", json.dumps(body).encode(), timeout=SECONDS_MAX)
    found: dict[str, Any] = json.loads(answer.data)
    assert "error" not in found, found
    return found


async def put(admin: Client, subject: str) -> None:
    """Store a message as soon as somebody leads the stream."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                await admin.request(subject, b"1", timeout=SECONDS_MAX)
            except NoRespondersError:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return


async def back_up(admin: Client, stream: str) -> tuple[dict[str, Any], list[bytes]]:
    """What `nats stream backup` does (ADR-1 of nats-architecture-and-design, snapshots)."""
    chunks: list[bytes] = []
    end = asyncio.Event()

    async def take(message: Msg) -> None:
        if message.data:
            chunks.append(message.data)
        else:
            end.set()
        if message.reply:
            await admin.publish(message.reply)

    inbox = admin.new_inbox()
    subscription = await admin.subscribe(inbox, cb=take)
    about = await ask(
        admin, f"STREAM.SNAPSHOT.{stream}", {"deliver_subject": inbox, "no_consumers": True}
    )
    async with asyncio.timeout(SECONDS_MAX):
        await end.wait()
    await subscription.unsubscribe()
    return {"config": about["config"], "state": about["state"]}, chunks


async def restore(admin: Client, stream: str, backup: tuple[dict[str, Any], list[bytes]]) -> None:
    """What `nats stream restore` does, after `nats stream rm`."""
    about, chunks = backup
    await ask(admin, f"STREAM.DELETE.{stream}", {})
    to = (await ask(admin, f"STREAM.RESTORE.{stream}", about))["deliver_subject"]
    for chunk in [*chunks, b""]:
        answer = await admin.request(to, chunk, timeout=SECONDS_MAX)
        assert b'"error"' not in answer.data, answer.data


@pytest.mark.parametrize("what", ["all", "older", "key"])
def test_a_purge_is_noticed_by_all_nodes(single: Cluster, what: str):
    bucket = f"purge-{what}"

    async def test() -> None:
        async with (
            node_at(single.urls, bucket) as one,
            node_at(single.urls, bucket) as two,
            node_at(single.urls, bucket, is_reader=True) as three,
            admin_at(single.urls) as admin,
        ):
            nodes = (one, two, three)
            for key in "abc":
                await one.set(key, b"1")
            await three.until(lambda: len(three.values) == 3)
            before = three.epoch
            assert {node.epoch for node in nodes} == {before}
            purges: dict[str, dict[str, Any]] = {
                "all": {},
                "older": {"seq": one.values["b"][0] + 1},
                "key": {"filter": f"$KV.{bucket}.=.b"},
            }
            assert (await ask(admin, f"STREAM.PURGE.KV_{bucket}", purges[what]))["purged"]
            for node in nodes:
                await node.until(lambda node=node: node.epoch != before)
            async with node_at(single.urls, bucket) as late:
                for node in nodes:
                    await node.until(lambda node=node: node.epoch == late.epoch)
                    assert node.values == late.values
                    assert "b" not in node.values
                await two.set("d", b"2")
                for node in nodes:
                    await node.until(lambda node=node: "d" in node.values)

    run(test())


def test_what_nodes_remove_themselves_is_no_loss(single: Cluster):
    async def test() -> None:
        async with node_at(single.urls, "well") as one, node_at(single.urls, "well") as two:
            before = one.epoch
            for number in range(8):
                await one.set(f"k{number}", b"1", ttl_ms=500 if number % 2 else None)
                await two.remove(f"k{number - 1}")
            await one.clear()
            await two.set("last", b"1", ttl_ms=1000)
            await asyncio.sleep(QUIET_SECONDS)
            assert (one.loads, two.loads) == (1, 1)
            assert one.epoch == two.epoch == before

    run(test())


@pytest.mark.parametrize("more", [0, 200], ids=["shorter", "soon as long"])
@pytest.mark.parametrize("size", ["single", "three"])
def test_a_restored_backup_is_another_epoch_with_what_it_had(
    request: pytest.FixtureRequest, size: str, more: int
):
    cluster: Cluster = request.getfixturevalue(size)
    bucket = f"copy{more}"

    async def test() -> None:
        async with (
            node_at(cluster.urls, bucket) as one,
            node_at(cluster.urls, bucket) as two,
            admin_at(cluster.urls) as admin,
        ):
            await one.set("kept", b"1")
            backup = await back_up(admin, f"KV_{bucket}")
            await one.set("lost", b"1")
            await two.set("kept", b"2")
            await two.until(lambda: "lost" in two.values)
            before = two.epoch
            await restore(admin, f"KV_{bucket}", backup)
            for number in range(more):
                await put(admin, f"$KV.{bucket}.=.k{number % 9}")
            for node in (one, two):
                await node.until(lambda node=node: node.epoch != before)
            await two.until(lambda: one.epoch == two.epoch and one.values == two.values)
            assert "lost" not in one.values
            assert one.values["kept"][1] == b"1"
            await _set(one, "after")
            await two.until(lambda: "after" in two.values)
            async with node_at(cluster.urls, bucket) as late:
                assert late.epoch == one.epoch
                assert late.values == one.values

    run(test())


def test_an_older_copy_of_the_servers_folder_is_noticed_by_all_nodes(
    nats_server: Path, tmp_path: Path
):
    """The stream was created at the same time then."""

    async def test(cluster: Cluster) -> None:
        server = cluster.servers[0]
        async with node_at(cluster.urls, "disk") as one, node_at(cluster.urls, "disk") as two:
            nodes = (one, two)
            await one.set("kept", b"1")
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.save)
            await asyncio.to_thread(server.restart)
            for key in ("kept", "lost"):
                await _set(two, key)
            await one.until(lambda: "lost" in one.values)
            before = one.epoch
            assert (one.loads, two.loads) == (1, 1)
            created = await _created_of(cluster)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.put_back)
            await asyncio.to_thread(server.restart)
            assert await _created_of(cluster) == created, "it cannot be told by that"
            for node in nodes:
                await node.until(lambda node=node: node.epoch != before)
            await two.until(lambda: one.epoch == two.epoch and one.values == two.values)
            assert list(one.values) == ["kept"]
            await _set(one, "after")
            await two.until(lambda: "after" in two.values)

    with Cluster(nats_server, tmp_path) as cluster:
        run(test(cluster))


def test_an_older_copy_that_was_put_in_place_while_no_node_ran_needs_a_mark(
    nats_server: Path, tmp_path: Path
):
    """As docs/cluster.md says, where the copy is of the last ten minutes."""

    async def write(cluster: Cluster, value: bytes) -> tuple[str, int]:
        async with node_at(cluster.urls, "disk") as node:
            await node.set("a", value)
            return node.epoch, node.revision

    async def test(cluster: Cluster) -> None:
        server = cluster.servers[0]
        before, _ = await write(cluster, b"1")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.save)
        await asyncio.to_thread(server.restart)
        assert (await write(cluster, b"2"))[0] == before, "nothing has happened"
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.put_back)
        await asyncio.to_thread(server.restart)
        async with admin_at(cluster.urls) as admin:
            values = await admin.jetstream().key_value("disk")
            await values.put("=epoch", b"restored on Monday")
        async with node_at(cluster.urls, "disk") as node:
            assert node.epoch != before
            assert node.values["a"][1] == b"1"
            assert node.loads == 1

    with Cluster(nats_server, tmp_path) as cluster:
        run(test(cluster))


async def _created_of(cluster: Cluster) -> str:
    async with admin_at(cluster.urls) as admin:
        return str((await ask(admin, "STREAM.INFO.KV_disk", {}))["created"])


async def _set(node: Node, key: str) -> None:
    """Set a key as soon as that is possible again."""
    await node.until(lambda: node.log.status.is_writable)
    await node.set(key, b"1")
