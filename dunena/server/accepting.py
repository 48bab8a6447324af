"""Accepting connections on Windows, where a single reset must not close the listener.

asyncio's loop for Windows closes the listener for good at any error of an accept, and a connection
that is reset before it is accepted is such an error (python/cpython#93821).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

Accepted = tuple[socket.socket, Any]
"""A connection and the address of the peer."""

RETRY_SECONDS = 1.0
"""Pause after an error of the system, such as no descriptors: asyncio's pause on other systems."""

FAILURES_IN_A_ROW_MAX = 1_000
"""Errors in a row that may come from reset connections: about as many as wait to be accepted."""


class Accepting(asyncio.Future[Accepted]):
    """The next connection of a listener; it ignores connections that were reset before.

    ``accept`` asks the system for one connection. ``is_open`` says whether the listener is open; if
    it is not, the future ends with the error. The constructor starts accepting, `cancel` ends it.
    """

    def __init__(
        self,
        accept: Callable[[], asyncio.Future[Accepted]],
        is_open: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop=loop)
        self._accept = accept
        self._is_open = is_open
        self._asked: asyncio.Future[Accepted] | None = None
        self._retry: asyncio.Handle | None = None
        self._failures = 0
        self._ask()

    def cancel(self, msg: Any | None = None) -> bool:
        """Stop accepting before this returns, since the caller then closes the listener."""
        if self._retry is not None:
            self._retry.cancel()
        if self._asked is not None:
            self._asked.cancel()
        return super().cancel(msg)

    def _ask(self) -> None:
        self._retry = None
        try:
            self._asked = self._accept()
        except OSError as error:
            self._failed(error, is_gone=isinstance(error, ConnectionError))
        else:
            self._asked.add_done_callback(self._answered)

    def _answered(self, asked: asyncio.Future[Accepted]) -> None:
        if self.done():
            return
        if asked.cancelled():
            super().cancel()
            return
        error = asked.exception()
        if error is None:
            self.set_result(asked.result())
        elif isinstance(error, OSError):
            # A reset has different error numbers (59, 64, 10054, 10057) by the version of Windows.
            self._failed(error, is_gone=True)
        else:
            self.set_exception(error)

    def _failed(self, error: OSError, *, is_gone: bool) -> None:
        """Accept again: at once if a connection was reset, later after an error of the system."""
        if not self._is_open():
            self.set_exception(error)
            return
        loop = self.get_loop()
        self._failures += 1
        if is_gone and self._failures % FAILURES_IN_A_ROW_MAX:
            self._retry = loop.call_soon(self._ask)
            return
        loop.call_exception_handler({"message": "Accept failed on a socket", "exception": error})
        self._retry = loop.call_later(RETRY_SECONDS, self._ask)
