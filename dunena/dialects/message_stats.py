"""Counters of the messages that a server answered; no I/O."""

from collections import defaultdict

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError, ForbiddenError


class MessageStats:
    """Counters of messages by name, of open conversations by dialect, and of refused messages.

    ``cached_gets`` counts object-store `get` messages that were recognized by their bytes. If the
    changes of a tick are refused, its messages are answered again and count again.
    """

    __slots__ = (
        "cached_gets",
        "conversations",
        "dunena",
        "forbidden",
        "object_store",
        "over_limit",
    )

    def __init__(self) -> None:
        self.dunena: dict[str, int] = defaultdict(int)
        self.object_store: dict[str, int] = defaultdict(int)
        self.cached_gets = 0
        self.conversations = dict.fromkeys(Dialect, 0)
        self.over_limit = 0
        self.forbidden = 0

    def count(self, error: ClientError) -> None:
        """Count a refused message or request."""
        self.over_limit += error.is_limit
        self.forbidden += isinstance(error, ForbiddenError)
