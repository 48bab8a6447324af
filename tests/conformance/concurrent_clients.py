"""Clients that send requests for the same keys at the same time, and keep what was answered.

There are clients of both WebSocket dialects, of HTTP, and somebody who edits the keys' files. Now
and then one of them cuts its connection, and so never learns whether its request was carried out.
"""

import itertools
import json
import math
import random
import re
import socket
import struct
import sys
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.conformance.linearizability import UNSAID, Answer, Operation
from tests.protocol.clients import SECONDS_MAX, RawConnection, text
from tests.support.server import ServerProcess

CUT_SHARE = 0.03
DURABLE_SHARE = 0.1  # of writes: their replies wait, and so do those of reads behind them
SEEN_SECONDS_MAX = 0.3
"""How long somebody who edited a file waits for it; others may have overwritten it meanwhile."""

NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_CONFLICT = re.compile(r'Revision conflict: "[^"]*" is at (\d+)')


@dataclass
class Room:
    """What the clients share: a server, its keys, and what they did with each."""

    server: ServerProcess
    seed: int
    keys: list[str]
    pause_seconds: float = 0
    """Between two requests of a client, as an average."""

    histories: dict[str, list[Operation]] = field(default_factory=lambda: defaultdict(list))

    def work(self, clients: "list[ConcurrentClient]", seconds: float) -> None:
        """Let all of them work at the same time; at the end read every key."""
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(len(clients)) as threads:
            for work in [threads.submit(client.work, until) for client in clients]:
                work.result()
        last = HttpClient(self, "last")
        for key in self.keys:
            last.request(Planned("get", key))
        last.cut()

    def operations(self) -> Iterator[Operation]:
        """All of them."""
        return itertools.chain.from_iterable(self.histories.values())


@dataclass
class Planned:
    """A request that is to be sent."""

    name: str
    key: str
    argument: Any = None
    if_rev: int | None = None

    def operation(self, client: str, called: float, answer: Answer | None) -> Operation:
        """What became of it; it ends now."""
        returned = math.inf if answer is None else time.monotonic()
        return Operation(self.name, called, returned, self.argument, self.if_rev, answer, client)


class ConcurrentClient(ABC):
    """One client, in a thread of its own."""

    def __init__(self, room: Room, name: str) -> None:
        self.room = room
        self.name = name
        self.random = random.Random(f"{room.seed} {name}")
        self.seen: dict[str, int] = {}  # the last revision that it was told of each key
        self._numbers = itertools.count(1)

    def work(self, until: float) -> None:
        """Send one request after the other until a time."""
        while time.monotonic() < until:
            self.request(self.plan())
            if self.room.pause_seconds:
                time.sleep(self.random.expovariate(1 / self.room.pause_seconds))
        self.cut()

    def request(self, planned: Planned) -> Answer | None:
        """Send a request and keep the answer, if that is waited for."""
        is_cut = self.random.random() < CUT_SHARE
        called = time.monotonic()
        answer = self.ask(planned, is_cut=is_cut)
        if is_cut:
            self.cut()
        operation = planned.operation(self.name, called, answer)
        self.room.histories[planned.key].append(operation)
        if answer is not None and answer.rev:
            self.seen[planned.key] = answer.rev
        return answer

    def plan(self) -> Planned:
        """Any request that this client can send."""
        key = self.random.choice(self.room.keys)
        name = self.random.choice(self.names)
        if name in ("get", "delete"):
            return Planned(name, key)
        if name == "incr":
            return Planned(name, key, self.random.randint(1, 9))
        if name == "merge":
            return Planned(name, key, {self.name: next(self._numbers)})
        is_conditional = self.random.random() < 0.4
        return Planned(name, key, self.value(), self.seen.get(key, 0) if is_conditional else None)

    def value(self) -> Any:
        """A value that was not there before: an object, a number, or the text of one."""
        number = next(self._numbers)
        as_number = number * 1_000_000 + self.random.randrange(1_000_000)
        return self.random.choice(({"by": self.name, "n": number}, as_number, str(as_number)))

    names: tuple[str, ...]

    @abstractmethod
    def ask(self, planned: Planned, *, is_cut: bool) -> Answer | None:
        """Send it; the answer, if that is read."""

    @abstractmethod
    def cut(self) -> None:
        """End the connection without a word, if there is one."""


class WebSocketClient(ConcurrentClient):
    """A client of one of the dialects."""

    names = ("get", "get", "set", "set", "incr", "incr", "merge", "delete")

    def __init__(self, room: Room, dialect: str, number: int) -> None:
        super().__init__(room, f"{dialect} {number}")
        self.is_dunena = dialect == "dunena"
        self._connection: RawConnection | None = None

    def ask(self, planned: Planned, *, is_cut: bool) -> Answer | None:
        connection = self._connection or self._connect()
        number = next(self._numbers)
        connection.send(text(self._message(planned, number)))
        if is_cut:
            return None
        while (reply := connection.read_message()).get("id") != number:
            pass
        return self._answer(reply)

    def cut(self) -> None:
        if self._connection is not None:
            reset_at_close(self._connection.socket)
            self._connection.socket.close()
            self._connection = None

    def _connect(self) -> RawConnection:
        self._connection = connection = RawConnection(self.room.server)
        connection.upgrade("/ws?protocol=dunena" if self.is_dunena else "/")
        if self.is_dunena:
            connection.send(text({"type": "unsubscribe", "channel": "cache-events"}))
        return connection

    def _message(self, planned: Planned, number: int) -> dict[str, Any]:
        message = {"key": planned.key, "id": number, "rev": True}
        if planned.name == "get":
            message |= {"json": True} if self.is_dunena else {}
        elif planned.name == "incr":
            message["by"] = planned.argument
        elif planned.name != "delete":
            message["value"] = planned.argument
        if planned.if_rev is not None:
            message["ifRev"] = planned.if_rev
        if planned.name != "get" and self.random.random() < DURABLE_SHARE:
            message["durable"] = True
        name = "del" if self.is_dunena and planned.name == "delete" else planned.name
        return message | {"type" if self.is_dunena else "action": name}

    def _answer(self, reply: Any) -> Answer:
        if "code" in reply:
            return Answer(refused=reply["code"], rev=reply.get("rev"))
        data = reply.get("data") or reply.get("result") or reply
        return Answer(data.get("value", UNSAID), data["rev"], data.get("deleted"))


class HttpClient(ConcurrentClient):
    """A client on a connection that is kept."""

    ways: Mapping[str, str] = {
        "/get": "get",
        "/entries": "get",
        "GET /kv": "get",
        "GET /kv?pattern": "get",
        "/set": "set",
        "/cache": "set",
        "PUT /kv": "set",
        "POST /kv": "incr",
        "PATCH /kv": "merge",
        "DELETE /cache": "delete",
        "DELETE /kv": "delete",
    }
    """How it can send a request -> which one."""

    names = tuple(ways)

    def __init__(self, room: Room, name: str) -> None:
        super().__init__(room, name)
        self._connection: HTTPConnection | None = None
        self._epoch = ""  # of its tags
        self._way = "/get"

    def plan(self) -> Planned:
        self._way = self.random.choice(self.names)
        key = self.random.choice(self.room.keys)
        name = self.ways[self._way]
        if name == "incr":
            return Planned(name, key, self.random.randint(1, 9))
        if name == "merge":
            return Planned(name, key, {self.name: next(self._numbers)})
        if name != "set":
            return Planned(name, key)
        if self._way == "/cache":
            return Planned(name, key, str(next(self._numbers) * 1_000_003))
        is_conditional = self.random.random() < 0.4 and self._epoch
        return Planned(name, key, self.value(), self.seen.get(key, 0) if is_conditional else None)

    def ask(self, planned: Planned, *, is_cut: bool) -> Answer | None:
        if self._connection is None:
            self._connection = HTTPConnection(
                "127.0.0.1", self.room.server.port, timeout=SECONDS_MAX
            )
        way = self._way if self.ways[self._way] == planned.name else "/get"
        method, path, body, headers = self._request(way, planned)
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, body=content, headers=headers)
        if is_cut:
            return None
        response = self._connection.getresponse()
        content = response.read()
        reply = json.loads(content) if content else {}
        return self._answer(way, planned, response.status, reply, response.headers["ETag"])

    def cut(self) -> None:
        if self._connection is not None:
            if self._connection.sock is not None:
                reset_at_close(self._connection.sock)
            self._connection.close()
            self._connection = None

    def _request(self, way: str, planned: Planned) -> tuple[str, str, Any, dict[str, str]]:
        key, argument, headers = planned.key, planned.argument, {}
        condition = {} if planned.if_rev is None else {"ifRev": planned.if_rev}
        if condition and way == "PUT /kv":
            tag = f'"{self._epoch}-{planned.if_rev}"'
            headers = {"If-Match": tag} if planned.if_rev else {"If-None-Match": "*"}
        if way == "PATCH /kv":
            headers = {"Content-Type": "application/merge-patch+json"}
        bodies: dict[str, tuple[str, str, Any]] = {
            "/get": ("GET", f"/get/{key}", None),
            "/entries": ("GET", f"/entries/{key}", None),
            "GET /kv": ("GET", f"/kv/{key}", None),
            "GET /kv?pattern": ("GET", f"/kv?pattern={key}", None),
            "/set": ("POST", "/set", {"key": key, "value": argument, **condition}),
            "/cache": ("POST", f"/cache/{key}", {"value": argument}),
            "PUT /kv": ("PUT", f"/kv/{key}", argument),
            "POST /kv": ("POST", f"/kv/{key}", {"op": "incr", "by": argument}),
            "PATCH /kv": ("PATCH", f"/kv/{key}", argument),
            "DELETE /cache": ("DELETE", f"/cache/{key}", None),
            "DELETE /kv": ("DELETE", f"/kv/{key}", None),
        }
        return *bodies[way], headers

    def _answer(
        self, way: str, planned: Planned, status: int, reply: Any, tag: str | None
    ) -> Answer:
        if status == 507:
            return Answer(refused="storage")
        if status >= 400 and "code" in reply and status != 404:
            return Answer(refused=reply["code"], rev=reply.get("rev"))
        if status == 409:
            found = _CONFLICT.fullmatch(reply["error"])
            assert found is not None, reply
            return Answer(refused="conflict", rev=int(found[1]))
        if way == "DELETE /kv":
            return Answer(deleted=status == 204)
        if status == 404:
            return Answer(None, 0)
        assert status in (200, 201, 204), reply
        if way == "GET /kv?pattern":
            return Answer(reply.get(planned.key))
        if way in ("GET /kv", "PUT /kv", "POST /kv", "PATCH /kv"):
            assert tag is not None
            self._epoch, _, rev = tag.strip('"').partition("-")
            value = UNSAID
            if way == "GET /kv":
                value = reply
            elif way == "POST /kv":
                value = reply["value"]
            return Answer(value, int(rev))
        if way == "/entries":
            entry = reply["entry"] or {"value": None, "revision": 0}
            return Answer(entry["value"], entry["revision"])
        if way == "/get":
            return Answer(reply["value"])
        return Answer(deleted=reply.get("deleted"))


class FileEditor(ConcurrentClient):
    """Somebody who replaces and removes files, and looks whether that has come about."""

    names = ("set", "set", "delete")

    def __init__(self, room: Room, folder: Path) -> None:
        super().__init__(room, "editor")
        self._folder = folder
        self._reader = HttpClient(room, "editor's reader")

    def request(self, planned: Planned) -> Answer | None:
        called = time.monotonic()
        file = self._folder / f"{planned.key}.json"
        if planned.name == "delete":
            file.unlink(missing_ok=True)
        else:
            draft = file.with_suffix(".draft")
            draft.write_text(json.dumps(planned.argument))
            draft.replace(file)
        # Of a key that is gone it cannot say by whose hand.
        is_seen = planned.name == "set" and self._sees(planned)
        answer = Answer() if is_seen else None
        edit = Planned(planned.name, planned.key, planned.argument)
        self.room.histories[planned.key].append(edit.operation(self.name, called, answer))
        return answer

    def ask(self, planned: Planned, *, is_cut: bool) -> Answer | None:
        raise AssertionError("nothing is asked")

    def cut(self) -> None:
        self._reader.cut()

    def _sees(self, planned: Planned) -> bool:
        deadline = time.monotonic() + SEEN_SECONDS_MAX
        while time.monotonic() < deadline:
            answer = self._reader.request(Planned("get", planned.key))
            if answer is not None and answer.value == planned.argument:
                return True
        return False


def reset_at_close(end: socket.socket) -> None:
    """Let the connection be cut, not ended, when the socket is closed."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)


def make_clients(room: Room) -> list[ConcurrentClient]:
    """Three of each dialect and two of HTTP."""
    return [
        *(WebSocketClient(room, dialect, n) for n in range(3) for dialect in ("dunena", "objects")),
        *(HttpClient(room, f"http {n}") for n in range(2)),
    ]
