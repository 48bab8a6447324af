"""A client of server-sent events, which reads as HTML Living Standard, 9.2.6 says."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.patience import patiently
from tests.support.server import ServerProcess

SECONDS_MAX = patiently(10)


@dataclass(frozen=True)
class Event:
    """An event as a page gets it; ``last_id`` is the position after it."""

    kind: str
    data: str
    last_id: str

    @property
    def json(self) -> Any:
        """The data."""
        return json.loads(self.data)


@dataclass
class EventReader:
    """Takes bytes in any pieces, and gives events. ``retry_ms`` and ``comments`` are what it read
    besides, ``last_id`` where it would continue after all events that it gave."""

    last_id: str = ""
    retry_ms: int | None = None
    comments: int = 0
    _rest: bytes = b""
    _kind: str = ""
    _data: list[str] = field(default_factory=list)
    _next_id: str | None = None

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are complete now. The server ends each line with LF."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            assert b"\r" not in line, line
            yield from self._take(line.decode())

    def _take(self, line: str) -> Iterator[Event]:
        if not line:
            yield from self._dispatch()
            return
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            assert colon
            self.comments += 1
        elif name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            self._next_id = value
        else:
            assert name == "retry", line
            self.retry_ms = int(value)

    def _dispatch(self) -> Iterator[Event]:
        if self._next_id is not None:
            self.last_id, self._next_id = self._next_id, None
        data, self._data = self._data, []
        kind, self._kind = self._kind, ""
        if data:
            yield Event(kind or "message", "\n".join(data), self.last_id)


class Chunks:
    """Takes a body in chunks, in any pieces, and gives what is in it (RFC 9112, 7.1)."""

    def __init__(self) -> None:
        self._rest = b""
        self.has_ended = False

    def feed(self, data: bytes) -> bytes:
        """The content of the chunks that are complete now."""
        self._rest += data
        content = b""
        while not self.has_ended and b"\r\n" in self._rest:
            size, _, behind = self._rest.partition(b"\r\n")
            length = int(size, 16)
            if len(behind) < length + 2:
                break
            assert behind[length : length + 2] == b"\r\n"
            content += behind[:length]
            self._rest = behind[length + 2 :]
            self.has_ended = length == 0
        assert not (self.has_ended and self._rest)
        return content


class EventStreamClient:
    """A stream that was opened: its head was read, and it is one."""

    def __init__(
        self, server: ServerProcess, query: str, headers: dict[str, str] | None = None
    ) -> None:
        self.reader = EventReader()
        self._events: list[Event] = []
        self.socket = socket.create_connection(("127.0.0.1", server.port), SECONDS_MAX)
        lines = {"Host": f"127.0.0.1:{server.port}", **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.socket.sendall(f"GET /watch?{query} HTTP/1.1\r\n{head}\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        raw, _, rest = received.partition(b"\r\n\r\n")
        first, *fields = raw.decode().split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in fields)
        }
        assert self.status == 200, received
        self.chunks = Chunks()
        assert self.headers["transfer-encoding"] == "chunked"
        self._events += self.reader.feed(self.chunks.feed(rest))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def event(self) -> Event:
        """The next event."""
        while not self._events:
            self._read()
        return self._events.pop(0)

    def update(self) -> Any:
        """The update of the next event, with all of its parts; it tells the position."""
        parts = []
        while True:
            event = self.event()
            assert event.kind == "update", event
            parts.append(event.json)
            if not event.json.get("more"):
                break
        whole = {**parts[-1], "changes": [change for part in parts for change in part["changes"]]}
        if parts[0].get("reset"):
            whole["reset"] = True
        assert event.last_id == f"{whole['epoch']}-{whole['rev']}"
        return whole

    def wait_for(self, last_id: str) -> None:
        """Read until the stream is at a position; no event may come."""
        while self.reader.last_id != last_id:
            self._read()
        assert not self._events

    def wait_for_comment(self) -> None:
        """Read until a comment comes; no event may come before it."""
        seen = self.reader.comments
        while self.reader.comments == seen:
            self._read()
        assert not self._events

    def read_to_end(self) -> list[Event]:
        """The events until the server ends the stream."""
        while data := self.socket.recv(1 << 20):
            self._events += self.reader.feed(self.chunks.feed(data))
        assert self.chunks.has_ended
        events, self._events = self._events, []
        return events

    def _read(self) -> None:
        self._events += self.reader.feed(self.chunks.feed(self._receive()))

    def _receive(self) -> bytes:
        data = self.socket.recv(1 << 20)
        assert data, "the server ended the stream"
        return data
