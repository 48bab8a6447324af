"""The client with threads: the calls of `calls` block. Threads may share a store."""

import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, cast

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket

from dunena.client.backoff import Backoff
from dunena.client.calls import Calls, Connector, Result
from dunena.client.clocks import read_clocks
from dunena.client.errors import Error
from dunena.client.feeds import BaseFeed, ChannelMessage, Event, Item, Source, StateUpdate, Update
from dunena.client.options import Options, failure
from dunena.client.protocol import ClientProtocol
from dunena.client.requests import PendingRequest
from dunena.client.transactions import BaseTransaction

Arguments = ParamSpec("Arguments")

_SLICE_SECONDS = 0.5
"""Longest single wait: Ctrl+C does not interrupt a wait on Windows, so long waits are split."""

_JOIN_SECONDS_MAX = 2.0
"""Time to wait for each thread to end; a thread that does not ends with the process."""

_UNOPENED = "The store is not open yet; use it in a with: with dunena.sync.connect() as store"


class Feed(BaseFeed[Item, threading.Condition]):
    """The items of a watch, of a channel or of the events, for ``for``.

    The iteration ends when the store or the feed is closed. A ``with`` closes the feed at its end;
    a feed without one is closed when it is garbage-collected.
    """

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        with self._signal:
            while not self._source.is_ended:
                item = self._source.take()
                if item is not None:
                    return cast(Item, item)
                self._signal.wait(_SLICE_SECONDS)
        raise StopIteration

    def close(self) -> None:
        """Stop following; an iteration that waits for the next item ends."""
        with self._signal:
            self._unfollow(self._source)
            self._signal.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transaction(BaseTransaction):
    """Operations that are carried out together at the end of a ``with`` block: all or none.

    Each method adds one operation; its arguments are those of the store's call of the same name.
    """

    def __init__(
        self,
        ns: str,
        durable: bool | None,
        commit: Callable[[BaseTransaction], Coroutine[Any, Any, None]],
    ) -> None:
        super().__init__(ns, durable=durable)
        self._commit = commit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            _result_of(self._commit(self))
        else:
            self._end()


class _BlockingCalls(
    Calls[Feed[Update], Feed[StateUpdate], Feed[Event], Feed[ChannelMessage], Transaction]
):
    """The calls as coroutines that never suspend: what they wait for blocks the thread."""

    def __init__(self, options: Options) -> None:
        # Each access to the protocol holds this condition briefly; every change notifies it.
        self._state = threading.Condition()
        protocol = ClientProtocol(
            self._state.notify_all, read_clocks, _UNOPENED, options.session, options.ns
        )
        super().__init__(options, protocol)
        self._connection: ClientConnection | None = None
        self._threads: list[threading.Thread] = []
        self._is_open = False
        self._is_closed = False

    def open(self) -> None:
        """Connect; return at the first connection. Without `wait`, raise why it failed."""
        self._protocol.open()
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
            _result_of(self._await_session())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; calls that wait raise `ClosedError`, iterations over feeds end."""
        with self._state:
            self._is_closed = True
            self._protocol.close()
            self._state.notify_all()
            connection = self._connection
        if connection is not None:
            connection.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                # A Ctrl+C can come after a lock was taken and before the `try` that releases it. A
                # thread that waits for that lock never ends, and `close` must not wait for it.
                thread.join(_JOIN_SECONDS_MAX)

    # --- how the calls wait ---

    async def _ask(self, question: Callable[[ClientProtocol], PendingRequest]) -> Any:
        timeout = self._options.timeout
        end = None if timeout is None else time.monotonic() + timeout
        with self._state:
            request = question(self._protocol)
            request.on_done = self._state.notify_all
            try:
                while not request.is_done:
                    left = _SLICE_SECONDS if end is None else end - time.monotonic()
                    if left <= 0:
                        raise self._late()
                    self._state.wait(min(left, _SLICE_SECONDS))
            finally:
                if not request.is_done:
                    self._protocol.forget(request)
        return request.result()

    async def _block(self, function: Callable[[], Result]) -> Result:
        return function()

    async def _pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - the calls block here, and there is no event loop

    def _make_transaction(self, ns: str, durable: bool | None) -> Transaction:
        return Transaction(ns, durable, self._commit)

    def _open_feed(self, make: Callable[[Callable[[], None]], Source[Any]]) -> Feed[Any]:
        source = make(self._state.notify_all)
        with self._state:
            self._protocol.follow(source)
        return Feed(source, self._state, self._protocol.unfollow)

    # --- the connection ---

    def _run(self) -> None:
        """Connect and serve the connection until it ends, again and again."""
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
        """Make one connection and serve it; return why it failed or ended."""
        address = self._options.address
        try:
            connection = open_websocket(address.websocket_url, **self._options.for_websocket())
            try:
                with connection:  # entered before anything is sent, as the library demands
                    with self._state:
                        self._connection = None if self._is_closed else connection
                        if not self._is_closed:
                            self._is_open = True
                            self._protocol.connected()
                            self._state.notify_all()
                    self._read(connection, backoff)
                raise ConnectionError("the store was closed")
            finally:
                with self._state:
                    self._connection = None
                    self._protocol.disconnected(connection.close_code)
        except (OSError, EOFError, WebSocketException) as error:
            return failure(error, address)

    def _read(self, connection: ClientConnection, backoff: Backoff) -> None:
        """Receive messages until the connection ends or the store is closed.

        Raise `ConnectionError` if the server is silent for too long: after an exception the library
        does not close normally, which would end the session at once.
        """
        beat_at = time.monotonic() + self._protocol.beat_seconds
        while not self._is_closed:
            raw: bytes | None = None
            with suppress(TimeoutError):
                raw = connection.recv(max(0.0, beat_at - time.monotonic()), decode=False)
            with self._state:
                if raw is not None:
                    self._protocol.receive(raw)
                    backoff.succeeded()
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + self._protocol.beat_seconds
                    if not self._protocol.beat():
                        raise ConnectionError("the connection is silent")

    def _write(self) -> None:
        """Send the outgoing frames on the current connection until the store is closed."""
        while True:
            with self._state:
                while not self._is_closed and not (self._protocol.outgoing and self._connection):
                    self._state.wait()
                if self._is_closed:
                    return
                connection = self._connection
                frames = list(self._protocol.outgoing)
                self._protocol.outgoing.clear()
            if connection is not None:
                with suppress(ConnectionClosed):  # the reader reports it
                    for frame in frames:
                        connection.send(frame, text=True)


def _blocking(
    call: Callable[Concatenate[_BlockingCalls, Arguments], Coroutine[Any, Any, Result]],
) -> "Callable[Concatenate[Store, Arguments], Result]":
    """Make a method of `Store` that runs a coroutine, with its signature and docstring."""

    @wraps(call)
    def method(self: "Store", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return _result_of(call(self._calls, *args, **kwargs))

    return method


def _result_of(call: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never suspends; return its result."""
    try:
        call.send(None)
    except StopIteration as end:
        return cast(Result, end.value)
    raise AssertionError("a call that blocks gave way")


def _plain(
    call: Callable[Concatenate[_BlockingCalls, Arguments], Result],
) -> "Callable[Concatenate[Store, Arguments], Result]":
    """Make a method of `Store` that calls a plain method, with its signature and docstring."""

    @wraps(call)
    def method(self: "Store", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return call(self._calls, *args, **kwargs)

    return method


class Store:
    """A server's values. The store connects in ``with``, and again after a lost connection.

    A call without a connection waits for one, `timeout` at most. A call whose connection was lost
    before the answer is sent again: a plain `set`, `mset` or `delete` may be carried out twice, all
    other writes only once.
    """

    def __init__(self, options: Options) -> None:
        self._calls = _BlockingCalls(options)

    get = _blocking(_BlockingCalls.get)
    mget = _blocking(_BlockingCalls.mget)
    set = _blocking(_BlockingCalls.set)
    mset = _blocking(_BlockingCalls.mset)
    delete = _blocking(_BlockingCalls.delete)
    merge = _blocking(_BlockingCalls.merge)
    patch = _blocking(_BlockingCalls.patch)
    incr = _blocking(_BlockingCalls.incr)
    append = _blocking(_BlockingCalls.append)
    touch = _blocking(_BlockingCalls.touch)
    timer = _blocking(_BlockingCalls.timer)
    revert = _blocking(_BlockingCalls.revert)
    update = _blocking(_BlockingCalls.update)
    history = _blocking(_BlockingCalls.history)
    keys = _blocking(_BlockingCalls.keys)
    now = _blocking(_BlockingCalls.now)
    stats = _blocking(_BlockingCalls.stats)
    info = _blocking(_BlockingCalls.info)
    flush = _blocking(_BlockingCalls.flush)
    publish = _blocking(_BlockingCalls.publish)
    present = _blocking(_BlockingCalls.present)
    txn = _plain(_BlockingCalls.txn)
    watch = _plain(_BlockingCalls.watch)
    updates = _plain(_BlockingCalls.updates)
    events = _plain(_BlockingCalls.events)
    subscribe = _plain(_BlockingCalls.subscribe)
    close = _plain(_BlockingCalls.close)

    def __enter__(self) -> Self:
        self._calls.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


connect = Connector(Store).connect
