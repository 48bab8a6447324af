"""Counters of the messages that a server answered; no I/O."""

from collections.abc import Callable, Mapping
from typing import Any

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError, ForbiddenError

MessageHandler = Callable[[Any, Any, Any, int], bytes | None]
"""Carries out a message: takes services, subscriptions, the message and Unix ms; returns the
reply."""


class Kind:
    """One kind of message: its handler, and the number of such messages."""

    __slots__ = ("answer", "count")

    def __init__(self, answer: MessageHandler) -> None:
        self.answer = answer
        self.count = 0


def learn(
    kinds: dict[str, Kind], answers: Mapping[str, MessageHandler], name: object
) -> Kind | None:
    """Add the kind of a first message to ``kinds``; return None if there is no handler for it."""
    if not isinstance(name, str) or name not in answers:
        return None
    kind = kinds[name] = Kind(answers[name])
    return kind


class MessageStats:
    """Counters of messages by kind, of open sessions by dialect, and of refused messages.

    ``cached_gets`` counts object-store `get` messages that were recognized by their bytes. If the
    changes of a tick are refused, its messages are answered again and count again.
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
        """Count a refused message or request."""
        self.over_limit += error.is_limit
        self.forbidden += isinstance(error, ForbiddenError)
