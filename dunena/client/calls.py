"""The calls of both stores, implemented once.

The calls are coroutines that await only what the two shells define, the abstract methods at the end
of `Calls`. The asyncio shell awaits the calls. In the other shell these
methods block, so that a coroutine runs to its end at its first step. This module uses neither
threads nor asyncio.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import random
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from dunena.client.address import DEFAULT_URL, Address
from dunena.client.errors import ConflictError, Error
from dunena.client.feeds import (
    CACHE_EVENTS,
    Events,
    HistoryEntry,
    Messages,
    Source,
    Watch,
    value_of,
)
from dunena.client.options import TIMEOUT_SECONDS, Options, no_answer_error
from dunena.client.presence import Session
from dunena.client.protocol import ClientProtocol
from dunena.client.requests import PendingRequest, check_ttl, encoded, encoded_fields, encoded_patch
from dunena.client.state import Selection, StateUpdates, StateWatch
from dunena.client.transactions import (
    BaseTransaction,
    OperationOptions,
    PlaceOptions,
    TouchOptions,
    operation_fields,
)

if TYPE_CHECKING:
    import ssl

    from dunena.client.http import Http

_PLAIN_OPTIONS = frozenset(("ns", "ttl", "durable", "ephemeral"))
"""Options with which a `set` or `delete` is sent as a plain one, and not as an operation."""

_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 0.005, 0.2
"""Between the tries of an update, at most; twice as long each time."""

Result = TypeVar("Result")
StoreType = TypeVar("StoreType")
UpdateFeed = TypeVar("UpdateFeed")
StateFeed = TypeVar("StateFeed")
EventFeed = TypeVar("EventFeed")
MessageFeed = TypeVar("MessageFeed")
TransactionType = TypeVar("TransactionType")


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
        session: Session | None = None,
    ) -> StoreType:
        """Return a store at a server, for ``with``, or with asyncio for ``async with``.

        ``ns`` is the namespace of all calls. ``timeout`` is in seconds, for the connection and for
        each call; None waits for ever. With ``wait``, the first connection is tried until it
        succeeds, as all later ones are; without, entering the ``with`` raises `ConnectError` if the
        server cannot be reached. ``ssl`` replaces the default TLS context. A ``session`` outlives a
        lost connection; if the server refuses it, entering the ``with`` raises `RequestError`.
        Raise `ValueError` if ``url`` is no address.
        """
        address = Address.parse(url)
        return self._make_store(Options(address, token, ns, timeout, wait, ssl, session))


class Calls(ABC, Generic[UpdateFeed, StateFeed, EventFeed, MessageFeed, TransactionType]):
    """The calls of a store, over a `ClientProtocol`.

    Every call raises `RequestError` for a refusal, `NoAnswerError` after the timeout and
    `ClosedError` if the store is not open. ``options`` are those of `OperationOptions`.
    """

    def __init__(self, options: Options, protocol: ClientProtocol) -> None:
        self._options = options
        self._protocol = protocol
        self._failure: Error | None = None  # why the last connection ended

    async def get(
        self, key: str, default: Any = None, *, ns: str | None = None, rev: bool = False
    ) -> Any:
        """Return the value of a key; ``default`` if it has none.

        With ``rev`` return a tuple of the value and its revision, 0 if there is none, to be given
        to a write as ``if_rev``.
        """
        if not rev:
            return (await self.mget([key], default, ns=ns))[key]
        data = await self._history(key, 1, ns)
        return data["entries"][0]["value"] if data["rev"] else default, data["rev"]

    async def mget(
        self, keys: Iterable[str], default: Any = None, *, ns: str | None = None
    ) -> dict[str, Any]:
        """Return the values of keys as a dict by key; ``default`` for keys without a value."""
        names = list(keys)
        found = await self._ask(lambda protocol: protocol.read(names, self._space(ns)))
        return {key: value_of(raw) if raw else default for key, raw in found.items()}

    async def set(self, key: str, value: Any, **options: Unpack[OperationOptions]) -> None:
        """Store any JSON value, or put it at ``path``; return when the server has stored it.

        Raise `TypeError` for a value that is no JSON.
        """
        if _is_plain(options):
            await self.mset(
                {key: value},
                ttl=options.get("ttl"),
                ns=options.get("ns"),
                durable=options.get("durable"),
                ephemeral=options.get("ephemeral"),
            )
        else:
            await self._operate("set", key, options, value=encoded(value))

    async def mset(
        self,
        entries: Mapping[str, Any],
        *,
        ttl: int | None = None,
        ns: str | None = None,
        durable: bool | None = None,
        ephemeral: bool | None = None,
    ) -> None:
        """Store the values of several keys, sent together; each is stored or refused by itself.

        ``ttl``, ``durable`` and ``ephemeral`` are as for `set`. Raise `RequestError` if one or more
        were refused.
        """
        check_ttl(ttl)
        space = self._space(ns)
        await self._ask(lambda protocol: protocol.write(entries, space, ttl, durable, ephemeral))

    async def delete(self, key: str, **options: Unpack[PlaceOptions]) -> bool:
        """Delete a key, or the part of its value at ``path``; return whether it was there."""
        if _is_plain(options):
            ns, durable = self._space(options.get("ns")), options.get("durable")
            was_there: bool = await self._ask(lambda protocol: protocol.delete(key, ns, durable))
            return was_there
        return bool((await self._operate("delete", key, options))["deleted"])

    async def merge(
        self, key: str, fields: Mapping[str, Any], **options: Unpack[OperationOptions]
    ) -> dict[str, Any]:
        """Merge fields into a value; return the whole value of the key as stored now.

        The server does it (RFC 7396): a field that is None is removed, objects are merged, other
        fields of the value stay. A value that is no object, such as a list, is replaced by one.
        """
        data: dict[str, object] = {"value": encoded_fields(fields), "return": True}
        merged: dict[str, Any] = (await self._operate("merge", key, options, **data))["value"]
        return merged

    async def patch(
        self, key: str, patch: Iterable[Mapping[str, Any]], **options: Unpack[OperationOptions]
    ) -> None:
        """Apply a JSON Patch (RFC 6902), all of it or nothing."""
        await self._operate("patch", key, options, patch=encoded_patch(patch))

    async def incr(
        self,
        key: str,
        by: float = 1,
        *,
        min: float | None = None,  # noqa: A002 - the name of the message's field
        max: float | None = None,  # noqa: A002 - the name of the message's field
        **options: Unpack[OperationOptions],
    ) -> Any:
        """Add to a number, 0 if there is none; return the sum, None without the right to read it.

        Raise `RequestError` if the sum would be below ``min`` or above ``max``.
        """
        data = await self._operate("incr", key, options, by=by, min=min, max=max)
        return data.get("value")

    async def append(
        self,
        key: str,
        *values: Any,
        max: int | None = None,  # noqa: A002 - the name of the message's field
        **options: Unpack[OperationOptions],
    ) -> int | None:
        """Append values to a list, of which the newest ``max`` stay; return its length.

        That is None without the right to read it.
        """
        items = encoded(list(values))
        data = await self._operate("append", key, options, values=items, max=max)
        length: int | None = data.get("length")
        return length

    async def touch(self, key: str, ttl: int, **options: Unpack[TouchOptions]) -> None:
        """Change only the expiry of a key: ``ttl`` ms from now, 0 for none."""
        await self._operate("touch", key, options, ttl=ttl)

    async def timer(
        self,
        key: str,
        do: str,
        *,
        ms: float | None = None,
        rate: float | None = None,
        **options: Unpack[OperationOptions],
    ) -> Any:
        """Change a timer by the server's clock; return it, None without the right to read it.

        ``do`` is start, stop, toggle, set or add. ``ms`` is what it shows, or what is added;
        ``rate`` is 1 for one that counts up and -1 for one that counts down.
        """
        data = await self._operate("timer", key, options, do=do, ms=ms, rate=rate)
        return data.get("value")

    async def revert(
        self, key: str, to_rev: int | None = None, **options: Unpack[OperationOptions]
    ) -> Any:
        """Store the value of a revision again, or the newest that differs from the present one.

        It goes back from what stands now, also if others wrote that: ``if_rev`` prevents it. A
        second call takes back the first. Return the value, None without the right to read it.
        """
        return (await self._operate("revert", key, options, toRev=to_rev)).get("value")

    async def history(
        self, key: str, limit: int | None = None, *, ns: str | None = None
    ) -> list[HistoryEntry]:
        """Return the present and the earlier values of a key, newest first."""
        data = await self._history(key, limit, ns)
        return [HistoryEntry(**entry) for entry in data["entries"]]

    async def update(
        self,
        key: str,
        change: Callable[[Any], Any],
        *,
        ttl: int | None = None,
        ns: str | None = None,
        durable: bool | None = None,
        ephemeral: bool | None = None,
    ) -> Any:
        """Replace a value by what ``change`` returns for it, None for a missing key; return that.

        Nobody's write is lost: if the value was changed meanwhile, ``change`` is called again with
        the new one, for as long as a call may take. Raise `ConflictError` then.
        """
        seconds_max, began_at = self._options.timeout, monotonic()
        pause = _PAUSE_SECONDS
        options: OperationOptions = {
            "ttl": ttl,
            "ns": ns,
            "durable": durable,
            "ephemeral": ephemeral,
        }
        while True:
            data = await self._history(key, 1, ns)
            value = change(data["entries"][0]["value"] if data["rev"] else None)
            options["if_rev"] = data["rev"]
            fields = {"value": encoded(value), "epoch": data["epoch"]}
            try:
                await self._operate("set", key, options, **fields)
                return value
            except ConflictError:
                if seconds_max is not None and monotonic() - began_at >= seconds_max:
                    raise
            # Writers that were in each other's way at one moment are at different ones again.
            await self._pause(random() * pause)
            pause = min(2 * pause, _PAUSE_SECONDS_MAX)

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

    def txn(self, *, ns: str | None = None, durable: bool | None = None) -> TransactionType:
        """Return a transaction, whose ``with`` block gathers operations.

        At the end of the block they are sent, and carried out as one change: all or none. Its
        ``results`` has the answers then. An exception in the block sends nothing. ``ns`` is the
        namespace of operations that name none; ``durable`` is as for `set`. The end of the block
        raises `RequestError` for the first operation that cannot be done, with its index as ``op``.
        """
        return self._make_transaction(self._space(ns), durable)

    async def now(self) -> int:
        """Return the time of the server's clock, in Unix ms.

        The client knows it from the answers to its pings: only the first call waits for one.
        """
        time = self._protocol.server_time()
        while time is None:
            await self._ask(ClientProtocol.barrier)
            time = self._protocol.server_time()
        return round(time)

    def watch(
        self,
        *keys: str,
        pattern: str | None = None,
        path: str | None = None,
        max_rate: float | None = None,
        ns: str | None = None,
    ) -> UpdateFeed:
        """Return a feed of the current values of keys and then of each change of them.

        In place of keys, ``pattern`` selects all that match it: ``*`` is any text, ``?`` one
        character. With ``path``, a JSON Pointer, the values are what stands there in each value.
        ``max_rate`` is the most updates a second, 0.1 to 100, each of which may change many keys;
        feeds of the same keys share the highest.

        The feed continues after a lost connection: it repeats no value that has not changed, and
        gives none that is older than the last. For a slow reader it keeps the newest update of each
        key and drops those before it.
        Raise `ValueError` unless either keys or a pattern are given.
        """
        space = self._space(ns)
        if keys and pattern is None and path is None and max_rate is None:
            feed: UpdateFeed = self._open_feed(partial(Watch, keys, space))
        else:
            selection = Selection.of(keys, pattern, path, space)
            feed = self._open_feed(partial(StateWatch, selection, max_rate))
        return feed

    def updates(
        self,
        *keys: str,
        pattern: str | None = None,
        path: str | None = None,
        max_rate: float | None = None,
        ns: str | None = None,
    ) -> StateFeed:
        """Return a feed of the state of keys and then of each change, as whole updates.

        The arguments are those of `watch`. What was changed together, as by `txn` or `mset`, is one
        update; the first has the whole state. After a lost connection an update has what is
        different, if anything is. For a slow reader the feed joins updates, and keeps the newest
        change of each key.
        Raise `ValueError` unless keys or a pattern are given.
        """
        selection = Selection.of(keys, pattern, path, self._space(ns))
        feed: StateFeed = self._open_feed(partial(StateUpdates, selection, max_rate))
        return feed

    def events(self) -> EventFeed:
        """Return a feed of the changes of all keys from now on, without their values.

        Changes during a lost connection are not in the feed. The iteration raises `TooSlowError` if
        too many events wait to be read.
        """
        feed: EventFeed = self._open_feed(Events)
        return feed

    async def publish(self, channel: str, data: Any) -> None:
        """Send any JSON to all who are subscribed to a channel; return when the server has it.

        Nothing is stored. It is never sent twice: raise `NoAnswerError` if the connection is lost
        before the answer, as nobody knows then whether it was published.
        """
        await self._ask(lambda protocol: protocol.publish(channel, data))

    def subscribe(self, channel: str) -> MessageFeed:
        """Return a feed of what is published to a channel from now on.

        It continues after a lost connection, without what was published meanwhile. If messages are
        read too slowly the oldest are dropped; the next `ChannelMessage` tells how many. Raise
        ValueError for the channel of changes, which is the feed `events`.
        """
        if channel == CACHE_EVENTS:
            raise ValueError(f"{CACHE_EVENTS} has no messages but changes: events() is their feed")
        feed: MessageFeed = self._open_feed(partial(Messages, channel))
        return feed

    async def present(self, key: str, state: Any, *, ns: str | None = None) -> None:
        """Show others a state by an ephemeral key: it ends with this client's session.

        If both are dicts, a later call replaces only the fields that it names. On a connection that
        cannot resume the session the client sets the key again. With None for ``state`` it goes.
        """
        await self._ask(lambda protocol: protocol.present(key, state, self._space(ns)))

    # --- inside ---

    async def _await_session(self) -> None:
        """Wait until the session has begun, if there is one; raise why the server refused it."""
        if self._options.session is not None:
            await self._ask(ClientProtocol.barrier)
            if self._protocol.session_error is not None:
                raise self._protocol.session_error

    async def _operate(
        self, name: str, key: str, options: PlaceOptions | OperationOptions, **fields: object
    ) -> dict[str, Any]:
        """Carry out one operation; return the data of its answer."""
        message = operation_fields(key, options, **fields)
        message["ns"] = self._space(options.get("ns")) or None
        data: dict[str, Any] = await self._ask(lambda protocol: protocol.operate(name, message))
        return data

    async def _commit(self, transaction: BaseTransaction) -> None:
        """Carry out a transaction, and give it the answers."""
        fields = transaction._end()
        if fields["ops"]:
            data = await self._ask(lambda protocol: protocol.operate("txn", fields))
            transaction.results = data["results"]

    def _space(self, ns: str | None) -> str:
        """Return the namespace of a call: its own, else that of the store."""
        return self._options.ns if ns is None else ns

    async def _history(self, key: str, limit: int | None, ns: str | None) -> Any:
        fields: dict[str, object] = {"key": key, "ns": self._space(ns) or None, "limit": limit}
        return await self._ask(lambda protocol: protocol.query("history", fields))

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
    async def _pause(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def _make_transaction(self, ns: str, durable: bool | None) -> TransactionType:
        """Return an empty transaction that `_commit` carries out at the end of its block."""

    @abstractmethod
    def _open_feed(self, make: Callable[[Callable[[], None]], Source[Any]]) -> Any:
        """Follow the source that ``make`` returns for a ``wake``; return its feed."""


def _is_plain(options: PlaceOptions | OperationOptions) -> bool:
    """Return whether a `set` or `delete` needs no operation."""
    return all(name in _PLAIN_OPTIONS or value is None for name, value in options.items())
