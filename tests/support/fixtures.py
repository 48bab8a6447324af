"""Fixtures that start servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dunena.persistence.disk import locks
from tests.support.ordered_locks import OrderedLocks
from tests.support.release_feed import ReleaseFeed, release_feed
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


@pytest.fixture
def feed() -> Iterator[ReleaseFeed]:
    """A list of releases, for a server that is told to ask it."""
    with release_feed() as feed:
        yield feed


@pytest.fixture
def fed_server(start_server: StartServer, feed: ReleaseFeed) -> ServerProcess:
    """A server that looks for newer releases in that list."""
    return start_server(environment={"DUNENA_RELEASES_URL": feed.url, "NO_PROXY": "127.0.0.1"})


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
