"""The outbox of a peer that reads slowly."""

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunena.dialects.dialect import Dialect
from dunena.hub import Batch
from dunena.server.limits import BACKLOG_BYTES_MAX, BATCH_BYTES_MAX, PORTION_BYTES
from dunena.server.outbox import Outbox, end_after_replies
from dunena.telemetry import Telemetry
from dunena.watches.limits import PART_CHANGES_MAX
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
    for _ in range(BACKLOG_BYTES_MAX // 500):
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
    leaving.conversation.close()
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


def watch_large_values(client: Client, count: int) -> None:
    """Ask for a first update of values of which two fit one part."""
    for number in range(count):
        client.ask({"action": "set", "key": f"k{number}", "value": "x" * 100_000})
    client.say({"action": "watch", "pattern": "k*", "id": 1})


def numbers_of_changes(messages: list[dict]) -> list[int]:
    return [len(message["update"]["changes"]) for message in messages]


def test_a_large_first_update_is_made_as_the_transport_takes_it() -> None:
    rooms = Rooms()
    client = rooms.client(Dialect.OBJECT_STORE)
    watch_large_values(client, 7)
    client.wire.is_blocked = True
    client.say({"action": "get", "key": "none"})
    first = client.heard()
    assert numbers_of_changes(first) == [2]
    assert first[0]["id"] == 1
    assert client.outbox.is_full
    client.outbox.resume()
    assert numbers_of_changes(client.received()) == [2]
    client.wire.unblock()
    *updates, reply = client.received()
    assert numbers_of_changes(updates) == [2, 1]
    assert [message["update"].get("more", False) for message in updates] == [True, False]
    assert reply == {"key": "none", "value": None}
    assert not client.outbox.is_full


def test_a_large_first_update_is_made_again_if_its_tick_is_refused() -> None:
    rooms = Rooms()
    client, other = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.OBJECT_STORE)
    other.ask({"action": "set", "key": "k0", "value": "kept"})
    client.ask({"action": "ping"})
    rooms.engine.reason = "disk full"
    for number in range(3):
        client.say({"action": "set", "key": f"k{number}", "value": "x" * 100_000})
    client.say({"action": "watch", "pattern": "k*", "id": 1})
    *errors, update = client.heard()
    assert len(errors) == 3
    assert [change["value"] for change in update["update"]["changes"]] == ["kept"]


def test_a_position_before_the_first_change_of_a_refused_held_tick_is_kept() -> None:
    engine = HoldingEngine()
    rooms = Rooms(engine=engine)
    client, writer = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "watch", "key": "k"})
    rooms.now += 60_000
    rooms.tick.run(lambda _, now: rooms.services.watches.tell_quiet(now), None)
    writer.say({"action": "set", "key": "k", "value": 1})
    rooms.tick.end()  # is held
    engine.release("failed")
    updates = [message["update"] for message in client.heard()]
    assert [(update["rev"], update["changes"]) for update in updates] == [(0, [])]


def test_only_the_unsent_rest_of_a_batch_of_updates_is_conflated() -> None:
    rooms = Rooms()
    client, writer = rooms.client(Dialect.OBJECT_STORE), rooms.client(Dialect.OBJECT_STORE)
    client.ask({"action": "watch", "key": "k"})
    client.wire.is_blocked = True
    for number in range(6):
        writer.say({"action": "set", "key": "k", "value": [number, "x" * 100_000]})
    assert [message["update"]["changes"][0]["value"][0] for message in client.heard()] == [0, 1]
    client.wire.unblock()
    assert [message["update"]["changes"][0]["value"][0] for message in client.heard()] == [5]


def test_the_parts_of_a_large_update_are_made_in_turns() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    for number in range(2 * PART_CHANGES_MAX + 1):
        writer.say({"action": "set", "key": f"{number}", "value": number})
    client = rooms.client(Dialect.OBJECT_STORE)
    turns: list[Callable[[], object]] = []
    client.outbox.rewire(client._overflow, None, turns.append)
    client.say({"action": "watch", "pattern": "*"})
    client.say({"action": "get", "key": "none"})
    (part,) = client.heard()
    assert part["update"]["more"] is True
    assert client.outbox.is_full
    assert writer.ask({"action": "set", "key": "0", "value": "new"}) == []
    assert client.heard() == []
    assert len(turns) == 1  # nothing that comes meanwhile waits for another one
    turns.pop()()
    (part,) = client.received()
    assert part["update"]["more"] is True
    turns.pop()()
    *last, update = client.received()
    assert [list(message) for message in last] == [["update"], ["key", "value"]]
    assert "more" not in last[0]["update"]
    assert update["update"]["changes"][0]["value"] == "new"
    assert turns == []
    assert not client.outbox.is_full


def test_a_part_of_which_nothing_is_told_is_not_sent() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    for number in range(2 * PART_CHANGES_MAX + 1):
        writer.say({"action": "set", "key": f"{number}", "value": number})
    client = rooms.client(Dialect.OBJECT_STORE)
    turns: list[Callable[[], object]] = []
    client.outbox.rewire(client._overflow, lambda frame: frame, turns.append)
    assert client.ask({"action": "watch", "pattern": f"*{2 * PART_CHANGES_MAX}"}) == []
    turns.pop()()
    assert client.received() == []
    assert client.wire.writes == []
    turns.pop()()
    (message,) = client.received()
    assert [change["value"] for change in message["update"]["changes"]] == [2 * PART_CHANGES_MAX]
    assert message["update"]["reset"] is True


def test_a_lost_connection_has_no_turn() -> None:
    rooms = Rooms()
    writer = rooms.client(Dialect.OBJECT_STORE)
    for number in range(2 * PART_CHANGES_MAX + 1):
        writer.say({"action": "set", "key": f"{number}", "value": number})
    client = rooms.client(Dialect.OBJECT_STORE)
    turns: list[Callable[[], object]] = []
    client.outbox.rewire(client._overflow, None, turns.append)
    assert len(client.ask({"action": "watch", "pattern": "*"})) == 1
    client.outbox.kill()
    turns.pop()()
    assert client.received() == []
    assert turns == []


class Line:
    """A transport that wants no more once it was given so many writes, and one outbox for it."""

    def __init__(self, room: int = 1000, *, is_encrypted: bool = False) -> None:
        self.room = room
        self.writes: list[bytes] = []
        self.asked: list[Outbox] = []
        self.overflows = 0
        self.is_closed = False
        self.sslcontext: object = None
        self.telemetry = Telemetry(started_at_ms=0)
        self.outbox = Outbox(
            self, self.asked.append, self._overflow, self.telemetry, is_encrypted=is_encrypted
        )

    def _overflow(self) -> None:
        self.overflows += 1

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.room -= 1
        if self.room <= 0:
            self.outbox.pause()

    def give_room(self, room: int = 1000) -> None:
        self.room = room
        self.outbox.resume()

    def close(self) -> None:
        self.is_closed = True

    def get_extra_info(self, name: str) -> object:
        return self.sslcontext if name == "sslcontext" else "another"


def batch_of(*frames: bytes, entry_id: tuple[str, str] | None = None) -> Batch:
    batch = Batch(entry_id, frames[0])
    for frame in frames[1:]:
        batch.add(frame)
    return batch


def action() -> None:
    """What is to be done after a flush."""


def end() -> None:
    """What is to be done after the last one."""


def test_a_new_outbox_is_empty() -> None:
    outbox = Line().outbox
    assert (len(outbox), outbox.size, outbox.waiting, outbox.reply_bytes) == (0, 0, 0, 0)
    states = (outbox.is_dead, outbox.is_full, outbox.is_paused, outbox.is_inside_message)
    assert all(state is False for state in states)
    assert bool(outbox) is True
    assert outbox.flush() is None


def test_an_outbox_is_unencrypted_by_default() -> None:
    line = Line()
    plain = Outbox(line, line.asked.append, line._overflow, line.telemetry)
    plain.put(b"x" * (PORTION_BYTES + 1))
    plain.flush()
    assert len(line.writes) == 1


def test_a_flush_is_scheduled_once_and_counts_sent_bytes() -> None:
    line = Line()
    outbox = line.outbox
    outbox.put(b"12")
    outbox.push(batch_of(b"3", b"4"))
    outbox.put(b"5")
    assert line.asked == [outbox]
    assert (len(outbox), outbox.size, outbox.reply_bytes) == (3, 3, 3)
    assert outbox.flush() is None
    assert line.writes == [b"12345"]
    assert (len(outbox), outbox.size, line.telemetry.bytes_sent) == (0, 0, 5)
    outbox.push(batch_of(b"6"))
    assert line.asked == [outbox, outbox]
    outbox.flush()
    assert line.writes[1:] == [b"6"]


def test_a_reply_after_a_batch_closes_the_batch() -> None:
    outbox = Line().outbox
    first, second, third = (batch_of(b"x") for _ in range(3))
    outbox.push(first)
    assert first.is_open
    outbox.push(second)
    assert (first.is_open, second.is_open) == (False, True)
    outbox.put(b"reply")
    assert second.is_open is False
    outbox.put(b"another")
    outbox.push(third)
    assert third.is_open


@pytest.mark.parametrize("end", ["flush", "detach", "truncate", "kill"])
def test_a_detached_batch_is_not_closed_by_later_output(end: str) -> None:
    line = Line()
    batch = batch_of(b"x")
    line.outbox.push(batch)
    {"flush": line.outbox.flush, "detach": line.outbox.detach, "kill": line.outbox.kill}.get(
        end, lambda: line.outbox.truncate(0)
    )()
    line.outbox.push(batch_of(b"y"))
    line.outbox.put(b"z")
    assert batch.is_open


def test_after_flush_callbacks_are_called_once() -> None:
    line = Line()
    line.outbox.after_flush(action)
    assert line.asked == [line.outbox]
    line.outbox.put(b"x")
    line.outbox.after_flush(action)
    assert len(line.asked) == 2, "for the bytes, and not once more"
    assert line.outbox.flush() is action
    assert line.outbox.flush() is None


def test_truncated_pieces_are_not_counted() -> None:
    line = Line()
    outbox = line.outbox
    outbox.put(b"1")
    outbox.put(b"x" * BATCH_BYTES_MAX)
    outbox.push(batch_of(b"2"))
    assert outbox.is_full
    outbox.truncate(2)
    assert (len(outbox), outbox.size, outbox.is_full) == (2, 1 + BATCH_BYTES_MAX, True)
    outbox.truncate(1)
    assert (len(outbox), outbox.size, outbox.is_full) == (1, 1, False)
    outbox.flush()
    assert line.writes == [b"1"]


def test_detached_output_is_sent_later_with_its_callbacks() -> None:
    line = Line()
    done: list[str] = []
    line.outbox.put(b"x" * BATCH_BYTES_MAX)
    line.outbox.after_flush(lambda: done.append("done"))
    held = line.outbox.detach()
    assert held.outbox is line.outbox
    assert (len(line.outbox), line.outbox.size, line.outbox.is_full) == (0, 0, False)
    line.outbox.put(b"later")
    assert line.outbox.flush() is None
    held.send()
    assert line.writes == [b"later", b"x" * BATCH_BYTES_MAX]
    assert done == ["done"]


def test_detached_output_that_cannot_be_written_ends_only_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = Line()
    line.outbox.put(b"x")
    held = line.outbox.detach()
    line.outbox.lose(Broken())
    line.outbox.is_dead = False
    held.send()
    assert line.outbox.is_dead
    assert [record.getMessage() for record in caplog.records] == [
        "a connection could not be written to"
    ]
    assert caplog.records[0].exc_info is not None


class Broken:
    """A transport that cannot be written to."""

    def write(self, _data: bytes) -> None:
        raise OSError

    def close(self) -> None:
        """There is nothing to close."""

    def get_extra_info(self, _name: str) -> object:
        return None


def test_put_back_restores_detached_replies_and_callbacks() -> None:
    line = Line()
    line.outbox.put(b"1")
    line.outbox.put(b"2")
    line.outbox.put(b"3")
    line.outbox.after_flush(action)
    held = line.outbox.detach()
    line.asked.clear()
    held.put_back(2)
    assert (len(line.outbox), line.outbox.size, line.asked) == (2, 2, [line.outbox])
    assert line.outbox.flush() is action
    assert line.writes == [b"12"]


def test_put_back_restores_callbacks_without_replies() -> None:
    line = Line()
    line.outbox.after_flush(action)
    held = line.outbox.detach()
    line.asked.clear()
    held.put_back(0)
    assert line.asked == [line.outbox]
    assert line.outbox.flush() is action
    line.asked.clear()
    line.outbox.put_back([], None)
    assert line.asked == [], "nothing is to be done"


def test_a_later_end_takes_precedence_over_put_back_callbacks() -> None:
    line = Line()
    line.outbox.after_flush(lambda: None)
    held = line.outbox.detach()
    line.outbox.after_flush(end)
    held.put_back(0)
    assert line.outbox.flush() is end


def test_a_batch_that_is_put_back_is_sent_again() -> None:
    line = Line()
    line.outbox.put(b"1")
    line.outbox.push(batch_of(b"2"))
    line.outbox.put(b"3")
    held = line.outbox.detach()
    held.put_back(2)
    line.outbox.flush()
    assert line.writes == [b"12"]


def test_a_dead_outbox_queues_and_sends_nothing() -> None:
    line = Line()
    line.outbox.put(b"1")
    line.outbox.kill()
    line.asked.clear()
    line.outbox.put(b"2")
    assert (len(line.outbox), line.outbox.size, line.asked) == (0, 0, [])
    assert line.outbox.send([b"3"], lambda: None) is None
    assert line.writes == []


def test_a_lost_connection_keeps_neither_its_transport_nor_its_owner() -> None:
    line, lost = Line(room=1), Line()
    line.outbox.put(b"1")
    line.outbox.flush()
    line.outbox.put(b"2")
    line.outbox.flush()
    assert line.outbox.waiting == 1
    line.outbox.lose(lost)
    assert line.outbox.is_dead
    assert (line.outbox.waiting, line.outbox.reply_bytes) == (0, 0)
    assert line.outbox._transport is lost
    line.outbox._overflowed()
    assert line.overflows == 0


@pytest.mark.parametrize("pieces", [
    [b"1"], [batch_of(b"1")], [b"1", b"2"], [b"1", batch_of(b"2", b"3")],
    [batch_of(b"x" * PORTION_BYTES, b"y")],
])  # fmt: skip
def test_rewire_applies_the_encoder_to_every_frame(pieces: list[bytes | Batch]) -> None:
    line = Line()
    overflows: list[str] = []
    line.outbox.rewire(lambda: overflows.append("new"), lambda frame: b"<" + frame + b">")
    frames: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            line.outbox.put(piece)
            frames.append(piece)
        else:
            line.outbox.push(piece)
            frames += piece.frames
    line.outbox.flush()
    encoded = b"".join(b"<" + frame + b">" for frame in frames)
    assert b"".join(line.writes) == encoded
    line.outbox.pause()
    line.outbox.push(batch_of(b"e" * (BACKLOG_BYTES_MAX + 1)))
    line.outbox.flush()
    assert (overflows, line.overflows) == (["new"], 0)
    line.outbox.rewire(line._overflow)
    line.writes.clear()
    line.outbox.resume()
    assert line.writes == [b"e" * (BACKLOG_BYTES_MAX + 1)], "without an encoder as it is"


@pytest.mark.parametrize(("sizes", "writes"), [
    ([PORTION_BYTES + 1], [PORTION_BYTES + 1]),
    ([PORTION_BYTES - 1, 1], [PORTION_BYTES]),
    ([PORTION_BYTES, 1], [PORTION_BYTES, 1]),
    ([1, PORTION_BYTES], [1, PORTION_BYTES]),
    ([1, PORTION_BYTES - 1, 1], [PORTION_BYTES, 1]),
    ([1, 1, PORTION_BYTES + 5, 1], [2, PORTION_BYTES + 5, 1]),
    ([PORTION_BYTES, PORTION_BYTES - 1, 1], [PORTION_BYTES, PORTION_BYTES]),
])  # fmt: skip
def test_replies_are_written_in_portions(sizes: list[int], writes: list[int]) -> None:
    line = Line()
    for number, size in enumerate(sizes):
        line.outbox.put(b"%d" % number * size)
    line.outbox.after_flush(action)
    assert line.outbox.flush() is action
    assert [len(write) for write in line.writes] == writes
    assert b"".join(line.writes) == b"".join(b"%d" % n * size for n, size in enumerate(sizes))


def test_the_frames_of_one_batch_are_written_in_portions() -> None:
    line = Line()
    half = PORTION_BYTES // 2
    line.outbox.push(batch_of(b"1" * half, b"2" * half))
    line.outbox.flush()
    line.outbox.push(batch_of(b"1" * half, b"2" * half, b"3"))
    line.outbox.flush()
    assert [len(write) for write in line.writes] == [PORTION_BYTES, PORTION_BYTES, 1]


def sizes_of(writes: Iterable[bytes]) -> list[int]:
    return [len(write) for write in writes]


def test_frames_that_do_not_fit_in_a_portion_wait() -> None:
    line = Line(room=1)
    frames = [b"%d" % number * (PORTION_BYTES - 1) for number in range(3)]
    line.outbox.push(batch_of(*frames))
    line.outbox.put(b"behind")
    line.outbox.after_flush(action)
    assert line.outbox.flush() is None
    assert line.writes == frames[:1]
    assert (line.outbox.waiting, line.outbox.is_full) == (3, True)
    assert line.outbox.reply_bytes == len(b"behind")
    line.asked.clear()
    line.give_room()
    assert b"".join(line.writes) == b"".join([*frames, b"behind"])
    assert line.outbox.waiting == 0
    assert line.asked == [line.outbox]
    assert line.outbox.flush() is action


def test_replies_that_do_not_fit_in_a_portion_wait_once_each() -> None:
    line = Line(room=2)
    replies = [b"%d" % number * PORTION_BYTES for number in range(4)]
    for reply in replies:
        line.outbox.put(reply)
    line.outbox.flush()
    assert line.writes == replies[:2]
    assert line.outbox.waiting == 2
    line.give_room()
    assert line.writes == replies


def test_the_last_portion_may_fill_the_transport() -> None:
    line = Line(room=2)
    line.outbox.put(b"x" * PORTION_BYTES)
    line.outbox.put(b"y")
    line.outbox.after_flush(action)
    assert line.outbox.flush() is action
    assert (line.outbox.is_paused, line.outbox.waiting) == (True, 0)


def test_output_after_a_backlog_waits_until_the_backlog_is_read() -> None:
    line = Line(room=1)
    for reply in (b"1", b"2", b"3"):
        line.outbox.put(reply)
        line.outbox.flush()
    assert line.writes == [b"1"]
    assert (line.outbox.waiting, line.outbox.reply_bytes) == (2, 2)
    line.give_room(1)
    assert line.writes == [b"1", b"23"]
    assert line.outbox.is_full, "the peer should read first"
    line.give_room()
    assert not line.outbox.is_full
    line.outbox.put(b"4")
    line.outbox.flush()
    assert line.writes == [b"1", b"23", b"4"]


def test_a_backlog_continues_after_the_transport_was_full() -> None:
    line = Line(room=1)
    line.outbox.put(b"first")
    line.outbox.flush()
    for number in range(3):
        line.outbox.put(b"%d" % number * PORTION_BYTES)
    line.outbox.flush()
    line.give_room(2)
    assert sizes_of(line.writes) == [5, PORTION_BYTES, PORTION_BYTES]
    line.outbox.put(b"last")
    line.outbox.flush()
    line.give_room()
    assert line.writes[-2:] == [b"2" * PORTION_BYTES, b"last"] or line.writes[-1] == (
        b"2" * PORTION_BYTES + b"last"
    )
    assert line.telemetry.bytes_sent == sum(sizes_of(line.writes))


@pytest.mark.parametrize(("more", "overflows"), [(0, 0), (1, 1)])
def test_the_bytes_of_waiting_events_are_limited(more: int, overflows: int) -> None:
    line = Line(room=1)
    line.outbox.put(b"x")
    line.outbox.flush()
    line.outbox.put(b"r" * 1000)
    line.outbox.push(batch_of(b"e" * (BACKLOG_BYTES_MAX - 10)))
    line.outbox.push(batch_of(b"e" * (10 + more)))
    line.outbox.flush()
    assert line.overflows == overflows
    assert line.outbox.waiting == 3, "what became too much is for another to decide"


def test_values_that_a_newer_one_replaced_are_counted() -> None:
    line = Line(room=1)
    line.outbox.put(b"x")
    line.outbox.flush()
    for number in (b"1", b"2"):
        line.outbox.push(batch_of(number, number, entry_id=("", "k")))
        line.outbox.flush()
    assert line.telemetry.conflated == 3
    line.give_room()
    assert line.writes == [b"x", b"2"]


@pytest.mark.parametrize("size", [PORTION_BYTES, PORTION_BYTES + 1, 3 * PORTION_BYTES])
def test_an_encrypted_message_is_written_in_portions_of_one_size(size: int) -> None:
    line = Line(is_encrypted=True)
    message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    line.outbox.put(message)
    line.outbox.after_flush(action)
    assert line.outbox.flush() is action
    assert b"".join(line.writes) == message
    assert max(sizes_of(line.writes)) == PORTION_BYTES
    assert line.telemetry.bytes_sent == size
    assert line.outbox.is_inside_message is False


@pytest.mark.parametrize("others", [[], [b"before"]])
def test_output_after_a_partly_written_message_waits_for_the_rest(others: list[bytes]) -> None:
    line = Line(room=1 + len(others), is_encrypted=True)
    message = b"m" * (2 * PORTION_BYTES)
    for piece in [*others, message]:
        line.outbox.put(piece)
    line.outbox.after_flush(action)
    assert line.outbox.flush() is None
    assert line.outbox.is_inside_message is True
    assert line.outbox.reply_bytes == PORTION_BYTES
    line.asked.clear()
    line.give_room(1)
    assert line.outbox.is_inside_message is False
    assert b"".join(line.writes) == b"".join([*others, message])
    assert line.asked == [], "the transport is full: it could not be done yet"
    line.give_room()
    assert line.asked == [line.outbox]
    assert line.outbox.flush() is action


def test_the_backlog_follows_the_rest_of_a_message() -> None:
    line = Line(room=1, is_encrypted=True)
    line.outbox.put(b"m" * (3 * PORTION_BYTES))
    line.outbox.flush()
    line.outbox.put(b"behind")
    line.outbox.flush()
    line.give_room(1)
    assert sizes_of(line.writes) == [PORTION_BYTES] * 2
    line.give_room(1)
    assert sizes_of(line.writes) == [PORTION_BYTES] * 3
    assert line.outbox.waiting == 1
    line.give_room(1)
    assert line.writes[-1] == b"behind"


def test_a_rest_of_one_byte_is_written() -> None:
    line = Line(room=1, is_encrypted=True)
    line.outbox.put(b"m" * (PORTION_BYTES + 1))
    line.outbox.flush()
    assert line.outbox.is_inside_message is True
    assert line.outbox.reply_bytes == 1
    line.give_room()
    assert (line.outbox.is_inside_message, line.outbox.is_paused) == (False, False)
    assert sizes_of(line.writes) == [PORTION_BYTES, 1]


def test_a_connection_that_ends_within_a_message_writes_nothing_more() -> None:
    line = Line(room=1, is_encrypted=True)
    line.outbox.put(b"m" * (2 * PORTION_BYTES))
    line.outbox.flush()
    line.outbox.put(b"x" * BATCH_BYTES_MAX)
    line.outbox.kill()
    assert (len(line.outbox), line.outbox.size, line.outbox.reply_bytes) == (0, 0, 0)
    assert line.outbox.is_inside_message is False
    line.give_room()
    assert not line.outbox.is_full
    assert len(line.writes) == 1


def test_resume_schedules_no_flush_for_output_already_queued() -> None:
    line = Line()
    line.outbox.pause()
    line.outbox.put(b"x")
    line.outbox.after_flush(lambda: None)
    line.asked.clear()
    line.give_room()
    assert line.asked == [], "the tick knows"
    assert not line.outbox.is_full


def ended(line: Line) -> tuple[bool, int]:
    ticks: list[str] = []
    stays = end_after_replies(lambda: ticks.append("end"), line.outbox, line)
    return stays, len(ticks)


def test_a_peer_that_sends_no_more_gets_its_replies_before_the_end() -> None:
    line = Line()
    line.outbox.put(b"reply")
    assert ended(line) == (True, 0)
    action = line.outbox.flush()
    assert (line.writes, line.is_closed) == ([b"reply"], False)
    assert action is not None
    action()
    assert line.is_closed


def test_an_encrypted_connection_ends_with_its_tick() -> None:
    line = Line()
    line.sslcontext = object()
    assert ended(line) == (False, 1)
    assert line.asked == []


def test_a_closed_connection_does_not_wait_for_replies() -> None:
    line = Line()
    line.outbox.kill()
    assert ended(line) == (False, 0)
    assert line.asked == []
