"""The states of a WebSocket connection and the events that lead from one to the next; no I/O.

Theory of operation: a connection is in one `State`, and `TRANSITIONS` gives the next state for
every state and `LifecycleEvent`. It starts as OPEN, each transition leads to the same state or a
later one, and none leads out of LOST. The code that reports an event also does what entering a
state requires, such as closing the session, and only if `next_state` returns another state. So
every connection is closed once, for the first reason.

================  ===================================  ============================
state             messages of the peer                 what is sent
================  ===================================  ============================
OPEN              are answered                         replies, events, pings
CLOSING           are read and left unanswered, until  what is queued, then nothing
                  its close frame comes
ENDING            are not read                         what is queued, then the end
LOST              do not come                          nothing
================  ===================================  ============================

The following do not depend on the state: whether reading is paused, whether the connection waits
for its turn (`dunena.server.turn`), whether a message is being inflated (`inflater`) or is received
in part (`special_frames`).
"""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """The states of a connection, in their order."""

    OPEN = auto()
    CLOSING = auto()
    """The server sent a close frame and waits for the peer's."""
    ENDING = auto()
    """Everything that the peer still sends is ignored."""
    LOST = auto()
    """The transport is closed."""


class LifecycleEvent(Enum):
    """The events that end a connection or bring it closer to its end."""

    SHUT_DOWN = auto()
    """The server stops."""
    FAILED = auto()
    """The peer broke a rule or exceeded a limit, its token is no longer valid, or a bug left a
    message unanswered."""
    FRAMING_BROKEN = auto()
    """The peer sent an invalid frame, so that nothing after it can be parsed."""
    READ_TOO_SLOWLY = auto()
    """More events wait for the peer than permitted."""
    HANDSHAKE_ENDED = auto()
    """Both have sent a close frame, or the protocol object found a fault and sent one."""
    PEER_ENDED = auto()
    """The peer sends no more."""
    CONNECTION_LOST = auto()
    """The transport reports its end."""


_ENDED_BY_PEER: Final = {
    LifecycleEvent.FRAMING_BROKEN: State.ENDING,
    LifecycleEvent.HANDSHAKE_ENDED: State.ENDING,
    LifecycleEvent.PEER_ENDED: State.ENDING,
    LifecycleEvent.CONNECTION_LOST: State.LOST,
}

TRANSITIONS: Final[dict[State, dict[LifecycleEvent, State]]] = {
    State.OPEN: {
        LifecycleEvent.SHUT_DOWN: State.CLOSING,
        LifecycleEvent.FAILED: State.ENDING,
        LifecycleEvent.READ_TOO_SLOWLY: State.ENDING,
        **_ENDED_BY_PEER,
    },
    # The close frame was sent: no other reason can be sent, and the peer's frame is awaited.
    State.CLOSING: {
        LifecycleEvent.SHUT_DOWN: State.CLOSING,
        LifecycleEvent.FAILED: State.CLOSING,
        LifecycleEvent.READ_TOO_SLOWLY: State.CLOSING,
        **_ENDED_BY_PEER,
    },
    State.ENDING: dict.fromkeys(LifecycleEvent, State.ENDING)
    | {LifecycleEvent.CONNECTION_LOST: State.LOST},
    State.LOST: dict.fromkeys(LifecycleEvent, State.LOST),
}
"""The next state by state and event."""


def next_state(state: State, event: LifecycleEvent) -> State:
    """Return the state after an event; the same one if the event changes nothing."""
    return TRANSITIONS[state][event]
