"""The client without asyncio: the same calls, which block. Threads may share a store."""

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Generic, Self, TypeVar, cast

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket

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

Item = TypeVar("Item", Update, Event)

_SLICE_SECONDS = 0.5
"""Ctrl+C does not end a wait on Windows, so that a long one is many short ones."""

_JOIN_SECONDS_MAX = 2.0
"""For each thread to end; what it was doing when it does not ends with the process."""

_UNOPENED = "The store is not open yet; use it in a with: with dunena.sync.connect() as store"


def connect(
    url: str = DEFAULT_URL,
    *,
    token: str | None = None,
    ns: str = "",
    timeout: float | None = 10.0,
    wait: bool = False,
    ssl: "ssl.SSLContext | None" = None,
) -> "Store":
    """A store at a server, for ``with``.

    ``ns`` is the namespace of all calls. ``timeout`` is in seconds, for the connection and for
    each call; None is for ever. With ``wait``, the first connection is tried until it succeeds, as
    all later ones are; without, a server that is not there is a `ConnectError` at once.
    Raise `ValueError` for what is no address.
    """
    return Store(Options(Address.parse(url), token, ns, timeout, wait, ssl))


class Store:
    """A server's values. It connects in ``with``, and again whenever it has to.

    Calls that are made without a connection wait for it, `timeout` at most. A call whose answer a
    broken connection swallowed is sent again: a write may happen twice.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        # Held for a moment by whoever touches the core; told of everything that happens.
        self._state = threading.Condition()
        self._core = ClientProtocol(self._state.notify_all, _UNOPENED)
        self._connection: ClientConnection | None = None
        self._threads: list[threading.Thread] = []
        self._is_open = False
        self._is_closed = False
        self._failure: Error | None = None
        self._merging = threading.Lock()

    # --- calls ---

    def get(self, key: str, default: Any = None, *, ns: str | None = None) -> Any:
        """The value of a key; ``default`` if there is none."""
        return self.mget([key], default, ns=ns)[key]

    def mget(
        self, keys: Iterable[str], default: Any = None, *, ns: str | None = None
    ) -> dict[str, Any]:
        """The values of keys, by key; ``default`` for those that have none."""
        names = list(keys)
        found = self._ask(lambda core: core.read(names, self._space(ns)))
        return {key: value_of(raw) if raw else default for key, raw in found.items()}

    def set(
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
        self.mset({key: value}, ttl=ttl, ns=ns, durable=durable)

    def mset(
        self,
        entries: Mapping[str, Any],
        *,
        ttl: int | None = None,
        ns: str | None = None,
        durable: bool | None = None,
    ) -> None:
        """Store values, sent together; each is stored or refused by itself."""
        self._ask(lambda core: core.write(entries, self._space(ns), ttl, durable))

    def delete(self, key: str, *, ns: str | None = None, durable: bool | None = None) -> bool:
        """Delete a key; whether there was a value."""
        space = self._space(ns)
        if is_printable(key, space):
            return cast(bool, self._ask(lambda core: core.delete(key, space, durable)))
        with self._state:
            before = self._core.read([key], space)
            request = self._core.delete_unanswered(key, space, durable)
        self._await(request)
        return bool(before.result()[key])

    def merge(
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
        with self._merging_alone():
            old = self.get(key, ns=ns)
            merged = {**old, **fields} if isinstance(old, dict) else dict(fields)
            self.set(key, merged, ttl=ttl, ns=ns, durable=durable)
        return merged

    def keys(self, pattern: str = "*", *, ns: str | None = None) -> list[str]:
        """All keys that match, sorted; ``*`` is any text, ``?`` one character."""
        self._ask(lambda core: core.barrier())
        from dunena.client import http

        return http.keys(self._options, pattern, self._space(ns))

    def stats(self) -> dict[str, Any]:
        """The server's counters, as `/stats` has them."""
        return self._request("GET", "/stats")

    def info(self) -> dict[str, Any]:
        """What the server is, as `/info` has it."""
        return self._request("GET", "/info")

    def flush(self) -> None:
        """Delete every key of every namespace."""
        self._request("POST", "/flush")

    # --- feeds ---

    def watch(self, *keys: str, ns: str | None = None) -> "Feed[Update]":
        """The current values of keys, then every change of them, for ``for``.

        It goes on over lost connections: a value is told again only if it is another one, and
        never an older one. Of what is not taken in time, the newest of each key is kept.
        """
        watch = Watch(keys, self._space(ns), self._state.notify_all)
        with self._state:
            self._core.watch(watch)
        return Feed(watch, self._state, lambda: self._core.unwatch(watch))

    def events(self) -> "Feed[Event]":
        """The changes of all keys from now on, without their values, for ``for``.

        What happens while there is no connection is not told later.
        """
        events = Events(self._state.notify_all)
        with self._state:
            self._core.listen(events)
        return Feed(events, self._state, lambda: self._core.unlisten(events))

    # --- life ---

    def __enter__(self) -> Self:
        self._core.open()
        self._threads = [
            threading.Thread(target=self._run, name="dunena-read", daemon=True),
            threading.Thread(target=self._write, name="dunena-write", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        try:
            with self._state:
                while not self._is_open and not self._is_closed:
                    self._state.wait(_SLICE_SECONDS)
                if not self._is_open and self._failure is not None:
                    raise self._failure
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; everything that waits is told."""
        with self._state:
            self._is_closed = True
            self._core.close()
            self._state.notify_all()
            connection = self._connection
        if connection is not None:
            connection.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                # A Ctrl+C can come between the taking of a lock and the promise to give it back.
                # Whoever waits for that lock then waits for ever, and the end must not.
                thread.join(_JOIN_SECONDS_MAX)

    # --- inside ---

    def _space(self, ns: str | None) -> str:
        return space_of(self._options, ns)

    @contextmanager
    def _merging_alone(self) -> Iterator[None]:
        while not self._merging.acquire(timeout=_SLICE_SECONDS):
            pass
        try:
            yield
        finally:
            self._merging.release()

    def _request(self, method: str, path: str) -> dict[str, Any]:
        self._ask(lambda core: core.barrier())
        from dunena.client import http

        answer: dict[str, Any] = http.ask(self._options, method, path)
        return answer

    def _ask(self, question: Callable[[ClientProtocol], Request]) -> Any:
        with self._state:
            request = question(self._core)
        return self._await(request)

    def _await(self, request: Request) -> Any:
        timeout = self._options.timeout
        end = None if timeout is None else time.monotonic() + timeout
        with self._state:
            request.on_done = self._state.notify_all
            try:
                while not request.is_done:
                    left = _SLICE_SECONDS if end is None else end - time.monotonic()
                    if left <= 0:
                        raise self._late()
                    self._state.wait(min(left, _SLICE_SECONDS))
            finally:
                if not request.is_done:
                    self._core.forget(request)
        return request.result()

    def _late(self) -> NoAnswerError:
        text = f"No answer from {self._options.address.url} in {self._options.timeout:g} s"
        if self._failure is not None and not self._core.is_connected:
            text = f"{text}: {self._failure}"
        return NoAnswerError(text)

    def _run(self) -> None:
        """Connect, serve the connection to its end, and again."""
        backoff = Backoff()
        while True:
            failure = self._connect(backoff)
            with self._state:
                self._failure = failure
                if not self._is_open and not self._options.wait:
                    self._is_closed = True
                    self._state.notify_all()
                end = time.monotonic() + backoff.next()
                while not self._is_closed and (left := end - time.monotonic()) > 0:
                    self._state.wait(left)
                if self._is_closed:
                    return

    def _connect(self, backoff: Backoff) -> Error:
        """One connection; why it ended."""
        address = self._options.address
        try:
            connection = open_websocket(address.websocket_url, **self._options.for_websocket())
        except (OSError, EOFError, WebSocketException) as error:
            return failure(error, address)
        with self._state:
            self._connection = None if self._is_closed else connection
            if not self._is_closed:
                self._is_open = True
                self._core.connected()
                self._state.notify_all()
        try:
            with connection:
                self._read(connection, backoff)
        except ConnectionClosed as closed:
            return failure(closed, address)
        finally:
            with self._state:
                self._connection = None
                self._core.disconnected()
        return unreachable_error(address, ConnectionError("the connection is silent"))

    def _read(self, connection: ClientConnection, backoff: Backoff) -> None:
        """Until the connection ends, or is dead."""
        beat_at = time.monotonic() + BEAT_SECONDS
        while not self._is_closed:
            raw: bytes | None = None
            with suppress(TimeoutError):
                raw = connection.recv(max(0.0, beat_at - time.monotonic()), decode=False)
            with self._state:
                if raw is not None:
                    self._core.receive(raw)
                    backoff.succeeded()
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + BEAT_SECONDS
                    if not self._core.beat():
                        return

    def _write(self) -> None:
        """Send what is to be sent, whatever connection there is."""
        while True:
            with self._state:
                while not self._is_closed and not (self._core.outgoing and self._connection):
                    self._state.wait()
                if self._is_closed:
                    return
                connection = self._connection
                frames = list(self._core.outgoing)
                self._core.outgoing.clear()
            if connection is not None:
                with suppress(ConnectionClosed):  # the reader tells
                    for frame in frames:
                        connection.send(frame, text=True)


class Feed(Generic[Item]):
    """What comes by itself, for ``for``; ends with the store, or with `close`.

    In a ``with`` it is closed at the end; without, when nobody has it any more.
    """

    def __init__(
        self, source: Watch | Events, state: threading.Condition, stop: Callable[[], None]
    ) -> None:
        self._source = source
        self._state = state
        self._stop = stop

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        with self._state:
            while not is_end(self._source):
                item = self._source.take()
                if item is not None:
                    return cast(Item, item)
                self._state.wait(_SLICE_SECONDS)
        raise StopIteration

    def close(self) -> None:
        """Follow it no longer; who waits for it is told that it ended."""
        with self._state:
            self._stop()
            self._state.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Any moment and any thread: the core lets go of it at its next beat.
        self._source.is_closed = True
