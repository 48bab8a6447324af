"""The client for asyncio."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Generic, Self, TypeVar, cast

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, WebSocketException

from dunena.client.address import DEFAULT_URL, Address
from dunena.client.backoff import Backoff
from dunena.client.errors import Error, NoAnswerError
from dunena.client.feeds import Event, Events, Update, Watch, is_end, value_of
from dunena.client.options import (
    Options,
    failure,
    is_printable,
    space_of,
    unreachable_error,
)
from dunena.client.protocol import BEAT_SECONDS, ClientProtocol
from dunena.client.requests import Request

Default = TypeVar("Default")
Item = TypeVar("Item", Update, Event)

_UNOPENED = "The store is not open yet; use it in a with: async with dunena.connect() as store"


def connect(
    url: str = DEFAULT_URL,
    *,
    token: str | None = None,
    ns: str = "",
    timeout: float | None = 10.0,
    wait: bool = False,
    ssl: "ssl.SSLContext | None" = None,
) -> "Store":
    """A store at a server, for ``async with``.

    ``ns`` is the namespace of all calls. ``timeout`` is in seconds, for the connection and for
    each call; None is for ever. With ``wait``, the first connection is tried until it succeeds, as
    all later ones are; without, a server that is not there is a `ConnectError` at once.
    Raise `ValueError` for what is no address.
    """
    return Store(Options(Address.parse(url), token, ns, timeout, wait, ssl))


class Store:
    """A server's values. It connects in ``async with``, and again whenever it has to.

    Calls that are made without a connection wait for it, `timeout` at most. A call whose answer a
    broken connection swallowed is sent again: a write may happen twice.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._outgoing = asyncio.Event()
        self._core = ClientProtocol(self._outgoing.set, _UNOPENED)
        self._opened: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._failure: Error | None = None
        self._merging = asyncio.Lock()

    # --- calls ---

    async def get(self, key: str, default: Any = None, *, ns: str | None = None) -> Any:
        """The value of a key; ``default`` if there is none."""
        return (await self.mget([key], default, ns=ns))[key]

    async def mget(
        self, keys: Iterable[str], default: Any = None, *, ns: str | None = None
    ) -> dict[str, Any]:
        """The values of keys, by key; ``default`` for those that have none."""
        found = await self._ask(self._core.read(list(keys), self._space(ns)))
        return {key: value_of(raw) if raw else default for key, raw in found.items()}

    async def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: int | None = None,
        ns: str | None = None,
        durable: bool | None = None,
    ) -> None:
        """Store any JSON value; returns when it is stored.

        ``ttl``: ms until it is gone. ``durable``: wait until it is on the device.
        """
        await self.mset({key: value}, ttl=ttl, ns=ns, durable=durable)

    async def mset(
        self,
        entries: Mapping[str, Any],
        *,
        ttl: int | None = None,
        ns: str | None = None,
        durable: bool | None = None,
    ) -> None:
        """Store values, sent together; each is stored or refused by itself."""
        await self._ask(self._core.write(entries, self._space(ns), ttl, durable))

    async def delete(self, key: str, *, ns: str | None = None, durable: bool | None = None) -> bool:
        """Delete a key; whether there was a value."""
        space = self._space(ns)
        if is_printable(key, space):
            return cast(bool, await self._ask(self._core.delete(key, space, durable)))
        before = self._core.read([key], space)
        await self._ask(self._core.delete_unanswered(key, space, durable))
        return bool(before.result()[key])

    async def merge(
        self,
        key: str,
        fields: Mapping[str, Any],
        *,
        ttl: int | None = None,
        ns: str | None = None,
        durable: bool | None = None,
    ) -> dict[str, Any]:
        """Replace fields of an object and keep its others; the whole of it, as it is stored now.

        It is read, changed here and written. Merges of this store take turns; when another client
        writes the key in between, that is lost. What is no object is replaced by one.
        """
        async with self._merging:
            old = await self.get(key, ns=ns)
            merged = {**old, **fields} if isinstance(old, dict) else dict(fields)
            await self.set(key, merged, ttl=ttl, ns=ns, durable=durable)
        return merged

    async def keys(self, pattern: str = "*", *, ns: str | None = None) -> list[str]:
        """All keys that match, sorted; ``*`` is any text, ``?`` one character."""
        await self._ask(self._core.barrier())
        from dunena.client import http

        return await asyncio.to_thread(http.keys, self._options, pattern, self._space(ns))

    async def stats(self) -> dict[str, Any]:
        """The server's counters, as `/stats` has them."""
        return await self._request("GET", "/stats")

    async def info(self) -> dict[str, Any]:
        """What the server is, as `/info` has it."""
        return await self._request("GET", "/info")

    async def flush(self) -> None:
        """Delete every key of every namespace."""
        await self._request("POST", "/flush")

    # --- feeds ---

    def watch(self, *keys: str, ns: str | None = None) -> "Feed[Update]":
        """The current values of keys, then every change of them, for ``async for``.

        It goes on over lost connections: a value is told again only if it is another one, and
        never an older one. Of what is not taken in time, the newest of each key is kept.
        """
        core, wake = self._core, asyncio.Event()
        watch = Watch(keys, self._space(ns), wake.set)
        core.watch(watch)
        return Feed(watch, wake, lambda: core.unwatch(watch))

    def events(self) -> "Feed[Event]":
        """The changes of all keys from now on, without their values, for ``async for``.

        What happens while there is no connection is not told later.
        """
        core, wake = self._core, asyncio.Event()
        events = Events(wake.set)
        core.listen(events)
        return Feed(events, wake, lambda: core.unlisten(events))

    # --- life ---

    async def __aenter__(self) -> Self:
        self._core.open()
        self._opened = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(self._opened))
        try:
            await self._opened
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; everything that waits is told."""
        self._core.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    # --- inside ---

    def _space(self, ns: str | None) -> str:
        return space_of(self._options, ns)

    async def _request(self, method: str, path: str) -> dict[str, Any]:
        await self._ask(self._core.barrier())
        from dunena.client import http

        answer: dict[str, Any] = await asyncio.to_thread(http.ask, self._options, method, path)
        return answer

    async def _ask(self, request: Request) -> Any:
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
                    self._core.forget(request)
        return request.result()

    def _late(self) -> NoAnswerError:
        text = f"No answer from {self._options.address.url} in {self._options.timeout:g} s"
        if self._failure is not None and not self._core.is_connected:
            text = f"{text}: {self._failure}"
        return NoAnswerError(text)

    async def _run(self, opened: "asyncio.Future[None]") -> None:
        """Connect, serve the connection to its end, and again."""
        backoff = Backoff()
        while True:
            self._failure = await self._connect(opened, backoff)
            if not opened.done() and not self._options.wait:
                opened.set_exception(self._failure)
                return
            await asyncio.sleep(backoff.next())

    async def _connect(self, opened: "asyncio.Future[None]", backoff: Backoff) -> Error:
        """One connection; why it ended."""
        address, options = self._options.address, self._options.for_websocket()
        try:
            connection = await open_websocket(address.websocket_url, **options)
        except (OSError, EOFError, WebSocketException) as error:
            return failure(error, address)
        try:
            self._core.connected()
            if not opened.done():
                opened.set_result(None)
            async with connection:
                await self._serve(connection, backoff)
        except ConnectionClosed as closed:
            return failure(closed, address)
        finally:
            self._core.disconnected()
        return unreachable_error(address, ConnectionError("the connection is silent"))

    async def _serve(self, connection: ClientConnection, backoff: Backoff) -> None:
        """Until the connection ends."""
        helpers = [
            asyncio.create_task(self._write(connection)),
            asyncio.create_task(self._beat(connection)),
        ]
        try:
            while True:
                self._core.receive(await connection.recv(decode=False))
                backoff.succeeded()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _write(self, connection: ClientConnection) -> None:
        outgoing = self._core.outgoing
        with suppress(ConnectionClosed):  # the reader tells
            while True:
                while outgoing:
                    await connection.send(outgoing.popleft(), text=True)
                self._outgoing.clear()
                await self._outgoing.wait()

    async def _beat(self, connection: ClientConnection) -> None:
        is_alive = True
        while is_alive:
            await asyncio.sleep(BEAT_SECONDS)
            is_alive = self._core.beat()
        connection.transport.abort()


class Feed(Generic[Item]):
    """What comes by itself, for ``async for``; ends with the store, or with `close`.

    In an ``async with`` it is closed at the end; without, when nobody has it any more.
    """

    def __init__(
        self, source: Watch | Events, wake: asyncio.Event, stop: Callable[[], None]
    ) -> None:
        self._source = source
        self._wake = wake
        self._stop = stop

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            if is_end(self._source):
                raise StopAsyncIteration
            self._wake.clear()
            item = self._source.take()
            if item is not None:
                return cast(Item, item)
            await self._wake.wait()

    def close(self) -> None:
        """Follow it no longer; who waits for it is told that it ended."""
        self._stop()
        self._wake.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Any moment and any thread: the core lets go of it at its next beat.
        self._source.is_closed = True
