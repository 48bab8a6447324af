"""The messages the server sends, as JSON bytes; each form is built here and nowhere else."""

from typing import Any

import orjson

from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.values import as_text, is_string

NULL = b"null"


def value_update(ns: str, key: str, value: bytes) -> bytes:
    """Object store: a key's value, as the answer to `get` and as what followers receive."""
    update = b'{"key":' + orjson.dumps(key) + b',"value":' + value
    return update + b',"ns":' + orjson.dumps(ns) + b"}" if ns else update + b"}"


def object_store_error(text: str) -> bytes:
    """Object store: an error."""
    return orjson.dumps({"error": text})


def reply(kind: str, data: Any, timestamp: int, request_id: str | float | None = None) -> bytes:
    """dunena: a reply; ``data`` may hold `orjson.Fragment`."""
    message = {"type": kind, "data": data, "timestamp": timestamp}
    if request_id is not None:
        message["id"] = request_id
    return orjson.dumps(message)


def pong(timestamp: int, request_id: str | float | None = None) -> bytes:
    """dunena: the reply to `ping`, the one without data."""
    message: dict[str, Any] = {"type": "pong", "timestamp": timestamp}
    if request_id is not None:
        message["id"] = request_id
    return orjson.dumps(message)


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
    return orjson.dumps(message)


def cache_event(change: Change, timestamp: int) -> bytes:
    """dunena: a change as the channel ``cache-events`` announces it."""
    data: dict[str, Any] = {}
    if change.kind is not ChangeKind.CLEAR:
        data["key"] = change.key
        if change.entry is not None:
            data["size"] = change.entry.size
        if change.ns:
            data["ns"] = change.ns
    return orjson.dumps(
        {"channel": "cache", "event": change.kind.value, "data": data, "timestamp": timestamp}
    )


def text_value(entry: Entry | None) -> orjson.Fragment | str | None:
    """An entry's value as the dunena dialect reads it: its text as a JSON string, or null."""
    if entry is None:
        return None
    # A string is already encoded as what is to be sent.
    return orjson.Fragment(entry.value) if is_string(entry.value) else as_text(entry.value)
