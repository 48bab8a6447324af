"""The messages that the server sends; only this module builds them.

The functions return finished WebSocket frames, except for `value_body`, which is a body of HTTP.
"""

from typing import Any, Final

import orjson

from dunena.dialects.ops.pointer import encoded_parts, parse_pointer
from dunena.frames import text_frame, text_head
from dunena.hub import Topic
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.values import as_text, is_string
from dunena.watches.parts import Parts
from dunena.watches.selector import Selector
from dunena.watches.updates import KeyState, RequestId

# Compiled code finds a final name without a look-up, and the members of a module with two.
_DUMPS: Final = orjson.dumps

NULL: Final = b"null"

_RESULT_BYTES: Final = len(b'{"type":"result","data":,"timestamp":')

UPDATE_BYTES_MAX: Final = 16_384
"""Longest value whose finished update is cached in its entry. For longer ones, making an update
costs little compared with sending it, and caching it would double the memory of large values."""


def value_body(ns: str, key: str, value: bytes) -> bytes:
    """Object store: make a key's value as an HTTP answer; ``value`` is JSON."""
    body = b'{"key":%b,"value":%b' % (_DUMPS(key), value)
    return b'%b,"ns":%b}' % (body, _DUMPS(ns)) if ns else body + b"}"


def update(entry: Entry) -> bytes:
    """Object store: return the frame of a key's value, for `get` and for followers."""
    frame = entry.update
    if frame is None:
        ns, key = entry.ns, entry.key
        frame = _cached(entry, _value_frame(_before_value(key), entry.value, _after_value(ns)))
    return frame


def followed_update(topic: Topic, entry: Entry) -> bytes:
    """Do the same as `update` for a key that is followed: what is around its values is kept."""
    frame = entry.update
    if frame is None:
        before = topic.before_value
        if before is None:
            before = topic.before_value = _before_value(entry.key)
            topic.after_value = _after_value(entry.ns)
        frame = _cached(entry, _value_frame(before, entry.value, topic.after_value))
    return frame


def _cached(entry: Entry, frame: bytes) -> bytes:
    if len(entry.value) <= UPDATE_BYTES_MAX:
        entry.update = frame
    return frame


def _before_value(key: str) -> bytes:
    name: bytes = _DUMPS(key)
    return b'{"key":%b,"value":' % name


def _after_value(ns: str) -> bytes:
    if not ns:
        return b"}"
    name: bytes = _DUMPS(ns)
    return b',"ns":%b}' % name


def _value_frame(before: bytes, value: bytes, after: bytes) -> bytes:
    """Make the frame of `value_body`, in one step and with one copy of the value."""
    head = text_head(len(before) + len(value) + len(after))
    if len(value) > UPDATE_BYTES_MAX:
        return b"".join([head, before, value, after])  # without the compiler, % copies twice
    return b"%b%b%b%b" % (head, before, value, after)


def positioned_value(
    ns: str, key: str, value: bytes, rev: int, epoch: str, request_id: str | float | None
) -> bytes:
    """Object store: make the answer to `get` with ``rev``; ``value`` is JSON."""
    message: dict[str, Any] = {"key": key, "value": orjson.Fragment(value)}
    if ns:
        message["ns"] = ns
    message |= {"rev": rev, "epoch": epoch}
    if request_id is not None:
        message["id"] = request_id
    return text_frame(_DUMPS(message))


def missing_update(ns: str, key: str) -> bytes:
    """Object store: make the answer to `get` for a key without a value."""
    return _value_frame(_before_value(key), NULL, _after_value(ns))


def object_store_error(
    text: str,
    fields: dict[str, Any] | None = None,
    request_id: str | float | None = None,
) -> bytes:
    """Object store: make the frame of an error; ``fields`` are for programs."""
    message: dict[str, Any] = {"error": text, **(fields or {})}
    if request_id is not None:
        message["id"] = request_id
    return text_frame(_DUMPS(message))


def object_store_answer(kind: str, data: Any, request_id: str | float | None = None) -> bytes:
    """Object store: make the answer of type ``kind`` to a message that has an ``id``."""
    message = {kind: data}
    if request_id is not None:
        message["id"] = request_id
    return text_frame(_DUMPS(message))


def reply(
    kind: str,
    data: Any,
    timestamp: int,
    request_id: str | float | None = None,
    fields: dict[str, Any] | None = None,
) -> bytes:
    """dunena: make a reply; ``data`` is JSON or `orjson.Fragment`, ``timestamp`` is Unix ms.

    ``fields`` are more fields of an error, for programs.
    """
    message = {"type": kind, "data": data, "timestamp": timestamp}
    if fields is not None:
        message.update(fields)
    if request_id is not None:
        message["id"] = request_id
    return text_frame(_DUMPS(message))


def result(data: bytes, timestamp: int, request_id: str | float | None) -> bytes:
    """dunena: make a reply of type ``result`` like `reply`, from ``data`` that is encoded already.

    The answers to `get`, `set` and `del` are so short that their objects would cost most of it.
    """
    end = b"}" if request_id is None else b',"id":%b}' % _DUMPS(request_id)
    stamp: bytes = _DUMPS(timestamp)
    head = text_head(_RESULT_BYTES + len(data) + len(stamp) + len(end))
    return b"".join([head, b'{"type":"result","data":', data, b',"timestamp":', stamp, end])


def key_and(key: str, member: bytes, value: bytes) -> bytes:
    """dunena: encode an object with a key and one more member; ``member`` is ``,"name":``."""
    name: bytes = _DUMPS(key)
    return b"".join([b'{"key":', name, member, value, b"}"])


def pong(timestamp: int, request_id: str | float | None = None) -> bytes:
    """dunena: make the reply to `ping`, the only one without data; ``timestamp`` is Unix ms."""
    message: dict[str, Any] = {"type": "pong", "timestamp": timestamp}
    if request_id is not None:
        message["id"] = request_id
    return text_frame(_DUMPS(message))


def undecided_error(
    dunena_text: str, object_store_text: str, timestamp: int, request_id: str | float | None
) -> bytes:
    """Make the error for a connection whose dialect is not known: both forms in one object."""
    message = {
        "type": "error",
        "data": dunena_text,
        "timestamp": timestamp,
        "error": object_store_text,
    }
    if request_id is not None:
        message["id"] = request_id
    return text_frame(_DUMPS(message))


def cache_event(change: Change, timestamp: int) -> bytes:
    """dunena: make the event of a change on the channel ``cache-events``."""
    data: dict[str, Any] = {}
    if change.kind is not ChangeKind.CLEAR:
        data["key"] = change.key
        if change.entry is not None:
            data["size"] = change.entry.size
        if change.ns:
            data["ns"] = change.ns
    return text_frame(
        _DUMPS(
            {"channel": "cache", "event": change.kind.value, "data": data, "timestamp": timestamp}
        )
    )


def channel_message(channel: str, data: bytes, timestamp: int) -> bytes:
    """Make the message of a channel, in both dialects; ``data`` is JSON."""
    return text_frame(
        b'{"channel":%b,"event":"message","data":%b,"timestamp":%d}'
        % (_DUMPS(channel), data, timestamp)
    )


def gap(channel: str, missed: int, timestamp: int) -> bytes:
    """Make the message that stands where a reader missed so many messages of a channel."""
    return text_frame(
        b'{"channel":%b,"event":"gap","data":{"missed":%d},"timestamp":%d}'
        % (_DUMPS(channel), missed, timestamp)
    )


def text_value(entry: Entry | None) -> orjson.Fragment | str | None:
    """dunena: return an entry's value as JSON: a string with its text; null for no entry."""
    if entry is None:
        return None
    # The JSON of a string is already what has to be sent.
    return orjson.Fragment(entry.value) if is_string(entry.value) else as_text(entry.value)


def encoded_text(entry: Entry | None) -> bytes:
    """dunena: encode what `text_value` returns."""
    if entry is None:
        return NULL
    if is_string(entry.value):
        return entry.value
    encoded: bytes = _DUMPS(as_text(entry.value))
    return encoded


class ShownValues:
    """What the watches with one path are shown of entries; of whole values if ``path`` is None."""

    __slots__ = ("_entry", "_parts", "_shown", "pointer")

    def __init__(self, path: str | None, parts: Parts) -> None:
        self.pointer = None if path is None else parse_pointer(path)
        self._parts = parts
        # The newest entry that was read, and what is shown of it, unless that is large.
        self._entry: Entry | None = None
        self._shown: bytes | None = None

    def is_other_value(self, change: Change) -> bool:
        """Return whether something else stands at the path after a change than before."""
        before = None if change.replaced is None else self.value(change.replaced)
        after = None if change.entry is None else self.value(change.entry)
        return before != after

    def change(self, told: KeyState, *, shows_missing: bool) -> bytes | None:
        """Encode a change: the key, its revision, and its value or how it went."""
        key = _DUMPS(told.key)
        if not isinstance(told, Entry):
            kind = told.kind.value.encode()
            return b'{"key":%b,"rev":%d,"event":"%b"}' % (key, told.revision, kind)
        value = self.value(told)
        if value is not None:
            return b'{"key":%b,"rev":%d,"value":%b}' % (key, told.revision, value)
        return (
            b'{"key":%b,"rev":%d,"event":"delete"}' % (key, told.revision)
            if shows_missing
            else None
        )

    def value(self, entry: Entry) -> bytes | None:
        """Return what is shown of an entry; None if it has nothing at the path."""
        if self.pointer is None:
            return entry.value
        if entry is self._entry:
            return self._shown
        shown = self._parts.find(entry, self.pointer, encoded_parts)
        if shown is None or len(shown) <= UPDATE_BYTES_MAX:
            self._entry, self._shown = entry, shown
        return shown


class WatchUpdates(ShownValues):
    """The updates of the watches with one selector in one dialect: an `UpdateForm` of watches."""

    __slots__ = ("_head", "_is_dunena")

    def __init__(
        self, selector: Selector, epoch: str, parts: Parts, *, is_dunena: bool = False
    ) -> None:
        super().__init__(selector.path, parts)
        head = _DUMPS({**selector.fields(), "epoch": epoch})[:-1]
        self._is_dunena = is_dunena
        self._head = (b'{"type":"update","data":' if is_dunena else b'{"update":') + head

    def frame(
        self,
        changes: list[bytes],
        revision: int,
        now: int,
        *,
        is_reset: bool,
        has_more: bool,
        request_id: RequestId = None,
    ) -> bytes:
        """Make the frame of an update or of a part of one."""
        reset = b',"reset":true' if is_reset else b""
        more = b',"more":true' if has_more else b""
        tail = b"" if request_id is None else b',"id":%b' % _DUMPS(request_id)
        if self._is_dunena:
            tail = b',"timestamp":%d%b' % (now, tail)
        return text_frame(
            b'%b,"rev":%d%b%b,"changes":[%b]}%b}'
            % (self._head, revision, reset, more, b",".join(changes), tail)
        )

    def bookmark(self, revision: int, now: int) -> bytes:
        """Make the frame of an update that only tells the position."""
        return self.frame([], revision, now, is_reset=False, has_more=False)


def dunena_updates(selector: Selector, epoch: str, parts: Parts) -> WatchUpdates:
    """dunena: make the form of the updates of watches with one selector."""
    return WatchUpdates(selector, epoch, parts, is_dunena=True)


def object_store_updates(selector: Selector, epoch: str, parts: Parts) -> WatchUpdates:
    """Object store: make the form of the updates of watches with one selector."""
    return WatchUpdates(selector, epoch, parts)
