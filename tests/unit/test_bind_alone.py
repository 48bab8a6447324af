"""A port is taken alone where the system asks for that, and as others take theirs if need be."""

import errno
import socket
import sys
from typing import Any

import pytest

from dunena.server import listeners
from dunena.server.listeners import bind_alone

ALONE = -5  # Windows' number
ADDRESS = ("127.0.0.1", 3000)


class FakeSocket:
    """One whose `bind` fails as a test wants."""

    made: list["FakeSocket"]
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
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeSocket]:
    FakeSocket.made, FakeSocket.failures = [], []
    monkeypatch.setattr(socket, "socket", FakeSocket)
    monkeypatch.setattr(listeners, "_ALONE", ALONE)
    return FakeSocket.made


def test_a_port_is_taken_alone(made: list[FakeSocket]) -> None:
    assert bind_alone(socket.AF_INET, ADDRESS) is made[0]
    assert len(made) == 1
    assert made[0].is_alone


def test_an_address_of_the_newer_kind_is_that_alone(made: list[FakeSocket]) -> None:
    bind_alone(socket.AF_INET6, ("::1", 3000, 0, 0))
    assert (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) in made[0].options


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EACCES])
def test_who_lingers_keeps_no_server_from_starting(made: list[FakeSocket], number: int) -> None:
    FakeSocket.failures = [number]
    assert bind_alone(socket.AF_INET, ADDRESS) is made[1]
    assert made[0].is_closed
    assert not made[1].is_alone
    assert not made[1].is_closed


def test_a_port_that_is_taken_is_not_had(made: list[FakeSocket]) -> None:
    FakeSocket.failures = [errno.EADDRINUSE, errno.EADDRINUSE]
    with pytest.raises(OSError, match="refused"):
        bind_alone(socket.AF_INET, ADDRESS)
    assert [one.is_closed for one in made] == [True, True]


def test_another_failure_is_final(made: list[FakeSocket]) -> None:
    FakeSocket.failures = [errno.EADDRNOTAVAIL]
    with pytest.raises(OSError, match="refused"):
        bind_alone(socket.AF_INET, ADDRESS)
    assert len(made) == 1


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows has it")
def test_nobody_takes_a_part_of_it() -> None:
    with bind_alone(socket.AF_INET, ("127.0.0.1", 0)) as bound:
        bound.listen()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match=r"10013|10048"):
                other.bind(bound.getsockname())
