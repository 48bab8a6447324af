"""Every frame but the ordinary one: control frames, fragments, the closing handshake; no I/O.

websockets' protocol object does this part of RFC 6455, one whole frame at a time. It is made when
the first such frame comes and let go when nothing of it is left to remember, since most connections
need none.
"""

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from dunena.frames import PONG_HEAD, FrameError, FrameReader, apply_mask
from dunena.server.websocket.fragments import Fragments

ReceivedMessage = tuple[bytes, bool]
"""A whole message, and whether it is text."""


class SpecialFrames:
    """Those of one connection; its ``reader`` is told while a message in fragments has begun.

    After each call that may send something, `take_output` gives what is to be sent.
    """

    __slots__ = ("_fragments", "_message_bytes_max", "_protocol", "_reader")

    def __init__(self, reader: FrameReader, message_bytes_max: int) -> None:
        self._reader = reader
        self._message_bytes_max = message_bytes_max
        self._protocol: ServerProtocol | None = None
        self._fragments: Fragments | None = None  # of a message that has begun

    @property
    def unfinished_bytes(self) -> int:
        """Bytes of the fragments of a message that is not whole."""
        return 0 if self._fragments is None else len(self._fragments)

    @property
    def has_ended(self) -> bool:
        """Whether the closing handshake is over, or a fault ended it."""
        return self._protocol is not None and self._protocol.eof_sent

    def receive(self, frame: bytes, *, takes_messages: bool) -> ReceivedMessage | None:
        """A peer's whole, masked, uncompressed frame; the message that it completes.

        Data is ignored unless ``takes_messages``. Raises `FrameError` for text that is no UTF-8;
        every other fault ends the handshake.
        """
        if frame[0] == PONG_HEAD:
            return None  # that it was heard is all it says
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
        """Begin the closing handshake."""
        self._made_protocol().send_close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """End without waiting for the peer's close frame: RFC 6455, 7.1.7."""
        self._fragments = None
        self._made_protocol().fail(code, reason)

    def take_output(self) -> list[bytes]:
        """What is to be sent now; an empty piece is the end of it."""
        protocol = self._protocol
        if protocol is None:
            return []
        if protocol.state is State.OPEN and self._fragments is None:
            self._protocol = None
        return protocol.data_to_send()

    def drop(self) -> None:
        """Let go what there is: nothing more is received or sent."""
        self._fragments = self._protocol = None

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
    """A close may come between fragments (RFC 6455, 5.4); the protocol object refuses it."""
    if protocol.state is not State.OPEN:
        return  # it answers a close frame that was sent
    mask, payload = frame[2:6], frame[6:]
    try:
        close = Close.parse(apply_mask(payload, mask))
    except Exception:  # noqa: BLE001 - any fault in it is found again by the protocol object
        return
    protocol.send_close(None if close.code == 1005 else close.code, close.reason)
