"""A server whose WebSockets say everything back: all of dunena's but what answers a message.

Conformance suites want an echo. Port, handshake, frames, control frames, compression, outbox and
tick are the server's own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import patch

from dunena.dialects.client_watches import Pacing
from dunena.dialects.conversation import Conversation
from dunena.dialects.dialect import Dialect
from dunena.dialects.output import Output
from dunena.dialects.services import Holder, Services
from dunena.frames import text_frame
from dunena.server.app import Server
from dunena.server.websocket import connection
from dunena.server.websocket.message_receiver import MessageReceiver
from dunena.settings import Settings
from dunena.store.limits import Limits

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""The longest message the suites send."""

_BINARY_HEAD = b"\x82"


class EchoConversation(Conversation):
    """Says back what it hears, text as text and binary as binary."""

    __slots__ = ("_say",)

    def __init__(
        self,
        services: Services,
        dialect: Dialect,
        *,
        output: Output,
        pacing: Pacing,
        holder: Holder | None = None,
    ) -> None:
        super().__init__(services, dialect, output=output, pacing=pacing, holder=holder)
        self._say = output.put

    def open(self, client_id: str, now: int) -> None:
        """Greet nobody."""

    def receive(self, text: bytes, now: int) -> None:
        self._say(text_frame(text))

    def receive_echoed_binary(self, data: bytes, now: int) -> None:
        self._say(_BINARY_HEAD + text_frame(data)[1:])


class EchoReceiver(MessageReceiver):
    """Tells binary messages from text, which dunena's own conversations read alike."""

    __slots__ = ()

    def take_binary(self, message: bytes) -> None:
        assert isinstance(self._conversation, EchoConversation)
        self._tick.run(self._conversation.receive_echoed_binary, message)


@asynccontextmanager
async def echo_server(*, compression: bool = False) -> AsyncIterator[str]:
    """Run one in this loop; its WebSocket URL."""
    limits = Limits(value_bytes_max=MESSAGE_BYTES_MAX // 6 + 1)
    assert limits.message_bytes_max >= MESSAGE_BYTES_MAX
    settings = Settings(port=0, compression=compression, limits=limits)
    server = Server(settings, new_conversation=EchoConversation)
    handler = asyncio.get_running_loop().get_exception_handler()
    await server.start()
    try:
        with patch.object(connection, "MessageReceiver", EchoReceiver):
            yield f"ws://127.0.0.1:{server.port}/ws"
    finally:
        await server.stop()
        asyncio.get_running_loop().set_exception_handler(handler)
