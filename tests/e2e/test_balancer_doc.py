"""The balancer of docs/cluster.md: a real nginx in front of two servers."""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from websockets.sync.client import connect

from tests.protocol.clients import SECONDS_MAX
from tests.support.documents import blocks
from tests.support.fixtures import StartServer
from tests.support.nginx import RECIPE, NginxProxy


def balancer(nginx: Path, folder: Path, ports: tuple[int, int]) -> NginxProxy:
    """nginx as the page has it, but for the ports."""
    upstream, location = blocks("docs/cluster.md", "nginx")
    for written, port in zip(("3001", "3002"), ports, strict=True):
        assert upstream.count(f":{written} ") == 1
        upstream = upstream.replace(f":{written} ", f":{port} ")
    names, _ = blocks(RECIPE, "nginx")
    return NginxProxy(nginx, ports[0], folder, (f"{names}\n{upstream}", location))


@contextmanager
def unready() -> Iterator[int]:
    """A node that has not loaded its values: it answers 503. Its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_who_comes_again_gets_to_another_node(
    nginx: Path, start_server: StartServer, tmp_path: Path
) -> None:
    servers = [start_server(folder=tmp_path / name) for name in ("one", "other")]
    with balancer(nginx, tmp_path / "nginx", (servers[0].port, servers[1].port)) as proxy:
        url = f"127.0.0.1:{proxy.port}"
        for left in (servers[1], servers[0]):
            with connect(f"ws://{url}/ws", proxy=None) as client:
                assert "connected" in str(client.recv(timeout=SECONDS_MAX))
            with urllib.request.urlopen(f"http://{url}/health/ready") as answer:
                assert answer.status == 200
            left.kill()
            if left is servers[1]:
                with connect(f"ws://{url}/ws", proxy=None) as client:
                    assert "connected" in str(client.recv(timeout=SECONDS_MAX))
                left.start()


def test_a_node_that_is_not_ready_is_passed_over(
    nginx: Path, start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    with unready() as port, balancer(nginx, tmp_path / "nginx", (port, server.port)) as proxy:
        for _ in range(4):
            with connect(f"ws://127.0.0.1:{proxy.port}/ws", proxy=None) as client:
                assert "connected" in str(client.recv(timeout=SECONDS_MAX))
