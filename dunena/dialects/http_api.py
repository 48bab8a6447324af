"""The cache API and the object store's two HTTP requests, without HTTP itself.

Every function takes the parts of a request and returns `(status, body)`; ``now`` is in Unix ms. It
raises `ClientError`, which the server's routes answer with `{"error": ...}`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from dunena.dialects import channels, dunena, object_store
from dunena.dialects.errors import ClientError, ConflictError, InvalidMessageError, WrongTypeError
from dunena.dialects.key_search import KEYS_AT_ONCE_MAX, Work, glob
from dunena.dialects.messages import text_value
from dunena.dialects.operations import refuse_new_fields
from dunena.dialects.services import NameRule, Services, namespace_of, printable_name, unicode_name
from dunena.store.limits import PAGE_KEYS_DEFAULT, PAGE_KEYS_MAX
from dunena.store.values import InvalidJsonError, JsonValue, decode, without_mark

HttpResult = tuple[int, bytes]
LateHttpResult = Callable[[int], HttpResult]
"""Makes the result of a search for the time at which it is sent, Unix ms."""

Query = dict[str, str]

_UNKNOWN_ACTION = 'Unknown action. Use "mget" or "mset".'


class NotFoundError(ClientError):
    """The key or the path does not exist."""

    status = 404


def body_object(body: bytes) -> dict[str, Any]:
    """Decode a request's JSON body; raise `InvalidMessageError` if it is no JSON object."""
    try:
        message = decode(without_mark(body))
    except InvalidJsonError:
        raise InvalidMessageError.body_not_json() from None
    if not isinstance(message, dict):
        raise InvalidMessageError.body_not_json()
    return message


def has_value(body: bytes) -> bool:
    """Return whether a request's body is a JSON object with a ``value``."""
    try:
        return "value" in body_object(body)
    except InvalidMessageError:
        return False


# --- the object store's requests: any JSON value ---


def get_object(services: Services, key: str, query: Query, now: int) -> HttpResult:
    """Answer ``GET /get/{key}`` with the key's value; a missing key has null."""
    if not key:
        raise InvalidMessageError("Missing key")
    ns = namespace_of(query, unicode_name)
    return 200, object_store.read(services, ns, unicode_name(key, "Key"), now)


def set_object(services: Services, body: bytes, now: int) -> HttpResult:
    """Answer ``POST /set`` with the value as stored.

    Raise `ConflictError` if ``ifRev`` is another revision than the key's.
    """
    message = body_object(body)
    refuse_new_fields(message, "ifRev")
    if message.get("key", "") == "":
        raise InvalidMessageError("Missing key")
    if message.get("ifRev") is not None:
        _check_revision(services, message, now)
    return 200, object_store.write(services, message, now)


def _check_revision(services: Services, message: dict[str, Any], now: int) -> None:
    """Raise `ConflictError` if the key is not at the revision ``ifRev``; 0 is a missing key."""
    wanted = message["ifRev"]
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0:
        raise WrongTypeError("ifRev must be a non-negative integer")
    ns, key = object_store.entry_id_of(message)
    entry = services.store.peek(ns, key, now)
    revision = 0 if entry is None else entry.revision
    if revision != wanted:
        conflict = ConflictError(key, revision)
        conflict.status = 409  # this request has had it before there was any other
        raise conflict


# --- the cache API: values are strings ---


def read_key(services: Services, key: str, query: Query, now: int) -> HttpResult:
    """Answer ``GET /cache/{key}`` with the value as text; raise `NotFoundError` without one."""
    key = printable_name(key, "Key")
    entry = services.store.get(namespace_of(query, printable_name), key, now)
    if entry is None:
        raise NotFoundError("Key not found")
    return 200, orjson.dumps({"key": key, "value": text_value(entry)})


def write_key(services: Services, key: str, query: Query, body: bytes, now: int) -> HttpResult:
    """Answer ``POST /cache/{key}``; a namespace in the body overrides one in the query."""
    message = body_object(body)
    refuse_new_fields(message)
    key = printable_name(key, "Key")
    ns = namespace_of(message, printable_name) or namespace_of(query, printable_name)
    dunena.write_one(services, key, ns, message, now)
    return 201, b'{"ok":true}'


def delete_key(
    services: Services, key: str, query: Query, _now: int, name_rule: NameRule = printable_name
) -> HttpResult:
    """Answer ``DELETE /cache/{key}``, or with `unicode_name` ``DELETE /entries/{key}``."""
    ns, is_durable = namespace_of(query, name_rule), query.get("durable") == "true"
    change = services.store.delete(ns, name_rule(key, "Key"), is_durable=is_durable)
    return 200, orjson.dumps({"deleted": change is not None})


def batch(services: Services, body: bytes, now: int) -> HttpResult:
    """Answer ``POST /cache``, whose ``action`` is ``mget`` or ``mset``."""
    message = body_object(body)
    match message.get("action"):
        case "mget":
            return 200, orjson.dumps({"result": dunena.read_many(services, message, now)})
        case "mset":
            _refuse_new_fields_of_entries(message)
            return 200, orjson.dumps({"stored": dunena.write_many(services, message, now)})
        case _:
            raise InvalidMessageError(_UNKNOWN_ACTION)


def _refuse_new_fields_of_entries(message: dict[str, Any]) -> None:
    """Raise `ClientError` if an `mset` or one of its entries has a field of operations."""
    refuse_new_fields(message)
    entries = message.get("entries")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            refuse_new_fields(entry)


# --- channels ---


def publish(services: Services, channel: str, data: JsonValue, now: int) -> HttpResult:
    """Answer ``POST /publish/{channel}``, which sends any JSON value."""
    channels.publish_data(services, unicode_name(channel, "Channel"), data, now)
    return 204, b""


# --- lists and all keys ---


def list_keys(services: Services, query: Query, now: int) -> Work[LateHttpResult]:
    """Answer ``GET /keys`` with one page of the sorted keys; cursor 0 means the last page.

    The cursor is the number of keys before the next page in the sorted order, matching or not.
    """
    ns = namespace_of(query, unicode_name)
    start = whole_number(query, "cursor", 0)
    count = page_count(query)
    matches = glob(query.get("pattern", "*"))
    order = yield from services.search.matching(services.unrestricted_store, services.store, ns)
    page: list[str] = []
    keys = order.page(start, KEYS_AT_ONCE_MAX)
    cursor = 0
    while keys:
        for key in keys:
            if matches(key) and services.store.has(ns, key, now):
                page.append(key)
                if len(page) == count:
                    break
        cursor = order.passed(key)
        if cursor >= order.count:
            cursor = 0
        if not cursor or len(page) == count:
            break
        yield
        # Continue by the last key's name: keys may have been added or deleted meanwhile.
        keys = order.after(key, KEYS_AT_ONCE_MAX)
        cursor = 0
    return partial(_page_of_keys, services, ns, page, cursor)


def _page_of_keys(
    services: Services, ns: str, page: list[str], cursor: int, now: int
) -> HttpResult:
    standing = [key for key in page if services.store.has(ns, key, now)]
    return 200, orjson.dumps({"cursor": cursor, "keys": standing})


def flush(services: Services) -> HttpResult:
    """Answer ``POST /flush``: delete all keys of all namespaces."""
    services.store.clear()
    return 200, b'{"flushed":true}'


def page_count(query: Query) -> int:
    """Return the number of entries of a page: the query's ``count``, up to the limit.

    Raise `ClientError` for 0 or no number.
    """
    count = whole_number(query, "count", PAGE_KEYS_DEFAULT)
    if not count:
        raise ClientError("count must be at least 1")  # an empty page would have no next one
    return min(count, PAGE_KEYS_MAX)


def whole_number(query: Query, name: str, default: int, unit: str = "") -> int:
    """Return a non-negative integer of the query; ``default`` if the field is missing.

    ``unit`` is what it counts, for the text of the error, "" for anything. Raise
    `ClientError` for anything else.
    """
    text = query.get(name, "")
    if not text:
        return default
    number, _, fraction = text.partition(".")
    if fraction and not fraction.strip("0"):
        text = number  # some languages write an integer with a fraction of zeros
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        of_unit = f" of {unit}" if unit else ""
        raise ClientError(f"{name} must be a non-negative integer{of_unit}")
    return int(text)
