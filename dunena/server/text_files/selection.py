"""Which keys have text files, as `--text-keys` says; no I/O.

A pattern is a glob, as in a watch. What is before its first slash is the namespace:
``show/score-*`` is of the namespace ``show``. A key that has a slash itself, in no namespace, is
written with a slash in front: ``/a/b``.
"""

from collections.abc import Iterable

from dunena.dialects.errors import ClientError
from dunena.dialects.services import unicode_name
from dunena.dialects.watching import selector_of
from dunena.server.limits import TEXT_GLOBS_MAX, TEXT_PATTERNS_MAX
from dunena.watches.selector import Selector


class SelectionError(ValueError):
    """The patterns cannot be used; the text says why."""


def read_patterns(patterns: Iterable[str]) -> tuple[Selector, ...]:
    """Return what the patterns select, each once; raise `SelectionError` for wrong ones."""
    selectors = tuple(dict.fromkeys(map(_read_pattern, patterns)))
    if not selectors:
        raise SelectionError("no key is named")
    if len(selectors) > TEXT_PATTERNS_MAX:
        raise SelectionError(f"more than {TEXT_PATTERNS_MAX} patterns")
    if sum(selector.glob_weight for selector in selectors) > TEXT_GLOBS_MAX:
        raise SelectionError(
            "too many patterns with a wildcard that is not at their end, as in *-score"
        )
    return selectors


def _read_pattern(pattern: str) -> Selector:
    ns, slash, key = pattern.partition("/")
    message = {"ns": ns, "pattern": key} if slash else {"pattern": pattern}
    try:
        return selector_of(message, unicode_name)
    except ClientError as error:
        raise SelectionError(f"{pattern}: {error.text}") from None
