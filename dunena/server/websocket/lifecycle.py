"""The states of a WebSocket connection and the events that lead from one to the next; no I/O.

Theory of operation: a connection is in one `WebSocketState`, and `TRANSITIONS` gives the next state
for every state and `WebSocketEvent`. It starts as OPEN, each transition leads to the same state or
a later one, and none leads out of LOST. The code that reports an event also does what entering a
state requires, such as closing the conversation, and only if `next_state` returns another state. So
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


class WebSocketState(Enum):
    """The states of a connection, in their order."""

    OPEN = auto()
    CLOSING = auto()
    """The server sent a close frame and waits for the peer's."""
    ENDING = auto()
    """Everything that the peer still sends is ignored."""
    LOST = auto()
    """The transport is closed."""


class WebSocketEvent(Enum):
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
    WebSocketEvent.FRAMING_BROKEN: WebSocketState.ENDING,
    WebSocketEvent.HANDSHAKE_ENDED: WebSocketState.ENDING,
    WebSocketEvent.PEER_ENDED: WebSocketState.ENDING,
    WebSocketEvent.CONNECTION_LOST: WebSocketState.LOST,
}

TRANSITIONS: Final[dict[WebSocketState, dict[WebSocketEvent, WebSocketState]]] = {
    WebSocketState.OPEN: {
        WebSocketEvent.SHUT_DOWN: WebSocketState.CLOSING,
        WebSocketEvent.FAILED: WebSocketState.ENDING,
        WebSocketEvent.READ_TOO_SLOWLY: WebSocketState.ENDING,
        **_ENDED_BY_PEER,
    },
    # The close frame was sent: no other reason can be sent, and the peer's frame is awaited.
    WebSocketState.CLOSING: {
        WebSocketEvent.SHUT_DOWN: WebSocketState.CLOSING,
        WebSocketEvent.FAILED: WebSocketState.CLOSING,
        WebSocketEvent.READ_TOO_SLOWLY: WebSocketState.CLOSING,
        **_ENDED_BY_PEER,
    },
    WebSocketState.ENDING: dict.fromkeys(WebSocketEvent, WebSocketState.ENDING)
    | {WebSocketEvent.CONNECTION_LOST: WebSocketState.LOST},
    WebSocketState.LOST: dict.fromkeys(WebSocketEvent, WebSocketState.LOST),
}
"""The next state by state and event."""


def next_state(state: WebSocketState, event: WebSocketEvent) -> WebSocketState:
    """Return the state after an event; the same one if the event changes nothing."""
    return TRANSITIONS[state][event]
