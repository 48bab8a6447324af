"""The states of an HTTP connection and the events that lead from one to the next; no I/O.

Theory of operation: a connection is in one `HttpState`, and `TRANSITIONS` gives for every state the
events that may come in it, and the next state for each. It starts as OPEN. `next_state` raises for
an event that is not in the table: only a bug can cause it. The code that reports an event also does
what entering a state requires.

============  ===================================  ================================
state         bytes from the peer                  bytes to the peer
============  ===================================  ================================
OPEN          are answered, in order               responses, each in one piece
TRANSFERRING  wait                                 one response, piece by piece
WAITING       wait                                 none, until something changes, or
                                                   a change is stored
ENDING        are discarded                        the queued bytes, then the end
LINGERING     are discarded, up to a time and      none: the end was sent
              size limit
UPGRADED      go to the WebSocket connection       none from this connection
STREAMING     go to the event stream               none from this connection
LOST          do not arrive                        none
============  ===================================  ================================

A connection changes between OPEN and TRANSFERRING, and between OPEN and WAITING, repeatedly. A
request for an event stream waits too, though mostly for no time: until the server has reached the
position to continue from. A connection enters ENDING once: after the last
response, when it is idle or too slow, when all requests of a peer that ended are answered, or when
the server stops. It is then closed as soon as everything is written. But if the peer is still
sending a request, the connection lingers, as closing it could make the peer lose the response (RFC
9112, 9.6). No transition leads out of UPGRADED, STREAMING and LOST.

The following do not depend on the state: whether the connection waits for its turn
(`dunena.server.turn`), the received bytes and whether the peer has ended (`request_queue`), the
bytes counted in shared budgets (`held_bytes`), and whether reading is paused (`flow_control`).
"""

from enum import Enum, auto
from typing import Final


class HttpState(Enum):
    """The states of a connection."""

    OPEN = auto()
    TRANSFERRING = auto()
    """A response is being made by a worker thread or in portions, and sent in pieces."""
    WAITING = auto()
    """A request to follow state is held until there is something to tell, or one that changes
    something until that is stored by the log that several servers share."""
    ENDING = auto()
    """Everything that will be sent is queued."""
    LINGERING = auto()
    """Everything is written, and the peer may still send."""
    UPGRADED = auto()
    """A WebSocket connection has the transport and the outbox."""
    STREAMING = auto()
    """An event stream has the transport and the outbox."""
    LOST = auto()
    """The transport is closed."""


class HttpEvent(Enum):
    """The events that cause transitions."""

    TRANSFER_BEGAN = auto()
    """The response to a request is made by a worker thread or in portions."""
    TRANSFER_ENDED = auto()
    """The whole response is queued."""
    WAIT_BEGAN = auto()
    """A request was accepted that is held."""
    WAIT_ENDED = auto()
    """The whole response to it is queued."""
    STREAM_BEGAN = auto()
    """The response to it is a stream of events, which has no end of its own."""
    ENDED = auto()
    """Nothing more will be queued."""
    WRITTEN = auto()
    """Everything queued is written, and the peer is still sending a request."""
    UPGRADED = auto()
    """A request to upgrade was accepted."""
    CONNECTION_LOST = auto()
    """The transport reports its end."""


class TransitionError(Exception):
    """An event cannot occur in a state."""


TRANSITIONS: Final[dict[HttpState, dict[HttpEvent, HttpState]]] = {
    HttpState.OPEN: {
        HttpEvent.TRANSFER_BEGAN: HttpState.TRANSFERRING,
        HttpEvent.WAIT_BEGAN: HttpState.WAITING,
        HttpEvent.ENDED: HttpState.ENDING,
        HttpEvent.UPGRADED: HttpState.UPGRADED,
        HttpEvent.CONNECTION_LOST: HttpState.LOST,
    },
    HttpState.TRANSFERRING: {
        HttpEvent.TRANSFER_ENDED: HttpState.OPEN,
        HttpEvent.ENDED: HttpState.ENDING,
        HttpEvent.CONNECTION_LOST: HttpState.LOST,
    },
    HttpState.WAITING: {
        HttpEvent.WAIT_ENDED: HttpState.OPEN,
        HttpEvent.STREAM_BEGAN: HttpState.STREAMING,
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
    HttpState.STREAMING: {},
    HttpState.LOST: {},
}
"""The next state by state and event, for the events that may occur in the state."""


def next_state(state: HttpState, event: HttpEvent) -> HttpState:
    """Return the state after an event; raise `TransitionError` if it cannot occur."""
    following = TRANSITIONS[state].get(event)
    if following is None:
        raise TransitionError(f"{event.name} cannot come in the state {state.name}")
    return following
