"""A whole server whose values are in a log that it shares with others."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from dunena.persistence.interface import OpenError
from dunena.persistence.log import Log, RefusalKind
from dunena.server.app import Server
from dunena.server.start_errors import StartError
from dunena.settings import Settings
from tests.support.loopback_log import LoopbackLog, SharedLog, set_

NOW = 1_700_000_000_000


def new_log() -> SharedLog:
    return SharedLog(lambda: NOW)


@asynccontextmanager
async def serving(log: LoopbackLog) -> Any:
    server = Server(Settings(host="127.0.0.1", port=0), open_log=lambda: log)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def fetch(server: Server, line: str, body: Any = None) -> tuple[int, Any]:
    """Send a request on a connection of its own; the status and the JSON of the answer."""
    content = b"" if body is None else orjson.dumps(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    end = f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write((head + end).encode() + content)
    answer = await reader.read()
    writer.close()
    head, _, rest = answer.decode().partition("\r\n\r\n")
    return int(head.split(" ")[1]), orjson.loads(rest) if rest else None


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await work()

    asyncio.run(limited())


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never holds")


def test_nothing_but_health_is_answered_before_everything_is_loaded() -> None:
    async def work() -> None:
        shared = new_log()
        shared.put((set_("k", b"1"),))
        log = shared.node("n0")
        async with serving(log) as server:
            status, answer = await fetch(server, "GET /kv/k")
            assert (status, answer["error"]) == (503, "The store is being loaded")
            assert (await fetch(server, "PUT /kv/k", 2))[0] == 503
            assert (await fetch(server, "GET /health/live"))[0] == 200
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://127.0.0.1:{server.port}/ws")
            assert refused.value.response.status_code == 503
            log.load()
            assert await fetch(server, "GET /kv/k") == (200, 1)

    run(work)


def test_values_are_those_of_the_log_over_every_door() -> None:
    async def work() -> None:
        shared = new_log()
        nodes = [shared.node(name) for name in ("n0", "n1")]
        for node in nodes:
            node.soon = lambda action: asyncio.get_running_loop().call_soon(action)
        async with serving(nodes[0]) as one, serving(nodes[1]) as other:
            await until(lambda: all(node.told_revision == 0 for node in nodes))
            await until(lambda: one._shared.coordinator.is_loaded)
            await until(lambda: other._shared.coordinator.is_loaded)
            async with connect(f"ws://127.0.0.1:{other.port}/ws") as client:
                await client.recv()  # the greeting
                await client.send('{"type":"watch","pattern":"*","id":1}')
                await client.recv()
                assert (await fetch(one, "PUT /kv/k", {"a": 1}))[0] == 201
                told = [orjson.loads(await client.recv()) for _ in range(2)]
                assert sorted(m.get("event", m.get("type")) for m in told) == ["set", "update"]
                await client.send('{"type":"incr","key":"k","path":"/a","id":2}')
                await client.send('{"type":"get","key":"k","json":true,"rev":true,"id":3}')
                answers = []
                while len(answers) < 2:
                    message = orjson.loads(await client.recv())
                    answers += [message] if message.get("id") in (2, 3) else []
                assert [m["data"]["value"] for m in answers] == [2, {"a": 2}]
                assert answers[0]["data"]["rev"] == answers[1]["data"]["rev"]
            assert await fetch(one, "GET /kv/k") == (200, {"a": 2})
            assert (await fetch(other, "DELETE /kv/k"))[0] == 204
            assert (await fetch(other, "DELETE /kv/k"))[0] == 404
            status, _ = await fetch(one, "POST /cache", {"action": "mget", "keys": ["k"]})
            assert status == 200
            assert (await fetch(one, "POST /flush"))[0] == 200

    run(work)


def test_refusals_are_statuses() -> None:
    async def work() -> None:
        log = new_log().node("n0")
        async with serving(log) as server:
            log.load()
            for kind, expected in (
                (RefusalKind.UNAVAILABLE, 503),
                (RefusalKind.FULL, 507),
                (RefusalKind.UNKNOWN, 504),
            ):
                asked = asyncio.create_task(fetch(server, "PUT /kv/k", 1))
                await until(lambda: log.under_way)
                log.refuse(kind, "no quorum")
                status, answer = await asked
                assert status == expected
                assert answer["error"].startswith("Storage error: no quorum; ")
            assert (await fetch(server, "PUT /kv/k?ttl=x", 1))[0] == 400, "the log is not asked"
            assert log.under_way is None

    run(work)


def test_a_stop_waits_for_what_is_under_way() -> None:
    async def work() -> None:
        log = new_log().node("n0")
        server = Server(Settings(host="127.0.0.1", port=0), open_log=lambda: log)
        await server.start()
        log.load()
        asked = asyncio.create_task(fetch(server, "PUT /kv/k", 1))
        await until(lambda: log.under_way)
        stopping = asyncio.create_task(server.stop())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not asked.done()
        log.work()
        assert (await asked)[0] == 201
        await stopping
        assert not log.is_alive

    run(work)


def test_a_log_that_cannot_be_opened_is_an_error_of_the_start() -> None:
    def open_nothing() -> Log:
        raise OpenError("a package is missing")

    with pytest.raises(StartError, match="a package is missing"):
        Server(Settings(), open_log=open_nothing)


def test_a_request_that_is_not_admitted_does_not_wait_for_the_log() -> None:
    async def work() -> None:
        log = new_log().node("n0")
        settings = Settings(host="127.0.0.1", port=0, token="a secret of the server")
        server = Server(settings, open_log=lambda: log)
        await server.start()
        log.load()
        for line in ("PUT /kv/k", "DELETE /cache/k", "POST /flush"):
            assert (await fetch(server, line))[0] == 401
        assert log.numbers == []
        await server.stop()

    run(work)
