"""Checking, counting and limiting whole messages, and passing them to the conversation."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from dunena.dialects.conversation import Conversation
from dunena.dialects.errors import ClientError, PositionAheadError, RateLimitedError
from dunena.server.context import Context
from dunena.server.faults import FAULTS
from dunena.server.limits import AHEAD_MESSAGES_MAX, AHEAD_RETRY_SECONDS, AHEAD_SECONDS_MAX

_log = logging.getLogger(__name__)


class MessageSource(Protocol):
    """The connection that messages come from; ``address`` is its client's."""

    @property
    def address(self) -> str:
        """That address."""

    def fail(self, code: int, reason: str, /) -> None:
        """End the connection with a close code and a reason."""

    def hold_input(self) -> None:
        """Handle no further message until `release_input`."""

    def release_input(self) -> None:
        """Go on with the messages that came meanwhile."""


class MessageReceiver:
    """Makes each message of one connection a request of the tick.

    ``source`` is ended if a message is invalid or cannot be answered; its address is logged if the
    peer sends more messages a second than permitted.

    A watch whose position is ahead of this server is tried again for a moment: a server that
    follows another one may be behind, and must not show an older state.

    ``is_behind``: messages are not answered yet, and control frames after them have to wait.
    """

    __slots__ = (
        "_ahead_until",
        "_context",
        "_conversation",
        "_is_dropped",
        "_rate_count",
        "_rate_max",
        "_rate_second",
        "_receive_text",
        "_retried_until",
        "_source",
        "_telemetry",
        "_tick",
        "is_behind",
    )

    def __init__(self, context: Context, conversation: Conversation, source: MessageSource) -> None:
        self._context = context
        self._tick = context.tick
        self._telemetry = context.telemetry
        self._conversation = conversation
        self._source = source
        self._ahead_until: dict[bytes, float] | None = None  # messages that wait for a position
        self._retried_until: float | None = None
        self._receive_text: Callable[[bytes, int], None] | None = None  # from the first message on
        self._is_dropped = False
        self._rate_max = context.settings.rate_per_second
        self._rate_second = 0
        self._rate_count = 0
        self.is_behind = False

    def drop(self) -> None:
        """Remove the references to a lost connection; a request that runs again does nothing."""
        self._receive_text = _answer_nothing
        self._is_dropped = True
        self._source = _NOBODY

    def take_text(self, message: bytes) -> None:
        """Receive a whole text message, after checking that it is UTF-8."""
        # A message that is known was checked when it came first.
        if not (message.isascii() or self._conversation.is_cached_get(message)):
            try:
                message.decode()
            except UnicodeDecodeError:
                self._source.fail(1007, "invalid UTF-8")  # RFC 6455, 8.1
                return
        self._answer(message)

    def take_checked(self, message: bytes) -> None:
        """Receive a whole text message that is known to be UTF-8."""
        self._answer(message)

    def take_binary(self, message: bytes) -> None:
        """Receive a whole binary message, which is read like text."""
        self._answer(message)

    def defer(self, action: Callable[[], None]) -> None:
        """Do something after the messages that are not answered yet."""
        action()

    def refuse(self, error: ClientError) -> None:
        """Send the client an error in this tick."""
        self._tick.run(self._refuse, error)

    def _first_receive(self) -> Callable[[bytes, int], None]:
        """Return the handler of messages, which is made for the first one and kept."""
        receive = self._receive_text
        if receive is None:
            receive = self._receive_text = self._receive
        return receive

    def _answer(self, message: bytes) -> None:
        self._telemetry.messages += 1
        if self._rate_max and self._is_over_rate():
            self._tick.run(self._refuse, RateLimitedError())
        else:
            receive = self._receive_text
            now = self._tick.begin(self._first_receive() if receive is None else receive, message)
            if not self._is_dropped:
                self._receive(message, now)  # compiled code calls a method quicker than a callable

    def _receive(self, message: bytes, now: int) -> None:
        try:
            if not self._conversation.answer_cached_get(message, now):
                self._conversation.receive(message, now)
        except PositionAheadError:
            self._wait_for_position(message)
        except FAULTS:  # a bug ends one connection, not the server
            self._break()

    def _wait_for_position(self, message: bytes) -> None:
        """Try a message again soon, or end the connection if that was done for long enough."""
        ahead_until = self._ahead_until
        if ahead_until is None:
            ahead_until = self._ahead_until = {}
        if message in ahead_until:
            return  # the tick ran twice
        loop = self._context.loop
        now = loop.time()
        until = self._retried_until or now + AHEAD_SECONDS_MAX
        if now >= until or len(ahead_until) >= AHEAD_MESSAGES_MAX:
            self._source.fail(1013, "the position is ahead of this server")  # "try again later"
            return
        ahead_until[message] = until
        loop.call_later(AHEAD_RETRY_SECONDS, self._try_again, message)

    def _try_again(self, message: bytes) -> None:
        assert self._ahead_until is not None, "the message waits"
        until = self._ahead_until.pop(message)
        if not self._conversation.subscriptions.awaits(message):
            return  # another message has begun or ended its watch
        self._retried_until = until
        receive = self._first_receive()
        try:
            receive(message, self._tick.begin(receive, message))
        finally:
            self._retried_until = None

    def _break(self) -> None:
        _log.exception("a message could not be answered")
        self._source.fail(1011, "internal error")

    def _refuse(self, error: ClientError, now: int) -> None:
        self._conversation.refuse(error, now)

    def _is_over_rate(self) -> bool:
        second = int(self._context.loop.time())
        if second != self._rate_second:
            self._rate_second, self._rate_count = second, 0
        self._rate_count += 1
        if self._rate_count == self._rate_max + 1:
            self._context.refusals.tell_rate(self._source.address, self._rate_max)
        return self._rate_count > self._rate_max


def _answer_nothing(_message: bytes, _now: int) -> None:
    """Ignore a message of a lost connection."""


class _Nobody:
    """Stands in for a connection that is lost: it has ended already."""

    address = ""

    def fail(self, code: int, reason: str, /) -> None: ...

    def hold_input(self) -> None: ...

    def release_input(self) -> None: ...


_NOBODY: Final[MessageSource] = _Nobody()
