"""Transfers between accounts by `txn`: whoever looks, and however, finds the same sum.

Tellers of both dialects move amounts at the same time. Watches of both dialects, some of them slow,
paced or cut and continued, must show a state in which nothing is missing after each update, and so
must each `mget`.
"""

import csv
import io
import itertools
import json
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import (
    SECONDS_MAX,
    Client,
    RawConnection,
    http,
    open_dunena,
    open_objects,
    text,
)
from tests.support.event_stream import EventStreamClient
from tests.support.fixtures import StartServer
from tests.support.refusing import commits_refused
from tests.support.server import ServerProcess
from tests.support.watched_state import WatchedState, update_in

SECONDS = 1.5
TRANSFERS_MIN = 20
ACCOUNTS = [f"account-{number}" for number in range(8)]
OPENING = 100
NOTES = "x" * 16_000
"""So that a connection that is not read soon holds no more."""

TOTAL = OPENING * len(ACCOUNTS)
EXPECTED_REFUSALS = ("range", "conflict", "storage")
DIALECTS = ("dunena", "objects")


class Bank:
    """A server with accounts. Who transfers does so for a time, who looks until it is closed.

    Transfers go on until some were refused for each reason of ``wanted``.
    """

    def __init__(self, server: ServerProcess, wanted: set[str]) -> None:
        self.server = server
        self.wanted = wanted
        self.until = time.monotonic() + SECONDS
        self.transfers = 0
        self.refusals: set[str] = set()
        self.looks = 0
        with open_dunena(server) as client:
            account = {"amount": OPENING, "notes": NOTES}
            entries = [{"key": key, "value": account} for key in ACCOUNTS]
            client.ask({"type": "mset", "entries": entries, "rev": True})

    @property
    def is_over(self) -> bool:
        """Whether there were transfers enough."""
        is_enough = self.wanted <= self.refusals and self.transfers >= TRANSFERS_MIN
        now = time.monotonic()
        return now > self.until and (is_enough or now > self.until + SECONDS_MAX / 2)

    def close(self) -> None:
        """One account gets everything."""
        with open_objects(self.server) as client:
            ops = [
                {"op": "set", "key": key, "path": "/amount", "value": TOTAL * (key == ACCOUNTS[0])}
                for key in ACCOUNTS
            ]
            message = {"action": "txn", "ops": ops, "id": 1}
            while (answer := client.ask(message)).get("code") == "storage":
                assert time.monotonic() < self.until + SECONDS_MAX, "it is refused for ever"
            assert "result" in answer, answer

    def expect_sum(self, values: dict[str, Any]) -> None:
        """Nothing is missing, and nothing too much."""
        assert time.monotonic() < self.until + SECONDS_MAX, "it was never closed"
        assert set(values) == set(ACCOUNTS), values
        assert sum(map(amount_of, values.values())) == TOTAL, values
        self.looks += 1

    # --- those who transfer ---

    def transfer(self, dialect: str, seed: int) -> None:
        chance = random.Random(seed)
        opened = open_dunena if dialect == "dunena" else open_objects
        with opened(self.server) as client:
            if dialect == "dunena":
                client.send({"type": "unsubscribe", "channel": "cache-events"})
            while not self.is_over:
                if dialect == "dunena" and chance.random() < 0.3:
                    self._ask(client, self._conditional_transfer(client, chance))
                else:
                    name = "type" if dialect == "dunena" else "action"
                    self._ask(client, {name: "txn", "ops": _steps(chance)})

    def transfer_by_http(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self.is_over:
            self._count(http(self.server, "POST", "/txn", {"ops": _steps(chance)}).json)

    def _ask(self, client: Client, message: Any) -> None:
        self._count(client.ask(message | {"id": 1}))

    def _count(self, answer: Any) -> None:
        if "code" in answer:
            assert answer["code"] in EXPECTED_REFUSALS, answer
            self.refusals.add(answer["code"])
        else:
            self.transfers += 1

    def _conditional_transfer(self, client: Client, chance: random.Random) -> Any:
        """Read two accounts, and write both if nobody else has written either."""
        keys, amount = chance.sample(ACCOUNTS, 2), chance.randint(1, 30)
        read = client.ask({"type": "mget", "keys": keys, "json": True, "rev": True})["data"]
        entries = [
            {
                "key": key,
                "path": "/amount",
                "value": read["result"][key]["amount"] + by,
                "ifRev": read["revs"][key],
            }
            for key, by in zip(keys, (-amount, amount), strict=True)
        ]
        return {"type": "mset", "entries": entries}

    # --- those who look ---

    def watch(self, dialect: str, **fields: Any) -> None:
        """Follow the amounts."""
        state = WatchedState()
        with RawConnection(self.server) as connection:
            self._begin(connection, dialect, state, path="/amount", **fields)
            while not is_closed(state.values):
                self._take(connection, state)

    def watch_slowly(self, dialect: str) -> None:
        """Follow the accounts, but read nothing while there are transfers."""
        state = WatchedState()
        with RawConnection(self.server) as connection:
            self._begin(connection, dialect, state)
            time.sleep(SECONDS)
            while not is_closed(state.values):
                self._take(connection, state)

    def watch_and_resume(self, dialect: str, seed: int) -> None:
        """Cut the connection again and again, and go on from the last position."""
        chance, state = random.Random(seed), WatchedState()
        while not is_closed(state.values):
            with RawConnection(self.server) as connection:
                self._begin(connection, dialect, state)
                for _ in range(chance.randint(1, 20)):
                    self._take(connection, state)
                    if is_closed(state.values):
                        break
            state.forget_parts()
        assert state.resets == 1, "a position of the same epoch is continued"

    def _begin(
        self, connection: RawConnection, dialect: str, state: WatchedState, **fields: Any
    ) -> None:
        connection.upgrade("/ws?protocol=dunena" if dialect == "dunena" else "/")
        if dialect == "dunena":
            connection.send(text({"type": "unsubscribe", "channel": "cache-events"}))
        if state.since is not None:
            fields["since"] = state.since
        name = "type" if dialect == "dunena" else "action"
        connection.send(text({name: "watch", "pattern": "account-*", **fields}))

    def _take(self, connection: RawConnection, state: WatchedState) -> None:
        """The next message; after it the sum is right if it is a whole update."""
        update = update_in(connection.read_message())
        if update is None:
            return  # an event, from before they were refused
        if state.take(update):
            self.expect_sum(state.values)

    def follow_events(self, query: str = "", seconds: float = 0) -> None:
        """Follow the amounts as server-sent events; read nothing for so many seconds."""
        state = WatchedState()
        query = f"pattern=account-*{query}"
        with EventStreamClient(self.server, query) as events:
            time.sleep(seconds)
            while not is_closed(state.values):
                self._take_event(events, state)

    def follow_events_and_resume(self, seed: int) -> None:
        """Cut the stream again and again, and go on as a browser does."""
        chance, state, last_id = random.Random(seed), WatchedState(), ""
        while not is_closed(state.values):
            headers = {"Last-Event-ID": last_id} if last_id else {}
            with EventStreamClient(self.server, "pattern=account-*", headers) as events:
                for _ in range(chance.randint(1, 20)):
                    last_id = self._take_event(events, state)
                    if is_closed(state.values):
                        break
            state.forget_parts()
        assert state.resets == 1, "a position of the same epoch is continued"

    def _take_event(self, events: EventStreamClient, state: WatchedState) -> str:
        """The next event; after it the sum is right if it is a whole update. Its position."""
        event = events.event()
        assert event.kind == "update"
        if state.take(event.json):
            self.expect_sum(state.values)
        return event.last_id

    def poll(self) -> None:
        """Ask for one update after the other."""
        state, since = WatchedState(), ""
        while not is_closed(state.values):
            reply = http(self.server, "GET", f"/watch?pattern=account-*&wait=10{since}")
            if reply.status == 200:
                assert state.take(reply.json), "an answer has all parts"
                self.expect_sum(state.values)
            since = "&since=" + reply.headers["etag"].strip('"')
        assert state.resets == 1

    def mget(self) -> None:
        """Read all accounts over a WebSocket, again and again."""
        found: dict[str, Any] = {}
        with open_dunena(self.server) as client:
            client.send({"type": "unsubscribe", "channel": "cache-events"})
            while not is_closed(found):
                message = {"type": "mget", "keys": ACCOUNTS, "json": True, "id": "mget"}
                client.send(message)
                while (answer := client.receive()).get("id") != "mget":
                    pass
                found = answer["data"]["result"]
                self.expect_sum(found)

    def mget_by_http(self) -> None:
        """Read all accounts over HTTP, again and again."""
        found: dict[str, Any] = {}
        while not is_closed(found):
            answer = http(self.server, "POST", "/cache", {"action": "mget", "keys": ACCOUNTS})
            found = {key: json.loads(value) for key, value in answer.json["result"].items()}
            self.expect_sum(found)

    def list_by_http(self) -> None:
        """Read all accounts as one object, as rows and as CSV, again and again."""
        found: dict[str, Any] = {}
        for form in itertools.cycle(("json", "rows", "csv")):
            if is_closed(found):
                break
            text = http(self.server, "GET", f"/kv?pattern=account-*&format={form}").body.decode()
            if form == "csv":
                rows: Any = csv.DictReader(io.StringIO(text, newline=""))
                found = {row["key"]: int(row["amount"]) for row in rows}
            elif form == "rows":
                found = {row["key"]: row["amount"] for row in json.loads(text)}
            else:
                found = json.loads(text)
            self.expect_sum(found)


def is_closed(accounts: dict[str, Any]) -> bool:
    """Whether one account has everything."""
    return bool(accounts) and amount_of(accounts[ACCOUNTS[0]]) == TOTAL


def amount_of(account: Any) -> int:
    """What an account holds, of the account or of its amount alone."""
    return account["amount"] if isinstance(account, dict) else account


def _steps(chance: random.Random) -> list[dict[str, Any]]:
    """Operations of one transfer, to one account or to two, in any order."""
    giver, *takers = chance.sample(ACCOUNTS, chance.choice((2, 3)))
    amount = chance.randint(1, 60)
    steps = [{"op": "incr", "key": giver, "path": "/amount", "by": -amount * len(takers), "min": 0}]
    steps += [{"op": "incr", "key": taker, "path": "/amount", "by": amount} for taker in takers]
    chance.shuffle(steps)
    return steps


def work(bank: Bank, transfers_around: AbstractContextManager[None]) -> None:
    """Everybody at the same time; the transfers within a context."""
    tellers: list[Callable[[], None]] = [partial(bank.transfer_by_http, 30)]
    others: list[Callable[[], None]] = [bank.mget, bank.mget_by_http, bank.list_by_http]
    for seed, dialect in enumerate(DIALECTS):
        tellers += [
            partial(bank.transfer, dialect, seed),
            partial(bank.transfer, dialect, seed + 10),
        ]
        others += [
            partial(bank.watch, dialect),
            partial(bank.watch, dialect, maxRate=30),
            partial(bank.watch_slowly, dialect),
            partial(bank.watch_and_resume, dialect, seed + 20),
        ]
    others += [
        bank.follow_events,
        partial(bank.follow_events, "&path=/amount&maxRate=30"),
        partial(bank.follow_events, seconds=SECONDS),
        partial(bank.follow_events_and_resume, 30),
        bank.poll,
    ]
    with ThreadPoolExecutor(len(tellers) + len(others)) as threads:
        looking = [threads.submit(job) for job in others]
        with transfers_around:
            for job in [threads.submit(job) for job in tellers]:
                job.result()
        bank.close()
        for job in looking:
            job.result()


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_the_sum_of_all_accounts_is_the_same_in_each_look(
    start_server: StartServer, fsync: str
) -> None:
    bank = Bank(start_server("--fsync", fsync), {"range", "conflict"})
    work(bank, nullcontext())
    assert bank.transfers >= TRANSFERS_MIN
    assert bank.looks > TRANSFERS_MIN
    assert bank.wanted <= bank.refusals


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be moved there")
def test_the_sum_is_the_same_while_the_disk_refuses_some_transfers(
    start_server: StartServer, tmp_path: Path
) -> None:
    folder = tmp_path / "values"
    bank = Bank(start_server("--fsync", "always", folder=folder), {"storage"})
    work(bank, commits_refused(folder))
    assert bank.transfers >= TRANSFERS_MIN
    assert bank.wanted <= bank.refusals
