"""Fixtures that connect to servers."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.protocol.clients import Client, Clients, RawConnection
from tests.support.server import ServerProcess


@pytest.fixture
def clients(shared_server: ServerProcess) -> Iterator[Clients]:
    """Clients of the shared server, closed at the end of the test."""
    with ExitStack() as stack:
        yield Clients(shared_server, stack)


@pytest.fixture
def dunena(clients: Clients) -> Client:
    """A client of the dunena dialect that was greeted."""
    return clients.dunena()


@pytest.fixture
def objects(clients: Clients) -> Client:
    """A client of the object-store dialect alone."""
    return clients.objects()


@pytest.fixture
def raw(shared_server: ServerProcess) -> Iterator[RawConnection]:
    """A socket to the shared server."""
    with RawConnection(shared_server) as connection:
        yield connection
