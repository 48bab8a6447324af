"""If-Match and If-None-Match: how they are read, and what they come to."""

import pytest

from dunena.dialects.errors import InvalidFieldError
from dunena.dialects.preconditions import (
    NO_PRECONDITIONS,
    EntityTags,
    Verdict,
    parse_preconditions,
)

TAG, OTHER = '"k3f9-12"', '"k3f9-11"'
YES, SAME, NO = Verdict.PROCEED, Verdict.NOT_MODIFIED, Verdict.FAILED


@pytest.mark.parametrize(
    ("text", "strong", "weak"),
    [
        ('"a"', {'"a"'}, set()),
        ('W/"a"', set(), {'"a"'}),
        ('"a", W/"b" ,"c"', {'"a"', '"c"'}, {'"b"'}),
        ('"a,b", "c"', {'"a,b"', '"c"'}, set()),
        ('""', {'""'}, set()),
        ("", set(), set()),
        (' , ,"a",, ', {'"a"'}, set()),
        ('"\xfc"', {'"\xfc"'}, set()),
    ],
)
def test_a_list_of_entity_tags_is_read_by_its_quotes(
    text: str, strong: set[str], weak: set[str]
) -> None:
    tags = EntityTags(is_any=False, strong=frozenset(strong), weak=frozenset(weak))
    assert parse_preconditions(text, None).if_match == tags
    assert parse_preconditions(None, text).if_none_match == tags


@pytest.mark.parametrize(
    "text", ["k3f9-12", '"a', 'a"', '*, "a"', '"a" "b"', '"a"b', 'w/"a"', "**", 'W/ "a"', '"a b"']
)
def test_what_is_no_list_of_entity_tags_is_refused(text: str) -> None:
    for header, pair in (("If-Match", (text, None)), ("If-None-Match", (None, text))):
        with pytest.raises(InvalidFieldError) as caught:
            parse_preconditions(*pair)
        assert caught.value.text == f"{header} must be * or a list of entity tags in quotes"


def test_a_request_without_the_headers_has_no_conditions() -> None:
    assert parse_preconditions(None, None) is NO_PRECONDITIONS
    assert not NO_PRECONDITIONS.are_given
    assert parse_preconditions("*", None).are_given
    assert parse_preconditions(None, "*").are_given
    assert NO_PRECONDITIONS.evaluate(TAG, exists=True, is_read=True) is YES


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "tag", "read", "write"),
    [
        (TAG, None, TAG, YES, YES),
        (OTHER, None, TAG, NO, NO),
        (f"W/{TAG}", None, TAG, NO, NO),  # strong comparison
        ("*", None, TAG, YES, YES),
        ("*", None, None, NO, NO),
        (TAG, None, None, NO, NO),
        ("", None, TAG, NO, NO),
        (None, TAG, TAG, SAME, NO),
        (None, f"W/{TAG}", TAG, SAME, NO),  # weak comparison
        (None, OTHER, TAG, YES, YES),
        (None, "*", TAG, SAME, NO),
        (None, "*", None, YES, YES),
        (None, TAG, None, YES, YES),
        (None, "", TAG, YES, YES),
        (OTHER, TAG, TAG, NO, NO),  # If-Match comes first
        (TAG, TAG, TAG, SAME, NO),
        (f"{OTHER}, {TAG}", f"{OTHER}, W/{OTHER}", TAG, YES, YES),
    ],
)
def test_conditions_are_evaluated_in_the_order_of_rfc_9110(
    if_match: str | None, if_none_match: str | None, tag: str | None, read: Verdict, write: Verdict
) -> None:
    conditions = parse_preconditions(if_match, if_none_match)
    assert conditions.evaluate(tag, exists=tag is not None, is_read=True) is read
    assert conditions.evaluate(tag, exists=tag is not None, is_read=False) is write


def test_what_has_no_tag_is_matched_by_an_asterisk_only() -> None:
    def evaluate(if_none_match: str) -> Verdict:
        conditions = parse_preconditions(None, if_none_match)
        return conditions.evaluate(None, exists=True, is_read=True)

    assert evaluate("*") is SAME
    assert evaluate(TAG) is YES
