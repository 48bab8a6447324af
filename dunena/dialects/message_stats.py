"""What one server's clients asked for, counted where it is answered; no I/O."""

from collections.abc import Callable, Mapping
from typing import Any

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError, ForbiddenError

MessageHandler = Callable[[Any, Any, Any, int], bytes | None]
"""What carries out a message: services, subscriptions, the message, Unix ms; gives the reply."""


class Kind:
    """One kind of message: what answers it, and how many there were."""

    __slots__ = ("answer", "count")

    def __init__(self, answer: MessageHandler) -> None:
        self.answer = answer
        self.count = 0


def learn(
    kinds: dict[str, Kind], answers: Mapping[str, MessageHandler], name: object
) -> Kind | None:
    """The first message of a kind; None if nothing answers such messages."""
    if not isinstance(name, str) or name not in answers:
        return None
    kind = kinds[name] = Kind(answers[name])
    return kind


class MessageStats:
    """Messages by kind, sessions by dialect, and what was refused.

    ``cached_gets`` are object-store `get`s that were known by their bytes; a message that is
    answered once more, since its tick was refused, counts once more.
    """

    __slots__ = ("cached_gets", "dunena", "forbidden", "object_store", "over_limit", "sessions")

    def __init__(self) -> None:
        self.dunena: dict[str, Kind] = {}
        self.object_store: dict[str, Kind] = {}
        self.cached_gets = 0
        self.sessions = dict.fromkeys(Dialect, 0)
        self.over_limit = 0
        self.forbidden = 0

    def count(self, error: ClientError) -> None:
        """A message or request was refused."""
        self.over_limit += error.is_limit
        self.forbidden += isinstance(error, ForbiddenError)
