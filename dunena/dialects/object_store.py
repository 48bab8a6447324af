"""The object-store dialect: messages with an ``action``, and its two HTTP requests.

Values are any JSON. A client receives only value updates and errors.
"""

from collections.abc import Callable
from typing import Final

from dunena.dialects import channels, operations, sessions, watching
from dunena.dialects.dialect import Message, request_id_of
from dunena.dialects.errors import ClientError, InvalidFieldError, InvalidMessageError
from dunena.dialects.messages import (
    NULL,
    missing_update,
    object_store_answer,
    object_store_updates,
    positioned_value,
    update,
    value_body,
)
from dunena.dialects.ops.operation import check_flag
from dunena.dialects.plain_set import PlainSet
from dunena.dialects.services import (
    Services,
    check_value_size,
    durability_of,
    end_of,
    expiry_of,
    namespace_of,
    unicode_name,
)
from dunena.dialects.subscriptions import Subscriptions
from dunena.store.entry import EntryId
from dunena.store.values import encode_member
from dunena.watches.pending import PendingUpdate

INVALID_FORMAT = "Invalid message format"


def respond(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | PendingUpdate | None:
    """Carry out one message and return the frame of its answer, None if it has none.

    The answer to `watch` may be one whose frames are made later.

    ``now`` is in Unix ms. Raise `ClientError` for a wrong message.
    """
    name = message["action"]
    handler = _HANDLERS.get(name) if isinstance(name, str) else None
    if handler is None:
        raise InvalidMessageError(INVALID_FORMAT)
    services.stats.count_object_store(name)
    return handler(services, followed, message, now)


def get(services: Services, entry_id: EntryId, now: int) -> bytes:
    """Make the answer to a `get`; raise `ForbiddenError` if the key may not be read."""
    ns, key = entry_id
    entry = services.store.get(ns, key, now)
    return missing_update(ns, key) if entry is None else update(entry)


def carry_out_set(services: Services, plain_set: PlainSet, now: int) -> None:
    """Carry out a plain `set`, which has no answer. Raise `ClientError` and `WriteRefusedError`."""
    services.stats.plain_sets += 1
    check_value_size(plain_set.value, services.limits)
    expires_at = end_of(services.default_ttl_ms, now)
    services.store.set("", plain_set.key, plain_set.value, expires_at)


def error_text(error: ClientError) -> str:
    """Return the text of an error in this dialect: its own if it is named, else a common one."""
    return error.text if error.is_named else INVALID_FORMAT


def read(services: Services, ns: str, key: str, now: int) -> bytes:
    """Make the body of ``GET /get/{key}``: the key's value; a missing key has null."""
    entry = services.store.get(ns, key, now)
    return value_body(ns, key, NULL if entry is None else entry.value)


def write(services: Services, message: Message, now: int) -> bytes:
    """Store a value; return the body of ``POST /set`` with the value as stored."""
    return value_body(*_write(services, message, now))


def _subscribe(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | None:
    if is_of_channel(message):
        data = channels.subscribe(services, followed, message, unicode_name)
        return _answer("subscribed", message, data)
    ns, key = entry_id_of(message)
    entry = services.store.read(ns, key, now)  # first, as it raises if the key may not be read
    followed.follow_key(ns, key)
    return None if entry is None else update(entry)


def _unsubscribe(services: Services, followed: Subscriptions, message: Message, _now: int) -> None:
    if is_of_channel(message):
        channels.unsubscribe(services, followed, message, unicode_name)
    else:
        followed.unfollow_key(*entry_id_of(message))


def is_of_channel(message: Message) -> bool:
    """Return whether a `subscribe` or `unsubscribe` is about a channel, not a key.

    Raise `InvalidFieldError` if it is about both.
    """
    if message.get("channel") is None:
        return False
    if message.get("key") is not None:
        raise InvalidFieldError("A subscription has one of key and channel")
    return True


def _publish(
    services: Services, _followed: Subscriptions, message: Message, now: int
) -> bytes | None:
    data = channels.publish(services, message, now, unicode_name)
    return _answer("result", message, data)


def _set(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes | None:
    is_plain = len(message) == 3 and "key" in message and "value" in message
    if not is_plain and ("id" in message or operations.has_new_field(message)):
        return _answer_operation(services, followed, message, "set", now)
    _write(services, message, now)
    return None


def _get(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    if not check_flag(message, "rev"):
        return get(services, entry_id_of(message), now)
    ns, key = entry_id_of(message)
    entry = services.store.get(ns, key, now)
    value = NULL if entry is None else entry.value
    return positioned_value(
        ns, key, value, operations.revision_of(entry), services.epoch, request_id_of(message)
    )


def _delete(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | None:
    if "id" in message or operations.has_new_field(message):
        return _answer_operation(services, followed, message, "delete", now)
    services.store.delete(*entry_id_of(message), is_durable=durability_of(message))
    return None


def _operation(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | None:
    return _answer_operation(services, followed, message, message["action"], now)


def _answer_operation(
    services: Services, followed: Subscriptions, message: Message, name: str, now: int
) -> bytes | None:
    holder = followed.holder
    data = operations.answer_operation(services, message, name, unicode_name, now, holder)
    return _answer("result", message, data)


def _txn(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes | None:
    data = operations.answer_transaction(services, message, unicode_name, now, followed.holder)
    return _answer("result", message, data)


def _session(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    data = sessions.answer_session(services, followed.holder, message, unicode_name, now)
    return object_store_answer("result", data, request_id_of(message))


def _history(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    data = operations.answer_history(services, message, unicode_name, now)
    return object_store_answer("result", data, request_id_of(message))


def _ping(_services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    return object_store_answer("pong", {"timestamp": now}, request_id_of(message))


def _answer(kind: str, message: Message, data: operations.Data) -> bytes | None:
    """Make the answer to a message that has one only if it has an ``id``."""
    request_id = request_id_of(message)
    return None if request_id is None else object_store_answer(kind, data, request_id)


def _watch(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | PendingUpdate | None:
    return watching.watch(services, followed, message, now, object_store_updates, unicode_name)


def _unwatch(_services: Services, followed: Subscriptions, message: Message, _now: int) -> None:
    watching.unwatch(followed, message, unicode_name)


_Handler = Callable[[Services, Subscriptions, Message, int], bytes | PendingUpdate | None]

_HANDLERS: Final[dict[str, _Handler]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "publish": _publish,
    "set": _set,
    "get": _get,
    "delete": _delete,
    "watch": _watch,
    "unwatch": _unwatch,
    **dict.fromkeys(operations.OPERATIONS, _operation),
    "txn": _txn,
    "history": _history,
    "session": _session,
    "ping": _ping,
}


def _write(services: Services, message: Message, now: int) -> tuple[str, str, bytes]:
    """Store the value of a message; return namespace, key and the stored JSON."""
    ns, key = entry_id_of(message)
    if "value" not in message:
        raise InvalidMessageError("Missing value")
    encoded = encode_member(message, "value")
    check_value_size(encoded, services.limits)
    expires_at = expiry_of(services, message, now)
    services.store.set(ns, key, encoded, expires_at, is_durable=durability_of(message))
    return ns, key, encoded


def entry_id_of(message: Message) -> EntryId:
    """Return namespace and key of a message; raise `ClientError` if they are missing or wrong."""
    if "key" not in message:
        raise InvalidMessageError("Missing key")
    ns = namespace_of(message, unicode_name) if "ns" in message else ""
    return ns, unicode_name(message["key"], "Key")
