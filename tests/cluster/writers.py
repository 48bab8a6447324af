"""Clients that change values: each way of writing has promises of its own."""

import itertools
import json
import time
import uuid
from typing import Any

from websockets.sync.client import ClientConnection

from tests.cluster.clients import (
    ANSWER_SECONDS_MAX,
    NS,
    PAUSE_SECONDS,
    Client,
    ask,
    cut,
    is_refused,
    lost_on_time_out,
)
from tests.cluster.history import (
    ACCOUNT,
    COUNTER,
    ONCE,
    OWN,
    RACE,
    Count,
    History,
    Outcome,
    Read,
    Repeat,
    Write,
)

CHANNEL = "chat"
ACCOUNTS = 6
KEYS = 3
WRITE_SECONDS = 0.03
"""A pause after each write: a long run's history has to have room in memory."""


class Writer(Client):
    """Sets keys to values that are all different, and watches them itself.

    The update of its own write has to come before the answer.
    """

    def __init__(self, urls: list[str], node: int, history: History, seed: int) -> None:
        super().__init__(urls, node, history, seed)
        self._numbers = itertools.count(1)
        self._told = 0
        self._revs: dict[str, int] = {}

    def choose(self, number: int) -> tuple[str, Any]:
        """The key and the value of a write."""
        raise NotImplementedError

    def condition(self, key: str) -> int | None:
        """The revision that the key has to be at for a write to be made; None for any."""
        return None

    @property
    def key_names(self) -> list[str]:
        """All keys that it sets."""
        raise NotImplementedError

    def use(self, connection: ClientConnection) -> None:
        watch = {"action": "watch", "keys": self.key_names, "ns": NS, "id": 0}
        connection.send(json.dumps(watch))
        self._told = 0
        self._revs.clear()
        self._hear(connection, 0)
        while self.goes_on:
            number = next(self._numbers)
            key, value = self.choose(number)
            write = Write(key, number, value, Outcome.UNKNOWN, time.monotonic())
            write.after = self.condition(key)
            self.history.writes.append(write)
            message = {"action": "set", "key": key, "value": value, "ns": NS, "id": 1}
            if write.after is not None:
                message["ifRev"] = write.after
            connection.send(json.dumps(message))
            answer = self._hear(connection, 1)
            write.ended_at = time.monotonic()
            if "error" not in answer:
                write.rev, write.told = answer["result"]["rev"], self._told
                write.outcome = Outcome.ACKNOWLEDGED
                self.history.answered_at.append(write.ended_at)
                if number % 8 == 0:
                    self._read(write)
            elif answer.get("code") == "conflict" or is_refused(answer):
                write.outcome = Outcome.REFUSED
            self.rest(WRITE_SECONDS)

    def _hear(self, connection: ClientConnection, wanted: int) -> dict[str, Any]:
        """Return the message with an id, and take what the watch is told until then."""
        while True:
            with lost_on_time_out():
                message: dict[str, Any] = json.loads(connection.recv(ANSWER_SECONDS_MAX))
            if "update" in message:
                self._told = max(self._told, message["update"]["rev"])
                for change in message["update"]["changes"]:
                    self._revs[change["key"]] = change["rev"]
            if message.get("id") == wanted:
                return message
            assert "update" in message, message

    def _read(self, write: Write) -> None:
        """Read at the same node what was just acknowledged there, on a connection of its own."""
        with self.connect() as other:
            found = ask(other, {"action": "get", "key": write.key, "rev": True})
        self.history.reads.append(Read(self.node, write.key, found["rev"], write.rev))


class Setter(Writer):
    """Sets keys of its own to 1, 2, 3..."""

    @property
    def key_names(self) -> list[str]:
        return [f"{OWN}{self.seed}-{key}" for key in range(KEYS)]

    def choose(self, number: int) -> tuple[str, Any]:
        return self.key_names[number % KEYS], {"n": number}


class Racer(Writer):
    """Sets keys that others set at the same time, often only if none did since it was told."""

    @property
    def key_names(self) -> list[str]:
        return [f"{RACE}{key}" for key in range(KEYS)]

    def choose(self, number: int) -> tuple[str, Any]:
        return self.random.choice(self.key_names), {"w": self.seed, "n": number}

    def condition(self, key: str) -> int | None:
        return self._revs.get(key, 0) if self.random.random() < 0.5 else None


class Repeater(Client):
    """Sends a request with an idempotency key again, to any node, until it is acknowledged.

    Also when it is over: the last one must not stay open. Now and then it goes away before it has
    the answer, or asks at another node once more for one that it has.
    """

    _open: dict[str, Any] | None = None
    _attempts = 0
    _began_at = 0.0
    _answered: tuple[dict[str, Any], dict[str, Any]] | None = None

    @property
    def goes_on(self) -> bool:
        return self._open is not None or self._answered is not None or super().goes_on

    def use(self, connection: ClientConnection) -> None:
        while self.goes_on:
            if self._answered is not None:
                self._ask_again(connection)
                continue
            if self._open is None:
                self._open = {**self.make(), "idempotencyKey": uuid.uuid4().hex}
                self._attempts, self._began_at = 0, time.monotonic()
            self._attempts += 1
            self.history.resent += self._attempts > 1
            if self._attempts == 1 and self.random.random() < 0.05:
                connection.send(json.dumps({"ns": NS, "id": 1, **self._open}))
                self.rest(self.random.choice((0, 0.002, PAUSE_SECONDS)))
                cut(connection)
                raise ConnectionError("went away before the answer")
            answer = ask(connection, self._open)
            if "error" in answer:
                is_refused(answer)
                time.sleep(PAUSE_SECONDS)
                continue
            self._take(self._open, answer["result"])
            self.rest(WRITE_SECONDS)

    def _take(self, request: dict[str, Any], result: dict[str, Any]) -> None:
        ended_at = time.monotonic()
        is_duplicate = bool(result.get("duplicate"))
        self.history.duplicates += is_duplicate
        self.history.answered_at.append(ended_at)
        self.acknowledge(
            request["idempotencyKey"],
            result,
            Count(0, self._began_at, ended_at, self._attempts, is_duplicate),
        )
        self._open = None
        if self.random.random() < 0.02:
            self._answered = (request, result)
            raise ConnectionError("asks once more elsewhere")

    def _ask_again(self, connection: ClientConnection) -> None:
        assert self._answered is not None
        request, first = self._answered
        answer = ask(connection, request)
        if "error" in answer:
            is_refused(answer)
            time.sleep(PAUSE_SECONDS)
            return
        self.history.repeats.append(Repeat(first, answer["result"]))
        self._answered = None

    def make(self) -> dict[str, Any]:
        """The next request."""
        raise NotImplementedError

    def acknowledge(self, key: str, result: dict[str, Any], count: Count) -> None:
        """Write down that it was made."""
        raise NotImplementedError


class Counter(Repeater):
    """Adds one to the counter that all share."""

    def make(self) -> dict[str, Any]:
        return {"action": "incr", "key": COUNTER}

    def acknowledge(self, key: str, result: dict[str, Any], count: Count) -> None:
        count.number = result["value"]
        self.history.counted[key] = count


class Banker(Repeater):
    """Moves something from one account to another, so that all together have nothing."""

    def make(self) -> dict[str, Any]:
        chosen = self.random.sample(range(ACCOUNTS), 2)
        by = self.random.randint(1, 9)
        moves = zip(chosen, (-by, by), strict=True)
        ops = [{"op": "incr", "key": f"{ACCOUNT}{number}", "by": add} for number, add in moves]
        return {"action": "txn", "ops": ops}

    def acknowledge(self, key: str, result: dict[str, Any], count: Count) -> None:
        self.history.transfers += 1


class Fleeting(Client):
    """Sets a new key each time, which ends soon, and deletes some: all nodes tell it once."""

    def __init__(self, urls: list[str], node: int, history: History, seed: int) -> None:
        super().__init__(urls, node, history, seed)
        self._numbers = itertools.count(1)

    def use(self, connection: ClientConnection) -> None:
        while self.goes_on:
            key = f"{ONCE}{self.seed}-{next(self._numbers)}"
            ttl = self.random.randint(200, 3000)
            is_refused(ask(connection, {"action": "set", "key": key, "value": 1, "ttl": ttl}))
            if self.random.random() < 0.2:
                self.rest()
                is_refused(ask(connection, {"action": "delete", "key": key}))
            self.rest()


class Publisher(Client):
    """Publishes numbers on a channel; each of its connections begins anew."""

    def use(self, connection: ClientConnection) -> None:
        name = f"{self.seed}-{uuid.uuid4().hex[:8]}"
        for number in itertools.count(1):
            if not self.goes_on:
                return
            message = {"action": "publish", "channel": CHANNEL, "data": [name, number]}
            answer = ask(connection, message, ns=None)
            self.history.published += not is_refused(answer)
            self.rest(0.1)
