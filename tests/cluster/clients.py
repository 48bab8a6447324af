"""Clients of a cluster, each a thread that writes down what it was told in a `History`.

They know the nodes by their addresses, and go to another one when theirs does not answer; but those
that follow stay at their node unless they roam.
"""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.cluster.history import History
from tests.support.patience import patiently

NS = "show"

ANSWER_SECONDS_MAX = patiently(25)
"""Longer than a node waits for the store (15 s): it must say itself how a write ended."""

PAUSE_SECONDS = 0.05

STORED_NOTHING = "nothing was stored"
MAY_BE_STORED = "the change may have been made"


class Client(threading.Thread):
    """A client that has connections, one after the other, until it is told to stop.

    ``urls`` are the addresses of the nodes; ``node`` is the number of its present one.
    """

    path = "/"

    def __init__(self, urls: list[str], node: int, history: History, seed: int) -> None:
        super().__init__(daemon=True)
        self.urls = urls
        self.node = node % len(urls)
        self.history = history
        self.seed = seed
        self.random = random.Random(seed)
        self.is_over = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Connect until it is over; the first failure that is no lost connection is kept."""
        try:
            while self.goes_on:
                try:
                    with self.connect() as connection:
                        self.use(connection)
                except (OSError, WebSocketException):
                    self.move()
                    time.sleep(PAUSE_SECONDS)
        except BaseException as failure:
            self.failure = failure
            raise

    def connect(self) -> ClientConnection:
        """Open a connection to the present node."""
        return connect(
            f"{self.urls[self.node]}{self.path}", open_timeout=3, close_timeout=1, max_size=None
        )

    @property
    def goes_on(self) -> bool:
        """Whether there is more to do."""
        return not self.is_over.is_set()

    def move(self) -> None:
        """Choose another node."""
        others = max(1, len(self.urls) - 1)
        self.node = (self.node + 1 + self.random.randrange(others)) % len(self.urls)

    def rest(self, seconds: float = PAUSE_SECONDS) -> None:
        """Wait a while, unless it is over."""
        self.is_over.wait(seconds)

    def use(self, connection: ClientConnection) -> None:
        """Do the client's work on a connection, until it is over or the connection ends."""
        raise NotImplementedError

    def finish(self) -> None:
        """Stop, and raise what went wrong."""
        self.is_over.set()
        self.join(patiently(60))
        assert not self.is_alive(), f"{self.name} does not stop"
        if self.failure is not None:
            raise self.failure


def ask(
    connection: ClientConnection, message: dict[str, Any], ns: str | None = NS
) -> dict[str, Any]:
    """The answer to a message with an id; no other is under way, and pushed ones are passed by.

    ``ns`` is None for a message that has no namespace.
    """
    connection.send(json.dumps({**message, "id": 1, **({"ns": ns} if ns else {})}))
    while True:
        with lost_on_time_out():
            answer: dict[str, Any] = json.loads(connection.recv(ANSWER_SECONDS_MAX))
        if answer.get("id") == 1:
            return answer


@contextmanager
def lost_on_time_out() -> Iterator[None]:
    """Take an answer that does not come for a lost connection, as a client has to."""
    try:
        yield
    except TimeoutError as error:
        raise ConnectionError("no answer") from error


def is_refused(answer: dict[str, Any]) -> bool:
    """Whether a request failed with nothing stored; another error has to say that it is unknown."""
    said = answer.get("error", "")
    assert not said or STORED_NOTHING in said or MAY_BE_STORED in said, answer
    return STORED_NOTHING in said


def cut(connection: ClientConnection) -> None:
    """Lose a connection without a word to the server."""
    with suppress(OSError):
        connection.socket.close()
