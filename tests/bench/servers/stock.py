"""The object-store protocol as one writes it with `websockets` in an afternoon: nothing is tuned.

    python stock.py PORT

One process, asyncio, the library's own server and `broadcast`, `json` of the standard library.
It keeps values in memory alone.
"""

import asyncio
import json
import sys
from collections import defaultdict
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast, serve

MESSAGE_BYTES_MAX = 16 * 2**20

values: dict[str, Any] = {}
followers: defaultdict[str, set[ServerConnection]] = defaultdict(set)


def update(key: str) -> str:
    """The message that tells a key's value."""
    return json.dumps({"key": key, "value": values.get(key)})


async def answer(connection: ServerConnection, text: str | bytes) -> None:
    """Do what one message asks for."""
    match json.loads(text):
        case {"action": "get", "key": str(key)}:
            await connection.send(update(key))
        case {"action": "set", "key": str(key), "value": value}:
            values[key] = value
            broadcast(followers[key], update(key))
        case {"action": "subscribe", "key": str(key)}:
            followers[key].add(connection)
            if key in values:
                await connection.send(update(key))
        case {"action": "unsubscribe", "key": str(key)}:
            followers[key].discard(connection)
        case _:
            await connection.send(json.dumps({"error": "Invalid message format"}))


async def talk(connection: ServerConnection) -> None:
    """One connection, from its upgrade to its end."""
    try:
        async for text in connection:
            await answer(connection, text)
    finally:
        for connections in followers.values():
            connections.discard(connection)


async def main(port: int) -> None:
    """Serve until ended."""
    async with serve(talk, "127.0.0.1", port, max_size=MESSAGE_BYTES_MAX) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
