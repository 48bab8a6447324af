"""The peer of a connection: its address, its group, and the limits on connections."""

import asyncio

from dunena.server.access.peers import NOBODY, group_of
from dunena.server.context import Context
from dunena.server.http.message import Request, Response
from dunena.server.registry import peer_host


class Peer:
    """The machine at the other end of a connection.

    ``host`` is its address, "" if it disconnected already. ``is_proxy``: it is a trusted proxy,
    which forwards the requests of many clients. ``group`` counts its connections with those of
    related addresses (see `group_of`).
    """

    __slots__ = ("_context", "group", "host", "is_proxy")

    def __init__(self, context: Context, transport: asyncio.BaseTransport) -> None:
        self._context = context
        self.host = peer_host(transport)
        self.is_proxy: bool = context.proxies.has(self.host)
        self.group = NOBODY if self.is_proxy else group_of(self.host)

    def address_of(self, request: Request) -> str:
        """Return the client address of a request, which a trusted proxy names in a header."""
        if not self.is_proxy:
            return self.host
        return self._context.proxies.client_of(self.host, request.headers.get("x-forwarded-for"))

    def refuse_connection(self) -> Response | None:
        """Return the refusal of one connection too many; None if it is within the limits."""
        registry = self._context.registry
        if registry.is_full:
            self._context.refusals.tell_full(registry.connections_max)
            self._context.telemetry.refused_connections += 1
            return Response.error(503, "Too many connections")
        return refuse_crowd(self._context, self.group)


def refuse_crowd(context: Context, group: str) -> Response | None:
    """Return the refusal of one connection too many of a group; None if it is within the limit."""
    if not context.registry.is_crowded(group):
        return None
    connections_max = context.settings.connections_per_address_max
    context.refusals.tell_crowd(group, connections_max)
    context.telemetry.refused_connections += 1
    return Response.error(429, "Too many connections from this address")
