"""Who follows what: keys by (namespace, key), channels by name.

Theory of operation. What is published to a topic in one tick is one *batch*, which every follower
is handed once, at the first frame; later frames of the tick only make the batch longer. So many
updates to many followers cost their sum, not their product, and the joined bytes are the same for
all. A batch takes no more frames once something else was queued behind it at one of its followers
(the next frame then begins another batch), since each follower receives everything in order.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from dunena.store.entry import EntryId

CACHE_EVENTS = "cache-events"
"""The channel on which every change is announced."""

FrameEncoder = Callable[[bytes], bytes]
"""A finished frame as some connections want it, compressed for example; the same for the same."""

MayRead = Callable[[str, str], bool]
"""Whether somebody may know of a namespace and key."""

Key = TypeVar("Key")


class Batch:
    """Finished frames of one topic, in order.

    ``entry_id`` is the key whose values they are, so that the last one makes those before it
    unnecessary; None for events, which count one by one.
    """

    __slots__ = ("_encoded", "_joined", "entry_id", "frames", "is_open", "size")

    def __init__(self, entry_id: EntryId | None, frame: bytes) -> None:
        self.entry_id = entry_id
        self.frames = [frame]
        self.size = len(frame)
        self.is_open = True
        self._joined: bytes | None = None
        self._encoded: dict[FrameEncoder, bytes] | None = None

    def add(self, frame: bytes) -> None:
        """Add a frame; only while the batch is open."""
        self.frames.append(frame)
        self.size += len(frame)

    def close(self) -> None:
        """Take no more frames: the batch is complete."""
        self.is_open = False

    def __len__(self) -> int:
        """The size of all frames together, in bytes."""
        return self.size

    def rest(self, start: int) -> "Batch":
        """The frames from one of them on."""
        rest = Batch(self.entry_id, self.frames[start])
        for frame in self.frames[start + 1 :]:
            rest.add(frame)
        return rest

    @property
    def joined(self) -> bytes:
        """All frames as one piece of bytes, the same object for everyone; only once closed."""
        if self._joined is None:
            frames = self.frames
            self._joined = frames[0] if len(frames) == 1 else b"".join(frames)
        return self._joined

    def encoded_with(self, encoder: FrameEncoder) -> bytes:
        """All frames in one piece, each encoded by ``encoder``; made once for each encoder."""
        if self._encoded is None:
            self._encoded = {}
        if encoder not in self._encoded:
            self._encoded[encoder] = b"".join(map(encoder, self.frames))
        return self._encoded[encoder]


class Subscriber(Protocol):
    """Where a subscriber's frames go."""

    @property
    def push(self) -> Callable[[Batch], None]:
        """Queue a batch; it leaves, with all that was added to it, at the end of the tick."""


class Topic:
    """The followers of one key or channel; a dict as an ordered set."""

    __slots__ = ("_batch", "_followers", "_opened", "_place")

    def __init__(self, entry_id: EntryId | None, opened: Callable[["Topic"], None]) -> None:
        self._place = entry_id
        self._opened = opened
        self._followers: dict[Subscriber, None] = {}
        self._batch: Batch | None = None

    def __len__(self) -> int:
        """The number of subscribers."""
        return len(self._followers)

    def __contains__(self, follower: Subscriber) -> bool:
        """Whether ``follower`` is subscribed."""
        return follower in self._followers

    def add(self, follower: Subscriber) -> None:
        """Send frames to a subscriber from now on; a second time changes nothing."""
        self.end_batch()
        self._followers[follower] = None

    def remove(self, follower: Subscriber) -> None:
        """Send a subscriber no more frames."""
        self.end_batch()
        self._followers.pop(follower, None)

    def publish(self, frame: bytes) -> None:
        """One frame to everyone, in the order in which they came."""
        batch = self._batch
        if batch is not None and batch.is_open:
            batch.add(frame)
            return
        batch = self._batch = Batch(self._place, frame)
        self._opened(self)
        for follower in self._followers:
            follower.push(batch)

    def end_batch(self) -> None:
        """Close the batch of what was published so far."""
        if self._batch is not None:
            self._batch.close()
            self._batch = None


class Hub:
    """Subscriptions of all connections. A session takes back its own when it ends.

    ``do_later`` calls a function in turn, until it says that there is no more to do: for what would
    keep everybody waiting.

    ``audiences`` are channels of changes that not all may see, with who may see which.
    ``subscription_count`` is how many of keys and channels there are, all followers together.
    """

    __slots__ = (
        "_channels", "_keys", "_published", "audiences", "do_later", "subscription_count",
    )  # fmt: skip

    def __init__(self) -> None:
        # No topic is empty, so "is anyone there" is one look-up.
        self._keys: dict[EntryId, Topic] = {}
        self._channels: dict[str, Topic] = {}
        self._published: list[Topic] = []  # in this tick
        self.audiences: dict[str, MayRead] = {}
        self.subscription_count = 0
        self.do_later: Callable[[Callable[[], bool]], None] = _do_at_once

    def follow_key(self, ns: str, key: str, follower: Subscriber) -> None:
        """From now on every change of the key goes to the follower."""
        entry_id = (ns, key)
        topic = self._keys.get(entry_id)
        if topic is None:
            topic = self._keys[entry_id] = Topic(entry_id, self._published.append)
        self.subscription_count += follower not in topic
        topic.add(follower)

    def unfollow_key(self, ns: str, key: str, follower: Subscriber) -> None:
        """The reverse; nothing happens if it did not follow."""
        self.subscription_count -= _remove(self._keys, (ns, key), follower)

    def follow_channel(self, channel: str, follower: Subscriber) -> None:
        """From now on the channel's events go to the follower."""
        topic = self._channels.get(channel)
        if topic is None:
            topic = self._channels[channel] = Topic(None, self._published.append)
        self.subscription_count += follower not in topic
        topic.add(follower)

    def unfollow_channel(self, channel: str, follower: Subscriber) -> None:
        """The reverse; nothing happens if it did not follow."""
        self.subscription_count -= _remove(self._channels, channel, follower)

    def key_topic(self, ns: str, key: str) -> Topic | None:
        """What publishes a key's values; None if nobody follows it."""
        return self._keys.get((ns, key))

    def channel_topic(self, channel: str) -> Topic | None:
        """What publishes a channel's events; None if nobody follows it."""
        return self._channels.get(channel)

    def followed_keys(self) -> list[EntryId]:
        """Every (namespace, key) that somebody follows."""
        return list(self._keys)

    def end_batches(self) -> None:
        """The tick is over: what was published in it is whole."""
        for topic in self._published:
            topic.end_batch()
        self._published.clear()


def _do_at_once(portion: Callable[[], bool]) -> None:
    while portion():
        pass


def _remove(topics: dict[Key, Topic], name: Key, follower: Subscriber) -> bool:
    """End a subscription; whether there was one."""
    topic = topics.get(name)
    if topic is None or follower not in topic:
        return False
    topic.remove(follower)
    if not len(topic):
        del topics[name]
    return True
