"""The watches of one client."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from dunena.dialects.errors import TooManyError
from dunena.dialects.output import Output
from dunena.dialects.services import Services
from dunena.hub import Hub, Subscriber
from dunena.watches.feed import WatchFeed
from dunena.watches.limits import GLOBS_MAX, PATHS_MAX, PATTERNS_MAX
from dunena.watches.parts import Parts
from dunena.watches.selector import Selector
from dunena.watches.updates import UpdateForm
from dunena.watches.watch_table import FeedId, WatchTable

ENDED_WATCHES_MAX = 1000
"""Keys of ended watches that are remembered; a client that ends more may have had any."""


class Pacing(Protocol):
    """Makes the outputs of paced watches, which are killed when the watch ends."""

    def pace(self, output: Output, interval_ms: float, /) -> Output:
        """Make one that hands on to ``output``, and waits so many ms between two updates."""


FormFactory = Callable[[Selector, str, Parts], UpdateForm]
"""Makes the form of the updates for a selector and an epoch, and names it: watches with the same
selector, rights and factory share their frames."""


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
    paced: Output | None
    interval_ms: float | None


class ClientWatches:
    """The watches of one client; ``size`` is the number of keys that they watch together.

    Of a client without any there is no such object, as most have none.
    """

    __slots__ = (
        "_awaited",
        "_ended",
        "_ended_sizes",
        "_hub",
        "_path_count",
        "_pattern_count",
        "_table",
        "_watches",
        "size",
    )

    def __init__(self, hub: Hub, table: WatchTable) -> None:
        self._hub = hub
        self._table = table
        self._watches: dict[Selector, _Watch] = {}
        self._awaited: dict[Selector, bytes] = {}
        self._ended: set[Selector] = set()
        self._ended_sizes = 0  # of these together
        self._pattern_count = 0
        self._path_count = 0
        self.size = 0

    def __contains__(self, selector: Selector) -> bool:
        """Return whether a selector is watched."""
        return selector in self._watches

    def __len__(self) -> int:
        """Return the number of watches."""
        return len(self._watches)

    def check_room_for(self, selector: Selector) -> None:
        """Raise `TooManyError` if a further watch is above the limits of patterns and paths."""
        if selector.pattern is not None and self._pattern_count >= PATTERNS_MAX:
            raise TooManyError("Patterns", PATTERNS_MAX)
        if selector.path is not None and self._path_count >= PATHS_MAX:
            raise TooManyError("Paths", PATHS_MAX)
        if not self._table.has_room_for(selector):
            raise TooManyError("Patterns of all clients", GLOBS_MAX)

    def begin(
        self,
        services: Services,
        selector: Selector,
        make_form: FormFactory,
        interval_ms: float | None,
        client: Subscriber,
        paced: Output | None,
    ) -> BegunWatch:
        """Begin or replace the watch of a selector.

        ``client`` gets its updates, or ``paced`` if there are ``interval_ms`` between two of them.
        """
        self.end(selector)
        is_restricted = services.store is not services.unrestricted_store
        feed_id = FeedId(
            selector,
            make_form,
            services.store if is_restricted else None,
            is_paced=interval_ms is not None,
        )
        follower: Subscriber = client if paced is None else paced
        self._watches[selector] = _Watch(feed_id, make_form, follower, paced, interval_ms)
        self.size += selector.size
        self._pattern_count += selector.pattern is not None
        self._path_count += selector.path is not None
        self._hub.subscription_count += selector.size
        feed = self._table.follow(
            feed_id,
            lambda: make_form(selector, services.epoch, self._table.parts),
            services.store.may_read if is_restricted else None,
            follower,
        )
        is_again = self._ended_sizes >= ENDED_WATCHES_MAX or selector in self._ended
        return BegunWatch(feed, is_again)

    def terms(self) -> list[tuple[Selector, FormFactory, float | None]]:
        """Return what each watch was begun with."""
        return [
            (selector, watch.make_form, watch.interval_ms)
            for selector, watch in self._watches.items()
        ]

    def end(self, selector: Selector) -> None:
        """End the watch of a selector; do nothing if there is none."""
        watch = self._watches.pop(selector, None)
        if watch is None:
            return
        if self._ended_sizes < ENDED_WATCHES_MAX and selector not in self._ended:
            self._ended.add(selector)
            self._ended_sizes += selector.size
        self.size -= selector.size
        self._pattern_count -= selector.pattern is not None
        self._path_count -= selector.path is not None
        self._hub.subscription_count -= selector.size
        self._table.unfollow(watch.feed_id, watch.follower)
        if watch.paced is not None:
            watch.paced.kill()

    def end_last(self) -> None:
        """End the watch that began last; there must be one."""
        self.end(next(reversed(self._watches)))

    def kill(self) -> None:
        """Withhold nothing and await nothing any more: the client has disconnected."""
        self._awaited.clear()
        for watch in self._watches.values():
            if watch.paced is not None:
                watch.paced.kill()

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
