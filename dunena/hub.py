"""Who follows what: keys by (namespace, key), channels by name.

A follower is anything that frames can be pushed to; the same frame object goes to all of them. The
order of followers is the order in which they came.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

CACHE_EVENTS = "cache-events"
"""The channel on which every change is announced."""

Topic = TypeVar("Topic")


class Follower(Protocol):
    """Where a subscriber's frames go."""

    @property
    def push(self) -> Callable[[bytes], None]:
        """Queue a finished frame; it leaves at the end of the tick."""


class Hub:
    """Subscriptions of all connections. A session takes back its own when it ends."""

    __slots__ = ("_channels", "_keys")

    def __init__(self) -> None:
        # Dicts as ordered sets; no entry is empty, so "is anyone there" is one look-up.
        self._keys: dict[tuple[str, str], dict[Follower, None]] = {}
        self._channels: dict[str, dict[Follower, None]] = {}

    def follow_key(self, ns: str, key: str, follower: Follower) -> None:
        """From now on every change of the key goes to the follower; twice is as good as once."""
        self._keys.setdefault((ns, key), {})[follower] = None

    def unfollow_key(self, ns: str, key: str, follower: Follower) -> None:
        """The reverse; nothing happens if it did not follow."""
        _remove(self._keys, (ns, key), follower)

    def follow_channel(self, channel: str, follower: Follower) -> None:
        """From now on the channel's events go to the follower."""
        self._channels.setdefault(channel, {})[follower] = None

    def unfollow_channel(self, channel: str, follower: Follower) -> None:
        """The reverse; nothing happens if it did not follow."""
        _remove(self._channels, channel, follower)

    def key_followers(self, ns: str, key: str) -> dict[Follower, None] | None:
        """Who follows a key; None for nobody."""
        return self._keys.get((ns, key))

    def channel_followers(self, channel: str) -> dict[Follower, None] | None:
        """Who follows a channel; None for nobody."""
        return self._channels.get(channel)

    def followed_keys(self) -> list[tuple[str, str]]:
        """Every (namespace, key) that somebody follows."""
        return list(self._keys)

    @property
    def subscription_count(self) -> int:
        """Subscriptions of keys and channels, all followers together."""
        return sum(map(len, self._keys.values())) + sum(map(len, self._channels.values()))


def _remove(topics: dict[Topic, dict[Follower, None]], topic: Topic, follower: Follower) -> None:
    followers = topics.get(topic)
    if followers is not None and follower in followers:
        del followers[follower]
        if not followers:
            del topics[topic]
