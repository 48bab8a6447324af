"""What a `get` costs a node, beside the same server with a folder: nothing of it goes to NATS."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.bench.speedkit import load
from tests.bench.speedkit.machine import SERVER_CORE
from tests.bench.speedkit.phrases import Dunena as DunenaDialect
from tests.bench.speedkit.phrases import ObjectStore, Talk
from tests.bench.speedkit.rounds import rotated
from tests.bench.speedkit.workloads import CPU, DUNENA, Workload

from .clients import fill
from .figures import DUNENA_GETS, GETS, Readings, folder, shared
from .servers import Server
from .world import World

CONNECTIONS = 64
KEYS = 1000
TALKS = (
    (GETS, replace(ObjectStore().get(), preload="")),
    (DUNENA_GETS, replace(DunenaDialect().get(), preload="", preload_replies=0)),
)


def measure(world: World, readings: Readings) -> None:
    """All rounds; who is asked takes turns."""
    everyone = []
    for one in world.dunenas:
        everyone += [(shared(one.name), one.nodes[0]), (folder(one.name), one.alone)]
    for _, server in everyone:
        # Once, before all rounds: a folder has files to write after each of them.
        fill(server.port, KEYS)
    for turn in range(world.terms.rounds):
        for row, talk in TALKS:
            for column, server in rotated(everyone, turn):
                world.settle()
                world.tell(f"reads, round {turn + 1}: {column}")
                readings.add(row, column, _read(world, server, talk))


def _read(world: World, server: Server, talk: Talk) -> float:
    """The CPU us of a `get`."""
    workload = Workload(
        "get",
        "`get`",
        lambda phrases: phrases.get(),
        CONNECTIONS,
        ("-d", "1"),
        ways=(DUNENA,),
        keys=KEYS,
    )
    with _kept_on(SERVER_CORE, server.pid):
        driving = load.start(
            world.load,
            server.running,
            workload,
            talk,
            seconds=world.terms.seconds,
            connections=CONNECTIONS,
        )
        return load.finish(driving, world.terms.seconds)[CPU.field]


@contextmanager
def _kept_on(core: int, pid: int) -> Iterator[None]:
    """Let a process run on one core only, where the load is not."""
    before = os.sched_getaffinity(pid)
    _put_on({core} & before or before, pid)
    try:
        yield
    finally:
        _put_on(before, pid)


def _put_on(cores: set[int], pid: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
