"""Clients that write as fast as they are answered, until the server is gone.

Each has a namespace, a connection and a random source of its own, and keeps its history.
"""

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.crash.history import History, Request
from tests.crash.operations import Operations
from tests.protocol.clients import CLOSE, SECONDS_MAX, RawConnection, now_ms, text
from tests.support.server import ServerProcess

KEYS_PER_WRITER = 60
SIZES = (10, 10, 10, 300, 5_000, 80_000)
TTLS = (0, 0, 0, 0, 40, 400, 3_600_000)
LONG_TTL = 3_600_000


class Writer(ABC):
    """One client; each life of the server it writes in a thread of its own."""

    def __init__(self, kind: str, number: int, seed: int) -> None:
        self.keys = [f"{kind} {key}" for key in range(KEYS_PER_WRITER)]
        self.random = random.Random(f"{seed} {kind} {number}")
        self.operations = Operations(kind, self.random)
        self.history = History(f"{kind}-{number}", [*self.keys, *self.operations.keys])
        self.revision = 0
        self._count = 0

    def run(self, server: ServerProcess) -> None:
        """Write until the server is gone."""
        self.operations.begin(self.history.base)
        with suppress(EOFError, OSError, HTTPException):
            self.write(server)

    @abstractmethod
    def write(self, server: ServerProcess) -> None:
        """Write for ever."""

    def value(self) -> str:
        """A value that was never written before."""
        number = self.number()
        return f"{number}:" + chr(97 + number % 26) * self.random.choice(SIZES)

    def number(self) -> int:
        """A higher one than ever before."""
        self._count += 1
        return self._count

    def key(self) -> str:
        """One of its keys, but for those of operations."""
        return self.random.choice(self.keys)

    def operation(self, key: str) -> tuple[Request, dict[str, Any]]:
        """A request with an operation on a key, and its fields."""
        fields, value = self.operations.next(key, self.number())
        return Request({key: value}), fields

    def transaction(self) -> tuple[Request, list[dict[str, Any]]]:
        """A request with several operations, and these."""
        done = [self.operations.next(key, self.number()) for key in self.operations.some(3)]
        return Request({fields["key"]: value for fields, value in done}), [one for one, _ in done]


class DunenaWriter(Writer):
    """Bursts of all kinds of writes; replies come in the order of the requests."""

    def write(self, server: ServerProcess) -> None:
        with RawConnection(server) as connection:
            connection.upgrade("/ws?protocol=dunena")
            connection.send(text({"type": "unsubscribe", "channel": "cache-events"}))
            connection.send(text({"type": "ping"}))
            while read_message(connection).get("type") != "pong":
                pass  # the greeting, and events from before
            while True:
                burst = [self._message() for _ in range(self.random.choice((1, 3, 40)))]
                frames = b"".join(text(message) for _, message in burst)
                for request, _ in burst:
                    self.history.send(request, now_ms())
                connection.send(frames)
                for _ in burst:
                    reply = read_message(connection)
                    assert reply["type"] == "result", reply
                    self.history.acknowledge(now_ms())

    def _message(self) -> tuple[Request, dict[str, Any]]:
        ttl, choice = self.random.choice(TTLS), self.random.random()
        common: dict[str, Any] = {"ns": self.history.ns}
        if self.random.random() < 0.05:
            common["durable"] = True
        if choice < 0.2:
            key = self.key()
            return Request({key: None}), {"type": "del", "key": key, **common}
        if choice < 0.35:
            request, fields = self.operation(self.random.choice(self.operations.keys))
            return request, {"type": fields.pop("op"), **fields, "rev": True, **common}
        if choice < 0.4:
            request, ops = self.transaction()
            return request, {"type": "txn", "ops": ops, **common}
        if choice < 0.65:
            writes = {self.key(): self.value() for _ in range(self.random.randint(2, 12))}
            entries = [{"key": k, "value": v, "ttl": ttl} for k, v in writes.items()]
            return Request(dict(writes), ttl), {"type": "mset", "entries": entries, **common}
        key, value = self.key(), self.value()
        message = {"type": "set", "key": key, "value": value, "ttl": ttl, **common}
        return Request({key: value}, ttl), message


class ObjectWriter(Writer):
    """Bursts of all kinds of writes; each is acknowledged by updates of its own subscriptions."""

    def write(self, server: ServerProcess) -> None:
        # What stands is known, so that only a delete which has an update is sent.
        standing = set(self.history.base)
        with RawConnection(server) as connection:
            connection.upgrade("/")
            ns = self.history.ns
            for key in self.history.keys:
                connection.send(text({"action": "subscribe", "key": key, "ns": ns}))
            connection.send(text({"action": "get", "key": "mark"}))
            while read_message(connection)["key"] != "mark":
                pass  # values that stand
            while True:
                # Each key once in a burst: who reads slowly is told of a key's newest value only.
                keys = self.random.sample(self.history.keys, self.random.choice((1, 30)))
                if self.random.random() < 0.2:
                    request, ops = self.transaction()
                    burst = [(request, {"action": "txn", "ops": ops})]
                else:
                    burst = [self._message(key, standing) for key in keys]
                for request, _ in burst:
                    self.history.send(request, now_ms())
                where = {"ns": self.history.ns}
                connection.send(b"".join(text(message | where) for _, message in burst))
                for request, _ in burst:
                    updates = [read_message(connection) for _ in request.writes]
                    told = {update["key"]: update["value"] for update in updates}
                    assert told == request.writes, updates
                    self.history.acknowledge(now_ms())

    def _message(self, key: str, standing: set[str]) -> tuple[Request, dict[str, Any]]:
        if key in self.operations.keys:
            request, fields = self.operation(key)
            return request, {"action": fields.pop("op"), **fields}
        if key in standing and self.random.random() < 0.3:
            standing.discard(key)
            return Request({key: None}), {"action": "delete", "key": key}
        standing.add(key)
        # An expiry would be an update too: only times that do not come.
        ttl = self.random.choice((0, LONG_TTL)) if self.history.is_clock_right else 0
        value = {"writer": self.history.ns, "text": self.value()}
        message = {"action": "set", "key": key, "value": value, "ttl": ttl}
        return Request({key: value}, ttl), message


class HttpWriter(Writer):
    """One request after the other on a connection that is kept."""

    def write(self, server: ServerProcess) -> None:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=SECONDS_MAX)
        try:
            while True:
                request, method, path, body = self._request()
                self.history.send(request, now_ms())
                status, _ = self._ask(connection, method, path, body)
                assert status in (200, 201), status
                self.history.acknowledge(now_ms())
                if self.random.random() < 0.2:
                    _, info = self._ask(connection, "GET", "/info", None)
                    assert info["revision"] >= self.revision, "the revision went back"
                    self.revision = info["revision"]
        finally:
            connection.close()

    def _ask(
        self, connection: HTTPConnection, method: str, path: str, body: Any
    ) -> tuple[int, Any]:
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, path, body=content)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def _request(self) -> tuple[Request, str, str, Any]:
        ns, key, choice = self.history.ns, self.key(), self.random.random()
        path = f"/cache/{key.replace(' ', '%20')}?ns={ns}"
        if choice < 0.2:
            return Request({key: None}), "DELETE", path, None
        if choice < 0.4:
            writes = {self.key(): self.value() for _ in range(5)}
            entries = [{"key": k, "value": v} for k, v in writes.items()]
            body = {"action": "mset", "entries": entries, "ns": ns}
            return Request(dict(writes)), "POST", "/cache", body
        value, ttl = self.value(), self.random.choice(TTLS)
        if choice < 0.7:
            body = {"key": key, "value": value, "ttl": ttl, "ns": ns}
            return Request({key: value}, ttl), "POST", "/set", body
        durable = self.random.random() < 0.1
        body = {"value": value, "ttl": ttl, "durable": durable}
        return Request({key: value}, ttl), "POST", path, body


def read_message(connection: RawConnection) -> Any:
    """The next message; EOFError where a server that stops says so instead."""
    frame = connection.read_frame()
    if frame.opcode == CLOSE:
        raise EOFError
    return json.loads(frame.payload)


WRITERS = 8

KINDS: dict[str, Callable[[str, int, int], Writer]] = {
    "dunena": DunenaWriter,
    "objects": ObjectWriter,
    "http": HttpWriter,
}


def make_writers(seed: int) -> list[Writer]:
    """Of each kind in turn."""
    kinds = list(KINDS.items())
    made = []
    for number in range(WRITERS):
        kind, make = kinds[number % len(kinds)]
        made.append(make(kind, number // len(kinds), seed))
    return made
