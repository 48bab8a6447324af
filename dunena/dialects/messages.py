"""The messages the server sends; each form is built here and nowhere else.

All but the bodies of HTTP answers are finished WebSocket frames.
"""

from typing import Any

import orjson

from dunena.frames import text_frame
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.values import as_text, is_string

NULL = b"null"

UPDATE_BYTES_MAX = 16_384
"""Longest value whose finished update is kept with its entry. Past it making another one costs
little beside sending it, and keeping it would double the memory of a store of large values."""


def value_body(ns: str, key: str, value: bytes) -> bytes:
    """Object store: a key's value, as an HTTP answer."""
    body = b'{"key":%b,"value":%b' % (orjson.dumps(key), value)
    return b'%b,"ns":%b}' % (body, orjson.dumps(ns)) if ns else body + b"}"


def update(entry: Entry) -> bytes:
    """Object store: a key's value, as the answer to `get` and as what followers receive."""
    frame = entry.update
    if frame is None:
        frame = text_frame(value_body(entry.ns, entry.key, entry.value))
        if len(entry.value) <= UPDATE_BYTES_MAX:
            entry.update = frame
    return frame


def missing_update(ns: str, key: str) -> bytes:
    """Object store: the same for a key without a value."""
    return text_frame(value_body(ns, key, NULL))


def object_store_error(text: str) -> bytes:
    """The object store's message for an error, as a frame."""
    return text_frame(orjson.dumps({"error": text}))


def reply(kind: str, data: Any, timestamp: int, request_id: str | float | None = None) -> bytes:
    """dunena: a reply; ``data`` may hold `orjson.Fragment`."""
    message = {"type": kind, "data": data, "timestamp": timestamp}
    if request_id is not None:
        message["id"] = request_id
    return text_frame(orjson.dumps(message))


def pong(timestamp: int, request_id: str | float | None = None) -> bytes:
    """dunena: the reply to `ping`, the one without data."""
    message: dict[str, Any] = {"type": "pong", "timestamp": timestamp}
    if request_id is not None:
        message["id"] = request_id
    return text_frame(orjson.dumps(message))


def undecided_error(
    dunena_text: str, object_store_text: str, timestamp: int, request_id: str | float | None
) -> bytes:
    """An error to a connection whose dialect is not known yet: both forms in one object."""
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
    """dunena: a change as the channel ``cache-events`` announces it."""
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
    """An entry's value as the dunena dialect reads it: its text as a JSON string, or null."""
    if entry is None:
        return None
    # A string is already encoded as what is to be sent.
    return orjson.Fragment(entry.value) if is_string(entry.value) else as_text(entry.value)
