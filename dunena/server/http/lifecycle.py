"""The states of an HTTP connection and the events that lead from one to the next; no I/O.

Theory of operation: a connection is in one `HttpState`, and `TRANSITIONS` gives for every state the
events that may come in it, and the next state for each. It starts as OPEN. `next_state` raises for
an event that is not in the table: only a bug can cause it. The code that reports an event also does
what entering a state requires.

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


class HttpState(Enum):
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


class HttpEvent(Enum):
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


TRANSITIONS: Final[dict[HttpState, dict[HttpEvent, HttpState]]] = {
    HttpState.OPEN: {
        HttpEvent.TRANSFER_BEGAN: HttpState.TRANSFERRING,
        HttpEvent.ENDED: HttpState.ENDING,
        HttpEvent.UPGRADED: HttpState.UPGRADED,
        HttpEvent.CONNECTION_LOST: HttpState.LOST,
    },
    HttpState.TRANSFERRING: {
        HttpEvent.TRANSFER_ENDED: HttpState.OPEN,
        HttpEvent.ENDED: HttpState.ENDING,
        HttpEvent.CONNECTION_LOST: HttpState.LOST,
    },
    # The server may stop while a connection is ending for another reason.
    HttpState.ENDING: {
        HttpEvent.ENDED: HttpState.ENDING,
        HttpEvent.WRITTEN: HttpState.LINGERING,
        HttpEvent.CONNECTION_LOST: HttpState.LOST,
    },
    HttpState.LINGERING: {
        HttpEvent.ENDED: HttpState.LINGERING,
        HttpEvent.CONNECTION_LOST: HttpState.LOST,
    },
    HttpState.UPGRADED: {},
    HttpState.LOST: {},
}
"""Which state follows a state and an event that may come in it."""


def next_state(state: HttpState, event: HttpEvent) -> HttpState:
    """The state that follows; raises `TransitionError` for an event that cannot come in it."""
    following = TRANSITIONS[state].get(event)
    if following is None:
        raise TransitionError(f"{event.name} cannot come in the state {state.name}")
    return following
