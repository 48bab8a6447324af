"""The npm package eventsource, a client of server-sent events that shares no code with dunena."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocol.clients import http
from tests.support.cutting_proxy import CuttingProxy
from tests.support.fixtures import StartServer
from tests.support.node_client import NodeClient
from tests.support.server import ServerProcess

FOLLOW = """
const path = "file://" + modules + "/eventsource/dist/index.js";
const { EventSource } = await import(path);
state.told = [];
state.source = new EventSource(url);
for (const kind of ["update", "value", "gone", "message"])
  state.source.addEventListener(kind, ({ data, lastEventId }) =>
    state.told.push([kind, JSON.parse(data), lastEventId]));
state.opened = 0;
state.source.onopen = () => { state.opened += 1; };
"""


@pytest.fixture
def client(node: Path, node_modules: Path, tmp_path: Path) -> Iterator[NodeClient]:
    with NodeClient(node, node_modules, tmp_path / "node") as client:
        client.run(f"state.modules = {str(node_modules)!r}")
        yield client
        client.run("state.source?.close()")


def follow(client: NodeClient, url: str) -> None:
    client.run(f"const url = {url!r}, modules = state.modules; {FOLLOW}")


def told(client: NodeClient, count: int) -> list:
    """The first events, each with its position."""
    return client.run(f"await until(() => state.told.length >= {count}); return state.told")


def put(server: ServerProcess, key: str, value: object) -> None:
    assert http(server, "POST", "/set", {"key": key, "value": value}).status == 200


def test_it_goes_on_where_it_was_when_its_connection_is_cut(
    client: NodeClient, server: ServerProcess
) -> None:
    put(server, "a", 1)
    with CuttingProxy(int(server.url.rpartition(":")[2])) as proxy:
        follow(client, f"{proxy.url}/watch?pattern=*")
        (first,) = told(client, 1)
        assert first[0] == "update"
        assert first[1]["reset"]
        epoch = first[1]["epoch"]
        for number in range(2, 5):
            proxy.hold_answers()
            put(server, "b", number)
            proxy.cut()
            put(server, "c", number)
            while True:  # the event of `c` may be apart from that of `b`
                events = told(client, 2)
                latest = {c["key"]: c["value"] for event in events for c in event[1]["changes"]}
                if latest.get("b") == latest.get("c") == number:
                    break
        assert not any(event[1].get("reset") for event in events[1:])
        assert all(position == f"{epoch}-{update['rev']}" for _, update, position in events)
        changes = [(c["key"], c["rev"]) for event in events for c in event[1]["changes"]]
        assert len(changes) == len(set(changes)), "nothing was told twice"
        assert client.run("return state.opened") == 4


def test_it_goes_on_after_a_restart_of_the_server(
    client: NodeClient, server: ServerProcess
) -> None:
    follow(client, f"{server.url}/watch?key=k")
    told(client, 1)
    server.restart()
    put(server, "k", 1)
    client.run("await until(() => state.told.some((told) => told[1].changes.length))")
    assert client.run("return state.told.at(-1)[1].changes[0].value") == 1


@pytest.mark.parametrize("value", ["two\nlines\r\nthree\u2028", "", {"a": [None]}, 0])
def test_it_gets_a_value_as_it_is(
    client: NodeClient, start_server: StartServer, value: object
) -> None:
    server = start_server("--no-persist")
    follow(client, f"{server.url}/watch?key=k&format=value")
    assert [event[:2] for event in told(client, 1)] == [["gone", None]]
    put(server, "k", value)
    assert told(client, 2)[1][:2] == ["value", value]


def test_it_gives_up_after_an_answer_that_is_no_stream(
    client: NodeClient, server: ServerProcess
) -> None:
    follow(client, f"{server.url}/watch?key=a&since=wrong")
    client.run("await until(() => state.source.readyState === 2)")
    assert client.run("return state.told") == []
