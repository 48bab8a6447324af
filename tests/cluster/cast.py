"""All clients of a run, from their start to the history that they have written."""

import time
from collections.abc import Callable
from typing import Any

from tests.cluster.clients import PAUSE_SECONDS, Client, ask
from tests.cluster.followers import END, EventListener, Follower, KeySubscriber, Reader, accounts
from tests.cluster.guests import GRACE_MS, TIMEOUT_MS, Guest
from tests.cluster.history import WILLS, History
from tests.cluster.writers import (
    ACCOUNTS,
    Banker,
    Counter,
    Fleeting,
    Publisher,
    Racer,
    Setter,
    Writer,
)
from tests.support.patience import patiently

KINDS: tuple[type[Client], ...] = (
    Setter,
    Counter,
    Racer,
    Banker,
    Setter,
    Fleeting,
    Racer,
    Counter,
    Guest,
    Publisher,
    Guest,
    Fleeting,
)

LEASE_SECONDS = 10
"""How long a node is taken to be alive after its last sign."""


class Clients:
    """Writers that go where a node answers; followers, subscribers and listeners of every node."""

    def __init__(self, urls: list[str], seed: int) -> None:
        self.history = history = History()
        self._urls = urls
        self.writers: list[Client] = [
            kind(urls, number, history, seed + number) for number, kind in enumerate(KINDS)
        ]
        writers = (one for one in self.writers if isinstance(one, Writer))
        keys = sorted({key for one in writers for key in one.key_names})
        nodes = range(len(urls))
        self.followers = [Follower(urls, node, history, seed + 100 + node) for node in nodes]
        self.followers += [
            Follower(urls, 0, history, seed + 200, roams=True),
            Follower(urls, 1, history, seed + 201, roams=True, rate=5),
        ]
        self.subscribers = [
            kind(urls, node, history, seed + 300 + node, keys)
            for node in nodes
            for kind in (KeySubscriber, EventListener)
        ]
        self.readers = [
            Reader(urls, node, history, seed + 400 + node, accounts(ACCOUNTS)) for node in range(2)
        ]

    def start(self) -> None:
        """Begin."""
        for client in (*self.followers, *self.subscribers, *self.writers, *self.readers):
            client.start()

    def finish(self, read_all: Callable[[int], dict[str, Any]], nodes: int) -> History:
        """Stop the writers, let followers come to the end, and ask every node what it holds."""
        for client in (*self.readers, *self.writers):
            client.finish()
        self._wait_for_ends(read_all)
        end = self._mark_end()
        followers: list[Follower] = self.followers
        self._wait(
            lambda: all(one.rev >= end for one in followers),
            lambda: f"followers at {[one.rev for one in followers]}, and not at {end}",
        )
        self._wait(
            lambda: all(one.has_seen_end for one in self.subscribers),
            lambda: f"not at the end: {[s.name for s in self.subscribers if not s.has_seen_end]}",
        )
        for client in (*followers, *self.subscribers):
            client.finish()
        self.history.final = {node: read_all(node) for node in range(nodes)}
        return self.history

    def _wait_for_ends(self, read_all: Callable[[int], dict[str, Any]]) -> None:
        """Wait until all that ends by itself has to be over; the checker says whether it is."""
        seconds = (TIMEOUT_MS + GRACE_MS) / 1000 + LEASE_SECONDS + 5
        limit = time.monotonic() + patiently(seconds)
        history = self.history
        while time.monotonic() < limit and self._failure() is None:
            wills = read_all(0).get(WILLS, 0)
            if wills >= history.begun and not any(one.fleeting for one in self.followers):
                return
            time.sleep(PAUSE_SECONDS)

    def _failure(self) -> BaseException | None:
        clients = (*self.followers, *self.subscribers)
        return next((one.failure for one in clients if one.failure is not None), None)

    def _wait(self, holds: Callable[[], bool], describe: Callable[[], str]) -> None:
        """Wait until followers have got somewhere, or one has failed, which `finish` raises."""
        limit = time.monotonic() + patiently(30)
        while not holds() and self._failure() is None:
            assert time.monotonic() < limit, describe()
            time.sleep(PAUSE_SECONDS)

    def _mark_end(self) -> int:
        """Make the last change, which all followers see; its revision."""
        with self.writers[0].connect() as connection:
            answer = ask(connection, {"action": "set", "key": END, "value": 1})
        return int(answer["result"]["rev"])
