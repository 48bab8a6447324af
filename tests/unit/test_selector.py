"""Selectors: which keys they match, and how they stand in messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.watches.selector import Selector

KEYS = ["", "a", "ab", "abc", "b", "a*", "a?", "[a]", "team-a", "team-"]


@pytest.mark.parametrize(
    ("selector", "matching"),
    [
        (Selector("", key="ab"), ["ab"]),
        (Selector("", keys=("b", "a", "b")), ["a", "b"]),
        (Selector("", keys=()), []),
        (Selector("", pattern="*"), KEYS),
        (Selector("", pattern="team-*"), ["team-a", "team-"]),
        (Selector("", pattern="a**"), ["a", "ab", "abc", "a*", "a?"]),
        (Selector("", pattern="a?"), ["ab", "a*", "a?"]),
        (Selector("", pattern="*c"), ["abc"]),
        (Selector("", pattern="ab"), ["ab"]),
        (Selector("", pattern="[a]"), ["[a]"]),
        (Selector("", pattern="?*"), KEYS[1:]),
    ],
)
def test_a_selector_matches_its_keys_and_no_others(selector: Selector, matching: list[str]) -> None:
    matches = selector.matcher()
    assert [key for key in KEYS if matches(key)] == matching


@given(st.text("ab*?", min_size=1, max_size=5), st.text("ab", max_size=6))
def test_prefixes_and_names_match_exactly_what_the_glob_does(pattern: str, key: str) -> None:
    selector = Selector("", pattern=pattern)
    expected = _matches(pattern, key)
    assert bool(selector.matcher()(key)) is expected
    if selector.prefix is not None:
        assert key.startswith(selector.prefix) is expected
    if selector.named_keys is not None:
        assert (key in selector.named_keys) is expected


def _matches(pattern: str, key: str) -> bool:
    """The meaning of a glob, written down without a thought for speed."""
    if not pattern:
        return not key
    if pattern[0] == "*":
        return any(_matches(pattern[1:], key[start:]) for start in range(len(key) + 1))
    return bool(key) and pattern[0] in ("?", key[0]) and _matches(pattern[1:], key[1:])


def test_a_selector_stands_in_messages_as_it_was_asked_for() -> None:
    assert Selector("", key="k").fields() == {"key": "k"}
    assert Selector("n", keys=("b", "a")).fields() == {"keys": ("b", "a"), "ns": "n"}
    shown = {"pattern": "a*", "ns": "n", "path": "/x"}
    assert Selector("n", pattern="a*", path="/x").fields() == shown
    assert Selector("", key="k", path="").fields() == {"key": "k", "path": ""}


def test_a_watch_of_several_keys_counts_for_each() -> None:
    assert Selector("", key="k").size == Selector("", pattern="*").size == 1
    assert Selector("", keys=("a", "b", "c")).size == 3
    assert Selector("", keys=()).size == 1
