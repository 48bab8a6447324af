"""One client that writes 50 times a second: how long until the answer, and until others see it."""

import asyncio
import time

from tests.bench.speedkit.rounds import rotated

from .clients import numbered, pace, watcher_at, writer_at
from .figures import (
    PACED_P50,
    PACED_P99,
    RAW,
    SEEN_P50,
    SEEN_P99,
    Readings,
    folder,
    percentile,
    shared,
)
from .raw_kv import DATA, bucket_at
from .world import World

KEY = "paced"
SECONDS_MIN = 4
"""200 writes, so that the slowest of a hundred is not the slowest of all."""


def measure(world: World, readings: Readings) -> None:
    """All rounds; who is written to takes turns."""
    seconds = max(SECONDS_MIN, world.terms.seconds)
    everyone = ["", *(one.name for one in world.dunenas)]
    for turn in range(world.terms.rounds):
        for name in rotated(everyone, turn):
            world.tell(f"50 writes a second, round {turn + 1}: {name or 'raw'}")
            world.settle()
            if not name:
                _note(readings, RAW, asyncio.run(_put(world, seconds)))
                continue
            (one,) = (dunena for dunena in world.dunenas if dunena.name == name)
            far = one.nodes[-1].port
            answered, seen = asyncio.run(_write(one.nodes[0].port, far, seconds))
            _note(readings, shared(name), answered)
            readings.add(SEEN_P50, shared(name), percentile(seen, 0.5))
            readings.add(SEEN_P99, shared(name), percentile(seen, 0.99))
            world.settle()
            answered, seen = asyncio.run(_write(one.alone.port, one.alone.port, seconds))
            _note(readings, folder(name), answered)
            readings.add(SEEN_P50, folder(name), percentile(seen, 0.5))
            readings.add(SEEN_P99, folder(name), percentile(seen, 0.99))


def _note(readings: Readings, column: str, times: list[float]) -> None:
    readings.add(PACED_P50, column, percentile(times, 0.5))
    readings.add(PACED_P99, column, percentile(times, 0.99))


async def _write(port: int, far: int, seconds: float) -> tuple[list[float], list[float]]:
    """Write at one port and look at another; ms until the answers, and until values are seen."""
    sent: dict[int, float] = {}
    async with writer_at(port) as writer, watcher_at(far, KEY) as seen:

        async def write(number: int) -> None:
            sent[number] = time.monotonic()
            assert await writer.set(KEY, numbered(number)), "a write was refused"

        answered = await pace(write, seconds)
        await asyncio.sleep(0.2)  # the last ones may be on their way
        return answered, [(seen[n] - sent[n]) * 1000 for n in seen if n in sent]


async def _put(world: World, seconds: float) -> list[float]:
    async with bucket_at(world.cluster.urls, len(world.cluster.servers)) as bucket:
        return await pace(lambda _number: bucket.put(KEY, DATA), seconds)
