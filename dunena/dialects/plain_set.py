"""The plain `set` of the object store, which is read without decoding the whole message.

That is ``{"action":"set","key":...,"value":...}`` as compact JSON, in this order and with nothing
else: what most programs send, again and again. Decoding it into an object, looking up its fields
and encoding its value again would be a third of the work of storing it.

Rule: a message is read here only if decoding it would give the same key and the same stored value.
Whatever looks different, or is wrong, is left to `decode`, which knows all rules.
"""

from typing import Final

import orjson

from dunena.store.limits import KEY_BYTES_MAX

# Compiled code finds a final name without a look-up, and the members of a module with two.
_LOADS: Final = orjson.loads
_DUMPS: Final = orjson.dumps

_HEAD: Final = b'{"action":"set","key":"'
_HEAD_BYTES: Final = len(_HEAD)
_MIDDLE: Final = b'","value":'
_MIDDLE_BYTES: Final = len(_MIDDLE)
_QUOTE: Final = ord('"')
_END: Final = ord("}")


class PlainSet:
    """The key of a plain `set` and its value as stored, compact JSON."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: bytes) -> None:
        self.key = key
        self.value = value


def read_plain_set(text: bytes) -> PlainSet | None:
    """Read a message if it is a plain `set`; return None for any other, also for a wrong one."""
    if not text.startswith(_HEAD):
        return None
    middle = text.find(_MIDDLE, _HEAD_BYTES)
    if not _HEAD_BYTES < middle <= _HEAD_BYTES + KEY_BYTES_MAX or text[-1] != _END:
        return None
    # A value with another field behind it is no JSON, and is found out by that.
    name, value = text[_HEAD_BYTES:middle], text[middle + _MIDDLE_BYTES : -1]
    if b"\\" in name or b'"' in name or not _is_compact(value):
        return None
    try:
        key = name.decode()
    except UnicodeDecodeError:
        return None
    return PlainSet(key, value) if key.isprintable() else None


def _is_compact(value: bytes) -> bool:
    """Return whether a value is JSON exactly as it is stored."""
    is_string = value.startswith(b'"')
    if is_string and b"\\" in value:
        return False  # without an escape a string has one form only
    try:
        decoded: object = _LOADS(value)
        if is_string:
            return value[-1] == _QUOTE  # no space follows
        # Inside of something else, as in its message: the depth is limited.
        encoded: bytes = _DUMPS((decoded,))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return False
    return encoded[1:-1] == value
