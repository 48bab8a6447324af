"""Who is at the other end of a WebSocket, by what its upgrade said."""

import asyncio
from dataclasses import dataclass

from dunena.dialects.session import Session
from dunena.server.registry import ConnectionFacts, peer_address, peer_host
from dunena.server.websocket.handshake import AcceptedHandshake


@dataclass(frozen=True, slots=True)
class Client:
    """One client; its fields are those of `AcceptedHandshake`."""

    address: str
    origin: str
    program: str

    @classmethod
    def of(cls, accepted: AcceptedHandshake) -> "Client":
        """The client whose handshake was accepted."""
        return cls(accepted.address, accepted.origin, accepted.program)

    def facts(
        self, session: Session, token: str, transport: asyncio.Transport, queued_bytes: int
    ) -> ConnectionFacts:
        """What is shown of it; ``queued_bytes`` are not with the transport yet."""
        return ConnectionFacts(
            address=self._shown_address(transport),
            origin=self.origin,
            program=self.program,
            dialect=session.dialect.value,
            token=token,
            subscriptions=len(session.subscriptions),
            unsent_bytes=queued_bytes + transport.get_write_buffer_size(),
        )

    def _shown_address(self, transport: asyncio.Transport) -> str:
        """With its port, unless a proxy speaks for it."""
        is_direct = self.address in ("", peer_host(transport))
        return peer_address(transport) if is_direct else self.address
