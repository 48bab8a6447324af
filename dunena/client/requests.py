"""One request of a client: what to send for it, and what its answer means.

The object-store dialect answers no write and numbers nothing. So each request is its frames and a
numbered `ping` of the other dialect behind them: what comes before the `pong` and after the one
before it belongs to this request, and a key of which nothing came by then has no value.
"""

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

import orjson

from dunena.client.errors import Error
from dunena.client.feeds import MISSING, Watch

KeyId = tuple[str, str]
"""Namespace and key."""


def frame(kind: str, name: str, key_id: KeyId, **fields: object) -> bytes:
    """A message about a key; fields that are None are left out."""
    ns, key = key_id
    message: dict[str, object] = {kind: name, "key": key}
    if ns:
        message["ns"] = ns
    message.update((field, value) for field, value in fields.items() if value is not None)
    return orjson.dumps(message)


def encoded(value: Any) -> orjson.Fragment:
    """A value as JSON; raise `TypeError` where JSON has nothing like it."""
    text = orjson.dumps(value)
    # orjson writes NaN as null, and what is stored must be what was given.
    if b"null" in text and _has_no_number(value):
        raise TypeError("NaN and Infinity are no JSON")
    return orjson.Fragment(text)


def _has_no_number(value: Any) -> bool:
    """Whether there is a NaN or an Infinity in it."""
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_no_number, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_no_number, value))


def action(name: str, key_id: KeyId, **fields: object) -> bytes:
    """A message of the object-store dialect."""
    return frame("action", name, key_id, **fields)


def is_printable(*names: str) -> bool:
    """Whether the dunena dialect has these names: printable ASCII, as its document says."""
    return all(name.isascii() and name.isprintable() for name in names)


class FollowedKey:
    """A key that is followed: by watches, and by reads that wait for their answer.

    ``raw``: its latest update as it came; ``is_live``: whether that is the current one.
    """

    __slots__ = ("holds", "is_live", "key_id", "raw", "watches")

    def __init__(self, key_id: KeyId) -> None:
        self.key_id = key_id
        self.watches: list[Watch] = []
        self.holds = 0
        self.is_live = False
        self.raw = MISSING

    def show(self, raw: bytes) -> None:
        """This is its value now."""
        was_live = self.is_live
        self.is_live, self.raw = True, raw
        for watch in self.watches:
            watch.tell(self.key_id[1], raw, may_be_known=not was_live)


class PendingRequest:
    """Frames that are sent as they are. ``on_done`` is called once, when it has an answer.

    ``is_kept``: sent again on the next connection if this one ends before the answer.
    """

    __slots__ = ("answer", "error", "frames", "id", "is_done", "is_kept", "on_done")

    def __init__(self, frames: Iterable[bytes] = (), *, is_kept: bool = True) -> None:
        self.frames = list(frames)
        self.id = 0
        self.answer: Any = None
        self.error: Error | None = None
        self.is_done = False
        self.is_kept = is_kept
        self.on_done: Callable[[], None] | None = None

    def begin(self, request_id: int, followed_keys: dict[KeyId, FollowedKey]) -> list[bytes]:
        """What to send, on this connection."""
        self.id, self.answer, self.error = request_id, None, None
        return self.frames

    def wants(self, key_id: KeyId) -> bool:
        """Whether an update of this key is its answer."""
        return False

    def take(self, key_id: KeyId, raw: bytes) -> None:
        """The update that it wants."""

    def end(self) -> list[FollowedKey]:
        """The answer is complete; followed keys that it no longer holds."""
        return []

    def lose(self) -> None:
        """The connection ended before the answer."""

    def finish(self, error: Error | None = None) -> None:
        """It is done, well or with an error."""
        if not self.is_done:
            self.is_done, self.error = True, error
            if self.on_done is not None:
                self.on_done()

    def result(self) -> Any:
        """The answer; raise the error if it is one."""
        if self.error is not None:
            raise self.error
        return self.answer


class Deletion(PendingRequest):
    """Delete a key, by the dialect whose answer says whether there was one."""

    __slots__ = ("_durable", "_place")

    def __init__(self, key_id: KeyId, durable: bool | None) -> None:
        super().__init__()
        self._place = key_id
        self._durable = durable

    def begin(self, request_id: int, followed_keys: dict[KeyId, FollowedKey]) -> list[bytes]:
        """What to send, on this connection."""
        super().begin(request_id, followed_keys)
        return [frame("type", "del", self._place, durable=self._durable, id=request_id)]

    def result(self) -> bool:
        """Whether there was a value."""
        return bool(super().result()["deleted"])


class UnansweredDeletion(PendingRequest):
    """Delete a key by the other dialect, which has no answer to it: it was read just ``before``."""

    __slots__ = ("_before",)

    def __init__(self, key_id: KeyId, durable: bool | None, before: PendingRequest) -> None:
        super().__init__([action("delete", key_id, durable=durable)])
        self._before = before

    def result(self) -> bool:
        """Whether there was a value."""
        super().result()
        return any(self._before.result().values())


class Reading(PendingRequest):
    """The current values of some keys, as updates.

    A key that is not followed is, for a moment: other than a `get`, that tells null from no value.
    One that is followed needs no question: at the `pong` its latest update is the current one.
    """

    __slots__ = ("_asked", "_held", "_places")

    def __init__(self, places: Iterable[KeyId]) -> None:
        super().__init__()
        self._places = list(places)
        self._asked: dict[KeyId, bytes] = {}
        self._held: list[FollowedKey] = []

    def begin(self, request_id: int, followed_keys: dict[KeyId, FollowedKey]) -> list[bytes]:
        """What to send, on this connection."""
        super().begin(request_id, followed_keys)
        self._held = [followed_keys[key_id] for key_id in self._places if key_id in followed_keys]
        for followed_key in self._held:
            followed_key.holds += 1
        self._asked = {key_id: MISSING for key_id in self._places if key_id not in followed_keys}
        return [
            action(name, key_id) for key_id in self._asked for name in ("subscribe", "unsubscribe")
        ]

    def wants(self, key_id: KeyId) -> bool:
        """Whether an update of this key is its answer."""
        return key_id in self._asked

    def take(self, key_id: KeyId, raw: bytes) -> None:
        """The update that it wants."""
        self._asked[key_id] = raw

    def end(self) -> list[FollowedKey]:
        """The answer is complete; followed keys that it no longer holds."""
        found = self._asked | {followed_key.key_id: followed_key.raw for followed_key in self._held}
        self.answer = {key: found[ns, key] for ns, key in self._places}
        held, self._held = self._held, []
        for followed_key in held:
            followed_key.holds -= 1
        return held

    def lose(self) -> None:
        """The connection ended before the answer."""
        self.end()


class Following(PendingRequest):
    """Follow a key: its current value first, then its updates."""

    __slots__ = ("_followed_key",)

    def __init__(self, followed_key: FollowedKey) -> None:
        super().__init__([action("subscribe", followed_key.key_id)], is_kept=False)
        self._followed_key = followed_key

    def wants(self, key_id: KeyId) -> bool:
        """Whether an update of this key is its answer."""
        return key_id == self._followed_key.key_id

    def take(self, key_id: KeyId, raw: bytes) -> None:
        """The update that it wants."""
        self._followed_key.show(raw)

    def finish(self, error: Error | None = None) -> None:
        """The key is followed, or may not be."""
        if error is not None:
            for watch in self._followed_key.watches:
                watch.fail(error)
        elif not self._followed_key.is_live:
            self._followed_key.show(MISSING)
        super().finish(error)
