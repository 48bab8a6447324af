"""The attacks of `flood.py`, one in a process: python flood_attacks.py NAME PORT SECONDS.

Each is bounded in connections, bytes and time, and only ever speaks to this machine.
"""

import base64
import json
import os
import socket
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection

from websockets.frames import Frame, Opcode

TOKEN = "the-token-of-this-benchmark"
HOST = "127.0.0.1"
SHOWN = f"Authorization: Bearer {TOKEN}\r\n"
GET_FRAME = Frame(Opcode.TEXT, b'{"action":"get","key":"absent"}').serialize(mask=True)
FOUND = b"\x81\x1d" + b'{"key":"absent","value":null}'
WRITE_BYTES = 256 * 1024
LARGE_VALUES = 12  # of 4 MB less a bit
WAIT_SECONDS_MAX = 40.0

Run = Callable[[int, float], None]
"""Attack a port until a time of `time.monotonic`."""


@dataclass(frozen=True)
class Attack:
    """``options`` are the server's; ``large_values`` are stored before."""

    name: str
    run: Run
    options: tuple[str, ...] = ()
    large_values: int = 0


# --- connections ---


def connect(port: int) -> socket.socket:
    """A socket; one that is not read blocks for a second at most."""
    connection = socket.create_connection((HOST, port), 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def open_websocket(port: int, extra: str = "") -> socket.socket:
    """A connection of the object-store dialect."""
    connection = connect(port)
    connection.settimeout(WAIT_SECONDS_MAX)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"{SHOWN}{extra}\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert b" 101 " in head, head
    return connection


def fill(port: int, attack: Attack) -> None:
    """Store what the attack asks for."""
    for number in range(attack.large_values):
        client = HTTPConnection(HOST, port, timeout=WAIT_SECONDS_MAX)
        body = json.dumps({"key": f"large{number}", "value": "x" * 4_190_000})
        client.request("POST", "/set", body, {"Authorization": f"Bearer {TOKEN}"})
        assert client.getresponse().status == 200
        client.close()


def pour(connection: socket.socket, data: bytes, until: float) -> None:
    """Send the same over and over, as fast as it is taken."""
    connection.settimeout(0.2)
    at = 0
    while time.monotonic() < until:
        with suppress(TimeoutError):
            at = (at + connection.send(data[at:])) % len(data)


def wait(until: float) -> None:
    """Keep everything as it is."""
    time.sleep(max(0.0, until - time.monotonic()))


# --- attacks ---


def poured(frame: bytes, first: bytes = b"") -> Run:
    """One WebSocket that sends a frame without end and reads nothing."""

    def run(port: int, until: float) -> None:
        with open_websocket(port) as connection:
            connection.sendall(first)
            pour(connection, frame * (WRITE_BYTES // len(frame)), until)

    return run


def silent(_port: int, until: float) -> None:
    """Nothing at all."""
    wait(until)


def inflate(port: int, until: float) -> None:
    """Four connections, 3.7 MB in all, a thousand times that inflated."""
    machine = zlib.compressobj(9, wbits=-15)
    data = machine.compress(b" " * 4_000_000) + machine.flush(zlib.Z_SYNC_FLUSH)
    plain = Frame(Opcode.TEXT, data.removesuffix(b"\x00\x00\xff\xff")).serialize(mask=True)
    frame = bytes([plain[0] | 0x40]) + plain[1:]
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
    connections = [open_websocket(port, offer) for _ in range(4)]
    for _ in range(3_700_000 // len(frame) // 4):
        for connection in connections:
            connection.sendall(frame)
    wait(until)


def messages(port: int, until: float) -> None:
    """Forty messages that do not end."""
    connections = [open_websocket(port) for _ in range(40)]
    size = 24_000_000
    head = bytes([0x81, 0xFF]) + size.to_bytes(8, "big") + bytes(4)
    for connection in connections:
        with suppress(OSError):
            connection.sendall(head + bytes(size - 1000))
    wait(until)


def subscriptions(port: int, until: float) -> None:
    """One connection after another that follows 100,000 keys and is gone."""
    follow = [
        _masked(Opcode.TEXT, b'{"action":"subscribe","key":"%d"}' % number)
        for number in range(100_000)
    ]
    everything = b"".join(follow) + GET_FRAME
    while time.monotonic() < until:
        with open_websocket(port) as connection:
            connection.sendall(everything)
            connection.recv(1)


def bodies(port: int, until: float) -> None:
    """Twenty bodies that do not end, without a token."""
    connections = [connect(port) for _ in range(20)]
    head = b"POST /set HTTP/1.1\r\nHost: localhost\r\nContent-Length: 25000000\r\n\r\n"
    for connection in connections:
        with suppress(OSError):
            connection.sendall(head)
            connection.sendall(bytes(24_000_000))
    wait(until)


def chunks(port: int, until: float) -> None:
    """A body in chunks of two bytes, without a token, for a path that does not exist."""
    with connect(port) as connection:
        connection.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        with suppress(OSError):
            pour(connection, b"2\r\nxx\r\n" * (WRITE_BYTES // 7), until)
    wait(until)


def heads(port: int, until: float) -> None:
    """A thousand heads that do not end."""
    connections = []
    for _ in range(900):
        connections.append(connect(port))
        with suppress(OSError):
            connections[-1].sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 60_000)
    wait(until)


def offers(port: int, until: float) -> None:
    """Ten connections with 600 pipelined offers of HTTP/2 each, without a token."""
    offer = b"GET /keys HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    connections = [connect(port) for _ in range(10)]
    for connection in connections:
        with suppress(OSError):
            connection.sendall(offer * 600)
    wait(until)


def requests(port: int, until: float) -> None:
    """One connection that pipelines requests without a token."""
    with connect(port) as connection:
        request = b"GET /keys HTTP/1.1\r\nHost: localhost\r\n\r\n"
        data = request * (WRITE_BYTES // len(request))
        while time.monotonic() < until:
            connection.sendall(data)
            connection.settimeout(5)
            connection.recv(1 << 22)


def unread(count: int) -> Run:
    """Ten connections that ask for so many large values at once, and read nothing."""

    def run(port: int, until: float) -> None:
        keys = [f"large{number}" for number in range(count)]
        message = json.dumps({"type": "mget", "keys": keys}).encode()
        extra = "Sec-WebSocket-Protocol: dunena\r\n"
        connections = [open_websocket_of_dunena(port, extra) for _ in range(10)]
        for connection in connections:
            connection.sendall(Frame(Opcode.TEXT, message).serialize(mask=True) * 3)
        wait(until)

    return run


def open_websocket_of_dunena(port: int, extra: str) -> socket.socket:
    """The same, of the other dialect."""
    connection = connect(port)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"{SHOWN}{extra}\r\n".encode()
    )
    assert b" 101 " in connection.recv(1000)
    return connection


def _masked(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


_SET = b'{"action":"set","key":"k","value":1}'
ATTACKS = [
    Attack("nothing", silent),
    Attack(
        "empty continuation frames",
        poured(_masked(Opcode.CONT, b"", fin=False), _masked(Opcode.TEXT, b"{", fin=False)),
    ),
    Attack("`set`s without replies", poured(_masked(Opcode.TEXT, _SET))),
    Attack(
        "messages in two frames",
        poured(_masked(Opcode.TEXT, _SET[:9], fin=False) + _masked(Opcode.CONT, _SET[9:])),
    ),
    Attack("pings, replies unread", poured(_masked(Opcode.PING, b""))),
    Attack("`--compression`, 3.7 MB from four", inflate, ("--compression",)),
    Attack("40 unfinished messages of 24 MB", messages),
    Attack("100,000 subscriptions, then gone", subscriptions),
    Attack("20 unfinished bodies, no token", bodies),
    Attack("a body in chunks of 2 bytes, no token", chunks),
    Attack("900 unfinished heads, no token", heads),
    Attack("600 pipelined `Upgrade: h2c`, ten times, no token", offers),
    Attack("pipelined requests, no token", requests),
    Attack("`mget` of 50 MB, ten do not read", unread(12), large_values=LARGE_VALUES),
    Attack("`mget` of 8 MB, ten do not read", unread(2), large_values=LARGE_VALUES),
]


def main() -> None:
    """Carry out one attack."""
    name, port, seconds = sys.argv[1:]
    os.setpriority(os.PRIO_PROCESS, 0, 5)  # whoever measures comes first
    run = next(attack.run for attack in ATTACKS if attack.name == name)
    print("begun", flush=True)
    run(int(port), time.monotonic() + float(seconds))


if __name__ == "__main__":
    main()
