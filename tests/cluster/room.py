"""A link in a test, and what it has told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from dunena.persistence.jetstream.link import NatsLink
from dunena.persistence.jetstream.wire import LinkFault, Message
from dunena.persistence.policy import StoreSettings
from tests.support.patience import patiently

SECONDS_MAX = 20


class Room(NatsLink):
    """A link, what it has told, and a way to wait for that."""

    def __init__(self, store: StoreSettings) -> None:
        super().__init__(store, "tests")
        self.changes: list[bool] = []
        self.failures = 0
        self.received: list[Message] = []
        self._told = asyncio.Event()
        self.on_change(self._change)

    def _say(self, reason: str, server: str = "") -> None:
        super()._say(reason, server)
        self.failures += 1
        self._told.set()

    def _change(self) -> None:
        self.changes.append(self.is_connected)
        self._told.set()

    def receive(self, message: Message) -> None:
        self.received.append(message)
        self._told.set()

    async def until(self, is_met: Callable[[], object]) -> None:
        """Wait until a condition on what was told is met."""
        async with asyncio.timeout(patiently(SECONDS_MAX)):
            while not is_met():
                self._told.clear()
                await self._told.wait()

    async def connected(self, *, is_connected: bool = True) -> None:
        await self.until(lambda: self.changes and self.changes[-1] is is_connected)

    async def refused(self) -> None:
        await self.until(lambda: self.reason != "not connected yet")

    async def ask(
        self, subject: str, data: bytes = b"", timeout_s: float = 5
    ) -> Message | LinkFault:
        answer: asyncio.Future[Message | LinkFault] = asyncio.get_running_loop().create_future()
        self.request(Message(subject, {}, data), timeout_s, answer.set_result)
        async with asyncio.timeout(patiently(SECONDS_MAX)):
            return await answer


@asynccontextmanager
async def room_at(*servers: str, **more: Any) -> AsyncIterator[Room]:
    """A started link, connected or not."""
    room = Room(StoreSettings(servers, **more))
    room.start()
    try:
        yield room
    finally:
        await room.close()


def run(test: Coroutine[Any, Any, None], *, debug: bool = True) -> None:
    """Run a test, which may leave nothing behind in the loop; `debug` costs ten times the CPU."""

    async def and_look() -> None:
        await test
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(and_look(), debug=debug)
