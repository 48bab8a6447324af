"""The JavaScript of both source documents, run in a browser as it is written there.

Every example stands here word for word and is typed into the console of a page that the server
serves; only the port is put in. What the documents say comes back must come back.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import CDPSession, ConsoleMessage, Page

from tests.browser.tab import EXPECT_MS, put
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# --- the dunena document ---

CONNECTING = """\
const ws = new WebSocket("ws://localhost:3000/ws");

ws.onopen = () => console.log("Connected");
ws.onmessage = (e) => console.log(JSON.parse(e.data));
"""

CONNECTED = '{ "type": "connected", "data": { "id": "abc-123-..." }, "timestamp": 1710000000000 }'

PING = """\
// Send
{ "type": "ping" }

// Receive
{ "type": "pong", "timestamp": 1710000000000 }
"""

GET = """\
// Send
{ "type": "get", "key": "mykey" }

// With namespace
{ "type": "get", "key": "mykey", "ns": "sessions" }

// Receive
{ "type": "result", "data": { "key": "mykey", "value": "hello" }, "timestamp": ... }
"""

SET = """\
// Send
{ "type": "set", "key": "mykey", "value": "hello", "ttl": 60000, "ns": "app" }

// Receive
{ "type": "result", "data": { "key": "mykey", "ok": true }, "timestamp": ... }
"""

DEL = """\
// Send
{ "type": "del", "key": "mykey", "ns": "app" }

// Receive
{ "type": "result", "data": { "key": "mykey", "deleted": true }, "timestamp": ... }
"""

MGET = """\
// Send
{ "type": "mget", "keys": ["k1", "k2", "k3"], "ns": "app" }

// Receive
{ "type": "result", "data": { "result": { "k1": "v1", "k2": null, "k3": "v3" } }, "timestamp": ... }
"""

MSET = """\
// Send
{
  "type": "mset",
  "entries": [
    { "key": "k1", "value": "v1" },
    { "key": "k2", "value": "v2", "ttl": 5000 }
  ],
  "ns": "app"
}

// Receive
{ "type": "result", "data": { "stored": 2 }, "timestamp": ... }
"""

SUBSCRIBE = """\
// Subscribe to a channel
{ "type": "subscribe", "channel": "cache-events" }

// Receive confirmation
{ "type": "subscribed", "data": { "channel": "cache-events" }, "timestamp": ... }
"""

UNSUBSCRIBE = """\
// Unsubscribe
{ "type": "unsubscribe", "channel": "cache-events" }
"""

LIVE_EVENT_LISTENER = """\
const ws = new WebSocket("ws://localhost:3000/ws");

ws.onmessage = (e) => {
  const msg = JSON.parse(e.data);

  if (msg.channel === "cache" && msg.event) {
    console.log(`Cache ${msg.event}:`, msg.data);
  }
};
"""

ERROR = '{ "type": "error", "data": "Key contains invalid characters", "timestamp": ... }'

# --- the object-store document ---

OBJECT_STORE_URL = "ws://localhost:3000/ws"

OBJECT_SUBSCRIBE = '{ "action": "subscribe", "key": "some-key" }'
OBJECT_UNSUBSCRIBE = '{ "action": "unsubscribe", "key": "some-key" }'
OBJECT_SET = '{ "action": "set", "key": "some-key", "value": { "foo": "bar" } }'
OBJECT_GET = '{ "action": "get", "key": "some-key" }'
OBJECT_UPDATE = '{ "key": "some-key", "value": { "foo": "bar" } }'
OBJECT_ERROR = '{ "error": "Invalid message format" }'
OBJECT_POST = '{"key": "some-key", "value": {...}}'

OBJECT_EXAMPLE_CONNECT = """\
const ws = new WebSocket('ws://localhost:3000');
"""

OBJECT_EXAMPLE_USE = """\
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

# --- a console to type them into ---


class Console:
    """The console of a browser's developer tools: lines in, logged values out, in order."""

    def __init__(self, page: Page, tools: CDPSession, port: int) -> None:
        self._page = page
        self._tools = tools
        self._port = port
        self._logged: list[ConsoleMessage] = []
        self._read = 0
        page.on("console", self._log)

    def type(self, code: str) -> Any:
        """Run code as typed at the prompt; its value, awaited if it is a promise."""
        answer = self._tools.send(
            "Runtime.evaluate",
            {
                "expression": code.replace("localhost:3000", f"localhost:{self._port}"),
                "replMode": True,
                "awaitPromise": True,
                "returnByValue": True,
            },
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def next_logged(self) -> list[Any]:
        """The values of the next `console.log`, waiting for it."""
        if self._read == len(self._logged):
            self._page.wait_for_event("console", timeout=EXPECT_MS)
        message = self._logged[self._read]
        self._read += 1
        assert message.type == "log", message.text
        return [argument.json_value() for argument in message.args]

    def close(self) -> None:
        """Leave the page, with all that the lines began."""
        self._page.remove_listener("console", self._log)
        self._page.goto("about:blank")

    def _log(self, message: ConsoleMessage) -> None:
        self._logged.append(message)

    def wait_until_open(self) -> None:
        """What a person at the prompt does without thinking.

        A browser refuses `send` before the connection stands, with any server.
        """
        self.type(
            "await new Promise((open) => ws.readyState === 1 ? open()"
            " : ws.addEventListener('open', open))"
        )

    def send(self, message: str) -> None:
        """Send a message written as in the document."""
        self.type(f"ws.send(JSON.stringify(\n{message}\n))")


@pytest.fixture(scope="module")
def page(browser: "Browser") -> Iterator[Page]:
    """One page for the module: a new one costs a test more than most tests take."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def tools(page: Page) -> CDPSession:
    """The developer tools of that page."""
    return page.context.new_cdp_session(page)


@pytest.fixture
def console(page: Page, tools: CDPSession, shared_server: ServerProcess) -> Iterator[Console]:
    """The console of the test page at the name that the documents use, and an empty store."""
    page.goto(f"http://localhost:{shared_server.port}/test")
    console = Console(page, tools, shared_server.port)
    console.type("await fetch('/flush', { method: 'POST' })")
    yield console
    console.close()


@pytest.fixture
def connected(console: Console) -> Console:
    """A console in which the dunena document's connection stands and its greeting is read."""
    console.type(CONNECTING)
    assert console.next_logged() == ["Connected"]
    [greeting] = console.next_logged()
    expected = _expected(CONNECTED)
    assert set(greeting) == set(expected)
    assert greeting["type"] == expected["type"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", greeting["data"]["id"])
    return console


def test_the_connecting_example_opens_a_connection(connected: Console) -> None:
    assert connected.type("ws.readyState") == 1


def _no_preparation(_server: ServerProcess) -> None:
    pass


def _mykey(server: ServerProcess) -> None:
    put(server, "mykey", "hello")
    put(server, "mykey", "hello", ns="sessions")
    put(server, "mykey", "hello", ns="app")


def _k1_and_k3(server: ServerProcess) -> None:
    put(server, "k1", "v1", ns="app")
    put(server, "k3", "v3", ns="app")


@pytest.mark.parametrize(
    ("example", "prepare"),
    [
        pytest.param(PING, _no_preparation, id="ping"),
        pytest.param(GET, _mykey, id="get"),
        pytest.param(SET, _no_preparation, id="set"),
        pytest.param(DEL, _mykey, id="del"),
        pytest.param(MGET, _k1_and_k3, id="mget"),
        pytest.param(MSET, _no_preparation, id="mset"),
        pytest.param(SUBSCRIBE, _no_preparation, id="subscribe"),
    ],
)
def test_each_message_of_the_dunena_document_gets_its_documented_reply(
    console: Console,
    shared_server: ServerProcess,
    example: str,
    prepare: Callable[[ServerProcess], None],
) -> None:
    prepare(shared_server)
    console.type(CONNECTING)
    assert console.next_logged() == ["Connected"]
    assert console.next_logged()[0]["type"] == "connected"
    *requests, received = _parts(example)
    for request in requests:
        console.send(request)
        _assert_received(_next_reply(console), received)


def test_unsubscribe_ends_the_events_and_has_no_reply(
    connected: Console, shared_server: ServerProcess
) -> None:
    connected.send(UNSUBSCRIBE)
    connected.send(_parts(PING)[0])
    assert connected.next_logged()[0]["type"] == "pong"
    put(shared_server, "unheard", 1)
    connected.send(_parts(PING)[0])
    assert connected.next_logged()[0]["type"] == "pong"


def test_the_error_of_the_dunena_document_is_answered_as_documented(connected: Console) -> None:
    connected.send('{ "type": "get", "key": "ключ" }')
    _assert_received(_next_reply(connected), ERROR)


def test_the_live_event_listener_logs_each_event(
    console: Console, shared_server: ServerProcess
) -> None:
    console.type(LIVE_EVENT_LISTENER)
    # The greeting is queued with the subscription: once the connection stands, events come.
    console.wait_until_open()
    put(shared_server, "watched", "four")
    assert console.next_logged() == ["Cache set:", {"key": "watched", "size": 4}]
    console.send('{ "type": "del", "key": "watched" }')
    assert console.next_logged() == ["Cache delete:", {"key": "watched"}]
    put(shared_server, "brief", "x", ttl=1)
    assert console.next_logged() == ["Cache set:", {"key": "brief", "size": 1}]
    assert console.next_logged() == ["Cache expired:", {"key": "brief"}]
    console.type("fetch('/flush', { method: 'POST' })")
    assert console.next_logged() == ["Cache clear:", {}]


def test_the_example_of_the_object_store_document_logs_the_documented_updates(
    console: Console, shared_server: ServerProcess
) -> None:
    console.type(OBJECT_EXAMPLE_CONNECT)
    console.wait_until_open()
    console.type(OBJECT_EXAMPLE_USE)
    assert console.next_logged() == ["player-position", {"x": 100, "y": 200}]
    put(shared_server, "player-position", {"x": 101, "y": 200})
    assert console.next_logged() == ["player-position", {"x": 101, "y": 200}]


def test_the_messages_of_the_object_store_document_get_the_documented_replies(
    console: Console,
) -> None:
    console.type(f'const ws = new WebSocket("{OBJECT_STORE_URL}?protocol=object-store")')
    console.type("ws.onmessage = (e) => console.log(JSON.parse(e.data))")
    console.wait_until_open()
    update = json.loads(OBJECT_UPDATE)

    console.send(OBJECT_SUBSCRIBE)
    console.send(OBJECT_SET)
    assert console.next_logged() == [update]
    console.send(OBJECT_GET)
    assert console.next_logged() == [update]
    console.send(OBJECT_SUBSCRIBE)  # the current value at once
    assert console.next_logged() == [update]
    console.send(OBJECT_UNSUBSCRIBE)
    console.send(OBJECT_SET)
    console.send('{ "action": "jump" }')
    assert console.next_logged() == [json.loads(OBJECT_ERROR)]


def test_the_url_of_the_object_store_document_accepts_its_messages(console: Console) -> None:
    console.type(f'const ws = new WebSocket("{OBJECT_STORE_URL}")')
    # Who gives no hint is greeted in the other dialect; a client of this one looks for its keys.
    console.type(
        """ws.onmessage = (e) => {
          const data = JSON.parse(e.data);
          if ("key" in data) console.log(data);
        }"""
    )
    console.wait_until_open()
    console.send(OBJECT_SET)
    console.send(OBJECT_GET)
    assert console.next_logged() == [json.loads(OBJECT_UPDATE)]


def test_the_http_requests_of_the_object_store_document_are_answered_as_documented(
    console: Console,
) -> None:
    body = OBJECT_POST.replace("{...}", '{"foo": "bar"}')
    console.type(f"const set = await fetch('/set', {{ method: 'POST', body: '{body}' }})")
    assert console.type("set.status") == 200
    assert console.type("await set.json()") == json.loads(body)
    assert console.type("await (await fetch('/get/some-key')).json()") == json.loads(OBJECT_UPDATE)
    assert console.type("(await fetch('/test')).status") == 200


# --- reading the documents ---


def _parts(example: str) -> list[str]:
    """What stands below each comment line of an example."""
    return [part.strip() for part in re.split(r"^//.*$", example, flags=re.MULTILINE)[1:]]


def _expected(received: str) -> dict[str, Any]:
    return json.loads(received.replace('"timestamp": ...', '"timestamp": 0'))


def _next_reply(console: Console) -> dict[str, Any]:
    """The next message that is no event."""
    while "channel" in (message := console.next_logged()[0]):
        pass
    return message


def _assert_received(message: dict[str, Any], received: str) -> None:
    """All as written, but for the time, which is now."""
    assert message == {**_expected(received), "timestamp": message["timestamp"]}
    assert abs(message["timestamp"] - time.time() * 1000) < 60_000
