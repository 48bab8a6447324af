"""The proxy recipe with a real nginx: the parts that are specific to nginx.

What works below a path with any proxy is in test_prefix.py, which also asks nginx.
"""

import shlex
import socket
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from websockets.sync.client import connect

from dunena import sync
from tests.protocol.clients import SECONDS_MAX, http
from tests.support.documents import blocks
from tests.support.nginx import RECIPE, NginxProxy
from tests.support.server import ServerProcess

TOKEN = "of-the-show"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SITE = "show.example"
VISITOR = "203.0.113.7"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server as the recipe starts it, with the token that it advises."""
    command, *_ = blocks(RECIPE, "sh")
    program, serve, *options = shlex.split(command)
    assert (program, serve) == ("dunena", "serve")
    values = tmp_path_factory.mktemp("values")
    with ServerProcess(values, *options, "--token", TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(
    guarded: ServerProcess, nginx: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NginxProxy]:
    with NginxProxy(nginx, guarded.port, tmp_path_factory.mktemp("nginx")) as proxy:
        yield proxy


def ask(
    proxy: NginxProxy,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
    body: bytes | None = None,
) -> tuple[int, str]:
    """Status, and where it leads."""
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=SECONDS_MAX)
    try:
        connection.request(method, path, body, {"Host": SITE, **(headers or {})})
        reply = connection.getresponse()
        reply.read()
        return reply.status, reply.getheader("Location", "")
    finally:
        connection.close()


def test_nginx_admits_only_the_host_name_of_the_site(proxy: NginxProxy):
    assert ask(proxy, "/store/test")[0] == 200
    assert ask(proxy, "/store/test", {"Host": "other.example"})[0] == 403


def test_nginx_redirects_the_path_without_a_trailing_slash(proxy: NginxProxy):
    status, location = ask(proxy, "/store")
    assert status == 308
    assert location.endswith("/store/")
    assert ask(proxy, "/other")[0] == 404


def test_a_redirect_through_nginx_stays_below_the_path(proxy: NginxProxy):
    status, location = ask(proxy, "/store/", {"Accept": "text/html"})
    assert (status, location) == (302, "./test")


def test_nginx_forwards_the_token(proxy: NginxProxy):
    assert ask(proxy, "/store/keys")[0] == 401
    assert ask(proxy, "/store/keys", BEARER)[0] == 200
    with sync.connect(proxy.url, token=TOKEN) as store:
        store.set("score", 3)
        assert store.get("score") == 3


def test_nginx_forwards_a_value_of_the_maximum_size(proxy: NginxProxy):
    body = b'"' + b"x" * (4 * 1024 * 1024 - 2) + b'"'
    put = b'{"key":"large","value":%s}' % body
    assert ask(proxy, "/store/set", BEARER, method="POST", body=put)[0] == 200


def shown_address(
    proxy: NginxProxy, server: ServerProcess, source: str, forwarded: dict[str, str]
) -> str:
    """The address that the server shows of a WebSocket through nginx."""
    listening = ("127.0.0.1", proxy.port)
    with (
        socket.create_connection(listening, SECONDS_MAX, (source, 0)) as visitor,
        connect(
            f"ws://{SITE}/store/ws",
            sock=visitor,
            additional_headers={**BEARER, **forwarded},
            proxy=None,
        ) as opened,
    ):
        assert "connected" in str(opened.recv(SECONDS_MAX))
        reply = http(server, "GET", "/server", headers=BEARER)
        (connection,) = reply.json["connections"]["shown"]
        return str(connection["address"])


def test_nginx_forwards_the_client_address(proxy: NginxProxy, guarded: ServerProcess):
    # Another proxy of this machine in front of it: what that one says is passed on.
    forwarded = {"X-Forwarded-For": VISITOR}
    assert shown_address(proxy, guarded, "127.0.0.1", forwarded) == VISITOR


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is not this machine")
def test_a_forged_x_forwarded_for_is_ignored_behind_nginx(
    proxy: NginxProxy, guarded: ServerProcess
):
    made_up = {"X-Forwarded-For": VISITOR}
    assert shown_address(proxy, guarded, "127.0.0.2", made_up) == "127.0.0.2"
