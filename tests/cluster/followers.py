"""Clients that follow: watches, the subscriptions of both old protocols, and readers."""

import json
import time
from typing import Any

from websockets.sync.client import ClientConnection

from tests.cluster.clients import NS, Client, ask
from tests.cluster.history import (
    ACCOUNT,
    FLEETING,
    OWN,
    RACE,
    Change,
    History,
    Outcome,
    Read,
    Stream,
    Update,
)
from tests.cluster.writers import CHANNEL

END = "end"
"""The key of the last change of all."""

LOOK_SECONDS = 0.2
READ_SECONDS = 0.05


class Follower(Client):
    """Watches everything, and goes on where it was after each lost connection.

    One that ``roams`` goes on at another node each time, and often. One with a ``rate`` wants to
    hear so many times a second at most.
    """

    def __init__(
        self,
        urls: list[str],
        node: int,
        history: History,
        seed: int,
        *,
        roams: bool = False,
        rate: float | None = None,
    ) -> None:
        super().__init__(urls, node, history, seed)
        self.name = f"roamer {seed}" if roams else f"follower of node {node}"
        self.updates: list[Update] = []
        self.rev = 0
        self.fleeting: set[str] = set()
        self._roams = roams
        self._terms: dict[str, Any] = {} if rate is None else {"maxRate": rate}
        self._since: dict[str, Any] = {}
        self._is_first = True
        history.followed[self.name] = self.updates

    def move(self) -> None:
        if self._roams:
            super().move()

    def use(self, connection: ClientConnection) -> None:
        watch = {"action": "watch", "pattern": "*", "ns": NS, "id": 1, **self._terms, **self._since}
        connection.send(json.dumps(watch))
        ends_at = time.monotonic() + self.random.uniform(0.5, 3) if self._roams else None
        parts: list[dict[str, Any]] = []
        self._is_first = True
        while self.goes_on and (ends_at is None or time.monotonic() < ends_at):
            try:
                message = json.loads(connection.recv(LOOK_SECONDS))
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
            self.fleeting.clear()
        for change in changes:
            if change.key.startswith(FLEETING) and change.value is not None:
                self.fleeting.add(change.key)
            else:
                self.fleeting.discard(change.key)
        self.updates.append(
            Update(
                self.node,
                last["epoch"],
                last["rev"],
                bool(starts),
                self._is_first,
                bool(self._since),
                changes,
            )
        )
        self._is_first = False
        self._since = {"since": {"epoch": last["epoch"], "rev": last["rev"]}}
        self.rev = last["rev"]


class Subscriber(Client):
    """Stays at its node, and hears what the subscriptions of the first protocols tell."""

    def __init__(
        self, urls: list[str], node: int, history: History, seed: int, keys: list[str]
    ) -> None:
        super().__init__(urls, node, history, seed)
        self.keys = keys
        self.has_seen_end = False
        self._values: list[Stream] = []
        self._events: list[Stream] = []
        self._messages: list[Stream] = []

    def move(self) -> None:
        """Stay, to hear what this node tells."""

    def use(self, connection: ClientConnection) -> None:
        values, events, messages = (Stream(self.node) for _ in range(3))
        self._values.append(values)
        self._events.append(events)
        self._messages.append(messages)
        self.subscribe(connection)
        while self.goes_on:
            try:
                message = json.loads(connection.recv(LOOK_SECONDS))
            except TimeoutError:
                continue
            assert "error" not in (message.get("type"), *message), message
            if message.get("channel") == "cache":
                data = message["data"]
                if data.get("ns") == NS:
                    events.items.append((message["event"], data["key"]))
                    self.has_seen_end |= data["key"] == END
            elif message.get("channel") == CHANNEL:
                name, number = message["data"]
                messages.items.append((name, number))
            elif "key" in message:
                values.items.append((message["key"], message["value"]))
                self.has_seen_end |= message["key"] == END

    def subscribe(self, connection: ClientConnection) -> None:
        """Say what is to be told."""
        raise NotImplementedError


class KeySubscriber(Subscriber):
    """Of single keys and of a channel, in the object store protocol."""

    def __init__(
        self, urls: list[str], node: int, history: History, seed: int, keys: list[str]
    ) -> None:
        super().__init__(urls, node, history, seed, keys)
        self.name = f"subscriber at node {node}"
        history.values[self.name] = self._values
        history.messages[self.name] = self._messages

    def subscribe(self, connection: ClientConnection) -> None:
        # END last: its value of an earlier time is none that could be taken for the end.
        for key in (*self.keys, END):
            connection.send(json.dumps({"action": "subscribe", "key": key, "ns": NS}))
        connection.send(json.dumps({"action": "subscribe", "channel": CHANNEL}))


class EventListener(Subscriber):
    """Of the events of all changes and of a channel, in the protocol whose messages have types."""

    path = "/ws?protocol=dunena"

    def __init__(
        self, urls: list[str], node: int, history: History, seed: int, keys: list[str]
    ) -> None:
        super().__init__(urls, node, history, seed, keys)
        self.name = f"listener at node {node}"
        history.events[self.name] = self._events
        history.messages[self.name] = self._messages

    def subscribe(self, connection: ClientConnection) -> None:
        connection.send(json.dumps({"type": "subscribe", "channel": CHANNEL}))


class Reader(Client):
    """Reads what was acknowledged before at the node that it asks, and all accounts at once.

    In both protocols, which its path lets it mix.
    """

    path = "/ws"

    def __init__(
        self, urls: list[str], node: int, history: History, seed: int, accounts: list[str]
    ) -> None:
        super().__init__(urls, node, history, seed)
        self._accounts = accounts

    def use(self, connection: ClientConnection) -> None:
        newest: dict[str, int] = {}
        ends_at = time.monotonic() + self.random.uniform(1, 5)
        while self.goes_on and time.monotonic() < ends_at:
            for key in self._some_keys():
                least = newest.get(key, 0)
                found = ask(connection, {"action": "get", "key": key, "rev": True})
                self.history.reads.append(Read(self.node, key, found["rev"], least))
                newest[key] = max(least, found["rev"])
            found = ask(connection, {"type": "mget", "keys": self._accounts, "json": True})
            values = found["data"]["result"]
            self.history.sums.append(sum(value or 0 for value in values.values()))
            self.rest(READ_SECONDS)
        self.move()

    def _some_keys(self) -> list[str]:
        latest = self.history.writes[-20:]
        keys = {write.key for write in latest if write.outcome is Outcome.ACKNOWLEDGED}
        return sorted(key for key in keys if key.startswith((OWN, RACE)))[:3]


def accounts(count: int) -> list[str]:
    """The keys of all accounts."""
    return [f"{ACCOUNT}{number}" for number in range(count)]
