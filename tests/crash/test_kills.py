"""A server killed repeatedly while clients write and watch loses no acknowledged write.

Nor does it lose one that a watcher was told of, and all watchers end with what is stored.

Meanwhile other hands are at its files, things lie in the folder that are no values, and on Linux
the wall clock jumps both ways. Twenty kills; `DUNENA_CRASH_KILLS` says how many else. What the
clients write and when the server is killed follows from a seed that is printed; `DUNENA_CRASH_SEED`
has it done again.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.crash.hands import CLOCK_STEPS, KEYS, ODD_NAMES, Clock, Hands
from tests.crash.history import History
from tests.crash.watchers import Watcher, make_watchers
from tests.crash.writers import Writer, make_writers
from tests.protocol.clients import SECONDS_MAX, http, now_ms, open_objects
from tests.support.forked import PROGRAM
from tests.support.node_client import NodeClient
from tests.support.server import ServerProcess

KILLS = int(os.environ.get("DUNENA_CRASH_KILLS", "20"))
SEED = int(os.environ.get("DUNENA_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)

LIFE_SECONDS_MAX = 0.8
POLICIES = ("no", "everysec", "always")


class Story:
    """One folder and what happens to it; with a ``clock``, that jumps as well.

    In each of the Node ``programs`` a client follows, too.
    """

    def __init__(self, folder: Path, clock: Clock | None, programs: list[NodeClient]) -> None:
        self.folder = folder
        self.clock = clock
        self.hands = Hands(folder, SEED)
        self.random = random.Random(SEED)
        self.writers: list[Writer] = make_writers(SEED)
        for writer in self.writers:
            writer.history.is_clock_right = clock is None
        histories = [writer.history for writer in self.writers]
        self.watchers: list[Watcher] = make_watchers(histories, programs, SEED)
        self._threads = ThreadPoolExecutor(len(self.writers) + len(self.watchers) + 1)
        self.server: ServerProcess
        self.port = 0  # the same from the first start on, so that clients find it again
        self.kills = 0
        self.acknowledged = 0
        self.unanswered_but_kept = 0
        self.revision = 0

    @property
    def told(self) -> int:
        """How many changes watchers were told of."""
        return sum(watcher.told for watcher in self.watchers)

    def start(self) -> None:
        """A server on the folder, sometimes after some that did not get that far."""
        fsync = self.random.choice(POLICIES)
        self.jump()
        environment = {} if self.clock is None else self.clock.environment
        self.server = ServerProcess(
            self.folder, "--fsync", fsync, environment=environment, command=PROGRAM
        )
        self.server.port = self.port
        if self.random.random() < 0.3:
            process = self.server.launch()
            time.sleep(self.random.uniform(0, 0.5))  # it may be reading what is there
            process.kill()
            process.communicate()
            self.kills += 1
            self.edit()
        self.server.start()
        self.port = self.server.port

    def live(self) -> int:
        """Let the clients write until the server is killed; when that was, Unix ms."""
        clients = [*self.writers, *self.watchers]
        writing = [self._threads.submit(client.run, self.server) for client in clients]
        is_over = threading.Event()
        writing.append(self._threads.submit(self.hands.work, is_over.is_set))
        time.sleep(self.random.uniform(0.02, LIFE_SECONDS_MAX))
        self.jump()
        if self.random.random() < 0.2:
            self.server.process.terminate()
            time.sleep(self.random.uniform(0, 0.1))  # it may be writing its files
        self.server.kill()
        self.kills += 1
        killed_at = now_ms()
        is_over.set()
        for written in writing:
            written.result(SECONDS_MAX)
        assert "Traceback" not in self.server.log, self.server.log
        return killed_at

    def jump(self) -> None:
        """Set the clock, sometimes."""
        if self.clock is not None and self.random.random() < 0.3:
            self.clock.jump(self.random.choice(CLOCK_STEPS))
            self.hands.counts.clock_jumps += 1

    def edit(self) -> None:
        """Other hands are at the clients' files while no server runs."""
        self.hands.put_odd_files(self.folder.with_name("outside"))
        for writer in self.writers:
            self.hands.edit(writer.history)

    def check_files(self) -> None:
        """The moment after a kill: no file holds a part of a value, or one of another key."""
        for writer in self.writers:
            for path in (self.folder / writer.history.ns).glob("*.json"):
                value = json.loads(path.read_bytes())
                assert value in writer.history.ever[path.stem], f"{path} was never set so"

    def check_store(self, killed_at: int) -> None:
        """The moment after a start."""
        revision = http(self.server, "GET", "/info").json["revision"]
        seen = max(self.revision, *(writer.revision for writer in self.writers))
        assert revision >= seen, "the revision went back"
        self.revision = revision
        health = http(self.server, "GET", "/health").json
        assert health["status"] in ("healthy", "degraded"), health
        named = {one["path"] for one in health["checks"]["files"].get("damaged", [])}
        assert {Path(path).name for path in named} <= ODD_NAMES, health
        assert self.read_by_hand() == self.hands.own_values()
        for watcher in self.watchers:
            watcher.tell_histories()
        for writer in self.writers:
            history = writer.history
            self.acknowledged += history.acknowledged
            read_from = now_ms()
            found = read_all(self.server, history)
            extra = history.settle(found, killed_at, read_from, now_ms())
            self.unanswered_but_kept += extra
        catching_up = [self._threads.submit(one.catch_up, self.server) for one in self.watchers]
        for caught_up in catching_up:
            caught_up.result()

    def read_by_hand(self) -> dict[str, Any]:
        """What stands of the keys that other hands alone write."""
        with open_objects(self.server) as client:
            values = {
                f"k{number}": client.ask(
                    {"action": "get", "key": f"k{number}", "ns": self.hands.own.name}
                )["value"]
                for number in range(KEYS)
            }
        return {key: value for key, value in values.items() if value is not None}

    def end(self) -> None:
        """After a clean stop the files alone are the store."""
        assert self.server.stop() == 0, self.server.log
        assert not list((self.folder / ".dunena" / "journal").iterdir())
        for writer in self.writers:
            files = (self.folder / writer.history.ns).glob("*.json")
            found = {path.stem: json.loads(path.read_bytes()) for path in files}
            now = now_ms()
            for key, kept in writer.history.base.items():
                # What expired since may have a file or not.
                is_right = writer.history.may_be(kept, found.get(key), 0, now)
                assert is_right, f"{key} has another file"
            assert found.keys() <= writer.history.base.keys(), "a file of a key that is gone"
        came_back = sum(writer.history.came_back for writer in self.writers)
        assert came_back * 20 <= self.hands.counts.removals + 40
        self.hands.counts.came_back = came_back


def read_all(server: ServerProcess, history: History) -> dict[str, Any]:
    """Every key of a namespace that stands, whoever wrote it."""
    listed = http(server, "GET", f"/keys?ns={history.ns}&count=1000").json["keys"]
    found = {}
    with open_objects(server) as client:
        for key in dict.fromkeys([*listed, *history.keys]):
            value = client.ask({"action": "get", "key": key, "ns": history.ns})["value"]
            if value is not None:
                found[key] = value
    return found


@pytest.fixture
def clock(tmp_path: Path) -> Clock | None:
    """One that jumps, where there are such."""
    return Clock(tmp_path) if sys.platform == "linux" else None


@pytest.fixture
def programs(node: Path, node_modules: Path, tmp_path: Path) -> Iterator[list[NodeClient]]:
    """Two Node processes, which connect again soon."""
    with ExitStack() as stack:
        programs = [
            stack.enter_context(NodeClient(node, node_modules, tmp_path / f"node-{number}"))
            for number in range(2)
        ]
        for program in programs:
            program.run("hasten(8)")
        yield programs


@pytest.mark.timeout(120 + 5 * KILLS)
def test_no_acknowledged_write_is_lost_in_repeated_kills(
    tmp_path: Path,
    clock: Clock | None,
    programs: list[NodeClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So that the Python clients are back before much has happened.
    monkeypatch.setattr("dunena.client.backoff.SECONDS_MAX", 0.1)
    sys.stderr.write(f"DUNENA_CRASH_SEED={SEED} DUNENA_CRASH_KILLS={KILLS}\n")
    story = Story(tmp_path / "values", clock, programs)
    try:
        story.edit()
        story.start()
        story.check_store(now_ms())
        while story.kills < KILLS:
            killed_at = story.live()
            story.check_files()
            story.edit()
            story.start()
            story.check_store(killed_at)
        story.end()
    finally:
        for watcher in story.watchers:
            watcher.close()
        if story.server.is_running:
            story.server.kill()
    sys.stderr.write(
        f"{story.kills} kills, {story.acknowledged} requests acknowledged,"
        f" {story.unanswered_but_kept} more were kept; {story.hands.counts};"
        f" watchers were told {story.told} times\n"
    )
    assert story.acknowledged > 10 * KILLS
    assert story.told > story.acknowledged
