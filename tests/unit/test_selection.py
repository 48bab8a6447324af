"""The patterns of `--text-keys`."""

import pytest

from dunena.server.limits import TEXT_GLOBS_MAX, TEXT_PATTERNS_MAX
from dunena.server.text_files.selection import SelectionError, read_patterns
from dunena.watches.limits import GLOBS_MAX
from dunena.watches.selector import Selector


@pytest.mark.parametrize(
    ("pattern", "ns", "key"),
    [
        ("score", "", "score"),
        ("score-*", "", "score-*"),
        ("show/score-*", "show", "score-*"),
        ("show/a/b", "show", "a/b"),
        ("/a/b", "", "a/b"),
        ("*", "", "*"),
        ("ü/ü?", "ü", "ü?"),
    ],
)
def test_what_is_before_the_first_slash_is_the_namespace(pattern: str, ns: str, key: str) -> None:
    assert read_patterns([pattern]) == (Selector(ns, pattern=key),)


def test_a_repeated_pattern_counts_once() -> None:
    assert len(read_patterns(["a", "b", "a"])) == 2


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [
        ([], "no key is named"),
        (["show/"], "show/: Pattern must not be empty"),
        (["a\nb"], "Pattern contains invalid characters"),
        (["*a*b*c*d*e*"], "Asterisks of a pattern exceed max count"),
        ([f"k{number}" for number in range(TEXT_PATTERNS_MAX + 1)], "more than 100 patterns"),
        ([f"*-{number}" for number in range(TEXT_GLOBS_MAX + 1)], "not at their end"),
    ],
)
def test_patterns_that_would_not_do_are_refused(patterns: list[str], reason: str) -> None:
    with pytest.raises(SelectionError, match=reason.replace("*", r"\*")):
        read_patterns(patterns)


def test_clients_have_most_of_the_patterns_that_are_no_prefix() -> None:
    assert TEXT_GLOBS_MAX * 4 <= GLOBS_MAX
