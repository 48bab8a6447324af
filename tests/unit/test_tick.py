"""The tick: replies and updates are sent only after their changes are durable."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from dunena.dialects.dialect import Dialect
from dunena.server.limits import (
    BACKLOG_BYTES_MAX,
    BATCH_BYTES_MAX,
    PORTION_BYTES,
    ROUND_REQUESTS_MAX,
)
from dunena.server.tick import FAILURES_PER_LOG_LINE
from dunena.store.errors import WriteRefusedError
from dunena.store.limits import EXPIRED_AT_ONCE_MAX
from dunena.store.store import Store
from tests.support.rooms import Client, FlakyEngine, HoldingEngine, Rooms

FULL = "Storage error: disk full; nothing was stored"


def values(messages: list[dict]) -> list[object]:
    return [message.get("value", message.get("error")) for message in messages]


def test_replies_are_written_together_at_the_end_of_the_tick() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    client.say({"action": "subscribe", "key": "k"})
    for value in (1, 2, 3):
        client.say({"action": "set", "key": "k", "value": value})
    client.say({"action": "get", "key": "k"})
    assert client.wire.writes == []
    assert rooms.engine.committed == []
    rooms.tick.end()
    assert len(client.wire.writes) == 1
    assert [change.revision for change in rooms.engine.committed] == [1, 2, 3]
    assert values(client.heard()) == [1, 2, 3, 3]


def test_the_end_of_a_tick_is_scheduled_once() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    rooms.soon.clear()
    client.say({"type": "ping"})
    client.say({"type": "ping"})
    assert len(rooms.soon) == 1
    rooms.soon[0]()
    assert [message["type"] for message in client.heard()] == ["pong", "pong"]


def test_a_refused_tick_is_rolled_back_and_publishes_nothing() -> None:
    rooms = Rooms()
    writer, reader = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.OBJECT_STORE)
    listener = rooms.client(Dialect.DUNENA)
    reader.say({"action": "subscribe", "key": "k"})
    writer.ask({"action": "set", "key": "k", "value": "kept"})
    reader.heard()
    listener.heard()

    rooms.engine.reason = "disk full"
    reader.say({"action": "get", "key": "k"})
    writer.say({"action": "set", "key": "k", "value": "refused"})
    reader.say({"action": "get", "key": "k"})
    writer.say({"action": "get", "key": "k"})
    writer.say({"action": "delete", "key": "k"})
    assert values(reader.heard()) == ["kept", "kept"]
    assert values(writer.heard()) == [FULL, "kept", FULL]
    assert listener.heard() == []
    assert rooms.store.revision == 1

    rooms.engine.reason = None
    assert writer.ask({"action": "set", "key": "k", "value": "again"}) == []
    assert values(reader.heard()) == ["again"]
    assert rooms.store.revision == 2


def test_the_store_has_the_time_of_the_tick_also_when_requests_run_again() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    seen = []
    rooms.tick.run(lambda _message, now: seen.append((rooms.store.now, now)), None)
    assert seen == [(rooms.now, rooms.now)]
    client.ask({"action": "set", "key": "k", "value": 1})
    rooms.now += 5_000
    client.ask({"action": "set", "key": "other", "value": 1})
    assert [entry.written_at for entry in rooms.store.entries()] == [rooms.now - 5_000, rooms.now]

    rooms.engine.reason = "disk full"
    times = []

    def delete(_message: None, now: int) -> None:
        times.append((rooms.store.now, now))
        rooms.now += 1  # so that the second run is at another time
        with suppress(WriteRefusedError):
            rooms.store.delete("", "k")

    rooms.tick.run(delete, None)
    rooms.tick.end()
    assert times == [(rooms.now - 2, rooms.now - 2), (rooms.now - 1, rooms.now - 1)]


def test_replies_of_a_refused_tick_keep_their_order_and_dialect() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.AUTO)
    rooms.engine.reason = "disk full"
    client.say({"type": "ping", "id": 1})
    client.say({"type": "set", "key": "k", "value": "v", "id": 2})
    client.say({"type": "get", "key": "k", "id": 3})
    client.say({"type": "mset", "entries": [{"key": "a", "value": "b"}], "id": 4})
    client.say({"type": "del", "key": "missing", "id": 5})
    client.say({"action": "set", "key": "k", "value": 1})
    heard = client.heard()
    assert [message.get("id") for message in heard] == [1, 2, 3, 4, 5, None]
    assert heard[1]["data"] == heard[3]["data"] == FULL
    assert heard[2]["data"] == {"key": "k", "value": None}
    assert heard[4]["data"] == {"key": "missing", "deleted": False}
    assert heard[5] == {"error": FULL}


def test_a_subscription_made_in_a_refused_tick_is_kept() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "set", "key": "k", "value": 1})
    rooms.engine.reason = "disk full"
    client.say({"action": "set", "key": "k", "value": 2})
    client.say({"action": "subscribe", "key": "k"})
    assert values(client.heard()) == [FULL, 1]
    rooms.engine.reason = None
    client.say({"action": "set", "key": "k", "value": 3})
    assert values(client.heard()) == [3]


def test_an_expiry_refused_by_the_engine_is_retried_and_the_value_not_read() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    client.say({"action": "set", "key": "k", "value": 1, "ttl": 10})
    client.say({"action": "subscribe", "key": "k"})
    client.heard()
    rooms.engine.reason = "disk full"
    rooms.now += 10
    assert values(client.ask({"action": "get", "key": "k"})) == [None]
    assert rooms.store.entry_count == 1
    assert rooms.telemetry.storage_failure == "disk full"
    rooms.engine.reason = None
    rooms.tick.probe()
    assert rooms.telemetry.storage_failure is None
    rooms.tick.expire()
    assert values(client.heard()) == [None]
    assert rooms.store.entry_count == 0


def test_requests_are_answered_between_portions_of_a_mass_expiry() -> None:
    rooms = Rooms(engine=FlakyEngine())
    client = rooms.client(Dialect.OBJECT_STORE)
    crowd = 3 * EXPIRED_AT_ONCE_MAX
    for number in range(crowd):
        client.say({"action": "set", "key": f"k{number}", "value": 1, "ttl": 10})
    follower = rooms.client(Dialect.OBJECT_STORE)
    follower.ask({"action": "subscribe", "key": f"k{crowd - 1}"})
    del rooms.engine.committed[:]
    rooms.now += 10
    left = []
    while rooms.store.next_deadline <= rooms.now:
        # Several requests of a turn share its portion, and none sees what is left over.
        assert values(client.ask({"action": "get", "key": f"k{crowd - 2}"})) == [None]
        left.append(rooms.store.entry_count)
    assert left == [2 * EXPIRED_AT_ONCE_MAX, EXPIRED_AT_ONCE_MAX, 0]
    assert len(rooms.engine.committed) == crowd
    assert values(follower.heard()) == [None], "it is told once"


def test_storage_failures_are_counted_and_failure_and_recovery_logged_once(caplog) -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    rooms.engine.reason = "disk full"
    for _ in range(5):
        client.ask({"action": "set", "key": "k", "value": 1})
    rooms.engine.reason = None
    client.ask({"action": "set", "key": "k", "value": 1})
    assert rooms.telemetry.storage_failures == 5
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "disk full" in caplog.text


def follow_and_block(rooms: Rooms, *keys: str) -> Client:
    """A client that follows keys and reads no more."""
    client = rooms.client(Dialect.OBJECT_STORE)
    for key in keys:
        client.ask({"action": "subscribe", "key": key})
    client.wire.is_blocked = True
    return client


def test_a_slow_reader_gets_the_newest_value_of_each_key_in_order() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    slow = follow_and_block(rooms, "a", "b", "c")
    quick = rooms.client(Dialect.OBJECT_STORE)
    quick.ask({"action": "subscribe", "key": "a"})
    seen = []
    for number, key in enumerate("abcabab"):
        writer.ask({"action": "set", "key": key, "value": number})
        seen += values(quick.heard())
    assert seen == [0, 3, 5]
    assert values(slow.heard()) == [0], "the write that found no room"
    assert slow.outbox.waiting == 3
    slow.wire.unblock()
    assert values(slow.heard()) == [2, 5, 6]
    assert slow.outbox.waiting == 0
    assert rooms.telemetry.conflated == 3
    assert slow.overflows == 0
    writer.ask({"action": "set", "key": "a", "value": 7})
    assert values(slow.heard()) == [7]


def test_updates_of_one_key_in_a_tick_are_conflated_for_a_slow_reader() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    slow = follow_and_block(rooms, "a")
    writer.ask({"action": "set", "key": "a", "value": 0})
    for number in range(1, 4):
        writer.say({"action": "set", "key": "a", "value": number})
    rooms.tick.end()
    slow.wire.unblock()
    assert values(slow.heard()) == [0, 3]
    assert rooms.telemetry.conflated == 2


def test_a_deleted_key_reaches_a_slow_reader_as_null() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    slow = follow_and_block(rooms, "a", "b")
    writer.ask({"action": "set", "key": "b", "value": 0})
    writer.ask({"action": "set", "key": "a", "value": 1})
    writer.ask({"action": "delete", "key": "a"})
    slow.wire.unblock()
    assert values(slow.heard()) == [0, None]


def test_a_slow_reader_gets_all_replies_and_events_in_order() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    slow = rooms.client()
    slow.say({"type": "ping"})
    slow.ask({"action": "subscribe", "key": "k"})
    slow.wire.is_blocked = True
    slow.say({"type": "ping", "id": "ping 0"})
    rooms.tick.end()
    for number in (1, 2):
        slow.say({"type": "ping", "id": f"ping {number}"})
        writer.say({"action": "set", "key": "k", "value": number})
        rooms.tick.end()
    slow.wire.unblock()
    heard = slow.heard()
    # The value of the first tick gave way to that of the second.
    assert [m.get("id") or m.get("event") or m.get("value") for m in heard] == [
        "ping 0", "ping 1", "set", "ping 2", 2, "set",
    ]  # fmt: skip


def test_a_reader_with_too_many_unread_events_is_dropped_alone() -> None:
    rooms = Rooms()
    slow, quick = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)
    slow.wire.is_blocked = True
    count = 0
    while not slow.overflows:
        for _ in range(1_000):
            quick.say({"type": "del", "key": "k"})
            quick.say({"type": "set", "key": "k" * 500, "value": "v"})
        assert sum("event" in message for message in quick.heard()) == 1_000
        count += 1
        assert count < 100
    assert count * 1_000 * 500 > BACKLOG_BYTES_MAX / 2
    assert slow.outbox.waiting == 0


def test_the_event_backlog_is_reset_when_a_reader_catches_up() -> None:
    rooms = Rooms()
    slow, quick = rooms.client(Dialect.DUNENA), rooms.client(Dialect.OBJECT_STORE)
    for _ in range(5):
        slow.wire.is_blocked = True
        for _ in range(BACKLOG_BYTES_MAX // 1_000 // 4):
            quick.say({"action": "set", "key": "k" * 500, "value": 1})
        rooms.tick.end()
        slow.wire.unblock()
        slow.wire.writes.clear()
    assert slow.overflows == 0


def test_the_backlog_of_a_slow_reader_is_written_in_portions() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    keys = [str(number) for number in range(10)]
    slow = follow_and_block(rooms, *keys)
    for key in keys:
        writer.say({"action": "set", "key": key, "value": "x" * (PORTION_BYTES // 4)})
    rooms.tick.end()
    # It is too much for one write, and the first portion found no room.
    assert [len(write) <= PORTION_BYTES for write in slow.wire.writes] == [True]
    count = len(slow.heard())
    assert 0 < count < len(keys)
    slow.wire.unblock()
    assert max(map(len, slow.wire.writes)) <= PORTION_BYTES
    assert count + len(slow.heard()) == len(keys)


def test_a_reader_that_keeps_up_gets_every_update_of_a_large_tick() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "subscribe", "key": "k"})
    for number in range(10):
        client.say({"action": "set", "key": "k", "value": [number, "x" * (PORTION_BYTES // 4)]})
    client.say({"action": "get", "key": "none"})
    rooms.tick.end()
    assert max(map(len, client.wire.writes)) <= PORTION_BYTES
    heard = [value and value[0] for value in values(client.heard())]
    assert heard == [*range(10), None]
    assert rooms.telemetry.conflated == 0


def test_after_flush_callbacks_run_after_the_backlog() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    slow = follow_and_block(rooms, "a")
    ends: list[int] = []
    for number in range(2):
        writer.ask({"action": "set", "key": "a", "value": number})
    slow.outbox.after_flush(lambda: ends.append(len(slow.wire.writes)))
    rooms.tick.end()
    assert ends == []
    slow.wire.unblock()
    assert ends == [], "a transport must not be closed while it says that it has room"
    rooms.tick.end()
    assert ends == [2]


def test_followers_are_sent_many_updates_as_the_same_bytes() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    readers = [rooms.client(Dialect.OBJECT_STORE) for _ in range(3)]
    for reader in readers:
        reader.ask({"action": "subscribe", "key": "k"})
    for number in range(5):
        writer.say({"action": "set", "key": "k", "value": number})
    rooms.tick.end()
    assert len({id(write) for reader in readers for write in reader.wire.writes}) == 1
    assert [values(reader.heard()) for reader in readers] == [[0, 1, 2, 3, 4]] * 3


def test_updates_and_replies_reach_each_follower_in_order() -> None:
    rooms = Rooms()
    first, second = (rooms.client(Dialect.OBJECT_STORE) for _ in range(2))
    for client in (first, second):
        client.say({"action": "subscribe", "key": "k"})
        client.ask({"action": "subscribe", "key": "l"})
    first.say({"action": "set", "key": "k", "value": 1})
    first.say({"action": "set", "key": "k", "value": 2})
    first.say({"action": "get", "key": "k"})
    second.say({"action": "set", "key": "k", "value": 3})
    first.say({"action": "set", "key": "l", "value": 4})
    first.say({"action": "set", "key": "k", "value": 5})
    second.say({"action": "unsubscribe", "key": "k"})
    first.say({"action": "set", "key": "k", "value": 6})
    second.say({"action": "subscribe", "key": "k"})
    first.say({"action": "set", "key": "k", "value": 7})
    assert values(first.heard()) == [1, 2, 2, 3, 4, 5, 6, 7]
    assert values(second.heard()) == [1, 2, 3, 4, 5, 6, 7]


def test_an_outbox_is_full_at_the_batch_limit() -> None:
    rooms = Rooms()
    outbox = rooms.client().outbox
    outbox.put(bytes(BATCH_BYTES_MAX - 1))
    assert not outbox.is_full
    outbox.put(b"x")
    assert outbox.is_full
    rooms.tick.end()
    assert not outbox.is_full


def test_a_dead_outbox_takes_and_sends_nothing() -> None:
    rooms = Rooms()
    client = rooms.client()
    client.outbox.put(b"x")
    client.outbox.kill()
    client.outbox.put(b"y")
    rooms.tick.end()
    assert client.wire.writes == []


def test_a_failing_write_to_one_connection_does_not_affect_others(caplog) -> None:
    rooms = Rooms()
    broken, other = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)

    def fail(_data: bytes) -> None:
        raise OSError

    broken.wire.write = fail
    for client in (broken, other):
        client.say({"type": "ping"})
    assert len(other.heard()) == 1
    assert broken.outbox.is_dead
    assert "could not be written to" in caplog.text


def test_a_message_received_during_a_flush_belongs_to_the_next_tick() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.DUNENA)
    client.say({"type": "ping"})
    client.outbox.after_flush(lambda: client.say({"type": "ping"}))
    assert len(client.heard()) == 1
    assert len(client.heard()) == 1


def test_replies_and_updates_wait_until_a_held_tick_is_durable() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    writer, reader = rooms.client(Dialect.DUNENA), rooms.client(Dialect.OBJECT_STORE)
    reader.ask({"action": "subscribe", "key": "k"})
    writer.say({"type": "set", "key": "k", "value": "v", "id": 1})
    assert writer.heard() == reader.heard() == []
    assert rooms.telemetry.changes == 0
    engine.release()
    assert [message.get("id") for message in writer.heard() if "type" in message] == [1]
    assert values(reader.heard()) == ["v"]
    assert engine.settled == [True]
    assert rooms.telemetry.changes == 1


def test_requests_during_a_held_tick_gather_and_are_answered_in_order() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    client = rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "subscribe", "key": "k"})
    client.say({"action": "set", "key": "k", "value": 1})
    rooms.tick.end()
    for value in (2, 3):
        client.say({"action": "set", "key": "k", "value": value})
        client.say({"action": "get", "key": "k"})
        assert client.heard() == []
    assert [change.revision for change in engine.committed] == [1]
    engine.release()
    assert [change.revision for change in engine.committed] == [1, 2, 3]  # as one commit
    assert values(client.heard()) == [1]
    engine.release()
    assert values(client.heard()) == [2, 2, 3, 3]


def test_a_read_of_a_held_value_is_answered_after_the_tick_is_durable() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    writer, reader = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.OBJECT_STORE)
    writer.say({"action": "set", "key": "k", "value": 1})
    rooms.tick.end()
    assert reader.ask({"action": "get", "key": "k"}) == []
    engine.release()
    assert values(reader.heard()) == [1]


def test_a_failed_held_tick_rolls_back_the_gathered_tick_too() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    writer, other = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.OBJECT_STORE)
    listener = rooms.client(Dialect.DUNENA)
    other.ask({"action": "subscribe", "key": "k"})
    writer.say({"action": "get", "key": "k"})
    writer.say({"action": "set", "key": "k", "value": "held"})
    rooms.tick.end()
    other.say({"action": "get", "key": "k"})
    other.say({"action": "set", "key": "k", "value": "gathered"})
    writer.say({"action": "get", "key": "k"})
    rooms.tick.end()
    engine.release("disk full")
    assert engine.settled == [False]
    assert values(writer.heard()) == [None, FULL, None]
    assert values(other.heard()) == [None, FULL]
    assert listener.heard() == []
    assert engine.committed == []
    assert (rooms.store.revision, rooms.store.entry_count) == (0, 0)
    assert rooms.telemetry.storage_failure == "disk full"

    writer.say({"action": "set", "key": "k", "value": "again"})
    rooms.tick.end()
    engine.release()
    assert values(other.heard()) == ["again"]
    assert [change.revision for change in engine.committed] == [1]
    assert rooms.telemetry.storage_failure is None


def test_a_failed_gathered_tick_does_not_affect_the_held_tick() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    client = rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "subscribe", "key": "k"})
    client.say({"action": "set", "key": "k", "value": "held"})
    rooms.tick.end()
    client.say({"action": "set", "key": "k", "value": "gathered"})
    rooms.tick.end()
    engine.reason = "disk full"
    engine.release()
    assert values(client.heard()) == ["held", FULL]
    assert rooms.store.revision == 1


def test_after_flush_callbacks_run_after_a_held_tick() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    client = rooms.client(Dialect.DUNENA)
    ends: list[int] = []
    client.say({"type": "set", "key": "k", "value": "v"})
    client.outbox.after_flush(lambda: ends.append(len(client.wire.writes)))
    rooms.tick.end()
    assert ends == []
    engine.release("disk full")
    assert ends == [1]


@pytest.mark.parametrize("reason", [None, "disk full"])
def test_a_close_decided_during_a_held_tick_still_happens(reason: str | None) -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    client = rooms.client(Dialect.DUNENA)
    done: list[str] = []
    client.say({"type": "set", "key": "k", "value": "v"})
    client.outbox.after_flush(lambda: done.append("go on"))
    rooms.tick.end()
    client.outbox.pause()
    client.outbox.after_flush(lambda: done.append("end"))
    engine.release(reason)
    client.outbox.resume()
    rooms.tick.end()
    assert done == ["end"]


def test_a_durable_write_waits_for_the_sync_under_any_fsync_policy() -> None:
    engine = HoldingEngine(always=False)
    rooms = Rooms(engine=engine)
    client = rooms.client(Dialect.DUNENA)
    for message in (
        {"type": "set", "key": "k", "value": "v", "durable": True},
        {"type": "mset", "entries": [{"key": "a", "value": "b"}], "durable": True},
        {"type": "del", "key": "k", "durable": True},
    ):
        assert [reply for reply in client.ask(message) if "channel" not in reply] == []
        engine.release()
        assert [reply["type"] for reply in client.heard() if "channel" not in reply] == ["result"]
    (reply,) = [m for m in client.ask({"type": "set", "key": "k", "value": "v"}) if "type" in m]
    assert reply["type"] == "result"
    other = rooms.client(Dialect.OBJECT_STORE)
    client.say({"type": "set", "key": "k", "value": "w"})
    other.say({"action": "set", "key": "l", "value": 1, "durable": True})
    rooms.tick.end()
    engine.release("disk full")
    assert values(other.heard()) == [FULL]
    assert [m["data"] for m in client.heard() if m.get("type") == "error"] == [FULL]


def test_further_turns_wait_while_too_much_waits_for_the_sync() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    client = rooms.client()
    client.say({"action": "set", "key": "k", "value": 1})
    rooms.tick.end()  # is held
    for number in range(ROUND_REQUESTS_MAX):
        client.say({"action": "set", "key": "k", "value": number})
    went: list[str] = []
    rooms.soon.clear()
    rooms.tick.turns.wait(lambda: went.append("on"))
    assert rooms.soon == []
    engine.release()
    for _ in range(3):
        soon, rooms.soon[:] = list(rooms.soon), []
        for action in soon:
            action()
    assert went == ["on"], "what was gathered is on its way"


def change(rooms: Rooms, make: Callable[[Store, int], object]) -> None:
    """A request that changes the store; where the store refuses, it ends without an error."""

    def handle(_message: None, now: int) -> None:
        with suppress(WriteRefusedError):
            make(rooms.store, now)

    rooms.tick.run(handle, None)


def write(rooms: Rooms, key: str = "k", *, durable: bool = False, ttl_ms: int = 0) -> None:
    change(
        rooms,
        lambda store, now: store.set(
            "", key, b"1", now + ttl_ms if ttl_ms else None, is_durable=durable
        ),
    )


def clear(rooms: Rooms) -> None:
    change(rooms, lambda store, _: store.clear())


def ask_nothing(rooms: Rooms) -> None:
    rooms.tick.run(lambda *_: None, None)


def test_a_new_tick_is_idle() -> None:
    rooms = Rooms()
    assert rooms.tick.is_spent is False
    assert (rooms.soon, len(rooms.tick.turns)) == ([], 0)
    assert rooms.tick.now == rooms.now
    rooms.now += 5
    assert rooms.tick.now == rooms.now, "the clock's, not the last tick's"
    rooms.tick.end()
    assert rooms.telemetry.ticks.count == 0


def test_all_requests_of_a_tick_have_its_time_and_their_message() -> None:
    rooms = Rooms()
    seen: list[tuple[str, int]] = []
    began = rooms.now

    def handle(message: str, now: int) -> None:
        seen.append((message, now))

    rooms.tick.run(handle, "a")
    rooms.now += 1
    rooms.tick.run(handle, "b")
    rooms.tick.end()
    rooms.tick.run(handle, "c")
    assert seen == [("a", began), ("b", began), ("c", began + 1)]


def test_while_a_tick_is_held_the_next_one_looks_at_the_clock_for_each_request() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    write(rooms)
    rooms.tick.end()
    seen: list[int] = []
    for _ in range(2):
        rooms.tick.run(lambda _, now: seen.append(now), None)
        rooms.now += 1
    assert seen == [rooms.now - 2, rooms.now - 1]


def test_requests_that_are_run_again_have_the_time_of_then() -> None:
    rooms = Rooms()
    seen: list[tuple[str, int]] = []

    def handle(message: str, now: int) -> None:
        seen.append((message, now))
        if message == "write":
            with suppress(WriteRefusedError):
                rooms.store.set("", "k", b"1")

    rooms.engine.reason = "disk full"
    began = rooms.now
    for message in ("read", "write", "read"):
        rooms.tick.run(handle, message)
    rooms.now += 3
    rooms.tick.end()
    assert seen == [
        ("read", began), ("write", began), ("read", began),
        ("write", began + 3), ("read", began + 3),
    ]  # fmt: skip
    assert rooms.store.refusal is None


def test_a_request_that_fails_when_it_is_run_again_leaves_the_store_open() -> None:
    rooms = Rooms()

    def handle(_message: None, _now: int) -> None:
        if rooms.store.refusal is not None:
            raise RuntimeError
        rooms.store.set("", "k", b"1")

    rooms.engine.reason = "disk full"
    rooms.tick.run(handle, None)
    with pytest.raises(RuntimeError):
        rooms.tick.end()
    assert rooms.store.refusal is None


@pytest.mark.parametrize("begin", [False, True])
def test_a_change_outside_a_request_is_an_assertion_error(begin: bool) -> None:
    rooms = Rooms()
    if begin:
        rooms.tick.schedule_flush(rooms.client().outbox)
    with pytest.raises(AssertionError, match=r"^a change belongs to a request, so that it can be "):
        rooms.store.set("", "k", b"1")


@pytest.mark.parametrize("durable", [(False, False), (False, True), (True, False)])
def test_a_commit_is_durable_if_one_of_its_changes_is(durable: tuple[bool, bool]) -> None:
    engine = HoldingEngine(always=False)
    rooms = Rooms(engine=engine)
    for key, is_durable in zip("ab", durable, strict=True):
        write(rooms, key, durable=is_durable)
    rooms.tick.end()
    assert (engine.held is not None) is any(durable)


def test_a_stored_commit_is_counted_and_reported() -> None:
    engine = HoldingEngine(always=False)
    rooms = Rooms(engine=engine)
    told: list[int] = []
    rooms.tick.on_commit(lambda: told.append(rooms.telemetry.changes))
    write(rooms, "a")
    write(rooms, "b")
    rooms.tick.end()
    assert told == [2]
    rooms.client().ask({"type": "ping"})
    assert told == [2], "nothing was committed"
    write(rooms, "c", durable=True)
    rooms.tick.end()
    assert told == [2]
    engine.release()
    assert told == [2, 3]
    rooms.engine.reason = "disk full"
    write(rooms, "d")
    rooms.tick.end()
    assert (told, rooms.telemetry.changes) == ([2, 3], 3)


@pytest.mark.parametrize("always", [False, True])
def test_undone_changes_are_reported(*, always: bool) -> None:
    engine = HoldingEngine(always=always)
    rooms = Rooms(engine=engine)
    told: list[int | None] = []
    rooms.tick.on_undo(lambda: told.append(rooms.services.unrestricted_store.revision))
    write(rooms, "a")
    engine.reason = None if always else "disk full"
    rooms.tick.end()
    if always:
        engine.release("disk full")
    assert told == [0]


def test_the_duration_of_a_tick_begins_with_its_first_request() -> None:
    engine = HoldingEngine(always=False)
    rooms = Rooms(engine=engine)
    write(rooms, "a")
    rooms.now += 7
    rooms.tick.end()
    ticks = rooms.telemetry.ticks
    assert (ticks.count, ticks.sum_ms) == (1, 7)
    write(rooms, "b", durable=True)
    rooms.now += 20
    rooms.tick.end()
    assert ticks.count == 1
    rooms.now += 3
    engine.release()
    assert (ticks.count, ticks.sum_ms) == (2, 30)


def test_cleared_entries_are_reported_after_the_commit() -> None:
    engine = HoldingEngine(always=False)
    rooms = Rooms(engine=engine)
    told: list[list[str]] = []
    rooms.tick.on_clear(lambda cleared: told.append(sorted(cleared.get("", {}))))
    write(rooms, "a")
    rooms.tick.end()
    clear(rooms)
    write(rooms, "b")
    clear(rooms)
    assert told == []
    rooms.tick.end()
    assert told == [["a"], ["b"]]
    write(rooms, "c")
    rooms.tick.end()
    assert len(told) == 2
    write(rooms, "d", durable=True)
    rooms.tick.end()
    clear(rooms)
    rooms.tick.end()
    engine.release()
    assert told[2:] == [["c", "d"]], "that of the tick that gathered meanwhile as well"
    rooms.engine.reason = "disk full"
    clear(rooms)
    rooms.tick.end()
    rooms.engine.reason = None
    write(rooms, "e")
    rooms.tick.end()
    assert len(told) == 3, "one that was refused took nothing away"


def test_a_tick_expires_one_portion_for_all_requests() -> None:
    rooms = Rooms()
    for number in range(3 * EXPIRED_AT_ONCE_MAX):
        write(rooms, f"k{number}", ttl_ms=1)
    rooms.tick.end()
    rooms.now += 1
    rooms.tick.expire()
    ask_nothing(rooms)
    assert rooms.store.entry_count == 2 * EXPIRED_AT_ONCE_MAX
    rooms.tick.end()
    ask_nothing(rooms)
    assert rooms.store.entry_count == EXPIRED_AT_ONCE_MAX
    rooms.tick.end()
    assert rooms.store.expirations == 2 * EXPIRED_AT_ONCE_MAX


def test_an_expiry_turn_in_a_long_tick_has_its_own_portion() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    for number in range(3 * EXPIRED_AT_ONCE_MAX):
        write(rooms, f"k{number}", ttl_ms=1)
    rooms.tick.end()  # is held
    rooms.now += 1
    ask_nothing(rooms)
    ask_nothing(rooms)
    ask_nothing(rooms)
    assert rooms.store.entry_count == 2 * EXPIRED_AT_ONCE_MAX, "all of them share one portion"
    rooms.tick.expire()
    assert rooms.store.entry_count == EXPIRED_AT_ONCE_MAX


@pytest.mark.parametrize(("wait", "count"), [(9, 1), (10, 0)])
def test_due_entries_expire_with_the_next_request(wait: int, count: int) -> None:
    rooms = Rooms()
    write(rooms, ttl_ms=10)
    rooms.tick.end()
    rooms.now += wait
    ask_nothing(rooms)
    assert rooms.store.entry_count == count


def test_requests_expire_no_entries_during_a_storage_failure() -> None:
    rooms = Rooms()
    write(rooms, ttl_ms=10)
    rooms.tick.end()
    rooms.telemetry.storage_failure = "disk full"
    rooms.now += 10
    ask_nothing(rooms)
    assert rooms.store.entry_count == 1


def test_a_probe_reports_the_failure_and_the_recovery(caplog: pytest.LogCaptureFixture) -> None:
    rooms = Rooms()
    rooms.engine.reason = "disk full"
    rooms.tick.probe()
    assert rooms.telemetry.storage_failure == "disk full"
    rooms.engine.reason = "disk gone"
    rooms.tick.probe()
    assert rooms.telemetry.storage_failure == "disk gone"
    assert caplog.records == []
    rooms.engine.reason = None
    rooms.tick.probe()
    assert rooms.telemetry.storage_failure is None
    assert [record.getMessage() for record in caplog.records] == ["changes are stored again"]


def test_a_repeated_storage_failure_is_logged_first_and_then_periodically(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rooms = Rooms()
    rooms.engine.reason = "disk full"
    for _ in range(2 * FAILURES_PER_LOG_LINE + 1):
        write(rooms)
        rooms.tick.end()
    text = "changes are refused, nothing is stored: disk full"
    assert [record.getMessage() for record in caplog.records] == [text] * 3
    assert rooms.telemetry.storage_failures == 2 * FAILURES_PER_LOG_LINE + 1
    caplog.clear()
    rooms.engine.reason = None
    write(rooms)
    rooms.tick.end()
    write(rooms)
    rooms.tick.end()
    rooms.engine.reason = "disk full"
    write(rooms)
    rooms.tick.end()
    again = "changes are stored again"
    assert [record.getMessage() for record in caplog.records] == [again, text]


def test_a_failing_after_flush_callback_does_not_affect_other_connections(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rooms = Rooms()
    broken, other = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)
    done: list[str] = []

    def fail() -> None:
        raise OSError

    broken.say({"type": "ping"})
    broken.outbox.after_flush(fail)
    other.say({"type": "ping"})
    other.outbox.after_flush(lambda: done.append("done"))
    rooms.tick.end()
    assert done == ["done"]
    assert (broken.outbox.is_dead, other.outbox.is_dead) == (True, False)
    (record,) = caplog.records
    assert record.getMessage() == "a connection could not be written to"
    assert record.exc_info is not None


def test_one_whole_turn_is_spent_until_the_tick_ends() -> None:
    rooms = Rooms()
    rooms.tick.is_spent = True
    rooms.tick.end()
    assert rooms.tick.is_spent is False


@pytest.mark.parametrize("missing", [0, 1])
def test_turns_wait_while_the_limit_waits_for_the_device(missing: int) -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    write(rooms)
    rooms.tick.end()
    for _ in range(ROUND_REQUESTS_MAX - missing):
        ask_nothing(rooms)
    rooms.soon.clear()
    rooms.tick.turns.wait(lambda: None)
    assert len(rooms.soon) == missing
    engine.release()
    assert len(rooms.soon) == 1


def test_turns_do_not_wait_without_a_held_tick() -> None:
    rooms = Rooms()
    for _ in range(ROUND_REQUESTS_MAX):
        ask_nothing(rooms)
    rooms.soon.clear()
    rooms.tick.turns.wait(lambda: None)
    assert len(rooms.soon) == 1


def test_an_outbox_that_asked_twice_is_held_and_refused_once() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    client = rooms.client(Dialect.DUNENA)
    client.ask({"type": "unsubscribe", "channel": "cache-events"})
    rooms.tick.schedule_flush(client.outbox)
    client.say({"type": "set", "key": "k", "value": "v"})
    rooms.tick.end()
    engine.release()
    assert [message["type"] for message in client.heard()] == ["result"]


def test_replies_before_the_first_change_remain_when_a_tick_is_refused() -> None:
    engine = HoldingEngine()
    for held in (True, False):
        rooms = Rooms(engine=engine if held else None)
        client = rooms.client(Dialect.DUNENA)
        client.say({"type": "ping", "id": 1})
        client.say({"type": "get", "key": "k", "id": 2})
        client.say({"type": "set", "key": "k", "value": "v", "id": 3})
        client.say({"type": "ping", "id": 4})
        if held:
            rooms.tick.end()
            engine.release("disk full")
        else:
            rooms.engine.reason = "disk full"
        heard = client.heard()
        assert [message["id"] for message in heard] == [1, 2, 3, 4]
        assert heard[2]["data"] == FULL


def test_finishing_a_commit_without_a_held_tick_is_an_assertion_error() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    write(rooms)
    rooms.tick.end()
    done = engine.held
    assert done is not None
    engine.release()
    with pytest.raises(AssertionError, match=r"^one commit at a time$"):
        done(None)


def test_a_clear_without_a_listener_is_stored() -> None:
    rooms = Rooms()
    write(rooms)
    clear(rooms)
    rooms.tick.end()
    assert len(rooms.engine.committed) == 2
    assert rooms.store.entry_count == 0


def test_an_event_has_the_time_of_its_tick() -> None:
    rooms = Rooms()
    listener = rooms.client(Dialect.DUNENA)
    began = rooms.now
    ask_nothing(rooms)
    rooms.now += 5
    write(rooms)
    assert [message["timestamp"] for message in listener.heard()] == [began]
