"""NATS' key-value store without dunena, through nats-py."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import nats
from nats.errors import Error
from nats.js.kv import KeyValue

from tests.bench.speedkit.phrases import VALUE

DATA = f'"{VALUE}"'.encode()
"""The value that the load generator writes, as dunena stores it."""

BUCKET = "raw"
KEYS = 1000
WARM_UP_SECONDS = 0.7

ANSWER_SECONDS_MAX = 30
"""A busy machine may take long to answer a thousand tasks."""
QUICK_ANSWER_SECONDS_MAX = 1
"""After that `try_to_put` begins anew."""


@dataclass(slots=True)
class Written:
    """Puts that were acknowledged: how many a second, the ms of each, and the client's CPU us."""

    rate: float = 0
    times: list[float] = field(default_factory=list)
    cpu_us: float = 0


@asynccontextmanager
async def bucket_at(urls: Sequence[str], copies: int) -> AsyncIterator[KeyValue]:
    """A bucket of its own, as nats-py makes it."""
    async with _context_at(urls, ANSWER_SECONDS_MAX) as context:
        yield await context.create_key_value(bucket=BUCKET, replicas=copies)


@asynccontextmanager
async def bucket_of(urls: Sequence[str], name: str) -> AsyncIterator[KeyValue]:
    """A bucket that is there, for `try_to_put`."""
    async with _context_at(urls, QUICK_ANSWER_SECONDS_MAX) as context:
        yield await context.key_value(name)


@asynccontextmanager
async def _context_at(
    urls: Sequence[str], answer_s: float
) -> AsyncIterator[nats.js.JetStreamContext]:
    client = await nats.connect(
        list(urls),
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        connect_timeout=1,
        error_cb=_pass_over,
    )
    try:
        yield client.jetstream(timeout=answer_s)
    finally:
        await client.close()


async def try_to_put(bucket: KeyValue, key: str) -> bool:
    """Put a value, and return whether that was acknowledged in a second."""
    try:
        await bucket.put(key, DATA)
    except (Error, OSError):
        return False
    return True


async def put_all_the_time(bucket: KeyValue, tasks: int, seconds: float) -> Written:
    """Let so many tasks put random keys, one after the other each, after warming up."""
    written = Written()
    begin = time.monotonic() + WARM_UP_SECONDS
    end = begin + seconds

    async def put() -> None:
        while (began := time.monotonic()) < end:
            await bucket.put(f"key.{random.randrange(KEYS)}", DATA)
            now = time.monotonic()
            if begin <= now < end:
                written.times.append((now - began) * 1000)

    working = asyncio.gather(*(put() for _ in range(tasks)))
    await asyncio.sleep(WARM_UP_SECONDS)
    cpu, count = time.process_time(), len(written.times)
    await asyncio.sleep(end - time.monotonic())
    cpu, count = time.process_time() - cpu, len(written.times) - count
    await working
    written.rate = len(written.times) / seconds
    written.cpu_us = cpu / max(1, count) * 1e6
    return written


async def _pass_over(_error: Exception) -> None:
    """Say nothing: a server that is killed ends connections."""
