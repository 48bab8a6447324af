"""Deciding on a request to upgrade, and handing the connection over to WebSocket."""

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
    """Return the accepted handshake, or the response that refuses it.

    A connection through a trusted proxy counts from then on for the client's group.
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
    """Return the WebSocket connection that takes over transport and outbox; it is not begun."""
    successor = WebSocketConnection(context, accepted, transport, outbox)
    context.registry.replace(connection, successor)
    context.telemetry.http_connections -= 1
    transport.set_protocol(cast("asyncio.Protocol", successor))
    return successor
