"""The states of a WebSocket connection and the events that lead from one to the next; no I/O.

Theory of operation: a connection is in one `State`, and `TRANSITIONS` says for every state and
every `LifecycleEvent` which state follows. It starts as OPEN, each transition leads to the same
state or a later one, and nothing leads out of LOST. Whoever reports an event does what has to be
done when a state is entered, such as to close the session, and only if `next_state` gives another
state: so every connection is closed once, for the first reason there is.

================  ===================================  ============================
state             messages of the peer                 what is sent
================  ===================================  ============================
OPEN              are answered                         replies, events, pings
CLOSING           are read and left unanswered, until  what is queued, then nothing
                  its close frame comes
ENDING            are not read                         what is queued, then the end
LOST              do not come                          nothing
================  ===================================  ============================

What does not depend on the state is kept apart: whether reading is paused, whether the connection
waits for its turn (`dunena.server.turn`), whether a message is being inflated (`inflater`) or has
come in part (`special_frames`).
"""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """How far a connection has come, in this order."""

    OPEN = auto()
    CLOSING = auto()
    """The server sent a close frame and waits for the peer's."""
    ENDING = auto()
    """Nothing that the peer may still send has a meaning."""
    LOST = auto()
    """The transport is gone."""


class LifecycleEvent(Enum):
    """What ends a connection, or brings it nearer to its end."""

    SHUT_DOWN = auto()
    """The server stops."""
    FAILED = auto()
    """The peer broke a rule or went over a limit, its token is no longer valid, or a fault of ours
    left a message unanswered."""
    FRAMING_BROKEN = auto()
    """The peer sent what is no frame, so nothing behind it can be read."""
    READ_TOO_SLOWLY = auto()
    """More events wait for the peer than may."""
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
    # The close frame is sent: no other reason can be given, and the peer's own is still to come.
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
"""Which state follows a state and an event."""


def next_state(state: State, event: LifecycleEvent) -> State:
    """The state that follows; the same one if the event changes nothing."""
    return TRANSITIONS[state][event]
