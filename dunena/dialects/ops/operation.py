"""One operation on one key: read from a message, and what it makes of the key's value.

Rule (the contract, "Ops"): ``key`` and the optional ``path`` name a place; all operations but
`delete` create a missing key (as ``{}`` under a ``path``), and a ``path`` whose parent is missing
is an error, as the ``add`` of RFC 6902.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from dunena.dialects.dialect import Message
from dunena.dialects.errors import (
    InvalidFieldError,
    InvalidMessageError,
    NoPathError,
    NoRevisionError,
)
from dunena.dialects.fields import ENVELOPE, refuse_unknown
from dunena.dialects.ops.draft import Costs, DraftValue, copy_of, encode_checked
from dunena.dialects.ops.json_patch import apply_patch, check_patch
from dunena.dialects.ops.lists import appended, check_count
from dunena.dialects.ops.missing import MISSING, PRESENT, Encoded, MaybeValue
from dunena.dialects.ops.numbers import check_number, incremented
from dunena.dialects.ops.pointer import (
    NothingThereError,
    Pointer,
    parse_pointer,
    put_at,
    remove_at,
    value_at,
)
from dunena.dialects.ops.timer import changed_timer, check_timer_change
from dunena.dialects.services import NameRule, durability_of, namespace_of, ttl_of
from dunena.store.limits import BLIND_STEP_MAX
from dunena.store.merge_patch import merge
from dunena.store.values import JsonValue, encode

_NAME_CHARS_MAX = 512  # an error text does not repeat megabytes of the request

Answer = dict[str, Any]
"""The fields of an operation's answer, besides the revision."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an operation may depend on besides the value: the time (Unix ms).

    ``value_of_revision`` returns the encoded value that the key had at a revision; it raises
    `NoRevisionError`. ``earlier_values`` returns the encoded values before the present one, newest
    first, without those that equal it. ``costs`` are those of all operations of the request.
    """

    now: int
    value_of_revision: Callable[[str, str, int], bytes]
    earlier_values: Callable[[str, str], list[bytes]]
    costs: Costs = field(default_factory=Costs)


Compute = Callable[["Operation", MaybeValue, Surroundings], tuple[MaybeValue, Answer]]
"""Makes of a part, or `MISSING`, the new part, or `MISSING` to remove it, and the answer.
It may change the part in place."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A checked operation.

    ``ttl`` is in ms, 0 ends the expiry, None was not given. ``then`` (JSON) is merged into the
    value when the ttl ends; None removes the key. ``is_ephemeral`` tells whether the key is to
    belong to the sender's session, None was not given. ``needs_value`` tells whether the present
    value of the key has to be read, and ``is_conditional`` whether the sender asked for a condition
    that the present state must meet: then the outcome tells of it. ``patch_length`` is the number
    of operations of a `patch`.
    """

    name: str
    ns: str
    key: str
    path: str
    pointer: Pointer
    if_rev: int | None
    epoch: str | None
    ttl: int | None
    then: bytes | None
    is_ephemeral: bool | None
    is_durable: bool
    returns_value: bool
    compute: Compute
    needs_value: bool
    is_conditional: bool
    patch_length: int

    def apply(self, draft: DraftValue, around: Surroundings) -> Answer:
        """Change the value of the key; return the answer.

        Raise `ClientError` if the operation cannot be done; the draft is of no use then.
        """
        is_missing = draft.is_missing
        if not (self.pointer or self.needs_value):
            # What such an operation needs of the present value is whether there is one.
            part, answer = self.compute(self, MISSING if is_missing else PRESENT, around)
            if isinstance(part, Encoded):
                draft.put_encoded(part.text)
            elif part is not PRESENT:
                draft.put_encoded(None if part is MISSING else encode_checked(part))
            return answer
        value = {} if self.pointer and is_missing else draft.decoded(around.costs)
        part, answer = self.compute(self, self._part(value), around)
        if not self.pointer:
            draft.put(part)
            return answer
        try:
            if part is MISSING:
                remove_at(value, self.pointer)
            else:
                value = put_at(value, self.pointer, part)
        except NothingThereError:
            if part is MISSING:
                return answer
            raise NoPathError(self.path, self.key) from None
        draft.put(value)
        return answer

    def _part(self, value: JsonValue) -> MaybeValue:
        try:
            return value_at(value, self.pointer)
        except NothingThereError:
            return MISSING


def _set(operation: Message) -> Compute:
    if "value" not in operation:
        raise InvalidMessageError("Missing value")
    value = operation["value"]
    # Without a path the value is encoded at once.
    return lambda op, _part, _around: (copy_of(value) if op.pointer else value, {})


def _delete(_operation: Message) -> Compute:
    return lambda _operation, part, _around: (MISSING, {"deleted": part is not MISSING})


def _merge(operation: Message) -> Compute:
    if "value" not in operation:
        raise InvalidMessageError("Missing value")
    patch = operation["value"]
    return lambda _operation, part, _around: (merge(part, copy_of(patch)), {})


def _patch(operation: Message) -> Compute:
    patch = check_patch(operation.get("patch"))

    def compute(
        op: "Operation", part: MaybeValue, around: Surroundings
    ) -> tuple[MaybeValue, Answer]:
        value = {} if part is MISSING else part
        return apply_patch(value, patch, op.key, around.costs), {}

    return compute


def _incr(operation: Message) -> Compute:
    by = 1 if operation.get("by") is None else check_number(operation["by"], "By")
    lowest, highest = (
        None if operation.get(name) is None else check_number(operation[name], name.capitalize())
        for name in ("min", "max")
    )

    def compute(
        op: "Operation", part: MaybeValue, _around: Surroundings
    ) -> tuple[MaybeValue, Answer]:
        value = incremented(part, by, op.key, lowest, highest)
        return value, {"value": value}

    return compute


def _append(operation: Message) -> Compute:
    items = operation.get("values")
    if items is None and "value" in operation:
        items = [operation["value"]]
    elif items is None or operation.get("value") is not None:
        raise InvalidMessageError("Missing value")  # or both: which one is meant?
    if not isinstance(items, list):
        raise InvalidFieldError("Values must be a list")
    count_max = None if operation.get("max") is None else check_count(operation["max"], "Max")

    def compute(
        op: "Operation", part: MaybeValue, _around: Surroundings
    ) -> tuple[MaybeValue, Answer]:
        value = appended(part, copy_of(items), count_max, op.key)
        return value, {"length": len(value)}

    return compute


def _touch(operation: Message) -> Compute:
    if operation.get("ttl") is None:
        raise InvalidMessageError.missing("ttl")

    def compute(
        op: "Operation", part: MaybeValue, _around: Surroundings
    ) -> tuple[MaybeValue, Answer]:
        if part is MISSING:
            raise NoPathError(op.path, op.key)
        return part, {}

    return compute


def _timer(operation: Message) -> Compute:
    change = check_timer_change(operation.get("do"), operation.get("ms"), operation.get("rate"))

    def compute(
        op: "Operation", part: MaybeValue, around: Surroundings
    ) -> tuple[MaybeValue, Answer]:
        value = changed_timer(part, change, around.now, op.key)
        return value, {"value": value}

    return compute


def _revert(operation: Message) -> Compute:
    revision = operation.get("toRev")
    if revision is not None:
        revision = check_revision(revision, "toRev")

    def compute(
        op: "Operation", part: MaybeValue, around: Surroundings
    ) -> tuple[MaybeValue, Answer]:
        if revision is not None:
            encoded = around.value_of_revision(op.ns, op.key, revision)
        elif op.pointer:
            earlier = _earlier_part(op, part, around)
            return earlier, {"value": earlier}
        else:
            encoded = _earlier_value(op, around)
        if not op.pointer:
            value = Encoded(encoded)
            return value, {"value": value}
        around.costs.add_decoded(encoded)
        earlier = value_at_or_error(orjson.loads(encoded), op)
        return earlier, {"value": earlier}

    return compute


def _earlier_value(operation: Operation, around: Surroundings) -> bytes:
    """Return the newest earlier value as JSON. Raise `NoRevisionError` if there is none."""
    values = around.earlier_values(operation.ns, operation.key)
    if not values:
        raise NoRevisionError(0)
    return values[0]


def _earlier_part(operation: Operation, part: MaybeValue, around: Surroundings) -> JsonValue:
    """Return the part of the newest earlier value in which it is another one than now.

    Changes of other parts must not hide it. Raise `NoRevisionError` if there is no such value, and
    `NoPathError` if it has no such part.
    """
    values = around.earlier_values(operation.ns, operation.key)
    present = None if part is MISSING or part is PRESENT else _compared(part)
    for encoded in values:
        around.costs.add_decoded(encoded)
        value = orjson.loads(encoded)
        try:
            earlier = value_at(value, operation.pointer)
        except NothingThereError:
            if part is MISSING:
                continue
            raise NoPathError(operation.path, operation.key) from None
        if present is None or _compared(earlier) != present:
            return earlier
    if values and part is MISSING:
        raise NoPathError(operation.path, operation.key)
    raise NoRevisionError(0)


def _compared(value: JsonValue) -> bytes:
    """Return what is equal for equal JSON: in Python 1 equals true, and 1.0 equals 1."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def value_at_or_error(value: JsonValue, operation: Operation) -> JsonValue:
    """Return the part of a value that an operation names; raise `NoPathError` without one."""
    try:
        return value_at(value, operation.pointer)
    except NothingThereError:
        raise NoPathError(operation.path, operation.key) from None


def check_revision(value: Any, name: str) -> int:
    """Return a field of a message if it is a revision; raise `InvalidFieldError` if not."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 0:
        raise InvalidFieldError(f"{name} must be a non-negative integer")
    return value


_MAKERS: dict[str, tuple[Callable[[Message], Compute], bool]] = {
    "set": (_set, False),
    "delete": (_delete, False),
    "del": (_delete, False),
    "merge": (_merge, True),
    "patch": (_patch, True),
    "incr": (_incr, True),
    "append": (_append, True),
    "touch": (_touch, False),
    "timer": (_timer, True),
    "revert": (_revert, False),
}
"""Name -> what reads the fields of an operation, and whether it needs the present value."""

OPERATION_NAMES = frozenset(_MAKERS)

_OWN_FIELDS: dict[str, tuple[str, ...]] = {
    "set": ("value",),
    "merge": ("value",),
    "patch": ("patch",),
    "incr": ("by", "min", "max"),
    "append": ("value", "values", "max"),
    "timer": ("do", "ms", "rate"),
    "revert": ("toRev",),
}

_FIELDS_OF_ALL = (
    "key", "path", "ns", "ifRev", "epoch", "ttl", "then", "ephemeral", "durable", "return", "rev",
    "idempotencyKey",
)  # fmt: skip

_FIELDS = {name: _OWN_FIELDS.get(name, ()) + _FIELDS_OF_ALL for name in _MAKERS}
_KNOWN = {name: frozenset((*fields, "op", *ENVELOPE)) for name, fields in _FIELDS.items()}
"""The same for a quick look."""


def fields_of() -> Mapping[str, tuple[str, ...]]:
    """Return the fields that each operation has, by its name, besides those of every message."""
    return _FIELDS


def check_fields(message: Message, name: Any) -> None:
    """Raise `InvalidFieldError` for a field that an operation does not have.

    Do nothing if there is no such operation.
    """
    known = _KNOWN.get(name) if isinstance(name, str) else None
    if known is not None and not known.issuperset(message):
        refuse_unknown(message, _FIELDS[name], ("op",))


def parse_operation(
    message: Message, name: Any, ns: str, name_rule: NameRule, *, knows_all: bool = True
) -> Operation:
    """Check the fields of an operation; ``ns`` is for one that names no namespace of its own.

    ``knows_all``: it is wrong to have another field. ``name_rule`` checks its key and namespace.
    Raise `ClientError` for what is wrong.
    """
    maker = _MAKERS.get(name) if isinstance(name, str) else None
    if maker is None:
        shown = encode(name).decode()[:_NAME_CHARS_MAX]
        names = ", ".join([known for known in _MAKERS if known != "del"])
        raise InvalidFieldError(f"Unknown operation: {shown} (there are {names})")
    make, needs_value = maker
    if "key" not in message:
        raise InvalidMessageError.missing("key")
    key = name_rule(message["key"], "Key")
    if knows_all:
        check_fields(message, name)
    path = message.get("path")
    ttl = ttl_of(message)
    then = message.get("then")
    if then is not None and not ttl:
        raise InvalidFieldError("Then needs a ttl")
    if_rev = message.get("ifRev")
    epoch = message.get("epoch")
    if epoch is not None and not isinstance(epoch, str):
        raise InvalidFieldError("Epoch must be a string")
    return Operation(
        name=name,
        ns=namespace_of(message, name_rule) or ns,
        key=key,
        path="" if path is None else path,
        pointer=() if path is None else parse_pointer(path),
        if_rev=None if if_rev is None else check_revision(if_rev, "ifRev"),
        epoch=epoch,
        ttl=ttl,
        then=None if then is None else encode(then),
        is_ephemeral=ephemerality_of(message),
        is_durable=durability_of(message),
        returns_value=check_flag(message, "return"),
        compute=make(message),
        needs_value=needs_value,
        is_conditional=if_rev is not None or _has_condition(message, name),
        patch_length=len(message["patch"]) if name == "patch" else 0,
    )


def ephemerality_of(message: Message) -> bool | None:
    """Return the ``ephemeral`` of a message, None if it is missing or null.

    Raise `InvalidFieldError` for anything but a boolean.
    """
    is_ephemeral = check_flag(message, "ephemeral")
    return None if message.get("ephemeral") is None else is_ephemeral


def _has_condition(message: Message, name: str) -> bool:
    """Return whether an operation, which was checked, is done only with some present values."""
    if name == "incr":
        is_bounded = message.get("min") is not None or message.get("max") is not None
        return is_bounded or abs(message.get("by") or 0) > BLIND_STEP_MAX
    return name == "patch" and any(step["op"] == "test" for step in message["patch"])


def check_flag(message: Message, name: str) -> bool:
    """Return a field of a message that is a boolean, False if it is missing or null.

    Raise `InvalidFieldError` for anything else.
    """
    value = message.get(name)
    if value is not None and type(value) is not bool:
        raise InvalidFieldError(f"{name.capitalize()} must be a boolean")
    return bool(value)
