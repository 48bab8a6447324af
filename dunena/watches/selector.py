"""What a watch asks for: which keys of one namespace, and which part of their values."""

import re
from collections.abc import Callable
from typing import NamedTuple

from dunena.store.globs import glob_matcher, wildcard_count
from dunena.watches.limits import SEVERAL_WILDCARDS_WEIGHT

_WILDCARDS = re.compile(r"[*?]")


class Selector(NamedTuple):
    """One key, several keys or a glob in one namespace, and a path (JSON DecodedPath) or None.

    Exactly one of ``key``, ``keys`` and ``pattern`` is given. Equal selectors are the same watch of
    a connection, and a selector is how messages name a watch.
    """

    ns: str
    key: str | None = None
    keys: tuple[str, ...] | None = None
    pattern: str | None = None
    path: str | None = None

    @property
    def named_keys(self) -> frozenset[str] | None:
        """The keys that can match, if the selector names them all; None for a glob."""
        if self.key is not None:
            return frozenset((self.key,))
        if self.keys is not None:
            return frozenset(self.keys)
        assert self.pattern is not None
        return None if _WILDCARDS.search(self.pattern) else frozenset((self.pattern,))

    @property
    def prefix(self) -> str | None:
        """The prefix that all matching keys have and no others; None if it is not as simple."""
        if self.pattern is None or not self.pattern.endswith("*"):
            return None
        prefix = self.pattern.rstrip("*")
        return None if _WILDCARDS.search(prefix) else prefix

    @property
    def size(self) -> int:
        """The number of subscriptions that a watch counts for."""
        return 1 if self.keys is None else max(1, len(self.keys))

    @property
    def glob_weight(self) -> int:
        """What a pattern that is more than a prefix counts for: more with several wildcards."""
        if self.named_keys is not None or self.prefix is not None:
            return 0
        assert self.pattern is not None
        return 1 if wildcard_count(self.pattern) == 1 else SEVERAL_WILDCARDS_WEIGHT

    def matcher(self) -> Callable[[str], object]:
        """Return a function whose result is true for keys that match."""
        named_keys, prefix = self.named_keys, self.prefix
        if named_keys is not None:
            return named_keys.__contains__
        assert self.pattern is not None
        if prefix is not None:
            return lambda key: key.startswith(prefix)
        return glob_matcher(self.pattern)

    def fields(self) -> dict[str, object]:
        """Return the selector as it stands in messages."""
        fields: dict[str, object] = {}
        if self.key is not None:
            fields["key"] = self.key
        elif self.keys is not None:
            fields["keys"] = self.keys
        else:
            fields["pattern"] = self.pattern
        if self.ns:
            fields["ns"] = self.ns
        if self.path is not None:
            fields["path"] = self.path
        return fields
