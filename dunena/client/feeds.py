"""The sources behind feeds: updates of keys, events and messages that wait to be read."""

import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from dunena.client.errors import ClosedError, Error, TooSlowError

CACHE_EVENTS = "cache-events"
"""The channel of changes, whose messages are `Event`."""

UPDATES_PENDING_MAX = 1000
"""Updates that may wait to be read; beyond it, only the newest of each key is kept."""

EVENTS_PENDING_MAX = 100_000
"""Events that may wait to be read; beyond it the feed fails, as no event may be dropped."""

MESSAGES_PENDING_MAX = 10_000
"""Messages of a channel that may wait to be read; beyond it the oldest are dropped and counted."""

MISSING = b""
"""The raw update of a key without a value."""


class Update(NamedTuple):
    """The value of a key; None if it has none."""

    key: str
    value: Any


class KeyChange(NamedTuple):
    """What a key has become: a value, stored at a revision.

    For a key that is gone ``value`` is None and ``event`` is delete or expired; else ``event`` is
    None.
    """

    rev: int
    value: Any
    event: str | None


class StateUpdate(NamedTuple):
    """What has changed in the watched keys from one position to the next, ``rev`` of ``epoch``.

    With the changes applied, the keys are exactly what was stored at that position. ``reset``: the
    changes are all there is, and what was said before does not hold any more.
    """

    changes: dict[str, KeyChange]
    rev: int
    epoch: str
    reset: bool


class Event(NamedTuple):
    """A change of any key, without its value.

    ``event`` is set, delete, expired or clear; a clear has no key. ``size`` is the size of the JSON
    of a set value in bytes. ``timestamp`` is Unix ms by the server's clock.
    """

    event: str
    key: str | None
    ns: str
    size: int | None
    timestamp: int


class ChannelMessage(NamedTuple):
    """What was published to a channel.

    ``missed`` is how many messages directly before this one did not come, as they were read too
    slowly; infinite if the connection was lost before it, so that nobody can know. ``timestamp`` is
    Unix ms by the server's clock.
    """

    data: Any
    missed: float
    timestamp: int


class HistoryEntry(NamedTuple):
    """A value of a key, stored at a revision; ``timestamp`` is Unix ms by the server's clock."""

    rev: int
    timestamp: int
    value: Any


def value_of(raw: bytes) -> Any:
    """Decode the value in a raw update, a new object at each call; None if there is no value."""
    return orjson.loads(raw)["value"] if raw else None


Item = TypeVar("Item", Update, StateUpdate, Event, ChannelMessage)
Pending = TypeVar("Pending")
Signal = TypeVar("Signal")


class Source(ABC, Generic[Pending]):
    """A queue of items to be read. ``wake`` is called when an item arrives or the queue ends."""

    __slots__ = ("_pending", "error", "is_closed", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.error: Error | None = None
        self.is_closed = False
        self._pending: deque[Pending] = deque()

    @property
    def is_ended(self) -> bool:
        """Whether the source has ended because the feed or the store was closed."""
        return self.is_closed or isinstance(self.error, ClosedError)

    def fail(self, error: Error) -> None:
        """End the source with ``error``, which is raised after the waiting items were read."""
        self.error = self.error or error
        self.wake()

    @abstractmethod
    def take(self) -> Any:
        """Return the next item; None if none waits. Raise the error of `fail`."""

    def _take_pending(self) -> Pending | None:
        """Remove and return the oldest item; None if none waits. Raise the error of `fail`."""
        if self._pending:
            return self._pending.popleft()
        if self.error is not None:
            raise self.error
        return None


class Watch(Source[tuple[str, bytes]]):
    """The updates of some keys that wait to be read."""

    __slots__ = ("_told", "_unsure", "keys", "ns")

    def __init__(self, keys: Iterable[str], ns: str, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self.keys = tuple(dict.fromkeys(keys))
        self.ns = ns
        self._told: dict[str, bytes] = {}
        self._unsure = {key for key in self.keys if "*" in key or "?" in key}

    def tell(self, key: str, raw: bytes, *, may_be_known: bool) -> None:
        """Queue a raw update of a key.

        ``may_be_known``: it is the first after a new connection, and is left out if its value is
        that of the update before.
        """
        before = self._told.get(key)
        self._told[key] = raw
        if may_be_known and before is not None and _is_same(before, raw):
            return
        self._pending.append((key, raw))
        if len(self._pending) > max(UPDATES_PENDING_MAX, 2 * len(self.keys)):
            self._conflate()
        self.wake()

    def take(self) -> Update | None:
        """Return the next update; None if none waits. Raise the error of `fail`."""
        pending = self._take_pending()
        if pending is None:
            return None
        key, raw = pending
        if key in self._unsure:
            self._unsure.discard(key)
            if raw == MISSING:
                _warn_of_pattern(key)
        return Update(key, value_of(raw))

    def _conflate(self) -> None:
        """Keep the newest update of each key, in the order of the last changes."""
        newest: dict[str, bytes] = {}
        for key, raw in self._pending:
            newest.pop(key, None)
            newest[key] = raw
        self._pending = deque(newest.items())


def _warn_of_pattern(key: str) -> None:
    """Warn that ``key`` does not exist and looks like a pattern, which is another argument."""
    text = f"There is no key {key}; a pattern is watched with pattern={key!r}"
    warnings.warn(text, stacklevel=4)  # the user's loop


class Events(Source[Event]):
    """The events that wait to be read."""

    __slots__ = ()

    def tell(self, message: dict[str, Any]) -> None:
        """Queue an event as the server sent it; fail with `TooSlowError` if too many wait."""
        if len(self._pending) >= EVENTS_PENDING_MAX:
            self.fail(TooSlowError("Events are read too slowly"))
            return
        data = message["data"]
        event = message["event"], data.get("key"), data.get("ns", ""), data.get("size")
        self._pending.append(Event(*event, message["timestamp"]))
        self.wake()

    def take(self) -> Event | None:
        """Return the next event; None if none waits. Raise the error of `fail`."""
        return self._take_pending()


class Messages(Source[tuple[bytes, float]]):
    """The messages of a channel that wait to be read, as received, and what was missed before."""

    __slots__ = ("_missed", "channel", "is_begun")

    def __init__(self, channel: str, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self.channel = channel
        self.is_begun = False
        self._missed: float = 0

    def tell(self, raw: bytes, message: dict[str, Any]) -> None:
        """Queue a message, or count those that the server says were missed."""
        if message["event"] == "gap":
            self._missed += message["data"]["missed"]
            return
        self._pending.append((raw, self._missed))
        self._missed = 0
        if len(self._pending) > MESSAGES_PENDING_MAX:
            _, missed = self._pending.popleft()
            after, missed_after = self._pending[0]
            self._pending[0] = after, missed + 1 + missed_after
        self.wake()

    def lose(self) -> None:
        """Note that the connection was lost: what is published until the next one is missed."""
        if self.is_begun:
            self._missed = inf

    def take(self) -> ChannelMessage | None:
        """Return the next message; None if none waits. Raise the error of `fail`."""
        pending = self._take_pending()
        if pending is None:
            return None
        raw, missed = pending
        message = orjson.loads(raw)
        return ChannelMessage(message["data"], missed, message["timestamp"])


class BaseFeed(Generic[Item, Signal]):
    """The common part of the feeds of both shells.

    ``signal`` is the event or condition that the source's ``wake`` sets; ``unfollow`` is the method
    of `ClientProtocol`.
    """

    def __init__(
        self,
        source: Source[Any],
        signal: Signal,
        unfollow: Callable[[Source[Any]], None],
    ) -> None:
        self._source = source
        self._signal = signal
        self._unfollow = unfollow

    def __del__(self) -> None:
        # This runs at any moment in any thread: the protocol unfollows it at its next beat.
        self._source.is_closed = True


def _is_same(raw: bytes, other: bytes) -> bool:
    """Return whether two raw updates have the same value, with the same order of members."""
    if raw == other:
        return True
    if not raw or not other:
        return False
    return orjson.dumps(value_of(raw)) == orjson.dumps(value_of(other))
