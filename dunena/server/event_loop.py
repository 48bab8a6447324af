"""The choice of the event loop: the server's own, the standard one, or one of another library."""

import asyncio
import selectors
import sys
from collections.abc import Callable
from importlib import import_module
from typing import cast

from dunena.server.sockets.poller import Poller, SelectorPoller
from dunena.setting_table import AUTO_LOOP, STANDARD_LOOP

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class EventLoopError(Exception):
    """The named factory makes no event loop; the text says why."""


class PollingLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with a poll that serves plain connections itself; ``poller`` is that poll."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        poller.report = self._report
        super().__init__(cast("selectors.BaseSelector", poller))

    def _report(self, error: Exception) -> None:
        self.call_exception_handler({"message": "A tick failed", "exception": error})


if sys.platform == "win32":
    import socket
    from functools import partial

    from dunena.server.accepting import Accepted, Accepting

    class _Proactor(asyncio.IocpProactor):
        """The standard proactor, with listeners that survive reset connections."""

        def accept(self, listener: socket.socket) -> asyncio.Future[Accepted]:
            accept = partial(super().accept, listener)
            return Accepting(accept, lambda: listener.fileno() != -1, asyncio.get_running_loop())


def event_loop_factory(choice: str, *, is_encrypted: bool = False) -> LoopFactory | None:
    """Return the factory of the loop for `asyncio.Runner`; None for asyncio's default.

    ``choice`` is a value of --event-loop. Raise `EventLoopError` if it names no factory.

    Measured: for plain connections the server's own loop needs the least CPU time; for TLS, which
    it leaves to asyncio, uvloop needs a third less. On Windows, where the poll is another one, the
    standard loop needs the listener of `accepting`.
    """
    if choice not in (AUTO_LOOP, STANDARD_LOOP):
        return _named(choice)
    if sys.platform == "win32":
        return lambda: asyncio.ProactorEventLoop(_Proactor())
    if choice == STANDARD_LOOP:
        return None
    if is_encrypted:
        try:
            import uvloop
        except ImportError:
            return None
        return cast("LoopFactory", uvloop.new_event_loop)
    return lambda: PollingLoop(_new_poller())


def poller_of(loop: asyncio.AbstractEventLoop) -> Poller | None:
    """Return the poll of a loop that serves connections; None for any other loop."""
    return loop.poller if isinstance(loop, PollingLoop) else None


def event_loop_name(loop: asyncio.AbstractEventLoop) -> str:
    """Return the name of the library that a loop is from."""
    return type(loop).__module__.partition(".")[0]


def _new_poller() -> Poller:
    if sys.platform == "linux":
        from dunena.server.sockets.epoll import EpollPoller

        return EpollPoller()
    return SelectorPoller()


def _named(choice: str) -> LoopFactory:
    module, _, name = choice.partition(":")
    try:
        factory = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise EventLoopError(f"--event-loop {choice}: {error}") from error

    def make() -> asyncio.AbstractEventLoop:
        try:
            loop = factory()
        except Exception as error:  # anything: it is not our code
            raise EventLoopError(f"--event-loop {choice}: {error}") from error
        if not isinstance(loop, asyncio.AbstractEventLoop):
            raise EventLoopError(f"--event-loop {choice}: that makes no event loop of asyncio")
        return loop

    return make
