"""Globs: ``*`` is any run of characters, ``?`` is one; all others stand for themselves.

Theory of operation. The stars divide a glob into pieces of fixed length. The first has to stand at
the beginning of a name and the last at its end, so both are looked for in one place only. Those
between are found from left to right, each at the first place behind the one before: a later place
would leave less for the others. So nothing is ever tried again. A piece without ``?`` is found in
a time that is linear in the length of the name, whatever the two are made of.
"""

import re
from collections.abc import Callable

_WILDCARDS = re.compile(r"[*?]+")
_STARS = re.compile(r"\*+")
_MARKS = re.compile(r"\?+")


def wildcard_count(pattern: str) -> int:
    """Return the number of places of a glob with wildcards; several side by side are one."""
    return len(_WILDCARDS.findall(pattern))


def star_count(pattern: str) -> int:
    """Return the number of stars of a glob; several side by side are one."""
    return len(_STARS.findall(pattern))


def has_mark_between_stars(pattern: str) -> bool:
    """Return whether a glob has a ``?`` between two stars: such a piece is not found as fast."""
    return any("?" in piece for piece in _STARS.split(pattern)[1:-1])


def glob_matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that says whether a whole name matches a glob."""
    wildcards: list[str] = _WILDCARDS.findall(pattern)
    if len(wildcards) <= 1:
        return _ends_matcher(pattern, "".join(wildcards))
    first, *others = _STARS.split(pattern)
    is_head = compile_piece(first).match
    if not others:
        length = len(first)
        return lambda name: len(name) == length and is_head(name) is not None
    *middle, last = others
    is_tail = compile_piece(last).match
    searches = [compile_piece(piece).search for piece in middle]
    head_length, tail_length = len(first), len(last)
    length = head_length + sum(map(len, middle))

    def matches(name: str) -> bool:
        end = len(name) - tail_length
        if end < length or is_tail(name, end) is None or is_head(name) is None:
            return False
        position = head_length
        for search in searches:
            found = search(name, position, end)
            if found is None:
                return False
            position = found.end()
        return True

    return matches


def _ends_matcher(pattern: str, wildcards: str) -> Callable[[str], bool]:
    """Return the function of a glob with wildcards in one place, or none."""
    if not wildcards:
        return pattern.__eq__
    first, last = pattern.split(wildcards)
    length = len(pattern) - wildcards.count("*")
    if "*" in wildcards:
        return lambda name: len(name) >= length and name.startswith(first) and name.endswith(last)
    return lambda name: len(name) == length and name.startswith(first) and name.endswith(last)


def compile_piece(piece: str) -> re.Pattern[str]:
    """Compile a piece without stars; the runs of ``?`` in it are just lengths."""
    parts = _MARKS.split(piece)
    runs = [f".{{{len(run)}}}" for run in _MARKS.findall(piece)]
    texts = map(re.escape, parts)
    return re.compile("".join(map("".join, zip(texts, [*runs, ""], strict=True))), re.DOTALL)
