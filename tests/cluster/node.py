"""A node without a server: a log at real NATS servers, and everything that it has told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from dunena.persistence.jetstream.opening import open_log
from dunena.persistence.log import (
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
from tests.support.patience import patiently

SECONDS_MAX = 30
LOOK_SECONDS = 0.05

Result = LogBatch | Refusal


class Node:
    """A follower that holds values by key, with the revision of each.

    ``thens`` are those that the log has told of last.
    """

    def __init__(self, store: StoreSettings) -> None:
        self.log = open_log(store)
        self.values: dict[str, tuple[int, bytes]] = {}
        self.thens: dict[str, bytes | None] = {}
        self.revision = 0
        self.epoch = ""
        self.batches: list[LogBatch] = []
        self.told: list[tuple[str, bytes]] = []
        self.loads = 0
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        self._count = 0
        self._news = asyncio.Event()

    def load(self, contents: Contents, own: LogBatch | None = None) -> None:
        if own is not None:
            self.apply([own])
        self.loads += 1
        self.values = {
            entry.key: (entry.revision, bytes(entry.value)) for entry in contents.entries
        }
        self.thens = {entry.key: entry.then for entry in contents.entries}
        self.revision, self.epoch = contents.revision, contents.epoch
        self._news.set()

    def apply(self, batches: Sequence[LogBatch]) -> None:
        for batch in batches:
            assert batch.revision > self.revision, "the log goes back"
            self.revision = batch.revision
            self.batches.append(batch)
            for group in batch.groups:
                for record in group:
                    self._make(record)
            if batch.number is not None:
                self._settle(batch.number, batch)
        self._news.set()

    def repair(
        self, entries: Contents, removed: Sequence[Record], own: LogBatch | None = None
    ) -> None:
        if own is not None:
            self.apply([own])
        for record in removed:
            self._make(record)
        for entry in entries.entries:
            self.values[entry.key] = (entry.revision, bytes(entry.value))
        self.revision = entries.revision
        self._news.set()

    def refuse(self, number: int, refusal: Refusal) -> None:
        self._settle(number, refusal)

    def message(self, channel: str, data: bytes) -> None:
        self.told.append((channel, data))
        self._news.set()

    def change_state(self) -> None:
        self._news.set()

    def _make(self, record: Record) -> None:
        op = record.op
        if op.kind is OpKind.SET:
            self.values[op.key] = (record.revision, op.value)
            self.thens[op.key] = op.then
        elif op.kind is OpKind.CLEAR:
            self.values.clear()
        elif op.kind is not OpKind.NOTE:
            self.values.pop(op.key, None)

    def _settle(self, number: int, result: Result) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(result)

    async def propose(self, *groups: tuple[Op, ...]) -> Result:
        """Propose groups, and return what became of them."""
        self._count += 1
        self._waiting[self._count] = asyncio.get_running_loop().create_future()
        result = self._waiting[self._count]
        self.log.propose(Proposal(self._count, groups))
        async with asyncio.timeout(patiently(SECONDS_MAX)):
            return await result

    async def set(self, key: str, value: bytes, **terms: Any) -> Result:
        return await self.propose((Op(OpKind.SET, "", key, value, **terms),))

    async def remove(self, key: str) -> Result:
        return await self.propose((Op(OpKind.REMOVE, "", key),))

    async def clear(self) -> Result:
        return await self.propose((Op(OpKind.CLEAR),))

    async def until(self, is_met: Callable[[], object]) -> None:
        """Wait until a condition is met; of some, such as a state, nothing is told."""
        async with asyncio.timeout(patiently(SECONDS_MAX)):
            while not is_met():
                self._news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)

    async def ready(self) -> None:
        await self.until(lambda: self.log.status.state is LogState.READY)


@asynccontextmanager
async def node_at(servers: Sequence[str], bucket: str, **more: Any) -> AsyncIterator[Node]:
    """A node that has loaded everything."""
    node = Node(StoreSettings(tuple(servers), bucket=bucket, **more))
    node.log.start(node)
    try:
        await node.ready()
        yield node
    finally:
        await node.log.close()
