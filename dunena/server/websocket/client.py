"""The client of a WebSocket connection, as its request to upgrade described it."""

import asyncio
from dataclasses import dataclass
from functools import lru_cache

from dunena.dialects.conversation import Conversation
from dunena.dialects.grants import Grant
from dunena.server.registry import ConnectionFacts, shown_address
from dunena.server.websocket.handshake import AcceptedHandshake
from dunena.sessions.session import Session

SHARED_CHARS_MAX = 500
"""Clients whose texts are longer are not remembered: together they have a limited size."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client of one connection; `AcceptedHandshake` describes the fields."""

    address: str
    origin: str
    program: str
    page: str = ""

    @classmethod
    def of(cls, accepted: AcceptedHandshake) -> "Client":
        """Return the client of an accepted handshake."""
        parts = (accepted.address, accepted.origin, accepted.program, accepted.page)
        return _shared_client(*parts) if sum(map(len, parts)) <= SHARED_CHARS_MAX else cls(*parts)

    def facts(
        self,
        conversation: Conversation,
        token: str,
        transport: asyncio.Transport,
        queued_bytes: int,
        session: Session[Grant] | None,
    ) -> ConnectionFacts:
        """Return what the server reports about the client and its connection.

        ``token`` is the name of its token. ``queued_bytes`` are in the outbox, not the transport.
        """
        return ConnectionFacts(
            address=shown_address(self.address, transport),
            origin=self.origin,
            program=self.program,
            page=self.page,
            dialect=conversation.dialect.value,
            token=token,
            subscriptions=len(conversation.subscriptions),
            unsent_bytes=queued_bytes + transport.get_write_buffer_size(),
            session=None if session is None else session.id,
            session_name="" if session is None else session.name,
        )


@lru_cache(maxsize=1024)
def _shared_client(address: str, origin: str, program: str, page: str) -> Client:
    """Return a client, the same object for connections with the same description."""
    return Client(address, origin, program, page)
