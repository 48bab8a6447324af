"""What all nodes know of a session, as a note of the log."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.server.shared.session_notes import SessionTerms, digest_of, op_of, read_terms

TERMS = SessionTerms("s", digest_of("secret"), b"scope", "all", "n1", 5000, 100, "me", b"[]", 7)

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(0, 3), max_size=2),
)


@pytest.mark.parametrize("lost_at", [None, 7])
def test_terms_come_back_from_their_note(lost_at: int | None) -> None:
    terms = replace(TERMS, lost_at=lost_at)
    assert read_terms("s", op_of("s", terms).value) == terms
    assert op_of("s", None).value == b""
    assert read_terms("s", b"") is None


@given(st.binary(max_size=20) | odd.map(orjson.dumps))
def test_what_is_no_note_of_a_session_is_none(value: bytes) -> None:
    assert read_terms("s", value) is None


@given(st.sampled_from(list(orjson.loads(op_of("s", TERMS).value))), odd)
def test_a_note_with_an_odd_field_is_read_or_left_out(name: str, value: Any) -> None:
    fields = {**orjson.loads(op_of("s", TERMS).value), name: value}
    terms = read_terms("s", orjson.dumps(fields))
    if terms is not None:
        assert 0 <= terms.timeout_ms <= 60_000
        assert 0 <= terms.grace_ms <= 60_000
        assert terms.will == b"" or orjson.loads(terms.will) is not Ellipsis
