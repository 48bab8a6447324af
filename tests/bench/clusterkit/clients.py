"""Clients for what the load generator does not do: writing slowly, looking on, storing keys."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.sync.client import connect as connect_blocking

from tests.bench.speedkit.past import store
from tests.bench.speedkit.phrases import VALUE

PACE_SECONDS = 0.02
NUMBER_WIDTH = 6
KEYS_PER_MESSAGE = 990


def numbered(number: int) -> str:
    """A value of the usual size that begins with a number."""
    return f"{number:0{NUMBER_WIDTH}}{VALUE[NUMBER_WIDTH:]}"


class Writer:
    """Sets keys through one connection, one at a time."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def set(self, key: str, value: str) -> bool:
        """Set a key, and return whether it was stored."""
        answer = await self._ask(type="set", key=key, value=value)
        return bool(answer["type"] != "error" and answer["data"]["ok"])

    async def begin(self) -> None:
        """End the events that a connection begins with; that has no answer."""
        await self._connection.send(json.dumps({"type": "unsubscribe", "channel": "cache-events"}))

    async def _ask(self, **message: object) -> dict[str, dict[str, object]]:
        await self._connection.send(json.dumps(message | {"id": 1}))
        while True:
            answer: dict[str, dict[str, object]] = json.loads(await self._connection.recv())
            if answer.get("id") == 1:
                return answer


@asynccontextmanager
async def writer_at(port: int) -> AsyncIterator[Writer]:
    """A writer that is connected to a server."""
    async with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as connection:
        writer = Writer(connection)
        await writer.begin()
        yield writer


@asynccontextmanager
async def watcher_at(port: int, key: str) -> AsyncIterator[dict[int, float]]:
    """When each number of a key's values was seen at a server (monotonic seconds), so far."""
    seen: dict[int, float] = {}

    async def look(connection: ClientConnection) -> None:
        async for text in connection:
            value = json.loads(text).get("value")
            if isinstance(value, str):
                seen[int(value[:NUMBER_WIDTH])] = time.monotonic()

    async with connect(f"ws://127.0.0.1:{port}/", compression=None) as connection:
        await connection.send(json.dumps({"action": "subscribe", "key": key}))
        looking = asyncio.create_task(look(connection))
        try:
            yield seen
        finally:
            looking.cancel()


async def pace(act: Callable[[int], Awaitable[object]], seconds: float) -> list[float]:
    """Do something 50 times a second, one at a time; return how many ms each took."""
    times = []
    for number in range(int(seconds / PACE_SECONDS)):
        began = time.monotonic()
        await act(number)
        times.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(max(0.0, began + PACE_SECONDS - time.monotonic()))
    return times


def fill(port: int, keys: int) -> None:
    """Store so many keys at a server, as the load generator names them."""
    with connect_blocking(f"ws://127.0.0.1:{port}/ws", compression=None) as client:
        for first in range(0, keys, KEYS_PER_MESSAGE):
            store(client, range(first, min(keys, first + KEYS_PER_MESSAGE)))
