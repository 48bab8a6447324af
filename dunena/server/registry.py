"""The connections of one server, and what is done to all of them from time to time."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dunena.dialects.grants import Grant
from dunena.server.access.peers import NOBODY
from dunena.server.budget import Budget
from dunena.server.limits import (
    BODIES_BYTES_MAX,
    INFLATING_BYTES_MAX,
    MESSAGES_BYTES_MAX,
    STRANGERS_BYTES_MAX,
    UNREAD_BYTES_MAX,
)

SWEEP_SECONDS = 1.0
"""How often idle and slow connections are looked for: well below every time-out."""

SWEEP_PART = 500
"""Connections looked at in one go: a fraction of a millisecond, whatever their number."""

SWEEP_PAUSE_SECONDS = 0.01
"""Between two parts of one sweep; the requests of others come in between."""


GrantLookup = Callable[[Grant], Grant | None]
"""What the token behind a grant stands for now; None for nothing."""


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """A WebSocket as people see it.

    ``address`` is the peer's host and port, behind a proxy its host alone; ``origin`` and
    ``program`` are what its upgrade said of the page it is on and of the program that made it, ""
    for nothing; ``token`` is the name of the one it showed. ``unsent_bytes`` were queued for it and
    are not with the system yet.
    """

    address: str
    origin: str
    program: str
    dialect: str
    token: str
    subscriptions: int
    unsent_bytes: int


class Connection(Protocol):
    """What every connection can be asked."""

    def facts(self) -> ConnectionFacts | None:
        """Itself for people who look after the server; None while it speaks HTTP."""

    def sweep(self, now_seconds: float, /) -> None:
        """Look at its own time-outs; ``now_seconds`` by the loop's clock."""

    def update_grant(self, current_grant: "GrantLookup", /) -> None:
        """Other tokens are valid now: go on with other rights, or end."""

    def shut_down(self) -> None:
        """End it politely: the server stops."""

    def abort(self) -> None:
        """End it at once."""


class Registry:
    """Open connections; calls `sweep` of each about once a second until `close`.

    Each belongs to a group (`dunena.server.access.peers`), which may hold only so many; 0 is any
    number. ``strangers`` and ``bodies`` are what all of them together may cost before a request is
    whole: of those who may not send it yet, and of those who may; ``messages`` is the same of
    WebSocket messages, ``inflating`` of compressed ones, and ``unread`` of replies.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections_max: int,
        connections_per_group_max: int = 0,
        bodies_bytes_max: int = BODIES_BYTES_MAX,
        messages_bytes_max: int = MESSAGES_BYTES_MAX,
    ) -> None:
        self.strangers = Budget(STRANGERS_BYTES_MAX)
        self.bodies = Budget(bodies_bytes_max)
        self.messages = Budget(messages_bytes_max)
        self.inflating = Budget(INFLATING_BYTES_MAX)
        self.unread = Budget(UNREAD_BYTES_MAX)
        self._loop = loop
        self.connections_max = connections_max
        self._connections_per_group_max = connections_per_group_max
        self._crowds: dict[str, int] = {}
        self._connections: dict[Connection, str] = {}
        self._unswept: list[Connection] = []
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._timer: asyncio.TimerHandle | None = loop.call_later(SWEEP_SECONDS, self._sweep)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another."""
        return len(self._connections) >= self.connections_max

    def is_crowded(self, group: str) -> bool:
        """Whether there is no room for another of this group; `NOBODY` always has some."""
        crowd = self._crowds.get(group, 0)
        return group != NOBODY and 0 < self._connections_per_group_max <= crowd

    def add(self, connection: Connection, group: str = NOBODY) -> None:
        """A connection is open, or turns out to be of another group."""
        self._leave(connection)
        self._connections[connection] = group
        self._crowds[group] = self._crowds.get(group, 0) + 1
        self._emptied.clear()

    def remove(self, connection: Connection) -> None:
        """It is gone."""
        self._leave(connection)
        if not self._connections:
            self._emptied.set()

    def replace(self, old: Connection, new: Connection) -> None:
        """Another protocol took a connection over."""
        self.add(new, self._connections.get(old, NOBODY))
        self._leave(old)

    def facts(self) -> Iterator[ConnectionFacts]:
        """Of all open WebSockets."""
        for connection in self._connections:
            facts = connection.facts()
            if facts is not None:
                yield facts

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Other tokens are valid now: every connection has the rights of its own."""
        for connection in list(self._connections):
            connection.update_grant(current_grant)

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

    def _leave(self, connection: Connection) -> None:
        group = self._connections.pop(connection, None)
        if group is not None:
            self._crowds[group] -= 1
            if not self._crowds[group]:
                del self._crowds[group]

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


def peer_host(transport: asyncio.BaseTransport) -> str:
    """The other end's address, without its port; "" when it is gone."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""


def peer_address(transport: asyncio.BaseTransport) -> str:
    """Host and port of the other end, as a URL has them; "" when it is gone."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return ""
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
