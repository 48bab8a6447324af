"""The states of an HTTP connection and their transitions."""

from itertools import product

import pytest

from dunena.server.http.lifecycle import (
    TRANSITIONS,
    HttpEvent,
    HttpState,
    TransitionError,
    next_state,
)

OUTCOMES = {
    (HttpState.OPEN, HttpEvent.TRANSFER_BEGAN): HttpState.TRANSFERRING,
    (HttpState.OPEN, HttpEvent.WAIT_BEGAN): HttpState.WAITING,
    (HttpState.OPEN, HttpEvent.ENDED): HttpState.ENDING,
    (HttpState.OPEN, HttpEvent.UPGRADED): HttpState.UPGRADED,
    (HttpState.OPEN, HttpEvent.CONNECTION_LOST): HttpState.LOST,
    (HttpState.TRANSFERRING, HttpEvent.TRANSFER_ENDED): HttpState.OPEN,
    (HttpState.TRANSFERRING, HttpEvent.ENDED): HttpState.ENDING,
    (HttpState.TRANSFERRING, HttpEvent.CONNECTION_LOST): HttpState.LOST,
    (HttpState.WAITING, HttpEvent.WAIT_ENDED): HttpState.OPEN,
    (HttpState.WAITING, HttpEvent.STREAM_BEGAN): HttpState.STREAMING,
    (HttpState.WAITING, HttpEvent.ENDED): HttpState.ENDING,
    (HttpState.WAITING, HttpEvent.CONNECTION_LOST): HttpState.LOST,
    (HttpState.ENDING, HttpEvent.ENDED): HttpState.ENDING,
    (HttpState.ENDING, HttpEvent.WRITTEN): HttpState.LINGERING,
    (HttpState.ENDING, HttpEvent.CONNECTION_LOST): HttpState.LOST,
    (HttpState.LINGERING, HttpEvent.ENDED): HttpState.LINGERING,
    (HttpState.LINGERING, HttpEvent.CONNECTION_LOST): HttpState.LOST,
}
PAIRS = list(product(HttpState, HttpEvent))
FORBIDDEN = [pair for pair in PAIRS if pair not in OUTCOMES]


@pytest.mark.parametrize(("state", "event"), OUTCOMES)
def test_next_state_gives_the_defined_outcome_of_a_permitted_event(
    state: HttpState, event: HttpEvent
) -> None:
    assert next_state(state, event) is OUTCOMES[state, event]


@pytest.mark.parametrize(("state", "event"), FORBIDDEN)
def test_next_state_raises_transition_error_for_any_other_event(
    state: HttpState, event: HttpEvent
) -> None:
    with pytest.raises(
        TransitionError, match=f"{event.name} cannot come in the state {state.name}"
    ):
        next_state(state, event)


def test_the_transition_table_has_a_row_for_every_state() -> None:
    assert set(TRANSITIONS) == set(HttpState)


@pytest.mark.parametrize("state", HttpState)
def test_every_state_is_reachable(state: HttpState) -> None:
    reached = {HttpState.OPEN}
    for _ in HttpState:
        reached |= {after for (before, _), after in OUTCOMES.items() if before in reached}
    assert state in reached


@pytest.mark.parametrize("state", HttpState)
def test_only_final_states_have_no_transitions(state: HttpState) -> None:
    is_over = state in (HttpState.UPGRADED, HttpState.STREAMING, HttpState.LOST)
    assert (HttpEvent.CONNECTION_LOST in TRANSITIONS[state]) is not is_over
    assert bool(TRANSITIONS[state]) is not is_over
