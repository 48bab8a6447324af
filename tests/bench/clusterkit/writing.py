"""As many writes as there can be: rate, times, and the CPU of a write at every process."""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.speedkit import load
from tests.bench.speedkit.phrases import Dunena as DunenaDialect
from tests.bench.speedkit.rounds import rotated
from tests.bench.speedkit.workloads import DUNENA, Result, Workload

from . import raw_kv
from .figures import RAW, SHAPES, WRITES, Readings, Shape, folder, percentile, shared
from .servers import Server, cpu_of
from .world import Dunena, World


@dataclass(frozen=True, slots=True)
class _Spent:
    """The CPU us of a write at processes, in the order in which they were named."""

    result: Result
    us: Sequence[float]


def measure(world: World, readings: Readings) -> None:
    """All shapes in each round; who is written to takes turns."""
    everyone = ["", *(one.name for one in world.dunenas)]
    for turn in range(world.terms.rounds):
        for shape in SHAPES:
            for name in rotated(everyone, turn):
                world.tell(f"writes, {shape.text}, round {turn + 1}: {name or 'raw'}")
                world.settle()
                if not name:
                    _measure_raw(world, readings, shape)
                    continue
                (one,) = (dunena for dunena in world.dunenas if dunena.name == name)
                _measure_shared(world, readings, shape, one)
                world.settle()
                _measure_folder(world, readings, shape, one)


def _measure_raw(world: World, readings: Readings, shape: Shape) -> None:
    written = asyncio.run(_put(world, shape))
    rows = WRITES[shape]
    readings.add(rows.rate, RAW, written.rate)
    readings.add(rows.p50, RAW, percentile(written.times, 0.5))
    readings.add(rows.p99, RAW, percentile(written.times, 0.99))
    readings.add(rows.origin, RAW, written.cpu_us)


async def _put(world: World, shape: Shape) -> raw_kv.Written:
    tasks = shape.connections * shape.depth
    async with raw_kv.bucket_at(world.cluster.urls, len(world.cluster.servers)) as bucket:
        return await raw_kv.put_all_the_time(bucket, tasks, world.terms.seconds)


def _measure_shared(world: World, readings: Readings, shape: Shape, one: Dunena) -> None:
    leader = world.cluster.leader_of(one.stream)
    others = [node.pid for node in one.nodes[1:]]
    followers = [server.pid for server in world.cluster.servers if server is not leader]
    spent = _write(world, shape, one.nodes[0], [*others, leader.pid, *followers])
    rows, column = WRITES[shape], shared(one.name)
    _note(readings, shape, column, spent.result)
    if others:
        readings.add(rows.others, column, statistics.mean(spent.us[: len(others)]))
    readings.add(rows.leader, column, spent.us[len(others)])
    if followers:
        readings.add(rows.followers, column, statistics.mean(spent.us[len(others) + 1 :]))


def _measure_folder(world: World, readings: Readings, shape: Shape, one: Dunena) -> None:
    spent = _write(world, shape, one.alone, [])
    _note(readings, shape, folder(one.name), spent.result)


def _note(readings: Readings, shape: Shape, column: str, result: Result) -> None:
    rows = WRITES[shape]
    readings.add(rows.rate, column, result["ops_s"])
    readings.add(rows.p50, column, result["p50_us"] / 1000)
    readings.add(rows.p99, column, result["p99_us"] / 1000)
    readings.add(rows.origin, column, result["cpu_us"])


def _write(world: World, shape: Shape, server: Server, pids: Sequence[int]) -> _Spent:
    """Drive a server, and find out what other processes spend meanwhile."""
    workload = Workload(
        "set",
        "`set`",
        lambda phrases: phrases.set(),
        shape.connections,
        ("-d", str(shape.depth)),
        ways=(DUNENA,),
    )
    seconds = world.terms.seconds
    driving = load.start(
        world.load,
        server.running,
        workload,
        DunenaDialect().set(),
        seconds=seconds,
        connections=shape.connections,
    )
    assert driving.stderr is not None, "it is a pipe"
    said = driving.stderr.readline()
    before = cpu_of(pids)
    if said != load.MEASURING:
        load.stop(driving)
        raise load.LoadError(load.reason(said))
    result = load.finish(driving, seconds)
    used = [after - earlier for after, earlier in zip(cpu_of(pids), before, strict=True)]
    return _Spent(result, [one / result["ops"] * 1e6 for one in used])
