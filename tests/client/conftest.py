"""The JavaScript client, in Node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.node_client import NodeClient
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def program(
    node: Path, node_modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeClient]:
    """A Node process that the tests of a module share."""
    with NodeClient(node, node_modules, tmp_path_factory.mktemp("client")) as program:
        yield program


@pytest.fixture
def client(program: NodeClient, shared_server: ServerProcess) -> Iterator[NodeClient]:
    """It, with a store connected to the server that the module's tests share."""
    program.open(shared_server.url)
    yield program
    program.run("state.store.close()")


@pytest.fixture
def away(program: NodeClient) -> Iterator[NodeClient]:
    """It, for tests that connect to servers of their own."""
    yield program
    program.run("state.store?.close()")


@pytest.fixture
def hasty(
    node: Path, node_modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeClient]:
    """A client whose timers take a fourth, for tests that would wait for them."""
    with NodeClient(node, node_modules, tmp_path_factory.mktemp("hasty")) as client:
        client.run("hasten(4)")
        yield client


@pytest.fixture(scope="session")
def typescript(node_modules: Path) -> Path:
    """TypeScript's compiler, a program for Node; it is installed along with `ws`."""
    compiler = node_modules / "typescript" / "bin" / "tsc"
    assert compiler.is_file(), "`python3 build/dev.py test` installs it"
    return compiler
