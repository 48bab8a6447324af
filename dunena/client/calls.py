"""The calls of both stores, implemented once.

The calls are coroutines that await only what the two shells define: the lock of merges and the
abstract methods at the end of `Calls`. The asyncio shell awaits the calls. In the other shell these
methods block, so that a coroutine runs to its end at its first step. This module uses neither
threads nor asyncio.
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
    """Makes the stores of one shell; ``make_store`` is the shell's class."""

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
        """Return a store at a server, for ``with``, or with asyncio for ``async with``.

        ``ns`` is the namespace of all calls. ``timeout`` is in seconds, for the connection and for
        each call; None waits for ever. With ``wait``, the first connection is tried until it
        succeeds, as all later ones are; without, entering the ``with`` raises `ConnectError` if the
        server cannot be reached. ``ssl`` replaces the default TLS context.
        Raise `ValueError` if ``url`` is no address.
        """
        return self._make_store(Options(Address.parse(url), token, ns, timeout, wait, ssl))


class Calls(ABC, Generic[UpdateFeed, EventFeed]):
    """The calls of a store, over a `ClientProtocol`.

    ``merging`` is a lock of the shell that a merge holds. Every call raises `RequestError` for a
    refusal, `NoAnswerError` after the timeout and `ClosedError` if the store is not open.
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
        """Return the value of a key; ``default`` if it has none."""
        return (await self.mget([key], default, ns=ns))[key]

    async def mget(
        self, keys: Iterable[str], default: Any = None, *, ns: str | None = None
    ) -> dict[str, Any]:
        """Return the values of keys as a dict by key; ``default`` for keys without a value."""
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
        """Store any JSON value; return when the server has stored it.

        ``ttl``: ms until the key expires. ``durable``: wait until the value is on the device.
        Raise `TypeError` for a value that is no JSON.
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
        """Store the values of several keys, sent together; each is stored or refused by itself.

        ``ttl`` and ``durable`` are as for `set`. Raise `RequestError` if one or more were refused.
        """
        await self._ask(lambda protocol: protocol.write(entries, self._space(ns), ttl, durable))

    async def delete(self, key: str, *, ns: str | None = None, durable: bool | None = None) -> bool:
        """Delete a key; return whether it had a value."""
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
        """Replace fields of an object and keep its others; return the whole object as stored now.

        The object is read, changed by this client and written. Merges of one store wait for each
        other; a write of another client between reading and writing is lost. A value that is no
        object is replaced by one.
        """
        async with self._merging:
            old = await self.get(key, ns=ns)
            merged = {**old, **fields} if isinstance(old, dict) else dict(fields)
            await self.set(key, merged, ttl=ttl, ns=ns, durable=durable)
        return merged

    async def keys(self, pattern: str = "*", *, ns: str | None = None) -> list[str]:
        """Return all keys that match, sorted; ``*`` is any text, ``?`` one character."""
        return await self._request(lambda server: server.keys(pattern, self._space(ns)))

    async def stats(self) -> dict[str, Any]:
        """Return the server's counters, the answer of `/stats`."""
        return await self._request(lambda server: server.ask("GET", "/stats"))

    async def info(self) -> dict[str, Any]:
        """Return version, limits and settings of the server, the answer of `/info`."""
        return await self._request(lambda server: server.ask("GET", "/info"))

    async def flush(self) -> None:
        """Delete every key of every namespace."""
        await self._request(lambda server: server.ask("POST", "/flush"))

    def watch(self, *keys: str, ns: str | None = None) -> UpdateFeed:
        """Return a feed of the current values of keys and then of each change of them.

        The feed continues after a lost connection: it repeats no value that has not changed, and
        gives none that is older than the last. For a slow reader it keeps the newest update of each
        key and drops those before it.
        """
        feed: UpdateFeed = self._open_feed(partial(Watch, keys, self._space(ns)))
        return feed

    def events(self) -> EventFeed:
        """Return a feed of the changes of all keys from now on, without their values.

        Changes during a lost connection are not in the feed. The iteration raises `TooSlowError` if
        too many events wait to be read.
        """
        feed: EventFeed = self._open_feed(Events)
        return feed

    # --- inside ---

    def _space(self, ns: str | None) -> str:
        """Return the namespace of a call: its own, else that of the store."""
        return self._options.ns if ns is None else ns

    async def _request(self, request: "Callable[[Http], Result]") -> Result:
        """Make a request over HTTP after all earlier requests were answered; return its result."""
        await self._ask(ClientProtocol.barrier)
        from dunena.client.http import Http

        def block() -> Result:
            with Http(self._options) as server:
                return request(server)

        return await self._block(block)

    def _late(self) -> Error:
        """Make the error for a request without an answer in time."""
        return no_answer_error(
            self._options, None if self._protocol.is_connected else self._failure
        )

    # --- what the shells define ---

    @abstractmethod
    async def _ask(self, question: Callable[[ClientProtocol], PendingRequest]) -> Any:
        """Make a request, wait for it and return its result; raise `_late` after the timeout."""

    @abstractmethod
    async def _block(self, function: Callable[[], Result]) -> Result:
        """Call a function that blocks and return its result."""

    @abstractmethod
    def _open_feed(self, make: Callable[[Callable[[], None]], Watch | Events]) -> Any:
        """Follow the source that ``make`` returns for a ``wake``; return its feed."""
