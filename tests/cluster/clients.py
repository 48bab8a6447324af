"""Clients of a cluster, each a thread that writes down what it was told in a `History`.

They know the nodes by their addresses, and go to another one when theirs does not answer; but a
follower stays at its node unless it roams.
"""

import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.cluster.history import ACCOUNT, COUNTER, OWN, Change, History, Outcome, Update, Write
from tests.support.patience import patiently

NS = "show"
BRIEF = "brief-"
ACCOUNTS = 6
KEYS = 3

ANSWER_SECONDS_MAX = patiently(25)
"""Longer than a node waits for the store (15 s): it must say itself how a write ended."""

PAUSE_SECONDS = 0.05

STORED_NOTHING = "nothing was stored"
MAY_BE_STORED = "the change may have been made"


class Client(threading.Thread):
    """A client that has connections, one after the other, until it is told to stop.

    ``urls`` are the addresses of the nodes; ``node`` is the number of its present one.
    """

    def __init__(self, urls: list[str], node: int, history: History, seed: int) -> None:
        super().__init__(daemon=True)
        self.urls = urls
        self.node = node % len(urls)
        self.history = history
        self.random = random.Random(seed)
        self.is_over = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Connect until it is over; the first failure that is no lost connection is kept."""
        try:
            while self.goes_on:
                try:
                    with connect(
                        f"{self.urls[self.node]}/", open_timeout=3, close_timeout=1, max_size=None
                    ) as connection:
                        self.use(connection)
                except (OSError, WebSocketException):
                    self.move()
                    time.sleep(PAUSE_SECONDS)
        except BaseException as failure:
            self.failure = failure
            raise

    @property
    def goes_on(self) -> bool:
        """Whether there is more to do."""
        return not self.is_over.is_set()

    def move(self) -> None:
        """Choose another node."""
        self.node = (self.node + self.random.randrange(len(self.urls))) % len(self.urls)

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


def ask(connection: ClientConnection, message: dict[str, Any]) -> dict[str, Any]:
    """The answer to a message with an id, which the connection is used for alone."""
    connection.send(json.dumps({"ns": NS, "id": 1, **message}))
    answer: dict[str, Any] = json.loads(connection.recv(ANSWER_SECONDS_MAX))
    return answer


@contextmanager
def lost_on_time_out() -> Iterator[None]:
    """Take an answer that does not come for a lost connection, as a client has to."""
    try:
        yield
    except TimeoutError as error:
        raise ConnectionError("no answer") from error


class Setter(Client):
    """Sets keys of its own to 1, 2, 3..."""

    def __init__(self, urls: list[str], node: int, history: History, seed: int) -> None:
        super().__init__(urls, node, history, seed)
        self._numbers = itertools.count(1)
        self._keys = [f"{OWN}{seed}-{key}" for key in range(KEYS)]

    def use(self, connection: ClientConnection) -> None:
        while self.goes_on:
            number = next(self._numbers)
            write = Write(self._keys[number % KEYS], number, Outcome.UNKNOWN)
            self.history.writes.append(write)
            message = {"action": "set", "key": write.key, "value": {"n": number}}
            with lost_on_time_out():
                answer = ask(connection, message)
            if "error" not in answer:
                write.rev = answer["result"]["rev"]
                write.outcome = Outcome.ACKNOWLEDGED
                self.history.answered_at.append(time.monotonic())
            elif STORED_NOTHING in answer["error"]:
                write.outcome = Outcome.REFUSED
                self.is_over.wait(PAUSE_SECONDS)
            else:
                assert MAY_BE_STORED in answer["error"], answer


class Repeater(Client):
    """Sends a request with an idempotency key again, to any node, until it is acknowledged.

    Also when it is over: the last one must not stay open.
    """

    _open: dict[str, Any] | None = None

    @property
    def goes_on(self) -> bool:
        return self._open is not None or super().goes_on

    def use(self, connection: ClientConnection) -> None:
        while self.goes_on:
            if self._open is None:
                self._open = {**self.make(), "idempotencyKey": uuid.uuid4().hex}
            with lost_on_time_out():
                answer = ask(connection, self._open)
            if "error" in answer:
                said = answer["error"]
                assert STORED_NOTHING in said or MAY_BE_STORED in said, answer
                time.sleep(PAUSE_SECONDS)
                continue
            self.history.answered_at.append(time.monotonic())
            self.acknowledge(self._open["idempotencyKey"], answer["result"])
            self._open = None

    def make(self) -> dict[str, Any]:
        """The next request."""
        raise NotImplementedError

    def acknowledge(self, key: str, result: dict[str, Any]) -> None:
        """Write down that it was made."""
        raise NotImplementedError


class Counter(Repeater):
    """Adds one to the counter that all share."""

    def make(self) -> dict[str, Any]:
        return {"action": "incr", "key": COUNTER}

    def acknowledge(self, key: str, result: dict[str, Any]) -> None:
        self.history.counted[key] = result["value"]


class Banker(Repeater):
    """Moves something from one account to another, so that all together have nothing."""

    def make(self) -> dict[str, Any]:
        chosen = self.random.sample(range(ACCOUNTS), 2)
        by = self.random.randint(1, 9)
        moves = zip(chosen, (-by, by), strict=True)
        ops = [{"op": "incr", "key": f"{ACCOUNT}{number}", "by": add} for number, add in moves]
        return {"action": "txn", "ops": ops}

    def acknowledge(self, key: str, result: dict[str, Any]) -> None:
        self.history.transfers += 1


class Fleeting(Client):
    """Sets keys that end soon, and deletes some: events that all nodes tell at one place."""

    def use(self, connection: ClientConnection) -> None:
        while self.goes_on:
            key = f"{BRIEF}{self.random.randrange(20)}"
            message: dict[str, Any] = {"action": "set", "key": key, "value": 1}
            message["ttl"] = self.random.randint(200, 3000)
            if self.random.random() < 0.2:
                message = {"action": "delete", "key": key}
            with lost_on_time_out():
                answer = ask(connection, message)
            said = answer.get("error", "")
            assert not said or STORED_NOTHING in said or MAY_BE_STORED in said, answer
            self.is_over.wait(PAUSE_SECONDS)


class Follower(Client):
    """Watches everything, and goes on where it was after each lost connection.

    One that ``roams`` goes on at another node each time, and often.
    """

    def __init__(
        self, urls: list[str], node: int, history: History, seed: int, *, roams: bool
    ) -> None:
        super().__init__(urls, node, history, seed)
        self.name = f"roamer {seed}" if roams else f"follower of node {node}"
        self.updates: list[Update] = []
        self.rev = 0
        self.brief: set[str] = set()
        self._roams = roams
        self._since: dict[str, Any] = {}
        history.followed[self.name] = self.updates

    def move(self) -> None:
        if self._roams:
            super().move()

    def use(self, connection: ClientConnection) -> None:
        connection.send(
            json.dumps({"action": "watch", "pattern": "*", "ns": NS, "id": 1, **self._since})
        )
        ends_at = time.monotonic() + self.random.uniform(0.5, 3) if self._roams else None
        parts: list[dict[str, Any]] = []
        while self.goes_on and (ends_at is None or time.monotonic() < ends_at):
            try:
                message = json.loads(connection.recv(0.2))
            except TimeoutError:
                continue
            assert "error" not in message, message
            parts.append(message["update"])
            if not parts[-1].get("more"):
                self._take(parts)
                parts = []
        if self._roams:
            self.move()

    def _take(self, parts: list[dict[str, Any]]) -> None:
        last = parts[-1]
        # What a reset says after a part of others is all that counts.
        starts = [place for place, part in enumerate(parts) if part.get("reset")]
        changes = [
            Change(change["key"], change["rev"], change.get("value"))
            for part in parts[starts[-1] if starts else 0 :]
            for change in part["changes"]
        ]
        if starts:
            self.brief.clear()
        for change in changes:
            if change.key.startswith(BRIEF) and change.value is not None:
                self.brief.add(change.key)
            else:
                self.brief.discard(change.key)
        self.updates.append(Update(self.node, last["epoch"], last["rev"], bool(starts), changes))
        self._since = {"since": {"epoch": last["epoch"], "rev": last["rev"]}}
        self.rev = last["rev"]


class Clients:
    """All clients of a run: writers that go where a node answers, and followers of every node."""

    def __init__(self, urls: list[str], seed: int) -> None:
        self.history = History()
        kinds: list[Callable[..., Client]] = [Setter, Setter, Counter, Banker, Fleeting]
        self.writers = [
            kind(urls, number, self.history, seed + number) for number, kind in enumerate(kinds)
        ]
        self.followers = [
            Follower(urls, node, self.history, seed + node, roams=False)
            for node in range(len(urls))
        ]
        self.followers += [
            Follower(urls, node, self.history, seed + 100 + node, roams=True) for node in range(2)
        ]

    def start(self) -> None:
        """Begin."""
        for client in (*self.followers, *self.writers):
            client.start()

    def finish(self, read_all: Callable[[int], dict[str, Any]], nodes: int) -> History:
        """Stop the writers, let followers come to the end, and ask every node what it holds."""
        for writer in self.writers:
            writer.finish()
        # The change that all followers have to see before they are done.
        end = self._mark_end()
        limit = time.monotonic() + patiently(30)
        for follower in self.followers:
            while follower.rev < end and follower.failure is None:
                assert time.monotonic() < limit, f"{follower.name} does not see the end"
                time.sleep(PAUSE_SECONDS)
        for follower in self.followers:
            follower.finish()
        self.history.final = {node: read_all(node) for node in range(nodes)}
        return self.history

    def _mark_end(self) -> int:
        """Wait until nothing more expires, and make a last change; its revision."""
        limit = time.monotonic() + patiently(30)
        for follower in self.followers:
            while follower.brief and follower.failure is None:
                assert time.monotonic() < limit, f"{follower.name} still sees {follower.brief}"
                time.sleep(PAUSE_SECONDS)
        urls = self.writers[0].urls
        with connect(f"{urls[0]}/", open_timeout=10, max_size=None) as connection:
            answer = ask(connection, {"action": "set", "key": "end", "value": 1})
        return int(answer["result"]["rev"])
