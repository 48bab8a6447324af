"""Names as subjects, and back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.persistence.jetstream.naming import SubjectNames, decode_token, encode_token
from dunena.store.names import is_name

NAMES = SubjectNames("show")
SUBJECT = re.compile(r"[A-Za-z0-9_/=$.-]+")


names = st.text(min_size=1).filter(is_name)


@given(st.just("") | names, names)
def test_every_key_comes_back_from_its_subject(ns: str, key: str) -> None:
    subject = NAMES.subject_of_key(ns, key)
    assert NAMES.key_of(subject) == (ns, key)
    assert NAMES.key_of(subject) == (ns, key)  # as it is known now
    assert SUBJECT.fullmatch(subject)
    assert subject.count(".") == 3
    assert NAMES.note_of(subject) is None
    assert NAMES.node_of(subject) is None


@given(st.text())
def test_every_note_and_node_comes_back_and_is_no_key(name: str) -> None:
    note, node = NAMES.subject_of_note(name), NAMES.subject_of_node(name)
    assert NAMES.note_of(note) == name
    assert NAMES.node_of(node) == name
    assert NAMES.key_of(note) is None
    assert NAMES.key_of(node) is None
    assert len({note, node, NAMES.clear}) == 3


@given(st.text(alphabet="aA=0349CF.ü/", max_size=8))
def test_a_token_has_one_text_and_a_text_one_token(token: str) -> None:
    text = decode_token(token)
    assert text is None or encode_token(text) == token


@pytest.mark.parametrize(
    ("ns", "key", "subject"),
    [
        ("", "a", "$KV.show.=.a"),
        ("room 1", "user:1", "$KV.show.room=201.user=3A1"),
        ("a.b", "ü", "$KV.show.a=2Eb.=C3=BC"),
        ("", "", "$KV.show.=.="),
        ("x", "*", "$KV.show.x.=2A"),
    ],
)
def test_subjects_are_as_documented(ns: str, key: str, subject: str) -> None:
    assert NAMES.subject_of_key(ns, key) == subject


@pytest.mark.parametrize(
    ("ns", "key"), [("", ""), ("", "\0"), ("\x7f", "a"), ("", "a" * 513), ("ü" * 257, "a")]
)
def test_what_no_client_can_name_is_no_key(ns: str, key: str) -> None:
    assert NAMES.key_of(NAMES.subject_of_key(ns, key)) is None


@pytest.mark.parametrize(
    "subject",
    ["$KV.show.a", "$KV.show.a.b.c", "$KV.show.=41.b", "$KV.show.a.=C3", "$KV.show.a.=c3=bc"],
)
def test_what_nobody_encodes_is_no_key(subject: str) -> None:
    assert NAMES.key_of(subject) is None


def test_a_domain_is_in_what_is_written_to_and_in_nothing_else() -> None:
    names = SubjectNames("show", "hub")
    assert names.subject_of_key("", "a") == "$KV.show.=.a"
    assert names.written_to("$KV.show.=.a") == "$JS.hub.API.$KV.show.=.a"
    assert NAMES.written_to("$KV.show.=.a") == "$KV.show.=.a"


def test_names_of_many_keys_are_not_kept_for_ever() -> None:
    names = SubjectNames("show")
    for number in range(20_000):
        assert names.key_of(f"$KV.show.=.k{number}") == ("", f"k{number}")
    assert len(names._known) < 10_000
