"""Answers that all nodes remember: what a note has, and what becomes of planned revisions."""

import base64
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from dunena.persistence.log import Op, OpKind, Record
from dunena.server.shared.answers import PlannedAnswers, SharedAnswers, name_of
from dunena.server.shared.planning import PLANNED_REVISION

ID = (b"scope", "key")
NOW = 1_000_000


def remembered(data: dict[str, Any], *, count: int, revision: int) -> Any:
    """What a node finds of an answer that was planned, and stored with so many ops before it."""
    answers = SharedAnswers()
    planned = PlannedAnswers(answers)
    planned.begin_proposal()
    planned.begin_request()
    planned.remember(ID, b"digest", data, 0, NOW)
    (note,) = planned.notes(count)
    answers.take_in(Record(note, revision, None), NOW)
    known = answers.find(ID, b"digest", NOW)
    return None if known is None else known.data


def test_planned_revisions_become_those_of_the_log() -> None:
    data = {"rev": PLANNED_REVISION + 1, "value": PLANNED_REVISION + 5}
    found = remembered(data, count=2, revision=52)
    assert found == {"rev": 50, "value": PLANNED_REVISION + 5}


def test_so_do_those_of_results_and_tags() -> None:
    results = [{"rev": PLANNED_REVISION + 2}, {"rev": 7}, {}]
    assert remembered({"rev": PLANNED_REVISION + 2, "results": results}, count=2, revision=12) == {
        "rev": 11,
        "results": [{"rev": 11}, {"rev": 7}, {}],
    }
    data = {"data": {"rev": PLANNED_REVISION + 1}, "tag": f'"e-{PLANNED_REVISION + 1}"'}
    assert remembered(data, count=1, revision=4) == {"data": {"rev": 3}, "tag": '"e-3"'}
    assert remembered({"tag": '"e-2"', "data": {}}, count=0, revision=4)["tag"] == '"e-2"'


def test_later_requests_of_a_proposal_find_what_is_planned() -> None:
    planned = PlannedAnswers(SharedAnswers())
    planned.begin_proposal()
    planned.remember(ID, b"digest", {"rev": 1}, 0, NOW)
    planned.begin_request()
    assert not planned.has_notes
    assert planned.find(ID, b"digest", NOW) is not None
    planned.begin_proposal()
    assert planned.find(ID, b"digest", NOW) is None


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
data = st.fixed_dictionaries(
    {}, optional={"rev": json, "tag": json, "data": json, "results": json, "value": json}
)


@given(
    st.one_of(
        st.binary(max_size=20),
        json.map(orjson.dumps),
        st.fixed_dictionaries(
            {
                "request": json | st.just("eA=="),
                "count": json | st.integers(-5, 5),
                "data": json | data,
                "owner": json,
            }
        ).map(orjson.dumps),
    )
)
def test_any_note_of_others_is_taken_in_or_left_out(value: bytes) -> None:
    answers = SharedAnswers()
    name = name_of(ID)
    answers.take_in(Record(Op(OpKind.NOTE, key=name, value=value), 5, None), NOW)
    if len(answers):
        assert answers.find(ID, base64.b64decode(orjson.loads(value)["request"]), NOW) is not None


def test_other_notes_and_those_that_cannot_be_read_are_left_out() -> None:
    answers = SharedAnswers()
    for name, value in (("session-1", b"{}"), ("answer-1", b"{"), ("answer-2", b'{"data":1}')):
        answers.take_in(Record(Op(OpKind.NOTE, key=name, value=value), 5, None), NOW)
    assert len(answers) == 0


def test_a_note_says_neither_scope_nor_key() -> None:
    planned = PlannedAnswers(SharedAnswers())
    planned.remember((b"secret scope", "secret key"), b"digest", {}, 0, NOW)
    (note,) = planned.notes(0)
    assert "secret" not in note.key
    assert sorted(orjson.loads(note.value)) == ["count", "data", "owner", "request"]
