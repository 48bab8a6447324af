"""Which events may come in which state of an HTTP connection; any other is a fault of ours."""

from itertools import product

import pytest

from dunena.server.http.lifecycle import TRANSITIONS, Event, State, TransitionError, next_state

OUTCOMES = {
    (State.OPEN, Event.TRANSFER_BEGAN): State.TRANSFERRING,
    (State.OPEN, Event.ENDED): State.ENDING,
    (State.OPEN, Event.UPGRADED): State.UPGRADED,
    (State.OPEN, Event.CONNECTION_LOST): State.LOST,
    (State.TRANSFERRING, Event.TRANSFER_ENDED): State.OPEN,
    (State.TRANSFERRING, Event.ENDED): State.ENDING,
    (State.TRANSFERRING, Event.CONNECTION_LOST): State.LOST,
    (State.ENDING, Event.ENDED): State.ENDING,
    (State.ENDING, Event.WRITTEN): State.LINGERING,
    (State.ENDING, Event.CONNECTION_LOST): State.LOST,
    (State.LINGERING, Event.ENDED): State.LINGERING,
    (State.LINGERING, Event.CONNECTION_LOST): State.LOST,
}
PAIRS = list(product(State, Event))
FORBIDDEN = [pair for pair in PAIRS if pair not in OUTCOMES]


@pytest.mark.parametrize(("state", "event"), OUTCOMES)
def test_an_event_that_may_come_has_its_outcome(state: State, event: Event) -> None:
    assert next_state(state, event) is OUTCOMES[state, event]


@pytest.mark.parametrize(("state", "event"), FORBIDDEN)
def test_any_other_event_raises(state: State, event: Event) -> None:
    with pytest.raises(
        TransitionError, match=f"{event.name} cannot come in the state {state.name}"
    ):
        next_state(state, event)


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached(state: State) -> None:
    reached = {State.OPEN}
    for _ in State:
        reached |= {after for (before, _), after in OUTCOMES.items() if before in reached}
    assert state in reached


@pytest.mark.parametrize("state", State)
def test_a_connection_is_lost_in_any_state_but_those_that_are_over(state: State) -> None:
    is_over = state in (State.UPGRADED, State.LOST)
    assert (Event.CONNECTION_LOST in TRANSITIONS[state]) is not is_over
    assert bool(TRANSITIONS[state]) is not is_over
