"""The server on either event loop."""

import importlib.util
import sys

import pytest

from tests.protocol.clients import http, open_objects
from tests.support.fixtures import StartServer


@pytest.mark.parametrize("choice", ["auto", "standard"])
def test_a_server_runs_on_the_chosen_event_loop(start_server: StartServer, choice: str) -> None:
    server = start_server("--event-loop", choice)
    is_fast = choice == "auto" and importlib.util.find_spec("uvloop") is not None
    assert sys.platform == "win32" or choice == "standard" or is_fast, "the tests need uvloop"
    expected = "uvloop" if is_fast else "asyncio"
    assert http(server, "GET", "/info").json["eventLoop"] == expected
    with open_objects(server) as client:
        client.send({"action": "subscribe", "key": "k"})
        client.send({"action": "set", "key": "k", "value": 1})
        assert client.receive() == {"key": "k", "value": 1}
    server.stop()


def test_a_server_without_uvloop_runs_on_asyncio(start_server: StartServer, tmp_path) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError", encoding="utf-8")
    server = start_server(environment={"PYTHONPATH": str(tmp_path)})
    assert http(server, "GET", "/info").json["eventLoop"] == "asyncio"
