"""Accepting on Windows: who is gone before it was accepted takes nobody else with it.

asyncio's loop for Windows closes the listener for good at any error of an accept, and one is all
it takes: a connection that is reset while it waits (python/cpython#93821).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

Accepted = tuple[socket.socket, Any]
"""A connection and the address of its other end."""

RETRY_SECONDS = 1.0
"""When the system has no means for a connection: asyncio's pause on other systems."""

FAILURES_IN_A_ROW_MAX = 1_000
"""About as many as can wait to be accepted: past it, it is hardly the connections."""


class Accepting(asyncio.Future[Accepted]):
    """The next connection of a listener, however many are gone before they were accepted.

    ``accept`` asks the system once; ``is_open`` is whether the listener still is, without which
    this ends in the error. The system is asked from the constructor on, and until `cancel`.
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
        self._again: asyncio.Handle | None = None
        self._failures = 0
        self._ask()

    def cancel(self, msg: Any | None = None) -> bool:
        """Ask no more: before this returns, as the listener is closed next."""
        if self._again is not None:
            self._again.cancel()
        if self._asked is not None:
            self._asked.cancel()
        return super().cancel(msg)

    def _ask(self) -> None:
        self._again = None
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
            # A reset has many numbers: 64 on one Windows, 59, 10054 or 10057 on others.
            self._failed(error, is_gone=True)
        else:
            self.set_exception(error)

    def _failed(self, error: OSError, *, is_gone: bool) -> None:
        """Ask again: at once if it was that connection, later if it was the system."""
        if not self._is_open():
            self.set_exception(error)
            return
        loop = self.get_loop()
        self._failures += 1
        if is_gone and self._failures % FAILURES_IN_A_ROW_MAX:
            self._again = loop.call_soon(self._ask)
            return
        loop.call_exception_handler({"message": "Accept failed on a socket", "exception": error})
        self._again = loop.call_later(RETRY_SECONDS, self._ask)
