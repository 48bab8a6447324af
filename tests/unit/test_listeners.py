"""The sockets that a server opens for a host, with and without IPv6.

A port is taken alone where the system asks for that, and as others take theirs if need be.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dunena.server import listeners
from dunena.server.listeners import BindError, bind_alone, open_sockets

ALONE = -5  # Windows' number
ADDRESS = ("127.0.0.1", 3000)


class System:
    """Sockets of a system with so many addresses; bind fails as the real ones do."""

    def __init__(self) -> None:
        self.has_ipv6 = True
        self.addresses = {"127.0.0.1", "::1", "0.0.0.0", "::", "192.168.1.5"}
        self.taken: set[tuple[str, int]] = set()
        self.free_ports = iter(range(40_000, 41_000))
        self.open: list[FakeSocket] = []


class FakeSocket:
    """As much of one as is bound."""

    system: System

    def __init__(self, family: int, _kind: int) -> None:
        if family == socket.AF_INET6 and not self.system.has_ipv6:
            raise _fault(errno.EAFNOSUPPORT)
        self.options: set[int] = set()
        self.name = ("", 0)
        self.system.open.append(self)

    def setsockopt(self, _level: int, option: int, value: int) -> None:
        assert value == 1
        self.options.add(option)

    def bind(self, place: tuple[str, int]) -> None:
        host, port = place[0], place[1] or next(self.system.free_ports)
        if host not in self.system.addresses:
            raise _fault(errno.EADDRNOTAVAIL)
        if (host, port) in self.system.taken:
            raise _fault(errno.EADDRINUSE)
        self.name = (host, port)

    def getsockname(self) -> tuple[str, int]:
        return self.name

    def close(self) -> None:
        self.system.open.remove(self)


def _fault(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    system = System()
    monkeypatch.setattr(FakeSocket, "system", system, raising=False)
    monkeypatch.setattr(listeners.socket, "socket", FakeSocket)
    return system


def names(host: str, port: int) -> list[tuple[str, int]]:
    return [one.getsockname() for one in open_sockets(host, port)]


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("localhost", ["127.0.0.1", "::1"]),
        ("LOCALHOST.", ["127.0.0.1", "::1"]),
        ("::", ["0.0.0.0", "::"]),
        ("", ["0.0.0.0", "::"]),
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("0.0.0.0", ["0.0.0.0"]),
        ("192.168.1.5", ["192.168.1.5"]),
    ],
)
def test_a_host_is_bound_at_all_its_addresses_on_one_port(
    system: System, host: str, addresses: list[str]
) -> None:
    assert names(host, 3000) == [(address, 3000) for address in addresses]
    assert names(host, 0) == [(address, 40_000) for address in addresses]


def test_an_ipv6_socket_is_bound_with_v6only(system: System) -> None:
    _ipv4, ipv6 = open_sockets("::", 3000)
    assert isinstance(ipv6, FakeSocket)
    assert socket.IPV6_V6ONLY in ipv6.options


@pytest.mark.parametrize("host", ["localhost", "::"])
@pytest.mark.parametrize("lacks", ["sockets", "addresses"])
def test_a_host_is_bound_over_ipv4_alone_without_ipv6(
    system: System, host: str, lacks: str
) -> None:
    if lacks == "sockets":
        system.has_ipv6 = False
    system.addresses -= {"::1", "::"}
    assert [address for address, _port in names(host, 3000)] == [
        "127.0.0.1" if host == "localhost" else "0.0.0.0"
    ]


def test_a_bind_error_names_an_address_the_machine_lacks(system: System) -> None:
    with pytest.raises(BindError) as caught:
        open_sockets("192.168.1.6", 3000)
    assert caught.value.address == "192.168.1.6"
    assert caught.value.error.errno == errno.EADDRNOTAVAIL


@pytest.mark.parametrize("taken", ["127.0.0.1", "::1"])
def test_a_port_taken_at_one_address_is_a_bind_error(system: System, taken: str) -> None:
    system.taken.add((taken, 3000))
    with pytest.raises(BindError) as caught:
        open_sockets("localhost", 3000)
    assert caught.value.address == taken
    assert caught.value.error.errno == errno.EADDRINUSE
    assert system.open == []


def test_port_0_finds_a_port_free_at_every_address(system: System) -> None:
    system.taken |= {("::1", 40_000), ("::1", 40_001)}
    assert names("localhost", 0) == [("127.0.0.1", 40_002), ("::1", 40_002)]
    assert len(system.open) == 2


def test_the_search_for_a_free_port_ends_with_a_bind_error(system: System) -> None:
    system.taken |= {("::1", port) for port in range(40_000, 41_000)}
    with pytest.raises(BindError):
        open_sockets("localhost", 0)
    assert system.open == []


class RefusingSocket:
    """One whose `bind` fails as a test wants."""

    made: list["RefusingSocket"]
    failures: list[int]

    def __init__(self, family: int, _kind: int) -> None:
        self.family = family
        self.options: set[tuple[int, int]] = set()
        self.is_closed = False
        self.made.append(self)

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert value == 1
        self.options.add((level, option))

    def bind(self, address: Any) -> None:
        assert address[1] == ADDRESS[1]
        number = self.failures.pop(0) if self.failures else 0
        if number:
            raise OSError(number, "refused")

    def close(self) -> None:
        self.is_closed = True

    @property
    def is_alone(self) -> bool:
        return (socket.SOL_SOCKET, ALONE) in self.options


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[RefusingSocket]:
    RefusingSocket.made, RefusingSocket.failures = [], []
    monkeypatch.setattr(socket, "socket", RefusingSocket)
    monkeypatch.setattr(listeners, "_ALONE", ALONE)
    return RefusingSocket.made


def test_bind_alone_binds_exclusively(made: list[RefusingSocket]) -> None:
    assert bind_alone(socket.AF_INET, ADDRESS) is made[0]
    assert len(made) == 1
    assert made[0].is_alone


def test_bind_alone_sets_v6only_for_an_ipv6_address(made: list[RefusingSocket]) -> None:
    bind_alone(socket.AF_INET6, ("::1", 3000, 0, 0))
    assert (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) in made[0].options


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EACCES])
def test_bind_alone_falls_back_to_a_shared_bind_for_lingering_connections(
    made: list[RefusingSocket], number: int
) -> None:
    RefusingSocket.failures = [number]
    assert bind_alone(socket.AF_INET, ADDRESS) is made[1]
    assert made[0].is_closed
    assert not made[1].is_alone
    assert not made[1].is_closed


def test_bind_alone_raises_for_a_port_in_use(made: list[RefusingSocket]) -> None:
    RefusingSocket.failures = [errno.EADDRINUSE, errno.EADDRINUSE]
    with pytest.raises(OSError, match="refused"):
        bind_alone(socket.AF_INET, ADDRESS)
    assert [one.is_closed for one in made] == [True, True]


def test_bind_alone_does_not_retry_after_another_error(made: list[RefusingSocket]) -> None:
    RefusingSocket.failures = [errno.EADDRNOTAVAIL]
    with pytest.raises(OSError, match="refused"):
        bind_alone(socket.AF_INET, ADDRESS)
    assert len(made) == 1


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows has it")
def test_a_port_bound_alone_cannot_be_bound_again() -> None:
    with bind_alone(socket.AF_INET, ("127.0.0.1", 0)) as bound:
        bound.listen()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match=r"10013|10048"):
                other.bind(bound.getsockname())
