"""The overview of a server at /server, and the decision about pages from disk."""

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError

from tests.protocol.clients import Reply, http, open_client
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.shared_mode import is_shared

FROM_DISK = {"Origin": "null"}


def overview(server: ServerProcess) -> dict[str, Any]:
    reply = http(server, "GET", "/server")
    assert reply.status == 200
    return reply.json


def decide(server: ServerProcess, let_in: object, **headers: str) -> Reply:
    own = {"Origin": server.url, "Content-Type": "application/json", **headers}
    return http(server, "POST", "/pages-from-disk", json.dumps({"letIn": let_in}), own)


def test_the_overview_shows_urls_and_connections(server: ServerProcess):
    origin = "http://localhost:5173"
    with open_client(server, origin=origin, user_agent_header="Overlay/1") as client:
        client.receive()
        client.ask({"type": "subscribe", "channel": "news"})
        shown = overview(server)
    assert shown["folder"] == (None if is_shared() else str(server.folder))
    assert shown["port"] == server.port
    assert f"127.0.0.1:{server.port}" in shown["addresses"]
    assert shown["isLoopback"] is True
    assert shown["networkUrls"] == []
    assert shown["channels"] == {
        "subscribed": 1,
        "shown": [{"channel": "news", "subscribers": 1}],
    }
    assert shown["connections"]["webSocket"] == 1
    assert shown["connections"]["http"] >= 1, "the one that asks"
    (connection,) = shown["connections"]["shown"]
    assert connection["address"].startswith("127.0.0.1:")
    del connection["address"]
    assert connection == {
        "origin": origin,
        "program": "Overlay/1",
        "dialect": "dunena",
        "token": "",
        "subscriptions": 2,
        "unsentBytes": 0,
        "session": None,
        "sessionName": "",
    }


def test_the_overview_contains_no_token(start_server: StartServer):
    server = start_server("--token", "open sesame")
    headers = {"Authorization": "Bearer open sesame"}
    reply = http(server, "GET", "/server", headers=headers)
    assert reply.json["hasToken"] is True
    assert b"sesame" not in reply.body
    assert http(server, "GET", "/server").status == 401


def test_the_overview_lists_network_urls_that_answer(start_server: StartServer):
    server = start_server("--host", "0.0.0.0")
    shown = overview(server)
    assert shown["isLoopback"] is False
    for url in shown["networkUrls"]:
        assert url.endswith(f":{server.port}")
        assert "127.0.0.1" not in url
        # The address is this machine's own: the server answers on it.
        host = url.removeprefix("http://").rpartition(":")[0]
        assert http(server, "GET", "/health/live", headers={"Host": host}).status == 200


def test_the_overview_lists_refused_origins(server: ServerProcess):
    http(server, "GET", "/get/k", headers={"Origin": "https://example.com"})
    http(server, "GET", "/get/k", headers=FROM_DISK)
    http(server, "GET", "/get/k", headers=FROM_DISK)
    http(server, "GET", "/get/k", headers={"Origin": "file://"})
    http(server, "GET", "/get/k", headers={"Origin": "a b"})
    shown = overview(server)
    counts = {one["origin"]: one["count"] for one in shown["refusedOrigins"]}
    assert counts == {"null": 2, "file://": 1, "a b": 1, "https://example.com": 1}
    options = {one["origin"]: one["option"] for one in shown["refusedOrigins"]}
    assert options["https://example.com"] == "--allow-origin https://example.com"
    assert options["a b"] is None
    assert shown["pagesFromDisk"]["refused"] == 3
    assert http(server, "GET", "/info").json["refusedOrigins"] == 5


def test_pages_from_disk_can_be_admitted_and_refused_again(server: ServerProcess):
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 403
    reply = decide(server, True)
    assert (reply.status, reply.json["letIn"], reply.json["remembered"]) == (200, True, True)
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 200
    server.restart()
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 200, "it is remembered"
    with open_client(server, origin="null") as page, open_client(server) as other:
        assert page.receive()["type"] == other.receive()["type"] == "connected"
        assert decide(server, False).json["letIn"] is False
        with pytest.raises(ConnectionClosedError):
            page.receive()
        assert other.ask({"type": "ping"})["type"] == "pong"
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 403
    server.restart()
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 403


def test_the_decision_covers_both_null_and_file_origins(server: ServerProcess):
    from_file = {"Origin": "file://"}
    assert http(server, "GET", "/get/k", headers=from_file).status == 403
    decide(server, True)
    assert http(server, "GET", "/get/k", headers=from_file).status == 200
    with open_client(server, origin="file://") as page:
        assert page.receive()["type"] == "connected"
        decide(server, False)
        with pytest.raises(ConnectionClosedError):
            page.receive()
    assert http(server, "GET", "/get/k", headers=from_file).status == 403


def test_a_page_admitted_by_allow_origin_stays_connected_after_a_refusal(start_server: StartServer):
    server = start_server("--allow-origin", "file://")
    with open_client(server, origin="file://") as page:
        assert page.receive()["type"] == "connected"
        decide(server, True)
        decide(server, False)
        assert page.ask({"type": "ping"})["type"] == "pong"


def test_the_stored_decision_is_not_listed_as_a_key(server: ServerProcess):
    decide(server, True)
    http(server, "POST", "/set", {"key": "k", "value": 1})
    server.restart()
    assert http(server, "GET", "/keys").json["keys"] == ["k"]
    assert http(server, "GET", "/health").json["status"] == "healthy"


def test_a_page_from_another_origin_cannot_change_the_decision(server: ServerProcess):
    for origin in ("null", "http://localhost:5173", "http://absolute", "https://example.com"):
        assert decide(server, True, Origin=origin).status == 403
    headers = {"Content-Type": "application/json"}
    assert http(server, "POST", "/pages-from-disk", '{"letIn":true}', headers).status == 403
    assert decide(server, True, **{"Content-Type": "text/plain"}).status == 400
    assert overview(server)["pagesFromDisk"]["letIn"] is False


def test_an_admitted_page_from_disk_cannot_change_the_decision(server: ServerProcess):
    decide(server, True)
    assert decide(server, False, Origin="null").status == 403
    assert overview(server)["pagesFromDisk"]["letIn"] is True


@pytest.mark.parametrize("let_in", [None, 1, "yes", []])
def test_a_decision_that_is_no_boolean_is_400(server: ServerProcess, let_in: object):
    assert decide(server, let_in).status == 400


def test_changing_the_decision_requires_the_token(start_server: StartServer):
    server = start_server("--token", "t")
    assert decide(server, True).status == 401
    assert decide(server, True, Authorization="Bearer t").status == 200


def test_a_server_without_a_folder_forgets_the_decision_at_a_restart(start_server: StartServer):
    server = start_server("--no-persist")
    assert overview(server)["folder"] is None
    assert decide(server, True).json["remembered"] is False
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 200
    server.restart()
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 403


def test_a_decision_cannot_revoke_allow_origin_null(start_server: StartServer):
    server = start_server("--allow-origin", "null")
    assert overview(server)["pagesFromDisk"]["always"] is True
    assert decide(server, False).status == 409
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 200


def test_a_decision_that_cannot_be_stored_is_refused(server: ServerProcess):
    assert isinstance(server.folder, Path)
    (server.folder / ".dunena" / "pages.tmp").mkdir()
    reply = decide(server, True)
    assert reply.status == 507
    assert http(server, "GET", "/get/k", headers=FROM_DISK).status == 403


def test_an_unchanged_page_file_is_304(shared_server: ServerProcess):
    for path in ("/test", "/test/main.js", "/test/lib/dom.js", "/test/style.css"):
        first = http(shared_server, "GET", path)
        assert first.headers["cache-control"] == "no-cache"
        tag = first.headers["etag"]
        again = http(shared_server, "GET", path, headers={"If-None-Match": f'W/{tag}, "x"'})
        assert (again.status, again.body) == (304, b"")
        assert http(shared_server, "GET", path, headers={"If-None-Match": '"x"'}).status == 200


def test_an_entry_with_a_unicode_name_can_be_deleted(server: ServerProcess):
    http(server, "POST", "/set", {"key": "größe", "value": 1, "ns": "räume"})
    path = "/entries/gr%C3%B6%C3%9Fe?ns=r%C3%A4ume"
    assert http(server, "GET", path).json["entry"]["value"] == 1
    assert http(server, "DELETE", path).json == {"deleted": True}
    assert http(server, "DELETE", path).json == {"deleted": False}
    assert http(server, "GET", path).json["entry"] is None
