"""What the holder of a token may do; no I/O.

Theory of operation. Requests reach the store, its events and their followers through a `Services`.
A grant that leaves something out gets services of its own, whose store lets through only what the
grant permits: the dialects need not know that there are grants, and cannot forget one.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import translate

from dunena.hub import CACHE_EVENTS

ANY = ("*",)

_NO_NAME = r"(?!)"


class Right(Enum):
    """What can be permitted: values and events, changes, the server itself."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Grant:
    """The rights that come with one token.

    ``name`` is how people and logs speak of it. Reading and writing reach the keys that match one
    of ``keys`` in the namespaces that match one of ``namespaces`` (globs; "" is no namespace).
    ``digest`` stands for the token itself: a token that was replaced by another is another grant.
    """

    name: str
    rights: frozenset[Right]
    keys: tuple[str, ...] = ANY
    namespaces: tuple[str, ...] = ANY
    digest: bytes = field(default=b"", repr=False)

    @property
    def is_complete(self) -> bool:
        """Whether every key may be read and written."""
        return (
            {Right.READ, Right.WRITE} <= self.rights and "*" in self.keys and "*" in self.namespaces
        )

    @property
    def may_see_names(self) -> bool:
        """Whether no key's name is a secret: all may be read, or the server is looked after."""
        return Right.ADMIN in self.rights or (
            Right.READ in self.rights and "*" in self.keys and "*" in self.namespaces
        )

    @property
    def events_channel(self) -> str | None:
        """Where the hub announces the changes that may be seen; no client can name it itself."""
        return f"{CACHE_EVENTS}\n{self.name}" if Right.READ in self.rights else None


EVERYTHING = Grant("", frozenset(Right))
"""Where there is no token everyone has it."""

NOTHING = Grant("", frozenset())
"""What a request has before it showed a token."""


class Globs:
    """Names that match one of several patterns."""

    __slots__ = ("_match",)

    def __init__(self, patterns: tuple[str, ...]) -> None:
        # No pattern would be one that matches everything.
        expression = "|".join(map(glob_expression, patterns)) or _NO_NAME
        self._match = re.compile(expression).match

    def __contains__(self, name: str) -> bool:
        """Whether a name matches one of the globs."""
        return self._match(name) is not None


def glob_expression(pattern: str) -> str:
    """A glob as a regular expression for whole names.

    ``*`` is any run of characters, ``?`` one; every other one stands for itself. `fnmatch`
    translates without backtracking, so that no pattern can hold the server up.
    """
    return translate(pattern.replace("[", "[[]"))
