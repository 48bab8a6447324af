"""What one client follows."""

from collections.abc import Callable

from dunena.dialects.core import Core
from dunena.dialects.errors import ForbiddenError, TooManyError
from dunena.hub import Batch, Hub
from dunena.store.limits import Limits


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
        """Keys and channels followed."""
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

    def keep_permitted(self, old: Core, new: Core) -> list[ForbiddenError]:
        """Another core is asked from now on: follow what it permits; why the rest is not."""
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
        """The client is gone: follow nothing, from now on."""
        self._has_ended = True
        for ns, key in self._keys:
            self._hub.unfollow_key(ns, key, self)
        for channel in self._channels:
            self._hub.unfollow_channel(channel, self)
        self._keys.clear()
        self._channels.clear()

    def _check_count(self, *, is_new: bool) -> None:
        if is_new and len(self) >= self._count_max:
            raise TooManyError("Subscriptions", self._count_max)
