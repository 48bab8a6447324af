"""The server on each event loop."""

import sys

import pytest

from tests.protocol.clients import http, open_objects
from tests.support.fixtures import StartServer

ON_UNIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has asyncio's loop alone")


def follow_a_key(server) -> None:
    with open_objects(server) as client:
        client.send({"action": "subscribe", "key": "k"})
        client.send({"action": "set", "key": "k", "value": 1})
        assert client.receive() == {"key": "k", "value": 1}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        pytest.param("auto", "dunena", marks=ON_UNIX),
        ("standard", "asyncio"),
        ("asyncio:new_event_loop", "asyncio"),
        pytest.param("uvloop:new_event_loop", "uvloop", marks=ON_UNIX),
    ],
)
def test_a_server_runs_on_the_chosen_event_loop(
    start_server: StartServer, choice: str, expected: str
) -> None:
    server = start_server("--event-loop", choice)
    assert http(server, "GET", "/info").json["eventLoop"] == expected
    follow_a_key(server)
    server.stop()
