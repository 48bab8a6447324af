"""Counters of the messages that a server answered; no I/O."""

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError, ForbiddenError


class MessageStats:
    """Counters of messages by name, of open conversations by dialect, and of refused messages.

    ``cached_gets`` counts object-store `get` messages that were recognized by their bytes, and
    ``plain_sets`` those that `read_plain_set` has read; ``object_store`` has all others. If the
    changes of a tick are refused, its messages are answered again and count again.
    """

    __slots__ = (
        "cached_gets",
        "conversations",
        "dunena",
        "forbidden",
        "object_store",
        "over_limit",
        "plain_sets",
    )

    def __init__(self) -> None:
        self.dunena: dict[str, int] = {}
        self.object_store: dict[str, int] = {}
        self.cached_gets = 0
        self.plain_sets = 0
        self.conversations = dict.fromkeys(Dialect, 0)
        self.over_limit = 0
        self.forbidden = 0

    def count_dunena(self, name: str) -> None:
        """Count a message of the dunena dialect with this ``type``."""
        counts = self.dunena
        counts[name] = counts.get(name, 0) + 1

    def count_object_store(self, name: str) -> None:
        """Count a message of the object-store dialect with this ``action``."""
        counts = self.object_store
        counts[name] = counts.get(name, 0) + 1

    def count(self, error: ClientError) -> None:
        """Count a refused message or request."""
        self.over_limit += error.is_limit
        self.forbidden += isinstance(error, ForbiddenError)
