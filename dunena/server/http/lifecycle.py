"""The states of an HTTP connection and the events that lead from one to the next; no I/O.

Theory of operation: a connection is in one `State`, and `TRANSITIONS` says for every state which
events may come in it and which state follows. It starts as OPEN. What is not in the table cannot
happen, unless a fault of ours makes it so: `next_state` raises then. What has to be done when a
state is entered is done by whoever reports the event.

============  ===================================  ================================
state         what the peer sends                  what is sent
============  ===================================  ================================
OPEN          requests, answered in their order    answers, each in one piece
TRANSFERRING  requests, which wait                 one answer, piece by piece
ENDING        is dropped                           what is queued, then the end
LINGERING     is dropped, for so long and so much  nothing: the end was sent
UPGRADED      goes to the WebSocket connection     nothing, of this connection
LOST          does not come                        nothing
============  ===================================  ================================

OPEN and TRANSFERRING take turns. ENDING is entered once: behind the last answer, when the peer has
ended and was answered, when it was idle or too slow, and when the server stops. From there a
connection is closed as soon as everything is written, unless the peer is in the middle of a
request: then it lingers, since a peer whose connection is closed while it sends may lose the answer
with it (RFC 9112, 9.6). Nothing leads out of UPGRADED and LOST.

What does not depend on the state is kept apart: whether the connection waits for its turn
(`dunena.server.turn`), what has come and whether the peer has ended (`request_queue`), what is held
of what all connections share (`held_bytes`), and whether reading is paused.
"""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """What a connection is doing."""

    OPEN = auto()
    TRANSFERRING = auto()
    """An answer that is not ready at once is on its way."""
    ENDING = auto()
    """Everything that will be said is queued."""
    LINGERING = auto()
    """Everything is written, and the peer may still send."""
    UPGRADED = auto()
    """Another protocol has taken over."""
    LOST = auto()
    """The transport is gone."""


class Event(Enum):
    """What leads to another state, or may."""

    TRANSFER_BEGAN = auto()
    """The answer to a request is not ready at once."""
    TRANSFER_ENDED = auto()
    """All of it is queued."""
    ENDED = auto()
    """Nothing more is to be said behind what is queued."""
    WRITTEN = auto()
    """What was queued at the end is written, and the peer is in the middle of a request."""
    UPGRADED = auto()
    """A request to upgrade was accepted."""
    CONNECTION_LOST = auto()
    """The transport reports its end."""


class TransitionError(Exception):
    """An event that cannot come in this state."""


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.OPEN: {
        Event.TRANSFER_BEGAN: State.TRANSFERRING,
        Event.ENDED: State.ENDING,
        Event.UPGRADED: State.UPGRADED,
        Event.CONNECTION_LOST: State.LOST,
    },
    State.TRANSFERRING: {
        Event.TRANSFER_ENDED: State.OPEN,
        Event.ENDED: State.ENDING,
        Event.CONNECTION_LOST: State.LOST,
    },
    # The server may stop while a connection is ending for another reason.
    State.ENDING: {
        Event.ENDED: State.ENDING,
        Event.WRITTEN: State.LINGERING,
        Event.CONNECTION_LOST: State.LOST,
    },
    State.LINGERING: {
        Event.ENDED: State.LINGERING,
        Event.CONNECTION_LOST: State.LOST,
    },
    State.UPGRADED: {},
    State.LOST: {},
}
"""Which state follows a state and an event that may come in it."""


def next_state(state: State, event: Event) -> State:
    """The state that follows; raises `TransitionError` for an event that cannot come in it."""
    following = TRANSITIONS[state].get(event)
    if following is None:
        raise TransitionError(f"{event.name} cannot come in the state {state.name}")
    return following
