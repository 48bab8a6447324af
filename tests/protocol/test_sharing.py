"""Sharing a server on the network while it runs, over the address of this machine."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from dunena.server.addresses import lan_addresses
from tests.protocol.clients import SECONDS_MAX, Reply, http, open_objects
from tests.protocol.test_sign_in import BROWSER
from tests.protocol.test_tokens import bearer
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import write_tokens

HOSTS = lan_addresses()
needs_network = pytest.mark.skipif(not HOSTS, reason="this machine is in no network")

JSON_TYPE = {"Content-Type": "application/json"}


def share(server: ServerProcess, *, on: bool, headers: dict[str, str] | None = None) -> Reply:
    """As the page of this server does."""
    own = {"Origin": server.url} | JSON_TYPE | (headers or {})
    return http(server, "POST", "/sharing", {"on": on}, own)


class Far:
    """A connection from the network that is kept open."""

    def __init__(self, server: ServerProcess) -> None:
        self._host = f"{HOSTS[0]}:{server.port}"
        self._connection = HTTPConnection(HOSTS[0], server.port, timeout=SECONDS_MAX)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, {"Host": self._host} | (headers or {}))
        response = self._connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, fields, response.read())

    def close(self) -> None:
        self._connection.close()


@contextmanager
def far(server: ServerProcess) -> Iterator[Far]:
    connection = Far(server)
    try:
        yield connection
    finally:
        connection.close()


def open_far(server: ServerProcess, token: str) -> ClientConnection:
    return connect(f"ws://{HOSTS[0]}:{server.port}/", additional_headers=bearer(token))


@needs_network
def test_a_server_is_shared_and_shared_no_longer(server: ServerProcess) -> None:
    before = http(server, "GET", "/sharing").json
    assert (before["isForNetwork"], before["isShared"], before["token"]) == (False, False, None)
    assert before["urls"] == [f"http://{host}:{server.port}" for host in HOSTS]
    with far(server) as client, pytest.raises(ConnectionRefusedError):
        client.ask("GET", "/health/live")
    shared = share(server, on=True)
    assert (shared.status, shared.json["isShared"]) == (200, True)
    assert http(server, "GET", "/sharing").json == shared.json
    token = shared.json["token"]
    overview = http(server, "GET", "/server").json
    assert f"{HOSTS[0]}:{server.port}" in overview["addresses"]
    assert overview["networkUrls"] == before["urls"]
    with far(server) as client:
        assert client.ask("GET", "/health/live").status == 200
        assert client.ask("GET", "/kv/score").status == 401
        assert client.ask("PUT", "/kv/score", 1, bearer(token)).status == 201
        assert http(server, "GET", "/kv/score").json == 1, "this machine needs no token"
        with open_far(server, token) as socket, open_objects(server) as near:
            share(server, on=False)
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(SECONDS_MAX)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert near.ask({"action": "get", "key": "score"})["value"] == 1, "it stays"
        # The connection outlasts the listener, and is of no use.
        assert client.ask("GET", "/kv/score").status == 401
        assert client.ask("GET", "/kv/score", headers=bearer(token)).status == 401
    with far(server) as client, pytest.raises(ConnectionRefusedError):
        client.ask("GET", "/health/live")


@needs_network
def test_a_phone_gets_the_page_to_sign_in_or_uses_an_invitation(server: ServerProcess) -> None:
    share(server, on=True)
    made = http(server, "POST", "/invites", {"page": "/kv/score"}).json
    assert made["urls"] == [f"http://{host}:{server.port}{made['path']}" for host in HOSTS]
    with far(server) as phone:
        page = phone.ask("GET", "/www/", headers=BROWSER)
        assert page.status == 401
        assert b"<h1>Sign in</h1>" in page.body
        used = phone.ask("POST", made["path"])
        assert (used.status, used.headers["location"]) == (303, "../kv/score")
        cookie = {"Cookie": used.headers["set-cookie"].partition(";")[0]}
        info = phone.ask("GET", "/info", headers=cookie).json
        assert info["hasToken"], "so the page offers to sign out"
        assert info["permitted"]["rights"] == ["read", "write"]
        assert phone.ask("POST", "/flush", {}, cookie).status == 403
        assert phone.ask("GET", "/sharing", headers=cookie).status == 403
    assert http(server, "GET", "/info").json["hasToken"] is False


@needs_network
def test_a_name_that_is_pointed_at_this_machine_is_refused_as_before(
    server: ServerProcess,
) -> None:
    share(server, on=True)
    for host in ("evil.example", f"{HOSTS[0]}:{server.port}", "show-pc"):
        assert http(server, "GET", "/kv", headers={"Host": host}).status == 403, host
    with far(server) as client:
        assert client.ask("GET", "/kv", headers={"Host": "evil.example"}).status == 401


@needs_network
def test_a_server_with_a_token_is_shared_with_that(start_server: StartServer) -> None:
    server = start_server("--token", "own")
    shared = share(server, on=True, headers=bearer("own"))
    assert (shared.json["hasToken"], shared.json["token"]) == (True, None)
    with far(server) as client:
        assert client.ask("GET", "/kv").status == 401
        assert client.ask("GET", "/kv", headers=bearer("own")).status == 200
        own = {"Origin": f"http://{HOSTS[0]}:{server.port}"} | JSON_TYPE | bearer("own")
        ended = client.ask("POST", "/sharing", {"on": False}, own)
        assert (ended.status, ended.json["isShared"]) == (200, False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:5173"},
        {"Origin": "http://absolute"},
        {"Content-Type": "text/plain"},
        {"Host": "app.localhost:3000", "Origin": "http://other.localhost:3000"},
    ],
)
def test_only_a_page_of_the_server_may_share_it(
    server: ServerProcess, headers: dict[str, str]
) -> None:
    assert share(server, on=True, headers=headers).status in (400, 403)
    assert http(server, "POST", "/sharing", {"on": True}, JSON_TYPE).status == 403
    assert http(server, "GET", "/sharing").json["isShared"] is False


def test_the_right_admin_is_needed(start_server: StartServer, tmp_path: Path) -> None:
    file = write_tokens(tmp_path, '[writer]\ntoken = "writer"\nrights = ["read", "write"]\n')
    server = start_server("--tokens", str(file))
    assert share(server, on=True, headers=bearer("writer")).status == 403
    assert http(server, "GET", "/sharing", headers=bearer("writer")).status == 403
    assert share(server, on=True).status == 401


def test_a_body_that_is_no_decision_is_refused(server: ServerProcess) -> None:
    own = {"Origin": server.url} | JSON_TYPE
    for body in ({}, {"on": "yes"}, {"on": None}):
        assert http(server, "POST", "/sharing", body, own).status == 400
    assert http(server, "POST", "/sharing", headers=own).status == 400


@needs_network
def test_a_port_that_another_program_has_there_is_said(server: ServerProcess) -> None:
    with ExitStack() as others:
        for host in HOSTS:
            others.enter_context(create_server((host, server.port)))
        refused = share(server, on=True)
        assert refused.status == 409
        assert "Address already in use" in refused.json["reason"]
        assert f"--host 0.0.0.0 --port {server.port}" in refused.json["commands"]["bash"]
        assert http(server, "GET", "/kv").status == 200, "it goes on as before"
