"""Merging a patch into a value, as RFC 7396 has it."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.store.merge_patch import merge
from tests.support.rfc_examples import MERGES

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(("original", "patch", "result"), MERGES)
def test_each_case_of_the_rfc_has_its_result(original: Any, patch: Any, result: Any) -> None:
    assert merge(original, patch) == result


@given(VALUES, VALUES)
def test_a_patch_that_is_merged_twice_changes_nothing_the_second_time(
    target: Any, patch: Any
) -> None:
    once = merge(copy.deepcopy(target), patch)
    assert merge(copy.deepcopy(once), patch) == once


@given(VALUES, VALUES)
def test_the_patch_is_never_changed(target: Any, patch: Any) -> None:
    before = copy.deepcopy(patch)
    merge(merge(target, patch), {"a": {"b": 1}})
    assert patch == before


def test_a_merge_of_another_member_leaves_what_stands() -> None:
    assert merge({"a": {"x": 1}, "b": 2}, {"a": {"y": 3}}) == {"a": {"x": 1, "y": 3}, "b": 2}
