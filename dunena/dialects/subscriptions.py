"""The keys and channels that one client is subscribed to."""

from collections.abc import Callable

from dunena.dialects.errors import ForbiddenError, TooManyError
from dunena.dialects.services import Services
from dunena.hub import Batch, Hub
from dunena.store.limits import Limits

ENDED_AT_ONCE_MAX = 1000
"""Subscriptions of a client that left which are ended in one turn: some 2 ms of work."""


class Subscriptions:
    """The keys and channels of one client, which the hub knows it by; ``push`` queues a batch.

    It takes from the hub exactly what it put there, so a client that left is followed by nothing.
    """

    __slots__ = ("_channels", "_count_max", "_has_ended", "_hub", "_keys", "push")

    def __init__(self, hub: Hub, limits: Limits, push: Callable[[Batch], None]) -> None:
        self._hub = hub
        self._count_max = limits.subscriptions_max
        self.push = push
        self._keys: set[tuple[str, str]] = set()
        self._channels: set[str] = set()
        self._has_ended = False  # a request of a client that left may still be run again

    def __len__(self) -> int:
        """The number of subscriptions, to keys and channels."""
        return len(self._keys) + len(self._channels)

    def follow_key(self, ns: str, key: str) -> None:
        """Receive the key's value updates; raise `TooManyError` with too many subscriptions."""
        if self._has_ended:
            return
        self._check_count(is_new=(ns, key) not in self._keys)
        self._keys.add((ns, key))
        self._hub.follow_key(ns, key, self)

    def unfollow_key(self, ns: str, key: str) -> None:
        """Receive them no more."""
        self._keys.discard((ns, key))
        self._hub.unfollow_key(ns, key, self)

    def follow_channel(self, channel: str) -> None:
        """Receive the channel's events; raise `TooManyError` with too many subscriptions."""
        if self._has_ended:
            return
        self._check_count(is_new=channel not in self._channels)
        self._channels.add(channel)
        self._hub.follow_channel(channel, self)

    def unfollow_channel(self, channel: str) -> None:
        """Receive them no more."""
        self._channels.discard(channel)
        self._hub.unfollow_channel(channel, self)

    def keep_permitted(self, old: Services, new: Services) -> list[ForbiddenError]:
        """End the subscriptions that the new services do not permit; why each of them ended."""
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
        """The client is gone: nothing is pushed to it, from now on.

        Of very many subscriptions the hub is rid in the turns to come.
        """
        self._has_ended = True
        self.push = _drop
        if self._end_some():
            self._hub.do_later(self._end_some)

    def _end_some(self) -> bool:
        """End as many as one turn may; whether there are more."""
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
    """What is published to a client that left."""
