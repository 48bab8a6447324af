"""Each event has a defined outcome in each state, and a connection only comes nearer to its end."""

from itertools import product

import pytest

from dunena.server.websocket.lifecycle import (
    TRANSITIONS,
    WebSocketEvent,
    WebSocketState,
    next_state,
)

ORDER = list(WebSocketState)
PAIRS = list(product(WebSocketState, WebSocketEvent))

OPEN, CLOSING, ENDING, LOST = WebSocketState

OUTCOMES = {
    # event -> the states that follow OPEN, CLOSING, ENDING and LOST
    WebSocketEvent.SHUT_DOWN: (CLOSING, CLOSING, ENDING, LOST),
    WebSocketEvent.FAILED: (ENDING, CLOSING, ENDING, LOST),
    WebSocketEvent.FRAMING_BROKEN: (ENDING, ENDING, ENDING, LOST),
    WebSocketEvent.READ_TOO_SLOWLY: (ENDING, CLOSING, ENDING, LOST),
    WebSocketEvent.HANDSHAKE_ENDED: (ENDING, ENDING, ENDING, LOST),
    WebSocketEvent.PEER_ENDED: (ENDING, ENDING, ENDING, LOST),
    WebSocketEvent.CONNECTION_LOST: (LOST, LOST, LOST, LOST),
}


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_next_state_gives_the_defined_outcome_for_every_state_and_event(
    state: WebSocketState, event: WebSocketEvent
) -> None:
    assert next_state(state, event) is OUTCOMES[event][ORDER.index(state)]


def test_the_transition_table_has_exactly_all_states_and_events() -> None:
    assert set(TRANSITIONS) == set(WebSocketState)
    assert all(set(events) == set(WebSocketEvent) for events in TRANSITIONS.values())


@pytest.mark.parametrize("event", WebSocketEvent)
def test_no_event_leads_out_of_the_final_state(event: WebSocketEvent) -> None:
    assert next_state(WebSocketState.LOST, event) is WebSocketState.LOST


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_no_event_leads_to_an_earlier_state(state: WebSocketState, event: WebSocketEvent) -> None:
    assert ORDER.index(next_state(state, event)) >= ORDER.index(state)


@pytest.mark.parametrize("state", WebSocketState)
def test_every_state_is_reachable(state: WebSocketState) -> None:
    reached = {WebSocketState.OPEN}
    for _ in WebSocketState:
        reached |= {next_state(*pair) for pair in product(reached, WebSocketEvent)}
    assert state in reached


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_an_event_repeated_at_once_has_no_effect(
    state: WebSocketState, event: WebSocketEvent
) -> None:
    after = next_state(state, event)
    assert next_state(after, event) is after
