"""A node that has nothing yet: how long until it is ready, and the memory that it takes."""

import time
from pathlib import Path

from websockets.sync.client import connect

from tests.bench.speedkit.past import ask, key_of
from tests.bench.speedkit.phrases import VALUE
from tests.bench.speedkit.rounds import rotated

from .clients import fill
from .figures import AFTER, LOAD_CPU, PEAK, READY, Readings, folder, shared
from .servers import Server, cpu_s, megabytes
from .world import Dunena, World

SETTLE_SECONDS = 1


def measure(world: World, readings: Readings) -> None:
    """Store the keys once, and let a new node load them in each round; the same with a folder."""
    keys = world.terms.keys
    for one in world.dunenas:
        bucket, place = f"{one.bucket}-keys", world.folder / one.name
        values = place / "values"
        world.tell(f"storing {keys:,} keys: {shared(one.name)}")
        with world.new_node(one.build, bucket, place / "first") as node:
            fill(node.port, keys)
        world.cluster.wait_until_followed(f"KV_{bucket}")
        world.tell(f"storing {keys:,} keys: {folder(one.name)}")
        with _with_folder(one, place / "first-alone", values) as alone:
            fill(alone.port, keys)
        for turn in range(world.terms.rounds):
            node = world.new_node(one.build, bucket, place / f"node-{turn}")
            alone = _with_folder(one, place / f"alone-{turn}", values)
            starts = [(shared(one.name), node), (folder(one.name), alone)]
            for column, server in rotated(starts, turn):
                world.settle()
                world.tell(f"loading {keys:,} keys, round {turn + 1}: {column}")
                _start(readings, column, server, keys)


def _with_folder(one: Dunena, place: Path, values: Path) -> Server:
    return Server(one.build, place, "--cache-dir", str(values))


def _start(readings: Readings, column: str, server: Server, keys: int) -> None:
    with server:
        cpu, peak = cpu_s(server.pid), megabytes(server.pid, "VmHWM")
        time.sleep(SETTLE_SECONDS)
        readings.add(READY, column, server.took_s)
        readings.add(LOAD_CPU, column, cpu)
        readings.add(PEAK, column, peak)
        readings.add(AFTER, column, megabytes(server.pid, "VmRSS"))
        with connect(f"ws://127.0.0.1:{server.port}/ws", compression=None) as client:
            for number in (0, keys - 1):
                found = ask(client, type="get", key=key_of(number))
                assert found["data"]["value"] == VALUE, "it was ready without all keys"
