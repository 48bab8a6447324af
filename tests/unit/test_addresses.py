"""The network URLs that other machines can use."""

import errno
import os
import socket
from typing import Self

import pytest

from dunena.server import addresses
from dunena.server.addresses import network_urls
from dunena.settings import Settings

# What the system would send from, by where to.
ROUTES = {
    "192.0.2.1": "192.168.1.5",
    "192.168.255.254": "192.168.1.5",
    "10.255.255.254": "10.8.0.2",
    "2001:db8::1": "2003:db8:0:1::5",
    "fd00::1": "fe80::1%eth0",
}


class Probe:
    """A datagram socket on a machine with two networks."""

    def __init__(self, family: int, kind: int) -> None:
        assert kind == socket.SOCK_DGRAM
        self._own = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def connect(self, place: tuple[str, int]) -> None:
        if place[0] not in ROUTES:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        self._own = ROUTES[place[0]]

    def getsockname(self) -> tuple[str, int]:
        return (self._own, 1234)


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.socket, "socket", Probe)


@pytest.mark.parametrize(
    ("host", "urls"),
    [
        ("0.0.0.0", ["http://192.168.1.5:3000", "http://10.8.0.2:3000"]),
        (
            "::",
            ["http://192.168.1.5:3000", "http://10.8.0.2:3000", "http://[2003:db8:0:1::5]:3000"],
        ),
        ("127.0.0.1", []),
        ("localhost", []),
        ("192.168.1.5", ["http://192.168.1.5:3000"]),
        ("fd12::1", ["http://[fd12::1]:3000"]),
        ("show.example", ["http://show.example:3000"]),
    ],
)
def test_network_urls_lists_the_addresses_other_machines_can_use(
    host: str, urls: list[str]
) -> None:
    assert network_urls(Settings(host=host), 3000) == urls


def test_network_urls_use_https_with_a_certificate(tmp_path) -> None:
    settings = Settings(host="10.8.0.2", tls_cert=tmp_path / "c", tls_key=tmp_path / "k")
    assert network_urls(settings, 8443) == ["https://10.8.0.2:8443"]


def test_network_urls_are_empty_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROUTES", {})
    assert network_urls(Settings(host="::"), 3000) == []
