"""The message `session`, which is the same in both dialects, and the end of a session.

Rule (the contract, "Sessions, presence, will"): when a session ends, its ephemeral keys go and its
will runs, as one transaction.
"""

from typing import Any

import orjson

from dunena.dialects.dialect import Message
from dunena.dialects.errors import (
    ClientError,
    ForbiddenError,
    InvalidFieldError,
    StorageFailedError,
    TooLargeError,
    TooManyError,
)
from dunena.dialects.fields import NAMESPACE, refuse_unknown
from dunena.dialects.operations import parse_operations
from dunena.dialects.ops.operation import Operation
from dunena.dialects.ops.transaction import Transaction, check_rights
from dunena.dialects.services import Holder, NameRule, Services, unicode_name
from dunena.sessions.limits import (
    GRACE_MS_MAX,
    SESSION_NAME_CHARS_MAX,
    TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
    WILL_BYTES_MAX,
    WILL_OPERATIONS_MAX,
    WILLS_BYTES_MAX,
)
from dunena.sessions.session import SessionRequest
from dunena.sessions.session_table import WillsFullError
from dunena.store.entry import EntryId
from dunena.store.errors import StoreFullError
from dunena.store.values import encode

_FIELDS = ("timeout", "grace", "name", "will", "resume")


def answer_session(
    services: Services, holder: Holder | None, message: Message, name_rule: NameRule, now: int
) -> dict[str, Any]:
    """Begin, change or resume the session of a connection; return the data of the answer.

    ``now`` is Unix ms. Raise `ClientError` for a wrong message; then nothing was done.
    """
    refuse_unknown(message, _FIELDS, NAMESPACE)
    request = SessionRequest(
        resume=_secret_of(message),
        timeout_ms=_ms_of(message, "timeout", TIMEOUT_MS_MIN, TIMEOUT_MS_MAX),
        grace_ms=_ms_of(message, "grace", 0, GRACE_MS_MAX),
        name=_name_of(message),
        will=_will_of(services, message, name_rule),
    )
    if holder is None:
        raise InvalidFieldError("A session needs a WebSocket")
    try:
        session, is_resumed = holder.request(request, now)
    except WillsFullError:
        raise TooLargeError(f"Wills exceed max size of all ({WILLS_BYTES_MAX} bytes)") from None
    return {
        "session": session.id,
        "resume": session.secret,
        "resumed": is_resumed,
        "timeout": session.timeout_ms,
        "grace": session.grace_ms,
        "timestamp": now,
    }


def end_session(
    services: Services | None,
    unrestricted: Services,
    will: bytes,
    keys: list[EntryId],
    now: int,
) -> ClientError | None:
    """Delete the ephemeral keys of a session and run its will (JSON), as one transaction.

    ``services`` are those of the session's rights, None if it has none any more: then its will does
    not run. Return the error for which its will did not run; the keys go all the same. Raise
    `WriteRefusedError` while changes are refused; then nothing was done.
    """
    error: ClientError | None = None
    if will and services is None:
        error = ForbiddenError("its token is not valid any more")
    elif will and services is not None:
        try:
            operations = _parse_will(orjson.loads(will), unicode_name)
            transaction = Transaction(services, now)
            transaction.end(keys)
            transaction.run(operations, _numbered)
        except ClientError as failure:
            error = failure
        except StoreFullError as full:
            error = StorageFailedError(full.reason)
        else:
            return None
    if keys:
        transaction = Transaction(unrestricted, now)
        transaction.end(keys)
        transaction.run([], _numbered)
    return error


def _secret_of(message: Message) -> str | None:
    secret = message.get("resume")
    if secret is not None and not isinstance(secret, str):
        raise InvalidFieldError("Resume must be a string")
    return secret


def _ms_of(message: Message, name: str, least: int, most: int) -> int | None:
    value = message.get(name)
    if value is None:
        return None
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise InvalidFieldError(f"{name.capitalize()} must be {least} to {most} ms")
    return value


def _name_of(message: Message) -> str | None:
    name = message.get("name")
    if name is None:
        return None
    if not isinstance(name, str) or len(name) > SESSION_NAME_CHARS_MAX or not name.isprintable():
        raise InvalidFieldError(
            f"Name must be at most {SESSION_NAME_CHARS_MAX} printable characters"
        )
    return name


def _will_of(services: Services, message: Message, name_rule: NameRule) -> bytes | None:
    """Return a will as JSON if its operations are right and permitted; None without one."""
    will = message.get("will")
    if will is None:
        return None
    for number, operation in enumerate(_parse_will(will, name_rule)):
        try:
            check_rights(services, operation)
        except ClientError as error:
            raise _numbered(error, number) from None
    encoded = encode(will) if will else b""
    if len(encoded) > WILL_BYTES_MAX:
        raise TooLargeError(f"Will exceeds max size ({WILL_BYTES_MAX} bytes)")
    return encoded


def _parse_will(will: Any, name_rule: NameRule) -> list[Operation]:
    if not isinstance(will, list):
        raise InvalidFieldError("Will must be a list of operations")
    if len(will) > WILL_OPERATIONS_MAX:
        raise TooManyError("Operations of a will", WILL_OPERATIONS_MAX)
    operations = parse_operations(will, "", name_rule, _numbered)
    for number, operation in enumerate(operations):
        if operation.is_ephemeral:
            raise _numbered(InvalidFieldError("Ephemeral needs a session that goes on"), number)
    return operations


def _numbered(error: ClientError, number: int) -> ClientError:
    """Say in an error which operation of a will it is about; count from 0."""
    error.fields["op"] = number
    return error.within(f"will op {number}: ")
