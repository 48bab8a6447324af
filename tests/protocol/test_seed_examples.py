"""Every example of the two documents that dunena follows, run as written.

Code runs in Node with the package `ws` for the browser's WebSocket; only the port is another.
The placeholders of the documents (`...` for a time, an id that is cut off) are what may differ.
"""

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import SECONDS_MAX, Client, http, now_ms, open_client, open_dunena
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

PRELUDE = "globalThis.WebSocket = require('ws');\n"

EPILOGUE = "\nsetTimeout(() => {}, 30000);\n"
"""The examples end when the test has seen what it wants: a page would stay open too."""


class NodeProgram:
    """An example that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._output = b""

    def line(self) -> str:
        """The next line it prints."""
        output = self._process.stdout
        assert output is not None
        deadline = time.monotonic() + SECONDS_MAX
        while b"\n" not in self._output:
            if os.name != "nt":  # Windows cannot select pipes: there the suite's limit ends it
                ready = select.select([output], [], [], deadline - time.monotonic())[0]
                assert ready, f"no more lines; so far {self._output!r}"
            data = os.read(output.fileno(), 65_536)
            assert data, f"it ended; its last words: {self._output!r}"
            self._output += data
        line, _, self._output = self._output.partition(b"\n")
        return line.decode()


class Runner:
    """Runs examples against one server."""

    def __init__(self, server: ServerProcess, node: Path, node_modules: Path) -> None:
        self.server = server
        self._node = node
        self._node_modules = node_modules

    @contextmanager
    def run(self, example: str) -> Iterator[NodeProgram]:
        """An example from a document; its port is replaced, and nothing else."""
        assert "localhost:3000" in example
        code = example.replace("localhost:3000", f"localhost:{self.server.port}")
        process = subprocess.Popen(
            [self._node, "-e", PRELUDE + code + EPILOGUE],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NODE_PATH": str(self._node_modules)},
        )
        try:
            yield NodeProgram(process)
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def runner(server: ServerProcess, node: Path, node_modules: Path) -> Runner:
    """On a server of its own: on a shared one, an earlier test's client may not be gone yet."""
    return Runner(server, node, node_modules)


# --- the dunena document: code ---

CONNECTING = """\
const ws = new WebSocket("ws://localhost:3000/ws");

ws.onopen = () => console.log("Connected");
ws.onmessage = (e) => console.log(JSON.parse(e.data));
"""

LISTENER = """\
const ws = new WebSocket("ws://localhost:3000/ws");

ws.onmessage = (e) => {
  const msg = JSON.parse(e.data);

  if (msg.channel === "cache" && msg.event) {
    console.log(`Cache ${msg.event}:`, msg.data);
  }
};
"""


def test_the_connecting_example_prints_the_greeting(runner: Runner):
    with runner.run(CONNECTING) as program:
        assert program.line() == "Connected"
        shown = ""
        while not shown.endswith("}"):
            shown = f"{shown} {program.line().strip()}".strip()
        identity = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        assert re.fullmatch(
            rf"\{{ type: 'connected', data: \{{ id: '{identity}' \}}, timestamp: \d{{13}} \}}",
            shown,
        )


def test_the_event_listener_example_prints_each_event(runner: Runner):
    server = runner.server
    with runner.run(LISTENER) as program:
        wait_for_listener(server)
        http(server, "POST", "/cache/mykey", {"value": "hello"})
        assert program.line() == "Cache set: { key: 'mykey', size: 5 }"
        http(server, "DELETE", "/cache/mykey")
        assert program.line() == "Cache delete: { key: 'mykey' }"
        http(server, "POST", "/cache/mykey", {"value": "hello", "ttl": 20})
        assert program.line() == "Cache set: { key: 'mykey', size: 5 }"
        assert program.line() == "Cache expired: { key: 'mykey' }"
        http(server, "POST", "/flush")
        assert program.line() == "Cache clear: {}"


def wait_for_listener(server: ServerProcess) -> None:
    """The example says nothing when it is connected: the server does."""
    deadline = time.monotonic() + SECONDS_MAX
    while http(server, "GET", "/info").json["connections"] < 1:
        assert time.monotonic() < deadline, "the example did not connect"
        time.sleep(0.01)


# --- the dunena document: messages ---

MESSAGES = [
    ('{ "type": "ping" }', '{ "type": "pong", "timestamp": 1710000000000 }'),
    (
        '{ "type": "get", "key": "mykey" }',
        '{ "type": "result", "data": { "key": "mykey", "value": "hello" }, "timestamp": ... }',
    ),
    (
        '{ "type": "get", "key": "mykey", "ns": "sessions" }',
        '{ "type": "result", "data": { "key": "mykey", "value": "hello" }, "timestamp": ... }',
    ),
    (
        '{ "type": "set", "key": "mykey", "value": "hello", "ttl": 60000, "ns": "app" }',
        '{ "type": "result", "data": { "key": "mykey", "ok": true }, "timestamp": ... }',
    ),
    (
        '{ "type": "del", "key": "mykey", "ns": "app" }',
        '{ "type": "result", "data": { "key": "mykey", "deleted": true }, "timestamp": ... }',
    ),
    (
        '{ "type": "mget", "keys": ["k1", "k2", "k3"], "ns": "app" }',
        """{ "type": "result",
  "data": { "result": { "k1": "v1", "k2": null, "k3": "v3" } }, "timestamp": ... }""",
    ),
    (
        """{
  "type": "mset",
  "entries": [
    { "key": "k1", "value": "v1" },
    { "key": "k2", "value": "v2", "ttl": 5000 }
  ],
  "ns": "app"
}""",
        '{ "type": "result", "data": { "stored": 2 }, "timestamp": ... }',
    ),
    (
        '{ "type": "subscribe", "channel": "cache-events" }',
        '{ "type": "subscribed", "data": { "channel": "cache-events" }, "timestamp": ... }',
    ),
]


@pytest.fixture
def as_in_the_document(shared_server: ServerProcess) -> Iterator[Client]:
    """A client of a server that holds what the examples take for granted."""
    http(shared_server, "POST", "/flush")
    with open_dunena(shared_server) as client:
        for where in ({}, {"ns": "sessions"}, {"ns": "app"}):
            client.ask({"type": "set", "key": "mykey", "value": "hello", **where})
        for key, value in (("k1", "v1"), ("k3", "v3")):
            client.ask({"type": "set", "key": key, "value": value, "ns": "app"})
        client.heard()
        yield client


@pytest.mark.parametrize(("send", "receive"), MESSAGES)
def test_each_message_example_gets_the_documented_reply(
    as_in_the_document: Client, send: str, receive: str
):
    reply = as_in_the_document.ask(send)
    wanted = json.loads(receive.replace("...", "0"))
    assert abs(reply.pop("timestamp") - now_ms()) < SECONDS_MAX * 1000
    del wanted["timestamp"]
    assert reply == wanted


def test_the_unsubscribe_example_gets_no_reply(as_in_the_document: Client):
    as_in_the_document.send('{ "type": "unsubscribe", "channel": "cache-events" }')
    assert as_in_the_document.heard() == []


def test_the_error_example_is_answered_as_documented(as_in_the_document: Client):
    wanted = json.loads(
        '{ "type": "error", "data": "Key contains invalid characters", "timestamp": ... }'.replace(
            "...", "0"
        )
    )
    error = as_in_the_document.ask({"type": "get", "key": "ключ"})
    assert set(error) == set(wanted)
    assert (error["type"], error["data"]) == (wanted["type"], wanted["data"])


@pytest.mark.parametrize(
    ("send", "said"),
    [
        ("not JSON", "Invalid JSON"),
        ('{"type":"get","key":""}', "Key must not be empty"),
        ('{"type":"get","key":"\\u0001"}', "Key contains invalid characters"),
        ('{"type":"set","key":"k","value":1}', "Value must be a string"),
        (
            '{"type":"set","key":"k","value":"v","ttl":-1}',
            "TTL must be a non-negative integer",
        ),
        (
            '{"type":"set","key":"k","value":"v","ttl":1.5}',
            "TTL must be a non-negative integer",
        ),
        ('{"type":"zap"}', "Unknown message type: zap"),
    ],
)
def test_the_common_errors_are_answered_as_documented(
    as_in_the_document: Client, send: str, said: str
):
    as_in_the_document.ask({"type": "ping"})
    error = as_in_the_document.ask(send)
    assert (error["type"], error["data"]) == ("error", said)


# --- the object-store document: code ---

EXAMPLE = """\
const ws = new WebSocket('ws://localhost:3000');

// Subscribe
ws.send(JSON.stringify({
  action: 'subscribe',
  key: 'player-position'
}));

// Set value (all subscribers get notified)
ws.send(JSON.stringify({
  action: 'set',
  key: 'player-position',
  value: { x: 100, y: 200 }
}));

// Receive updates
ws.onmessage = (event) => {
  const data = JSON.parse(event.data);
  console.log(data.key, data.value);
};
"""

WAIT_FOR_OPEN = """\
globalThis.WebSocket = class extends WebSocket {
  send(data) {
    if (this.readyState === this.OPEN) super.send(data);
    else this.once('open', () => super.send(data));
  }
};
"""
"""The example sends before the connection is open, which no WebSocket permits. Its text stays as it
is; `send` waits for it."""


def test_the_object_store_example_prints_the_documented_output(
    start_server: StartServer, node: Path, node_modules: Path
):
    runner = Runner(start_server(), node, node_modules)
    with runner.run(WAIT_FOR_OPEN + EXAMPLE) as program:
        assert program.line() == "player-position { x: 100, y: 200 }"
        update = {"key": "player-position", "value": {"x": 1, "y": [2]}}
        http(runner.server, "POST", "/set", update)
        assert program.line() == "player-position { x: 1, y: [ 2 ] }"
        http(runner.server, "POST", "/cache/player-position", {"value": "text"})
        assert program.line() == "player-position text"
        http(runner.server, "DELETE", "/cache/player-position")
        assert program.line() == "player-position null"


# --- the object-store document: messages, at the address it gives ---


@pytest.fixture
def at_its_address(shared_server: ServerProcess) -> Iterator[Client]:
    """A client that connected to /ws without a hint, as the document says."""
    http(shared_server, "POST", "/flush")
    with open_client(shared_server, "/ws", speaks_dunena=False) as client:
        # It is greeted before it could show its dialect; the document's code would log that.
        assert client.receive()["type"] == "connected"
        yield client


UPDATE = '{ "key": "some-key", "value": { "foo": "bar" } }'


def test_the_object_store_messages_are_answered_as_documented(at_its_address: Client):
    client = at_its_address
    client.send('{ "action": "subscribe", "key": "some-key" }')
    client.send('{ "action": "set", "key": "some-key", "value": { "foo": "bar" } }')
    assert client.receive() == json.loads(UPDATE)
    client.send('{ "action": "get", "key": "some-key" }')
    assert client.receive() == json.loads(UPDATE)
    client.send('{ "action": "unsubscribe", "key": "some-key" }')
    client.send('{ "action": "set", "key": "some-key", "value": { "foo": "bar" } }')
    assert client.heard() == []
    client.send('{ "action": "subscribe", "key": "some-key" }')
    assert client.receive() == json.loads(UPDATE), "the current value at once"


def test_the_object_store_error_is_answered_as_documented(at_its_address: Client):
    at_its_address.send('{ "action": "get", "key": "some-key" }')
    at_its_address.receive()
    for wrong in ("{", '{ "action": "zap" }', '{ "action": "get" }'):
        assert at_its_address.ask(wrong) == json.loads('{ "error": "Invalid message format" }')


# --- the object-store document: HTTP, by curl ---


def run_curl(curl: Path, *arguments: str) -> Any:
    command = [curl, "-sS", "--fail", "--max-time", "20", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    return json.loads(done.stdout)


def test_the_http_endpoints_answer_curl_as_documented(shared_server: ServerProcess, curl: Path):
    site = f"http://localhost:{shared_server.port}"
    body = '{"key": "some-key", "value": {"foo": "bar"}}'
    content_type = "Content-Type: application/json"
    stored = run_curl(curl, "-X", "POST", f"{site}/set", "-H", content_type, "-d", body)
    assert stored == json.loads(body)
    assert run_curl(curl, f"{site}/get/some-key") == json.loads(body)


def test_the_test_page_is_served_to_curl(shared_server: ServerProcess, curl: Path):
    url = f"http://localhost:{shared_server.port}/test"
    command = [curl, "-sS", "--fail", "--max-time", "20", url]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    assert b"WebSocket" in done.stdout or b"<script" in done.stdout


# --- the object-store document: persistence ---


def test_each_key_is_stored_as_a_json_file_of_its_name(tmp_path: Path):
    folder = tmp_path / "path" / "to" / "cache"
    server = ServerProcess(None, environment={"CACHE_DIR": str(folder)})
    with server:
        value = {"x": 100, "y": 200}
        http(server, "POST", "/set", {"key": "player-position", "value": value})
        server.restart()
        assert http(server, "GET", "/get/player-position").json["value"] == value
    text = (folder / "player-position.json").read_text("utf-8")
    assert text == '{\n  "x": 100,\n  "y": 200\n}'
