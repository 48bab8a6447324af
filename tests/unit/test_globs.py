"""Globs against their plain meaning, and without looking at anything twice."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dunena.store import globs
from dunena.store.globs import glob_matcher, has_mark_between_stars, star_count, wildcard_count
from dunena.store.names import glob_expression


@given(st.text("ab*?[\n", max_size=9), st.text("ab[\n", max_size=9))
@example("a?*?b", "ab")
@example("*ab*ab", "aab")
@example("a*a", "a")
def test_a_glob_means_what_its_expression_does(pattern: str, name: str) -> None:
    expected = re.compile(glob_expression(pattern)).match(name) is not None
    assert glob_matcher(pattern)(name) is expected


@pytest.mark.parametrize(
    ("pattern", "wildcards", "stars", "has_mark"),
    [
        ("a", 0, 0, False),
        ("a?*b", 1, 1, False),
        ("??a?", 2, 0, False),
        ("***", 1, 1, False),
        ("?*a*?", 2, 2, False),
        ("*?*", 1, 2, True),
        ("a*b*c?d*", 4, 3, True),
    ],
)
def test_what_makes_a_glob_slow_is_known(
    pattern: str, wildcards: int, stars: int, has_mark: bool
) -> None:
    assert wildcard_count(pattern) == wildcards
    assert star_count(pattern) == stars
    assert has_mark_between_stars(pattern) is has_mark


class Counted:
    """Counts how often a piece is compared with one place, and how often it is looked for."""

    def __init__(self, piece: re.Pattern[str], counts: Counter[str]) -> None:
        self.piece = piece
        self.counts = counts

    def match(self, name: str, start: int = 0) -> re.Match[str] | None:
        self.counts["match"] += 1
        return self.piece.match(name, start)

    def search(self, name: str, start: int, end: int) -> re.Match[str] | None:
        self.counts["search"] += 1
        return self.piece.search(name, start, end)


@pytest.mark.parametrize(
    ("pattern", "matches", "searches"),
    [
        ("*" + "?" * 250 + "b1", 0, 0),
        ("a?*" + "a?" * 120 + "b", 1, 0),
        ("a" * 200 + "?*?" + "a" * 200, 0, 0),
        ("a?*" + "a" * 200 + "?", 2, 0),
        ("*aa*aaa*b*aa", 2, 3),
        ("*b*aa*aa*aa", 2, 1),
        ("*" + "a*" * 200, 2, 200),
    ],
)
def test_no_piece_is_looked_for_twice(
    pattern: str, matches: int, searches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    compiled = globs.compile_piece
    monkeypatch.setattr(globs, "compile_piece", lambda piece: Counted(compiled(piece), counts))
    name = "a" * 512
    assert glob_matcher(pattern)(name) is bool(re.match(glob_expression(pattern), name))
    assert counts == Counter(match=matches, search=searches)
