"""Who is at the other end of a connection, and whether there is room for one more of them."""

import asyncio

from dunena.server.access.peers import NOBODY, group_of
from dunena.server.context import Context
from dunena.server.http.message import Request, Response
from dunena.server.registry import peer_host


class Peer:
    """The machine that connected; ``host`` is its address, "" when it is gone.

    ``is_proxy`` says that it is a proxy that is believed, which speaks for many.
    """

    def __init__(self, context: Context, transport: asyncio.BaseTransport) -> None:
        self._context = context
        self.host = peer_host(transport)
        self.is_proxy = context.proxies.has(self.host)
        self.group = NOBODY if self.is_proxy else group_of(self.host)

    def address_of(self, request: Request) -> str:
        """Where a request came from, by the word of a proxy that is believed."""
        if not self.is_proxy:
            return self.host
        return self._context.proxies.client_of(self.host, request.headers.get("x-forwarded-for"))

    def refuse_connection(self) -> Response | None:
        """The answer to a connection that is one too many; None where there is room."""
        registry = self._context.registry
        if registry.is_full:
            self._context.refusals.tell_full(registry.connections_max)
            self._context.telemetry.refused_connections += 1
            return Response.error(503, "Too many connections")
        return refuse_crowd(self._context, self.group)


def refuse_crowd(context: Context, group: str) -> Response | None:
    """The answer to one connection too many of a group; None where there is room."""
    if not context.registry.is_crowded(group):
        return None
    connections_max = context.settings.connections_per_address_max
    context.refusals.tell_crowd(group, connections_max)
    context.telemetry.refused_connections += 1
    return Response.error(429, "Too many connections from this address")
