"""The order of what a stream republishes."""

import pytest

from dunena.persistence.jetstream import follower
from dunena.persistence.jetstream.follower import Flow
from dunena.persistence.jetstream.wire import Message


def message(sequence: int, batch: str | None = None, *, commit: bool = False) -> Message:
    headers = {
        "Nats-Sequence": str(sequence),
        "Nats-Time-Stamp": f"2026-11-30T08:00:00.{sequence:03}Z",
    }
    if batch is not None:
        headers["Nats-Batch-Id"] = batch
    if commit:
        headers["Nats-Batch-Commit"] = "1"
    return Message("dn.show.log.x", headers, b"1")


class Listener:
    """A flow after sequence 0, and what it says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.flow = Flow(
            lambda: self.said.append("ready"),
            lambda: self.said.append("missing"),
            lambda: self.said.append("replaced"),
        )
        self.flow.restart("2026-11-30T08:00:00Z")
        self.flow.release(0, 0)

    def take(self, *sequences: int) -> None:
        for sequence in sequences:
            self.flow.take(message(sequence))

    def cut(self) -> list[list[int]]:
        return [
            [int(message.headers["Nats-Sequence"]) for message in batch]
            for batch in self.flow.cut()
        ]


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_messages_are_taken_in_their_order_and_told_of_once(listener: Listener) -> None:
    listener.take(1, 2)
    assert listener.said == ["ready"]
    assert listener.cut() == [[1], [2]]
    listener.take(3)
    assert listener.said == ["ready", "ready"]
    assert listener.cut() == [[3]]
    assert listener.flow.boundary == listener.flow.position == 3


def test_a_batch_is_cut_as_a_whole_when_it_is_complete(listener: Listener) -> None:
    flow = listener.flow
    flow.take(message(1))
    flow.take(message(2, "b"))
    assert listener.cut() == [[1]]
    assert (flow.boundary, flow.position) == (1, 2)
    flow.take(message(3, "b"))
    flow.take(message(4, "b", commit=True))
    assert listener.cut() == [[2, 3, 4]]
    assert flow.boundary == 4


def test_doubles_are_dropped(listener: Listener) -> None:
    listener.take(1, 2, 1, 2)
    assert listener.cut() == [[1], [2]]
    listener.take(1, 2, 3)
    assert listener.cut() == [[3]]
    assert "missing" not in listener.said
    assert "replaced" not in listener.said


def test_what_comes_too_early_waits_for_what_is_missing(listener: Listener) -> None:
    listener.take(1, 3, 4)
    assert listener.said == ["ready", "missing", "missing"]
    assert listener.flow.missing == 1
    assert listener.cut() == [[1]]
    listener.take(2)
    assert listener.flow.missing == 0
    assert listener.cut() == [[2], [3], [4]]


def test_a_low_sequence_that_is_newer_is_of_another_stream(listener: Listener) -> None:
    listener.take(1, 2)
    listener.cut()
    newer = message(1)
    newer.headers["Nats-Time-Stamp"] = "2026-11-30T08:00:05Z"
    listener.flow.take(newer)
    assert listener.said == ["ready", "replaced"]
    assert listener.cut() == []


def test_what_is_older_than_the_stream_is_not_of_it(listener: Listener) -> None:
    older = message(1)
    older.headers["Nats-Time-Stamp"] = "2026-11-30T07:59:59.9Z"
    listener.flow.take(older)
    assert listener.flow.position == 0


@pytest.mark.parametrize("headers", [{}, {"Nats-Sequence": "x"}, {"Nats-Sequence": "1"}])
def test_what_jetstream_did_not_send_is_ignored(
    listener: Listener, headers: dict[str, str]
) -> None:
    listener.flow.take(Message("dn.show.log.x", headers, b""))
    assert listener.said == []


def test_nothing_is_taken_while_it_holds(listener: Listener) -> None:
    flow = listener.flow
    flow.take(message(1))
    flow.take(message(2, "b"))
    listener.cut()
    flow.hold()
    assert flow.position == 1
    flow.take(message(3, "b", commit=True))
    flow.take(message(4))
    assert listener.cut() == []
    flow.go_on()
    assert listener.cut() == [[2, 3], [4]]


def test_it_goes_on_after_what_was_learned_by_other_means(listener: Listener) -> None:
    flow = listener.flow
    flow.hold()
    listener.take(3, 5, 6, 9)
    assert [int(m.headers["Nats-Sequence"]) for m in flow.held_to(6)] == [3, 5, 6]
    flow.release(5, 0)
    assert listener.cut() == [[6]]
    assert listener.said[-1] == "missing"
    assert flow.missing == 2


def test_what_is_held_has_a_bound(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "HELD_BYTES_MAX", 5000)
    flow = listener.flow
    flow.hold()
    listener.take(*range(2, 8))
    assert flow.has_overflowed
    assert len(flow.held_to(100)) < 5
    flow.release(7, 0)
    listener.take(8)
    assert listener.cut() == [[8]]


def test_another_stream_begins_with_nothing(listener: Listener) -> None:
    listener.take(1, 2, 5)
    listener.flow.restart("2026-11-30T08:00:00.5Z")
    assert listener.flow.held_to(100) == []
    listener.take(1)  # still of the one before
    assert listener.flow.held_to(100) == []
    assert listener.flow.boundary == 0
