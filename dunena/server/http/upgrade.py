"""A request to upgrade: refused with a response, or taken up by a WebSocket connection."""

import asyncio
from typing import cast

from dunena.server.access.peers import group_of
from dunena.server.context import Context
from dunena.server.http.message import Request, Response
from dunena.server.http.peer import Peer, refuse_crowd
from dunena.server.outbox import Outbox
from dunena.server.registry import Connection
from dunena.server.websocket.connection import WebSocketConnection
from dunena.server.websocket.handshake import AcceptedHandshake, handshake


def decide_on_upgrade(
    context: Context, connection: Connection, peer: Peer, request: Request
) -> AcceptedHandshake | Response:
    """The accepted handshake, or the response that refuses it.

    Behind a proxy the connection counts from here on for the group that the request came from.
    """
    outcome = handshake(context, request)
    if peer.is_proxy and not isinstance(outcome, Response):
        group = group_of(request.address)
        refusal = refuse_crowd(context, group)
        if refusal is not None:
            return refusal
        context.registry.add(connection, group)
    return outcome


def hand_over(
    context: Context,
    connection: Connection,
    accepted: AcceptedHandshake,
    transport: asyncio.Transport,
    outbox: Outbox,
) -> WebSocketConnection:
    """The connection that takes over transport and outbox of an HTTP connection, to be begun."""
    successor = WebSocketConnection(context, accepted, transport, outbox)
    context.registry.replace(connection, successor)
    context.telemetry.http_connections -= 1
    transport.set_protocol(cast("asyncio.Protocol", successor))
    return successor
