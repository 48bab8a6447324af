"""The messages that the server sends; only this module builds them.

The functions return finished WebSocket frames, except for `value_body`, which is a body of HTTP.
"""

from typing import Any

import orjson

from dunena.frames import text_frame
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.values import as_text, is_string

NULL = b"null"

UPDATE_BYTES_MAX = 16_384
"""Longest value whose finished update is cached in its entry. For longer ones, making an update
costs little compared with sending it, and caching it would double the memory of large values."""


def value_body(ns: str, key: str, value: bytes) -> bytes:
    """Object store: make a key's value as an HTTP answer; ``value`` is JSON."""
    body = b'{"key":%b,"value":%b' % (orjson.dumps(key), value)
    return b'%b,"ns":%b}' % (body, orjson.dumps(ns)) if ns else body + b"}"


def update(entry: Entry) -> bytes:
    """Object store: return the frame of a key's value, for `get` and for followers."""
    frame = entry.update
    if frame is None:
        frame = text_frame(value_body(entry.ns, entry.key, entry.value))
        if len(entry.value) <= UPDATE_BYTES_MAX:
            entry.update = frame
    return frame


def missing_update(ns: str, key: str) -> bytes:
    """Object store: make the answer to `get` for a key without a value."""
    return text_frame(value_body(ns, key, NULL))


def object_store_error(text: str) -> bytes:
    """Object store: make the frame of an error."""
    return text_frame(orjson.dumps({"error": text}))


def reply(kind: str, data: Any, timestamp: int, request_id: str | float | None = None) -> bytes:
    """dunena: make a reply; ``data`` is JSON or `orjson.Fragment`, ``timestamp`` is Unix ms."""
    message = {"type": kind, "data": data, "timestamp": timestamp}
    if request_id is not None:
        message["id"] = request_id
    return text_frame(orjson.dumps(message))


def pong(timestamp: int, request_id: str | float | None = None) -> bytes:
    """dunena: make the reply to `ping`, the only one without data; ``timestamp`` is Unix ms."""
    message: dict[str, Any] = {"type": "pong", "timestamp": timestamp}
    if request_id is not None:
        message["id"] = request_id
    return text_frame(orjson.dumps(message))


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
    return text_frame(orjson.dumps(message))


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
        orjson.dumps(
            {"channel": "cache", "event": change.kind.value, "data": data, "timestamp": timestamp}
        )
    )


def text_value(entry: Entry | None) -> orjson.Fragment | str | None:
    """dunena: return an entry's value as JSON: a string with its text; null for no entry."""
    if entry is None:
        return None
    # The JSON of a string is already what has to be sent.
    return orjson.Fragment(entry.value) if is_string(entry.value) else as_text(entry.value)
