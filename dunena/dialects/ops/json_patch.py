"""JSON Patch (RFC 6902), within the limits of a value.

Not by the library `jsonpatch`: what it copies and follows, in Python and without limits, takes
seconds for patches that a client may send, and versions before 1.35 find true equal to 1.
"""

from typing import Any

import orjson

from dunena.dialects.errors import (
    TOO_DEEP,
    InvalidFieldError,
    LimitError,
    NoPathError,
    PatchSyntaxError,
    PatchTestError,
    TooManyError,
)
from dunena.dialects.ops.draft import Costs
from dunena.dialects.ops.pointer import (
    NothingThereError,
    Pointer,
    insert_at,
    parse_pointer,
    put_at,
    remove_at,
    value_at,
)
from dunena.store.limits import JSON_DEPTH_MAX, OPERATIONS_MAX
from dunena.store.values import JsonValue

_WITH_VALUE = frozenset(("add", "replace", "test"))
_WITH_FROM = frozenset(("move", "copy"))
_NAMES = _WITH_VALUE | _WITH_FROM | {"remove"}


def check_patch(patch: Any) -> list[dict[str, Any]]:
    """Return a patch if it is a list of complete operations.

    Raise `PatchSyntaxError` if it is not, `InvalidFieldError` for one that would leave no value,
    `PathSyntaxError` for a path that is no JSON Pointer,
    `LimitError` for one that is too deep for any value, and `TooManyError` for more than
    `OPERATIONS_MAX` operations.
    """
    if not isinstance(patch, list):
        raise PatchSyntaxError
    if len(patch) > OPERATIONS_MAX:
        raise TooManyError("Operations", OPERATIONS_MAX)
    for operation in patch:
        name = operation.get("op") if isinstance(operation, dict) else None
        if not isinstance(name, str) or name not in _NAMES:
            raise PatchSyntaxError
        if "path" not in operation or (name in _WITH_VALUE and "value" not in operation):
            raise PatchSyntaxError
        if not _check_path(operation["path"]) and name == "remove":
            raise InvalidFieldError("Patch must not remove the whole value")  # `delete` does
        if name in _WITH_FROM:
            if "from" not in operation:
                raise PatchSyntaxError
            _check_path(operation["from"])
    return patch


def apply_patch(value: JsonValue, patch: list[dict[str, Any]], key: str, costs: Costs) -> JsonValue:
    """Apply a checked patch to a value, which may be changed in place; return the result.

    Raise `PatchTestError` for a ``test`` that fails and `NoPathError` for a path that the value
    does not have; the operation's path is named as part of ``key``. Copies are counted among
    ``costs``, as each could double the value; `TooLargeError` is raised for too many. The patch is
    not changed, and no part of it becomes a part of the result.
    """
    for operation in patch:
        name, path = operation["op"], operation["path"]
        encoded = b""
        if name == "copy":
            encoded = _encoded(_part(value, operation["from"], key))
            costs.add_copied(encoded)
        elif name == "move":
            _part(value, operation["from"], key)
        elif name in _WITH_VALUE:
            encoded = _encoded(operation["value"])
        try:
            value = _apply(value, operation, encoded)
        except NothingThereError:
            raise NoPathError(path, key) from None
    return value


def _apply(value: JsonValue, operation: dict[str, Any], encoded: bytes) -> JsonValue:
    """Carry out one operation in a value, in place, and return it; ``encoded`` is what it adds.

    Raise `NothingThereError` if its path leads nowhere.
    """
    pointer = parse_pointer(operation["path"])
    match operation["op"]:
        case "test":
            _check_test(value, operation)
        case "remove":
            remove_at(value, pointer)
        case "replace":
            value_at(value, pointer)
            return put_at(value, pointer, orjson.loads(encoded))
        case "move":
            return _move(value, parse_pointer(operation["from"]), pointer)
        case _:
            return insert_at(value, pointer, orjson.loads(encoded))
    return value


def _move(value: JsonValue, source: Pointer, target: Pointer) -> JsonValue:
    if source == target:
        return value
    if target[: len(source)] == source:
        raise NothingThereError  # RFC 6902, 4.4: not into a child of its own
    part = value_at(value, source)
    remove_at(value, source)
    return insert_at(value, target, part)


def _check_path(path: Any) -> Pointer:
    """Decode a path that a value may have.

    A patch can nest a value deeper for a moment than it may be, and each path costs its length.
    """
    pointer = parse_pointer(path)
    if len(pointer) > JSON_DEPTH_MAX:
        raise LimitError(TOO_DEEP)
    return pointer


def _check_test(value: JsonValue, operation: dict[str, Any]) -> None:
    try:
        part = value_at(value, parse_pointer(operation["path"]))
    except NothingThereError:
        raise PatchTestError(operation["path"]) from None
    if not _is_equal(operation["value"], part):
        raise PatchTestError(operation["path"])


def _is_equal(one: JsonValue, other: JsonValue) -> bool:
    """Return whether two values are equal as JSON (RFC 6902, 4.6): 1 is 1.0, but not true.

    ``one`` comes from a message, so it is not nested too deeply for this recursion.
    """
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(_is_equal(part, other[name]) for name, part in one.items())
        )
    if isinstance(one, list):
        return (
            isinstance(other, list) and len(one) == len(other) and all(map(_is_equal, one, other))
        )
    return (type(one) is bool) == (type(other) is bool) and bool(one == other)


def _part(value: JsonValue, path: str, key: str) -> JsonValue:
    try:
        return value_at(value, parse_pointer(path))
    except NothingThereError:
        raise NoPathError(path, key) from None


def _encoded(value: JsonValue) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise LimitError(TOO_DEEP) from None
