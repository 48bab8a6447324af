"""A server behind a proxy with a path prefix: redirects, the Python client and the commands."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest

import dunena
from dunena import sync
from tests.e2e.processes import SECONDS_MAX
from tests.support.nginx import NginxProxy
from tests.support.prefix_proxy import PrefixProxy
from tests.support.server import ServerProcess

Proxy = PrefixProxy | NginxProxy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "sub").mkdir()
    for place in (folder, folder / "sub"):
        (place / "index.html").write_text("<!doctype html><h1>Shown</h1>", "utf-8")
    values = tmp_path_factory.mktemp("values")
    with ServerProcess(values, "--www", str(folder)) as server:
        yield server


@pytest.fixture(scope="module", params=["a proxy of ours", "nginx"])
def proxy(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Proxy]:
    if request.param == "nginx":
        nginx = request.getfixturevalue("nginx")
        with NginxProxy(nginx, server.port, tmp_path_factory.mktemp("nginx")) as proxy:
            yield proxy
    else:
        with PrefixProxy(server.port, "/store") as proxy:
            yield proxy


def get(url: str) -> tuple[int, str, bytes]:
    """Status, Location and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS_MAX)
    try:
        connection.request("GET", parts.path, headers={"Accept": "text/html"})
        reply = connection.getresponse()
        return reply.status, reply.getheader("Location", ""), reply.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "leads_to"), [("/", "/test"), ("/www", "/www/"), ("/www/sub", "/www/sub/")]
)
def test_redirects_stay_below_the_path_prefix(proxy: Proxy, path: str, leads_to: str) -> None:
    status, location, _ = get(f"{proxy.url}{path}")
    assert status == 302
    target = urljoin(f"{proxy.url}{path}", location)
    assert target == f"{proxy.url}{leads_to}"
    status, _, body = get(target)
    assert status == 200
    assert b"<!doctype html>" in body.lower()


@pytest.mark.parametrize("end", ["", "/", "/ws"])
def test_the_blocking_python_client_works_below_a_path_prefix(proxy: Proxy, end: str) -> None:
    with sync.connect(f"{proxy.url}{end}") as store:
        store.set("a/b c", [end])
        assert store.get("a/b c") == [end]
        assert "a/b c" in store.keys("a*")


async def _with_asyncio(url: str) -> object:
    async with dunena.connect(url) as store:
        await store.set("k", 2)
        return await store.get("k")


def test_the_asyncio_python_client_works_below_a_path_prefix(proxy: Proxy) -> None:
    import asyncio

    assert asyncio.run(_with_asyncio(proxy.url)) == 2


def test_commands_work_below_a_path_prefix(proxy: Proxy) -> None:
    def run(*words: str) -> str:
        command = [sys.executable, "-m", "dunena", *words, "--url", proxy.url]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_MAX, check=True
        )
        return done.stdout.strip()

    run("set", "score", "3")
    assert run("get", "score") == "3"
    assert "score" in run("keys")
