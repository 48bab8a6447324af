"""Each event has a defined outcome in each state, and a connection only comes nearer to its end."""

from itertools import product

import pytest

from dunena.server.websocket.lifecycle import TRANSITIONS, LifecycleEvent, State, next_state

ORDER = list(State)
PAIRS = list(product(State, LifecycleEvent))

OUTCOMES = {
    #                        OPEN             CLOSING          ENDING           LOST
    LifecycleEvent.SHUT_DOWN: (State.CLOSING, State.CLOSING, State.ENDING, State.LOST),
    LifecycleEvent.FAILED: (State.ENDING, State.CLOSING, State.ENDING, State.LOST),
    LifecycleEvent.FRAMING_BROKEN: (State.ENDING, State.ENDING, State.ENDING, State.LOST),
    LifecycleEvent.READ_TOO_SLOWLY: (State.ENDING, State.CLOSING, State.ENDING, State.LOST),
    LifecycleEvent.HANDSHAKE_ENDED: (State.ENDING, State.ENDING, State.ENDING, State.LOST),
    LifecycleEvent.PEER_ENDED: (State.ENDING, State.ENDING, State.ENDING, State.LOST),
    LifecycleEvent.CONNECTION_LOST: (State.LOST, State.LOST, State.LOST, State.LOST),
}


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_next_state_gives_the_defined_outcome_for_every_state_and_event(
    state: State, event: LifecycleEvent
) -> None:
    assert next_state(state, event) is OUTCOMES[event][ORDER.index(state)]


def test_the_transition_table_has_exactly_all_states_and_events() -> None:
    assert set(TRANSITIONS) == set(State)
    assert all(set(events) == set(LifecycleEvent) for events in TRANSITIONS.values())


@pytest.mark.parametrize("event", LifecycleEvent)
def test_no_event_leads_out_of_the_final_state(event: LifecycleEvent) -> None:
    assert next_state(State.LOST, event) is State.LOST


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_no_event_leads_to_an_earlier_state(state: State, event: LifecycleEvent) -> None:
    assert ORDER.index(next_state(state, event)) >= ORDER.index(state)


@pytest.mark.parametrize("state", State)
def test_every_state_is_reachable(state: State) -> None:
    reached = {State.OPEN}
    for _ in State:
        reached |= {next_state(*pair) for pair in product(reached, LifecycleEvent)}
    assert state in reached


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_an_event_repeated_at_once_has_no_effect(state: State, event: LifecycleEvent) -> None:
    after = next_state(state, event)
    assert next_state(after, event) is after
