"""The connections of one server, and what is done to all of them from time to time."""

import asyncio
import logging
from typing import Protocol

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
"""How often idle and slow connections are looked for: well below every time-out."""

SWEEP_PART = 500
"""Connections looked at in one go: a fraction of a millisecond, whatever their number."""

SWEEP_PAUSE_SECONDS = 0.01
"""Between two parts of one sweep; the requests of others come in between."""

CONNECTIONS_MAX = 50_000
"""All together. Past it a new one gets 503 at once; a file descriptor each is the real price."""


class Connection(Protocol):
    """What every connection can be asked."""

    def sweep(self, now_seconds: float, /) -> None:
        """Look at its own time-outs; ``now_seconds`` by the loop's clock."""

    def shut_down(self) -> None:
        """End it politely: the server stops."""

    def abort(self) -> None:
        """End it at once."""


class Registry:
    """Open connections; calls `sweep` of each about once a second until `close`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections_max: int) -> None:
        self._loop = loop
        self._connections_max = connections_max
        self._was_full = False
        self._connections: set[Connection] = set()
        self._unswept: list[Connection] = []
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._timer: asyncio.TimerHandle | None = loop.call_later(SWEEP_SECONDS, self._sweep)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another; said in the log when it becomes so."""
        is_full = len(self._connections) >= self._connections_max
        if is_full and not self._was_full:
            _log.warning("no more than %d connections: others are refused", self._connections_max)
        self._was_full = is_full
        return is_full

    def add(self, connection: Connection) -> None:
        """A connection is open."""
        self._connections.add(connection)
        self._emptied.clear()

    def remove(self, connection: Connection) -> None:
        """It is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def replace(self, old: Connection, new: Connection) -> None:
        """Another protocol took a connection over."""
        self._connections.discard(old)
        self._connections.add(new)

    async def close(self, grace_seconds: float) -> None:
        """End all connections: politely, and after the grace at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self._connections):
            connection.shut_down()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._emptied.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()

    def _sweep(self) -> None:
        if not self._unswept:
            self._unswept = list(self._connections)
        now = self._loop.time()
        part, self._unswept = self._unswept[:SWEEP_PART], self._unswept[SWEEP_PART:]
        for connection in part:
            if connection in self._connections:  # it may have gone since the sweep began
                connection.sweep(now)
        pause = SWEEP_PAUSE_SECONDS if self._unswept else SWEEP_SECONDS
        self._timer = self._loop.call_later(pause, self._sweep)
