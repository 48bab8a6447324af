"""A port with a listener is taken, also where the system would share it."""

import asyncio
import socket
import sys
from collections.abc import Iterator

import pytest

from dunena.server.taken import is_taken


@pytest.fixture(params=["win32", "darwin"])
def _shares(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that lets two programs have a port."""
    monkeypatch.setattr(sys, "platform", request.param)


@pytest.fixture
def port() -> Iterator[int]:
    """One that another program has, on all addresses."""
    with socket.create_server(("", 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.usefixtures("_shares")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::"])
def test_a_port_with_a_listener_is_taken(host: str, port: int) -> None:
    assert asyncio.run(is_taken(host, port))


@pytest.mark.usefixtures("_shares")
def test_a_bound_port_without_a_listener_is_free() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        assert not asyncio.run(is_taken("127.0.0.1", bound.getsockname()[1]))


@pytest.mark.usefixtures("_shares")
def test_port_0_is_free() -> None:
    assert not asyncio.run(is_taken("127.0.0.1", 0))


@pytest.mark.usefixtures("_shares")
def test_a_port_taken_on_loopback_is_free_at_a_network_address(port: int) -> None:
    assert not asyncio.run(is_taken("192.0.2.1", port))


def test_is_taken_is_false_on_linux(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert not asyncio.run(is_taken("127.0.0.1", port))
