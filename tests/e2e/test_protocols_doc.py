"""The examples in the protocol pages get the documented replies."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import Client, http, open_client, open_dunena, open_objects
from tests.support.documents import (
    ROOT,
    assert_as_written,
    at,
    blocks,
    try_curl_examples,
    try_stream_example,
)
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

PAGES = {
    "protocols": "/ws",
    "dunena": "/ws?protocol=dunena",
    "object-store": "/",
    "operations-on-values": "/",
    "state": "/",
    "channels": "/",
    "sessions": "/",
}
"""And where a connection speaks what the page is about."""

CONVERSATIONS = [(page, text) for page in PAGES for text in blocks(f"docs/{page}.md", "text")]


def test_the_protocol_pages_have_the_expected_number_of_conversations():
    assert [page for page, _ in CONVERSATIONS].count("dunena") == 2
    assert [page for page, _ in CONVERSATIONS].count("object-store") == 3
    assert [page for page, _ in CONVERSATIONS].count("operations-on-values") == 14
    assert [page for page, _ in CONVERSATIONS].count("state") == 3
    assert [page for page, _ in CONVERSATIONS].count("channels") == 1
    assert [page for page, _ in CONVERSATIONS].count("sessions") == 3
    assert len(CONVERSATIONS) == 27


@pytest.mark.parametrize(("page", "text"), CONVERSATIONS)
def test_each_documented_conversation_runs_as_written(server: ServerProcess, page: str, text: str):
    speaks_dunena = PAGES[page] != "/"
    with open_client(server, PAGES[page], speaks_dunena=speaks_dunena) as client:
        for line in text.splitlines():
            mark, _, message = line.partition(" ")
            if line == "(after a second)":
                wait_a_second(server)
            elif mark == ">":
                client.send(message)
            else:
                assert mark == "<"
                assert_as_written(client.receive_text(), message)
        assert client.heard() == []


def wait_a_second(server: ServerProcess) -> None:
    """Wait until a key has expired that lives for a second."""
    with open_dunena(server) as client:
        client.send({"type": "set", "key": "wait", "value": "", "ttl": 1000})
        client.event("wait", "expired")


def test_each_message_of_the_dunena_table_gets_its_documented_reply(server: ServerProcess):
    rows = table_of("dunena")
    assert len(rows) == 9
    with open_dunena(server) as client:
        for message, answer in rows:
            assert_answer(client, message, answer)


def assert_answer(client: Client, message: str, answer: str) -> None:
    if answer == "nothing":
        client.send(message)
        assert [heard for heard in client.heard() if "type" in heard] == []
        return
    reply = client.ask(message)
    assert reply.pop("timestamp") > 0
    assert reply == json.loads(answer.partition("`;")[0].strip("`"))


def test_each_message_of_the_object_store_table_gets_its_documented_reply(server: ServerProcess):
    sent = [json.loads(message) for message, _ in table_of("object-store")]
    assert [message["action"] for message in sent] == [
        "subscribe",
        "set",
        "get",
        "delete",
        "unsubscribe",
    ]
    heard: list[Any] = []
    with open_objects(server) as client:
        for message in sent:
            client.send(message)
            heard.append(client.updates("k"))
    value = {"any": "JSON"}
    assert heard == [[], [value], [value], [None], []]


def table_of(page: str) -> list[tuple[str, str]]:
    """What is sent and what comes back, of the first table of a page."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    return re.findall(r"^\| `(\{.*?\})` \| (.*) \|$", text, re.MULTILINE)


def test_the_curl_examples_print_the_documented_output(server: ServerProcess, curl):
    for entry in (
        {"key": "score", "value": {"home": 2, "guest": 1}},
        {"key": "sponsor", "value": "ACME", "ttl": 60_000},
        {"key": "host", "value": "Ada", "ns": "show"},
    ):
        assert http(server, "POST", "/set", entry).status == 200
    assert try_curl_examples("docs/http.md", server, curl) == 28
    assert try_curl_examples("docs/channels.md", server, curl) == 1


def test_the_stream_example_prints_the_documented_events(server: ServerProcess, curl):
    for key, value in {"score": {"home": 2, "guest": 1}, "sponsor": "ACME", "host": 1}.items():
        assert http(server, "POST", "/set", {"key": key, "value": value}).status == 200
    (example,) = blocks("docs/http.md", "console")
    try_stream_example(example, server, curl)


def test_every_documented_http_path_exists(start_server: StartServer, tmp_path):
    server = start_server("--www", str(tmp_path))
    text = (ROOT / "docs" / "http.md").read_text("utf-8")
    paths = set(re.findall(r"`(?:GET|PUT|PATCH|POST|DELETE) (/[a-z/-]*(?:\.[a-z]+)?)", text))
    assert {"/entries", "/namespaces", "/search", "/server", "/pages-from-disk"} <= paths
    for path in paths:
        probe: Any = http(server, "OPTIONS", f"{path}k" if path.endswith("/") else path)
        assert probe.status == 204, path


@pytest.mark.parametrize("wrong", ['{"a": "x"}', '{"a": 1, "b": 2}', ""])
def test_assert_as_written_rejects_a_differing_message(wrong: str) -> None:
    assert_as_written('{"a": 1}', '{"a": ...}')
    with pytest.raises(AssertionError):
        assert_as_written(wrong, '{"a": ...}')


def test_the_page_without_the_client_follows_a_value(
    server: ServerProcess, node: Path, node_modules: Path
) -> None:
    (example,) = blocks("docs/object-store.md", "js")
    script = f"globalThis.WebSocket = require('ws');\n{at(server, example)}"
    with subprocess.Popen(
        [node, "-e", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NODE_PATH": str(node_modules)},
    ) as process:
        assert process.stdout is not None
        # Set before or after it subscribed, the value comes; the loop ends with the first line.
        http(server, "POST", "/set", {"key": "score", "value": {"home": 2}})
        assert process.stdout.readline() == "score { home: 2 }\n"
        process.kill()


def test_the_python_without_the_client_prints_the_replies(server: ServerProcess) -> None:
    (example,) = blocks("docs/dunena.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", at(server, example)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "connected"
    assert len(lines) == 4
    assert "'ok': True" in done.stdout
    assert "'value': 'hello'" in done.stdout
    assert "'event': 'set'" in done.stdout
