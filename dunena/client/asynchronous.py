"""The client for asyncio: one task per store connects and reconnects to the server."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, WebSocketException

from dunena.client.backoff import Backoff
from dunena.client.calls import Calls, Connector, Result
from dunena.client.clocks import read_clocks
from dunena.client.errors import Error
from dunena.client.feeds import BaseFeed, ChannelMessage, Event, Item, Source, StateUpdate, Update
from dunena.client.options import Options, failure
from dunena.client.protocol import ClientProtocol
from dunena.client.requests import PendingRequest
from dunena.client.transactions import BaseTransaction

_UNOPENED = "The store is not open yet; use it in a with: async with dunena.connect() as store"


class Feed(BaseFeed[Item, asyncio.Event]):
    """The items of a watch, of a channel or of the events, for ``async for``.

    The iteration ends when the store or the feed is closed. An ``async with`` closes the feed at
    its end; a feed without one is closed when it is garbage-collected.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            if self._source.is_ended:
                raise StopAsyncIteration
            self._signal.clear()
            item = self._source.take()
            if item is not None:
                return cast(Item, item)
            await self._signal.wait()

    def close(self) -> None:
        """Stop following; an iteration that waits for the next item ends."""
        self._unfollow(self._source)
        self._signal.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class Transaction(BaseTransaction):
    """Operations that are carried out together at the end of an ``async with``: all or none.

    Each method adds one operation; its arguments are those of the store's call of the same name. It
    returns nothing and is not awaited.
    """

    def __init__(
        self,
        ns: str,
        durable: bool | None,
        commit: Callable[[BaseTransaction], Coroutine[Any, Any, None]],
    ) -> None:
        super().__init__(ns, durable=durable)
        self._commit = commit

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._commit(self)
        else:
            self._end()


class Store(Calls[Feed[Update], Feed[StateUpdate], Feed[Event], Feed[ChannelMessage], Transaction]):
    """A server's values. The store connects in ``async with``, and again after a lost connection.

    A call without a connection waits for one, `timeout` at most. A call whose connection was lost
    before the answer is sent again: a plain `set`, `mset` or `delete` may be carried out twice, all
    other writes only once.
    """

    def __init__(self, options: Options) -> None:
        self._outgoing = asyncio.Event()
        protocol = ClientProtocol(
            self._outgoing.set, read_clocks, _UNOPENED, options.session, options.ns
        )
        super().__init__(options, protocol)
        self._task: asyncio.Task[None] | None = None

    if not TYPE_CHECKING:  # a type checker refuses a plain `with` by itself

        def __enter__(self) -> NoReturn:
            raise TypeError("use `async with`, or without asyncio `with dunena.sync.connect()`")

        def __exit__(self, *_: object) -> None:
            """Exist, so that a plain ``with`` calls `__enter__`."""

    async def __aenter__(self) -> Self:
        self._protocol.open()
        opened = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(opened))
        try:
            await opened
            await self._await_session()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; calls that wait raise `ClosedError`, iterations over feeds end."""
        self._protocol.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    # --- how the calls wait ---

    async def _ask(self, question: Callable[[ClientProtocol], PendingRequest]) -> Any:
        request = question(self._protocol)
        if not request.is_done:
            done = asyncio.Event()
            request.on_done = done.set
            try:
                async with asyncio.timeout(self._options.timeout):
                    await done.wait()
            except TimeoutError:
                raise self._late() from None
            finally:
                if not request.is_done:
                    self._protocol.forget(request)
        return request.result()

    async def _block(self, function: Callable[[], Result]) -> Result:
        return await asyncio.to_thread(function)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _make_transaction(self, ns: str, durable: bool | None) -> Transaction:
        return Transaction(ns, durable, self._commit)

    def _open_feed(self, make: Callable[[Callable[[], None]], Source[Any]]) -> Feed[Any]:
        wake = asyncio.Event()
        source = make(wake.set)
        self._protocol.follow(source)
        return Feed(source, wake, self._protocol.unfollow)

    # --- the connection ---

    async def _run(self, opened: "asyncio.Future[None]") -> None:
        """Connect and serve the connection until it ends, again and again."""
        backoff = Backoff()
        while True:
            self._failure = await self._connect(opened, backoff)
            if not opened.done() and not self._options.wait:
                opened.set_exception(self._failure)
                return
            await asyncio.sleep(backoff.next())

    async def _connect(self, opened: "asyncio.Future[None]", backoff: Backoff) -> Error:
        """Make one connection and serve it; return why it failed or ended."""
        address, options = self._options.address, self._options.for_websocket()
        try:
            connection = await open_websocket(address.websocket_url, **options)
            try:
                self._protocol.connected()
                if not opened.done():
                    opened.set_result(None)
                async with connection:
                    try:
                        await self._serve(connection, backoff)
                    except asyncio.CancelledError:
                        await connection.close()  # normally, which ends the session at once
                        raise
            finally:
                self._protocol.disconnected(connection.close_code)
        except (OSError, EOFError, WebSocketException) as error:
            return failure(error, address)

    async def _serve(self, connection: ClientConnection, backoff: Backoff) -> NoReturn:
        """Send and receive until the connection ends; raise why it ended."""
        helpers = [
            asyncio.create_task(self._write(connection)),
            asyncio.create_task(self._beat(connection)),
        ]
        try:
            while True:
                self._protocol.receive(await connection.recv(decode=False))
                backoff.succeeded()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _write(self, connection: ClientConnection) -> None:
        outgoing = self._protocol.outgoing
        with suppress(ConnectionClosed):  # the reader reports it
            while True:
                while outgoing:
                    await connection.send(outgoing.popleft(), text=True)
                self._outgoing.clear()
                await self._outgoing.wait()

    async def _beat(self, connection: ClientConnection) -> None:
        is_alive = True
        while is_alive:
            await asyncio.sleep(self._protocol.beat_seconds)
            is_alive = self._protocol.beat()
        connection.transport.abort()


connect = Connector(Store).connect
