"""The outbox of a peer that reads slowly."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from dunena.dialects.dialect import Dialect
from dunena.hub import Batch
from dunena.server import outbox as outbox_module
from dunena.server.limits import BATCH_BYTES_MAX, PORTION_BYTES
from tests.support.rooms import Client, HoldingEngine, Rooms


def test_after_flush_callbacks_wait_for_a_blocked_peer() -> None:
    rooms = Rooms()
    client = rooms.client()
    done = []
    client.wire.is_blocked = True
    client.outbox.put(b"more than the peer reads")
    rooms.tick.end()
    assert client.outbox.is_paused
    rooms.soon.clear()
    client.outbox.after_flush(lambda: done.append("done"))
    for _ in range(3):
        rooms.tick.end()
    assert len(rooms.soon) == 1, "the loop turns in vain"
    assert done == []
    client.wire.unblock()
    rooms.tick.end()
    assert done == ["done"]


def test_after_flush_callbacks_wait_for_a_backlog_that_blocks_again() -> None:
    rooms = Rooms()
    client = rooms.client()
    done = []
    client.wire.is_blocked = True
    client.outbox.put(b"more than the peer reads")
    rooms.tick.end()
    client.outbox.put(b"this waits")
    client.outbox.after_flush(lambda: done.append("done"))
    rooms.tick.end()
    rooms.soon.clear()
    client.outbox.resume()  # takes what waits, and no more
    assert client.wire.writes[-1] == b"this waits"
    for _ in range(3):
        rooms.tick.end()
    assert (rooms.soon, done) == ([], [])
    client.wire.unblock()
    rooms.tick.end()
    assert done == ["done"]


def test_no_output_follows_an_overflow_of_events() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    listener, writer = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)
    listener.wire.is_blocked = True
    listener.outbox.put(b"more than the peer reads")
    rooms.tick.end()
    for _ in range(outbox_module.BACKLOG_BYTES_MAX // 500):
        writer.say({"type": "set", "key": "k" * 500, "value": "v"})
    rooms.tick.end()  # is held
    writer.say({"type": "set", "key": "later", "value": "v"})
    engine.release()
    assert listener.overflows == 1
    listener.wire.unblock()
    engine.release()
    assert listener.wire.writes == [b"more than the peer reads"]


def test_changes_made_after_a_flush_are_published_in_the_next_tick() -> None:
    rooms = Rooms()
    writer, listener = rooms.client(Dialect.DUNENA), rooms.client(Dialect.DUNENA)
    refused = {"type": "set", "key": "k", "value": "v"}
    writer.outbox.after_flush(lambda: writer.say(refused))
    listener.say({"type": "ping"})
    rooms.tick.end()
    rooms.engine.reason = "disk full"
    rooms.tick.end()
    assert [message["type"] for message in listener.heard()] == ["pong"]
    assert [message["type"] for message in writer.heard()] == ["error"]


def test_a_rerun_request_does_not_subscribe_a_closed_session() -> None:
    rooms = Rooms()
    writer, leaving = rooms.client(Dialect.DUNENA), rooms.client(Dialect.OBJECT_STORE)
    rooms.engine.reason = "disk full"
    writer.say({"type": "set", "key": "k", "value": "v"})
    leaving.say({"action": "subscribe", "key": "k"})
    leaving.session.close()
    rooms.tick.end()
    assert rooms.services.hub.key_topic("", "k") is None


def test_a_large_message_is_written_to_an_encrypted_peer_in_portions() -> None:
    rooms = Rooms()
    client = rooms.client(is_encrypted=True)
    done = []
    large = bytes(range(256)) * (3 * PORTION_BYTES // 256) + b"end"
    client.wire.is_blocked = True
    client.outbox.put(large)
    client.outbox.after_flush(lambda: done.append("done"))
    rooms.tick.end()
    assert [len(piece) for piece in client.wire.writes] == [PORTION_BYTES]
    assert client.outbox.reply_bytes == len(large) - PORTION_BYTES
    assert client.outbox.is_inside_message
    client.outbox.put(b"behind it")
    rooms.tick.end()
    client.outbox.resume()
    assert len(client.wire.writes) == 2
    assert done == []
    client.wire.unblock()
    for _ in range(3):
        rooms.tick.end()
    assert b"".join(client.wire.writes) == large + b"behind it"
    assert not client.outbox.is_inside_message
    assert done == ["done"]
    assert client.outbox.reply_bytes == 0


def test_the_rest_of_a_large_message_is_not_written_to_a_lost_peer() -> None:
    rooms = Rooms()
    client = rooms.client(is_encrypted=True)
    client.wire.is_blocked = True
    client.outbox.put(b"x" * 2 * PORTION_BYTES)
    rooms.tick.end()
    client.outbox.kill()
    client.wire.unblock()
    assert len(client.wire.writes) == 1


def write(client: Client) -> None:
    client.outbox.put(b"x")
    client.outbox.flush()


def stall(client: Client) -> None:
    client.wire.is_blocked = True
    write(client)


_ACTS: dict[str, Callable[[Client], object]] = {
    "put": lambda client: client.outbox.put(b"x"),
    "put much": lambda client: client.outbox.put(bytes(BATCH_BYTES_MAX)),
    "flush": lambda client: client.outbox.flush(),
    "write": write,
    "truncate": lambda client: client.outbox.truncate(0),
    "stall": stall,
    "unblock": lambda client: client.wire.unblock(),
    "resume": lambda client: client.outbox.resume(),
    "kill": lambda client: client.outbox.kill(),
}
_ACTS_WITH_CONDITIONS = ("push", "detach", "send", "put back")


@settings(max_examples=400)
@given(
    acts=st.lists(st.sampled_from((*_ACTS, *_ACTS_WITH_CONDITIONS)), max_size=30),
    is_encrypted=st.booleans(),
)
def test_is_full_holds_while_output_waits_or_reaches_the_batch_limit(
    acts: list[str], *, is_encrypted: bool
) -> None:
    client = Rooms().client(is_encrypted=is_encrypted)
    outbox, held_outputs = client.outbox, []
    for act in acts:
        if act in _ACTS:
            _ACTS[act](client)
        elif act == "push" and not outbox.is_dead:
            outbox.push(Batch(None, b"event"))
        elif act == "detach":
            held_outputs.append(outbox.detach())
        elif act == "send" and held_outputs:
            held_outputs.pop(0).send()
        elif act == "put back" and held_outputs and not len(outbox):
            held_output = held_outputs.pop()
            is_reply = isinstance(next(iter(held_output.pieces), None), bytes)
            held_output.put_back(int(is_reply))
        must_read = outbox.is_paused or outbox.waiting > 0 or outbox.size >= BATCH_BYTES_MAX
        assert outbox.is_full == must_read, act
