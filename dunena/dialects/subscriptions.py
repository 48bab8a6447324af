"""The subscriptions of one client to keys and channels, and its watches."""

from functools import lru_cache, partial
from typing import Final

from dunena.dialects.client_watches import (
    BegunWatch,
    ClientWatches,
    FormFactory,
    Pacing,
)
from dunena.dialects.errors import ForbiddenError, TooManyError
from dunena.dialects.output import Output
from dunena.dialects.services import Holder, Services
from dunena.hub import Batch, Hub, Subscriber
from dunena.store.entry import EntryId
from dunena.store.limits import Limits
from dunena.watches.selector import Selector
from dunena.watches.watch_table import WatchTable

ENDED_AT_ONCE_MAX = 1000
"""Subscriptions of a disconnected client that are ended in one turn: some 2 ms of work."""

_NO_CHANNELS: Final[frozenset[str]] = frozenset()


class Subscriptions(Subscriber):
    """The keys, channels and watches of one client; the hub's `Subscriber` for it.

    ``output`` queues what is published for the client, ``pacing`` makes the subscriber of a paced
    watch. ``holder`` has the client's session: keys and channels follow the connection, ephemeral
    keys the session. The object removes exactly the subscriptions that it has added to the hub, so
    that none remains of a disconnected client.

    Most clients follow no key, no channel but that of all events, and have no watch: what these
    need is made when it is used.
    """

    __slots__ = (
        "_channels",
        "_count_max",
        "_has_ended",
        "_hub",
        "_keys",
        "_output",
        "_pacing",
        "_table",
        "_watches",
        "holder",
    )

    def __init__(
        self,
        hub: Hub,
        table: WatchTable,
        limits: Limits,
        output: Output,
        pacing: Pacing,
        holder: Holder | None = None,
    ) -> None:
        self._hub = hub
        self._table = table
        self._count_max = limits.subscriptions_max
        self._output = output
        self._pacing = pacing
        self.holder = holder
        self._keys: set[EntryId] | None = None
        self._channels: set[str] | frozenset[str] = _NO_CHANNELS  # of one at most, it is shared
        self._watches: ClientWatches | None = None
        self._has_ended = False  # a request of a disconnected client may still be run again

    def push(self, batch: Batch) -> None:
        """Queue what was published, unless the client has disconnected."""
        if not self._has_ended:
            self._output.push(batch)

    def __len__(self) -> int:
        """Return the number of subscriptions to keys and channels, and of keys watched."""
        count = len(self._channels)
        if self._keys is not None:
            count += len(self._keys)
        return count if self._watches is None else count + self._watches.size

    def follow_key(self, ns: str, key: str) -> None:
        """Subscribe to a key's updates; raise `TooManyError` above the limit of subscriptions."""
        if self._has_ended:
            return
        keys = self._keys
        if keys is None:
            keys = self._keys = set()
        self._check_count((ns, key) not in keys)
        keys.add((ns, key))
        self._hub.follow_key(ns, key, self)

    def unfollow_key(self, ns: str, key: str) -> None:
        """Unsubscribe from a key; do nothing if it is not subscribed to."""
        if self._keys is not None:
            self._keys.discard((ns, key))
        self._hub.unfollow_key(ns, key, self)

    def follow_channel(self, channel: str) -> None:
        """Subscribe to a channel; raise `TooManyError` above the limit of subscriptions."""
        if self._has_ended:
            return
        self._check_count(channel not in self._channels)
        self._add_channel(channel)

    def unfollow_channel(self, channel: str) -> None:
        """Unsubscribe from a channel; do nothing if it is not subscribed to."""
        channels = self._channels
        if channel in channels:
            if isinstance(channels, frozenset):
                self._channels = _NO_CHANNELS
            else:
                channels.remove(channel)
        self._hub.unfollow_channel(channel, self)

    def _add_channel(self, channel: str) -> None:
        channels = self._channels
        if not channels:
            self._channels = _only(channel)
        elif isinstance(channels, frozenset):
            self._channels = {*channels, channel}
        else:
            channels.add(channel)
        self._hub.follow_channel(channel, self)

    def subscribe(self, channel: str) -> None:
        """Follow a channel as a client asks for: this is undone if its request runs again."""
        if channel not in self._channels:
            self.follow_channel(channel)
            self._hub.undos.append(partial(self.unfollow_channel, channel))

    def unsubscribe(self, channel: str) -> None:
        """Follow a channel no more; this is undone if the request runs again."""
        if channel in self._channels:
            self.unfollow_channel(channel)
            self._hub.undos.append(partial(self._follow_again, channel))

    def _follow_again(self, channel: str) -> None:
        if not self._has_ended:
            self._add_channel(channel)

    def watch(
        self,
        services: Services,
        selector: Selector,
        make_form: FormFactory,
        interval_ms: float | None,
    ) -> BegunWatch | None:
        """Begin or replace the watch of a selector; return None if the client has disconnected.

        ``interval_ms`` is the time between two updates. Raise `TooManyError` above the limits of
        subscriptions, patterns and paths.
        """
        if self._has_ended:
            return None
        watches = self._watches
        if watches is None:
            watches = self._watches = ClientWatches(self._hub, self._table)
        if selector not in watches:
            self._check_count(selector.size)
            watches.check_room_for(selector)
        paced = None if interval_ms is None else self._pacing.pace(self._output, interval_ms)
        return watches.begin(services, selector, make_form, interval_ms, self, paced)

    @property
    def is_watching(self) -> bool:
        """Whether there are any watches."""
        return self._watches is not None and len(self._watches) > 0

    def watch_again(self, services: Services) -> list[BegunWatch]:
        """Let all watches show what new services permit; return them."""
        if self._watches is None:
            return []
        begun = [self.watch(services, *terms) for terms in self._watches.terms()]
        return [watch for watch in begun if watch is not None]

    def unwatch(self, selector: Selector) -> None:
        """End the watch of a selector, also one that waits; do nothing if there is none."""
        if self._watches is not None:
            self._watches.await_nothing(selector)
            self._watches.end(selector)

    def await_position(self, selector: Selector, text: bytes) -> None:
        """Note that the newest watch of a selector waits for its position; ``text`` asked for it.

        It does until another message begins or ends the watch of this selector.
        """
        if self._watches is None:
            self._watches = ClientWatches(self._hub, self._table)
        self._watches.await_position(selector, text)

    def await_nothing(self, selector: Selector) -> None:
        """Note that no watch of a selector waits any more."""
        if self._watches is not None:
            self._watches.await_nothing(selector)

    def awaits(self, text: bytes) -> bool:
        """Return whether the watch that a message asked for waits for its position."""
        return self._watches is not None and self._watches.awaits(text)

    def keep_permitted(self, old: Services, new: Services) -> list[ForbiddenError]:
        """End the subscriptions that the new services do not permit; return an error for each."""
        refused = []
        for ns, key in sorted(self._keys or ()):
            try:
                new.store.peek(ns, key, 0)
            except ForbiddenError as error:
                self.unfollow_key(ns, key)
                refused.append(error)
        for channel in sorted(self._channels):
            if channel != old.events:
                try:
                    new.check_subscription(channel)
                except ForbiddenError as error:
                    self.unfollow_channel(channel)
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
        if self._watches is not None:
            self._watches.kill()
        if self._end_some():
            self._hub.do_later(self._end_some)

    def _end_some(self) -> bool:
        """End as many subscriptions as fit one turn; return whether there are more."""
        for _ in range(min(ENDED_AT_ONCE_MAX, len(self))):
            if self._keys:
                ns, key = self._keys.pop()
                self._hub.unfollow_key(ns, key, self)
            elif self.is_watching:
                assert self._watches is not None
                self._watches.end_last()
            elif self._channels:
                self.unfollow_channel(next(iter(self._channels)))
        return len(self) > 0

    def _check_count(self, more: int) -> None:
        if more and len(self) + more > self._count_max:
            raise TooManyError("Subscriptions", self._count_max)


class NoPacing:
    """Stands in for what makes paced subscribers where there can be no paced watch."""

    def pace(self, output: Output, interval_ms: float) -> Output:
        """Never called."""
        raise AssertionError("there is no paced watch here")


@lru_cache(maxsize=64)
def _only(channel: str) -> frozenset[str]:
    """Return the channels of a client that follows one, the same object for many clients."""
    return frozenset((channel,))
