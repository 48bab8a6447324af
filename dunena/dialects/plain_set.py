"""The plain `set` of the object store, which is read without decoding the whole message.

That is ``{"action":"set","key":...,"value":...}`` as compact JSON, in this order and with nothing
else: what most programs send, again and again. Decoding it into an object, looking up its fields
and encoding its value again would be a third of the work of storing it.

Rule: a message is read here only if decoding it would give the same key and the same stored value.
Whatever looks different, or is wrong, is left to `decode`, which knows all rules.
"""

from typing import Final

import orjson

from dunena.store.compiler_hints import mypyc_attr
from dunena.store.limits import KEY_BYTES_MAX
from dunena.store.plain_json import is_plain_string

# Compiled code finds a final name without a look-up, and the members of a module with two.
_LOADS: Final = orjson.loads
_DUMPS: Final = orjson.dumps
_IS_PLAIN_STRING: Final = is_plain_string

_HEAD: Final = b'{"action":"set","key":"'
_HEAD_BYTES: Final = len(_HEAD)
_MIDDLE: Final = b'","value":'
_MIDDLE_BYTES: Final = len(_MIDDLE)
_END: Final = ord("}")
_QUOTE: Final = ord('"')
_NAME_AT: Final = _HEAD.index(b"set")
_NAME_FIRST: Final = ord("s")

_KEYS_MAX: Final = 4096
"""Beginnings of messages that are remembered: with the next limit, at most two megabytes."""

_BEGINNING_BYTES_MAX: Final = 256


class PlainKeys:
    """The beginnings of plain `set` messages, with their keys.

    ``middle`` is where the key of the last message ended: most keys of a program are as long.
    """

    __slots__ = ("by_beginning", "middle")

    def __init__(self) -> None:
        self.by_beginning: dict[bytes, str] = {}
        self.middle = 0


@mypyc_attr(acyclic=True)  # the garbage collector need not know of it
class PlainSet:
    """The key of a plain `set` and its value as stored, compact JSON."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: bytes) -> None:
        self.key = key
        self.value = value


def may_be_plain_set(text: bytes) -> bool:
    """Return whether a message looks like a plain `set` at the one place where `get` differs."""
    return len(text) > _NAME_AT and text[_NAME_AT] == _NAME_FIRST and text[_NAME_AT - 1] == _QUOTE


def read_plain_set(text: bytes, known: PlainKeys) -> PlainSet | None:
    """Read a message if it is a plain `set`; return None for any other, also for a wrong one.

    ``known`` remembers the beginnings of such messages: programs set the same few keys again and
    again.
    """
    if not text or text[-1] != _END:
        return None
    middle = known.middle
    key: str | None = None
    if (
        len(text) > middle
        and text[middle] == _QUOTE
        and text[middle : middle + _MIDDLE_BYTES] == _MIDDLE
    ):
        # No beginning that is known has a quote behind its head, so this is where its key ends.
        key = known.by_beginning.get(text[:middle])
    if key is None:
        middle = text.find(_MIDDLE)
        if middle <= _HEAD_BYTES:
            return None
        key = _find_key(text[:middle], known)
        if key is None:
            return None
    # A value with another field behind it is no JSON, and is found out by that.
    value = text[middle + _MIDDLE_BYTES : -1]
    return PlainSet(key, value) if _is_compact(value) else None


def _find_key(beginning: bytes, known: PlainKeys) -> str | None:
    """Return the key of a message that begins so, and remember it; None as for `_read_key`."""
    keys = known.by_beginning
    key = keys.get(beginning)
    if key is None:
        key = _read_key(beginning)
        if key is None:
            return None
        if len(beginning) <= _BEGINNING_BYTES_MAX:
            if len(keys) >= _KEYS_MAX:
                keys.clear()  # a client of so many keys does not profit from it
            keys[beginning] = key
    known.middle = len(beginning)
    return key


def _read_key(beginning: bytes) -> str | None:
    """Return the key of a message that begins so; None if it is no plain `set` or must be checked.

    ``beginning`` ends before the quote behind the key.
    """
    name = beginning.removeprefix(_HEAD)
    if not beginning.startswith(_HEAD) or not 0 < len(name) <= KEY_BYTES_MAX:
        return None
    if b"\\" in name or b'"' in name:
        return None
    try:
        key = name.decode()
    except UnicodeDecodeError:
        return None
    return key if key.isprintable() else None


def _is_compact(value: bytes) -> bool:
    """Return whether a value is JSON exactly as it is stored."""
    if _IS_PLAIN_STRING(value):
        return True
    try:
        # Inside of something else, as in its message: the depth is limited.
        encoded: bytes = _DUMPS((_LOADS(value),))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return False
    return encoded[1:-1] == value
