"""The link to real servers: requests, subscriptions, and every way to lose a connection."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dunena.persistence.jetstream.link import NatsLink
from dunena.persistence.jetstream.wire import LinkFault, Message
from dunena.persistence.policy import StoreSettings
from tests.support.nats_cluster import Cluster
from tests.support.patience import patiently

SECONDS_MAX = 20


class Room:
    """A link, what it has told, and a way to wait for that."""

    def __init__(self, link: NatsLink) -> None:
        self.link = link
        self.changes: list[bool] = []
        self.received: list[Message] = []
        self._told = asyncio.Event()
        link.on_change(self._change)

    def _change(self) -> None:
        self.changes.append(self.link.is_connected)
        self._told.set()

    def receive(self, message: Message) -> None:
        self.received.append(message)
        self._told.set()

    async def until(self, is_met: Any) -> None:
        """Wait until a condition on what was told is met."""
        async with asyncio.timeout(patiently(SECONDS_MAX)):
            while not is_met():
                self._told.clear()
                await self._told.wait()

    async def connected(self, *, is_connected: bool = True) -> None:
        await self.until(lambda: self.changes and self.changes[-1] is is_connected)

    async def request(
        self, subject: str, data: bytes = b"", timeout_s: float = 5
    ) -> Message | LinkFault:
        answer: asyncio.Future[Message | LinkFault] = asyncio.get_running_loop().create_future()
        self.link.request(Message(subject, {}, data), timeout_s, answer.set_result)
        async with asyncio.timeout(patiently(SECONDS_MAX)):
            return await answer


@asynccontextmanager
async def room_at(*servers: str, **more: Any) -> AsyncIterator[Room]:
    """A started link, connected or not."""
    link = NatsLink(StoreSettings(servers, **more), "tests")
    room = Room(link)
    link.start()
    try:
        yield room
    finally:
        await link.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test, which may leave nothing behind in the loop."""

    async def and_look() -> None:
        await test
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(and_look(), debug=True)


def test_a_link_is_connected_after_it_said_so_and_knows_the_largest_payload(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            assert not room.link.is_connected
            assert room.link.max_payload == 0
            assert room.link.reason
            await room.connected()
            assert room.link.is_connected
            assert room.link.reason is None
            assert room.link.max_payload == 1_048_576
            assert room.link.server_version is not None

    run(test())


def test_messages_are_received_with_their_headers_in_their_order(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            room.link.subscribe("a.>", room.receive)
            await room.connected()
            sent = [
                Message("a.0", {}, b"none"),
                Message("a.1", {"X-One": "1", "X-Text": "ä: b"}, b"two"),
                *(Message(f"a.{number}", {"N": str(number)}, b"x" * 1000) for number in range(500)),
            ]
            for message in sent:
                room.link.publish(message)
            await room.until(lambda: len(room.received) == len(sent))
            assert room.received == sent

    run(test())


def test_a_cancelled_subscription_receives_nothing_more(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            await room.connected()
            ended: list[Message] = []
            subscription = room.link.subscribe("a", ended.append)
            room.link.subscribe("*", room.receive)
            room.link.publish(Message("a", {}, b"1"))
            await room.until(lambda: len(room.received) == 1)
            subscription.cancel()
            subscription.cancel()
            room.link.publish(Message("a", {}, b"2"))
            await room.until(lambda: len(room.received) == 2)
            assert [message.data for message in ended] == [b"1"]

    run(test())


def test_a_request_gets_its_answer_and_a_cancelled_one_none(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            await room.connected()
            cancelled: list[Message | LinkFault] = []
            request = room.link.request(Message("$JS.API.INFO", {}, b""), 5, cancelled.append)
            request.cancel()
            answer = await room.request("$JS.API.INFO")
            assert isinstance(answer, Message)
            assert json.loads(answer.data)["type"].endswith("account_info_response")
            assert cancelled == []

    run(test())


def test_a_request_that_nobody_serves_is_told_from_one_without_an_answer(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            await room.connected()
            room.link.subscribe("silent", lambda _: None)
            assert await room.request("nobody") is LinkFault.NO_RESPONDERS
            assert await room.request("silent", timeout_s=0.05) is LinkFault.TIMEOUT

    run(test())


def test_what_the_server_would_not_take_is_refused_and_the_connection_kept(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            await room.connected()
            limit = room.link.max_payload
            assert await room.request("nobody", bytes(limit + 1)) is LinkFault.TOO_LARGE
            assert await room.request("nobody", bytes(limit)) is LinkFault.NO_RESPONDERS
            assert await room.request("a" * 4096) is LinkFault.TOO_LARGE
            room.link.publish(Message("a", {}, bytes(limit + 1)))
            long = "a" * (4096 - 64 - 30)
            assert await room.request(long) is LinkFault.NO_RESPONDERS
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

            room.link.subscribe("_INBOX.>", room.receive)
            room.link.request_many(Message("parts", {}, b""), 5, take_part, finish)
            # The inbox is seen by who may listen to all of them.
            other.link.subscribe("never", other.receive)
            inbox = f"{room.link._inbox}1"
            for number in range(4):
                other.link.publish(Message(inbox, {}, str(number).encode()))
            await room.until(lambda: len(room.received) >= 4)
            assert parts == [b"0", b"1", b"2"]
            assert done == [None]

    run(test())


def test_without_a_connection_a_request_is_refused_and_a_message_dropped():
    async def test() -> None:
        async with room_at(_closed_port()) as room:
            assert await room.request("a") is LinkFault.DISCONNECTED
            room.link.publish(Message("a", {}, b""))

    run(test())


def test_the_reason_for_no_connection_names_the_server():
    async def test() -> None:
        server = _closed_port()
        async with room_at(server) as room, asyncio.timeout(patiently(SECONDS_MAX)):
            while room.link.reason == "not connected yet":
                await asyncio.sleep(0)
            assert room.link.reason is not None
            assert room.link.reason.startswith(server.removeprefix("nats://"))
            assert "refused" in room.link.reason

    run(test())


def test_a_link_connects_anew_with_its_subscriptions_after_the_server_was_killed(
    nats_server: Path, tmp_path: Path
):
    async def test(cluster: Cluster) -> None:
        server = cluster.servers[0]
        async with room_at(server.url) as room:
            room.link.subscribe("a", room.receive)
            await room.connected()
            await asyncio.to_thread(server.kill)
            await room.connected(is_connected=False)
            assert room.link.reason
            room.link.publish(Message("a", {}, b"dropped"))
            await asyncio.to_thread(server.restart)
            await room.connected()
            room.link.publish(Message("a", {}, b"sent"))
            await room.until(lambda: room.received)
            assert [message.data for message in room.received] == [b"sent"]
            assert isinstance(await room.request("$JS.API.INFO"), Message)

    with Cluster(nats_server, tmp_path) as cluster:
        run(test(cluster))


def test_a_link_leaves_a_server_that_hangs_and_sends_it_nothing_when_it_goes_on(
    nats_server: Path, tmp_path: Path
):
    """What was given to a hanging server is gone with the connection, and not sent later."""

    async def test(cluster: Cluster) -> None:
        server = cluster.servers[0]
        async with room_at(server.url) as room:
            room.link.subscribe("a", room.receive)
            await room.connected()
            server.suspend()
            # More than all buffers of the system take.
            for number in range(64):
                room.link.publish(Message("a", {"N": str(number)}, bytes(500_000)))
            await room.connected(is_connected=False)
            assert room.link.reason == "no sign of life for 4 seconds"
            server.resume()
            await room.connected()
            room.link.publish(Message("a", {"N": "last"}, b""))
            await room.until(lambda: room.received)
            assert [message.headers for message in room.received] == [{"N": "last"}]

    with Cluster(nats_server, tmp_path) as cluster:
        run(test(cluster))


def test_a_link_that_the_server_expels_connects_anew(single: Cluster):
    """A subject that the server does not take: it reports an error and disconnects."""

    async def test() -> None:
        async with room_at(single.servers[0].url) as room:
            room.link.subscribe("a", room.receive)
            await room.connected()
            connection = room.link._connection
            assert connection is not None
            connection.publish(Message("b" * 5000, {}, b""))
            await room.until(lambda: room.changes == [True, False, True])
            room.link.publish(Message("a", {}, b"1"))
            await room.until(lambda: room.received)

    run(test())


def test_a_link_goes_to_the_next_server_when_its_own_stops(three: Cluster):
    async def test() -> None:
        async with room_at(*three.urls) as room:
            room.link.subscribe("a", room.receive)
            await room.connected()
            mine = next(one for one in three.servers if _has_client(one.ask("/connz?auth=true")))
            await asyncio.to_thread(mine.stop)
            await room.until(lambda: room.changes == [True, False, True])
            room.link.publish(Message("a", {}, b"1"))
            await room.until(lambda: room.received)
        await asyncio.to_thread(three.mend)

    run(test())


def test_a_closed_link_has_sent_everything_and_calls_nothing(single: Cluster):
    async def test() -> None:
        async with room_at(single.servers[0].url) as other:
            other.link.subscribe("a", other.receive)
            await other.connected()
            answers: list[Message | LinkFault] = []
            async with room_at(single.servers[0].url) as room:
                await room.connected()
                for number in range(100):
                    room.link.publish(Message("a", {"N": str(number)}, b""))
                room.link.request(Message("silent", {}, b""), 0.01, answers.append)
                await room.link.close()
                assert not room.link.is_connected
            await other.until(lambda: len(other.received) == 100)
            assert answers == []
            assert room.changes == [True]

    run(test())


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"INFO {\r\n"])
def test_who_is_no_nats_server_is_no_connection(greeting: bytes):
    async def test() -> None:
        def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            writer.close()

        async with await asyncio.start_server(greet, "localhost", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with room_at(f"nats://localhost:{port}") as room:
                async with asyncio.timeout(patiently(SECONDS_MAX)):
                    while room.link.reason == "not connected yet":
                        await asyncio.sleep(0)
                assert room.changes == []

    run(test())


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"nats://127.0.0.1:{taken.getsockname()[1]}"


def _has_client(answer: dict[str, Any] | None) -> bool:
    return any(one.get("name") == "tests" for one in (answer or {}).get("connections", []))
