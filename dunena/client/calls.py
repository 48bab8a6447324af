"""What the calls of both stores do, written once.

They are coroutines that wait only for what the two shells define: the lock of merges, and the
methods at the end. With asyncio they are awaited. In the other shell all of these block, so that a
coroutine runs to its end at its first step. Nothing here has a thread or knows asyncio.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dunena.client.address import DEFAULT_URL, Address
from dunena.client.errors import Error
from dunena.client.feeds import Events, Watch, value_of
from dunena.client.options import TIMEOUT_SECONDS, Options, no_answer_error
from dunena.client.protocol import ClientProtocol
from dunena.client.requests import PendingRequest

if TYPE_CHECKING:
    import ssl

    from dunena.client.http import Http

Result = TypeVar("Result")
StoreType = TypeVar("StoreType")
UpdateFeed = TypeVar("UpdateFeed")
EventFeed = TypeVar("EventFeed")


class Connector(Generic[StoreType]):
    """Makes the stores of a shell."""

    def __init__(self, make_store: Callable[[Options], StoreType]) -> None:
        self._make_store = make_store

    def connect(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        ns: str = "",
        timeout: float | None = TIMEOUT_SECONDS,
        wait: bool = False,
        ssl: "ssl.SSLContext | None" = None,
    ) -> StoreType:
        """A store at a server, for ``with``, or with asyncio for ``async with``.

        ``ns`` is the namespace of all calls. ``timeout`` is in seconds, for the connection and for
        each call; None is for ever. With ``wait``, the first connection is tried until it succeeds,
        as all later ones are; without, a server that is not there is a `ConnectError` at once.
        Raise `ValueError` for what is no address.
        """
        return self._make_store(Options(Address.parse(url), token, ns, timeout, wait, ssl))


class Calls(ABC, Generic[UpdateFeed, EventFeed]):
    """The calls of a store, over a `ClientProtocol`. The feeds are those of the shell.

    Merges take turns with ``merging``, a lock of the shell.
    """

    def __init__(
        self,
        options: Options,
        protocol: ClientProtocol,
        merging: AbstractAsyncContextManager[object],
    ) -> None:
        self._options = options
        self._protocol = protocol
        self._merging = merging
        self._failure: Error | None = None  # why the last connection ended

    async def get(self, key: str, default: Any = None, *, ns: str | None = None) -> Any:
        """The value of a key; ``default`` if there is none."""
        return (await self.mget([key], default, ns=ns))[key]

    async def mget(
        self, keys: Iterable[str], default: Any = None, *, ns: str | None = None
    ) -> dict[str, Any]:
        """The values of keys, by key; ``default`` for those that have none."""
        names = list(keys)
        found = await self._ask(lambda protocol: protocol.read(names, self._space(ns)))
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
        await self._ask(lambda protocol: protocol.write(entries, self._space(ns), ttl, durable))

    async def delete(self, key: str, *, ns: str | None = None, durable: bool | None = None) -> bool:
        """Delete a key; whether there was a value."""
        was_there: bool = await self._ask(
            lambda protocol: protocol.delete(key, self._space(ns), durable)
        )
        return was_there

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
        return await self._request(lambda server: server.keys(pattern, self._space(ns)))

    async def stats(self) -> dict[str, Any]:
        """The server's counters, as `/stats` has them."""
        return await self._request(lambda server: server.ask("GET", "/stats"))

    async def info(self) -> dict[str, Any]:
        """What the server is, as `/info` has it."""
        return await self._request(lambda server: server.ask("GET", "/info"))

    async def flush(self) -> None:
        """Delete every key of every namespace."""
        await self._request(lambda server: server.ask("POST", "/flush"))

    def watch(self, *keys: str, ns: str | None = None) -> UpdateFeed:
        """The current values of keys, then every change of them, to iterate over.

        It goes on over lost connections: a value is told again only if it is another one, and
        never an older one. Of what is not taken in time, the newest of each key is kept.
        """
        feed: UpdateFeed = self._open_feed(partial(Watch, keys, self._space(ns)))
        return feed

    def events(self) -> EventFeed:
        """The changes of all keys from now on, without their values, to iterate over.

        What happens while there is no connection is not told later.
        """
        feed: EventFeed = self._open_feed(Events)
        return feed

    # --- inside ---

    def _space(self, ns: str | None) -> str:
        """The namespace of a call: its own, else that of the connection."""
        return self._options.ns if ns is None else ns

    async def _request(self, request: "Callable[[Http], Result]") -> Result:
        """The result of a request over HTTP, made when all that was asked before is done."""
        await self._ask(ClientProtocol.barrier)
        from dunena.client.http import Http

        def block() -> Result:
            with Http(self._options) as server:
                return request(server)

        return await self._block(block)

    def _late(self) -> Error:
        """What is raised for a request without an answer in time."""
        return no_answer_error(
            self._options, None if self._protocol.is_connected else self._failure
        )

    # --- what the shells define ---

    @abstractmethod
    async def _ask(self, question: Callable[[ClientProtocol], PendingRequest]) -> Any:
        """Make a request and wait for it; its result. Raise `_late` after the timeout."""

    @abstractmethod
    async def _block(self, function: Callable[[], Result]) -> Result:
        """The result of a function that blocks."""

    @abstractmethod
    def _open_feed(self, make: Callable[[Callable[[], None]], Watch | Events]) -> Any:
        """A feed of what ``make`` makes of a ``wake``, followed from now on."""
