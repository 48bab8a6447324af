"""The poll of the event loop by epoll, which only Linux has."""

import select
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import ceil
from typing import Any, Final

from dunena.server.sockets.poller import (
    Pollable,
    Poller,
    Registration,
    for_selectors,
    from_selectors,
)
from dunena.server.sockets.system_calls import wait

_BATCH_MAX: Final = 512
"""Sockets served in one batch: with thousands ready, the first are not answered last of all."""


class EpollPoller(Poller):
    """A poller by epoll."""

    __slots__ = ("_epoll", "_fd", "_keys", "_pollables")

    def __init__(self) -> None:
        super().__init__()
        self._epoll: Any = _new_epoll()
        self._fd: int = self._epoll.fileno()
        self._keys: dict[int, Registration] = {}
        self._pollables: list[Pollable | None] = []  # by descriptor

    # --- connections ---

    def add(self, fd: int, pollable: Pollable, events: int) -> None:
        """Begin to poll a socket for events; 0 for none yet."""
        pollables = self._pollables
        if fd >= len(pollables):
            pollables.extend([None] * (fd + 1 - len(pollables)))
        pollables[fd] = pollable
        self.change(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Poll an added socket for other events; with 0 a fault is not reported either."""
        pollable = self._pollables[fd]
        assert pollable is not None, "it was added"
        if not events:
            if pollable.polled_events:
                # Without events epoll would still report faults, again and again.
                self._epoll.unregister(fd)
        elif pollable.polled_events:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        pollable.polled_events = events

    def remove(self, fd: int) -> None:
        """Poll an added socket no longer; it must still be open."""
        self.change(fd, 0)
        self._pollables[fd] = None

    # --- asyncio ---

    def register(self, file: Any, events: int, data: Any = None) -> Registration:
        """Begin to poll another file of the loop; raise `KeyError` if it is polled already."""
        fd = _descriptor(file)
        if fd in self._keys:
            raise KeyError(f"{file!r} is registered already")
        self._epoll.register(fd, from_selectors(events))
        key = self._keys[fd] = Registration(file, fd, events, data)
        return key

    def unregister(self, file: Any) -> Registration:
        """Poll another file of the loop no longer; raise `KeyError` if it was not registered."""
        key = self._keys.pop(_descriptor(file))
        with suppress(OSError):  # it was closed, which ended the registration
            self._epoll.unregister(key.fd)
        return key

    def modify(self, file: Any, events: int, data: Any = None) -> Registration:
        """Poll another file of the loop for other events; raise `KeyError`."""
        fd = _descriptor(file)
        if events != self._keys[fd].events:
            self._epoll.modify(fd, from_selectors(events))
        key = self._keys[fd] = Registration(file, fd, events, data)
        return key

    def get_key(self, file: Any) -> Registration:
        """Return the registration of another file of the loop; raise `KeyError`."""
        return self._keys[_descriptor(file)]

    def get_map(self) -> Mapping[Any, Registration]:
        """Return the registrations of other files of the loop, by file or descriptor."""
        return _Registrations(self._keys)

    def select(self, timeout: float | None = None) -> list[tuple[Registration, int]]:
        """Serve ready connections; return other files that are ready, with their events."""
        found = self._wait(timeout)
        others: list[tuple[Registration, int]] = []
        pollables = self._pollables
        self._is_serving = True
        try:
            for index in range(0, len(found), 2):
                fd, events = found[index], found[index + 1]
                pollable = pollables[fd] if fd < len(pollables) else None
                if pollable is not None:
                    self._serve(pollable, events)
                    continue
                key = self._keys.get(fd)
                if key is not None:
                    others.append((key, for_selectors(events) & key.events))
        finally:
            self._end_batch()
        return others

    def close(self) -> None:
        """Release the descriptor of the poll."""
        self._epoll.close()
        self._keys.clear()
        self._pollables.clear()

    def _wait(self, timeout: float | None) -> list[int]:
        """Return descriptors that are ready, each followed by its events."""
        if wait is not None:
            return wait(self._fd, -1 if timeout is None else max(0, ceil(timeout * 1000)))
        seconds = -1.0 if timeout is None else max(timeout, 0.0)
        return [number for pair in self._epoll.poll(seconds, _BATCH_MAX) for number in pair]


class _Registrations(Mapping[Any, Registration]):
    """What `selectors` finds by a file or its descriptor."""

    def __init__(self, keys: dict[int, Registration]) -> None:
        self._keys = keys

    def __getitem__(self, file: Any) -> Registration:
        return self._keys[_descriptor(file)]

    def __iter__(self) -> Iterator[Any]:
        return iter([key.fileobj for key in self._keys.values()])

    def __len__(self) -> int:
        return len(self._keys)


def _new_epoll() -> Any:
    if sys.platform == "linux":
        return select.epoll()
    raise OSError("this system has no epoll")


def _descriptor(file: Any) -> int:
    return file if isinstance(file, int) else int(file.fileno())
