"""Answers by idempotency key: how long and how many are remembered, and what is forgotten."""

from typing import Any

import pytest

from dunena.dialects.errors import InvalidFieldError
from dunena.dialects.remembered_answers import AnswerId, RememberedAnswers
from dunena.store.limits import ANSWER_MS_MAX, ANSWERS_BYTES_MAX, ANSWERS_MAX

SCOPE = b""
REQUEST = b"the digest of a request"


def find(answers: RememberedAnswers, answer_id: AnswerId, request: bytes, *, now: int) -> Any:
    """The data of an answer; None if there is none."""
    known = answers.find(answer_id, request, now)
    return None if known is None else known.data


def test_an_answer_is_found_with_the_session_that_owns_its_keys() -> None:
    answers = RememberedAnswers()
    answers.remember((SCOPE, "k"), REQUEST, {"rev": 1}, 1, now=0, owner="a-session")
    assert answers.find((SCOPE, "k"), REQUEST, now=0) == ({"rev": 1}, "a-session")


def test_an_answer_is_found_under_its_key_and_scope() -> None:
    answers = RememberedAnswers()
    answers.remember((SCOPE, "k"), REQUEST, {"rev": 1, "value": [1.5, "é"]}, 1, now=1000)
    assert find(answers, (SCOPE, "k"), REQUEST, now=1000) == {"rev": 1, "value": [1.5, "é"]}
    assert find(answers, (SCOPE, "l"), REQUEST, now=1000) is None
    assert find(answers, (b"other", "k"), REQUEST, now=1000) is None


def test_an_answer_is_of_one_request() -> None:
    answers = RememberedAnswers()
    answers.remember((SCOPE, "k"), REQUEST, {"rev": 1}, 1, now=1000)
    with pytest.raises(InvalidFieldError, match="was used for another request"):
        find(answers, (SCOPE, "k"), b"another", now=1000)
    assert find(answers, (SCOPE, "k"), b"another", now=1001 + ANSWER_MS_MAX) is None


def test_an_answer_is_remembered_as_it_was_given() -> None:
    answers, data = RememberedAnswers(), {"value": [1]}
    answers.remember((SCOPE, "k"), REQUEST, data, 1, now=0)
    data["value"].append(2)
    found = find(answers, (SCOPE, "k"), REQUEST, now=0)
    assert found == {"value": [1]}
    found["duplicate"] = True
    assert find(answers, (SCOPE, "k"), REQUEST, now=0) == {"value": [1]}


def test_an_answer_is_remembered_for_two_minutes() -> None:
    assert ANSWER_MS_MAX == 120_000
    answers = RememberedAnswers()
    answers.remember((SCOPE, "k"), REQUEST, {"rev": 1}, 1, now=1000)
    assert find(answers, (SCOPE, "k"), REQUEST, now=121_000) == {"rev": 1}
    assert find(answers, (SCOPE, "k"), REQUEST, now=121_001) is None
    answers.remember((SCOPE, "k"), REQUEST, {"rev": 2}, 2, now=121_001)
    assert find(answers, (SCOPE, "k"), REQUEST, now=121_001) == {"rev": 2}
    assert len(answers) == 1


def test_answers_that_are_too_old_take_no_memory() -> None:
    answers = RememberedAnswers()
    for number in range(100):
        answers.remember((SCOPE, f"{number}"), REQUEST, {"rev": number}, number, now=0)
    answers.remember((SCOPE, "new"), REQUEST, {}, 100, now=ANSWER_MS_MAX + 1)
    assert len(answers) == 1
    assert answers.bytes == len(b"{}")


def test_the_last_10_000_answers_are_remembered() -> None:
    assert ANSWERS_MAX == 10_000
    answers = RememberedAnswers()
    for number in range(ANSWERS_MAX + 1):
        answers.remember((SCOPE, f"{number}"), REQUEST, {"rev": number}, number, now=number)
    assert len(answers) == ANSWERS_MAX
    assert find(answers, (SCOPE, "0"), REQUEST, now=ANSWERS_MAX) is None
    assert find(answers, (SCOPE, "1"), REQUEST, now=ANSWERS_MAX) == {"rev": 1}


def test_answers_with_large_values_are_forgotten_earlier() -> None:
    answers, size = RememberedAnswers(), ANSWERS_BYTES_MAX // 4
    for number in range(10):
        answers.remember((SCOPE, f"{number}"), REQUEST, {"value": "x" * size}, number, now=0)
        assert answers.bytes <= ANSWERS_BYTES_MAX
    assert [
        number for number in range(10) if find(answers, (SCOPE, f"{number}"), REQUEST, now=0)
    ] == [
        7,
        8,
        9,
    ]
    answers.remember((SCOPE, "huge"), REQUEST, {"value": "x" * 2 * ANSWERS_BYTES_MAX}, 10, now=0)
    assert find(answers, (SCOPE, "huge"), REQUEST, now=0) is not None
    assert len(answers) == 1


@pytest.mark.parametrize("left", range(6))
def test_the_answers_of_changes_that_were_undone_are_forgotten(left: int) -> None:
    answers = RememberedAnswers()
    for revision in range(1, 6):
        answers.remember((SCOPE, f"{revision}"), REQUEST, {"rev": revision}, revision, now=0)
    answers.undo(left)
    known = [
        revision
        for revision in range(1, 6)
        if find(answers, (SCOPE, f"{revision}"), REQUEST, now=0)
    ]
    assert known == list(range(1, left + 1))
    assert len(answers) == left
    assert answers.bytes == left * len(b'{"rev":1}')


def test_an_answer_that_is_given_again_is_undone_with_the_newer_change() -> None:
    answers = RememberedAnswers()
    answers.remember((SCOPE, "a"), REQUEST, {}, 1, now=0)
    answers.remember((SCOPE, "b"), REQUEST, {}, 2, now=0)
    answers.remember((SCOPE, "a"), REQUEST, {}, 3, now=ANSWER_MS_MAX)
    answers.undo(2)
    assert find(answers, (SCOPE, "a"), REQUEST, now=0) is None
    assert find(answers, (SCOPE, "b"), REQUEST, now=0) == {}
