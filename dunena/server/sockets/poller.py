"""The poll of the event loop: connections are served in it, and other sockets are left to asyncio.

`dunena.server.sockets.epoll` has the poll for Linux; `SelectorPoller` is for other systems with a
selector of the standard library.
"""

import selectors
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

READABLE: Final = 0x001
"""There is something to read, or the end of it. This bit and the next ones are those of epoll."""

WRITABLE: Final = 0x004
"""The system takes more to send."""

FAULT: Final = 0x018
"""An error or the end of both directions: reading or writing tells which."""

Registration = selectors.SelectorKey


class Pollable:
    """What a poller calls when its socket is ready; ``polled_events`` is for the poller alone."""

    __slots__ = ("polled_events",)

    def __init__(self) -> None:
        self.polled_events = 0

    @abstractmethod
    def ready(self, events: int) -> None:
        """Handle `READABLE`, `WRITABLE` and `FAULT`, together or one of them."""

    @abstractmethod
    def broken(self, error: Exception) -> None:
        """Handle an error that `ready` raised: a bug, which must not cost others their turn."""


class Poller:
    """A selector for `asyncio.SelectorEventLoop` that serves the sockets of `Pollable` itself.

    For asyncio it has the methods of `selectors.BaseSelector`. It does not inherit from it, as a
    compiled class cannot have an interpreted base.

    A *batch* are the sockets that one poll found ready. They are served one after another; then
    what `after_batch` was given is called, in the same iteration of the loop. ``report`` is told of
    errors of that.
    """

    __slots__ = ("_after_batch", "_is_serving", "report")

    def __init__(self) -> None:
        self.report: Callable[[Exception], None] = _raise
        self._is_serving = False
        self._after_batch: list[Callable[[], None]] = []

    def after_batch(self, action: Callable[[], None]) -> bool:
        """Call ``action`` once after the batch that is being served; return False if none is."""
        if self._is_serving:
            self._after_batch.append(action)
        return self._is_serving

    def _end_batch(self) -> None:
        self._is_serving = False
        actions = self._after_batch
        if actions:
            self._after_batch = []
            for action in actions:
                try:
                    action()
                except Exception as error:  # noqa: BLE001 - asyncio goes on after one, too
                    self.report(error)

    def _serve(self, pollable: Pollable, events: int) -> None:
        try:
            pollable.ready(events)
        except Exception as error:  # noqa: BLE001 - a bug ends one connection, not the server
            pollable.broken(error)
        except SystemExit as error:  # as in `FAULTS`
            pollable.broken(ImportError(str(error)))

    @abstractmethod
    def add(self, fd: int, pollable: Pollable, events: int) -> None:
        """Begin to poll a socket for events; 0 for none yet."""

    @abstractmethod
    def change(self, fd: int, events: int) -> None:
        """Poll an added socket for other events; with 0 a fault is not reported either."""

    @abstractmethod
    def remove(self, fd: int) -> None:
        """Poll an added socket no longer; it must still be open."""

    @abstractmethod
    def register(self, file: Any, events: int, data: Any = None) -> Registration:
        """Begin to poll another file of the loop; raise `KeyError` if it is polled already."""

    @abstractmethod
    def unregister(self, file: Any) -> Registration:
        """Poll another file of the loop no longer; raise `KeyError` if it was not registered."""

    @abstractmethod
    def modify(self, file: Any, events: int, data: Any = None) -> Registration:
        """Poll another file of the loop for other events; raise `KeyError`."""

    @abstractmethod
    def get_key(self, file: Any) -> Registration:
        """Return the registration of another file of the loop; raise `KeyError`."""

    @abstractmethod
    def get_map(self) -> Mapping[Any, Registration]:
        """Return the registrations of other files of the loop, by file or descriptor."""

    @abstractmethod
    def select(self, timeout: float | None = None) -> list[tuple[Registration, int]]:
        """Serve ready connections; return other files that are ready, with their events.

        ``timeout`` is in seconds; None waits without end.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the descriptor of the poll."""


class SelectorPoller(Poller):
    """A poller by the selector that the standard library has for the system."""

    __slots__ = ("_pollables", "_selector")

    def __init__(self) -> None:
        super().__init__()
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._pollables: dict[int, Pollable] = {}

    def add(self, fd: int, pollable: Pollable, events: int) -> None:
        """Begin to poll a socket for events; 0 for none yet."""
        self._pollables[fd] = pollable
        self.change(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Poll an added socket for other events; with 0 a fault is not reported either."""
        pollable = self._pollables[fd]
        if not events:
            if pollable.polled_events:
                self._selector.unregister(fd)
        elif pollable.polled_events:
            self._selector.modify(fd, for_selectors(events), pollable)
        else:
            self._selector.register(fd, for_selectors(events), pollable)
        pollable.polled_events = events

    def remove(self, fd: int) -> None:
        """Poll an added socket no longer; it must still be open."""
        self.change(fd, 0)
        del self._pollables[fd]

    def register(self, file: Any, events: int, data: Any = None) -> Registration:
        """Begin to poll another file of the loop; raise `KeyError` if it is polled already."""
        return self._selector.register(file, events, data)

    def unregister(self, file: Any) -> Registration:
        """Poll another file of the loop no longer; raise `KeyError` if it was not registered."""
        return self._selector.unregister(file)

    def modify(self, file: Any, events: int, data: Any = None) -> Registration:
        """Poll another file of the loop for other events; raise `KeyError`."""
        return self._selector.modify(file, events, data)

    def get_key(self, file: Any) -> Registration:
        """Return the registration of another file of the loop; raise `KeyError`."""
        return self._selector.get_key(file)

    def get_map(self) -> Mapping[Any, Registration]:
        """Return the registrations of all files, by file or descriptor."""
        return self._selector.get_map()

    def select(self, timeout: float | None = None) -> list[tuple[Registration, int]]:
        """Serve ready connections; return other files that are ready, with their events."""
        others: list[tuple[Registration, int]] = []
        found = self._selector.select(timeout)
        self._is_serving = True
        try:
            for key, events in found:
                if isinstance(key.data, Pollable):
                    self._serve(key.data, from_selectors(events))
                else:
                    others.append((key, events))
        finally:
            self._end_batch()
        return others

    def close(self) -> None:
        """Release the descriptor of the poll."""
        self._selector.close()
        self._pollables.clear()


def for_selectors(events: int) -> int:
    """Return the standard library's bits for `READABLE`, `WRITABLE` and `FAULT`.

    A fault is both, as with its own selectors: reading or writing then tells which it is.
    """
    return (selectors.EVENT_READ if events & ~WRITABLE else 0) | (
        selectors.EVENT_WRITE if events & ~READABLE else 0
    )


def from_selectors(events: int) -> int:
    """Return `READABLE` and `WRITABLE` for the standard library's bits."""
    return (READABLE if events & selectors.EVENT_READ else 0) | (
        WRITABLE if events & selectors.EVENT_WRITE else 0
    )


def _raise(error: Exception) -> None:
    raise error
