"""The errors that a client can cause, all of one base class, with the exact texts of the contract.

An error is raised where the fault is found. It becomes a reply in one place for each transport:
`conversation` for WebSocket, the server's routes for HTTP.
"""

from collections.abc import Mapping
from types import MappingProxyType

from dunena.watches.selector import Selector


class ClientError(Exception):
    """A refused request; ``text`` is sent to the client, ``status`` is its HTTP status.

    ``is_named``: the object-store dialect sends this text, as for an exceeded limit; for all other
    errors it sends one common text. ``is_limit``: the error counts as an exceeded limit. ``code``
    and ``fields`` are for programs; only answers to operations and watches have them, as the
    clients of the older messages know nothing of them. ``headers`` are more headers over HTTP.
    """

    status = 400
    headers: Mapping[str, str] = MappingProxyType({})
    is_named = False
    is_limit = False
    code = "invalid"

    def __init__(self, text: str, **fields: object) -> None:
        super().__init__(text)
        self.text = text
        self.fields = fields

    def within(self, prefix: str) -> "ClientError":
        """Prepend ``prefix``, which says where in the request the fault is; return the error."""
        self.text = prefix + self.text
        return self


class InvalidMessageError(ClientError):
    """The message is none of this dialect: no JSON, a missing field or an unknown type."""

    @classmethod
    def not_json(cls) -> "InvalidMessageError":
        """Make the error for a message that is no JSON, or whose JSON cannot be stored exactly."""
        return cls("Invalid JSON")

    @classmethod
    def body_not_json(cls) -> "InvalidMessageError":
        """Make the error for an HTTP body that is no JSON, or cannot be stored exactly."""
        return cls("Invalid JSON body")

    @classmethod
    def missing(cls, field: str) -> "InvalidMessageError":
        """Make the error for a missing field."""
        return cls(f"Missing field: {field}")

    @classmethod
    def unknown_type(cls, name: str) -> "InvalidMessageError":
        """Make the error for a ``type`` that the dunena dialect does not have."""
        return cls(f"Unknown message type: {name}")


class WrongTypeError(ClientError):
    """A field holds a JSON value of the wrong kind."""


class LimitError(ClientError):
    """A field is of the right kind, but outside the permitted range."""

    is_named = True
    is_limit = True
    code = "limit"


class TooManyError(LimitError):
    """A message or connection has more of something than permitted."""

    def __init__(self, what: str, count_max: int) -> None:
        super().__init__(f"{what} exceed max count ({count_max})")


class TooLargeError(LimitError):
    """A value or a reply is over its size limit."""

    status = 413


class RateLimitedError(LimitError):
    """The connection sends more messages a second than permitted."""

    status = 429
    code = "rate"

    def __init__(self) -> None:
        super().__init__("Rate limit exceeded")


class ForbiddenError(ClientError):
    """The client's token does not permit the request."""

    status = 403
    is_named = True
    code = "forbidden"

    @classmethod
    def to(cls, what: str, ns: str, key: str) -> "ForbiddenError":
        """Make the error for a key that the token may not ``what``: "read" or "write"."""
        return cls(f'Not permitted: {what} "{key}"' + (f' in "{ns}"' if ns else ""))

    @classmethod
    def to_see_events(cls) -> "ForbiddenError":
        """Make the error for a token that permits to see no events."""
        return cls("Not permitted: read events")

    @classmethod
    def to_channel(cls, what: str, channel: str) -> "ForbiddenError":
        """Make the error for a channel that the token may not ``what``: "read" or "write"."""
        return cls(f'Not permitted: {what} channel "{channel}"')

    @classmethod
    def reserved_channel(cls, channel: str) -> "ForbiddenError":
        """Make the error for a channel on which only the server sends."""
        return cls(f'Channel is reserved: "{channel}"')

    @classmethod
    def needs_admin(cls) -> "ForbiddenError":
        """Make the error for a request that needs the right ``admin``."""
        return cls("Not permitted: this needs the right admin")

    @classmethod
    def needs_everything(cls) -> "ForbiddenError":
        """Make the error for a request that shows every value, by who may not read each."""
        return cls("Not permitted: this needs the rights admin and read, for all keys")


class ConflictError(ClientError):
    """The key is at another revision than the one that the request names."""

    status = 412
    is_named = True
    code = "conflict"

    def __init__(self, key: str, revision: int) -> None:
        super().__init__(f'Revision conflict: "{key}" is at {revision}', key=key, rev=revision)


class SessionEndedError(ClientError):
    """A request comes again whose ephemeral keys went with the session that it came from."""

    status = 409
    is_named = True
    code = "session_ended"

    def __init__(self) -> None:
        super().__init__("The session of this request has ended, and its ephemeral keys with it")


class PositionAheadError(Exception):
    """A client continues from a position that this server has not reached: no error of the client,
    as a server that follows another one may be behind. ``selector`` is that of its watch."""

    def __init__(self, selector: Selector) -> None:
        super().__init__()
        self.selector = selector


class StorageFailedError(LimitError):
    """The change could not be stored; memory and disk are as before."""

    status = 507
    code = "storage"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Storage error: {reason}; nothing was stored")


class StoreUnavailableError(StorageFailedError):
    """The log that several servers share does not take the change at present."""

    status = 503
    code = "unavailable"


class OutcomeUnknownError(LimitError):
    """The log did not answer in time: the change was made, or is when it answers, or never."""

    status = 504
    code = "unknown"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Storage error: {reason}; the change may have been made")


_PATH_CHARS_MAX = 64  # an error does not repeat all of a request

TOO_DEEP = "Value is nested too deeply"


class InvalidFieldError(ClientError):
    """A field is wrong: any of an operation or a watch, or the ttl of a write."""

    is_named = True


class PathSyntaxError(InvalidFieldError):
    """A path is no JSON Pointer (RFC 6901); ``example`` is what may have been meant."""

    def __init__(self, path: object) -> None:
        shown = path[:_PATH_CHARS_MAX] if isinstance(path, str) else None
        meant = (shown or "home/score").replace("~", "~0").removeprefix("/")
        fields = {} if shown is None else {"path": shown}
        super().__init__("Path must be a JSON Pointer", **fields, example=f"/{meant}")


class PatchSyntaxError(InvalidFieldError):
    """A patch is no list of complete operations (RFC 6902)."""

    def __init__(self) -> None:
        super().__init__("Patch must be a list of operations")


class OperationError(ClientError):
    """An operation is right, but the value that it met does not permit it."""

    status = 409
    is_named = True


class NoPathError(OperationError):
    """The value has nothing at the path, or no parent for it."""

    code = "no_path"

    def __init__(self, path: str, key: str) -> None:
        super().__init__(f'Nothing at "{path}" of "{key}"', key=key)


class ValueKindError(OperationError):
    """The value is not of the kind that the operation works on: "number", "list" or "timer"."""

    code = "wrong_type"

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f'Not a {kind}: "{key}"', key=key)


class PatchTestError(OperationError):
    """The ``test`` of a patch failed."""

    code = "test_failed"

    def __init__(self, path: str) -> None:
        super().__init__(f'Patch test failed: "{path}"')


class OutOfRangeError(OperationError):
    """The result of an operation is past 64 bits, or outside of what the operation permits.

    The fields ``min`` and ``max`` are those of the operation.
    """

    code = "range"

    def __init__(self, key: str, lowest: float | None = None, highest: float | None = None) -> None:
        bounds = {"min": lowest, "max": highest}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        super().__init__(f'Out of range: "{key}"', key=key, **given)


class NoRevisionError(OperationError):
    """The history has no such revision of the key."""

    status = 404
    code = "no_rev"

    def __init__(self, revision: int) -> None:
        super().__init__(f"No such revision: {revision}")
