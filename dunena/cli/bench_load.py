"""The load of `dunena bench`: connections that send requests one by one or pipelined."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from dunena.client.errors import RequestError
from dunena.client.options import Options, failure, not_dunena_error

NAMESPACE = "dunena-bench"

_VALUE = "x" * 30  # with its quotes 32 bytes


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of request. ``depth`` is the number of requests in flight on a connection.

    ``request`` makes the messages of one request for a key; its answer is the next message that is
    no event.
    """

    dialect: str
    name: str
    depth: int
    request: Callable[[str], dict[str, Any]]
    barrier: dict[str, Any] | None = None


def _typed(kind: str) -> Callable[[str], dict[str, Any]]:
    fields = {"value": _VALUE} if kind == "set" else {}
    return lambda key: {"type": kind, "key": key, "ns": NAMESPACE, **fields}


def _get_object(key: str) -> dict[str, Any]:
    return {"action": "get", "key": key, "ns": NAMESPACE}


def _set_object(key: str) -> dict[str, Any]:
    return {"action": "set", "key": key, "ns": NAMESPACE, "value": _VALUE}


_PING = {"type": "ping"}

KINDS = (
    Workload("dunena", "set", 1, _typed("set")),
    Workload("dunena", "get", 1, _typed("get")),
    Workload("dunena", "get, 32 at once", 32, _typed("get")),
    Workload("object store", "set and ping", 1, _set_object, _PING),
    Workload("object store", "get", 1, _get_object),
    Workload("object store", "get, 32 at once", 32, _get_object),
)
"""The rows, in the order shown. The object store does not answer a set: a ping follows it."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of one kind of request; times in ms."""

    dialect: str
    name: str
    per_second: float
    median: float
    slow: float

    def as_json(self) -> dict[str, Any]:
        """Return the row as a JSON object, its names in camel case as in the server's answers."""
        fields = asdict(self)
        return {
            "dialect": fields["dialect"],
            "requests": fields["name"],
            "perSecond": round(self.per_second),
            "medianMs": round(self.median, 3),
            "p99Ms": round(self.slow, 3),
        }


class Load:
    """The load of one row: ``count`` connections that send requests for ``seconds``."""

    def __init__(self, options: Options, kind: Workload, count: int, seconds: float) -> None:
        self._options = options
        self._kind = kind
        self._count = count
        self._seconds = seconds
        self._times: list[float] = []

    async def run(self) -> Measurement:
        """Send the requests, delete the keys that they stored, and return the measured row.

        Raise a `dunena.Error` if the server cannot be reached or refuses a request.
        """
        connections = [await self._open() for _ in range(self._count)]
        try:
            began = time.perf_counter()
            end = began + self._seconds
            http_client = (self._ask(one, f"{n}", end) for n, one in enumerate(connections))
            await asyncio.gather(*http_client)
            took = time.perf_counter() - began
            await self._clean(connections[0])
        except ConnectionClosed as closed:
            raise failure(closed, self._options.address) from None
        finally:
            for connection in connections:
                await connection.close()
        times = sorted(self._times)
        requests = len(times) * self._kind.depth
        middle, slow = (times[len(times) * share // 100] for share in (50, 99))
        kind = self._kind
        return Measurement(kind.dialect, kind.name, requests / took, middle * 1000, slow * 1000)

    async def _open(self) -> ClientConnection:
        address = self._options.address
        arguments = {**self._options.for_websocket(), "compression": None}
        try:
            connection = await connect(address.websocket_url, **arguments)
        except (OSError, WebSocketException) as error:
            raise failure(error, address) from None
        # The first message selects the dialect of the connection; this one also ends the events.
        channel = {"type": "unsubscribe", "channel": "cache-events"}
        await connection.send(orjson.dumps(channel), text=True)
        await connection.send(orjson.dumps(_PING), text=True)
        while await self._receive(connection) != "pong":
            pass
        return connection

    async def _ask(self, connection: ClientConnection, key: str, end: float) -> None:
        """Send requests until the time ``end`` (`perf_counter` seconds), at least one."""
        kind = self._kind
        request = orjson.dumps(kind.request(key))
        barrier = orjson.dumps(kind.barrier) if kind.barrier else None
        while True:
            began = time.perf_counter()
            for _ in range(kind.depth):
                await connection.send(request, text=True)
                if barrier is not None:
                    await connection.send(barrier, text=True)
            for _ in range(kind.depth):
                await self._receive(connection)
            now = time.perf_counter()
            self._times.append(now - began)
            if now >= end:
                return

    async def _clean(self, connection: ClientConnection) -> None:
        for number in range(self._count):
            message = {"type": "del", "key": f"{number}", "ns": NAMESPACE}
            await connection.send(orjson.dumps(message), text=True)
            await self._receive(connection)

    async def _receive(self, connection: ClientConnection) -> str | None:
        """Receive the next message and return its ``type``, if it has one.

        Raise `RequestError` for a refusal, `WrongAddressError` for what is no message of dunena.
        """
        message = orjson.loads(await connection.recv(decode=False))
        if not isinstance(message, dict):
            raise not_dunena_error(self._options.address, "no message of its own")
        if message.get("type") == "error" or "error" in message:
            raise RequestError(str(message.get("data") or message.get("error")))
        kind = message.get("type")
        return kind if isinstance(kind, str) else None
