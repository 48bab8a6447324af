"""The dunena dialect: messages with a ``type``.

Every handler takes a decoded message and returns the whole reply as a frame, or None for messages
without a reply. Values are strings in this dialect; a value that the object-store dialect stored is
read as its compact JSON text.
"""

from collections.abc import Callable
from typing import Any

from dunena.dialects.dialect import Message
from dunena.dialects.errors import (
    ClientError,
    InvalidMessageError,
    LimitError,
    TooLargeError,
    TooManyError,
    WrongTypeError,
)
from dunena.dialects.messages import pong, reply, text_value
from dunena.dialects.services import (
    Services,
    check_value_size,
    durability_of,
    expiry_of,
    namespace_of,
    printable_name,
)
from dunena.dialects.subscriptions import Subscriptions
from dunena.store.entry import Entry
from dunena.store.limits import KEYS_PER_MESSAGE_MAX, REPLY_VALUES_BYTES_MAX
from dunena.store.values import encode

RequestId = str | float | None
"""The type of a request's number, which its reply repeats."""


_TYPE_CHARS_MAX = 512  # an error text does not repeat megabytes of the request


def respond(
    services: Services, followed: Subscriptions, message: Message, now: int
) -> bytes | None:
    """Carry out one message and return the frame of its reply, None if it has none.

    ``now`` is in Unix ms. Raise `ClientError` with the exact text of the contract.
    """
    name = message["type"]
    handler = _HANDLERS.get(name) if isinstance(name, str) else None
    if handler is None:
        raise InvalidMessageError.unknown_type(_brief(name))
    services.stats.dunena[name] += 1
    return handler(services, followed, message, now)


def request_id_of(message: Message) -> RequestId:
    """Return the ``id`` to repeat in the reply: a string or a number; None for anything else."""
    request_id = message.get("id")
    return request_id if type(request_id) in (str, int, float) else None


def read_many(services: Services, message: Message, now: int) -> dict[str, Any]:
    """Return the values of ``keys`` by key, for `mget` of this dialect and of the cache API.

    A key without a value has null. So has a name that can be no key: it must not prevent reading
    the others. Raise `ClientError` if ``keys`` is missing, too long, or the values are too large.
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
    return {key: text_value(entry) for key, entry in entries.items()}


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
    for key, value, expires_at in writes:
        services.store.set(ns, key, value, expires_at, is_durable=is_durable)
    return len(writes)


def write_one(services: Services, key: str, ns: str, message: Message, now: int) -> None:
    """Store the ``value`` of a message under a key; the cache API uses it too.

    Raise `ClientError` if the value, its ttl or its durability is wrong.
    """
    value = _encoded_string(services, _field(message, "value"))
    expires_at = expiry_of(services, message, now)
    services.store.set(ns, key, value, expires_at, is_durable=durability_of(message))


def _ping(_services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    return pong(now, request_id_of(message))


def _get(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    key = printable_name(_field(message, "key"), "Key")
    entry = services.store.get(namespace_of(message, printable_name), key, now)
    return _result(message, {"key": key, "value": text_value(entry)}, now)


def _set(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    key = printable_name(_field(message, "key"), "Key")
    write_one(services, key, namespace_of(message, printable_name), message, now)
    return _result(message, {"key": key, "ok": True}, now)


def _del(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    key = printable_name(_field(message, "key"), "Key")
    ns = namespace_of(message, printable_name)
    change = services.store.delete(ns, key, is_durable=durability_of(message))
    return _result(message, {"key": key, "deleted": change is not None}, now)


def _mget(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    return _result(message, {"result": read_many(services, message, now)}, now)


def _mset(services: Services, _followed: Subscriptions, message: Message, now: int) -> bytes:
    return _result(message, {"stored": write_many(services, message, now)}, now)


def _subscribe(services: Services, followed: Subscriptions, message: Message, now: int) -> bytes:
    channel = printable_name(_field(message, "channel"), "Channel")
    followed.follow_channel(services.channel(channel))
    return reply("subscribed", {"channel": channel}, now, request_id_of(message))


def _unsubscribe(services: Services, followed: Subscriptions, message: Message, _now: int) -> None:
    followed.unfollow_channel(
        services.channel(printable_name(_field(message, "channel"), "Channel"))
    )


_HANDLERS: dict[str, Callable[[Services, Subscriptions, Message, int], bytes | None]] = {
    "ping": _ping,
    "get": _get,
    "set": _set,
    "del": _del,
    "mget": _mget,
    "mset": _mset,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
}


def _result(message: Message, data: dict[str, Any], now: int) -> bytes:
    return reply("result", data, now, request_id_of(message))


def _field(message: Message, name: str) -> Any:
    try:
        return message[name]
    except KeyError:
        raise InvalidMessageError.missing(name) from None


def _encoded_string(services: Services, value: Any) -> bytes:
    if not isinstance(value, str):
        raise WrongTypeError("Value must be a string")
    encoded = encode(value)
    check_value_size(encoded, services.limits)
    return encoded


def _checked_entry(services: Services, entry: Any, now: int) -> tuple[str, bytes, int | None]:
    fields: Message = entry if isinstance(entry, dict) else {}
    try:
        key = printable_name(fields.get("key"), "Key")
    except ClientError as error:
        raise error.within("mset key error: ") from None
    try:
        return key, _encoded_string(services, fields.get("value")), expiry_of(services, fields, now)
    except ClientError as error:
        raise error.within(f'mset value error for "{key}": ') from None


def _brief(kind: Any) -> str:
    """Return an unknown ``type`` for an error text, cut off if it is long."""
    text = kind if isinstance(kind, str) else encode(kind).decode()
    return text if len(text) <= _TYPE_CHARS_MAX else text[:_TYPE_CHARS_MAX] + "..."
