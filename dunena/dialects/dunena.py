"""The dunena dialect: messages with a ``type``.

Every handler takes a decoded message and returns the whole reply as a frame, or None for messages
without a reply. Values are strings in this dialect; a value that the object-store dialect stored is
read as its compact JSON text.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from dunena.dialects import channels, operations, sessions, watching
from dunena.dialects.dialect import Message, RequestId, request_id_of
from dunena.dialects.errors import (
    ClientError,
    InvalidMessageError,
    LimitError,
    TooLargeError,
    TooManyError,
    WrongTypeError,
)
from dunena.dialects.messages import (
    dunena_updates,
    encoded_text,
    key_and,
    pong,
    reply,
    result,
    text_value,
)
from dunena.dialects.ops.operation import check_flag
from dunena.dialects.services import (
    Services,
    check_value_size,
    durability_of,
    expiry_of,
    namespace_of,
    printable_name,
)
from dunena.dialects.subscriptions import Subscriptions
from dunena.store.entry import Entry, EntryId
from dunena.store.limits import KEYS_PER_MESSAGE_MAX, REPLY_VALUES_BYTES_MAX
from dunena.store.values import encode, encode_member
from dunena.watches.pending import PendingUpdate

_TYPE_CHARS_MAX = 512  # an error text does not repeat megabytes of the request


def respond(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | PendingUpdate | None:
    """Carry out one message and return the frame of its reply, None if it has none.

    The reply to `watch` may be one whose frames are made later.

    ``now`` is in Unix ms. Raise `ClientError` with the exact text of the contract.
    """
    name = message["type"]
    handler = _HANDLERS.get(name) if isinstance(name, str) else None
    if handler is None:
        raise InvalidMessageError.unknown_type(_brief(name))
    services.stats.count_dunena(name)
    return handler(services, followed, message, now)


def get(services: Services, entry_id: EntryId, now: int, request_id: RequestId) -> bytes:
    """Make the reply to a `get`; raise `ForbiddenError` if the key may not be read."""
    ns, key = entry_id
    entry = services.store.get(ns, key, now)
    return result(key_and(key, b',"value":', encoded_text(entry)), now, request_id)


def entry_id_of(message: Message) -> EntryId:
    """Return namespace and key of a message; raise `ClientError` if they are missing or wrong."""
    key = printable_name(_field(message, "key"), "Key")
    ns = namespace_of(message, printable_name) if "ns" in message else ""
    return ns, key


def is_plain_get(message: Message) -> bool:
    """Return whether a message that was answered is a `get` which others may send alike.

    One with an ``id`` is sent once.
    """
    return len(message) <= 3 and message["type"] == "get" and len(message) == 2 + ("ns" in message)


def read_many(services: Services, message: Message, now: int) -> dict[str, Any]:
    """Return the values of ``keys`` by key, for `mget` of this dialect and of the cache API.

    A key without a value has null. Raise `ClientError` as `entries_of` does.
    """
    entries = entries_of(services, message, now)
    return {key: text_value(entry) for key, entry in entries.items()}


def entries_of(services: Services, message: Message, now: int) -> dict[str, Entry | None]:
    """Return the entries of ``keys`` by key, None for a key without a value.

    None is also for a name that can be no key: it must not prevent reading the others. Raise
    `ClientError` if ``keys`` is missing, too long, or the values are too large together.
    """
    keys = message.get("keys")
    if not isinstance(keys, list):
        raise InvalidMessageError.missing("keys")
    if len(keys) > KEYS_PER_MESSAGE_MAX:
        raise TooManyError("Keys", KEYS_PER_MESSAGE_MAX)
    ns = namespace_of(message, printable_name)
    entries: dict[str, Entry | None] = {}
    size = 0
    for key in keys:
        try:
            name = printable_name(key, "Key")
        except (LimitError, WrongTypeError):
            name = key if isinstance(key, str) else encode(key).decode()
            entries.setdefault(name, None)
            size += len(name)  # it may be as long as the message
        else:
            entries[name] = services.store.get(ns, name, now)
    bytes_max = max(REPLY_VALUES_BYTES_MAX, services.limits.value_bytes_max)
    size += sum([len(entry.value) for entry in entries.values() if entry is not None])
    if size > bytes_max:
        raise TooLargeError(f"Values exceed max size of one reply ({bytes_max} bytes)")
    return entries


def write_many(services: Services, message: Message, now: int) -> int:
    """Store all ``entries`` or none; return their number. The cache API's `mset` uses it too.

    Raise `ClientError` for the first entry that cannot be stored.
    """
    entries = message.get("entries")
    if not isinstance(entries, list):
        raise InvalidMessageError.missing("entries")
    if len(entries) > KEYS_PER_MESSAGE_MAX:
        raise TooManyError("Entries", KEYS_PER_MESSAGE_MAX)
    ns = namespace_of(message, printable_name)
    # All entries are checked before the first is stored.
    writes = [_checked_entry(services, entry, now) for entry in entries]
    is_durable = durability_of(message)
    services.store.check_writes(ns, [(key, value) for key, value, _ in writes])
    with services.unrestricted_store.group():
        for key, value, expires_at in writes:
            services.store.set(ns, key, value, expires_at, is_durable=is_durable)
    return len(writes)


def write_one(services: Services, key: str, ns: str, message: Message, now: int) -> None:
    """Store the ``value`` of a message under a key; the cache API uses it too.

    Raise `ClientError` if the value, its ttl or its durability is wrong.
    """
    _field(message, "value")
    value = _encoded_string(services, message)
    expires_at = expiry_of(services, message, now)
    services.store.set(ns, key, value, expires_at, is_durable=durability_of(message))


def _ping(_services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    return pong(now, request_id_of(message))


def _get(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    entry_id = entry_id_of(message)
    if _is_plain(message, 2) or not operations.has_new_field(message):
        return get(services, entry_id, now, request_id_of(message))
    ns, key = entry_id
    entry = services.store.get(ns, key, now)
    value = _value_of(entry, as_json=check_flag(message, "json"))
    return _result(message, {"key": key, "value": value} | _position(services, message, entry), now)


def _set(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    key = printable_name(_field(message, "key"), "Key")
    is_plain = "value" in message and _is_plain(message, 3)
    if not is_plain and operations.has_new_field(message):
        data = operations.answer_operation(
            services, message, "set", printable_name, now, followed.holder
        )
        return _result(message, data | {"ok": True}, now)
    ns = namespace_of(message, printable_name) if "ns" in message else ""
    write_one(services, key, ns, message, now)
    return result(key_and(key, b',"ok":', b"true"), now, request_id_of(message))


def _del(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    key = printable_name(_field(message, "key"), "Key")
    if operations.has_new_field(message):
        data = operations.answer_operation(
            services, message, "delete", printable_name, now, followed.holder
        )
        return _result(message, data, now)
    ns = namespace_of(message, printable_name)
    change = services.store.delete(ns, key, is_durable=durability_of(message))
    deleted = b"false" if change is None else b"true"
    return result(key_and(key, b',"deleted":', deleted), now, request_id_of(message))


def _operation(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    name = message["type"]
    data = operations.answer_operation(
        services, message, name, printable_name, now, followed.holder
    )
    return _result(message, data, now)


def _txn(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    data = operations.answer_transaction(services, message, printable_name, now, followed.holder)
    return _result(message, data, now)


def _session(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    data = sessions.answer_session(services, followed.holder, message, printable_name, now)
    return _result(message, data, now)


def _history(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    data = operations.answer_history(services, message, printable_name, now)
    return _result(message, data, now)


def _mget(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    if not operations.has_new_field(message):
        return _result(message, {"result": read_many(services, message, now)}, now)
    has_revisions, as_json = check_flag(message, "rev"), check_flag(message, "json")
    entries = entries_of(services, message, now)
    data: dict[str, Any] = {
        "result": {key: _value_of(entry, as_json=as_json) for key, entry in entries.items()}
    }
    if has_revisions:
        data["epoch"] = services.epoch
        data["revs"] = {key: operations.revision_of(entry) for key, entry in entries.items()}
    return _result(message, data, now)


def _mset(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    if operations.has_new_entry(message):
        data = operations.answer_many(services, message, printable_name, now, followed.holder)
        return _result(message, data, now)
    return _result(message, {"stored": write_many(services, message, now)}, now)


def _subscribe(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    data = channels.subscribe(services, followed, message, printable_name)
    return reply("subscribed", data, now, request_id_of(message))


def _unsubscribe(services: Services, followed: Subscriptions, message: Message, _now: int) -> None:
    channels.unsubscribe(services, followed, message, printable_name)


def _publish(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    return _result(message, channels.publish(services, message, now, printable_name), now)


def _watch(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | PendingUpdate | None:
    return watching.watch(services, followed, message, now, dunena_updates, printable_name)


def _unwatch(_services: Services, followed: Subscriptions, message: Message, _now: int) -> None:
    watching.unwatch(followed, message, printable_name)


_Handler = Callable[[Services, Subscriptions, Message, int], bytes | PendingUpdate | None]

_HANDLERS: Final[dict[str, _Handler]] = {
    "ping": _ping,
    "get": _get,
    "set": _set,
    "del": _del,
    "mget": _mget,
    "mset": _mset,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "publish": _publish,
    "watch": _watch,
    "unwatch": _unwatch,
    **dict.fromkeys(operations.OPERATIONS, _operation),
    "txn": _txn,
    "history": _history,
    "session": _session,
}


def _value_of(entry: Entry | None, *, as_json: bool) -> Any:
    """Return an entry's value as text, or as it is stored."""
    if as_json:
        return None if entry is None else orjson.Fragment(entry.value)
    return text_value(entry)


def _position(services: Services, message: Message, entry: Entry | None) -> dict[str, Any]:
    if not check_flag(message, "rev"):
        return {}
    return {"rev": operations.revision_of(entry), "epoch": services.epoch}


def _is_plain(message: Message, count: int) -> bool:
    """Return whether a message has no other fields than ``count`` of its own, `id` and `ns`.

    Most messages are like that, and no more of their fields need to be looked for.
    """
    return len(message) == count + ("id" in message) + ("ns" in message)


def _result(message: Message, data: dict[str, Any], now: int) -> bytes:
    return reply("result", data, now, request_id_of(message))


def _field(message: Message, name: str) -> Any:
    try:
        return message[name]
    except KeyError:
        raise InvalidMessageError.missing(name) from None


def _encoded_string(services: Services, message: Message) -> bytes:
    """Return the JSON of the ``value`` of a message."""
    if not isinstance(message.get("value"), str):
        raise WrongTypeError("Value must be a string")
    encoded = encode_member(message, "value")
    check_value_size(encoded, services.limits)
    return encoded


def _checked_entry(services: Services, entry: Any, now: int) -> tuple[str, bytes, int | None]:
    fields: Message = entry if isinstance(entry, dict) else {}
    try:
        key = printable_name(fields.get("key"), "Key")
    except ClientError as error:
        raise error.within("mset key error: ") from None
    try:
        return key, _encoded_string(services, fields), expiry_of(services, fields, now)
    except ClientError as error:
        raise error.within(f'mset value error for "{key}": ') from None


def _brief(kind: Any) -> str:
    """Return an unknown ``type`` for an error text, cut off if it is long."""
    text = kind if isinstance(kind, str) else encode(kind).decode()
    return text if len(text) <= _TYPE_CHARS_MAX else text[:_TYPE_CHARS_MAX] + "..."
