"""What a client can do wrong: one family, with the exact texts of the contract.

Raised where the fault is found; turned into a reply in one place per door (`session` for
WebSocket, the server's routes for HTTP).
"""


class ClientError(Exception):
    """A request that is refused; ``text`` goes to its sender and ``status`` is its HTTP status.

    ``is_named`` tells what the object-store dialect says in words, a broken limit for example, from
    a message that it does not understand, for which it has one text. ``is_limit`` counts as one.
    """

    status = 400
    is_named = False
    is_limit = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def within(self, prefix: str) -> "ClientError":
        """This error with a prefix that says where in the request the fault is."""
        self.text = prefix + self.text
        return self


class InvalidMessageError(ClientError):
    """Not a message of this dialect: no JSON, a field missing, an unknown type."""

    @classmethod
    def not_json(cls) -> "InvalidMessageError":
        """The message could not be parsed, or its JSON could not be kept exactly."""
        return cls("Invalid JSON")

    @classmethod
    def body_not_json(cls) -> "InvalidMessageError":
        """An HTTP request's body could not be parsed, or its JSON could not be kept exactly."""
        return cls("Invalid JSON body")

    @classmethod
    def missing(cls, field: str) -> "InvalidMessageError":
        """A field that the message needs is not there."""
        return cls(f"Missing field: {field}")

    @classmethod
    def unknown_type(cls, name: str) -> "InvalidMessageError":
        """The dunena dialect has no such message."""
        return cls(f"Unknown message type: {name}")


class WrongTypeError(ClientError):
    """A field holds a JSON value of the wrong kind."""


class LimitError(ClientError):
    """A field is of the right kind and outside what is permitted."""

    is_named = True
    is_limit = True


class TooManyError(LimitError):
    """More of something in one message than it may name."""

    def __init__(self, what: str, count_max: int) -> None:
        super().__init__(f"{what} exceed max count ({count_max})")


class TooLargeError(LimitError):
    """A value over the size limit."""

    status = 413


class RateLimitedError(LimitError):
    """More messages than the connection may send."""

    status = 429

    def __init__(self) -> None:
        super().__init__("Rate limit exceeded")


class ForbiddenError(ClientError):
    """The sender's token does not permit what the request asks for."""

    status = 403
    is_named = True

    @classmethod
    def to(cls, what: str, ns: str, key: str) -> "ForbiddenError":
        """The token does not permit ``what``, "read" or "write", of this key."""
        return cls(f'Not permitted: {what} "{key}"' + (f' in "{ns}"' if ns else ""))

    @classmethod
    def to_see_events(cls) -> "ForbiddenError":
        """The token permits no changes to be seen at all."""
        return cls("Not permitted: read events")

    @classmethod
    def needs_admin(cls) -> "ForbiddenError":
        """The request concerns the whole server, which needs the right ``admin``."""
        return cls("Not permitted: this needs the right admin")


class ConflictError(ClientError):
    """The key is at another revision than the sender thinks."""

    status = 409

    def __init__(self, key: str, revision: int) -> None:
        super().__init__(f'Revision conflict: "{key}" is at {revision}')


class StorageFailedError(LimitError):
    """The change could not be kept; memory and disk are as they were."""

    status = 507

    def __init__(self, reason: str) -> None:
        super().__init__(f"Storage error: {reason}; nothing was stored")
