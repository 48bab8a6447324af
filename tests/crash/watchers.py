"""Clients that follow what the writers write, through all the lives of the server.

Each follows half of the writers' namespaces and keeps what it was told. It must never be told of
an older value after a newer one, whatever happens to the server between, and what it was told must
still be there after a kill. In the end it must know what is stored.
"""

import json
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import dunena
from tests.crash.history import History
from tests.crash.operations import number_of
from tests.protocol.clients import CLOSE, SECONDS_MAX, TEXT, RawConnection, text
from tests.support.node_client import NodeClient
from tests.support.server import START_SECONDS_MAX, ServerProcess
from tests.support.watched_state import WatchedState, update_in

CUT_SHARE = 0.003


class Watcher(ABC):
    """One client."""

    def __init__(self, name: str, histories: Iterable[History], seed: int) -> None:
        self.name = name
        self.histories = {history.ns: history for history in histories}
        self.random = random.Random(f"{seed} {name}")
        self.values: dict[str, dict[str, Any]] = {ns: {} for ns in self.histories}
        self.told = 0
        self._newest: dict[tuple[str, str], float] = {}

    def hear(self, ns: str, key: str, value: Any, *, is_deleted: bool = False) -> None:
        """It was told of a value, None for none; ``is_deleted``: by a request."""
        self.told += 1
        number, newest = number_of(value), self._newest.get((ns, key), 0.0)
        if number is not None:
            assert number >= newest, f"{self.name}: {key} of {ns} is older than {newest}: {value}"
            self._newest[ns, key] = number
        elif is_deleted:
            # What stood before must not come back.
            self._newest[ns, key] = int(newest) + 0.5
        if value is None:
            self.values[ns].pop(key, None)
        else:
            self.values[ns][key] = value

    def tell_histories(self) -> None:
        """The server was killed: what this watcher was told counts as acknowledged."""
        for ns, history in self.histories.items():
            history.was_told(dict(self.values[ns]))

    def find_unknown(self) -> dict[str, list[str]]:
        """The keys of each namespace of which it does not know what stands."""
        found = {ns: h.find_unknown(self.values[ns]) for ns, h in self.histories.items()}
        return {ns: keys for ns, keys in found.items() if keys}

    @abstractmethod
    def run(self, server: ServerProcess) -> None:
        """Follow until the server is gone."""

    @abstractmethod
    def catch_up(self, server: ServerProcess) -> None:
        """Connect, and follow until it knows what stands."""

    @abstractmethod
    def close(self) -> None:
        """End the connection."""


class RawWatcher(Watcher):
    """A watch of a pattern in each namespace, which goes on from its position."""

    def __init__(self, dialect: str, number: int, histories: Iterable[History], seed: int) -> None:
        super().__init__(f"{dialect} watcher {number}", histories, seed)
        self._is_dunena = dialect == "dunena"
        self._states = {ns: WatchedState() for ns in self.histories}
        self._connection: RawConnection | None = None

    @property
    def resets(self) -> int:
        """How often it was told everything anew."""
        return sum(state.resets for state in self._states.values())

    def run(self, server: ServerProcess) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._take()
                if self.random.random() < CUT_SHARE:
                    resets = self.resets
                    self._open(server)
                    for _ in self.histories:
                        self._take()
                    assert self.resets == resets, "a position of the same epoch is continued"
        self.close()

    def catch_up(self, server: ServerProcess) -> None:
        self._open(server)
        while unknown := self.find_unknown():
            try:
                self._take()
            except TimeoutError:
                raise AssertionError(f"{self.name} does not know {unknown}") from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.socket.close()
            self._connection = None
        for state in self._states.values():
            state.forget_parts()

    def _open(self, server: ServerProcess) -> None:
        self.close()
        self._connection = connection = RawConnection(server)
        connection.upgrade("/ws?protocol=dunena" if self._is_dunena else "/")
        if self._is_dunena:
            connection.send(text({"type": "unsubscribe", "channel": "cache-events"}))
        name = "type" if self._is_dunena else "action"
        for ns, state in self._states.items():
            since = {} if state.since is None else {"since": state.since}
            connection.send(text({name: "watch", "pattern": "*", "ns": ns, **since}))

    def _take(self) -> None:
        """The next message."""
        assert self._connection is not None
        frame = self._connection.read_frame()
        if frame.opcode == CLOSE:
            raise EOFError
        update = update_in(json.loads(frame.payload)) if frame.opcode == TEXT else None
        if update is None:
            return
        ns = update["ns"]
        is_whole = self._states[ns].take(update)
        for change in update["changes"]:
            is_deleted = change.get("event") == "delete"
            self.hear(ns, change["key"], change.get("value"), is_deleted=is_deleted)
        if is_whole:
            self.values[ns] = dict(self._states[ns].values)


class PythonWatcher(Watcher):
    """The Python client, which connects again by itself."""

    def __init__(self, number: int, histories: Iterable[History], seed: int) -> None:
        super().__init__(f"Python watcher {number}", histories, seed)
        self._store: Any = None
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._failures: list[BaseException] = []

    def run(self, server: ServerProcess) -> None:
        """Its threads do."""

    def catch_up(self, server: ServerProcess) -> None:
        if self._store is None:
            self._open(server)
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            with self._lock:
                if self._failures:
                    raise self._failures[0]
                unknown = self.find_unknown()
            if not unknown:
                return
            assert time.monotonic() < deadline, f"{self.name} does not know {unknown}"
            time.sleep(0.01)

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            for thread in self._threads:
                thread.join(SECONDS_MAX)

    def tell_histories(self) -> None:
        with self._lock:
            super().tell_histories()

    def _open(self, server: ServerProcess) -> None:
        self._store = dunena.sync.connect(server.url, wait=True)
        self._store.__enter__()
        for ns in self.histories:
            thread = threading.Thread(target=self._follow, args=(ns,))
            thread.start()
            self._threads.append(thread)

    def _follow(self, ns: str) -> None:
        epoch, rev = "", 0
        try:
            for update in self._store.updates(pattern="*", ns=ns):
                with self._lock:
                    assert update.epoch != epoch or update.rev >= rev, update
                    epoch, rev = update.epoch, update.rev
                    for key, change in update.changes.items():
                        self.hear(ns, key, change.value, is_deleted=change.event == "delete")
                    if update.reset:
                        told = {k: c.value for k, c in update.changes.items() if c.event is None}
                        self.values[ns] = told
        except (AssertionError, dunena.Error) as error:
            self._failures.append(error)


class NodeWatcher(Watcher):
    """The JavaScript client in Node, which connects again by itself."""

    def __init__(
        self, program: NodeClient, number: int, histories: Iterable[History], seed: int
    ) -> None:
        super().__init__(f"JavaScript watcher {number}", histories, seed)
        self._program = program
        self._is_open = False

    def run(self, server: ServerProcess) -> None:
        """Node does."""

    def catch_up(self, server: ServerProcess) -> None:
        if not self._is_open:
            self._program.connect(server.url)
            self._program.run(_FOLLOW_IN_NODE % json.dumps(list(self.histories)))
            self._is_open = True
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            self._take()
            unknown = self.find_unknown()
            if not unknown:
                return
            assert time.monotonic() < deadline, f"{self.name} does not know {unknown}"
            time.sleep(0.01)

    def tell_histories(self) -> None:
        self._take()
        super().tell_histories()

    def close(self) -> None:
        if self._is_open:
            self._program.run("state.store.close()")

    def _take(self) -> None:
        """Hear what the process was told since the last time, in that order."""
        if self._is_open:
            for ns, key, value in self._program.run("return state.told.splice(0)"):
                self.hear(ns, key, value)


_FOLLOW_IN_NODE = """
state.told = [];
for (const ns of %s) {
  let last = {};
  state.store.watch({ pattern: "*", ns }, (values) => {
    const texts = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)]));
    for (const key of Object.keys({ ...last, ...texts })) {
      if (texts[key] !== last[key]) state.told.push([ns, key, values[key] ?? null]);
    }
    last = texts;
  });
}
"""


def make_watchers(histories: list[History], programs: list[NodeClient], seed: int) -> list[Watcher]:
    """Two of each dialect, two of the Python client, and one for each Node process.

    Each follows half of the namespaces, those of a kind in turn.
    """
    halves = [histories[0::2], histories[1::2]]
    return [
        *(
            RawWatcher(dialect, number, half, seed)
            for dialect in ("dunena", "objects")
            for number, half in enumerate(halves)
        ),
        *(PythonWatcher(number, half, seed) for number, half in enumerate(halves)),
        *(
            NodeWatcher(program, number, halves[number % 2], seed)
            for number, program in enumerate(programs)
        ),
    ]
