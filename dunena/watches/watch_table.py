"""Which feeds a change belongs to, and the state that a new watch begins with."""

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar

from dunena.hub import MayRead, Subscriber, Topic
from dunena.store.entry import Change, Entry, EntryId
from dunena.store.positions import Removal
from dunena.store.store import Store
from dunena.watches.feed import WatchFeed
from dunena.watches.limits import (
    GLOBS_MAX,
    PART_CHANGES_MAX,
    QUIET_AT_ONCE_MAX,
    QUIET_LOOK_MS,
    QUIET_MS,
)
from dunena.watches.parts import DecodedPath, Parts
from dunena.watches.pending import PendingUpdate
from dunena.watches.selector import Selector
from dunena.watches.updates import KeyState, RequestId, UpdateForm, UpdatePart

_Name = TypeVar("_Name")


class FeedId(NamedTuple):
    """What the watches of one feed have in common.

    ``form`` names the envelope of the updates, ``audience`` the rights (None for all rights).
    """

    selector: Selector
    form: Hashable
    audience: Hashable | None = None
    is_paced: bool = False


class _Prefixes:
    """The feeds of one namespace by the prefix that they watch; "" is the whole namespace.

    Of all prefixes that are not above a key in order, the last is the *nearest*. All prefixes of
    the key are prefixes of the nearest one too. So only these have to be looked at, however many
    others there are, and they are found once.
    """

    __slots__ = ("_count_by_length", "_feeds", "_lengths", "_of_nearest", "_ordered")

    def __init__(self) -> None:
        self._feeds: dict[str, list[WatchFeed]] = {}
        self._ordered: list[str] = []
        self._of_nearest: dict[str, list[str]] = {}  # prefix -> all prefixes of it, as found so far
        self._count_by_length: dict[int, int] = {}
        self._lengths: list[int] = []  # those that occur, the shortest first

    def __bool__(self) -> bool:
        return bool(self._feeds)

    def add(self, prefix: str, feed: WatchFeed) -> None:
        feeds = self._feeds.get(prefix)
        if feeds is not None:
            feeds.append(feed)
            return
        self._feeds[prefix] = [feed]
        insort(self._ordered, prefix)
        self._of_nearest.clear()
        self._count(len(prefix), 1)

    def remove(self, prefix: str, feed: WatchFeed) -> None:
        _take_out(self._feeds, prefix, feed)
        if prefix in self._feeds:
            return
        del self._ordered[bisect_left(self._ordered, prefix)]
        self._of_nearest.clear()
        self._count(len(prefix), -1)

    def find(self, key: str, found: list[WatchFeed]) -> None:
        """Append the feeds of all prefixes of a key, the shortest first."""
        ordered = self._ordered
        index = bisect_right(ordered, key)
        if not index:
            return
        nearest = ordered[index - 1]
        prefixes = self._of_nearest.get(nearest)
        if prefixes is None:
            prefixes = self._of_nearest[nearest] = self._prefixes_of(nearest)
        for prefix in prefixes:
            if not key.startswith(prefix):
                break  # nor does it with the longer ones
            found += self._feeds[prefix]

    def _prefixes_of(self, text: str) -> list[str]:
        """Return the prefixes of a text, the shortest first: a look-up for each length there is."""
        lengths = self._lengths
        heads = [text[:length] for length in lengths[: bisect_right(lengths, len(text))]]
        return [head for head in heads if head in self._feeds]

    def _count(self, length: int, more: int) -> None:
        counts = self._count_by_length
        counts[length] = counts.get(length, 0) + more
        if not counts[length]:
            del counts[length]
        if len(counts) != len(self._lengths):
            self._lengths = sorted(counts)


class _Group:
    """What the changes of a group so far change for one feed."""

    __slots__ = ("changes", "replaced_bytes")

    def __init__(self) -> None:
        self.changes: dict[str, KeyState] = {}
        self.replaced_bytes = 0


class WatchTable:
    """The feeds of one server. `attach` must be called before the first watch.

    `changed` is called with every change, at the moment it is made; ``feed_count`` is 0 while it
    need not be.
    """

    __slots__ = (
        "_by_glob",
        "_by_key",
        "_by_look",
        "_by_prefix",
        "_feeds",
        "_glob_weights",
        "_groups",
        "_make_forms",
        "_now",
        "_published",
        "_rights_revision",
        "_safe_revision",
        "_store",
        "feed_count",
        "parts",
    )

    def __init__(self) -> None:
        self._store: Store
        self._published: list[Topic]
        self._feeds: dict[FeedId, WatchFeed] = {}
        self._make_forms: dict[FeedId, Callable[[], UpdateForm]] = {}
        self._by_key: dict[EntryId, list[WatchFeed]] = {}
        self._by_prefix: dict[str, _Prefixes] = {}
        self._by_glob: dict[str, dict[str, list[WatchFeed]]] = {}  # namespace -> pattern -> feeds
        self._glob_weights = 0
        self._groups: dict[WatchFeed, _Group] = {}
        self._now = 0
        self._by_look: OrderedDict[WatchFeed, int] = OrderedDict()  # -> when to look if it is quiet
        self._rights_revision = -1  # positions up to here may be of other rights
        self._safe_revision = 0  # every feed was told a position from here on
        self.feed_count = 0
        self.parts = Parts(self._pointers_of, lambda: self._store.is_grouping)

    def attach(self, store: Store, published: list[Topic]) -> None:
        """Watch ``store`` from now on; a feed that begins a batch adds itself to ``published``."""
        self._store = store
        self._published = published
        store.on_group_end(self.end_group)

    # --- who watches what ---

    def has_room_for(self, selector: Selector) -> bool:
        """Return whether a selector is permitted besides the patterns that are no prefix."""
        weight = selector.glob_weight
        if not weight or selector.pattern in self._by_glob.get(selector.ns, ()):
            return True
        return self._glob_weights + weight <= GLOBS_MAX

    def follow(
        self,
        feed_id: FeedId,
        make_form: Callable[[], UpdateForm],
        may_read: MayRead | None,
        follower: Subscriber,
    ) -> WatchFeed:
        """Send the updates of a feed to ``follower`` from now on; the feed is made if needed."""
        feed = self._feeds.get(feed_id)
        if feed is None:
            feed = WatchFeed(
                feed_id.selector, make_form(), self._published, may_read, is_paced=feed_id.is_paced
            )
            self._feeds[feed_id] = feed
            self._make_forms[feed_id] = make_form
            self._by_look[feed] = 0
            self._enter(feed)
            self.feed_count += 1
        feed.add(follower)
        return feed

    def unfollow(self, feed_id: FeedId, follower: Subscriber) -> None:
        """Send no more updates to ``follower``; do nothing if it does not follow the feed."""
        feed = self._feeds.get(feed_id)
        if feed is None:
            return
        feed.remove(follower)
        if not len(feed):
            del self._feeds[feed_id]
            del self._make_forms[feed_id]
            self._groups.pop(feed, None)
            del self._by_look[feed]
            self._leave(feed)
            self.feed_count -= 1

    # --- changes ---

    def changed(self, change: Change, now: int) -> None:
        """Tell the feeds of a change; within a group, remember it for them."""
        self._now = now
        if change.cleared is not None:
            self._groups = {}  # what the present group has changed so far is gone
            self._tell_of_clear(change)
            return
        feeds = self.feeds_of(change.ns, change.key)
        if not feeds:
            return
        told: KeyState = change.entry or Removal(
            change.revision, change.ns, change.key, change.kind
        )
        replaced = change.replaced
        replaced_bytes = 0 if replaced is None else replaced.memory_bytes
        for feed in feeds:
            if not feed.is_told_of(change):
                continue
            if self._store.is_grouping:
                group = self._groups.get(feed)
                if group is None:
                    group = self._groups[feed] = _Group()
                group.changes[change.key] = told
                group.replaced_bytes += replaced_bytes
            else:
                feed.tell(UpdatePart([told], change.revision, now, replaced_bytes=replaced_bytes))

        if self.parts and not self._store.is_grouping:
            self.parts.trim()

    def end_group(self) -> None:
        """Tell each feed of what a group of changes, which is complete, changed for it."""
        groups, self._groups = self._groups, {}
        for feed, group in groups.items():
            feed.tell(
                UpdatePart(
                    list(group.changes.values()),
                    self._store.revision,
                    self._now,
                    replaced_bytes=group.replaced_bytes,
                )
            )
        if self.parts:
            self.parts.trim()

    def feeds_of(self, ns: str, key: str) -> list[WatchFeed]:
        """Return the feeds whose selectors match a key."""
        found: list[WatchFeed] = []
        by_key = self._by_key.get((ns, key))
        if by_key is not None:
            found += by_key
        prefixes = self._by_prefix.get(ns)
        if prefixes is not None:
            prefixes.find(key, found)
        globs = self._by_glob.get(ns)
        if globs is not None:
            for feeds in globs.values():
                if feeds[0].matches(key):
                    found += feeds
        return found

    # --- positions of quiet watches ---

    def tell_quiet(self, now: int) -> None:
        """Tell the present position to feeds that were told nothing for long; ``now`` is Unix ms.

        Also to those whose position could soon not be continued, as removals are forgotten. To be
        called regularly, in a tick.
        """
        for _ in range(QUIET_AT_ONCE_MAX):
            if not self._by_look or next(iter(self._by_look.values())) > now:
                break
            feed, _ = self._by_look.popitem(last=False)
            self._by_look[feed] = now + QUIET_LOOK_MS
            if feed.told_at + QUIET_MS <= now:
                self._tell_position(feed, now)
        forgotten_soon = self._store.positions.forgotten_soon
        if forgotten_soon > self._safe_revision:
            self._safe_revision = forgotten_soon
            for feed in self._by_look:
                if feed.told_revision < forgotten_soon:
                    self._tell_position(feed, now)

    def _tell_position(self, feed: WatchFeed, now: int) -> None:
        feed.tell_position(self._store.revision, now)
        # What follows in this tick may be taken back, this not.
        feed.end_batch()

    # --- the state that a watch begins with ---

    def forget_positions(self) -> None:
        """Continue no position that was told so far: its reader may have other rights since."""
        self._rights_revision = self._store.revision

    def begin_anew(self, now: int) -> None:
        """Tell all feeds the whole state, with a reset: the store is in another epoch.

        What the present group has changed so far is part of that. ``now`` is Unix ms.
        """
        self._groups = {}
        self._rights_revision = -1
        self._safe_revision = 0
        for feed_id, feed in list(self._feeds.items()):
            feed.form = self._make_forms[feed_id]()
            shows = self._filter(feed, now, may_be_overdue=True)
            told = [state for state in self._standing(feed) if shows is None or shows(state)]
            feed.tell(UpdatePart(told, self._store.revision, now, is_reset=True))

    def first_update(
        self, feed: WatchFeed, since: int | None, now: int, request_id: RequestId = None
    ) -> PendingUpdate:
        """Return the update from the state at revision ``since`` to the present one.

        It is the whole present state, with a reset, if ``since`` is None or cannot be continued.
        """
        store, ns = self._store, feed.selector.ns
        difference = None
        if since is not None and since > self._rights_revision:
            difference = store.positions.since(since)
        told: list[KeyState]
        if difference is None:
            told = self._standing(feed)
        else:
            told = [*difference.entries, *difference.removals]
            told = [state for state in told if state.ns == ns]
        shows = self._filter(feed, now, may_be_overdue=difference is None)
        if shows is not None and len(told) <= PART_CHANGES_MAX:
            told = [state for state in told if shows(state)]
            shows = None
        told.reverse()
        feed.told_revision = max(feed.told_revision, store.revision)
        feed.told_at = max(feed.told_at, now)
        return PendingUpdate(
            feed,
            told,
            store.revision,
            now,
            is_reset=difference is None,
            request_id=request_id,
            shows=shows,
        )

    def _standing(self, feed: WatchFeed) -> list[KeyState]:
        """Return the entries of a namespace; if the feed names its keys, the entries of these."""
        standing = self._store.table.namespaces.get(feed.selector.ns, {})
        named_keys = feed.selector.named_keys
        if named_keys is not None:
            return [standing[key] for key in sorted(named_keys) if key in standing]
        return list(standing.values())

    def _filter(
        self, feed: WatchFeed, now: int, *, may_be_overdue: bool
    ) -> Callable[[KeyState], object] | None:
        """Return a function that says what of a namespace a feed is told of; None for all.

        Nothing ``may_be_overdue`` that a read would not return.
        """
        matches, may_read, ns = feed.matches, feed.may_read, feed.selector.ns
        is_any = feed.selector.prefix == ""

        def shows(state: KeyState) -> bool:
            return bool(
                (is_any or matches(state.key)) and (may_read is None or may_read(ns, state.key))
            )

        def stands(state: KeyState) -> bool:
            # One that becomes something else is about to be changed, the others are about to go.
            if isinstance(state, Entry) and state.then is None and state.expires_at is not None:
                return state.expires_at > now and shows(state)
            return shows(state)

        if may_be_overdue and self._store.next_deadline <= now:
            return stands
        return None if is_any and may_read is None else shows

    # --- inside ---

    def _pointers_of(self, entry: Entry) -> set[DecodedPath]:
        """Return what is watched of the values of a key."""
        pointers = [feed.form.pointer for feed in self.feeds_of(entry.ns, entry.key)]
        return {pointer for pointer in pointers if pointer is not None}

    def _tell_of_clear(self, change: Change) -> None:
        cleared = change.cleared or {}
        self.end_group()
        for feed in list(self._feeds.values()):
            named_keys = feed.selector.named_keys
            keys = cleared.get(feed.selector.ns, {})
            if named_keys is None or any(key in keys and feed.shows(key) for key in named_keys):
                feed.tell(UpdatePart([], change.revision, self._now, is_reset=True))

    def _enter(self, feed: WatchFeed) -> None:
        selector = feed.selector
        named_keys, prefix = selector.named_keys, selector.prefix
        if named_keys is not None:
            for key in named_keys:
                self._by_key.setdefault((selector.ns, key), []).append(feed)
        elif prefix is not None:
            self._by_prefix.setdefault(selector.ns, _Prefixes()).add(prefix, feed)
        else:
            assert selector.pattern is not None
            globs = self._by_glob.setdefault(selector.ns, {})
            if selector.pattern not in globs:
                self._glob_weights += selector.glob_weight
            globs.setdefault(selector.pattern, []).append(feed)

    def _leave(self, feed: WatchFeed) -> None:
        selector = feed.selector
        named_keys, prefix = selector.named_keys, selector.prefix
        if named_keys is not None:
            for key in named_keys:
                _take_out(self._by_key, (selector.ns, key), feed)
        elif prefix is not None:
            prefixes = self._by_prefix[selector.ns]
            prefixes.remove(prefix, feed)
            if not prefixes:
                del self._by_prefix[selector.ns]
        else:
            assert selector.pattern is not None
            globs = self._by_glob[selector.ns]
            _take_out(globs, selector.pattern, feed)
            if selector.pattern not in globs:
                self._glob_weights -= selector.glob_weight
            if not globs:
                del self._by_glob[selector.ns]


def _take_out(feeds: dict[_Name, list[WatchFeed]], name: _Name, feed: WatchFeed) -> None:
    """Remove a feed from a list in a dict, and the list if it was the last."""
    listed = feeds[name]
    listed.remove(feed)
    if not listed:
        del feeds[name]
