"""The end of a watch that tests have takes what a watch may get, and nothing else."""

from typing import Any

import pytest

from tests.support.watched_state import WatchedState


def update(rev: int, *changes: tuple[Any, ...], epoch: str = "e", **more: Any) -> Any:
    """An update; a change is key, revision and value, or key and revision of a removal."""
    said = [
        {"key": key, "rev": rev, **({"value": value[0]} if value else {"event": "delete"})}
        for key, rev, *value in changes
    ]
    return {"epoch": epoch, "rev": rev, "changes": said, **more}


@pytest.fixture
def state() -> WatchedState:
    state = WatchedState()
    assert state.since is None
    assert state.take(update(5, ("a", 3, 1), ("b", 5, 2), reset=True))
    return state


def test_updates_lead_from_one_state_to_the_next(state: WatchedState) -> None:
    assert state.values == {"a": 1, "b": 2}
    assert state.take(update(7, ("a", 6), ("c", 7, 3)))
    assert (state.values, state.revs) == ({"b": 2, "c": 3}, {"b": 5, "c": 7})
    assert state.take(update(9))
    assert state.since == {"epoch": "e", "rev": 9}


def test_parts_are_taken_together(state: WatchedState) -> None:
    assert not state.take(update(8, ("a", 6, 2), reset=True, more=True))
    assert state.values == {"a": 1, "b": 2}
    assert state.take(update(8, ("b", 8, 3)))
    assert state.values == {"a": 2, "b": 3}
    assert not state.take(update(9, ("a", 9, 0), more=True))
    state.forget_parts()
    assert state.take(update(9, ("b", 9, 4)))
    assert state.values == {"a": 2, "b": 4}


def test_another_epoch_begins_anew(state: WatchedState) -> None:
    assert state.take(update(2, ("a", 1, 1), reset=True, epoch="f"))
    assert (state.values, state.resets) == ({"a": 1}, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(update(4), id="a position that goes back"),
        pytest.param(update(6, ("a", 2, 0)), id="an older revision"),
        pytest.param(update(6, ("a", 3, 1)), id="the same revision again"),
        pytest.param(update(6, ("a", 2, 1), reset=True), id="an older revision in a reset"),
        pytest.param(update(6, ("a", 7, 1)), id="a change past its update"),
        pytest.param(update(6, ("a", 6, 1), epoch="f"), id="another epoch without a reset"),
        pytest.param(update(6, ("a", 6), reset=True), id="a removal in a reset"),
        pytest.param(update(6, ("a", 6, 1), ("a", 6, 1), reset=True), id="a key twice in a reset"),
    ],
)
def test_an_update_that_must_not_come_is_refused(state: WatchedState, wrong: Any) -> None:
    with pytest.raises(AssertionError):
        state.take(wrong)


def test_a_removed_key_keeps_its_revision_in_the_epoch(state: WatchedState) -> None:
    state.take(update(7, ("a", 7)))
    with pytest.raises(AssertionError):
        state.take(update(8, ("a", 6, 1)))
