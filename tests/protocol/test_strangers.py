"""Clients without a token: refused at the end of the request head, within shared budgets."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunena.server.limits import PUBLIC_BODY_BYTES_MAX
from tests.protocol.clients import RawConnection, http, open_dunena
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

TOKEN = "a-good-long-secret"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
BODY_BYTES_MAX = 6 * 1024 * 1024 * 4 + 65_536


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    with ServerProcess(folder, "--token", TOKEN) as server:
        yield server


LARGE = {"Content-Length": "1000000"}
CHUNKED = {"Transfer-Encoding": "chunked"}


@pytest.mark.parametrize("kind", [LARGE, CHUNKED, {"Content-Length": "5"}])
@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("POST", "/set", {}, 401),
        ("POST", "/nothing", {}, 401),
        ("POST", "/set", {"Authorization": "Bearer wrong"}, 401),
        ("POST", "/nothing", SHOWN, 404),
        ("POST", "/keys", SHOWN, 405),
        ("PUT", "/set", SHOWN, 405),
        ("GET", "/health", SHOWN, 200),
        ("POST", "/test", {}, 405),
        ("POST", "/set", {"Host": "evil.example"}, 403),
        ("POST", "/set", {"Origin": "https://evil.example"}, 403),
    ],
)
def test_a_request_decided_by_its_head_is_answered_before_its_body(
    guarded: ServerProcess,
    method: str,
    path: str,
    token: dict[str, str],
    status: int,
    kind: dict[str, str],
) -> None:
    with RawConnection(guarded) as raw:
        raw.request(method, path, token | kind)
        assert raw.read_reply().status == status


def test_a_client_that_sends_its_whole_body_first_reads_the_refusal(guarded: ServerProcess) -> None:
    body = b"x" * 8_000_000
    for path, headers, status in [("/set", {}, 401), ("/nothing", SHOWN, 404)]:
        assert http(guarded, "POST", path, body, headers).status == status


def test_a_client_that_sends_a_body_over_the_limit_reads_413(guarded: ServerProcess) -> None:
    body = b"x" * (BODY_BYTES_MAX + 1)
    assert http(guarded, "POST", "/set", body, SHOWN).status == 413


def test_a_client_with_a_token_gets_100_continue(guarded: ServerProcess) -> None:
    expecting = {"Expect": "100-continue", "Content-Length": "21"}
    with RawConnection(guarded) as raw:
        raw.request("POST", "/set", expecting)
        answer = raw.read_reply()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
    with RawConnection(guarded) as raw:
        raw.request("POST", "/set", SHOWN | expecting)
        assert raw.read_reply().status == 100
        raw.send(b'{"key":"a","value":1}')
        assert raw.read_reply().status == 200


def test_the_connection_continues_after_a_short_refused_body(guarded: ServerProcess) -> None:
    with RawConnection(guarded) as raw:
        raw.request("POST", "/set", {"Content-Length": "5"})
        assert raw.read_reply().status == 401
        raw.send("12345")
        raw.request("GET", "/health", SHOWN)
        assert raw.read_reply().status == 200


def test_a_session_request_with_a_large_body_is_413(guarded: ServerProcess) -> None:
    body = b'{"token":"' + b"x" * PUBLIC_BODY_BYTES_MAX + b'"}'
    assert http(guarded, "POST", "/session", body).status == 413
    assert http(guarded, "POST", "/session", {"token": TOKEN}).status == 204


def test_a_token_in_a_trailer_is_401(guarded: ServerProcess) -> None:
    with RawConnection(guarded) as raw:
        raw.request("POST", "/set", CHUNKED)
        raw.send("15\r\n" + '{"key":"a","value":1}' + "\r\n0\r\n")
        raw.send(f"Authorization: Bearer {TOKEN}\r\n\r\n")
        assert raw.read_reply().status == 401


def test_many_upgrades_to_another_protocol_are_401_without_a_traceback(
    guarded: ServerProcess,
) -> None:
    count = 485
    with RawConnection(guarded) as raw:
        headers = {"Connection": "Upgrade", "Upgrade": "h2c"}
        for _ in range(count):
            raw.request("GET", "/keys", headers)
        for _ in range(count):
            assert raw.read_reply().status == 401
    assert "Traceback" not in guarded.log


def test_unfinished_heads_of_all_connections_have_a_budget(start_server: StartServer) -> None:
    server = start_server("--token", TOKEN)
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60_000
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(open_dunena(server, additional_headers=SHOWN))
        raws = [stack.enter_context(RawConnection(server)) for _ in range(300)]
        for raw in raws:
            raw.send(head)
        for raw in raws[:30]:  # the budget holds some 260 of them
            assert raw.read_reply().status == 503
        assert other.ask({"type": "ping"})["type"] == "pong"
        raws[-1].send("\r\n\r\n")
        assert raws[-1].read_reply().status == 401


def test_unfinished_bodies_of_all_connections_have_a_budget(start_server: StartServer) -> None:
    server = start_server()
    with contextlib.ExitStack() as stack:
        raws = [stack.enter_context(RawConnection(server)) for _ in range(4)]
        for raw in raws:
            raw.request("POST", "/set", {"Content-Length": str(20_000_000)})
            raw.send(bytes(15_000_000))
        # Answered behind all that was sent before it.
        assert http(server, "POST", "/set", {"key": "a", "value": 1}).status == 200
        refused = 0
        for raw in raws:
            raw.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                refused += raw.socket.recv(12) == b"HTTP/1.1 503"
        assert refused == 2
