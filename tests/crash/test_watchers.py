"""The crash test's watchers refuse older values, and its operations lead to what they say."""

import random
from typing import Any

import pytest

from tests.crash.history import History, Kept
from tests.crash.operations import STRIDE, Operations, number_of
from tests.crash.watchers import PythonWatcher


@pytest.fixture
def watcher() -> PythonWatcher:
    watcher = PythonWatcher(0, [History("ns", ["k"])], 0)
    watcher.hear("ns", "k", "5:xxx")
    return watcher


@pytest.mark.parametrize("later", ["5:xxx", "12:x", None, "by hand 1", {"n": 6}, [9, 7]])
def test_a_watcher_may_be_told_of_newer_values(watcher: PythonWatcher, later: Any) -> None:
    watcher.hear("ns", "k", later)
    assert watcher.values["ns"] == ({} if later is None else {"k": later})


@pytest.mark.parametrize("older", ["4:x", 4, {"n": 4}, {"writer": "w", "text": "4:x"}, [9, 4]])
def test_a_watcher_must_not_be_told_of_an_older_value(watcher: PythonWatcher, older: Any) -> None:
    for between in (None, "by hand 1"):
        watcher.hear("ns", "k", between)
        with pytest.raises(AssertionError, match="is older"):
            watcher.hear("ns", "k", older)


def test_what_was_deleted_must_not_come_back(watcher: PythonWatcher) -> None:
    watcher.hear("ns", "k", None, is_deleted=True)
    with pytest.raises(AssertionError, match="is older"):
        watcher.hear("ns", "k", "5:xxx")
    watcher.hear("ns", "k", "6:x")


def test_operations_begin_anew_where_another_hand_was() -> None:
    operations = Operations("w", random.Random(0))
    base = {"w tally 0": Kept(7), "w merged 0": Kept({"n": 1}), "w list 0": Kept([1, 2, 3, 4, 5])}
    operations.begin(base | {"w tally 1": Kept("by hand 1")})
    assert operations.next("w tally 0", 9) == ({"op": "incr", "key": "w tally 0"}, 8)
    assert operations.next("w merged 0", 9)[1] == {"n": 9, "m4": 9}
    assert operations.next("w list 0", 9)[1] == [2, 3, 4, 5, 9]
    begun = {"op": "set", "key": "w tally 1", "value": 9 * STRIDE}
    assert operations.next("w tally 1", 9) == (begun, 9 * STRIDE)
    assert operations.next("w list 1", 10)[1] == [10]


def test_each_value_of_an_operation_has_a_higher_number() -> None:
    operations = Operations("w", random.Random(0))
    for key in operations.keys:
        numbers = [number_of(operations.next(key, number)[1]) for number in range(1, 30)]
        assert numbers == sorted(set(numbers))
