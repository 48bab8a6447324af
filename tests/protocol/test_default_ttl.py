"""The default ttl applies to writes without a ttl through every interface."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import Clients, http, unique
from tests.protocol.test_unset_fields import WRITES, Write
from tests.support.server import ServerProcess

DEFAULT_MS = 600_000
OTHER_MS = 5_000_000

TOKENS = """\
[some]
token = "some-token"
rights = ["read", "write"]
keys = ["key-*"]
"""


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose values expire by themselves."""
    folder = tmp_path_factory.mktemp("forgetful") / "values"
    with ServerProcess(folder, "--default-ttl", str(DEFAULT_MS)) as server:
        yield server


@pytest.fixture
def clients(forgetful: ServerProcess) -> Iterator[Clients]:
    """Clients of that server."""
    with ExitStack() as stack:
        yield Clients(forgetful, stack)


def time_left(server: ServerProcess, key: str, **headers: str) -> int | None:
    """Ms that a key has left; None for ever."""
    answer = http(server, "GET", f"/entries/{key}", headers=headers).json
    expires_at = answer["entry"]["expiresAt"]
    return None if expires_at is None else expires_at - answer["timestamp"]


@pytest.mark.parametrize("fields", [{}, {"ttl": None}], ids=str)
@pytest.mark.parametrize("write", WRITES)
def test_a_write_without_a_ttl_gets_the_default_ttl(
    clients: Clients, write: Write, fields: dict[str, Any]
):
    key = unique()
    write(clients, {"key": key, "value": "v", **fields})
    left = time_left(clients.server, key)
    assert left is not None
    assert 0 < left <= DEFAULT_MS


@pytest.mark.parametrize("write", WRITES)
def test_an_explicit_ttl_overrides_the_default_ttl(clients: Clients, write: Write):
    endless, longer = unique(), unique()
    write(clients, {"key": endless, "value": "v", "ttl": 0})
    assert time_left(clients.server, endless) is None
    write(clients, {"key": longer, "value": "v", "ttl": OTHER_MS})
    left = time_left(clients.server, longer)
    assert left is not None
    assert DEFAULT_MS < left <= OTHER_MS


def test_the_default_ttl_applies_to_clients_with_a_restricted_grant(tmp_path: Path):
    (tmp_path / "tokens.toml").write_text(TOKENS, "utf-8")
    bearer = {"Authorization": "Bearer some-token"}
    arguments = ["--default-ttl", str(DEFAULT_MS), "--tokens", str(tmp_path / "tokens.toml")]
    with ServerProcess(None, "--no-persist", *arguments) as server:
        body = {"key": "key-1", "value": 1}
        assert http(server, "POST", "/set", body, headers=bearer).status == 200
        left = time_left(server, "key-1", **bearer)
        assert left is not None
        assert 0 < left <= DEFAULT_MS


def test_a_value_file_made_by_hand_gets_no_default_ttl(clients: Clients, forgetful: ServerProcess):
    assert forgetful.folder is not None
    listener = clients.dunena()
    key = unique("by-hand")
    (forgetful.folder / f"{key}.json").write_text("1", "utf-8")
    listener.event(key, "set")
    assert time_left(forgetful, key) is None
