"""The dialect of a connection: by its messages, subprotocol, query and the server's setting."""

from typing import Any

import pytest

from tests.protocol.clients import (
    Client,
    Clients,
    RawConnection,
    is_event,
    now_ms,
    open_client,
    timestamps_from,
    unique,
)
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

GREETING = "connected"
NOT_UNDERSTOOD = {"error": "Invalid message format"}


def make_a_change(clients: Clients) -> str:
    """Set some key by another client, and wait until everybody was told."""
    key = unique()
    clients.dunena().ask({"type": "set", "key": key, "value": "v"})
    return key


def is_greeted(client: Client) -> bool:
    """Whether a new client is treated as dunena's document says."""
    heard = client.heard()
    assert len(heard) <= 1
    return [message["type"] for message in heard] == [GREETING]


# --- without a hint ---


def test_a_client_that_sends_no_message_gets_greeting_and_events(clients: Clients):
    silent = clients.any()
    key = make_a_change(clients)
    assert silent.receive()["type"] == GREETING
    assert silent.event(key)["event"] == "set"


def test_a_first_action_message_ends_the_events(clients: Clients):
    client = clients.dunena()
    key = unique()
    assert client.ask({"action": "get", "key": key}) == {"key": key, "value": None}
    make_a_change(clients)
    assert client.heard() == []


def test_a_first_set_action_sends_no_event_to_its_sender(clients: Clients):
    client = clients.dunena()
    client.send({"action": "set", "key": unique(), "value": 1})
    assert client.heard() == []


def test_an_invalid_first_action_ends_the_events(clients: Clients):
    client = clients.dunena()
    assert client.ask({"action": "nonsense"}) == NOT_UNDERSTOOD
    make_a_change(clients)
    assert client.heard() == []


def test_an_action_after_a_type_message_does_not_end_the_events(clients: Clients):
    client = clients.dunena()
    client.ask({"type": "ping"})
    client.ask({"action": "get", "key": unique()})
    key = make_a_change(clients)
    assert len(client.events(key)) == 1


def test_a_client_can_subscribe_to_events_after_an_action(clients: Clients):
    client = clients.dunena()
    client.ask({"action": "get", "key": unique()})
    client.ask({"type": "subscribe", "channel": "cache-events"})
    key = make_a_change(clients)
    assert len(client.events(key)) == 1


def test_one_connection_may_use_both_dialects(clients: Clients):
    client = clients.dunena()
    key = unique()
    client.send({"action": "subscribe", "key": key})
    client.send({"type": "set", "key": key, "value": "1", "id": 7})
    client.send({"action": "get", "key": key})
    client.send({"type": "get", "key": key})
    update, stored, read, result = (client.receive() for _ in range(4))
    assert update == read == {"key": key, "value": "1"}
    assert (stored["data"], stored["id"]) == ({"key": key, "ok": True}, 7)
    assert result["data"] == {"key": key, "value": "1"}


def test_each_error_on_a_mixed_connection_is_in_the_dialect_of_its_message(clients: Clients):
    client = clients.dunena()
    for _ in range(2):
        assert client.ask({"action": "nonsense"}) == NOT_UNDERSTOOD
        error = client.ask({"type": "nonsense"})
        assert error.pop("timestamp") <= now_ms()
        assert error == {"type": "error", "data": "Unknown message type: nonsense"}


@pytest.mark.parametrize(
    ("first", "wrong", "fields"),
    [
        ({"type": "ping"}, "{", {"type", "data", "timestamp"}),
        ({"type": "ping"}, {"neither": 1}, {"type", "data", "timestamp"}),
        ({"action": "get", "key": "k"}, "{", {"error"}),
        ({"action": "get", "key": "k"}, {"neither": 1}, {"error"}),
    ],
)
def test_an_error_for_a_message_of_no_dialect_is_in_the_first_used_dialect(
    clients: Clients, first: Any, wrong: Any, fields: set[str]
):
    client = clients.dunena()
    client.ask(first)
    assert set(client.ask(wrong)) == fields


def test_type_takes_precedence_over_action(clients: Clients):
    client = clients.dunena()
    assert client.ask({"type": "ping", "action": "get", "key": "k"})["type"] == "pong"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("{", "Invalid JSON"),
        ("[]", "Missing field: type"),
        ("1", "Missing field: type"),
        ("null", "Missing field: type"),
        ("{}", "Missing field: type"),
        ('{"key":"k"}', "Missing field: type"),
    ],
)
def test_an_error_carries_both_forms_while_the_dialect_is_not_known(
    clients: Clients, wrong: str, text: str
):
    client = clients.dunena()
    for _ in range(2):  # an error decides nothing
        before = timestamps_from()
        error = client.ask(wrong)
        assert before <= error.pop("timestamp") <= now_ms()
        assert error == {"type": "error", "data": text, **NOT_UNDERSTOOD}
    client.ask({"action": "get", "key": "k"})
    make_a_change(clients)
    assert client.heard() == []


def test_an_error_in_both_forms_has_the_id_of_the_request(clients: Clients):
    client = clients.dunena()
    error = client.ask({"id": 5, "nothing": "else"})
    assert error["id"] == 5
    assert "error" in error


# --- with a hint ---


@pytest.mark.parametrize("hint", ["subprotocol", "query"])
def test_a_client_that_chose_dunena_cannot_use_actions(clients: Clients, hint: str):
    client = open_with_hint(clients, hint, "dunena")
    assert is_greeted(client)
    error = client.ask({"action": "get", "key": "k"})
    assert set(error) == {"type", "data", "timestamp"}
    key = make_a_change(clients)
    assert len(client.events(key)) == 1, "its action did not end the events"


@pytest.mark.parametrize("hint", ["subprotocol", "query"])
def test_a_client_that_chose_the_object_store_cannot_use_types(clients: Clients, hint: str):
    client = open_with_hint(clients, hint, "object-store")
    key = unique()
    assert client.ask({"action": "get", "key": key}) == {"key": key, "value": None}, "no greeting"
    for wrong in ({"type": "ping"}, "{", [], {}):
        assert client.ask(wrong) == NOT_UNDERSTOOD
    make_a_change(clients)
    assert client.ask({"action": "get", "key": key}) == {"key": key, "value": None}, "no events"


def open_with_hint(clients: Clients, hint: str, name: str) -> Client:
    if hint == "query":
        client = clients.any(f"/ws?protocol={name}")
        assert client.connection.subprotocol is None
    else:
        client = clients.any(subprotocols=[name])
        assert client.connection.subprotocol == name
    return client


def test_the_first_known_subprotocol_of_a_client_is_selected(clients: Clients):
    client = clients.any(subprotocols=["graphql-ws", "object-store", "dunena"])
    assert client.connection.subprotocol == "object-store"
    assert client.ask({"action": "get", "key": "no-such"}) == {"key": "no-such", "value": None}


def test_an_unknown_subprotocol_is_not_selected(raw: RawConnection):
    reply = raw.upgrade(headers={"Sec-WebSocket-Protocol": "mqtt"})
    assert reply.status == 101
    assert "sec-websocket-protocol" not in reply.headers
    assert raw.read_message()["type"] == GREETING


@pytest.mark.parametrize("setting", ["dunena", "object-store"])
def test_protocol_auto_in_the_query_overrides_the_setting(
    start_server: StartServer, setting: str
) -> None:
    server = start_server("--protocol", setting)
    with open_client(server, "/ws?protocol=auto") as client:
        assert client.receive()["type"] == "connected"
        assert client.ask({"type": "set", "key": "k", "value": "v"})["type"] == "result"
        assert client.ask({"action": "get", "key": "k"}) == {"key": "k", "value": "v"}


@pytest.mark.parametrize("name", ["mqtt", "", "DUNENA"])
def test_an_unknown_protocol_in_the_query_is_refused(raw: RawConnection, name: str):
    reply = raw.upgrade(f"/ws?protocol={name}")
    assert reply.status == 400
    assert reply.json == {"error": f"Unknown protocol: {name}", "code": "invalid"}
    assert raw.read_to_end() == b""


def test_a_connection_to_the_root_path_uses_the_object_store_dialect(clients: Clients):
    client = clients.objects()
    assert client.ask({"type": "ping"}) == NOT_UNDERSTOOD
    make_a_change(clients)
    assert client.heard() == []


def test_the_root_path_does_not_select_the_dunena_subprotocol(raw: RawConnection):
    reply = raw.upgrade("/", {"Sec-WebSocket-Protocol": "dunena"})
    assert reply.status == 101
    assert "sec-websocket-protocol" not in reply.headers


# --- the setting ---


@pytest.mark.parametrize(
    ("setting", "path", "greets"),
    [
        ("dunena", "/ws", True),
        ("dunena", "/ws?protocol=object-store", False),
        ("object-store", "/ws", False),
        ("object-store", "/ws?protocol=dunena", True),
        ("object-store", "/", False),
        ("dunena", "/", False),
        ("auto", "/ws", True),
    ],
)
def test_the_protocol_setting_decides_without_a_hint(
    strict_servers: dict[str, ServerProcess], setting: str, path: str, *, greets: bool
):
    with open_client(strict_servers[setting], path, speaks_dunena=greets) as client:
        assert is_greeted(client) == greets


def test_a_server_set_to_one_dialect_refuses_the_other(strict_servers: dict[str, ServerProcess]):
    with open_client(strict_servers["dunena"]) as client:
        assert client.receive()["type"] == GREETING
        assert client.ask({"action": "get", "key": "k"})["type"] == "error"
    with open_client(strict_servers["object-store"], speaks_dunena=False) as client:
        assert client.ask({"type": "ping"}) == NOT_UNDERSTOOD
        client.send({"action": "set", "key": "k", "value": 1})
        assert not any(map(is_event, client.heard()))


@pytest.fixture(scope="module")
def strict_servers(tmp_path_factory: pytest.TempPathFactory, shared_server: ServerProcess):
    """A server for each value of `--protocol`."""
    folder = tmp_path_factory.mktemp("strict")
    with (
        ServerProcess(folder / "dunena", "--protocol", "dunena") as dunena,
        ServerProcess(folder / "objects", "--protocol", "object-store") as objects,
    ):
        yield {"auto": shared_server, "dunena": dunena, "object-store": objects}


def test_an_unknown_protocol_setting_exits_with_2():
    process = ServerProcess(None, "--no-persist", "--protocol", "mqtt").launch()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "--protocol" in errors
