"""The last sequence of each subject."""

from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.places import SURE_MS, Places

NAMES = SubjectNames("show")
KEY = NAMES.subject_of_key("", "a")


def test_a_subject_without_a_message_has_no_place() -> None:
    places = Places(NAMES)
    assert places.of(KEY) == 0
    places.put(KEY, 3)
    places.put(KEY, 5)
    assert places.of(KEY) == 5
    assert len(places) == 1


def test_what_is_gone_is_forgotten_in_time_unless_it_came_back() -> None:
    places = Places(NAMES)
    other = NAMES.subject_of_key("", "b")
    for subject in (KEY, other):
        places.put(subject, 3)
        places.forget_at(subject, 3, 1000)
    places.put(other, 4)
    places.forget_due(999)
    assert places.of(KEY) == 3
    places.forget_due(1000)
    assert places.of(KEY) == 0
    assert places.of(other) == 4


def test_a_clear_forgets_older_keys_and_nothing_else() -> None:
    places = Places(NAMES)
    newer, note, node = (
        NAMES.subject_of_key("x", "b"),
        NAMES.subject_of_note("n"),
        NAMES.subject_of_node("1"),
    )
    for subject in (KEY, note, node, NAMES.clear):
        places.put(subject, 3)
    places.put(newer, 9)
    places.clear(5)
    assert [places.of(subject) for subject in (KEY, newer, note, node, NAMES.clear)] == [
        0, 9, 3, 3, 3,
    ]  # fmt: skip


def test_places_take_over_all_that_others_know() -> None:
    places, others = Places(NAMES), Places(NAMES)
    places.put(KEY, 9)
    others.put(NAMES.clear, 2)
    others.forget_at(NAMES.clear, 2, 10)
    places.replace(others)
    assert (places.of(KEY), places.of(NAMES.clear)) == (0, 2)
    places.forget_due(10)
    assert places.of(NAMES.clear) == 0


def test_what_the_stream_must_have_is_all_that_does_not_end_and_what_has_not_ended_yet() -> None:
    places = Places(NAMES)
    other = NAMES.subject_of_key("", "b")
    places.put(KEY, 1)
    places.put(other, 2, freed_at=60_000)
    places.put(NAMES.clear, 3, freed_at=600_000)
    assert places.least(0) == 3
    assert places.is_sure(KEY, 0)
    assert places.is_sure(other, 0)
    assert not places.is_sure(NAMES.subject_of_key("", "never"), 0)
    assert places.least(60_000 - SURE_MS) == 2
    assert not places.is_sure(other, 60_000 - SURE_MS)
    places.put(other, 4)
    assert places.least(60_000) == 3
    places.put(other, 5, freed_at=10_000)
    assert places.least(60_000) == 2
    places.put(NAMES.clear, 6)
    places.clear(6)
    assert places.least(10**15) == 1


def test_what_is_forgotten_or_known_by_others_counts_no_longer_or_too() -> None:
    places, others = Places(NAMES), Places(NAMES)
    places.put(KEY, 1, freed_at=60_000)
    places.forget_at(KEY, 1, 50_000)
    places.forget_due(50_000)
    assert places.least(0) == 0
    others.put(KEY, 2, freed_at=60_000)
    places.replace(others)
    assert (places.least(0), places.least(60_000)) == (1, 0)
