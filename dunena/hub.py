"""The subscriptions of all connections: to keys by (namespace, key), to channels by name.

Theory of operation. The frames published to a topic in one tick form one *batch*. Every follower
gets the batch once, at its first frame; later frames of the tick are only appended to the batch.
So U updates for F followers cost U + F operations, not U * F, and all followers send the same
joined bytes. As each follower must receive everything in order, a batch is closed as soon as one of
its followers has queued something else behind it; the next frame then begins another batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeVar

from dunena.store.compiler_hints import mypyc_attr
from dunena.store.entry import EntryId

CACHE_EVENTS: Final = "cache-events"
"""The channel of the events, one for each change."""

RESERVED_CHANNELS = frozenset((CACHE_EVENTS, "cache", "stats"))
"""The channels on which only the server sends: ``cache`` is what events are called, ``stats`` a
channel of the original dunena. Those of restricted grants have a line end, as no name of a client
has."""

FrameEncoder = Callable[[bytes], bytes]
"""Encodes a finished frame for some connections, by compression for example.
It returns the same bytes for equal frames."""

MayRead = Callable[[str, str], bool]
"""Returns whether a client may see a namespace and key."""

Key = TypeVar("Key")
TopicKind = TypeVar("TopicKind", bound="Topic")


class Batch:
    """The finished frames that were published to one topic, in order.

    ``entry_id`` is the key whose values the frames carry: then the last frame makes the others
    unnecessary. It is None for events, of which none may be dropped.
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
        """Append a frame; the batch must be open."""
        self.frames.append(frame)
        self.size += len(frame)

    def close(self) -> None:
        """Complete the batch: no more frames are added."""
        self.is_open = False

    def __len__(self) -> int:
        """Return the size of all frames together in bytes."""
        return self.size

    def rest(self, start: int) -> "Batch":
        """Return a new batch of the frames from index ``start`` on."""
        rest = Batch(self.entry_id, self.frames[start])
        for frame in self.frames[start + 1 :]:
            rest.add(frame)
        return rest

    @property
    def joined(self) -> bytes:
        """Return all frames joined, the same object at each call; the batch must be closed."""
        if self._joined is None:
            frames = self.frames
            self._joined = frames[0] if len(frames) == 1 else b"".join(frames)
        return self._joined

    def encoded_with(self, encoder: FrameEncoder) -> bytes:
        """Return all frames joined, each encoded by ``encoder``; they are encoded only once."""
        if self._encoded is None:
            self._encoded = {}
        if encoder not in self._encoded:
            self._encoded[encoder] = b"".join(map(encoder, self.frames))
        return self._encoded[encoder]


class MessageBatch(Batch):
    """The messages that were published to one channel, in order.

    A reader that is too slow loses the oldest. ``now`` is when the newest was published, Unix ms.
    """

    __slots__ = ("channel", "now")

    def __init__(self, channel: str, frame: bytes, now: int) -> None:
        super().__init__(None, frame)
        self.channel = channel
        self.now = now

    def rest(self, start: int) -> "MessageBatch":
        """Return a new batch of the frames from index ``start`` on."""
        rest = MessageBatch(self.channel, self.frames[start], self.now)
        for frame in self.frames[start + 1 :]:
            rest.add(frame)
        return rest


@mypyc_attr(allow_interpreted_subclasses=True)
class Subscriber(ABC):
    """What the hub needs of a subscriber.

    No protocol: compiled code finds a method of a class at once, and one of a protocol by its name.
    """

    __slots__ = ()

    @abstractmethod
    def push(self, batch: Batch) -> None:
        """Queue a batch; it is sent, with later frames, at the end of the tick."""


class Relay(Protocol):
    """What carries the messages of channels between servers that share them."""

    def tell(self, channel: str, data: bytes) -> None:
        """Send a message (JSON) to the subscribers at all servers, those of this one included.

        Raise `ClientError` if that is impossible at present; then nobody gets it.
        """

    def listen(self, channel: str, *, wanted: bool) -> None:
        """Learn that somebody subscribes to a channel here, or nobody any more."""


class Topic:
    """One key or channel and its followers, in the order in which they subscribed.

    When a batch begins, the topic adds itself to ``published``, the topics of the tick.
    ``before_value`` and ``after_value`` are what all frames with a value of its key have around it;
    they are kept here by who makes the frames, None until then.
    """

    __slots__ = (
        "_batch",
        "_entry_id",
        "_followers",
        "_published",
        "after_value",
        "before_value",
    )

    def __init__(self, entry_id: EntryId | None, published: list["Topic"]) -> None:
        self._entry_id = entry_id
        self._published = published
        self._followers: dict[Subscriber, None] = {}
        self._batch: Batch | None = None
        self.before_value: bytes | None = None
        self.after_value = b""

    def __len__(self) -> int:
        """Return the number of subscribers."""
        return len(self._followers)

    def __contains__(self, follower: Subscriber) -> bool:
        """Return whether ``follower`` is subscribed to this topic."""
        return follower in self._followers

    def add(self, follower: Subscriber) -> None:
        """Send frames to a subscriber from now on; do nothing if it is subscribed already."""
        self.end_batch()
        self._followers[follower] = None

    def remove(self, follower: Subscriber) -> None:
        """Send no more frames to a subscriber; do nothing if it is not subscribed."""
        self.end_batch()
        self._followers.pop(follower, None)

    def publish(self, frame: bytes) -> None:
        """Send one frame to every follower, in the order in which they subscribed."""
        batch = self._batch
        if batch is not None and batch.is_open:
            batch.add(frame)
            return
        batch = self._batch = Batch(self._entry_id, frame)
        self._published.append(self)
        for follower in self._followers:
            follower.push(batch)

    def end_batch(self) -> None:
        """Close the current batch, if there is one: the next frame begins another."""
        if self._batch is not None:
            self._batch.close()
            self._batch = None


class Channel(Topic):
    """A channel and its followers. The server's events are published to it, or messages sent."""

    __slots__ = ("name",)

    def __init__(self, name: str, published: list[Topic]) -> None:
        super().__init__(None, published)
        self.name = name

    def send(self, frame: bytes, now: int) -> None:
        """Send a message to every follower; ``now`` is in Unix ms."""
        batch = self._batch
        if isinstance(batch, MessageBatch) and batch.is_open:
            batch.add(frame)
            batch.now = now
            return
        batch = self._batch = MessageBatch(self.name, frame, now)
        self._published.append(self)
        for follower in self._followers:
            follower.push(batch)


class HubMark:
    """What `Hub.go_back` returns to: counts of messages, and of what could be taken back.

    Not a named tuple: one is made for every tick with a change, and a compiled class costs less.
    """

    __slots__ = ("messages_published", "messages_queued", "undo_count")

    def __init__(self, messages_published: int, messages_queued: int, undo_count: int) -> None:
        self.messages_published = messages_published
        self.messages_queued = messages_queued
        self.undo_count = undo_count


class Hub:
    """The subscriptions of all connections. A conversation removes its own when it ends.

    ``messages_published`` counts the messages of channels, ``messages_queued`` for how many
    followers each was queued. ``undos`` take back what clients changed about their channels, in
    the order of these changes: a request that runs again must find the followers that it found
    before.

    ``do_later`` takes a function that does a part of some long work and returns whether there is
    more; the function is called between other requests until it returns False.
    ``relay`` carries messages to other servers; None for a server alone.
    ``audiences`` are the event channels of restricted grants, each with its `MayRead`.
    ``subscription_count`` is the number of subscriptions to keys and channels of all followers.
    ``published`` are the topics, not only the hub's own, that began a batch in this tick.
    """

    __slots__ = (
        "_channels",
        "_keys",
        "audiences",
        "do_later",
        "messages_published",
        "messages_queued",
        "published",
        "relay",
        "subscription_count",
        "undos",
    )

    def __init__(self) -> None:
        # A topic without followers is deleted, so that looking a key up says whether it has any.
        # By namespace and then by key, as making a pair for each look-up would cost more than two.
        self._keys: dict[str, dict[str, Topic]] = {}
        self._channels: dict[str, Channel] = {}
        self.published: list[Topic] = []
        self.relay: Relay | None = None
        self.audiences: dict[str, MayRead] = {}
        self.subscription_count = 0
        self.messages_published = 0
        self.messages_queued = 0
        self.undos: list[Callable[[], None]] = []
        self.do_later: Callable[[Callable[[], bool]], None] = _do_at_once

    def follow_key(self, ns: str, key: str, follower: Subscriber) -> None:
        """Subscribe ``follower`` to the changes of a key from now on."""
        topics = self._keys.get(ns)
        if topics is None:
            topics = self._keys[ns] = {}
        topic = topics.get(key)
        if topic is None:
            topic = topics[key] = Topic((ns, key), self.published)
        self.subscription_count += follower not in topic
        topic.add(follower)

    def unfollow_key(self, ns: str, key: str, follower: Subscriber) -> None:
        """Unsubscribe ``follower`` from a key; do nothing if it is not subscribed."""
        topics = self._keys.get(ns)
        if topics is None:
            return
        self.subscription_count -= _remove(topics, key, follower)
        if not topics:
            del self._keys[ns]

    def follow_channel(self, channel: str, follower: Subscriber) -> None:
        """Subscribe ``follower`` to the events of a channel from now on."""
        topic = self._channels.get(channel)
        if topic is None:
            topic = self._channels[channel] = Channel(channel, self.published)
            if self.relay is not None and is_for_messages(channel):
                self.relay.listen(channel, wanted=True)
        self.subscription_count += follower not in topic
        topic.add(follower)

    def unfollow_channel(self, channel: str, follower: Subscriber) -> None:
        """Unsubscribe ``follower`` from a channel; do nothing if it is not subscribed."""
        is_removed = _remove(self._channels, channel, follower)
        self.subscription_count -= is_removed
        has_ended = is_removed and channel not in self._channels
        if has_ended and self.relay is not None and is_for_messages(channel):
            self.relay.listen(channel, wanted=False)

    def key_topic(self, ns: str, key: str) -> Topic | None:
        """Return the topic of a key; None if nobody follows it."""
        topics = self._keys.get(ns)
        return None if topics is None else topics.get(key)

    def channel_topic(self, channel: str) -> Channel | None:
        """Return the topic of a channel; None if nobody follows it."""
        return self._channels.get(channel)

    @property
    def channel_count(self) -> int:
        """The number of channels of messages that have followers."""
        events = (*RESERVED_CHANNELS, *self.audiences)
        return len(self._channels) - sum([name in self._channels for name in events])

    def channels(self) -> Iterator[Channel]:
        """Yield the channels of messages that have followers."""
        for name, channel in self._channels.items():
            if is_for_messages(name):
                yield channel

    def followed_keys(self) -> list[EntryId]:
        """Return every (namespace, key) that has followers."""
        return [(ns, key) for ns, topics in self._keys.items() for key in topics]

    def end_batches(self) -> None:
        """Close all batches of the tick, which has ended."""
        for topic in self.published:
            topic.end_batch()
        self.published.clear()

    def mark(self) -> HubMark:
        """Return where `go_back` is to return to; what was published so far stays."""
        self.end_batches()
        return HubMark(self.messages_published, self.messages_queued, len(self.undos))

    def go_back(self, mark: HubMark, undos: list[Callable[[], None]]) -> None:
        """Forget what was published since a mark, and take changes back, the newest first.

        The frames themselves are in the outboxes of the followers.
        """
        self.end_batches()
        self.messages_published = mark.messages_published
        self.messages_queued = mark.messages_queued
        for undo in reversed(undos):
            undo()


def is_for_messages(channel: str) -> bool:
    """Return whether clients publish to a channel: it is none of the server's own."""
    return channel not in RESERVED_CHANNELS and "\n" not in channel


def _do_at_once(portion: Callable[[], bool]) -> None:
    while portion():
        pass


def _remove(topics: dict[Key, TopicKind], name: Key, follower: Subscriber) -> bool:
    """End a subscription; return whether there was one."""
    topic = topics.get(name)
    if topic is None or follower not in topic:
        return False
    topic.remove(follower)
    if not len(topic):
        del topics[name]
    return True
