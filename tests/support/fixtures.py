"""Fixtures that start servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dunena.persistence.disk import locks
from tests.support.ordered_locks import OrderedLocks
from tests.support.server import ServerProcess

StartServer = Callable[..., ServerProcess]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start a server with the arguments given; all are stopped at the end of the test."""
    with ExitStack() as stack:

        def start(*arguments: str, folder: Path | None = None, **options: object) -> ServerProcess:
            return stack.enter_context(
                ServerProcess(folder or tmp_path / "values", *arguments, **options)
            )

        yield start


@pytest.fixture
def server(start_server: StartServer) -> ServerProcess:
    """A server with the defaults and an empty folder."""
    return start_server()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for the tests of a module that each use keys of their own."""
    with ServerProcess(tmp_path_factory.mktemp("values")) as server:
        yield server


@pytest.fixture
def ordered_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[OrderedLocks]:
    """The disk engine's locks look at the order in which they are taken; a wrong one fails."""
    ordered = OrderedLocks()
    monkeypatch.setattr(locks, "make_lock", ordered.make_lock)
    yield ordered
    assert not ordered.wrong
