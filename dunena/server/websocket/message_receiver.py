"""Whole messages of one connection: checked, counted, limited, and handed to its session."""

import logging
from collections.abc import Callable

from dunena.dialects.errors import ClientError, RateLimitedError
from dunena.dialects.session import Session
from dunena.server.context import Context

_log = logging.getLogger(__name__)

Fail = Callable[[int, str], None]
"""Ends the connection with a close code and a reason."""


class MessageReceiver:
    """Each message is a request of the tick; ``fail`` ends the connection when one cannot be.

    ``address`` is named in the log when the peer sends more messages a second than it may.
    """

    __slots__ = (
        "_address",
        "_context",
        "_fail",
        "_rate_count",
        "_rate_max",
        "_rate_second",
        "_receive_text",
        "_session",
        "_telemetry",
        "_tick",
    )

    def __init__(self, context: Context, session: Session, address: str, fail: Fail) -> None:
        self._context = context
        self._tick = context.tick
        self._telemetry = context.telemetry
        self._session = session
        self._address = address
        self._fail = fail
        self._receive_text: Callable[[bytes, int], None] = self._receive
        self._rate_max = context.settings.rate_per_second
        self._rate_second = 0
        self._rate_count = 0

    def drop(self) -> None:
        """The connection is lost: nothing may lead back to it, and no message comes any more."""
        self._receive_text = _answer_nothing
        self._fail = _fail_nothing

    def take_text(self, message: bytes) -> None:
        """A whole text message, of which nobody knows yet whether it is UTF-8."""
        if not message.isascii():
            try:
                message.decode()
            except UnicodeDecodeError:
                self._fail(1007, "invalid UTF-8")  # RFC 6455, 8.1
                return
        self._answer(message, self._receive_text)

    def take_binary(self, message: bytes) -> None:
        """A whole binary message, which is read like text."""
        self._answer(message, self._receive_text)

    def refuse(self, error: ClientError) -> None:
        """Tell the client of an error, in this tick."""
        self._tick.run(self._refuse, error)

    def _answer(self, message: bytes, receive: Callable[[bytes, int], None]) -> None:
        self._telemetry.messages += 1
        if self._rate_max and self._is_over_rate():
            self._tick.run(self._refuse, RateLimitedError())
        else:
            receive(message, self._tick.begin(receive, message))

    def _receive(self, message: bytes, now: int) -> None:
        try:
            if not self._session.answer_cached_get(message, now):
                self._session.receive(message, now)
        except Exception:  # noqa: BLE001 - a fault of ours ends one connection, not the server
            self._break()

    def _break(self) -> None:
        _log.exception("a message could not be answered")
        self._fail(1011, "internal error")

    def _refuse(self, error: ClientError, now: int) -> None:
        self._session.refuse(error, now)

    def _is_over_rate(self) -> bool:
        second = int(self._context.loop.time())
        if second != self._rate_second:
            self._rate_second, self._rate_count = second, 0
        self._rate_count += 1
        if self._rate_count == self._rate_max + 1:
            self._context.refusals.tell_rate(self._address, self._rate_max)
        return self._rate_count > self._rate_max


def _answer_nothing(_message: bytes, _now: int) -> None:
    """What a lost connection had asked for."""


def _fail_nothing(_code: int, _reason: str) -> None:
    """A lost connection has ended."""
