"""The connections of one server, and what is done to all of them from time to time."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """A WebSocket as people see it.

    ``address`` is the peer's host and port; ``origin`` and ``program`` are what its upgrade said
    of the page it is on and of the program that made it, "" for nothing. ``unsent_bytes`` were
    queued for it and are not with the system yet.
    """

    address: str
    origin: str
    program: str
    dialect: str
    subscriptions: int
    unsent_bytes: int


class Connection(Protocol):
    """What every connection can be asked."""

    def facts(self) -> ConnectionFacts | None:
        """Itself for people who look after the server; None while it speaks HTTP."""

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

    def facts(self) -> Iterator[ConnectionFacts]:
        """Of all open WebSockets."""
        for connection in self._connections:
            facts = connection.facts()
            if facts is not None:
                yield facts

    def abort_origin(self, origin: str) -> None:
        """End at once every WebSocket of pages that are not let in any more."""
        for connection in list(self._connections):
            facts = connection.facts()
            if facts is not None and facts.origin == origin:
                connection.abort()

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


def peer_address(transport: asyncio.BaseTransport) -> str:
    """Host and port of the other end, as a URL has them; "" when it is gone."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return ""
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
