"""What the tests of the protocols speak with: clients of others, and sockets where bytes matter."""

import base64
import itertools
import json
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, Self
from urllib.parse import quote

from websockets.sync.client import ClientConnection, connect

from tests.support.described import check_message
from tests.support.patience import patiently
from tests.support.server import ServerProcess
from tests.support.shared_mode import CLOCK_MS_MAX

SECONDS_MAX = patiently(10)
"""For anything that should happen at once: a busy machine is no bug, a hanging test is."""

EVENT_CHANNEL = "cache"

_numbers = itertools.count(1)


def unique(prefix: str = "key") -> str:
    """A name that no other test of this process uses."""
    return f"{prefix}-{next(_numbers)}"


def now_ms() -> int:
    """Unix time in ms, of the clock the server has too."""
    return time.time_ns() // 1_000_000


def timestamps_from() -> int:
    """The least timestamp of what a server says from now on."""
    return now_ms() - CLOCK_MS_MAX


# --- WebSocket, by the websockets library ---


class Client:
    """A WebSocket client that speaks JSON.

    ``speaks_dunena`` says with which message it asks the server to catch up.
    """

    def __init__(self, connection: ClientConnection, *, speaks_dunena: bool) -> None:
        self.connection = connection
        self._speaks_dunena = speaks_dunena

    def send(self, message: Any) -> None:
        """Send text as it is, anything else as JSON."""
        if not isinstance(message, str | bytes):
            message = json.dumps(message, ensure_ascii=False)
        self.connection.send(message)

    def receive_text(self) -> str:
        """The next message as it came."""
        text = self.connection.recv(SECONDS_MAX)
        assert isinstance(text, str), "every message of the server is text"
        return text

    def receive(self) -> Any:
        """The next message."""
        message = json.loads(self.receive_text())
        check_message(message)
        return message

    def ask(self, message: Any) -> Any:
        """The reply to a message: the next message that is no event."""
        self.send(message)
        while True:
            reply = self.receive()
            if not is_event(reply):
                return reply

    def event(self, key: str | None, kind: str | None = None) -> Any:
        """The next event about a key, of a kind if given; None stands for a clear."""
        while True:
            message = self.receive()
            if (
                is_event(message)
                and message["data"].get("key") == key
                and kind in (None, message["event"])
            ):
                return message

    def heard(self) -> list[Any]:
        """Everything that was on its way to this client until now.

        Replies come in order, so what is not in front of the reply to a question of ours has not
        been sent.
        """
        mark = unique("mark")
        if self._speaks_dunena:
            self.send({"type": "ping", "id": mark})
        else:
            self.send({"action": "get", "key": mark})
        messages = []
        while True:
            message = self.receive()
            if mark in (message.get("id"), message.get("key")):
                return messages
            messages.append(message)

    def updates(self, key: str) -> list[Any]:
        """The values of a key that were on their way to this client until now."""
        return [message["value"] for message in self.heard() if message.get("key") == key]

    def events(self, key: str | None) -> list[Any]:
        """The events about a key that were on their way to this client until now."""
        return [
            message
            for message in self.heard()
            if is_event(message) and message["data"].get("key") == key
        ]

    def follow(self, key: str, **fields: Any) -> None:
        """Subscribe to a key that has no value, and wait until that is done."""
        self.send({"action": "subscribe", "key": key, **fields})
        self.heard()

    def close(self) -> None:
        """End it as a client should."""
        self.connection.close()


def is_event(message: Any) -> bool:
    """Whether a message is an event of the cache."""
    return isinstance(message, dict) and message.get("channel") == EVENT_CHANNEL


@contextmanager
def open_client(
    server: ServerProcess, path: str = "/ws", *, speaks_dunena: bool = True, **options: Any
) -> Iterator[Client]:
    """A connection as the server makes it: nothing was received yet."""
    url = server.ws_url.removesuffix("/ws") + path
    options = {"proxy": None, "max_size": None, "max_queue": None, "close_timeout": 2} | options
    with connect(url, **options) as connection:
        yield Client(connection, speaks_dunena=speaks_dunena)


@contextmanager
def open_dunena(server: ServerProcess, **options: Any) -> Iterator[Client]:
    """A client of the dunena dialect that was greeted."""
    with open_client(server, **options) as client:
        assert client.receive()["type"] == "connected"
        yield client


@contextmanager
def open_objects(server: ServerProcess, **options: Any) -> Iterator[Client]:
    """A client of the object-store dialect alone."""
    with open_client(server, "/", speaks_dunena=False, **options) as client:
        yield client


class Clients:
    """Opens clients of one server; `close` ends all of them."""

    def __init__(self, server: ServerProcess, stack: ExitStack) -> None:
        self.server = server
        self._stack = stack

    def dunena(self, **options: Any) -> Client:
        """A client of the dunena dialect that was greeted."""
        return self._stack.enter_context(open_dunena(self.server, **options))

    def objects(self, **options: Any) -> Client:
        """A client of the object-store dialect alone."""
        return self._stack.enter_context(open_objects(self.server, **options))

    def any(self, path: str = "/ws", **options: Any) -> Client:
        """A client to which nothing was said yet."""
        return self._stack.enter_context(open_client(self.server, path, **options))


# --- HTTP, by the standard library ---


@dataclass(frozen=True)
class Reply:
    """An HTTP response; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def http(
    server: ServerProcess,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on a connection of its own; a body that is no text or bytes is sent as JSON."""
    if body is not None and not isinstance(body, str | bytes):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=SECONDS_MAX)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, fields, response.read())
    finally:
        connection.close()


def escaped(key: str) -> str:
    """A key as it stands in a path."""
    return quote(key, safe="")


# --- bytes ---

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": base64.b64encode(b"sixteen bytes ok").decode(),
    "Sec-WebSocket-Version": "13",
}
"""The headers of a handshake; the key is the same each time, which no server may notice."""


@dataclass(frozen=True)
class RawFrame:
    """A frame of the server."""

    is_final: bool
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2])


def frame(
    opcode: int,
    payload: bytes | str = b"",
    *,
    is_final: bool = True,
    is_masked: bool = True,
    reserved: int = 0,
) -> bytes:
    """A client's frame, correct or not; RFC 6455, 5.2."""
    if isinstance(payload, str):
        payload = payload.encode()
    first = (0x80 if is_final else 0) | reserved << 4 | opcode
    masked = 0x80 if is_masked else 0
    size = len(payload)
    if size < 126:
        head = bytes((first, masked | size))
    elif size < 1 << 16:
        head = bytes((first, masked | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, masked | 127)) + size.to_bytes(8)
    if not is_masked:
        return head + payload
    mask = os.urandom(4)
    key = int.from_bytes(mask * (size // 4 + 1)) >> 8 * (4 - size % 4)
    mixed = (int.from_bytes(payload) ^ key).to_bytes(size) if size else b""
    return head + mask + mixed


def text(message: Any) -> bytes:
    """A message as an ordinary frame."""
    return frame(TEXT, json.dumps(message))


class RawConnection:
    """A socket, for what no library would send."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.socket = socket.create_connection(("127.0.0.1", server.port), SECONDS_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes | str) -> None:
        """Send all of it."""
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Send a request; Host is added where it is not given."""
        fields = {"Host": f"127.0.0.1:{self.server.port}", **(headers or {})}
        self.send(request_bytes(method, path, fields, body))

    def upgrade(
        self, path: str = "/ws", headers: dict[str, str] | None = None, behind: bytes = b""
    ) -> Reply:
        """Ask for a WebSocket, with bytes right behind the request; the answer."""
        fields = {"Host": f"127.0.0.1:{self.server.port}", **UPGRADE, **(headers or {})}
        self.send(request_bytes("GET", path, fields) + behind)
        return self.read_reply()

    def open(self, path: str = "/ws") -> "RawConnection":
        """Become a WebSocket that was greeted, if it is one that is."""
        assert self.upgrade(path).status == 101
        if path == "/ws":
            assert self.read_message()["type"] == "connected"
        return self

    def end_writing(self) -> None:
        """Send no more, and say so."""
        self.socket.shutdown(socket.SHUT_WR)

    def read_reply(self, *, is_head: bool = False) -> Reply:
        """The next HTTP response."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        size = 0 if is_head or status in (100, 101, 204) else int(fields.get("content-length", 0))
        return Reply(status, fields, self.take(size))

    def read_frame(self) -> RawFrame:
        """The next frame; it must be one that a server may send."""
        first, second = self.take(2)
        assert not first & 0x70, "reserved bits without an extension"
        assert not second & 0x80, "a server's frames are not masked"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self.take(2 if size == 126 else 8))
        return RawFrame(bool(first & 0x80), first & 0x0F, self.take(size))

    def read_message(self) -> Any:
        """The next frame as a whole message; a question whether we are there is none."""
        taken = self.read_frame()
        while (taken.opcode, taken.payload) == (PING, b""):
            taken = self.read_frame()
        assert (taken.is_final, taken.opcode) == (True, TEXT), taken
        message = json.loads(taken.payload)
        check_message(message)
        return message

    def read_close(self) -> RawFrame:
        """The close frame, whatever messages come before it."""
        while True:
            taken = self.read_frame()
            if taken.opcode == CLOSE:
                return taken

    def wait_for_data(self) -> None:
        """Until there is something to read, without reading it."""
        assert select.select([self.socket], [], [], SECONDS_MAX)[0]

    def read_to_end(self) -> bytes:
        """Everything until the server ends the connection."""
        try:
            while True:
                self._more()
        except (EOFError, ConnectionError):
            rest, self._buffer = bytes(self._buffer), bytearray()
            return rest

    def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _more(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError(f"the server ended the connection; left: {bytes(self._buffer)!r}")
        self._buffer += data


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request's bytes, with a Content-Length if there is a body and no other word on it."""
    fields = dict(headers)
    if body and not {"Content-Length", "Transfer-Encoding"} & set(fields):
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
