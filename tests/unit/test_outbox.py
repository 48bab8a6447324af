"""What waits for a peer that reads slowly waits without work."""

from tests.support.rooms import Rooms


def test_what_comes_after_a_flush_waits_for_a_peer_that_does_not_read() -> None:
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


def test_the_same_behind_a_backlog_that_fills_the_transport_again() -> None:
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
