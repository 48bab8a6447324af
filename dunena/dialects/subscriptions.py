"""The subscriptions of one client to keys and channels."""

from collections.abc import Callable

from dunena.dialects.errors import ForbiddenError, TooManyError
from dunena.dialects.services import Services
from dunena.hub import Batch, Hub
from dunena.store.limits import Limits

ENDED_AT_ONCE_MAX = 1000
"""Subscriptions of a disconnected client that are ended in one turn: some 2 ms of work."""


class Subscriptions:
    """The keys and channels of one client; the hub's `Subscriber` for it.

    ``push`` queues a batch for the client. The object removes exactly the subscriptions that it has
    added to the hub, so that none remains of a disconnected client.
    """

    __slots__ = ("_channels", "_count_max", "_has_ended", "_hub", "_keys", "push")

    def __init__(self, hub: Hub, limits: Limits, push: Callable[[Batch], None]) -> None:
        self._hub = hub
        self._count_max = limits.subscriptions_max
        self.push = push
        self._keys: set[tuple[str, str]] = set()
        self._channels: set[str] = set()
        self._has_ended = False  # a request of a disconnected client may still be run again

    def __len__(self) -> int:
        """Return the number of subscriptions to keys and channels."""
        return len(self._keys) + len(self._channels)

    def follow_key(self, ns: str, key: str) -> None:
        """Subscribe to a key's updates; raise `TooManyError` above the limit of subscriptions."""
        if self._has_ended:
            return
        self._check_count(is_new=(ns, key) not in self._keys)
        self._keys.add((ns, key))
        self._hub.follow_key(ns, key, self)

    def unfollow_key(self, ns: str, key: str) -> None:
        """Unsubscribe from a key; do nothing if it is not subscribed to."""
        self._keys.discard((ns, key))
        self._hub.unfollow_key(ns, key, self)

    def follow_channel(self, channel: str) -> None:
        """Subscribe to a channel; raise `TooManyError` above the limit of subscriptions."""
        if self._has_ended:
            return
        self._check_count(is_new=channel not in self._channels)
        self._channels.add(channel)
        self._hub.follow_channel(channel, self)

    def unfollow_channel(self, channel: str) -> None:
        """Unsubscribe from a channel; do nothing if it is not subscribed to."""
        self._channels.discard(channel)
        self._hub.unfollow_channel(channel, self)

    def keep_permitted(self, old: Services, new: Services) -> list[ForbiddenError]:
        """End the subscriptions that the new services do not permit; return an error for each."""
        refused = []
        for ns, key in sorted(self._keys):
            try:
                new.store.peek(ns, key, 0)
            except ForbiddenError as error:
                self.unfollow_key(ns, key)
                refused.append(error)
        if old.events is not None and old.events != new.events and old.events in self._channels:
            self.unfollow_channel(old.events)
            if new.events is None:
                refused.append(ForbiddenError.to_see_events())
            else:
                self.follow_channel(new.events)
        return refused

    def end(self) -> None:
        """End all subscriptions of a disconnected client; nothing is pushed to it from now on.

        Very many subscriptions are removed from the hub in later turns.
        """
        self._has_ended = True
        self.push = _drop
        if self._end_some():
            self._hub.do_later(self._end_some)

    def _end_some(self) -> bool:
        """End as many subscriptions as fit one turn; return whether there are more."""
        for _ in range(min(ENDED_AT_ONCE_MAX, len(self))):
            if self._keys:
                ns, key = self._keys.pop()
                self._hub.unfollow_key(ns, key, self)
            else:
                self._hub.unfollow_channel(self._channels.pop(), self)
        return len(self) > 0

    def _check_count(self, *, is_new: bool) -> None:
        if is_new and len(self) >= self._count_max:
            raise TooManyError("Subscriptions", self._count_max)


def _drop(_batch: Batch) -> None:
    """Drop a batch that was published to a disconnected client."""
