"""Who is told of a change, and in which form."""

from collections.abc import Callable

import pytest

from dunena.dialects.messages import cache_event, missing_update, update
from dunena.dialects.publish import publish_change
from dunena.hub import CACHE_EVENTS, Batch, Hub, Subscriber
from dunena.store.entry import Change, ChangeKind, Entry

NOW = 1_700_000_000_000
ENTRY = Entry("n", "k", b"1", None, 7)
SET = Change(ChangeKind.SET, "n", "k", 7, entry=ENTRY)
DELETE = Change(ChangeKind.DELETE, "n", "k", 8, replaced=ENTRY)
CLEAR = Change(ChangeKind.CLEAR, "", "", 9, cleared={"n": {"k": ENTRY}})


class Recorder(Subscriber):
    """A subscriber that records the batches it gets."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def push(self, batch: Batch) -> None:
        self.batches.append(batch)

    @property
    def frames(self) -> list[bytes]:
        return [frame for batch in self.batches for frame in batch.frames]


@pytest.fixture
def hub() -> Hub:
    return Hub()


def follower(hub: Hub, ns: str, key: str) -> Recorder:
    recorder = Recorder()
    hub.follow_key(ns, key, recorder)
    return recorder


def listener(hub: Hub, channel: str) -> Recorder:
    recorder = Recorder()
    hub.follow_channel(channel, recorder)
    return recorder


def test_publishing_without_subscribers_does_nothing(hub: Hub) -> None:
    hub.audiences["some"] = lambda *_: True
    for change in (SET, DELETE, CLEAR):
        publish_change(hub, change, NOW)
    assert hub.subscription_count == 0


def test_followers_of_a_key_get_its_value_or_its_deletion(hub: Hub) -> None:
    recorder = follower(hub, "n", "k")
    others = [follower(hub, "", "k"), follower(hub, "n", "j"), follower(hub, "k", "n")]
    publish_change(hub, SET, NOW)
    publish_change(hub, DELETE, NOW)
    assert recorder.frames == [update(ENTRY), missing_update("n", "k")]
    assert [other.frames for other in others] == [[], [], []]


def test_a_clear_notifies_followers_of_existing_keys(hub: Hub) -> None:
    # First two that have nothing to hear: they must not end the search.
    others = [follower(hub, "", "k"), follower(hub, "n", "j")]
    recorder = follower(hub, "n", "k")
    publish_change(hub, CLEAR, NOW)
    assert recorder.frames == [missing_update("n", "k")]
    assert [other.frames for other in others] == [[], []]


@pytest.mark.parametrize("change", [SET, DELETE, CLEAR])
def test_every_change_is_announced_to_clients_that_may_read_all(hub: Hub, change: Change) -> None:
    recorder, other = listener(hub, CACHE_EVENTS), listener(hub, "news")
    publish_change(hub, change, NOW)
    assert recorder.frames == [cache_event(change, NOW)]
    assert other.frames == []


@pytest.mark.parametrize("change", [SET, DELETE])
def test_a_change_is_announced_to_clients_that_may_read_its_key(hub: Hub, change: Change) -> None:
    asked: list[tuple[str, str]] = []

    def sees(answer: bool) -> Callable[[str, str], bool]:
        def may_read(ns: str, key: str) -> bool:
            asked.append((ns, key))
            return answer

        return may_read

    hub.audiences = {
        "sees nothing": sees(False),
        "absent": sees(True),
        "one": sees(True),
        "two": sees(True),
    }
    recorders = {name: listener(hub, name) for name in ("sees nothing", "one", "two")}
    publish_change(hub, change, NOW)
    event = cache_event(change, NOW)
    assert {name: recorder.frames for name, recorder in recorders.items()} == {
        "sees nothing": [], "one": [event], "two": [event],
    }  # fmt: skip
    assert recorders["one"].frames[0] is recorders["two"].frames[0], "it is made once"
    assert asked == [("n", "k")] * 3


def test_a_clear_is_announced_to_all_clients(hub: Hub) -> None:
    hub.audiences["sees nothing"] = lambda *_: False
    recorder = listener(hub, "sees nothing")
    publish_change(hub, CLEAR, NOW)
    assert recorder.frames == [cache_event(CLEAR, NOW)]
