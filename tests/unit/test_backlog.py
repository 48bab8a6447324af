"""The messages of channels that wait for a slow reader; what else waits: test_outbox.py."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunena.dialects.messages import channel_message
from dunena.hub import Batch, MessageBatch
from dunena.server import backlog as backlog_module
from dunena.server.backlog import Backlog
from dunena.server.limits import (
    BACKLOG_BYTES_MAX,
    CHANNEL_BACKLOG_BYTES_MAX,
    CHANNELS_BACKLOG_BYTES_MAX,
    MESSAGE_PLACE_BYTES,
)
from dunena.server.message_budget import MessageBudget

NOW = 1_700_000_000_000


def batch_of(channel: str, *numbers: int, size: int = 0, now: int = NOW) -> MessageBatch:
    """Messages with these numbers, each padded by so many bytes."""
    frames = [
        channel_message(channel, orjson.dumps([number, "x" * size]), now) for number in numbers
    ]
    batch = MessageBatch(channel, frames[0], now)
    for frame in frames[1:]:
        batch.add(frame)
    return batch


def decoded(frame: bytes) -> dict:
    head = {126: 4, 127: 10}.get(frame[1], 2)
    return orjson.loads(frame[head:])


def told(frames: list[bytes]) -> list[tuple]:
    """Of each message its channel and number, of each gap its channel and what is missing."""
    found = []
    for message in map(decoded, frames):
        data = message["data"]
        found.append(
            (message["channel"], "gap", data["missed"])
            if message["event"] == "gap"
            else (message["channel"], data[0])
        )
    return found


def everything(backlog: Backlog) -> list[tuple]:
    frames = []
    while len(backlog):
        frames += backlog.portion(100_000)
    return told(frames)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four messages of a channel may wait, and five of all channels together."""
    monkeypatch.setattr(backlog_module, "CHANNEL_BACKLOG_BYTES_MAX", 350)
    monkeypatch.setattr(backlog_module, "CHANNELS_BACKLOG_BYTES_MAX", 500)


def test_a_message_is_kept_up_to_the_limit_and_the_oldest_dropped_above_it() -> None:
    count = CHANNEL_BACKLOG_BYTES_MAX // len(batch_of("c", 1000, size=1000))
    budget = MessageBudget()
    backlog = Backlog(budget)
    backlog.add([batch_of("c", *range(1000, 1000 + count), size=1000)])
    assert budget.missed == 0
    backlog.add([batch_of("c", 9999, size=1000)])
    assert budget.missed == 1
    heard = everything(backlog)
    assert heard[:2] == [("c", "gap", 1), ("c", 1001)]
    assert heard[-1] == ("c", 9999)
    assert len(heard) == count + 1


@pytest.mark.usefixtures("small")
def test_a_gap_stands_where_the_messages_are_missing_and_tells_their_number() -> None:
    budget = MessageBudget()
    backlog = Backlog(budget)
    backlog.add([b"\x81\x02{}"])
    backlog.add([batch_of("c", *range(10, 14)), Batch(None, b"event"), b"reply"])
    backlog.add([batch_of("c", *range(14, 18), now=NOW + 5)])
    assert budget.missed == 4
    frames = backlog.portion(100_000)
    assert frames[0] == b"\x81\x02{}"
    gap = decoded(frames[1])
    assert gap == {
        "channel": "c", "event": "gap", "data": {"missed": 4}, "timestamp": NOW + 5,
    }  # fmt: skip
    assert frames[2:4] == [b"event", b"reply"]
    assert told(frames[4:]) == [("c", number) for number in range(14, 18)]
    backlog.add([batch_of("c", 20)])
    assert everything(backlog) == [("c", 20)], "told once"


@pytest.mark.usefixtures("small")
def test_a_gap_that_was_told_is_followed_by_another() -> None:
    backlog = Backlog(MessageBudget())
    backlog.add([batch_of("c", *range(10, 16))])
    first = told(backlog.portion(200))
    assert first == [("c", "gap", 2), ("c", 12)]
    backlog.add([batch_of("c", *range(16, 20))])
    assert everything(backlog) == [
        ("c", "gap", 3), *(("c", number) for number in range(16, 20)),
    ]  # fmt: skip


@pytest.mark.usefixtures("small")
def test_one_channel_costs_another_nothing_below_the_limit_of_all() -> None:
    backlog = Backlog(MessageBudget())
    backlog.add([batch_of("quiet", 10)])
    for number in range(10, 60):
        backlog.add([batch_of("loud", number)])
    heard = everything(backlog)
    assert heard[0] == ("quiet", 10)
    assert heard[1] == ("loud", "gap", 46)
    assert [number for _, number in heard[2:]] == [56, 57, 58, 59]


@pytest.mark.usefixtures("small")
def test_above_the_limit_of_all_channels_the_oldest_of_all_is_dropped() -> None:
    budget = MessageBudget()
    backlog = Backlog(budget)
    for number in range(10, 20):
        backlog.add([batch_of(f"c{number}", number)])
    heard = everything(backlog)
    missing = [channel for channel, *rest in heard if rest[0] == "gap"]
    assert missing == [f"c{number}" for number in range(10, 10 + budget.missed)]
    assert heard[budget.missed :] == [
        (f"c{number}", number) for number in range(10 + budget.missed, 20)
    ]


@pytest.mark.usefixtures("small")
def test_the_newest_message_is_kept_whatever_its_size() -> None:
    budget = MessageBudget()
    backlog = Backlog(budget)
    backlog.add([batch_of("c", 10, size=5000)])
    assert budget.missed == 0
    backlog.add([batch_of("c", 11, size=5000)])
    assert everything(backlog) == [("c", "gap", 1), ("c", 11)]
    assert len(backlog) == 0


def test_a_message_counts_once_for_all_queues_and_its_places_one_by_one() -> None:
    budget = MessageBudget()
    batch = batch_of("c", 10, 11, size=1000)
    first, second = Backlog(budget), Backlog(budget)
    for backlog in (first, second):
        backlog.add([b"reply", Batch(None, b"event"), batch])
    assert budget.bytes == len(batch) + 4 * MESSAGE_PLACE_BYTES
    assert first.message_cost == len(batch) + 2 * MESSAGE_PLACE_BYTES
    first.portion(500)
    assert len(first) == 2, "the messages are still there"
    first.portion(len(batch) // 2)
    assert budget.bytes == len(batch) + 3 * MESSAGE_PLACE_BYTES
    second.discard()
    assert budget.bytes == len(batch) // 2 + MESSAGE_PLACE_BYTES
    first.portion(100_000)
    assert (budget.bytes, first.message_cost) == (0, 0)


def test_above_the_limit_of_the_server_the_reader_with_most_loses_its_oldest() -> None:
    budget = MessageBudget(100_000)
    small, large = Backlog(budget), Backlog(budget)
    small.add([batch_of("quiet", *range(10, 20), size=1000)])
    for number in range(10, 100):
        large.add([batch_of("loud", number, size=1000)])
        assert budget.bytes <= 100_000
    missed = budget.missed
    assert missed > 0
    assert everything(small) == [("quiet", number) for number in range(10, 20)]
    heard = everything(large)
    assert heard[0] == ("loud", "gap", missed)
    assert heard[1:] == [("loud", number) for number in range(10 + missed, 100)]
    assert budget.bytes == 0


def test_the_readers_of_one_channel_all_lose_its_oldest_above_the_limit_of_the_server() -> None:
    budget = MessageBudget(100_000)
    readers = [Backlog(budget) for _ in range(50)]
    for number in range(10, 99):
        batch = batch_of("c", number)
        for reader in readers:
            reader.add([batch])
            assert budget.bytes <= 100_000
    missed = 0
    for reader in readers:
        gap, *heard = everything(reader)
        assert gap[:2] == ("c", "gap")
        assert heard == [("c", number) for number in range(10 + gap[2], 99)]
        missed += gap[2]
    assert (budget.bytes, budget.missed) == (0, missed)


def test_messages_too_large_for_the_limit_of_the_server_are_all_missed() -> None:
    budget = MessageBudget(100_000)
    backlog = Backlog(budget)
    backlog.add([batch_of("c", 10, size=200_000)])
    assert budget.bytes == 0
    assert everything(backlog) == [("c", "gap", 1)]


def test_an_eighth_is_free_after_messages_were_dropped_for_the_limit_of_the_server() -> None:
    # So the search for the largest queue is rare, however many there are.
    budget = MessageBudget(100_000)
    readers = [Backlog(budget) for _ in range(200)]
    batches = [batch_of("c", number) for number in range(10, 99)]
    dropped = 0
    for batch in batches:
        for reader in readers:
            before = budget.missed
            reader.add([batch])
            if budget.missed != before:
                assert budget.bytes <= 100_000 * 7 // 8
                dropped += 1
    assert 0 < dropped < len(batches) * len(readers) // 20


def test_messages_count_for_no_limit_of_events() -> None:
    backlog = Backlog(MessageBudget())
    backlog.add([batch_of("c", *range(10, 60), size=1000) for _ in range(100)])
    assert backlog.event_bytes == 0
    assert backlog.reply_bytes == 0
    assert CHANNEL_BACKLOG_BYTES_MAX <= CHANNELS_BACKLOG_BYTES_MAX <= BACKLOG_BYTES_MAX


channels = st.sampled_from(["a", "b", "c"])
steps = st.lists(
    st.one_of(
        st.tuples(channels, st.integers(1, 6), st.sampled_from([0, 0, 40, 400])),
        st.integers(50, 400),
        st.sampled_from(["reply", "update"]),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(steps, st.sampled_from([600, 1500, 1_000_000]))
def test_received_and_missed_messages_are_the_published_ones_in_order(
    steps: list[tuple[str, int, int] | int | str], budget_bytes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog_module, "CHANNEL_BACKLOG_BYTES_MAX", 300)
        patch.setattr(backlog_module, "CHANNELS_BACKLOG_BYTES_MAX", 500)
        budget = MessageBudget(budget_bytes)
        backlog = Backlog(budget)
        published = dict.fromkeys("abc", 0)
        frames: list[bytes] = []
        for step in steps:
            if isinstance(step, tuple):
                channel, count, size = step
                first = published[channel]
                backlog.add([batch_of(channel, *range(first, first + count), size=size)])
                published[channel] += count
            elif isinstance(step, int):
                frames += backlog.portion(step)
            elif step == "reply":
                backlog.add([b"\x81\x02{}"])
            else:
                backlog.add([Batch(("", "k"), b"\x81\x02[]")])
        while len(backlog):
            frames += backlog.portion(100)
    missed = 0
    for channel, count in published.items():
        expected = 0
        for one, *rest in told([frame for frame in frames if len(frame) > 4]):
            if one == channel and rest[0] == "gap":
                expected += rest[1]
                missed += rest[1]
            elif one == channel:
                assert rest == [expected]
                expected += 1
        assert expected == count
    assert missed == budget.missed
    assert budget.bytes == 0
