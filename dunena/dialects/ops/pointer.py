"""JSON Pointer (RFC 6901): the path to a part of a value, and reading and changing that part."""

from collections.abc import Collection
from typing import Any

import orjson

from dunena.dialects.errors import LimitError, PathSyntaxError
from dunena.store.limits import PATH_BYTES_MAX
from dunena.store.values import JsonValue

Pointer = tuple[str, ...]
"""The decoded reference tokens of a path; empty for the whole value."""

_INDEX_DIGITS_MAX = 10  # no list is longer, and converting more digits only takes time


class NothingThereError(LookupError):
    """The value has no such part, or no parent for it."""


def parse_pointer(path: Any) -> Pointer:
    """Decode the text of a path (RFC 6901, 3 and 4).

    Raise `PathSyntaxError` for what is no string, does not begin with a slash or has a ``~`` that
    is followed by neither 0 nor 1, and `LimitError` for what is too long. "" is the whole value.
    """
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise PathSyntaxError(path)
    if len(path) > PATH_BYTES_MAX or len(path.encode()) > PATH_BYTES_MAX:
        raise LimitError(f"Path exceeds max length ({PATH_BYTES_MAX})")
    if path.replace("~0", "").replace("~1", "").count("~"):
        raise PathSyntaxError(path)
    tokens = path.split("/")[1:]
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def value_at(value: JsonValue, pointer: Pointer) -> JsonValue:
    """Return the part of a value; raise `NothingThereError` if there is none."""
    for token in pointer:
        value = _child(value, token)
    return value


def put_at(value: JsonValue, pointer: Pointer, part: JsonValue) -> JsonValue:
    """Put a part into a value, which may be changed in place; return the value.

    In a list an index that exists is replaced; the next index, or ``-``, appends. Raise
    `NothingThereError` if the parent is missing or can have no such part.
    """
    if not pointer:
        return part
    parent = value_at(value, pointer[:-1])
    token = pointer[-1]
    if isinstance(parent, dict):
        parent[token] = part
    elif isinstance(parent, list):
        index = len(parent) if token == "-" else _index(token)
        if index > len(parent):
            raise NothingThereError
        parent[index : index + 1] = [part]
    else:
        raise NothingThereError
    return value


def insert_at(value: JsonValue, pointer: Pointer, part: JsonValue) -> JsonValue:
    """Add a part to a value, in place, as `put_at` does; but in a list, insert it before an index.

    This is the ``add`` of RFC 6902, 4.1.
    """
    parent = value_at(value, pointer[:-1])
    if pointer and isinstance(parent, list):
        index = len(parent) if pointer[-1] == "-" else _index(pointer[-1])
        if index > len(parent):
            raise NothingThereError
        parent.insert(index, part)
        return value
    return put_at(value, pointer, part)


def remove_at(value: JsonValue, pointer: Pointer) -> None:
    """Remove a part from a value, in place; a list closes the gap.

    Raise `NothingThereError` if there is no such part. ``pointer`` must not be empty.
    """
    parent = value_at(value, pointer[:-1])
    token = pointer[-1]
    _child(parent, token)
    if isinstance(parent, dict):
        del parent[token]
    else:
        del parent[_index(token)]


def encoded_parts(encoded: bytes, pointers: Collection[Pointer]) -> dict[Pointer, bytes | None]:
    """Return what stands at each pointer in a value, all as JSON; None for nothing.

    The value is decoded once, and nothing in it is encoded twice, however the parts overlap.
    """
    value = orjson.loads(encoded)
    parts: dict[Pointer, bytes | None] = {}
    for pointer in sorted(pointers, key=len, reverse=True):
        try:
            part = value_at(value, pointer)
        except NothingThereError:
            parts[pointer] = None
            continue
        text = parts[pointer] = orjson.dumps(part)
        if pointer and isinstance(part, dict | list):
            put_at(value, pointer, orjson.Fragment(text))  # for what is around it
    return parts


def _child(value: JsonValue, token: str) -> JsonValue:
    if isinstance(value, dict):
        try:
            return value[token]
        except KeyError:
            raise NothingThereError from None
    if isinstance(value, list):
        index = _index(token)
        if index < len(value):
            return value[index]
    raise NothingThereError


def _index(token: str) -> int:
    """Decode an index of a list: ASCII digits without a leading zero (RFC 6901, 4)."""
    if (
        not (token.isascii() and token.isdecimal())
        or (len(token) > 1 and token.startswith("0"))
        or len(token) > _INDEX_DIGITS_MAX
    ):
        raise NothingThereError
    return int(token)
