"""Handling all frames but whole text messages: control frames, fragments, closing; no I/O.

websockets' protocol object implements this part of RFC 6455, one whole frame at a time. It is made
for the first such frame and dropped when it has no state worth keeping, as most connections need
none.
"""

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from dunena.frames import FrameError, FrameReader, apply_mask
from dunena.server.websocket.fragments import Fragments

_ON_PURPOSE = (1000, 1001, 1005)  # 1005: no code, as of a page that calls close() without one

ReceivedMessage = tuple[bytes, bool]
"""A whole message and whether it is text."""


class SpecialFrames:
    """Handles the special frames of one connection.

    It sets `is_in_message` of ``reader`` while a fragmented message is incomplete. After each call
    that may send something, `take_output` returns the bytes to send.
    """

    __slots__ = ("_fragments", "_message_bytes_max", "_protocol", "_reader")

    def __init__(self, reader: FrameReader, message_bytes_max: int) -> None:
        self._reader = reader
        self._message_bytes_max = message_bytes_max
        self._protocol: ServerProtocol | None = None
        self._fragments: Fragments | None = None  # those of an incomplete message

    @property
    def unfinished_bytes(self) -> int:
        """Number of bytes received of an incomplete fragmented message."""
        return 0 if self._fragments is None else len(self._fragments)

    @property
    def is_unused(self) -> bool:
        """Whether there is nothing to remember: another object would do the same from here on."""
        return self._protocol is None and self._fragments is None

    @property
    def has_ended(self) -> bool:
        """Whether the closing handshake is complete or was ended by a fault."""
        return self._protocol is not None and self._protocol.eof_sent

    @property
    def was_left_on_purpose(self) -> bool:
        """Whether the peer's close frame says that it has done what it wanted, or goes away."""
        close = None if self._protocol is None else self._protocol.close_rcvd
        return close is not None and close.code in _ON_PURPOSE

    def receive(self, frame: bytes, *, takes_messages: bool) -> ReceivedMessage | None:
        """Handle a peer's whole, masked, uncompressed frame; return the message it completes.

        Data frames are ignored unless ``takes_messages``. Raise `FrameError` for text that is no
        UTF-8; any other fault ends the connection by `has_ended`.
        """
        protocol = self._made_protocol()
        if frame[0] & 0x0F == Opcode.CLOSE and self._fragments is not None:
            _close_inside_message(protocol, frame)
        protocol.receive_data(frame)
        for event in protocol.events_received():  # at most one, for one frame
            if isinstance(event, Frame) and takes_messages:
                try:
                    return self._take_data(event)
                except UnicodeDecodeError:
                    raise FrameError(1007, "invalid UTF-8") from None  # RFC 6455, 8.1
        return None

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake with a close code and a reason."""
        self._made_protocol().send_close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """Send a close frame and do not wait for the peer's (RFC 6455, 7.1.7)."""
        self._fragments = None
        self._made_protocol().fail(code, reason)

    def take_output(self) -> list[bytes]:
        """Return the bytes to send now; an empty piece means to close the connection."""
        protocol = self._protocol
        if protocol is None:
            return []
        if protocol.state is State.OPEN and self._fragments is None:
            self._protocol = None
        return protocol.data_to_send()

    def _made_protocol(self) -> ServerProtocol:
        if self._protocol is None:
            self._protocol = ServerProtocol(state=State.OPEN, max_size=self._message_bytes_max)
        return self._protocol

    def _take_data(self, frame: Frame) -> ReceivedMessage | None:
        is_first = frame.opcode in (Opcode.TEXT, Opcode.BINARY)
        if is_first and frame.fin:
            return bytes(frame.data), frame.opcode is Opcode.TEXT
        if is_first:
            self._reader.is_in_message = True
            self._fragments = Fragments(frame)
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            if not frame.fin:
                self._fragments.add(frame)
                return None
            fragments, self._fragments = self._fragments, None
            self._reader.is_in_message = False
            return fragments.end(frame), fragments.opcode is Opcode.TEXT
        return None


def _close_inside_message(protocol: ServerProtocol, frame: bytes) -> None:
    """Answer a close frame between fragments, which RFC 6455, 5.4, permits.

    websockets' protocol object takes it for a fault.
    """
    if protocol.state is not State.OPEN:
        return  # the frame answers a close frame of the server
    mask, payload = frame[2:6], frame[6:]
    try:
        close = Close.parse(apply_mask(payload, mask))
    except Exception:  # noqa: BLE001 - the protocol object finds the same fault again
        return
    protocol.send_close(None if close.code == 1005 else close.code, close.reason)
