"""The messages of operations, transactions and history, which are the same in both dialects.

A handler takes the message and returns the data of its answer; the dialects put it into their
envelopes. Old messages (`set`, `del`, `get`, ...) come here too if they have a field of
docs/operations-on-values.md; without one their own dialect answers them, exactly as it always did.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import orjson

from dunena.dialects.dialect import Message
from dunena.dialects.errors import (
    ClientError,
    InvalidFieldError,
    InvalidMessageError,
    SessionEndedError,
    TooManyError,
)
from dunena.dialects.fields import refuse_unknown
from dunena.dialects.ops.lists import check_count
from dunena.dialects.ops.operation import Operation, check_flag, parse_operation
from dunena.dialects.ops.transaction import Transaction
from dunena.dialects.services import Holder, NameRule, Services, durability_of, namespace_of
from dunena.store.entry import Entry
from dunena.store.limits import (
    HISTORY_VALUES_MAX,
    IDEMPOTENCY_KEY_CHARS_MAX,
    KEYS_PER_MESSAGE_MAX,
    OPERATIONS_MAX,
    REPLY_VALUES_BYTES_MAX,
)

Data = dict[str, Any]
"""The data of an answer."""

OPERATIONS: frozenset[str] = frozenset(
    ("merge", "patch", "incr", "append", "touch", "timer", "revert")
)
"""The messages that are one operation each, besides `set` and `delete`."""

_NEW = OPERATIONS | {"txn", "history", "watch", "unwatch", "publish", "session"}

_FIELDS = frozenset(
    ("path", "ifRev", "epoch", "then", "ephemeral", "return", "idempotencyKey", "rev", "json")
)  # of old messages, that make them new ones


_TRANSACTION_FIELDS = ("ops", "ns", "durable", "idempotencyKey")
_HISTORY_FIELDS = ("key", "ns", "limit")


def has_new_field(message: Message) -> bool:
    """Return whether an old message has a field that only docs/operations-on-values.md gives it."""
    return not _FIELDS.isdisjoint(message)


def refuse_new_fields(message: Message, *known: str) -> None:
    """Raise `InvalidFieldError` for a field that only operations have, but for the ``known`` ones.

    The older requests of HTTP have no operations: what is ignored there, such as a ``path``, would
    cost the value.
    """
    for name, value in message.items():
        if name in _FIELDS and name not in known and value is not None:
            # A request over HTTP has no session that an ephemeral key could end with.
            doors = "the WebSocket" if name == "ephemeral" else "/kv or the WebSocket"
            raise InvalidFieldError(f"{name} is for operations: use {doors}")


def has_new_entry(message: Message) -> bool:
    """Return whether an `mset` or one of its entries has a field that only operations have."""
    if has_new_field(message):
        return True
    entries = message.get("entries")
    return isinstance(entries, list) and any(
        isinstance(entry, dict) and has_new_field(entry) for entry in entries
    )


def is_new(message: Message, name_field: str) -> bool:
    """Return whether a message is an operation, a watch or one of channels that came with these.

    ``name_field`` is "type" or "action".
    """
    name = message.get(name_field)
    if not isinstance(name, str):
        return False
    if name == "mset":
        return has_new_entry(message)
    if name_field == "action" and name in ("subscribe", "unsubscribe"):
        return message.get("channel") is not None or has_new_field(message)
    return name in _NEW or has_new_field(message)


def answer_operation(
    services: Services,
    message: Message,
    name: str,
    name_rule: NameRule,
    now: int,
    holder: Holder | None = None,
) -> Data:
    """Carry out one operation, once; ``now`` is Unix ms.

    ``holder`` has the sender's session; None if it can have none. Raise `ClientError` if nothing
    was done.
    """
    return answer_once(
        services,
        message,
        now,
        lambda: operate(services, message, name, name_rule, now, holder),
        holder,
    )


def operate(
    services: Services,
    message: Message,
    name: Any,
    name_rule: NameRule,
    now: int,
    holder: Holder | None = None,
) -> Data:
    """Do the same as `answer_operation`, but again if the message comes again."""
    check_flag(message, "rev")
    # The unknown fields of an old message are ignored.
    operation = parse_operation(message, name, "", name_rule, knows_all=name in OPERATIONS)
    (result,) = Transaction(services, now, holder).run([operation], _unnamed)
    position = {"rev": result["rev"]} if "rev" in result else {}
    return {"key": operation.key, **position, "epoch": services.epoch, **result}


def answer_transaction(
    services: Services,
    message: Message,
    name_rule: NameRule,
    now: int,
    holder: Holder | None = None,
) -> Data:
    """Carry out all operations of a `txn` or none; ``now`` and ``holder`` as for one operation.

    Raise `ClientError` for the first operation that cannot be done, and then nothing was done.
    """

    def answer() -> Data:
        operations, is_durable = _parse_transaction(message, name_rule)
        transaction = Transaction(services, now, holder)
        return _carry_out(services, transaction, operations, _numbered, is_durable=is_durable)

    return answer_once(services, message, now, answer, holder)


def answer_many(
    services: Services,
    message: Message,
    name_rule: NameRule,
    now: int,
    holder: Holder | None = None,
) -> Data:
    """Store all ``entries`` of an `mset` or none, each of which may have the fields of a `set`.

    ``now`` and ``holder`` are as for one operation. Raise `ClientError` for the first entry that
    cannot be stored.
    """

    def answer() -> Data:
        entries, operations, is_durable = _parse_entries(message, name_rule)

        def named(error: ClientError, number: int) -> ClientError:
            return _named(error, entries, number)

        transaction = Transaction(services, now, holder)
        data = _carry_out(services, transaction, operations, named, is_durable=is_durable)
        return {"stored": len(entries), **data}

    return answer_once(services, message, now, answer, holder)


def answer_history(services: Services, message: Message, name_rule: NameRule, now: int) -> Data:
    """Return the values of a key, the present one first, if there is one; ``now`` is Unix ms.

    ``rev`` is the key's present revision, 0 for no key: then all values are earlier ones. Only so
    many are returned as one reply may hold, but always the first.
    """
    if "key" not in message:
        raise InvalidMessageError.missing("key")
    key = name_rule(message["key"], "Key")
    ns = namespace_of(message, name_rule)
    limit = message.get("limit")
    refuse_unknown(message, _HISTORY_FIELDS)
    count_max = HISTORY_VALUES_MAX + 1 if limit is None else check_count(limit, "Limit")
    present = services.store.peek(ns, key, now)  # raises if the key may not be read
    earlier = services.unrestricted_store.history.of(ns, key)
    entries = earlier if present is None else [present, *earlier]
    sizes = accumulate([len(entry.value) for entry in entries])
    count_max = min(count_max, max(1, bisect_right(list(sizes), REPLY_VALUES_BYTES_MAX)))
    return {
        "key": key,
        "rev": revision_of(present),
        "epoch": services.epoch,
        "entries": [
            {
                "rev": entry.revision,
                "timestamp": entry.written_at,
                "value": orjson.Fragment(entry.value),
            }
            for entry in entries[:count_max]
        ],
    }


def revision_of(entry: Entry | None) -> int:
    """Return the revision of an entry; 0 for no key."""
    return 0 if entry is None else entry.revision


def _operation_name(op: Any) -> Any:
    if not isinstance(op, dict) or "op" not in op:
        raise InvalidMessageError.missing("op")
    return op["op"]


def _parse_transaction(message: Message, name_rule: NameRule) -> tuple[list[Operation], bool]:
    """Return the operations of a `txn`, and whether it is to be durable."""
    ops = message.get("ops")
    if not isinstance(ops, list):
        raise InvalidMessageError.missing("ops")
    if len(ops) > OPERATIONS_MAX:
        raise TooManyError("Operations", OPERATIONS_MAX)
    _check_no_condition(message)
    refuse_unknown(message, _TRANSACTION_FIELDS)
    ns = namespace_of(message, name_rule)
    is_durable = durability_of(message)
    return parse_operations(ops, ns, name_rule, _numbered), is_durable


def parse_operations(
    ops: list[Any], ns: str, name_rule: NameRule, named: Callable[[ClientError, int], ClientError]
) -> list[Operation]:
    """Check operations that are carried out together; ``ns`` is that of those that name none.

    Raise `ClientError` for the first that is wrong; ``named`` says in it which one that is.
    """
    operations: list[Operation] = []
    in_patches = 0
    for number, op in enumerate(ops):
        try:
            operations.append(_parse_part(op, _operation_name(op), ns, name_rule, knows_all=True))
            in_patches += operations[-1].patch_length
            if in_patches > OPERATIONS_MAX:
                raise TooManyError("Operations", OPERATIONS_MAX)
        except ClientError as error:
            raise named(error, number) from None
    return operations


def _parse_entries(
    message: Message, name_rule: NameRule
) -> tuple[list[Message], list[Operation], bool]:
    """Return the entries of an `mset`, their operations, and whether it is to be durable."""
    check_flag(message, "rev")
    entries = message.get("entries")
    if not isinstance(entries, list):
        raise InvalidMessageError.missing("entries")
    if len(entries) > KEYS_PER_MESSAGE_MAX:
        raise TooManyError("Entries", KEYS_PER_MESSAGE_MAX)
    _check_no_condition(message)
    ns = namespace_of(message, name_rule)
    is_durable = durability_of(message)
    operations: list[Operation] = []
    for number, entry in enumerate(entries):
        fields = entry if isinstance(entry, dict) else {}
        try:
            name_rule(fields.get("key"), "Key")
        except ClientError as error:
            error.fields["op"] = number
            raise error.within("mset key error: ") from None
        try:
            operations.append(_parse_part(fields, "set", ns, name_rule, knows_all=False))
        except ClientError as error:
            raise _named(error, entries, number) from None
    return entries, operations, is_durable


def _check_no_condition(message: Message) -> None:
    """Raise `InvalidFieldError` for an ``ifRev`` that is of no key, which would go unnoticed."""
    if message.get("ifRev") is not None:
        raise InvalidFieldError("ifRev must be that of an operation")


def _parse_part(
    op: Message, name: Any, ns: str, name_rule: NameRule, *, knows_all: bool
) -> Operation:
    """Check an operation of a request that has several; raise `ClientError` if it is wrong."""
    if op.get("idempotencyKey") is not None:
        raise InvalidFieldError("idempotencyKey must be that of the whole request")
    return parse_operation(op, name, ns, name_rule, knows_all=knows_all)


def _carry_out(
    services: Services,
    transaction: Transaction,
    operations: list[Operation],
    named: Callable[[ClientError, int], ClientError],
    *,
    is_durable: bool,
) -> Data:
    """Carry out operations together; return the data of the answer."""
    results = transaction.run(operations, named, is_durable=is_durable)
    return {
        "rev": services.unrestricted_store.revision,
        "epoch": services.epoch,
        "results": results,
    }


def _numbered(error: ClientError, number: int) -> ClientError:
    """Say in an error which operation of a transaction it is about; count from 0."""
    error.fields["op"] = number
    return error.within(f"op {number}: ")


def _named(error: ClientError, entries: list[Message], number: int) -> ClientError:
    """Say in an error which entry of an `mset` it is about."""
    error.fields["op"] = number
    return error.within(f'mset value error for "{entries[number]["key"]}": ')


def _unnamed(error: ClientError, _number: int) -> ClientError:
    """Return the error of an only operation as it is."""
    return error


def answer_once(
    services: Services,
    message: Message,
    now: int,
    answer: Callable[[], Data],
    holder: Holder | None = None,
) -> Data:
    """Return the answer of a request, or the first one, as a duplicate, if it came before.

    The field ``idempotencyKey`` of the message says so; with the same key all its other fields must
    be the same. ``holder`` has the sender's session. Raise `ClientError`, also for what ``answer``
    raises, and `SessionEndedError` for a duplicate of another session if it made ephemeral keys:
    the sender would believe that it still has them.
    """
    name = message.get("idempotencyKey")
    if name is None:
        return answer()
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= IDEMPOTENCY_KEY_CHARS_MAX
        or not (name.isascii() and name.isprintable())
    ):
        raise InvalidFieldError(
            f"idempotencyKey must be 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable characters"
        )
    now = services.unrestricted_store.time_of_request(now)
    answer_id = (services.scope, name)
    request = _digest_of(message)
    known = services.answers.find(answer_id, request, now)
    if known is not None:
        if known.owner is not None and known.owner != _session_id_of(holder):
            raise SessionEndedError
        return {**known.data, "duplicate": True}
    data = answer()
    owner = _session_id_of(holder) if _is_ephemeral(message) else None
    revision = services.unrestricted_store.revision
    services.answers.remember(answer_id, request, data, revision, now, owner)
    return data


def _session_id_of(holder: Holder | None) -> str | None:
    return None if holder is None or holder.session is None else holder.session.id


def _is_ephemeral(message: Message) -> bool:
    """Return whether a request that was carried out has made ephemeral keys."""
    parts = message.get("ops") or message.get("entries") or ()
    return any(part.get("ephemeral") is True for part in (message, *parts))


def _digest_of(message: Message) -> bytes:
    """Return a digest of a request, which is the same when it is sent again with another id."""
    fields = {name: value for name, value in message.items() if name != "id"}
    encoded = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(encoded, digest_size=16).digest()
