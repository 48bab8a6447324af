"""The link to real servers: requests, subscriptions, and every way to lose a connection."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from dunena.persistence.jetstream.nats_client import NatsClient
from dunena.persistence.jetstream.wire import LinkFault, Message
from tests.cluster.room import room_at, run
from tests.support.nats_cluster import Cluster


def test_a_link_is_connected_after_it_said_so_and_knows_the_largest_payload(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            assert not room.is_connected
            assert room.max_payload == 0
            assert room.reason
            await room.connected()
            assert room.is_connected
            assert room.reason is None
            assert room.max_payload == 1_048_576
            assert room.server_version is not None

    run(test())


def test_messages_are_received_with_their_headers_in_their_order(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            room.subscribe("a.>", room.receive)
            await room.connected()
            sent = [
                Message("a.0", {}, b"none"),
                Message("a.1", {"X-One": "1", "X-Text": "ä: b"}, b"two"),
                *(Message(f"a.{number}", {"N": str(number)}, b"x" * 1000) for number in range(500)),
            ]
            for message in sent:
                room.publish(message)
            await room.until(lambda: len(room.received) == len(sent))
            assert room.received == sent

    run(test())


def test_a_cancelled_subscription_receives_nothing_more(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            await room.connected()
            ended: list[Message] = []
            subscription = room.subscribe("a", ended.append)
            room.subscribe("*", room.receive)
            room.publish(Message("a", {}, b"1"))
            await room.until(lambda: len(room.received) == 1)
            subscription.cancel()
            subscription.cancel()
            room.publish(Message("a", {}, b"2"))
            await room.until(lambda: len(room.received) == 2)
            assert [message.data for message in ended] == [b"1"]

    run(test())


def test_a_request_gets_its_answer_and_a_cancelled_one_none(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            await room.connected()
            cancelled: list[Message | LinkFault] = []
            request = room.request(Message("$JS.API.INFO", {}, b""), 5, cancelled.append)
            request.cancel()
            answer = await room.ask("$JS.API.INFO")
            assert isinstance(answer, Message)
            assert json.loads(answer.data)["type"].endswith("account_info_response")
            assert cancelled == []

    run(test())


def test_a_request_that_nobody_serves_is_told_from_one_without_an_answer(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            await room.connected()
            room.subscribe("silent", lambda _: None)
            assert await room.ask("nobody") is LinkFault.NO_RESPONDERS
            assert await room.ask("silent", timeout_s=0.05) is LinkFault.TIMEOUT

    run(test())


def test_what_the_server_would_not_take_is_refused_and_the_connection_kept(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            await room.connected()
            limit = room.max_payload
            assert await room.ask("nobody", bytes(limit + 1)) is LinkFault.TOO_LARGE
            assert await room.ask("nobody", bytes(limit)) is LinkFault.NO_RESPONDERS
            assert await room.ask("a" * 4096) is LinkFault.TOO_LARGE
            room.publish(Message("a", {}, bytes(limit + 1)))
            long = "a" * (4096 - 64 - 30)
            assert await room.ask(long) is LinkFault.NO_RESPONDERS
            assert room.changes == [True]

    run(test())


def test_several_answers_are_taken_until_the_last(single: Cluster):
    """Each is waited for as long as the first; what comes after the last is nobody's."""

    async def test() -> None:
        async with room_at(single.servers[0].url) as room, room_at(single.servers[0].url) as other:
            await room.connected()
            await other.connected()
            parts: list[bytes] = []
            done: list[LinkFault | None] = []

            def take_part(message: Message) -> bool:
                parts.append(message.data)
                return message.data == b"2"

            def finish(fault: LinkFault | None) -> None:
                done.append(fault)
                room._told.set()

            room.subscribe("_INBOX.>", room.receive)
            room.request_many(Message("parts", {}, b""), 5, take_part, finish)
            # The inbox is seen by who may listen to all of them.
            other.subscribe("never", other.receive)
            inbox = f"{room._inbox}1"
            # Once it has come, the server has what was sent before it on this connection.
            room.publish(Message("_INBOX.here", {}, b""))
            await room.until(lambda: room.received)
            for number in range(4):
                other.publish(Message(inbox, {}, str(number).encode()))
            await room.until(lambda: sum(one.subject == inbox for one in room.received) >= 4)
            assert parts == [b"0", b"1", b"2"]
            assert done == [None]

    run(test())


def test_without_a_connection_a_request_is_refused_and_a_message_dropped():
    async def test() -> None:
        async with room_at(_closed_port()) as room:
            assert await room.ask("a") is LinkFault.DISCONNECTED
            room.publish(Message("a", {}, b""))

    run(test())


def test_the_reason_for_no_connection_names_the_server():
    async def test() -> None:
        server = _closed_port()
        async with room_at(server) as room:
            await room.refused()
            assert room.reason is not None
            assert room.reason.startswith(server.removeprefix("nats://"))
            assert "refused" in room.reason

    run(test())


def test_a_link_connects_anew_with_its_subscriptions_after_the_server_was_killed(
    nats_server: Path, tmp_path: Path
):
    async def test(cluster: Cluster) -> None:
        server = cluster.servers[0]
        async with room_at(server.url) as room:
            room.subscribe("a", room.receive)
            await room.connected()
            await asyncio.to_thread(server.kill)
            await room.connected(is_connected=False)
            assert room.reason
            room.publish(Message("a", {}, b"dropped"))
            await asyncio.to_thread(server.restart)
            await room.connected()
            room.publish(Message("a", {}, b"sent"))
            await room.until(lambda: room.received)
            assert [message.data for message in room.received] == [b"sent"]
            assert isinstance(await room.ask("$JS.API.INFO"), Message)

    with Cluster(nats_server, tmp_path) as cluster:
        run(test(cluster))


def test_a_link_leaves_a_server_that_hangs_and_sends_it_nothing_when_it_goes_on(
    nats_server: Path, tmp_path: Path
):
    """What was given to a hanging server is gone with the connection, and not sent later."""

    async def test(cluster: Cluster) -> None:
        server = cluster.servers[0]
        async with room_at(server.url) as room:
            room.subscribe("a", room.receive)
            await room.connected()
            server.suspend()
            # More than all buffers of the system take.
            for number in range(64):
                room.publish(Message("a", {"N": str(number)}, bytes(500_000)))
            await room.connected(is_connected=False)
            assert room.reason == "no sign of life for 4 seconds"
            server.resume()
            await room.connected()
            room.publish(Message("a", {"N": "last"}, b""))
            await room.until(lambda: room.received)
            assert [message.headers for message in room.received] == [{"N": "last"}]

    with Cluster(nats_server, tmp_path) as cluster:
        run(test(cluster))


def test_a_link_that_the_server_expels_connects_anew(single: Cluster):
    """A subject that the server does not take: it reports an error and disconnects."""

    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            room.subscribe("a", room.receive)
            await room.connected()
            connection = room._connection
            assert connection is not None
            connection.publish(Message("b" * 5000, {}, b""))
            await room.until(lambda: room.changes == [True, False, True])
            room.publish(Message("a", {}, b"1"))
            await room.until(lambda: room.received)

    run(test())


def test_a_link_goes_to_the_next_server_when_its_own_stops(three: Cluster):
    async def test() -> None:
        async with room_at(*three.urls) as room:
            room.subscribe("a", room.receive)
            await room.connected()
            mine = next(one for one in three.servers if _has_client(one.ask("/connz?auth=true")))
            await asyncio.to_thread(mine.stop)
            await room.until(lambda: room.changes == [True, False, True])
            room.publish(Message("a", {}, b"1"))
            await room.until(lambda: room.received)
        await asyncio.to_thread(three.mend)

    run(test())


def test_a_closed_link_has_sent_everything_and_calls_nothing(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as other:
            other.subscribe("a", other.receive)
            await other.connected()
            answers: list[Message | LinkFault] = []
            async with room_at(single.servers[0].url) as room:
                await room.connected()
                for number in range(100):
                    room.publish(Message("a", {"N": str(number)}, b""))
                room.request(Message("silent", {}, b""), 0.01, answers.append)
                await room.close()
                assert not room.is_connected
            await other.until(lambda: len(other.received) == 100)
            assert answers == []
            assert room.changes == [True]

    run(test())


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"INFO {\r\n",
        b"INFO []\r\n",
        b'INFO {"connect_urls": 1}\r\n',
        b"INFO " + bytes(100_000),
    ],
)
def test_who_is_no_nats_server_is_no_connection(greeting: bytes):
    async def test() -> None:
        def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            writer.close()

        async with await asyncio.start_server(greet, "localhost", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with room_at(f"nats://localhost:{port}") as room:
                await room.refused()
                assert room.changes == []

    run(test())


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"nats://127.0.0.1:{taken.getsockname()[1]}"


def _has_client(answer: dict[str, Any] | None) -> bool:
    return any(one.get("name") == "tests" for one in (answer or {}).get("connections", []))


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"A: 1\r\nB-c: d: e\r\n\r\n", {"A": "1", "B-c": "d: e"}),
        (b"A: \xc3\xa4\r\n\r\n", {"A": "ä"}),
        (b"A:1\r\nB: \r\nC:  2 \r\n\r\n", {"A": "1", "B": "", "C": "2"}),
        (b"04 EOB\r\nNats-Num-Pending: 0\r\n\r\n", {"Nats-Num-Pending": "0"}),
        (b"Nats-Num-Pending: 0", {"Nats-Num-Pending": "0"}),
        (b"A: \xff\r\n\r\n", {"A": "\ufffd"}),
        (b"\r\n\r\n", {}),
    ],
)
def test_headers_are_read_as_servers_write_them_and_otherwise(raw: bytes, headers: dict[str, str]):
    assert Client._parse_header_lines(raw) == headers
    assert NatsClient._parse_header_lines(raw) == headers


def test_each_server_that_is_away_is_logged_once_however_often_it_is_tried(
    caplog: pytest.LogCaptureFixture,
):
    ports = [closed_port() for _ in range(2)]

    async def test() -> None:
        async with room_at(*(f"nats://127.0.0.1:{port}" for port in ports)) as room:
            await room.until(lambda: room.failures >= 8)

    with caplog.at_level("WARNING", "dunena.persistence.jetstream.link"):
        run(test())
    lines = [record.getMessage() for record in caplog.records if "no connection" in record.message]
    assert sorted(lines) == [
        f"no connection to the store: 127.0.0.1:{port}: Connection refused"
        for port in sorted(ports)
    ]


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
