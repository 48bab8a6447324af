"""The NATS server that leads is killed: how long a writer goes without an acknowledged write."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from .clients import PACE_SECONDS, VALUE, writer_at
from .figures import GAP, RAW, Readings, longest_gap, shared
from .raw_kv import bucket_of, try_to_put
from .servers import MeasureError
from .world import Dunena, World

SERVERS_MIN = 3
KEY = "writer"
RAW_KEY = "=.raw"
"""A key of its own in the same stream, so that the same leader is missing."""

BEFORE_SECONDS = 1.0
AFTER_SECONDS = 1.5
"""No election is that quick: who writes then has found the new leader."""
ACKS_MIN = 10
WAIT_SECONDS_MAX = 60


def measure(world: World, readings: Readings) -> None:
    """Kill the leader once in each round for each dunena, and let it come back."""
    for turn in range(world.terms.rounds):
        for one in world.dunenas:
            world.tell(f"killing the leader, round {turn + 1}: {one.name}")
            gap, raw = asyncio.run(_kill(world, one))
            readings.add(GAP, shared(one.name), gap)
            readings.add(GAP, RAW, raw)
            world.cluster.mend()
            world.cluster.wait_until_followed(one.stream)


async def _kill(world: World, one: Dunena) -> tuple[float, float]:
    """The gaps of a client of a node, and of one of NATS."""
    leader = world.cluster.leader_of(one.stream)
    async with (
        writer_at(one.nodes[0].port) as writer,
        bucket_of(world.cluster.urls, one.bucket) as bucket,
    ):
        news, is_over = asyncio.Event(), asyncio.Event()
        acks: tuple[list[float], list[float]] = ([], [])
        writing = asyncio.gather(
            _write(lambda: writer.set(KEY, VALUE), acks[0], news, is_over),
            _write(lambda: try_to_put(bucket, RAW_KEY), acks[1], news, is_over),
        )
        await asyncio.sleep(BEFORE_SECONDS)
        killed_at = time.monotonic()
        await asyncio.to_thread(leader.kill)
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while not all(_has_gone_on(one, killed_at) for one in acks):
                    await news.wait()
                    news.clear()
        except TimeoutError:
            raise MeasureError("no writes after the death of the leader") from None
        finally:
            is_over.set()
            await writing
    return longest_gap(acks[0]), longest_gap(acks[1])


def _has_gone_on(acks: list[float], killed_at: float) -> bool:
    """Whether writes are acknowledged again, well after the death."""
    return len(acks) >= ACKS_MIN and acks[-ACKS_MIN] > killed_at + AFTER_SECONDS


async def _write(
    act: Callable[[], Awaitable[bool]],
    acks: list[float],
    news: asyncio.Event,
    is_over: asyncio.Event,
) -> None:
    """Write 50 times a second, one at a time, and note when each write was acknowledged."""
    while not is_over.is_set():
        began = time.monotonic()
        if await act():
            acks.append(time.monotonic())
            news.set()
        await asyncio.sleep(max(0.0, began + PACE_SECONDS - time.monotonic()))
