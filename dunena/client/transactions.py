"""The operations of a transaction, gathered before they are sent together."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

from dunena.client.errors import ClosedError
from dunena.client.requests import check_ttl, encoded, encoded_fields, encoded_patch


class PlaceOptions(TypedDict, total=False):
    """The options of every operation; each may be left out or None.

    ``ns`` is its namespace. ``path`` is a JSON Pointer (RFC 6901) to the part of the value that it
    works on. ``if_rev``: do it only if the key is at this revision, 0 for a key that does not
    exist; else `ConflictError` is raised. ``durable``: wait until the change is on the device.
    """

    ns: str | None
    path: str | None
    if_rev: int | None
    durable: bool | None


class TouchOptions(PlaceOptions, total=False):
    """The options of an operation that sets the expiry.

    ``then``: what is merged into the value when the ttl ends, in place of deleting the key.
    """

    then: Any


class OperationOptions(TouchOptions, total=False):
    """The options of the operations that can set the expiry too.

    ``ttl``: ms until the key expires, 0 for no expiry. Without it `set` removes the expiry that the
    key had, and the other operations keep it. ``ephemeral``: the key belongs to this client's
    session: it is never on disk, and goes when the session ends.
    """

    ttl: int | None
    ephemeral: bool | None


_OPTION_NAMES = frozenset(OperationOptions.__annotations__)


class BaseTransaction:
    """The common part of the transactions of both shells: gathers operations.

    ``results`` has the answers when the transaction was carried out: for each operation a dict with
    ``rev``, and with ``value``, ``length`` or ``deleted`` where its call returns that.
    """

    def __init__(self, ns: str, *, durable: bool | None) -> None:
        self.results: list[dict[str, Any]] = []
        self._ns = ns
        self._durable = durable
        self._ops: list[dict[str, object]] = []
        self._has_ended = False

    def set(self, key: str, value: Any, **options: Unpack[OperationOptions]) -> None:
        """Store any JSON value; ``options`` are those of `OperationOptions`."""
        self._add("set", key, options, value=encoded(value))

    def delete(self, key: str, **options: Unpack[PlaceOptions]) -> None:
        """Delete a key, or the part of its value at ``path``."""
        self._add("delete", key, options)

    def merge(
        self, key: str, fields: Mapping[str, Any], **options: Unpack[OperationOptions]
    ) -> None:
        """Merge fields into a value (RFC 7396); a field that is None is removed."""
        self._add("merge", key, options, value=encoded_fields(fields))

    def patch(
        self, key: str, patch: Iterable[Mapping[str, Any]], **options: Unpack[OperationOptions]
    ) -> None:
        """Apply a JSON Patch (RFC 6902), all of it or nothing."""
        self._add("patch", key, options, patch=encoded_patch(patch))

    def incr(
        self,
        key: str,
        by: float = 1,
        *,
        min: float | None = None,  # noqa: A002 - the name of the message's field
        max: float | None = None,  # noqa: A002 - the name of the message's field
        **options: Unpack[OperationOptions],
    ) -> None:
        """Add to a number, 0 if there is none; the sum has to be in ``min`` to ``max``."""
        self._add("incr", key, options, by=by, min=min, max=max)

    def append(
        self,
        key: str,
        *values: Any,
        max: int | None = None,  # noqa: A002 - the name of the message's field
        **options: Unpack[OperationOptions],
    ) -> None:
        """Append values to a list, of which the newest ``max`` stay."""
        self._add("append", key, options, values=encoded(list(values)), max=max)

    def touch(self, key: str, ttl: int, **options: Unpack[TouchOptions]) -> None:
        """Change only the expiry of a key: ``ttl`` ms from now, 0 for none."""
        self._add("touch", key, options, ttl=ttl)

    def timer(
        self,
        key: str,
        do: str,
        *,
        ms: float | None = None,
        rate: float | None = None,
        **options: Unpack[OperationOptions],
    ) -> None:
        """Change a timer: ``do`` is start, stop, toggle, set or add."""
        self._add("timer", key, options, do=do, ms=ms, rate=rate)

    def revert(
        self, key: str, to_rev: int | None = None, **options: Unpack[OperationOptions]
    ) -> None:
        """Store the value of a revision again, or the newest that differs from the present."""
        self._add("revert", key, options, toRev=to_rev)

    def _end(self) -> dict[str, object]:
        """Take no more operations; return the fields of the message."""
        self._has_ended = True
        return {"ops": self._ops, "ns": self._ns or None, "durable": self._durable}

    def _add(
        self, name: str, key: str, options: PlaceOptions | OperationOptions, **fields: object
    ) -> None:
        """Add an operation with the fields of its message."""
        if self._has_ended:
            raise ClosedError("The transaction has ended")
        self._ops.append({"op": name, **operation_fields(key, options, **fields)})


def operation_fields(
    key: str, options: PlaceOptions | OperationOptions, **fields: object
) -> dict[str, object]:
    """Return the fields of an operation's message; leave out what is None.

    Raise `TypeError` for a number that is no JSON, a ``then`` that is none, or an option that does
    not exist: a condition that is spelt otherwise must not go unnoticed.
    """
    for name in options:
        if name not in _OPTION_NAMES:
            raise TypeError(f"no option {name}: there are {', '.join(sorted(_OPTION_NAMES))}")
    message: dict[str, object] = {"key": key, **fields, **options}
    check_ttl(message.get("ttl"))
    message["ifRev"] = message.pop("if_rev", None)
    return {
        name: encoded(value) if name == "then" or isinstance(value, float) else value
        for name, value in message.items()
        if value is not None
    }
