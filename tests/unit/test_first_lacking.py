"""dunena/persistence/disk/first_lacking.py: the first change of all that some file lacks."""

import random

from dunena.persistence.disk.first_lacking import FirstLacking


def test_without_keys_nothing_is_lacking():
    assert FirstLacking().first is None


def test_first_is_the_lowest_revision_of_keys_that_came_in_order():
    lacking = FirstLacking()
    for revision in (3, 4, 9):
        lacking.set(("", f"key-{revision}"), revision)
    assert lacking.first == 3
    lacking.remove(("", "key-3"))
    assert lacking.first == 4


def test_a_lower_revision_that_comes_late_is_the_first():
    lacking = FirstLacking()
    lacking.set(("", "a"), 5)
    lacking.set(("", "b"), 2)
    assert lacking.first == 2
    lacking.remove(("", "b"))
    assert lacking.first == 5


def test_a_key_has_the_revision_that_was_set_last():
    lacking = FirstLacking()
    lacking.set(("", "a"), 1)
    lacking.set(("", "b"), 2)
    lacking.set(("", "a"), 3)
    assert lacking.first == 2
    lacking.remove(("", "b"))
    assert lacking.first == 3
    lacking.remove(("", "a"))
    assert lacking.first is None


def test_a_key_that_lacks_nothing_can_be_removed():
    lacking = FirstLacking()
    lacking.remove(("", "a"))
    assert lacking.first is None


def test_first_is_the_minimum_whatever_the_order():
    chance = random.Random(1)
    lacking, model = FirstLacking(), {}
    for _ in range(3000):
        entry_id = ("", str(chance.randrange(30)))
        if chance.random() < 0.4:
            lacking.remove(entry_id)
            model.pop(entry_id, None)
        else:
            model[entry_id] = chance.randrange(1000)
            lacking.set(entry_id, model[entry_id])
        assert lacking.first == min(model.values(), default=None)
