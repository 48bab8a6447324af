"""What a client is told without asking each time: the values of watched keys, and events."""

import warnings
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from dunena.client.errors import ClosedError, Error, TooSlowError

UPDATES_PENDING_MAX = 1000
"""Updates that wait to be taken; past it, only the newest of each key goes on waiting."""

EVENTS_PENDING_MAX = 100_000
"""Events that wait to be taken; each means something, so that none can be left out."""

MISSING = b""
"""What stands for the update of a key without a value."""


class Update(NamedTuple):
    """The value of a key; None where there is none."""

    key: str
    value: Any


class Event(NamedTuple):
    """A change of any key, without its value.

    ``event`` is set, delete, expired or clear; a clear has no key. ``size``: bytes of the value's
    text, of a set. ``timestamp``: Unix ms, by the server's clock.
    """

    event: str
    key: str | None
    ns: str
    size: int | None
    timestamp: int


def value_of(raw: bytes) -> Any:
    """The value in an update as it came, a fresh one each time; None if there is none."""
    return orjson.loads(raw)["value"] if raw else None


Item = TypeVar("Item", Update, Event)
Pending = TypeVar("Pending")
Signal = TypeVar("Signal")


class Source(Generic[Pending]):
    """What waits to be taken. ``wake`` is called when there is something, or the end."""

    __slots__ = ("_pending", "error", "is_closed", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.error: Error | None = None
        self.is_closed = False
        self._pending: deque[Pending] = deque()

    @property
    def is_ended(self) -> bool:
        """Whether nothing comes any more because somebody wanted it so."""
        return self.is_closed or isinstance(self.error, ClosedError)

    def fail(self, error: Error) -> None:
        """It ends with an error, once what came before was taken."""
        self.error = self.error or error
        self.wake()

    def _take_pending(self) -> Pending | None:
        """The oldest; None if there is none yet. Raise what it ended with."""
        if self._pending:
            return self._pending.popleft()
        if self.error is not None:
            raise self.error
        return None


class Watch(Source[tuple[str, bytes]]):
    """The updates of some keys that wait to be taken."""

    __slots__ = ("_told", "_unsure", "keys", "ns")

    def __init__(self, keys: Iterable[str], ns: str, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self.keys = tuple(dict.fromkeys(keys))
        self.ns = ns
        self._told: dict[str, bytes] = {}
        self._unsure = {key for key in self.keys if "*" in key or "?" in key}

    def tell(self, key: str, raw: bytes, *, may_be_known: bool) -> None:
        """An update came; after a while away it may be the one that was told last."""
        before = self._told.get(key)
        self._told[key] = raw
        if may_be_known and before is not None and _is_same(before, raw):
            return
        self._pending.append((key, raw))
        if len(self._pending) > max(UPDATES_PENDING_MAX, 2 * len(self.keys)):
            self._conflate()
        self.wake()

    def take(self) -> Update | None:
        """The next update; None if there is none yet. Raise what it ended with."""
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
        """Keep the newest of each key, in the order of their last changes."""
        newest: dict[str, bytes] = {}
        for key, raw in self._pending:
            newest.pop(key, None)
            newest[key] = raw
        self._pending = deque(newest.items())


def _warn_of_pattern(key: str) -> None:
    """Nothing has this name: it is probably not meant as one."""
    text = f"There is no key {key}, and watch takes no patterns: keys lists those that match"
    warnings.warn(f"{text}, and events tells each change", stacklevel=4)  # where it is iterated


class Events(Source[Event]):
    """The events that wait to be taken."""

    __slots__ = ()

    def tell(self, message: dict[str, Any]) -> None:
        """An event came."""
        if len(self._pending) >= EVENTS_PENDING_MAX:
            self.fail(TooSlowError("Events are read too slowly"))
            return
        data = message["data"]
        event = message["event"], data.get("key"), data.get("ns", ""), data.get("size")
        self._pending.append(Event(*event, message["timestamp"]))
        self.wake()

    def take(self) -> Event | None:
        """The next event; None if there is none yet. Raise what it ended with."""
        return self._take_pending()


class BaseFeed(Generic[Item, Signal]):
    """What the feeds of both shells have.

    ``signal`` is what the shell's `wake` wakes; ``unfollow`` is that of `ClientProtocol`.
    """

    def __init__(
        self,
        source: Watch | Events,
        signal: Signal,
        unfollow: Callable[[Watch | Events], None],
    ) -> None:
        self._source = source
        self._signal = signal
        self._unfollow = unfollow

    def __del__(self) -> None:
        # Any moment and any thread: the protocol lets go of it at its next beat.
        self._source.is_closed = True


def _is_same(raw: bytes, other: bytes) -> bool:
    """Whether two updates have the same value, members of objects in the same order."""
    if raw == other:
        return True
    if not raw or not other:
        return False
    return orjson.dumps(value_of(raw)) == orjson.dumps(value_of(other))
