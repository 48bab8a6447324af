"""The last sequence of each subject."""

from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.places import Places

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
