"""One connection to a NATS server, by nats-py (`nats_client`).

nats-py can make a lost connection again by itself, but does so in ways that a log cannot use: it
then sends what was buffered when nobody waits for it any more; it may wait for minutes for a hung
server to take the last bytes; and after most errors that a server reports it never does. So each
connection has a client of its own, and whoever lost one makes another (`link`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from dunena.persistence.jetstream.login import Login
from dunena.persistence.jetstream.nats_client import (
    LibraryMessage,
    MessageSink,
    NatsClient,
    NatsError,
    is_end,
    reason_of,
)
from dunena.persistence.jetstream.wire import Message

CONNECT_SECONDS = 3.0
"""How long a server may take to accept a connection: some round trips around the world, and TLS."""

LOOK_SECONDS = 1.0
SILENT_LOOKS_MAX = 4
"""How often a server that was asked for a sign of life may have given none, before it counts as
gone. It is not the time that counts: this program may have been held up itself.

A cluster chooses another leader 4 seconds after it lost one.
"""

OUTGOING_BYTES_MAX = 32 * 1024 * 1024
"""What a server may have left unread before messages to it are dropped, as if there were no
connection: several proposals, of which one is under way. It is channels that could flood it.
"""

_FLUSH_SECONDS = 1.0
_CLOSE_SECONDS = 0.1
"""How long the end of a connection may take, first while it serves, then after it was cut."""

_FOREVER_SECONDS = 10 * 365 * 86_400
"""For the library's own signs of life: it takes a server that is busy sending for a dead one."""

Receive = Callable[[Message], None]


class NatsConnectError(Exception):
    """A connection was not made; the text says why, for people."""


class NatsConnection:
    """One connection to one server, until it is lost or closed."""

    def __init__(
        self, server: str, lost: Callable[[str], None], report: Callable[[str], None]
    ) -> None:
        """Prepare a connection; ``server`` is a URL.

        ``lost`` is called once with the reason when it is lost, not when it is closed. ``report``
        is called with errors that the server reports and that do not end the connection.
        """
        self._server = server
        self._lost = lost
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._error: Exception | None = None
        self._deadline: asyncio.Timeout | None = None
        self._is_over = False
        self._client = NatsClient()
        self._outgoing: list[Callable[[], Coroutine[Any, Any, Any]]] = []
        self._has_outgoing = asyncio.Event()
        self._received: deque[tuple[Receive, Message]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._messages = 0
        self._silent_looks = 0
        self._is_asked = False

    async def open(self, login: Login, name: str) -> None:
        """Connect, once; ``name`` is what the server calls this client in its lists.

        Raises `NatsConnectError`; then nothing is left of the connection.
        """
        try:
            # The library tries without end, and tells of each failure: the first one ends it.
            async with asyncio.timeout(CONNECT_SECONDS) as deadline:
                self._deadline = deadline
                try:
                    await self._connect(login, name)
                finally:
                    self._deadline = None
        except BaseException as error:
            self._is_over = True
            await self._discard()
            # Of any kind: what is no server of NATS can make the library raise anything.
            if isinstance(error, Exception):
                raise NatsConnectError(reason_of(self._error or error)) from error
            raise
        self._look = self._loop.call_later(LOOK_SECONDS, self._look_for_life)
        self._start(self._send())

    async def _connect(self, login: Login, name: str) -> None:
        self._client.use_nkey(login.public_nkey)
        await self._client.connect(
            [self._server],
            name=name,
            allow_reconnect=False,
            connect_timeout=cast(int, CONNECT_SECONDS),
            ping_interval=_FOREVER_SECONDS,
            # Without limits, sending only appends; whoever proposes has limits.
            pending_size=0,
            flusher_queue_size=0,
            error_cb=self._take_error,
            closed_cb=self._take_end,
            lame_duck_mode_cb=self._take_farewell,
            **login.options,
        )
        login.check_encryption()

    @property
    def is_connected(self) -> bool:
        """Whether something could be sent at this moment."""
        return not self._is_over and self._client.is_connected

    @property
    def max_payload(self) -> int:
        """The most bytes of headers and data of a message."""
        return self._client.max_payload

    @property
    def server_version(self) -> str:
        """The version of the server."""
        version = self._client.connected_server_version
        return f"{version.major}.{version.minor or 0}.{version.patch or 0}"

    def publish(self, message: Message, reply: str = "") -> None:
        """Send a message; ``reply`` is the subject for an answer.

        It is dropped without a connection, or while the server does not read.
        """
        if self._client.pending_data_size > OUTGOING_BYTES_MAX:
            return
        headers = message.headers or None
        self._put(partial(self._client.publish, message.subject, message.data, reply, headers))

    def subscribe(self, subject: str, receive: Receive) -> Callable[[], None]:
        """Receive the messages of a subject; return what ends it."""
        sink = MessageSink(partial(self._take, receive))

        async def begin() -> None:
            sink.subscription = await self._client.subscribe(
                subject, future=cast("asyncio.Future[LibraryMessage]", sink)
            )

        async def end() -> None:
            await sink.subscription.unsubscribe()

        def cancel() -> None:
            sink.is_cancelled = True
            self._put(end)

        self._put(begin)
        return cancel

    async def close(self) -> None:
        """Send what is to be sent, and disconnect; nothing is called any more."""
        if self._is_over:
            return
        self._is_over = True
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._send_outgoing()
                await self._client.flush()
        except (OSError, RuntimeError, TimeoutError, NatsError):
            pass  # what was not sent is lost with the connection
        self._received.clear()
        await self._discard()

    # --- Sending

    def _put(self, action: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        if self.is_connected:
            self._outgoing.append(action)
            self._has_outgoing.set()

    async def _send(self) -> None:
        """Give the library what is to be sent, as long as there is a connection."""
        try:
            while True:
                await self._has_outgoing.wait()
                await self._send_outgoing()
        except (OSError, NatsError) as error:
            self.leave(reason_of(error))

    async def _send_outgoing(self) -> None:
        self._has_outgoing.clear()
        outgoing, self._outgoing = self._outgoing, []
        for action in outgoing:
            await action()

    # --- Receiving

    def _take(self, receive: Receive, message: LibraryMessage) -> None:
        """Keep a message for the loop's next turn: an error in `receive` is none of the library's.

        There are never more than one read of the connection brought.
        """
        if not self._received:
            self._loop.call_soon(self._deliver)
        taken = Message(message.subject, message.headers or {}, message.data)
        self._received.append((receive, taken))

    def _deliver(self) -> None:
        received = self._received
        try:
            while received:
                receive, message = received.popleft()
                receive(message)
        finally:
            if received:
                self._loop.call_soon(self._deliver)

    # --- The end

    def _look_for_life(self) -> None:
        """See every second whether the server still answers, and ask it if it is silent."""
        messages = self._client.stats["in_msgs"]
        self._silent_looks = self._silent_looks + 1 if messages == self._messages else 0
        self._messages = messages
        if not self._client.is_connected:
            self.leave(reason_of(self._error or self._client.last_error))
        elif self._silent_looks > SILENT_LOOKS_MAX:
            self.leave(f"no sign of life for {SILENT_LOOKS_MAX * LOOK_SECONDS:g} seconds")
        else:
            self._look = self._loop.call_later(LOOK_SECONDS, self._look_for_life)
            if not self._is_asked:
                self._start(self._ask_for_life())

    async def _ask_for_life(self) -> None:
        self._is_asked = True
        try:
            # Without a limit of time: the library stops reading when it gave up and is answered.
            await self._client.flush(_FOREVER_SECONDS)
        except (OSError, NatsError):
            return  # the next look finds it closed
        self._silent_looks = 0
        self._is_asked = False

    async def _take_error(self, error: Exception) -> None:
        """Take an error of which the library tells: while it connects, and later."""
        self._error = error
        if self._deadline is not None:
            self._deadline.reschedule(self._loop.time())
        elif is_end(error):
            self.leave(reason_of(error))
        elif not self._is_over:
            self._report(reason_of(error))

    async def _take_end(self) -> None:
        self.leave(reason_of(self._client.last_error))

    async def _take_farewell(self) -> None:
        self.leave("the server is about to stop")

    def leave(self, reason: str) -> None:
        """End the connection as one that is lost, for a reason that is told."""
        if not self._is_over:
            self._is_over = True
            self._start(self._discard())
            self._lost(reason)

    async def _discard(self) -> None:
        """Leave nothing of the connection: neither tasks, nor bytes that might be sent later."""
        if self._look is not None:
            self._look.cancel()
        self._outgoing.clear()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        self._client.abort()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._client.close()
        except (OSError, RuntimeError, TimeoutError, NatsError):
            pass  # the socket is closed already, of which uvloop tells by the second

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._take_task_end)

    def _take_task_end(self, task: asyncio.Task[None]) -> None:
        """Do not live on without a task that a mistake has ended: another connection has it."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._loop.call_exception_handler(
                {"message": "a task of a connection to NATS failed", "exception": error}
            )
            self.leave(reason_of(error))
