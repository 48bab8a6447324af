"""The requests of a client: the frames of each, and the interpretation of its answer.

The object-store dialect answers no write and numbers no message. So each request is sent as its
frames followed by a numbered `ping` of the dunena dialect: the messages between the previous `pong`
and the `pong` of this ping belong to this request. A key without an update by then has no value.
"""

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any
from uuid import uuid4

import orjson

from dunena.client.errors import Error, NoAnswerError
from dunena.client.feeds import MISSING, Messages, Watch

KeyId = tuple[str, str]
"""Namespace and key."""

ClockTimes = tuple[float, ...]
"""Seconds of several clocks. A monotonic one may stand while the machine sleeps, and the time of
day may be set: the one that shows more time between two moments counts."""

RESEND_SECONDS_MAX = 100.0
"""Time after which an operation is not sent again; the server knows it for 120 s."""


def frame(kind: str, name: str, key_id: KeyId, **fields: object) -> bytes:
    """Encode a message about a key; leave out fields that are None."""
    ns, key = key_id
    message: dict[str, object] = {kind: name, "key": key}
    if ns:
        message["ns"] = ns
    message.update((field, value) for field, value in fields.items() if value is not None)
    return orjson.dumps(message)


def encoded(value: Any) -> orjson.Fragment:
    """Encode a value as JSON; raise `TypeError` if JSON cannot express it."""
    text = orjson.dumps(value)
    # orjson writes NaN as null, which would store another value than was given.
    if b"null" in text and _has_no_number(value):
        raise TypeError("NaN and Infinity are no JSON")
    return orjson.Fragment(text)


def check_ttl(ttl: object) -> None:
    """Raise `TypeError` unless a ttl is a number of ms, or None."""
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float)):
        raise TypeError(f"ttl is a number of ms, such as 8000 for 8 seconds, and not {ttl!r}")


def encoded_fields(fields: object) -> orjson.Fragment:
    """Encode the fields of a `merge`; raise `TypeError` if they are no dict of JSON."""
    if not isinstance(fields, Mapping):
        raise TypeError(f"merge takes a dict of fields, and not {_kind_of(fields)}")
    return encoded(dict(fields))


def encoded_patch(patch: object) -> orjson.Fragment:
    """Encode a JSON Patch; raise `TypeError` if it is no list of operations, each a dict."""
    steps = list(patch) if isinstance(patch, Iterable) and not isinstance(patch, Mapping) else None
    if steps is None or not all(isinstance(step, Mapping) for step in steps):
        raise TypeError(
            "patch takes a list of operations, such as "
            "[{'op': 'add', 'path': '/name', 'value': 'Ada'}]; merge takes a dict of fields"
        )
    return encoded([dict(step) for step in steps])


def _kind_of(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _has_no_number(value: Any) -> bool:
    """Return whether the value is or contains a NaN or an Infinity."""
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_no_number, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_no_number, value))


def action(name: str, key_id: KeyId, **fields: object) -> bytes:
    """Encode a message of the object-store dialect about a key."""
    return frame("action", name, key_id, **fields)


def is_printable(*names: str) -> bool:
    """Return whether the dunena dialect accepts these names: printable ASCII (docs/dunena.md)."""
    return all(name.isascii() and name.isprintable() for name in names)


def check_names(names: list[KeyId]) -> None:
    """Raise `TypeError` for a name that JSON cannot express, such as one with a lone surrogate.

    Requests whose frames are made for each connection anew check their names beforehand: later the
    error would end a connection, and no caller would get it.
    """
    orjson.dumps(names)


class FollowedKey:
    """A followed key, with the watches of it and the number of reads that wait for an answer.

    ``raw`` is its latest update as received; ``is_live`` tells whether that is the current one.
    """

    __slots__ = ("holds", "is_live", "key_id", "raw", "watches")

    def __init__(self, key_id: KeyId) -> None:
        self.key_id = key_id
        self.watches: list[Watch] = []
        self.holds = 0
        self.is_live = False
        self.raw = MISSING

    def show(self, raw: bytes) -> None:
        """Take ``raw`` as the current update of the key, and pass it to the watches."""
        was_live = self.is_live
        self.is_live, self.raw = True, raw
        for watch in self.watches:
            watch.tell(self.key_id[1], raw, may_be_known=not was_live)


class PendingRequest:
    """A request of unchanged frames. ``on_done`` is called once, when the answer is complete.

    ``is_kept``: send it again on the next connection if this one ends before the answer.
    ``frame_bytes_max``: size of its largest frame, once it was sent. ``sent_at``: when that was, in
    seconds of the first of the `ClockTimes`.
    """

    __slots__ = (
        "answer",
        "error",
        "frame_bytes_max",
        "frames",
        "id",
        "is_done",
        "is_kept",
        "on_done",
        "sent_at",
    )

    def __init__(self, frames: Iterable[bytes] = (), *, is_kept: bool = True) -> None:
        self.frames = list(frames)
        self.frame_bytes_max = 0
        self.id = 0
        self.sent_at = 0.0
        self.answer: Any = None
        self.error: Error | None = None
        self.is_done = False
        self.is_kept = is_kept
        self.on_done: Callable[[], None] | None = None

    def begin(self, request_id: int, followed_keys: dict[KeyId, FollowedKey]) -> list[bytes]:
        """Start the request on a connection; return the frames to send before its ping."""
        self.id, self.answer, self.error = request_id, None, None
        return self.frames

    def wants(self, key_id: KeyId) -> bool:
        """Return whether an update of this key is a part of the answer."""
        return False

    def take(self, key_id: KeyId, raw: bytes) -> None:
        """Take an update for which `wants` is true."""

    def end(self) -> list[FollowedKey]:
        """Complete the answer at the pong; return the followed keys it no longer holds."""
        return []

    def lose(self) -> None:
        """Undo `begin`: the connection ended before the answer."""

    def finish(self, error: Error | None = None) -> None:
        """End the request with its answer, or with ``error``; call ``on_done``."""
        if not self.is_done:
            self.is_done, self.error = True, error
            if self.on_done is not None:
                self.on_done()

    def result(self) -> Any:
        """Return the answer; raise the error if the request failed."""
        if self.error is not None:
            raise self.error
        return self.answer


class Question(PendingRequest):
    """A question of the object-store dialect, whose answer is the data of the server's result.

    ``fields`` are those of its message; the ones that are None are left out. Raise `TypeError` for
    a field that is no JSON.
    """

    __slots__ = ("_text",)

    def __init__(self, name: str, fields: dict[str, object]) -> None:
        super().__init__()
        given = {field: value for field, value in fields.items() if value is not None}
        # It is encoded here, where the caller gets the error.
        self._text = orjson.dumps({"action": name, **given})

    def begin(self, request_id: int, followed_keys: dict[KeyId, FollowedKey]) -> list[bytes]:
        """Start the request on a connection; return the frames to send before its ping."""
        super().begin(request_id, followed_keys)
        return [b'%b,"id":%d}' % (self._text[:-1], request_id)]


class OnceOnlyRequest(Question):
    """One operation or transaction, whose answer is the data of the server's result.

    It must not be carried out twice. So it has an idempotency key, by which the server knows it
    again. The protocol calls `note_sending` each time before it sends it.
    """

    __slots__ = ("_epoch", "_sent_at")

    def __init__(self, name: str, fields: dict[str, object]) -> None:
        super().__init__(name, {**fields, "idempotencyKey": uuid4().hex})
        self._epoch: str | None = None
        self._sent_at: ClockTimes | None = None

    def note_sending(self, epoch: str | None, now: ClockTimes) -> str:
        """Return "" if it may be sent to the server's run of this epoch, else why it may not.

        Another run, and one that has none, does not know the idempotency key any more, nor does the
        server after two minutes. Whether it was carried out then cannot be known.
        """
        if self._sent_at is None:
            self._epoch, self._sent_at = epoch, now
            return ""
        if epoch is None or epoch != self._epoch:
            return "The server was restarted before it answered"
        passed = max(end - start for start, end in zip(self._sent_at, now, strict=True))
        if passed > RESEND_SECONDS_MAX:
            return f"No answer came in {RESEND_SECONDS_MAX:g} s"
        return ""


class Publication(PendingRequest):
    """A message for a channel, which is sent at most once: none comes twice, or much too late.

    Raise `TypeError` for a channel or data that are no JSON.
    """

    __slots__ = ()

    def __init__(self, channel: str, data: Any) -> None:
        message = {"action": "publish", "channel": channel, "data": encoded(data)}
        super().__init__([orjson.dumps(message)], is_kept=False)

    def lose(self) -> None:
        """Fail: the connection ended before the answer."""
        text = "The connection was lost before the answer: it may or may not have been published"
        self.finish(NoAnswerError(text))


class Subscription(PendingRequest):
    """The subscription to a channel. ``sources`` are the feeds of it that are open."""

    __slots__ = ("_sources",)

    def __init__(self, channel: str, sources: "list[Messages]") -> None:
        super().__init__([channel_frame("subscribe", channel)], is_kept=False)
        self._sources = sources

    def finish(self, error: Error | None = None) -> None:
        """Tell the feeds that they have begun, or pass them an error."""
        for source in self._sources:
            if error is None:
                source.is_begun = True
            else:
                source.fail(error)
        super().finish(error)


def channel_frame(name: str, channel: str) -> bytes:
    """Encode a message of the object-store dialect about a channel."""
    return orjson.dumps({"action": name, "channel": channel})


class EpochQuery(PendingRequest):
    """The question for the epoch of the server; it needs no right, as it reads no key."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__([b'{"type":"mget","keys":[],"rev":true}'], is_kept=False)

    def result(self) -> str | None:
        """Return the epoch; None if the server refused to say, or is an older one without it."""
        epoch = self.answer.get("epoch") if isinstance(self.answer, dict) else None
        return epoch if isinstance(epoch, str) and epoch else None


class Deletion(PendingRequest):
    """The deletion of a key in the dunena dialect, whose answer says whether the key existed."""

    __slots__ = ("_durable", "_key_id")

    def __init__(self, key_id: KeyId, durable: bool | None) -> None:
        super().__init__()
        self._key_id = key_id
        self._durable = durable

    def begin(self, request_id: int, followed_keys: dict[KeyId, FollowedKey]) -> list[bytes]:
        """Start the request on a connection; return the frames to send before its ping."""
        super().begin(request_id, followed_keys)
        return [frame("type", "del", self._key_id, durable=self._durable, id=request_id)]

    def result(self) -> bool:
        """Return whether the key had a value; raise the error if the request failed."""
        return bool(super().result()["deleted"])


class UnansweredDeletion(PendingRequest):
    """The deletion of a key in the object-store dialect, which does not answer it.

    ``before`` is a reading of the key that was sent just before.
    """

    __slots__ = ("_before",)

    def __init__(self, key_id: KeyId, durable: bool | None, before: PendingRequest) -> None:
        super().__init__([action("delete", key_id, durable=durable)])
        self._before = before

    def result(self) -> bool:
        """Return whether the key had a value; raise the error if the request failed."""
        super().result()
        return any(self._before.result().values())


class Reading(PendingRequest):
    """The reading of some keys; its answer has a raw update for each.

    A key that is not followed is subscribed to and at once unsubscribed from: unlike the answer of
    a `get`, that distinguishes null from no value. For a followed key nothing is sent: at the
    `pong` its latest update is the current one.
    """

    __slots__ = ("_asked", "_held", "_key_ids")

    def __init__(self, key_ids: Iterable[KeyId]) -> None:
        super().__init__()
        self._key_ids = list(key_ids)
        check_names(self._key_ids)
        self._asked: dict[KeyId, bytes] = {}
        self._held: list[FollowedKey] = []

    def begin(self, request_id: int, followed_keys: dict[KeyId, FollowedKey]) -> list[bytes]:
        """Start the request on a connection; return the frames to send before its ping."""
        super().begin(request_id, followed_keys)
        self._held = [followed_keys[key_id] for key_id in self._key_ids if key_id in followed_keys]
        for followed_key in self._held:
            followed_key.holds += 1
        self._asked = {key_id: MISSING for key_id in self._key_ids if key_id not in followed_keys}
        return [
            action(name, key_id) for key_id in self._asked for name in ("subscribe", "unsubscribe")
        ]

    def wants(self, key_id: KeyId) -> bool:
        """Return whether an update of this key is a part of the answer."""
        return key_id in self._asked

    def take(self, key_id: KeyId, raw: bytes) -> None:
        """Take an update for which `wants` is true."""
        self._asked[key_id] = raw

    def end(self) -> list[FollowedKey]:
        """Complete the answer at the pong; return the followed keys it no longer holds."""
        found = self._asked | {followed_key.key_id: followed_key.raw for followed_key in self._held}
        self.answer = {key: found[ns, key] for ns, key in self._key_ids}
        held, self._held = self._held, []
        for followed_key in held:
            followed_key.holds -= 1
        return held

    def lose(self) -> None:
        """Undo `begin`: the connection ended before the answer."""
        self.end()


class Following(PendingRequest):
    """The subscription to a key: the server sends the current value, then all updates."""

    __slots__ = ("followed_key",)

    def __init__(self, followed_key: FollowedKey) -> None:
        super().__init__([action("subscribe", followed_key.key_id)], is_kept=False)
        self.followed_key = followed_key

    def wants(self, key_id: KeyId) -> bool:
        """Return whether an update of this key is a part of the answer."""
        return key_id == self.followed_key.key_id

    def take(self, key_id: KeyId, raw: bytes) -> None:
        """Take an update for which `wants` is true."""
        self.followed_key.show(raw)

    def finish(self, error: Error | None = None) -> None:
        """Pass an error to the watches of the key; without one, tell them if it has no value."""
        if error is not None:
            for watch in self.followed_key.watches:
                watch.fail(error)
        elif not self.followed_key.is_live:
            self.followed_key.show(MISSING)
        super().finish(error)
