"""The rights of a token; no I/O.

Theory of operation. Requests reach the store, its events and their followers through a `Services`.
A grant that does not permit everything gets a `Services` of its own, whose store permits only what
the grant does. So the dialects need no checks of rights, and none can be forgotten.
"""

import hashlib
import re
from dataclasses import dataclass, field
from enum import Enum

from dunena.hub import CACHE_EVENTS
from dunena.store.names import glob_expression

ANY = ("*",)

_NO_NAME = r"(?!)"


class Right(Enum):
    """The rights: to read values and events, to write, and to administer the server."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Grant:
    """The rights of one token.

    ``name`` identifies the token in logs and for people. The rights to read and to write apply to
    keys that match one of ``keys`` in namespaces that match one of ``namespaces`` (globs; "" is no
    namespace). ``channels`` are the globs of the channels to which they apply; None stands for all,
    but then only who may change every key may publish. ``digest`` is that of the token, so that a
    replaced token makes another grant.
    """

    name: str
    rights: frozenset[Right]
    keys: tuple[str, ...] = ANY
    namespaces: tuple[str, ...] = ANY
    channels: tuple[str, ...] | None = None
    digest: bytes = field(default=b"", repr=False)

    @property
    def is_complete(self) -> bool:
        """Whether the grant permits to read and write every key and channel."""
        return (
            {Right.READ, Right.WRITE} <= self.rights
            and self._has_every_key
            and (self.channels is None or "*" in self.channels)
        )

    @property
    def may_see_names(self) -> bool:
        """Whether the grant permits to see all keys' names: it may read all, or has admin."""
        return Right.ADMIN in self.rights or self.may_read_everything

    @property
    def may_read_everything(self) -> bool:
        """Whether the grant permits to read the value of every key."""
        return Right.READ in self.rights and self._has_every_key

    @property
    def readable_channels(self) -> tuple[str, ...]:
        """The globs of the channels that the grant permits to subscribe to."""
        if Right.READ not in self.rights:
            return ()
        return ANY if self.channels is None else self.channels

    @property
    def writable_channels(self) -> tuple[str, ...]:
        """The globs of the channels that the grant permits to publish to."""
        if Right.WRITE not in self.rights:
            return ()
        if self.channels is not None:
            return self.channels
        # Pages trust what is published to them as they trust values.
        return ANY if self._has_every_key else ()

    @property
    def events_channel(self) -> str | None:
        """The hub's channel of the changes that the grant may see; None if it may not read.

        Its name has a line end, so that no client can name it.
        """
        return f"{CACHE_EVENTS}\n{self.name}" if Right.READ in self.rights else None

    @property
    def scope(self) -> bytes:
        """A digest of the token and its rights: of no other grant, and of other rights another."""
        rights = sorted(right.value for right in self.rights)
        described = repr((self.digest, rights, self.keys, self.namespaces, self.channels))
        return hashlib.sha256(described.encode()).digest()

    def covers(self, other: "Grant") -> bool:
        """Return whether it permits all that another grant does; globs are compared as texts."""
        return (
            other.rights <= self.rights
            and _covers(self.keys, other.keys)
            and _covers(self.namespaces, other.namespaces)
            and _covers(self.readable_channels, other.readable_channels)
            and _covers(self.writable_channels, other.writable_channels)
        )

    @property
    def _has_every_key(self) -> bool:
        return "*" in self.keys and "*" in self.namespaces


def _covers(globs: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return "*" in globs or set(others) <= set(globs)


EVERYTHING = Grant("", frozenset(Right))
"""The grant of every client of a server without tokens."""

NOTHING = Grant("", frozenset())
"""The grant of a request whose token was not checked yet."""


class Globs:
    """A set of the names that match at least one of several globs."""

    __slots__ = ("_match",)

    def __init__(self, patterns: tuple[str, ...]) -> None:
        # An empty expression would match every name.
        expression = "|".join(map(glob_expression, patterns)) or _NO_NAME
        self._match = re.compile(expression).match

    def __contains__(self, name: str) -> bool:
        """Return whether a name matches one of the globs."""
        return self._match(name) is not None


class ChannelRights:
    """The channels that a grant permits to read and to write."""

    __slots__ = ("_readable", "_writable")

    def __init__(self, grant: Grant) -> None:
        self._readable = Globs(grant.readable_channels)
        self._writable = Globs(grant.writable_channels)

    def may_read(self, channel: str) -> bool:
        """Return whether the grant permits to subscribe to a channel."""
        return channel in self._readable

    def may_write(self, channel: str) -> bool:
        """Return whether the grant permits to publish to a channel."""
        return channel in self._writable
