"""The errors that a client can cause, all of one base class, with the exact texts of the contract.

An error is raised where the fault is found. It becomes a reply in one place for each transport:
`session` for WebSocket, the server's routes for HTTP.
"""


class ClientError(Exception):
    """A refused request; ``text`` is sent to the client, ``status`` is its HTTP status.

    ``is_named``: the object-store dialect sends this text, as for an exceeded limit; for all other
    errors it sends one common text. ``is_limit``: the error counts as an exceeded limit.
    """

    status = 400
    is_named = False
    is_limit = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

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

    def __init__(self) -> None:
        super().__init__("Rate limit exceeded")


class ForbiddenError(ClientError):
    """The client's token does not permit the request."""

    status = 403
    is_named = True

    @classmethod
    def to(cls, what: str, ns: str, key: str) -> "ForbiddenError":
        """Make the error for a key that the token may not ``what``: "read" or "write"."""
        return cls(f'Not permitted: {what} "{key}"' + (f' in "{ns}"' if ns else ""))

    @classmethod
    def to_see_events(cls) -> "ForbiddenError":
        """Make the error for a token that permits to see no events."""
        return cls("Not permitted: read events")

    @classmethod
    def needs_admin(cls) -> "ForbiddenError":
        """Make the error for a request that needs the right ``admin``."""
        return cls("Not permitted: this needs the right admin")


class ConflictError(ClientError):
    """The key is at another revision than the one that the request names."""

    status = 409

    def __init__(self, key: str, revision: int) -> None:
        super().__init__(f'Revision conflict: "{key}" is at {revision}')


class StorageFailedError(LimitError):
    """The change could not be stored; memory and disk are as before."""

    status = 507

    def __init__(self, reason: str) -> None:
        super().__init__(f"Storage error: {reason}; nothing was stored")
