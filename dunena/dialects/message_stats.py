"""What one server's clients asked for, counted where it is answered; no I/O."""

from collections import defaultdict

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError, ForbiddenError


class MessageStats:
    """Messages of each dialect by name, sessions by dialect, and what was refused.

    ``cached_gets`` are object-store `get`s that were known by their bytes; a message that is
    answered once more, since its tick was refused, counts once more.
    """

    __slots__ = ("cached_gets", "dunena", "forbidden", "object_store", "over_limit", "sessions")

    def __init__(self) -> None:
        self.dunena: dict[str, int] = defaultdict(int)
        self.object_store: dict[str, int] = defaultdict(int)
        self.cached_gets = 0
        self.sessions = dict.fromkeys(Dialect, 0)
        self.over_limit = 0
        self.forbidden = 0

    def count(self, error: ClientError) -> None:
        """A message or request was refused."""
        self.over_limit += error.is_limit
        self.forbidden += isinstance(error, ForbiddenError)
