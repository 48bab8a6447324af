"""Requests of several clients for the same keys are carried out as if one after the other.

The clients are of both WebSocket dialects and of HTTP, and somebody edits the keys' files. Two
seeds; `DUNENA_LINEARIZABILITY_SEEDS` says how many else.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.conformance.concurrent_clients import FileEditor, Room, make_clients
from tests.conformance.linearizability import explain_contradiction
from tests.support.fixtures import StartServer
from tests.support.refusing import commits_refused

SEEDS = int(os.environ.get("DUNENA_LINEARIZABILITY_SEEDS", "2"))
SECONDS = 0.5
pytestmark = pytest.mark.timeout(60 + 10 * SEEDS)
KEYS = ["alpha", "beta", "gamma", "delta"]

EDIT_SECONDS = 1.0
EDIT_KEYS = [f"edited-{number}" for number in range(12)]
PAUSE_SECONDS = 0.03
"""A key that is written all the time has its file replaced before an edit of it is noticed."""


def expect_order(room: Room) -> None:
    """Each key's history must be linearizable."""
    for key, history in room.histories.items():
        explained = explain_contradiction(history)
        assert explained is None, f"seed {room.seed}, key {key!r}: {explained}"


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_requests_at_the_same_time_have_an_order(start_server: StartServer, fsync: str) -> None:
    server = start_server("--fsync", fsync)
    for seed in range(SEEDS):
        room = Room(server, seed, [f"{key}-{seed}" for key in KEYS])
        room.work(make_clients(room), SECONDS)
        expect_order(room)


def test_requests_and_edits_of_files_have_an_order(
    start_server: StartServer, tmp_path: Path
) -> None:
    folder = tmp_path / "values"
    server = start_server(folder=folder)
    seen: set[str] = set()
    for seed in range(SEEDS):
        room = Room(server, seed, [f"{key}-{seed}" for key in EDIT_KEYS], PAUSE_SECONDS)
        room.work([*make_clients(room), FileEditor(room, folder)], EDIT_SECONDS)
        expect_order(room)
        edits = {repr(o.argument) for o in room.operations() if o.client == "editor" and o.argument}
        seen |= edits & {repr(o.answer.value) for o in room.operations() if o.answer is not None}
    assert seen, "no edit came about"


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be moved there")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_requests_have_an_order_while_the_disk_refuses_some(
    start_server: StartServer, tmp_path: Path, seed: int
) -> None:
    folder = tmp_path / "values"
    room = Room(start_server("--fsync", "always", folder=folder), seed, KEYS)
    with commits_refused(folder):
        room.work(make_clients(room), SECONDS)
    expect_order(room)
    answers = [o.answer for o in room.operations() if o.answer is not None]
    assert any(answer.refused == "storage" for answer in answers)
