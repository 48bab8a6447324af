"""The registry of a server's connections, which checks their time-outs regularly."""

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
from dunena.server.message_budget import MessageBudget
from dunena.server.seconds import seconds_to_next

SWEEP_SECONDS = 1.0
"""Time between two sweeps of all connections, on the average: well below every time-out."""

SWEEP_PART = 1000
"""Connections that are swept in one turn: a fraction of a millisecond of work."""

SWEEP_PAUSE_SECONDS = 0.01
"""Time between two parts of a sweep, in which requests are served."""


GrantLookup = Callable[[Grant], Grant | None]
"""Returns the present grant of a grant's token; None if the token is no longer valid."""


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """The description of a WebSocket or an event stream for people.

    ``address`` is the peer's host and port, behind a proxy only its host; ``origin`` and
    ``program`` are the Origin and User-Agent of its request, "" for none; ``token`` is the name of
    its token. ``unsent_bytes`` are queued and not handed to the system yet. ``session`` is the
    public id of its session, None without one, and ``session_name`` the name that the client gave
    it, "" for none. ``page`` is the path of the user's page that it belongs to, "" for none.
    """

    address: str
    origin: str
    program: str
    dialect: str
    token: str
    subscriptions: int
    unsent_bytes: int
    session: str | None = None
    session_name: str = ""
    page: str = ""


class Connection(Protocol):
    """The methods that the registry needs of every connection."""

    def facts(self) -> ConnectionFacts | None:
        """Describe the connection; None while it answers requests one by one."""

    def sweep(self, now_seconds: float, /) -> None:
        """Check its time-outs; ``now_seconds`` is the loop's clock."""

    def update_grant(self, current_grant: "GrantLookup", /) -> None:
        """Take over its present rights after tokens have changed; end without a valid token."""

    def shut_down(self) -> None:
        """Close the connection properly, as the server stops."""

    def abort(self) -> None:
        """End the connection at once, without a close frame."""


class Registry:
    """The open connections of a server; calls `sweep` of each about once a second until `close`.

    Each connection belongs to a group (`dunena.server.access.peers`) with a limited number of
    connections; 0 is no limit. The budgets limit the memory of all connections together:
    ``strangers`` for incomplete requests that are not admitted, ``bodies`` for those that are,
    ``messages`` for incomplete WebSocket messages, ``inflating`` for compressed ones, ``unread``
    for replies and ``waiting_messages`` for messages of channels. ``closed_count`` is the number of
    connections that have ended.
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
        self.waiting_messages = MessageBudget()
        self._loop = loop
        self.connections_max = connections_max
        self._connections_per_group_max = connections_per_group_max
        self.closed_count = 0
        self._crowds: dict[str, int] = {}
        self._connections: dict[Connection, str] = {}
        self._unswept: list[Connection] = []
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._timer: asyncio.TimerHandle | None = loop.call_later(
            seconds_to_next(loop.time()), self._sweep
        )

    @property
    def is_full(self) -> bool:
        """Whether no further connection is permitted."""
        return len(self._connections) >= self.connections_max

    def is_crowded(self, group: str) -> bool:
        """Return whether a group may have no further connection; `NOBODY` has no limit."""
        crowd = self._crowds.get(group, 0)
        return group != NOBODY and 0 < self._connections_per_group_max <= crowd

    def add(self, connection: Connection, group: str = NOBODY) -> None:
        """Add a connection, or move it to another group."""
        self._leave(connection)
        self._connections[connection] = group
        self._crowds[group] = self._crowds.get(group, 0) + 1
        self._emptied.clear()

    def remove(self, connection: Connection) -> None:
        """Remove a connection that has ended; do nothing if it is not registered."""
        self.closed_count += connection in self._connections
        self._leave(connection)
        if not self._connections:
            self._emptied.set()

    def replace(self, old: Connection, new: Connection) -> None:
        """Replace a connection's protocol ``old`` by ``new``, in the same group."""
        self.add(new, self._connections.get(old, NOBODY))
        self._leave(old)

    def facts(self) -> Iterator[ConnectionFacts]:
        """Yield the descriptions of all open WebSockets and event streams."""
        for connection in self._connections:
            facts = connection.facts()
            if facts is not None:
                yield facts

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Give every connection its present rights after tokens have changed."""
        for connection in list(self._connections):
            connection.update_grant(current_grant)

    def abort_origin(self, origin: str) -> None:
        """End what pages of an origin follow that is no longer admitted."""
        for connection in list(self._connections):
            facts = connection.facts()
            if facts is not None and facts.origin == origin:
                connection.abort()

    async def close(self, grace_seconds: float) -> None:
        """Close all connections properly, and end those left after ``grace_seconds`` at once."""
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
            if connection in self._connections:  # it may have ended since the sweep began
                connection.sweep(now)
        pause = SWEEP_PAUSE_SECONDS if self._unswept else seconds_to_next(now)
        self._timer = self._loop.call_later(pause, self._sweep)


def peer_host(transport: asyncio.BaseTransport) -> str:
    """Return the peer's address without its port; "" if the connection is lost."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""


def peer_address(transport: asyncio.BaseTransport) -> str:
    """Return the peer's host and port as in a URL; "" if the connection is lost."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return ""
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def shown_address(address: str, transport: asyncio.BaseTransport) -> str:
    """Return a client's address with its port, which is unknown if a proxy forwards."""
    is_direct = address in ("", peer_host(transport))
    return peer_address(transport) if is_direct else address
