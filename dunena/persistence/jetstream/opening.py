"""Opening the log of a node from the settings of its store."""

import asyncio
import secrets
import time
from collections.abc import Callable

from dunena.persistence.interface import OpenError
from dunena.persistence.jetstream.log import JetStreamLog
from dunena.persistence.jetstream.login import Login, LoginError
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Cancellable
from dunena.persistence.policy import StoreSettings

_NODE_BYTES = 6
"""Of a node's id, which is another one for each start: no two of a trillion starts have one."""


def open_log(store: StoreSettings) -> JetStreamLog:
    """Make the log of this start of a node; it connects when it is started.

    It is called in the loop that the node runs in. Raises `OpenError` if a package is missing that
    the store needs, or a file of the login.
    """
    try:
        from dunena.persistence.jetstream.link import NatsLink
    except ModuleNotFoundError as error:
        if error.name != "nats":
            raise
        reason = 'pip install "dunena[nats]"'
        raise OpenError(f"--store needs the package nats-py: {reason}") from None
    try:
        Login(store, store.servers[0])
    except LoginError as error:
        raise OpenError(str(error)) from None
    node = secrets.token_hex(_NODE_BYTES)
    terms = LogTerms(store.bucket, store.timeout_s, store.domain, store.is_reader, store.replicas)
    return JetStreamLog(NatsLink(store, f"dunena {node}"), LoopScheduler(), terms, node)


class LoopScheduler:
    """`wire.Scheduler`, of the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now_s(self) -> float:
        """Return the present time of a monotonic clock in seconds.

        Not that of the loop, which may stand still while callbacks run: a message would seem to be
        received before it was sent, and the log's time to be ahead.
        """
        return time.monotonic()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Cancellable:
        """Call ``action`` once, after so many seconds."""
        return self._loop.call_later(seconds, action)
