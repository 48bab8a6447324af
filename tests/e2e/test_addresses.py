"""The addresses a server listens at, and what it reports of them."""

import http.client
import json
import socket
from pathlib import Path

import pytest

from tests.e2e.processes import assert_failed, free_port, run_program
from tests.protocol.clients import http as ask
from tests.support.fixtures import StartServer


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


def status_at(host: str, port: int) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status
    finally:
        connection.close()


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "bound", "reached"),
    [
        (None, ["127.0.0.1", "[::1]"], "localhost"),
        ("localhost", ["127.0.0.1", "[::1]"], "localhost"),
        ("127.0.0.1", ["127.0.0.1"], "127.0.0.1"),
        ("0.0.0.0", ["0.0.0.0"], "127.0.0.1"),
        ("::", ["0.0.0.0", "[::]"], "localhost"),
    ],
)
def test_a_server_listens_at_the_addresses_it_reports(
    start_server: StartServer, host: str | None, bound: list[str], reached: str
) -> None:
    server = start_server(*(["--host", host] if host else []))
    addresses = [f"{one}:{server.port}" for one in bound]
    assert ask(server, "GET", "/info").json["addresses"] == addresses
    banner = "".join(server.output)
    assert f"Listens on  {', '.join(addresses)}\n" in banner
    assert f"http://{reached}:{server.port}/test" in banner
    assert status_at("127.0.0.1", server.port) == 200
    if len(bound) > 1:
        assert status_at("::1", server.port) == 200
    else:
        with pytest.raises(ConnectionRefusedError):
            status_at("::1", server.port)
    assert server.folder is not None
    address = run_program("check", str(server.folder)).stderr
    assert f"http://{reached}:{server.port}" in address, "where the folder is in use"


@needs_ipv6
def test_a_stopped_server_listens_at_no_address(start_server: StartServer) -> None:
    server = start_server()
    assert server.stop() == 0
    for host in ("127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            status_at(host, server.port)


@needs_ipv6
def test_a_port_taken_at_one_address_is_reported_as_busy(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = run_program("serve", "--port", port, "--cache-dir", str(tmp_path))
        assert_failed(done, says=(f"port {port} of ::1 is already in use", "--port"))
        done = run_program("doctor", "--json", "--port", port, "--cache-dir", str(tmp_path))
        (finding,) = [one for one in json.loads(done.stdout)["findings"] if one["about"] == "port"]
        assert f"{port} cannot be had at ::1" in finding["text"]


@needs_ipv6
def test_two_servers_can_share_a_port_at_different_addresses(start_server: StartServer) -> None:
    port = str(free_port())
    first = start_server("--host", "127.0.0.1", "--port", port)
    second = start_server("--host", "::1", "--port", port, "--no-persist")
    assert status_at("127.0.0.1", first.port) == status_at("::1", second.port) == 200
