"""A balancer in front of nodes: each connection goes to the ready node that has the fewest."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

from tests.cluster.machines import Node
from tests.support.patience import patiently

CHECK_SECONDS = 0.25
START_SECONDS_MAX = patiently(10)
_PIECE = 1 << 16


class Balancer:
    """A TCP balancer at ``port``, in a thread of its own."""

    def __init__(self, nodes: list[Node]) -> None:
        self.port = 0
        self._nodes = nodes
        self._counts = dict.fromkeys((node.name for node in nodes), 0)
        self._ready: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(START_SECONDS_MAX)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError), self._loop_of_its_own():
            self._main = self._loop.create_task(self._serve())
            self._loop.run_until_complete(self._main)

    @contextlib.contextmanager
    def _loop_of_its_own(self):
        try:
            yield
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    self._loop.run_until_complete(task)
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            while True:
                checks = (asyncio.to_thread(lambda one=node: one.is_ready) for node in self._nodes)
                found = await asyncio.gather(*checks)
                pairs = zip(self._nodes, found, strict=True)
                self._ready = {node.name for node, is_ready in pairs if is_ready}
                self._is_up.set()
                await asyncio.sleep(CHECK_SECONDS)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = [node for node in self._nodes if node.name in self._ready]
        for node in sorted(ready, key=lambda node: self._counts[node.name]):
            try:
                there = await asyncio.open_connection(node.place.address, node.port)
            except OSError:
                continue
            self._counts[node.name] += 1
            try:
                await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
            finally:
                self._counts[node.name] -= 1
            return
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on all that comes; the end of one direction ends both, as browsers do it."""
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
