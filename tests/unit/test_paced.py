"""Watches that want so many updates a second; time passes when a test says so."""

from collections.abc import Callable

import pytest

from dunena.dialects.dialect import Dialect
from dunena.server.paced import Pacer
from tests.support.rooms import Client, HoldingEngine, Rooms

RATE = 10
INTERVAL_MS = 100


def watch(rooms: Rooms, **fields: object) -> Client:
    """A client that has a paced watch of everything and was told the first update."""
    client = rooms.client(Dialect.OBJECT_STORE)
    message = {"action": "watch", "pattern": "*", "maxRate": RATE, **fields}
    assert [update["update"]["reset"] for update in client.ask(message)] == [True]
    return client


def write(rooms: Rooms, writer: Client, value: int, key: str = "k") -> None:
    writer.ask({"action": "set", "key": key, "value": value})


def told(client: Client) -> list[list[object]]:
    """The values in each update that arrived."""
    return [
        [change["value"] for change in message["update"]["changes"]]
        for message in client.received()
    ]


def test_updates_are_at_least_the_interval_apart_and_the_last_is_told() -> None:
    rooms = Rooms()
    writer, client = rooms.client(Dialect.OBJECT_STORE), watch(rooms)
    write(rooms, writer, 1)
    write(rooms, writer, 2, key="other")
    write(rooms, writer, 3)
    assert told(client) == []
    rooms.pass_time(INTERVAL_MS - 1)
    assert told(client) == []
    rooms.pass_time(1)
    assert told(client) == [[3, 2]]
    write(rooms, writer, 4)
    rooms.pass_time(INTERVAL_MS)
    assert told(client) == [[4]]
    rooms.pass_time(INTERVAL_MS)
    write(rooms, writer, 5)
    assert told(client) == [[5]], "after a pause it is told at once"
    assert rooms.alarms == []


def test_what_is_not_committed_is_not_told() -> None:
    rooms = Rooms(engine=HoldingEngine(always=False))
    assert isinstance(rooms.engine, HoldingEngine)
    writer, client = rooms.client(Dialect.OBJECT_STORE), watch(rooms)
    writer.ask({"action": "set", "key": "k", "value": 1, "durable": True})
    rooms.pass_time(INTERVAL_MS)
    assert told(client) == []
    rooms.engine.release()
    assert told(client) == [[1]]
    writer.ask({"action": "set", "key": "k", "value": 2, "durable": True})
    rooms.pass_time(INTERVAL_MS)
    rooms.engine.release("failed")
    rooms.tick.end()
    rooms.pass_time(INTERVAL_MS)
    assert told(client) == []


def test_a_slow_reader_of_a_paced_watch_gets_one_update() -> None:
    rooms = Rooms()
    writer, client = rooms.client(Dialect.OBJECT_STORE), watch(rooms)
    client.wire.is_blocked = True
    for value in range(5):
        write(rooms, writer, value)
        rooms.pass_time(INTERVAL_MS)
    assert told(client) == [[0]], "the write that found no room"
    client.wire.unblock()
    assert told(client) == [[4]]


@pytest.mark.parametrize("way", ["unwatch", "watch", "close"])
def test_a_watch_that_has_ended_is_told_no_more(way: str) -> None:
    rooms = Rooms()
    writer, client = rooms.client(Dialect.OBJECT_STORE), watch(rooms)
    write(rooms, writer, 1)
    if way == "close":
        client.conversation.close()
    else:
        client.ask({"action": way, "pattern": "*"})
    client.received()
    rooms.pass_time(INTERVAL_MS)
    assert told(client) == []
    write(rooms, writer, 2)
    rooms.pass_time(INTERVAL_MS)
    assert told(client) == ([[2]] if way == "watch" else [])


def test_a_large_first_update_is_told_before_what_follows() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    for key in "abcd":
        write_large(writer, key)
    client = rooms.client(Dialect.OBJECT_STORE)
    client.wire.is_blocked = True
    messages = client.ask({"action": "watch", "pattern": "*", "maxRate": RATE})
    write(rooms, writer, 1)
    rooms.pass_time(INTERVAL_MS)
    client.wire.unblock()
    updates = [message["update"] for message in messages + client.received()]
    assert [update.get("more", False) for update in updates] == [True, False, False]
    assert [len(update["changes"]) for update in updates] == [2, 2, 1]


def write_large(writer: Client, key: str) -> None:
    writer.ask({"action": "set", "key": key, "value": "x" * 100_000})


def test_a_connection_that_cannot_be_written_to_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rooms = Rooms()
    writer, broken, client = rooms.client(Dialect.OBJECT_STORE), watch(rooms), watch(rooms)
    broken.outbox.lose(Broken())
    broken.outbox.is_dead = False
    write(rooms, writer, 1)
    rooms.pass_time(INTERVAL_MS)
    assert told(client) == [[1]]
    assert broken.outbox.is_dead
    assert "a connection could not be written to" in caplog.text


class Broken:
    """A transport that cannot be written to."""

    def write(self, _data: bytes) -> None:
        raise OSError("on purpose")

    def close(self) -> None:
        """Nobody waits for it."""

    def get_extra_info(self, _name: str) -> object:
        return None


class Calls:
    """The calls that a pacer asks its loop for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[float] = []
        self.pending: list[Planned] = []

    def call_at(self, at_ms: float, action: Callable[[], None]) -> "Planned":
        self.asked.append(at_ms)
        self.pending.append(Planned(self, at_ms, action))
        return self.pending[-1]


class Planned:
    def __init__(self, calls: Calls, at_ms: float, action: Callable[[], None]) -> None:
        self.calls, self.at_ms, self.action = calls, at_ms, action

    def cancel(self) -> None:
        if self in self.calls.pending:
            self.calls.pending.remove(self)


def test_a_pacer_has_one_call_for_what_is_due_next() -> None:
    calls = Calls()
    pacer = Pacer(lambda: calls.now, calls.call_at)
    done: list[str] = []
    for at, name in ((30.0, "c"), (10.0, "a"), (20.0, "b"), (20.0, "b2")):
        pacer.call(at, lambda name=name: done.append(name))
    assert [planned.at_ms for planned in calls.pending] == [10.0]
    calls.now = 9.5  # a loop may call a little early
    calls.pending.pop().action()
    assert done == []
    assert [planned.at_ms for planned in calls.pending] == [10.0]
    calls.now = 20.0
    calls.pending.pop().action()
    assert done == ["a", "b", "b2"]
    calls.now = 31.0
    calls.pending.pop().action()
    assert done == ["a", "b", "b2", "c"]
    assert calls.pending == []
