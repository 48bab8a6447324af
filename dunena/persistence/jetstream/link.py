"""A lasting link to a cluster of NATS servers: connections, one after the other."""

import asyncio
import logging
import random
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from dunena.persistence.jetstream.connection import (
    NatsConnectError,
    NatsConnection,
    Receive,
)
from dunena.persistence.jetstream.link_request import LinkRequest
from dunena.persistence.jetstream.link_subscription import LinkSubscription
from dunena.persistence.jetstream.login import Login, LoginError
from dunena.persistence.jetstream.wire import (
    Cancellable,
    Denial,
    LinkFault,
    Message,
    TakeAnswer,
)
from dunena.persistence.policy import StoreSettings

CONTROL_LINE_BYTES_MAX = 4096
"""What a server reads of the line with subjects and sizes; for a longer one it disconnects."""

_PAUSE_SECONDS_MIN = 0.1
_PAUSE_SECONDS_MAX = 1.0
"""Between two rounds of tries to connect to all servers."""

_DENIAL = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')
"""What a server reports of a missing right, as the library passes it on: in small letters."""

_log = logging.getLogger(__name__)


class NatsLink:
    """`wire.Link`, by connections to the servers of a store, tried in a random order."""

    def __init__(
        self, store: StoreSettings, name: str, report: Callable[[str], None] | None = None
    ) -> None:
        """Prepare a link; ``name`` is what the servers call it in their lists of clients.

        ``report`` is called with errors that do not end a connection, such as a missing right; they
        are logged without it.
        """
        self._store = store
        self._name = name
        self._report = report or _log_report
        self._take_denial: Callable[[Denial], bool] = lambda _: False
        self._connection: NatsConnection | None = None
        self._reason: str | None = "not connected yet"
        self._said: dict[str, str] = {}  # by server, since the last connection; "" for its loss
        self._max_payload = 0
        self._listeners: list[Callable[[], None]] = []
        self._subscriptions: set[LinkSubscription] = set()
        self._inbox = f"_INBOX.{secrets.token_hex(11)}."
        LinkSubscription(self._subscriptions, f"{self._inbox}*", self._take_reply)
        self._requests: dict[str, LinkRequest] = {}
        self._request_count = 0
        self._lost = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._connection is not None and self._connection.is_connected

    @property
    def max_payload(self) -> int:
        """The most bytes of headers and data of one message; 0 before the first connection."""
        return self._max_payload

    @property
    def server_version(self) -> str | None:
        """The version of the connected server, as major.minor.patch; None without one."""
        return None if self._connection is None else self._connection.server_version

    @property
    def reason(self) -> str | None:
        """Why there is no connection; None if there is one."""
        return None if self.is_connected else self._reason

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever the connection is made or lost."""
        self._listeners.append(changed)

    def on_denied(self, take: Callable[[Denial], bool]) -> None:
        """Call ``take`` with each denial; see `wire.Link.on_denied`."""
        self._take_denial = take

    def start(self) -> None:
        """Begin to connect, again and again until it succeeds."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep_connected())

    def publish(self, message: Message) -> None:
        """Send a message without an answer; it is dropped while there is no connection."""
        if self._connection is not None and self._fault_of(message) is None:
            self._connection.publish(message)

    def request(self, message: Message, timeout_s: float, answer: TakeAnswer) -> Cancellable:
        """Send a message and wait for one answer."""

        def finish(fault: LinkFault | None) -> None:
            if fault is not None:
                answer(fault)

        def take(reply: Message) -> bool:
            answer(reply)
            return True

        return self.request_many(message, timeout_s, take, finish)

    def request_many(
        self,
        message: Message,
        timeout_s: float,
        take_part: Callable[[Message], bool],
        done: Callable[[LinkFault | None], None],
    ) -> Cancellable:
        """Send a message and wait for several answers; see `wire.Link.request_many`."""
        fault = self._fault_of(message)
        if fault is not None:
            return asyncio.get_running_loop().call_soon(done, fault)
        self._request_count += 1
        token = str(self._request_count)
        request = LinkRequest(self._requests, token, message.subject, timeout_s, take_part, done)
        assert self._connection is not None  # there is no fault
        self._connection.publish(message, self._inbox + token)
        return request

    def subscribe(self, subject: str, receive: Receive) -> Cancellable:
        """Receive the messages of a subject, also after each new connection."""
        subscription = LinkSubscription(self._subscriptions, subject, receive)
        if self._connection is not None:
            subscription.begin(self._connection)
        return subscription

    def subscribe_again(self) -> None:
        """Try once more to subscribe where that was denied."""
        for subscription in self._subscriptions:
            if subscription.is_denied and self._connection is not None:
                subscription.begin(self._connection)

    def change_server(self) -> None:
        """Leave the present server for the next one."""
        if self._connection is not None:
            self._connection.leave("the server answers no requests")

    async def close(self) -> None:
        """Send what was published, and disconnect for good."""
        for request in list(self._requests.values()):
            request.cancel()
        self._listeners.clear()
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        self._reason = "closed"

    # --- Connecting

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        servers = random.sample(self._store.servers, len(self._store.servers))
        pause_s = _PAUSE_SECONDS_MIN
        while True:
            for server in servers:
                if await self._connect(server):
                    since = loop.time()
                    await self._lost.wait()
                    if loop.time() - since > _PAUSE_SECONDS_MAX:
                        pause_s = _PAUSE_SECONDS_MIN
            # Not all clients of a server that has come back at the same moment.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))
            pause_s = min(2 * pause_s, _PAUSE_SECONDS_MAX)

    async def _connect(self, server: str) -> bool:
        """Try to connect to a server, with all subscriptions; return whether it succeeded."""
        address = address_of(server)
        connection = NatsConnection(server, self._take_loss, self._take_report)
        try:
            await connection.open(Login(self._store, server), self._name)
        except (NatsConnectError, LoginError) as error:
            self._say(f"{address}: {error}", address)
            return False
        self._lost.clear()
        self._connection = connection
        self._max_payload = connection.max_payload
        for subscription in self._subscriptions:
            subscription.begin(connection)
        self._reason = None
        self._said.clear()
        _log.info("connected to the store at %s", address)
        self._tell_change()
        return True

    def _take_loss(self, reason: str) -> None:
        self._connection = None
        self._say(reason)
        self._lost.set()
        self._tell_change()

    def _say(self, reason: str, server: str = "") -> None:
        """Remember why there is no connection, and log it once for each server."""
        if reason != self._said.get(server):
            _log.warning("no connection to the store: %s", reason)
        self._said[server] = self._reason = reason

    def _tell_change(self) -> None:
        for changed in self._listeners:
            asyncio.get_running_loop().call_soon(changed)

    # --- Requests

    def _fault_of(self, message: Message) -> LinkFault | None:
        """Return why a message cannot be sent."""
        if not self.is_connected:
            return LinkFault.DISCONNECTED
        if _is_small(message, self._max_payload):
            return None
        # The line has two subjects, two sizes and a word.
        line_bytes = len(message.subject.encode()) + len(self._inbox) + 64
        if line_bytes > CONTROL_LINE_BYTES_MAX or _size_of(message) > self._max_payload:
            return LinkFault.TOO_LARGE
        return None

    def _take_report(self, text: str) -> None:
        """Take an error that ends no connection; a missing right ends the requests that need it."""
        found = _DENIAL.search(text)
        if found is None:
            self._report(text)
            return
        denial = Denial(found[1] == "subscription", found[2])
        if not self._take_denial(denial):
            self._report(text)
        if denial.is_subscription:
            for subscription in self._subscriptions:
                if subscription.subject.lower() == denial.subject:
                    subscription.is_denied = True
            return
        for request in list(self._requests.values()):
            if request.subject.lower() == denial.subject:
                request.fail(LinkFault.DENIED)

    def _take_reply(self, message: Message) -> None:
        request = self._requests.get(message.subject.removeprefix(self._inbox))
        if request is not None:
            request.take(message)


def address_of(server: str) -> str:
    """Return the host and port of a server's URL."""
    return urlsplit(server).netloc


def _log_report(text: str) -> None:
    _log.warning("the store reports: %s", text)


def _is_small(message: Message, max_payload: int) -> bool:
    """Return whether a message fits in any case, quicker than it can be told exactly."""
    headers = message.headers
    # Names have fewer than 60 bytes, and no character of UTF-8 has more than 4.
    size = len(message.data) + 4 * sum(map(len, headers.values())) + 64 * (len(headers) + 1)
    return size <= max_payload and len(message.subject) <= CONTROL_LINE_BYTES_MAX // 8


def _size_of(message: Message) -> int:
    """Return the bytes of a message that a server compares with its ``max_payload``."""
    headers = message.headers
    if not headers:
        return len(message.data)
    lines = sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
    return len("NATS/1.0\r\n") + lines + 2 + len(message.data)
