"""Each of many increments is carried out once, over connections that are cut at any moment.

Clients of both dialects send a request again with its `idempotencyKey` if they had no answer, and
the Python client does so by itself. The relay between them and the server cuts connections before
a request arrives, before its answer does, and in the middle of the answer.
"""

import itertools
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import dunena
from tests.client.test_python import (
    Connect,
    Relay,
    no_relay_on_windows,
    open_turned,
    reconnect_soon,
)
from tests.protocol.clients import RawConnection, http, text
from tests.support.fixtures import StartServer
from tests.support.refusing import commits_refused
from tests.support.server import ServerProcess

INCREMENTS = 60
INCREMENTS_IF_REFUSED = 15
CUT_SHARE = 0.04
KEY = "votes"


class CarelessRelay(Relay):
    """One that cuts a connection now and then, in either direction."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self.random = random.Random(seed)
        self.cuts = 0
        super().__init__(server)

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if self.random.random() < CUT_SHARE:
                    self.cuts += 1
                    target.sendall(data[: self.random.choice((0, 0, len(data) // 2))])
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Voter:
    """A client of a dialect that sends its requests again until they are answered."""

    def __init__(self, relay: CarelessRelay, dialect: str, number: int) -> None:
        self.is_dunena = dialect == "dunena"
        self.name = f"{dialect}-{number}"
        self.random = random.Random(self.name)
        self.values: list[int] = []
        self.duplicates = 0
        self.refusals = 0
        self._relay = relay
        self._connection: RawConnection | None = None
        self._ids = itertools.count()

    def vote(self, count: int) -> None:
        """Increment so many times."""
        for number in range(count):
            result = self._insist(self._message(f"{self.name}-{number}"))
            self.duplicates += result.get("duplicate", False)
            self.values.append(
                result["value"] if "value" in result else result["results"][0]["value"]
            )
        self._cut()

    def _message(self, once: str) -> dict[str, Any]:
        name = "type" if self.is_dunena else "action"
        if self.random.random() < 0.3:
            ops = [{"op": "incr", "key": KEY}, {"op": "append", "key": "names", "value": once}]
            return {name: "txn", "ops": ops, "idempotencyKey": once}
        return {name: "incr", "key": KEY, "idempotencyKey": once}

    def _insist(self, message: dict[str, Any]) -> Any:
        while True:
            try:
                answer = self._ask(message | {"id": next(self._ids)})
            except (EOFError, OSError):
                self._cut()
                continue
            if "code" not in answer:
                return answer["data" if self.is_dunena else "result"]
            assert answer["code"] == "storage", answer
            self.refusals += 1

    def _ask(self, message: dict[str, Any]) -> Any:
        if self._connection is None:
            self._connection = connection = RawConnection(self._relay)
            connection.upgrade("/ws?protocol=dunena" if self.is_dunena else "/")
            if self.is_dunena:
                connection.send(text({"type": "unsubscribe", "channel": "cache-events"}))
        self._connection.send(text(message))
        while (answer := self._connection.read_message()).get("id") != message["id"]:
            pass
        return answer

    def _cut(self) -> None:
        if self._connection is not None:
            self._connection.socket.close()
            self._connection = None


class PythonVoter:
    """The Python client, which sends requests again by itself."""

    def __init__(self, relay: CarelessRelay, connect: Connect) -> None:
        self.values: list[int] = []
        self.refusals = 0
        self._relay = relay
        self._connect = connect

    def vote(self, count: int) -> None:
        """Increment so many times."""
        with self._connect(self._relay.url, wait=True) as store:
            while len(self.values) < count:
                try:
                    self.values.append(store.incr(KEY))
                except dunena.RequestError as error:
                    if "Storage error" not in str(error):
                        raise
                    self.refusals += 1


def vote(server: ServerProcess, seed: int, count: int) -> tuple[list[Voter], list[PythonVoter]]:
    """All clients at the same time; each increment must have had a value of its own."""
    with CarelessRelay(server, seed) as relay:
        numbered = enumerate(("dunena", "objects") * 2)
        voters = [Voter(relay, dialect, number) for number, dialect in numbered]
        clients = [PythonVoter(relay, connect) for connect in (dunena.sync.connect, open_turned)]
        with ThreadPoolExecutor(len(voters) + len(clients)) as threads:
            for work in [threads.submit(voter.vote, count) for voter in [*voters, *clients]]:
                work.result()
        assert relay.cuts > count / 6
    values = sorted(value for voter in [*voters, *clients] for value in voter.values)
    assert values == list(range(1, count * (len(voters) + len(clients)) + 1))
    assert http(server, "GET", f"/get/{KEY}").json["value"] == len(values)
    return voters, clients


@no_relay_on_windows
def test_each_increment_counts_once_over_connections_that_are_cut(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconnect_soon(monkeypatch)
    voters, _ = vote(server, 1, INCREMENTS)
    assert sum(voter.duplicates for voter in voters) > 0
    # Appended in the same transactions, so exactly as often.
    names = http(server, "GET", "/get/names").json["value"]
    assert len(names) == len(set(names)) > 0


@no_relay_on_windows
def test_each_increment_counts_once_while_the_disk_refuses_some(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconnect_soon(monkeypatch)
    folder = tmp_path / "values"
    server = start_server("--fsync", "always", folder=folder)
    with commits_refused(folder):
        voters, clients = vote(server, 2, INCREMENTS_IF_REFUSED)
    assert sum(voter.refusals for voter in [*voters, *clients]) > 0
