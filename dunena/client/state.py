"""Watches of state in the client: what the server told of each, and what waits to be read.

Several feeds may follow the same selection. They share a `FollowedState`, which has the state that
the server told last: it puts the parts of an update together, and finds out what is different after
a lost connection. Each feed has a source, in which the differences wait to be read.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple

import orjson

from dunena.client.errors import Error
from dunena.client.feeds import (
    MISSING,
    UPDATES_PENDING_MAX,
    Item,
    KeyChange,
    Source,
    StateUpdate,
    Update,
)
from dunena.client.requests import FollowedKey, KeyId, PendingRequest, encoded

_DELETE = "delete"
"""The event of a key of which only is known that it is not there any more."""


class Selection(NamedTuple):
    """What a watch asks for, and how updates name it: one of ``key``, ``keys`` and ``pattern``."""

    ns: str
    key: str | None = None
    keys: tuple[str, ...] | None = None
    pattern: str | None = None
    path: str | None = None

    @classmethod
    def of(cls, keys: Iterable[str], pattern: str | None, path: str | None, ns: str) -> "Selection":
        """Select keys or a pattern; raise `ValueError` if it is not exactly one of both."""
        names = tuple(sorted(set(keys)))
        if (pattern is None) == (not names):
            raise ValueError("give keys or a pattern")
        if len(names) == 1:
            return cls(ns, key=names[0], path=path)
        return cls(ns, keys=names or None, pattern=pattern, path=path)

    @classmethod
    def in_message(cls, fields: dict[str, Any]) -> "Selection":
        """Return what a message's fields select."""
        keys = fields.get("keys")
        return cls(
            fields.get("ns", ""),
            fields.get("key"),
            None if keys is None else tuple(keys),
            fields.get("pattern"),
            fields.get("path"),
        )

    @property
    def named_keys(self) -> tuple[str, ...]:
        """The keys that it names; none if it is a pattern."""
        return (self.key,) if self.key is not None else self.keys or ()

    def message(self, action: str, **fields: object) -> bytes:
        """Encode a message about it; leave out fields that are None.

        Raise `TypeError` for a name that JSON cannot express.
        """
        given = {**self._asdict(), "ns": self.ns or None, **fields}
        message = {name: value for name, value in given.items() if value is not None}
        return orjson.dumps({"action": action, **message})


class ToldKey(NamedTuple):
    """What the server told of a key: ``raw`` is the JSON of its value, or `MISSING`."""

    rev: int
    raw: bytes
    event: str | None = None

    def decode(self) -> KeyChange:
        """Return it as a change, with a new object for the value."""
        return KeyChange(self.rev, orjson.loads(self.raw) if self.raw else None, self.event)


class _ToldUpdate(NamedTuple):
    """A step to a position: what is different at it. ``reset``: that is all there is."""

    changes: dict[str, ToldKey]
    epoch: str
    rev: int
    reset: bool


class StateSource(Source[_ToldUpdate], Generic[Item]):
    """The updates of a watch that wait to be read; ``rate_max`` is how many a second are wanted.

    Raise `TypeError` for names or a number that JSON cannot express.

    When many changes wait, they become one update, with the newest change of each key. So what
    waits is bounded: by twice the keys that the reader knows of or that exist, or by
    `UPDATES_PENDING_MAX` changes.
    """

    __slots__ = (
        "_change_count",
        "_change_count_max",
        "_known",
        "is_begun",
        "rate_max",
        "selection",
    )

    def __init__(
        self, selection: Selection, rate_max: float | None, wake: Callable[[], None]
    ) -> None:
        super().__init__(wake)
        # Later the error would end a connection, and no caller would get it.
        selection.message("watch", maxRate=encoded(rate_max))
        self.selection = selection
        self.rate_max = rate_max
        self.is_begun = False
        self._known: set[str] = set()  # the keys that exist according to what was read
        self._change_count = 0
        self._change_count_max = UPDATES_PENDING_MAX

    def tell(self, update: _ToldUpdate, standing: Mapping[str, ToldKey]) -> None:
        """Queue an update, which leads to the state ``standing``; the first has all of it."""
        self.is_begun = True
        self._pending.append(update)
        self._change_count += len(update.changes)
        if self._change_count > self._change_count_max:
            self._merge(standing)
        self.wake()

    def _next_update(self) -> _ToldUpdate | None:
        """Take the next update from the queue; None if none waits. Raise the error of `fail`."""
        update = self._take_pending()
        if update is None:
            return None
        self._change_count -= len(update.changes)
        if not self._pending:
            self._change_count_max = UPDATES_PENDING_MAX
        for key, told in update.changes.items():
            if told.raw:
                self._known.add(key)
            else:
                self._known.discard(key)
        return update

    def _merge(self, standing: Mapping[str, ToldKey]) -> None:
        """Make one update of those that wait; leave out keys that came and went meanwhile."""
        first, last = self._pending[0], self._pending[-1]
        changes: dict[str, ToldKey] = {}
        for update in self._pending:
            for key, told in update.changes.items():
                changes.pop(key, None)
                if key in standing:
                    # In another epoch a value that stayed the same has another revision.
                    changes[key] = standing[key]
                elif key in self._known:
                    is_of_now = update.epoch == last.epoch
                    changes[key] = told if is_of_now else told._replace(rev=last.rev)
        self._pending.clear()
        if changes or first.reset:
            self._pending.append(_ToldUpdate(changes, last.epoch, last.rev, first.reset))
        self._change_count = len(changes)
        self._change_count_max = max(UPDATES_PENDING_MAX, 2 * len(changes))


class StateUpdates(StateSource[StateUpdate]):
    """The updates of a watch, to be read as a whole."""

    __slots__ = ()

    def take(self) -> StateUpdate | None:
        """Return the next update; None if none waits. Raise the error of `fail`."""
        update = self._next_update()
        if update is None:
            return None
        changes = {key: told.decode() for key, told in update.changes.items()}
        return StateUpdate(changes, update.rev, update.epoch, update.reset)


class StateWatch(StateSource[Update]):
    """The updates of a watch, to be read key by key; also of keys that it names and that miss."""

    __slots__ = ("_opened",)

    def __init__(
        self, selection: Selection, rate_max: float | None, wake: Callable[[], None]
    ) -> None:
        super().__init__(selection, rate_max, wake)
        self._opened: deque[tuple[str, bytes]] = deque()  # the update that is being read

    def take(self) -> Update | None:
        """Return the next change; None if none waits. Raise the error of `fail`."""
        while not self._opened:
            update = self._next_update()
            if update is None:
                return None
            self._opened.extend((key, told.raw) for key, told in update.changes.items())
            if update.reset:
                named = self.selection.named_keys
                self._opened.extend((key, MISSING) for key in named if key not in update.changes)
        key, raw = self._opened.popleft()
        return Update(key, orjson.loads(raw) if raw else None)


class FollowedState:
    """A selection that is followed, by ``sources``, and the state of it that was told last.

    ``is_live`` tells whether its watch has begun on this connection. ``error`` is why the server
    refused it.
    """

    __slots__ = (
        "_asked_rate_max",
        "_epoch",
        "_is_continued",
        "_request_id",
        "_rev",
        "_standing",
        "_unfinished",
        "_unfinished_resets",
        "error",
        "is_live",
        "selection",
        "sources",
    )

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.sources: list[StateSource[Any]] = []
        self.is_live = False
        self.error: Error | None = None
        self._request_id = 0
        self._asked_rate_max: float | None = None
        # The state at a position; the epoch is "" before the first update.
        self._epoch = ""
        self._rev = 0
        self._standing: dict[str, ToldKey] = {}
        # The update of which parts are still to come, and whether it is the first of a watch:
        self._unfinished: dict[str, ToldKey] = {}
        self._unfinished_resets = False
        self._is_continued = False

    @property
    def rate_max(self) -> float | None:
        """The updates a second that are asked for: the most that a source wants, None for all."""
        rates = [source.rate_max for source in self.sources]
        known = [rate for rate in rates if rate is not None]
        return None if len(known) < len(rates) else max(known, default=None)

    def begin(self, request_id: int) -> bytes:
        """Return the message that begins its watch, from the position on that it has."""
        self._request_id = request_id
        self._asked_rate_max = rate_max = self.rate_max
        since = {"epoch": self._epoch, "rev": self._rev} if self._epoch else None
        return self.selection.message("watch", maxRate=rate_max, since=since, id=request_id)

    @property
    def is_too_slow(self) -> bool:
        """Whether a source wants more updates a second than were asked for."""
        asked, wanted = self._asked_rate_max, self.rate_max
        return asked is not None and (wanted is None or wanted > asked)

    def add(self, source: StateSource[Any]) -> None:
        """Let a source follow; it is told the state as soon as that is known."""
        self.sources.append(source)
        if self.is_live and self._epoch:
            self._begin_source(source)

    def lose(self) -> None:
        """Forget what is not complete: the connection ended."""
        self.is_live = self._is_continued = False
        self._unfinished, self._unfinished_resets = {}, False

    def fail(self, error: Error) -> None:
        """End all sources with the error with which the server refused the watch."""
        self.error = error
        for source in self.sources:
            source.fail(error)

    def take(self, update: dict[str, Any], request_id: object) -> None:
        """Take an update, or a part of one. The first of a watch has the number of its request."""
        if request_id is not None:
            self.is_live = self.is_live or request_id == self._request_id
            self._unfinished, self._unfinished_resets = {}, False
            self._is_continued = True
        if not self.is_live:
            return  # it is of a watch that has ended
        if update.get("reset"):
            self._unfinished, self._unfinished_resets = {}, True
        for change in update["changes"]:
            raw = orjson.dumps(change["value"]) if "value" in change else MISSING
            self._unfinished[change["key"]] = ToldKey(change["rev"], raw, change.get("event"))
        if not update.get("more"):
            self._complete(update["epoch"], update["rev"])

    # --- inside ---

    def _complete(self, epoch: str, rev: int) -> None:
        """Apply an update of which all parts are there, and tell the sources what is different."""
        told, is_reset = self._unfinished, self._unfinished_resets
        is_continued, self._is_continued = self._is_continued, False
        self._unfinished, self._unfinished_resets = {}, False
        self._epoch, self._rev = epoch, rev
        if is_reset:
            different = self._replace_by(told)
        else:
            different = self._change_by(told, is_continued=is_continued)
        for source in self.sources:
            if not source.is_begun:
                self._begin_source(source)
            elif different:
                source.tell(_ToldUpdate(different, epoch, rev, reset=False), self._standing)

    def _begin_source(self, source: StateSource[Any]) -> None:
        whole = _ToldUpdate(dict(self._standing), self._epoch, self._rev, reset=True)
        source.tell(whole, self._standing)

    def _replace_by(self, told: dict[str, ToldKey]) -> dict[str, ToldKey]:
        """Take ``told`` as all there is; return what is different from the state before."""
        before, self._standing = self._standing, told
        gone = ToldKey(self._rev, MISSING, _DELETE)
        different = {key: gone for key in before if key not in told}
        for key, now in told.items():
            old = before.get(key)
            if old is None or old.raw != now.raw:
                different[key] = now
        return different

    def _change_by(self, told: dict[str, ToldKey], *, is_continued: bool) -> dict[str, ToldKey]:
        """Apply changes; return those that are different from the state before.

        ``is_continued``: it is the first update since a position, and some of it may be known.
        """
        different: dict[str, ToldKey] = {}
        for key, now in told.items():
            old = self._standing.get(key)
            if old is not None and now.rev <= old.rev:
                continue
            if now.raw:
                self._standing[key] = now
                if is_continued and old is not None and old.raw == now.raw:
                    continue
            elif self._standing.pop(key, None) is None:
                continue
            different[key] = now
        return different


class StateRequest(PendingRequest):
    """The request that begins or continues the watch of a selection."""

    __slots__ = ("followed",)

    def __init__(self, followed: FollowedState) -> None:
        super().__init__(is_kept=False)
        self.followed = followed

    def begin(self, request_id: int, followed_keys: dict[KeyId, FollowedKey]) -> list[bytes]:
        """Start the request on a connection; return the frames to send before its ping."""
        super().begin(request_id, followed_keys)
        return [self.followed.begin(request_id)]

    def finish(self, error: Error | None = None) -> None:
        """Pass an error to the feeds; without one, the first update has come or will."""
        if error is not None:
            self.followed.fail(error)
        super().finish(error)
