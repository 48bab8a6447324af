"""Which requests may change something, and which of them depend on what is there."""

from typing import Final

from dunena.dialects import operations
from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError
from dunena.server.http.message import GET_WRITES_PREFIX, Request
from dunena.store.values import JsonValue

# Every message is compared with it, and in Python 3.11 naming a member calls a function.
_OBJECT_STORE: Final = Dialect.OBJECT_STORE

_DUNENA_WRITES: Final = operations.OPERATIONS | {"set", "del", "mset", "txn", "session"}
_OBJECT_STORE_WRITES: Final = operations.OPERATIONS | {"set", "delete", "txn", "session"}

_CONDITIONS: Final = frozenset(("path", "ifRev", "epoch", "idempotencyKey"))
"""Fields with which a `set` or `delete` depends on what is there."""

_CERTAIN: Final = frozenset((400, 401, 403, 405, 411, 415, 429))
"""The status of errors that depend on nothing but the request and its rights."""

_TOO_LARGE: Final = 413


def may_change(dialect: Dialect, message: JsonValue) -> bool:
    """Return whether a decoded message of a WebSocket may change something."""
    if not isinstance(message, dict):
        return False
    if dialect is _OBJECT_STORE:
        name = message.get("action")
        return isinstance(name, str) and name in _OBJECT_STORE_WRITES
    name = message.get("type")
    return isinstance(name, str) and name in _DUNENA_WRITES


def is_ping(dialect: Dialect, message: JsonValue) -> bool:
    """Return whether a decoded message reads nothing either, and only asks to be answered."""
    name = "action" if dialect is _OBJECT_STORE else "type"
    return isinstance(message, dict) and message.get(name) == "ping"


def is_conditional(dialect: Dialect, message: dict[str, JsonValue]) -> bool:
    """Return whether what a message changes, as far as `may_change`, depends on what is there."""
    name = message["action"] if dialect is _OBJECT_STORE else message["type"]
    if name == "mset":
        return operations.has_new_entry(message)
    return name not in ("set", "del", "delete") or not _CONDITIONS.isdisjoint(message)


def is_conditional_request(request: Request) -> bool:
    """Return the same of an HTTP request that may change something."""
    path, headers = request.path, request.headers
    if path.startswith(GET_WRITES_PREFIX) or path == "/txn":
        return True
    if not path.startswith("/kv/"):
        return False
    if request.method not in ("PUT", "DELETE") or "path=" in request.target:
        return True
    return any(name in headers for name in ("if-match", "if-none-match", "idempotency-key"))


def is_certain(error: ClientError, *, is_conditional: bool) -> bool:
    """Return whether a request gets this error whatever is there."""
    return is_certain_status(error.status, is_conditional=is_conditional)


def is_certain_status(status: int, *, is_conditional: bool) -> bool:
    """Return whether a request gets an error of this status whatever is there.

    A value that a request computes may be too large, or not.
    """
    return status in _CERTAIN or (status == _TOO_LARGE and not is_conditional)
