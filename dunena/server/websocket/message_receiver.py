"""Checking, counting and limiting whole messages, and passing them to the conversation."""

import logging
from collections.abc import Callable

from dunena.dialects.conversation import Conversation
from dunena.dialects.errors import ClientError, PositionAheadError, RateLimitedError
from dunena.server.context import Context
from dunena.server.limits import AHEAD_MESSAGES_MAX, AHEAD_RETRY_SECONDS, AHEAD_SECONDS_MAX

_log = logging.getLogger(__name__)

Fail = Callable[[int, str], None]
"""A function that ends the connection with a close code and a reason."""


class MessageReceiver:
    """Makes each message of one connection a request of the tick.

    ``fail`` ends the connection if a message is invalid or cannot be answered. ``address`` is
    logged if the peer sends more messages a second than permitted.

    A watch whose position is ahead of this server is tried again for a moment: a server that
    follows another one may be behind, and must not show an older state.

    ``is_behind``: messages are not answered yet, and control frames after them have to wait.
    """

    __slots__ = (
        "_address",
        "_ahead_until",
        "_context",
        "_conversation",
        "_fail",
        "_is_dropped",
        "_rate_count",
        "_rate_max",
        "_rate_second",
        "_receive_text",
        "_retried_until",
        "_telemetry",
        "_tick",
        "is_behind",
    )

    def __init__(
        self, context: Context, conversation: Conversation, address: str, fail: Fail
    ) -> None:
        self._context = context
        self._tick = context.tick
        self._telemetry = context.telemetry
        self._conversation = conversation
        self._address = address
        self._fail = fail
        self._ahead_until: dict[bytes, float] = {}  # messages that wait for a position
        self._retried_until: float | None = None
        self._receive_text: Callable[[bytes, int], None] = self._receive
        self._is_dropped = False
        self._rate_max = context.settings.rate_per_second
        self._rate_second = 0
        self._rate_count = 0
        self.is_behind = False

    def drop(self) -> None:
        """Remove the references to a lost connection; a request that runs again does nothing."""
        self._receive_text = _answer_nothing
        self._is_dropped = True
        self._fail = _fail_nothing

    def take_text(self, message: bytes) -> None:
        """Receive a whole text message, after checking that it is UTF-8."""
        # A message that is known was checked when it came first.
        if not (self._conversation.is_cached_get(message) or message.isascii()):
            try:
                message.decode()
            except UnicodeDecodeError:
                self._fail(1007, "invalid UTF-8")  # RFC 6455, 8.1
                return
        self._answer(message)

    def take_checked(self, message: bytes) -> None:
        """Receive a whole text message that is known to be UTF-8."""
        self._answer(message, self._receive_text)

    def take_binary(self, message: bytes) -> None:
        """Receive a whole binary message, which is read like text."""
        self._answer(message)

    def defer(self, action: Callable[[], None]) -> None:
        """Do something after the messages that are not answered yet."""
        action()

    def refuse(self, error: ClientError) -> None:
        """Send the client an error in this tick."""
        self._tick.run(self._refuse, error)

    def _answer(self, message: bytes) -> None:
        self._telemetry.messages += 1
        if self._rate_max and self._is_over_rate():
            self._tick.run(self._refuse, RateLimitedError())
        else:
            now = self._tick.begin(self._receive_text, message)
            if not self._is_dropped:
                self._receive(message, now)  # compiled code calls a method quicker than a callable

    def _receive(self, message: bytes, now: int) -> None:
        try:
            if not self._conversation.answer_cached_get(message, now):
                self._conversation.receive(message, now)
        except PositionAheadError:
            self._wait_for_position(message)
        except Exception:  # noqa: BLE001 - a bug ends one connection, not the server
            self._break()

    def _wait_for_position(self, message: bytes) -> None:
        """Try a message again soon, or end the connection if that was done for long enough."""
        if message in self._ahead_until:
            return  # the tick ran twice
        loop = self._context.loop
        now = loop.time()
        until = self._retried_until or now + AHEAD_SECONDS_MAX
        if now >= until or len(self._ahead_until) >= AHEAD_MESSAGES_MAX:
            self._fail(1013, "the position is ahead of this server")  # "try again later"
            return
        self._ahead_until[message] = until
        loop.call_later(AHEAD_RETRY_SECONDS, self._try_again, message)

    def _try_again(self, message: bytes) -> None:
        until = self._ahead_until.pop(message)
        if not self._conversation.subscriptions.awaits(message):
            return  # another message has begun or ended its watch
        self._retried_until = until
        receive = self._receive_text
        try:
            receive(message, self._tick.begin(receive, message))
        finally:
            self._retried_until = None

    def _break(self) -> None:
        _log.exception("a message could not be answered")
        self._fail(1011, "internal error")

    def _refuse(self, error: ClientError, now: int) -> None:
        self._conversation.refuse(error, now)

    def _is_over_rate(self) -> bool:
        second = int(self._context.loop.time())
        if second != self._rate_second:
            self._rate_second, self._rate_count = second, 0
        self._rate_count += 1
        if self._rate_count == self._rate_max + 1:
            self._context.refusals.tell_rate(self._address, self._rate_max)
        return self._rate_count > self._rate_max


def _answer_nothing(_message: bytes, _now: int) -> None:
    """Ignore a message of a lost connection."""


def _fail_nothing(_code: int, _reason: str) -> None:
    """Do nothing: a lost connection has ended already."""
