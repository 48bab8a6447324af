"""The link, with a server of a few lines: what it does on every system.

What real servers do is in tests/cluster.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dunena.persistence.jetstream import connection, link
from dunena.persistence.jetstream.link import NatsLink
from dunena.persistence.jetstream.wire import Denial, LinkFault, Message
from dunena.persistence.policy import StoreSettings

SECONDS_MAX = 60


class HurriedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


class Nats:
    """Speaks so much of the protocol of NATS as a link needs; it routes nothing.

    `taken` are the messages that it got, as subject, reply and bytes after the line; `subscribed`
    the subjects by their ids.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.is_silent = False
        self.reads = asyncio.Event()
        self.reads.set()
        self.taken: list[tuple[str, str, bytes]] = []
        self.subscribed: dict[str, str] = {}
        info = {"server_id": "x", "version": "2.15.1", "max_payload": 1000, "headers": True}
        self.send(f"INFO {json.dumps(info)}\r\n".encode())

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def answer(self, reply: str, data: bytes, headers: bytes = b"") -> None:
        """Send a message to whoever subscribed to a subject, or to all below it."""
        for sid, subject in self.subscribed.items():
            if subject == reply or reply.startswith(subject.removesuffix("*")):
                block = b"NATS/1.0" + headers + b"\r\n\r\n" if headers else b""
                sizes = f"{len(block)} {len(block) + len(data)}" if headers else f"{len(data)}"
                word = "HMSG" if headers else "MSG"
                self.send(f"{word} {reply} {sid} {sizes}\r\n".encode() + block + data + b"\r\n")

    def close(self) -> None:
        self._writer.close()

    async def serve(self, told: Callable[[], None]) -> None:
        while line := await self._reader.readline():
            await self.reads.wait()
            word, *rest = line.decode().split()
            if word == "PING" and not self.is_silent:
                self.send(b"PONG\r\n")
            elif word == "SUB":
                self.subscribed[rest[-1]] = rest[0]
            elif word == "UNSUB":
                self.subscribed.pop(rest[0])
            elif word in ("PUB", "HPUB"):
                sizes = 1 if word == "PUB" else 2
                body = await self._reader.readexactly(int(rest[-1]) + 2)
                reply = rest[1] if len(rest) > 1 + sizes else ""
                self.taken.append((rest[0], reply, body[:-2]))
            told()
        self._writer.close()


class Room:
    """A link and the connections that the server got, with a way to wait for what happens."""

    def __init__(self) -> None:
        self.connections: list[Nats] = []
        self.told: list[Any] = []
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(Nats(reader, writer))
        await self.connections[-1].serve(self._news.set)
        self._news.set()

    def tell(self, what: Any) -> None:
        self.told.append(what)
        self._news.set()

    def take(self, what: Any) -> bool:
        """Take a part of an answer; b"last" ends it."""
        self.tell(what.data)
        return bool(what.data == b"last")

    async def pass_by(self, seconds: float) -> None:
        """Let time have passed, and happen what is due then."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HurriedLoop)
        loop.ahead_s += seconds
        due = asyncio.Event()
        loop.call_soon(loop.call_later, 0, due.set)
        await due.wait()

    async def until(self, is_met: Callable[[], Any]) -> None:
        async with asyncio.timeout(SECONDS_MAX):
            while not is_met():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Room, NatsLink]]:
    room = Room()
    async with await asyncio.start_server(room.accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        made = NatsLink(StoreSettings((f"nats://127.0.0.1:{port}",)), "test")
        made.on_change(lambda: room.tell(made.is_connected))
        made.start()
        await room.until(lambda: room.told == [True])
        room.told.clear()
        try:
            yield room, made
        finally:
            await made.close()
            for one in room.connections:
                one.close()


def run(test: Callable[[Room, NatsLink], Any]) -> None:
    async def run_it() -> None:
        async with connected() as (room, made):
            await test(room, made)

    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        runner.run(run_it())


def request_of(room: Room) -> tuple[str, str, bytes]:
    """The only message that the server got."""
    (taken,) = room.connections[-1].taken
    return taken


def test_a_message_is_sent_with_its_headers():
    async def test(room: Room, made: NatsLink) -> None:
        made.publish(Message("a.b", {"X": "1", "Y": "ä"}, b"data"))
        await room.until(lambda: room.connections[0].taken)
        assert request_of(room) == ("a.b", "", "NATS/1.0\r\nX: 1\r\nY: ä\r\n\r\ndata".encode())

    run(test)


def test_a_request_has_a_reply_below_one_inbox_and_its_answer_goes_to_whoever_asked():
    async def test(room: Room, made: NatsLink) -> None:
        made.request(Message("ask", {}, b"?"), 5, room.tell)
        await room.until(lambda: room.connections[0].taken)
        subject, reply, data = request_of(room)
        assert (subject, data) == ("ask", b"?")
        assert list(room.connections[0].subscribed.values()) == [f"{reply.rpartition('.')[0]}.*"]
        room.connections[0].answer(reply, b"!", b"\r\nA: 1")
        await room.until(lambda: room.told)
        room.connections[0].answer(reply, b"again")
        assert room.told == [Message(reply, {"A": "1"}, b"!")]

    run(test)


def test_a_status_without_data_is_told_from_a_subject_that_nobody_serves():
    async def test(room: Room, made: NatsLink) -> None:
        for count, status in enumerate((b" 503", b" 404 Message Not Found")):
            room.connections[0].taken.clear()
            made.request(Message("ask", {}, b""), 5, room.tell)
            await room.until(lambda: room.connections[0].taken)
            room.connections[0].answer(request_of(room)[1], b"", status)
            await room.until(lambda count=count: len(room.told) > count)
        assert room.told[0] is LinkFault.NO_RESPONDERS
        assert room.told[1].headers == {"Status": "404", "Description": "Message Not Found"}

    run(test)


def test_each_part_of_an_answer_may_take_as_long_as_the_first():
    async def test(room: Room, made: NatsLink) -> None:
        made.request_many(Message("ask", {}, b""), 50, room.take, room.tell)
        await room.until(lambda: room.connections[0].taken)
        reply = request_of(room)[1]
        for count in range(1, 5):
            await room.pass_by(30)
            room.connections[0].answer(reply, b"part")
            await room.until(lambda count=count: len(room.told) == count)
        await room.pass_by(51)
        await room.until(lambda: len(room.told) == 5)
        assert room.told == [b"part"] * 4 + [LinkFault.TIMEOUT]

    run(test)


def test_the_last_part_of_an_answer_is_the_end_of_the_request():
    async def test(room: Room, made: NatsLink) -> None:
        made.request_many(Message("ask", {}, b""), 5, room.take, room.tell)
        await room.until(lambda: room.connections[0].taken)
        reply = request_of(room)[1]
        for data in (b"part", b"last", b"late"):
            room.connections[0].answer(reply, data)
        await room.until(lambda: None in room.told)
        assert room.told == [b"part", b"last", None]

    run(test)


def test_what_a_receiver_does_wrong_harms_neither_other_messages_nor_the_connection():
    async def test(room: Room, made: NatsLink) -> None:
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))

        def receive(message: Message) -> None:
            room.tell(message.data)
            if message.data == b"1":
                raise ZeroDivisionError

        made.subscribe("a", receive)
        await room.until(lambda: "a" in room.connections[0].subscribed.values())
        for data in (b"1", b"2"):
            room.connections[0].answer("a", data)
        await room.until(lambda: len(room.told) == 2)
        assert room.told == [b"1", b"2"]
        assert isinstance(faults[0]["exception"], ZeroDivisionError)
        assert made.is_connected

    run(test)


def test_a_message_that_cannot_be_written_costs_the_connection_and_not_the_link():
    async def test(room: Room, made: NatsLink) -> None:
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        made.publish(Message("a", {"X": "\ud800"}, b""))
        await room.until(lambda: room.told == [False, True])
        assert isinstance(faults[0]["exception"], UnicodeEncodeError)

    run(test)


def test_a_lost_connection_is_told_and_made_again_with_subscriptions_and_the_same_inbox():
    async def test(room: Room, made: NatsLink) -> None:
        made.subscribe("a", lambda _: None)
        made.subscribe("b", lambda _: None).cancel()
        made.request(Message("ask", {}, b""), 5, room.tell)
        await room.until(lambda: room.connections[0].taken)
        reply = request_of(room)[1]
        room.connections[0].close()
        await room.until(lambda: room.told == [False, True])
        second = room.connections[1]
        await room.until(lambda: len(second.subscribed) == 2)
        assert second.taken == [], "nothing is sent again"
        second.answer(reply, b"late, but true")
        await room.until(lambda: len(room.told) == 3)
        assert room.told[2].data == b"late, but true"
        made.publish(Message("c", {}, b""))
        await room.until(lambda: second.taken)

    run(test)


def test_a_server_that_reports_an_error_and_goes_is_connected_anew():
    async def test(room: Room, made: NatsLink) -> None:
        room.connections[0].send(b"-ERR 'Maximum Control Line Exceeded'\r\n")
        await room.until(lambda: room.told == [False, True])
        assert made.reason is None

    run(test)


def test_a_server_that_is_about_to_stop_is_left():
    async def test(room: Room, made: NatsLink) -> None:
        room.connections[0].send(b'INFO {"ldm": true, "max_payload": 1000}\r\n')
        await room.until(lambda: room.told == [False, True])

    run(test)


def test_a_server_that_does_not_answer_can_be_left():
    async def test(room: Room, made: NatsLink) -> None:
        made.change_server()
        assert made.reason == "the server answers no requests"
        await room.until(lambda: room.told == [False, True])

    run(test)


def test_a_missing_right_is_reported_and_the_connection_kept(caplog: pytest.LogCaptureFixture):
    async def test(room: Room, made: NatsLink) -> None:
        room.connections[0].send(b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n")
        made.request(Message("ask", {}, b""), 5, room.tell)
        await room.until(lambda: room.connections[0].taken)
        room.connections[0].answer(request_of(room)[1], b"!")
        await room.until(lambda: room.told)
        assert made.is_connected

    run(test)
    assert "the store reports: permissions violation for publish to" in caplog.text


def test_what_is_denied_ends_the_requests_for_it_and_is_told_once_to_who_knows(
    caplog: pytest.LogCaptureFixture,
):
    async def test(room: Room, made: NatsLink) -> None:
        denials: list[Denial] = []

        def take(denial: Denial) -> bool:
            denials.append(denial)
            return True

        made.on_denied(take)
        made.request(Message("Ask.one", {}, b""), 5, room.tell)
        made.request(Message("ask.two", {}, b""), 0.1, room.tell)
        await room.until(lambda: len(room.connections[0].taken) == 2)
        room.connections[0].send(b"-ERR 'Permissions Violation for Publish to \"Ask.one\"'\r\n")
        await room.until(lambda: len(room.told) == 2)
        assert room.told == [LinkFault.DENIED, LinkFault.TIMEOUT]
        assert denials == [Denial(False, "ask.one")]

    run(test)
    assert "the store reports" not in caplog.text


def test_a_subscription_that_was_denied_is_tried_again_when_asked_to():
    async def test(room: Room, made: NatsLink) -> None:
        made.on_denied(lambda denial: room.tell(denial) is None)
        made.subscribe("Flow.>", room.tell)
        made.subscribe("other", room.tell)

        subscribed = room.connections[0].subscribed

        await room.until(lambda: "other" in subscribed.values())
        made.subscribe_again()  # nothing was denied
        before = dict(subscribed)
        text = b'-ERR \'Permissions Violation for Subscription to "Flow.>" (sid "2")\'\r\n'
        room.connections[0].send(text)
        await room.until(lambda: room.told)
        assert room.told == [Denial(True, "flow.>")]
        made.subscribe_again()
        await room.until(lambda: subscribed != before and "Flow.>" in subscribed.values())
        assert sorted(subscribed.values())[:1] == ["Flow.>"]
        assert len(subscribed) == len(before)

    run(test)


def test_a_server_that_falls_silent_is_left():
    async def test(room: Room, made: NatsLink) -> None:
        room.connections[0].is_silent = True
        while not room.told:
            await room.pass_by(1)
        await room.until(lambda: room.told == [False, True])

    run(test)


def test_a_server_is_kept_when_the_loop_itself_was_held_up():
    """As a machine that was suspended, or a program that had to do something long."""

    async def test(room: Room, made: NatsLink) -> None:
        for _ in range(3):
            await room.pass_by(3600)
        assert made.is_connected
        assert room.told == []

    run(test)


def test_a_server_that_is_busy_sending_is_not_silent():
    """Its answer to a question for life may come after megabytes."""

    async def test(room: Room, made: NatsLink) -> None:
        made.subscribe("a", lambda message: room.tell(message.data))
        await room.until(lambda: "a" in room.connections[0].subscribed.values())
        room.connections[0].is_silent = True
        for count in range(1, 20):
            room.connections[0].answer("a", b"x")
            await room.until(lambda count=count: len(room.told) == count)
            await room.pass_by(1)
        assert room.told == [b"x"] * 19

    run(test)


def test_nothing_larger_than_the_server_takes_is_sent():
    async def test(room: Room, made: NatsLink) -> None:
        head = len("NATS/1.0\r\nA: 1\r\n\r\n")
        made.request(Message("ask", {"A": "1"}, bytes(1001 - head)), 5, room.tell)
        await room.until(lambda: room.told)
        assert room.told == [LinkFault.TOO_LARGE]
        made.publish(Message("b", {"A": "1"}, bytes(1000 - head)))
        await room.until(lambda: room.connections[0].taken)
        assert len(request_of(room)[2]) == 1000

    run(test)


def test_a_subject_that_does_not_fit_the_line_is_refused():
    async def test(room: Room, made: NatsLink) -> None:
        made.request(Message("a" * link.CONTROL_LINE_BYTES_MAX, {}, b""), 5, room.tell)
        await room.until(lambda: room.told)
        assert room.told == [LinkFault.TOO_LARGE]

    run(test)


def test_what_a_server_does_not_read_is_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "OUTGOING_BYTES_MAX", 100_000)

    async def test(room: Room, made: NatsLink) -> None:
        server = room.connections[0]
        server.reads.clear()
        for _ in range(30_000):
            made.publish(Message("a", {}, bytes(900)))
            await asyncio.sleep(0)
        server.reads.set()
        made.subscribe("b", lambda message: room.tell(message.data))
        await room.until(lambda: "b" in server.subscribed.values())
        assert 100 < len(server.taken) < 30_000
        taken = len(server.taken)
        made.publish(Message("a", {}, b"last"))
        await room.until(lambda: len(server.taken) > taken)
        assert server.taken[-1] == ("a", "", b"last")

    run(test)
