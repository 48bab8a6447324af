"""The WebSocket object store protocol: messages with an ``action``, and its two HTTP requests.

Any JSON value; a client receives nothing but value updates and errors.
"""

from collections.abc import Callable

from dunena.dialects.dialect import Message
from dunena.dialects.errors import ClientError, InvalidMessageError
from dunena.dialects.messages import NULL, missing_update, update, value_body
from dunena.dialects.services import (
    Services,
    check_value_size,
    durability_of,
    expiry_of,
    namespace_of,
    unicode_name,
)
from dunena.dialects.subscriptions import Subscriptions
from dunena.store.entry import EntryId
from dunena.store.values import encode

INVALID_FORMAT = "Invalid message format"


def respond(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | None:
    """Carry out one message; the frame to answer with. Raise `ClientError` where it is wrong."""
    name = message["action"]
    handler = _HANDLERS.get(name) if isinstance(name, str) else None
    if handler is None:
        raise InvalidMessageError(INVALID_FORMAT)
    services.stats.object_store[name] += 1
    return handler(services, followed, message, now)


def get(services: Services, entry_id: EntryId, now: int) -> bytes:
    """The answer to a `get`."""
    ns, key = entry_id
    entry = services.store.get(ns, key, now)
    return missing_update(ns, key) if entry is None else update(entry)


def error_text(error: ClientError) -> str:
    """What this dialect says of an error: what has a name by it, all else in one text."""
    return error.text if error.is_named else INVALID_FORMAT


def read(services: Services, ns: str, key: str, now: int) -> bytes:
    """``GET /get/{key}``: the key's value; a missing key has null."""
    entry = services.store.get(ns, key, now)
    return value_body(ns, key, NULL if entry is None else entry.value)


def write(services: Services, message: Message, now: int) -> bytes:
    """``POST /set``: the value that was stored."""
    return value_body(*_write(services, message, now))


def _subscribe(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | None:
    ns, key = entry_id_of(message)
    entry = services.store.peek(ns, key, now)  # first: what may not be read may not be followed
    followed.follow_key(ns, key)
    return None if entry is None else update(entry)


def _unsubscribe(_services: Services, followed: Subscriptions, message: Message, _now: int) -> None:
    followed.unfollow_key(*entry_id_of(message))


def _set(services: Services, _followed: Subscriptions, message: Message, now: int) -> None:
    _write(services, message, now)


def _get(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    return get(services, entry_id_of(message), now)


def _delete(services: Services, _followed: Subscriptions, message: Message, _now: int) -> None:
    services.store.delete(*entry_id_of(message), is_durable=durability_of(message))


_HANDLERS: dict[str, Callable[[Services, Subscriptions, Message, int], bytes | None]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "set": _set,
    "get": _get,
    "delete": _delete,
}


def _write(services: Services, message: Message, now: int) -> tuple[str, str, bytes]:
    """Namespace, key and the value as it was stored."""
    ns, key = entry_id_of(message)
    if "value" not in message:
        raise InvalidMessageError("Missing value")
    encoded = encode(message["value"])
    check_value_size(encoded, services.limits)
    expires_at = expiry_of(services, message, now)
    services.store.set(ns, key, encoded, expires_at, is_durable=durability_of(message))
    return ns, key, encoded


def entry_id_of(message: Message) -> EntryId:
    """Namespace and key of a message."""
    if "key" not in message:
        raise InvalidMessageError("Missing key")
    return namespace_of(message, unicode_name), unicode_name(message["key"], "Key")
