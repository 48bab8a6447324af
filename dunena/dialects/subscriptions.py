"""The subscriptions of one client to keys and channels, and its watches."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from dunena.dialects.errors import ForbiddenError, TooManyError
from dunena.dialects.services import Holder, Services
from dunena.hub import Batch, Hub, Subscriber
from dunena.store.limits import Limits
from dunena.watches.feed import WatchFeed
from dunena.watches.limits import GLOBS_MAX, PATHS_MAX, PATTERNS_MAX
from dunena.watches.parts import Parts
from dunena.watches.selector import Selector
from dunena.watches.updates import UpdateForm
from dunena.watches.watch_table import FeedId, WatchTable

ENDED_WATCHES_MAX = 1000
"""Keys of ended watches that are remembered; a client that ends more may have had any."""

ENDED_AT_ONCE_MAX = 1000
"""Subscriptions of a disconnected client that are ended in one turn: some 2 ms of work."""


class PacedSubscriber(Subscriber, Protocol):
    """A subscriber that hands on so many updates a second."""

    def kill(self) -> None:
        """Drop what is withheld: the watch has ended."""


FormFactory = Callable[[Selector, str, Parts], UpdateForm]
"""Makes the form of the updates for a selector and an epoch, and names it: watches with the same
selector, rights and factory share their frames."""

PacedFactory = Callable[[float], PacedSubscriber]
"""Makes a subscriber that waits so many ms between two updates."""


class BegunWatch(NamedTuple):
    """The feed of a watch that has begun; ``is_again``: its selector may have been watched before.

    Then older updates for that may still wait for the client, and must not come after the first of
    this watch.
    """

    feed: WatchFeed
    is_again: bool


class _Watch(NamedTuple):
    """A watch of the client: the feed that it follows, and by which subscriber.

    ``interval_ms`` is the time between two updates, None for no limit.
    """

    feed_id: FeedId
    make_form: FormFactory
    follower: Subscriber
    paced: PacedSubscriber | None
    interval_ms: float | None


class Subscriptions:
    """The keys, channels and watches of one client; the hub's `Subscriber` for it.

    ``push`` queues a batch for the client, ``pace`` makes the subscriber of a paced watch.
    ``holder`` has the client's session: keys and channels follow the connection, ephemeral keys the
    session. The object removes exactly the subscriptions that it has added to the hub, so that none
    remains of a disconnected client.
    """

    __slots__ = (
        "_awaited",
        "_channels",
        "_count_max",
        "_ended_sizes",
        "_ended_watches",
        "_has_ended",
        "_hub",
        "_keys",
        "_pace",
        "_path_count",
        "_pattern_count",
        "_table",
        "_watch_sizes",
        "_watches",
        "holder",
        "push",
    )

    def __init__(
        self,
        hub: Hub,
        table: WatchTable,
        limits: Limits,
        push: Callable[[Batch], None],
        pace: PacedFactory,
        holder: Holder | None = None,
    ) -> None:
        self._hub = hub
        self._table = table
        self._count_max = limits.subscriptions_max
        self._pace = pace
        self.push = push
        self.holder = holder
        self._keys: set[tuple[str, str]] = set()
        self._channels: set[str] = set()
        self._watches: dict[Selector, _Watch] = {}
        self._awaited: dict[Selector, bytes] = {}
        self._ended_watches: set[Selector] = set()
        self._ended_sizes = 0  # of these together
        self._watch_sizes = 0  # of all watches together
        self._pattern_count = 0
        self._path_count = 0
        self._has_ended = False  # a request of a disconnected client may still be run again

    def __len__(self) -> int:
        """Return the number of subscriptions to keys and channels, and of keys watched."""
        return len(self._keys) + len(self._channels) + self._watch_sizes

    def follow_key(self, ns: str, key: str) -> None:
        """Subscribe to a key's updates; raise `TooManyError` above the limit of subscriptions."""
        if self._has_ended:
            return
        self._check_count((ns, key) not in self._keys)
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
        self._check_count(channel not in self._channels)
        self._channels.add(channel)
        self._hub.follow_channel(channel, self)

    def unfollow_channel(self, channel: str) -> None:
        """Unsubscribe from a channel; do nothing if it is not subscribed to."""
        self._channels.discard(channel)
        self._hub.unfollow_channel(channel, self)

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
            self._channels.add(channel)
            self._hub.follow_channel(channel, self)

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
        if selector not in self._watches:
            self._check_count(selector.size)
            if selector.pattern is not None and self._pattern_count >= PATTERNS_MAX:
                raise TooManyError("Patterns", PATTERNS_MAX)
            if selector.path is not None and self._path_count >= PATHS_MAX:
                raise TooManyError("Paths", PATHS_MAX)
            if not self._table.has_room_for(selector):
                raise TooManyError("Patterns of all clients", GLOBS_MAX)
        self._end_watch_of(selector)
        is_restricted = services.store is not services.unrestricted_store
        feed_id = FeedId(
            selector,
            make_form,
            services.store if is_restricted else None,
            is_paced=interval_ms is not None,
        )
        paced = None if interval_ms is None else self._pace(interval_ms)
        watch = _Watch(feed_id, make_form, self if paced is None else paced, paced, interval_ms)
        self._watches[selector] = watch
        self._watch_sizes += selector.size
        self._pattern_count += selector.pattern is not None
        self._path_count += selector.path is not None
        self._hub.subscription_count += selector.size
        feed = self._table.follow(
            feed_id,
            lambda: make_form(selector, services.epoch, self._table.parts),
            services.store.may_read if is_restricted else None,
            watch.follower,
        )
        is_again = self._ended_sizes >= ENDED_WATCHES_MAX or selector in self._ended_watches
        return BegunWatch(feed, is_again)

    @property
    def is_watching(self) -> bool:
        """Whether there are any watches."""
        return bool(self._watches)

    def watch_again(self, services: Services) -> list[BegunWatch]:
        """Let all watches show what new services permit; return them."""
        begun = [
            self.watch(services, selector, watch.make_form, watch.interval_ms)
            for selector, watch in list(self._watches.items())
        ]
        return [watch for watch in begun if watch is not None]

    def unwatch(self, selector: Selector) -> None:
        """End the watch of a selector, also one that waits; do nothing if there is none."""
        self.await_nothing(selector)
        self._end_watch_of(selector)

    def await_position(self, selector: Selector, text: bytes) -> None:
        """Note that the newest watch of a selector waits for its position; ``text`` asked for it.

        It does until another message begins or ends the watch of this selector.
        """
        self._awaited[selector] = text

    def await_nothing(self, selector: Selector) -> None:
        """Note that no watch of a selector waits any more."""
        self._awaited.pop(selector, None)

    def awaits(self, text: bytes) -> bool:
        """Return whether the watch that a message asked for waits for its position."""
        return text in self._awaited.values()

    def _end_watch_of(self, selector: Selector) -> None:
        watch = self._watches.pop(selector, None)
        if watch is not None:
            self._end_watch(selector, watch)

    def keep_permitted(self, old: Services, new: Services) -> list[ForbiddenError]:
        """End the subscriptions that the new services do not permit; return an error for each."""
        refused = []
        for ns, key in sorted(self._keys):
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
        self.push = _drop
        self._pace = pace_nothing  # it leads back to the connection
        self._awaited.clear()
        for watch in self._watches.values():
            if watch.paced is not None:
                watch.paced.kill()
        if self._end_some():
            self._hub.do_later(self._end_some)

    def _end_some(self) -> bool:
        """End as many subscriptions as fit one turn; return whether there are more."""
        for _ in range(min(ENDED_AT_ONCE_MAX, len(self))):
            if self._keys:
                ns, key = self._keys.pop()
                self._hub.unfollow_key(ns, key, self)
            elif self._watches:
                self._end_watch(*self._watches.popitem())
            elif self._channels:
                self._hub.unfollow_channel(self._channels.pop(), self)
        return len(self) > 0

    def _end_watch(self, selector: Selector, watch: _Watch) -> None:
        if self._ended_sizes < ENDED_WATCHES_MAX and selector not in self._ended_watches:
            self._ended_watches.add(selector)
            self._ended_sizes += selector.size
        self._watch_sizes -= selector.size
        self._pattern_count -= selector.pattern is not None
        self._path_count -= selector.path is not None
        self._hub.subscription_count -= selector.size
        self._table.unfollow(watch.feed_id, watch.follower)
        if watch.paced is not None:
            watch.paced.kill()

    def _check_count(self, more: int) -> None:
        if more and len(self) + more > self._count_max:
            raise TooManyError("Subscriptions", self._count_max)


def _drop(_batch: Batch) -> None:
    """Drop a batch that was published to a disconnected client."""


def pace_nothing(_interval_ms: float) -> PacedSubscriber:
    """Stand in for what makes paced subscribers where there can be no paced watch."""
    raise AssertionError("there is no paced watch here")
