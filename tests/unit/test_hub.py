"""The hub: subscriptions, and the batches that followers are given."""

import pytest

from dunena.hub import Batch, Hub, MessageBatch, Subscriber


class Follower(Subscriber):
    """Keeps the batches it was handed."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def push(self, batch: Batch) -> None:
        self.batches.append(batch)

    def frames(self) -> list[list[bytes]]:
        return [batch.frames for batch in self.batches]


# --- batches ---


def test_a_batch_counts_the_bytes_of_its_frames() -> None:
    batch = Batch(("n", "k"), b"one")
    batch.add(b"seven")
    assert (batch.entry_id, batch.frames, batch.size, len(batch)) == (
        ("n", "k"),
        [b"one", b"seven"],
        8,
        8,
    )
    assert batch.is_open is True
    batch.close()
    assert batch.is_open is False


def test_rest_returns_a_batch_of_the_same_key() -> None:
    batch = Batch(("n", "k"), b"1")
    for frame in (b"22", b"333", b"4444"):
        batch.add(frame)
    rest = batch.rest(1)
    assert (rest.entry_id, rest.frames, len(rest)) == (("n", "k"), [b"22", b"333", b"4444"], 9)
    assert batch.rest(3).frames == [b"4444"]
    assert len(batch) == 10


@pytest.mark.parametrize("frames", [[b"one"], [b"one", b"two", b"three"]])
def test_joined_returns_the_same_bytes_object_each_time(frames: list[bytes]) -> None:
    batch = Batch(None, frames[0])
    for frame in frames[1:]:
        batch.add(frame)
    batch.close()
    joined = batch.joined
    assert joined == b"".join(frames)
    assert batch.joined is joined


def test_encoded_with_encodes_each_frame_once_per_encoder() -> None:
    batch = Batch(None, b"one")
    batch.add(b"two")
    calls = []

    def shout(frame: bytes) -> bytes:
        calls.append(frame)
        return frame.upper() + b"!"

    first = batch.encoded_with(shout)
    assert first == b"ONE!TWO!"
    assert batch.encoded_with(shout) is first
    assert calls == [b"one", b"two"]
    assert batch.encoded_with(bytes.title) == b"OneTwo"
    assert batch.encoded_with(shout) is first


# --- topics ---


def test_followers_share_one_batch_per_tick() -> None:
    hub, first, second = Hub(), Follower(), Follower()
    hub.follow_key("n", "k", first)
    hub.follow_key("n", "k", second)
    topic = hub.key_topic("n", "k")
    assert topic is not None
    for frame in (b"1", b"2"):
        topic.publish(frame)
    assert first.frames() == second.frames() == [[b"1", b"2"]]
    assert first.batches[0] is second.batches[0]
    assert first.batches[0].entry_id == ("n", "k")
    hub.end_batches()
    assert not first.batches[0].is_open
    topic.publish(b"3")
    hub.end_batches()
    hub.end_batches()
    assert first.frames() == second.frames() == [[b"1", b"2"], [b"3"]]
    assert not first.batches[1].is_open


def test_publishing_after_a_batch_is_closed_starts_another() -> None:
    hub, follower = Hub(), Follower()
    hub.follow_channel("c", follower)
    topic = hub.channel_topic("c")
    assert topic is not None
    topic.publish(b"1")
    follower.batches[0].close()  # something else was queued behind it
    topic.publish(b"2")
    topic.publish(b"3")
    assert follower.frames() == [[b"1"], [b"2", b"3"]]
    assert follower.batches[0].entry_id is None


def test_following_or_unfollowing_ends_the_open_batch() -> None:
    hub, first, second = Hub(), Follower(), Follower()
    hub.follow_key("", "k", first)
    topic = hub.key_topic("", "k")
    assert topic is not None
    topic.publish(b"1")
    hub.follow_key("", "k", second)
    topic.publish(b"2")
    hub.unfollow_key("", "k", first)
    topic.publish(b"3")
    assert first.frames() == [[b"1"], [b"2"]]
    assert second.frames() == [[b"2"], [b"3"]]
    assert [batch.is_open for batch in (*first.batches, second.batches[1])] == [False, False, True]


# --- channels ---


def test_messages_of_a_channel_form_batches_of_their_own() -> None:
    hub, first, second = Hub(), Follower(), Follower()
    for follower in (first, second):
        hub.follow_channel("c", follower)
    channel = hub.channel_topic("c")
    assert channel is not None
    channel.send(b"1", 5)
    channel.send(b"2", 7)
    channel.publish(b"event")  # joins them: no channel of messages has events
    hub.end_batches()
    channel.send(b"3", 9)
    assert first.frames() == second.frames() == [[b"1", b"2", b"event"], [b"3"]]
    batch, other = first.batches
    assert isinstance(batch, MessageBatch)
    assert isinstance(other, MessageBatch)
    assert (batch.channel, batch.entry_id, batch.now, batch.is_open) == ("c", None, 7, False)
    rest = batch.rest(1)
    assert (rest.channel, rest.now, rest.frames) == ("c", 7, [b"2", b"event"])
    assert other.is_open
    other.close()
    channel.send(b"4", 9)
    assert first.frames()[2:] == [[b"4"]]


def test_the_channels_of_events_are_no_channels_of_messages() -> None:
    hub, follower = Hub(), Follower()
    hub.audiences["cache-events\nguest"] = lambda *_: True
    for name in ("chat", "cache-events", "cache-events\nguest", "stats", "news"):
        hub.follow_channel(name, follower)
    assert sorted(channel.name for channel in hub.channels()) == ["chat", "news"]
    assert hub.channel_count == 2
    hub.unfollow_channel("chat", follower)
    assert hub.channel_count == 1


def test_going_back_restores_counts_and_takes_changes_back_newest_first() -> None:
    hub, follower = Hub(), Follower()
    hub.follow_channel("c", follower)
    channel = hub.channel_topic("c")
    assert channel is not None
    channel.send(b"1", 5)
    hub.messages_published, hub.messages_queued = 1, 2
    hub.undos.append(lambda: None)
    mark = hub.mark()
    assert (mark.messages_published, mark.messages_queued, mark.undo_count) == (1, 2, 1)
    assert not follower.batches[0].is_open, "what comes now can be dropped without it"
    channel.send(b"2", 5)
    hub.messages_published, hub.messages_queued = 11, 12
    undone: list[int] = []
    hub.go_back(mark, [lambda: undone.append(1), lambda: undone.append(2)])
    assert (hub.messages_published, hub.messages_queued, undone) == (1, 2, [2, 1])
    assert not follower.batches[1].is_open


# --- subscriptions ---


def test_following_twice_counts_as_one_subscription() -> None:
    hub, follower = Hub(), Follower()
    for _ in range(2):
        hub.follow_key("", "k", follower)
        hub.follow_channel("c", follower)
    assert hub.subscription_count == 2
    for topic in (hub.key_topic("", "k"), hub.channel_topic("c")):
        assert topic is not None
        assert len(topic) == 1
        assert follower in topic
        topic.publish(b"1")
    assert follower.frames() == [[b"1"], [b"1"]]


def test_subscriptions_of_all_followers_are_counted_together() -> None:
    hub, first, second = Hub(), Follower(), Follower()
    for follower in (first, second):
        hub.follow_key("", "k", follower)
        hub.follow_key("n", "k", follower)
        hub.follow_channel("c", follower)
        hub.follow_channel("d", follower)
    assert hub.subscription_count == 8
    assert sorted(hub.followed_keys()) == [("", "k"), ("n", "k")]
    hub.unfollow_key("", "k", first)
    hub.unfollow_channel("c", first)
    assert hub.subscription_count == 6
    for _ in range(2):
        hub.unfollow_key("", "k", second)
        hub.unfollow_channel("c", second)
        assert hub.subscription_count == 4
    assert hub.followed_keys() == [("n", "k")]
    assert hub.key_topic("", "k") is None
    assert hub.channel_topic("c") is None
    assert hub.channel_topic("d") is not None


def test_unfollowing_a_topic_never_followed_changes_nothing() -> None:
    hub, follower, stranger = Hub(), Follower(), Follower()
    hub.follow_key("", "k", follower)
    hub.follow_channel("c", follower)
    for key, channel in (("k", "c"), ("other", "other")):
        hub.unfollow_key("", key, stranger)
        hub.unfollow_channel(channel, stranger)
    assert hub.subscription_count == 2
    topic = hub.key_topic("", "k")
    assert topic is not None
    assert stranger not in topic


def test_a_new_hub_is_empty_and_do_later_runs_at_once() -> None:
    hub = Hub()
    assert (hub.subscription_count, hub.followed_keys(), hub.audiences) == (0, [], {})
    left = [True, True, False, True]
    hub.do_later(lambda: left.pop(0))
    assert left == [True]
