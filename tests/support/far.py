"""A server as it is from far away: whatever is sent arrives later, in both directions."""

import asyncio
import threading
from contextlib import suppress
from typing import Self

READ_BYTES = 65_536
START_SECONDS_MAX = 10


class Far:
    """A relay to a port of this machine, on ``port``, that holds all bytes back for a while.

    ``seconds`` is for one way: an answer takes twice as long.
    """

    def __init__(self, target_port: int, seconds: float) -> None:
        self.port = 0
        self._target_port = target_port
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._is_over = asyncio.Event()
        self._is_ready = threading.Event()
        self._relays: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_ready.wait(START_SECONDS_MAX)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()

    def cut(self) -> None:
        """End all connections, with whatever is on its way."""
        self._loop.call_soon_threadsafe(lambda: [relay.cancel() for relay in self._relays])

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())  # what still relays is cancelled with it

    async def _serve(self) -> None:
        listener = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        self._is_ready.set()
        await self._is_over.wait()
        listener.close()

    async def _relay(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        try:
            far, to_far = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:  # a server that is not there: nor is it from far away
            to_near.close()
            return
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        try:
            with suppress(asyncio.CancelledError):  # the end, of which asyncio would make a fault
                await asyncio.gather(self._carry(near, to_far), self._carry(far, to_near))
        finally:
            self._relays.remove(relay)
            to_near.close()
            to_far.close()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Bytes on their way, each piece with its own time of arrival, and the end behind them."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take(source, pieces))
            tasks.create_task(self._give(pieces, target))

    async def _take(
        self, source: asyncio.StreamReader, pieces: "asyncio.Queue[tuple[float, bytes]]"
    ) -> None:
        data = b"none yet"
        while data:
            try:
                data = await source.read(READ_BYTES)
            except OSError:
                data = b""
            pieces.put_nowait((self._loop.time() + self._seconds, data))

    async def _give(
        self, pieces: "asyncio.Queue[tuple[float, bytes]]", target: asyncio.StreamWriter
    ) -> None:
        data = b"none yet"
        while data:
            at, data = await pieces.get()
            await asyncio.sleep(max(0.0, at - self._loop.time()))
            with suppress(OSError):
                if data:
                    target.write(data)
                    await target.drain()
                else:
                    target.write_eof()
