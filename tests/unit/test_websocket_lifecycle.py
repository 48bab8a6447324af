"""Each event has a defined outcome in each state, and a connection only comes nearer to its end."""

from itertools import product

import pytest

from dunena.server.websocket.lifecycle import TRANSITIONS, Event, State, next_state

ORDER = list(State)
PAIRS = list(product(State, Event))

OUTCOMES = {
    #                        OPEN             CLOSING          ENDING           LOST
    Event.SHUT_DOWN: (State.CLOSING, State.CLOSING, State.ENDING, State.LOST),
    Event.FAILED: (State.ENDING, State.CLOSING, State.ENDING, State.LOST),
    Event.FRAMING_BROKEN: (State.ENDING, State.ENDING, State.ENDING, State.LOST),
    Event.READ_TOO_SLOWLY: (State.ENDING, State.CLOSING, State.ENDING, State.LOST),
    Event.HANDSHAKE_ENDED: (State.ENDING, State.ENDING, State.ENDING, State.LOST),
    Event.PEER_ENDED: (State.ENDING, State.ENDING, State.ENDING, State.LOST),
    Event.CONNECTION_LOST: (State.LOST, State.LOST, State.LOST, State.LOST),
}


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_event_has_its_outcome_in_every_state(state: State, event: Event) -> None:
    assert next_state(state, event) is OUTCOMES[event][ORDER.index(state)]


def test_the_table_is_complete_and_names_nothing_else() -> None:
    assert set(TRANSITIONS) == set(State)
    assert all(set(events) == set(Event) for events in TRANSITIONS.values())


@pytest.mark.parametrize("event", Event)
def test_no_event_leads_out_of_the_final_state(event: Event) -> None:
    assert next_state(State.LOST, event) is State.LOST


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_no_event_leads_back(state: State, event: Event) -> None:
    assert ORDER.index(next_state(state, event)) >= ORDER.index(state)


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached(state: State) -> None:
    reached = {State.OPEN}
    for _ in State:
        reached |= {next_state(*pair) for pair in product(reached, Event)}
    assert state in reached


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_an_event_that_comes_twice_does_nothing_the_second_time(state: State, event: Event) -> None:
    after = next_state(state, event)
    assert next_state(after, event) is after
