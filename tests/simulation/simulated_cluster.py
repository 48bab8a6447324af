"""Whole nodes on one simulated log: clients of both dialects and HTTP, delays, refusals and gaps.

One seed is one history. The log delivers to each node when it pleases, refuses, does not answer,
loses deliveries, and is repaired or loaded anew. Clients change nodes and send again what was not
answered. `cluster_checker` knows what the log has, and what each client may be told.
"""

import itertools
from random import Random
from typing import Any

import orjson

from dunena.dialects.dialect import Dialect
from dunena.persistence.log import LogState, Op, OpKind, RefusalKind
from dunena.server.http.connection import HttpConnection
from tests.simulation.cluster_checker import ACCOUNTS, COUNTER, KEYS, Asked, Checker, Watched
from tests.support.loopback_log import SharedLog
from tests.support.shared_rooms import Cluster, LaneClient, SharedRooms

STEPS = 160
UNDER_WAY_MAX = 4


class Program:
    """A client: one connection after another, to one node after another."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.random = world.random
        self.name = f"p{number}"
        self.dialect = self.random.choice((Dialect.DUNENA, Dialect.OBJECT_STORE))
        self.asked: list[Asked] = []
        self.watches: dict[str, Watched] = {}
        self.client: LaneClient | None = None
        self.node: SharedRooms
        self.increment: str | None = None

    @property
    def is_dunena(self) -> bool:
        return self.dialect is Dialect.DUNENA

    def connect(self, node: SharedRooms | None = None) -> None:
        """Connect to a node, or to any, and go on with every watch."""
        self.node = node or self.random.choice(self.world.cluster.nodes)
        self.client = self.node.client(self.dialect)
        if self.is_dunena:
            self.say("unsubscribe", channel="cache-events")
        for watched in self.watches.values():
            self.watch(watched)
        if self.increment is not None:
            self.ask("incr", key=COUNTER, idempotencyKey=self.increment)

    def disconnect(self) -> None:
        """Lose the connection: nobody knows what became of requests."""
        if self.client is not None:
            self.client.leave()
            self.client = None
        self.world.checker.lose(self.asked)
        self.asked.clear()
        for watched in self.watches.values():
            watched.disconnect()

    def say(self, name: str, **fields: Any) -> None:
        assert self.client is not None
        self.client.say({"type" if self.is_dunena else "action": name, **fields})

    def ask(self, name: str, **fields: Any) -> None:
        """Send a request that is answered."""
        asked = self.world.checker.ask(self.node, name, fields)
        self.asked.append(asked)
        verb = "delete" if name == "del" and not self.is_dunena else name
        self.say(verb, **fields, id=asked.id)

    def watch(self, watched: Watched) -> None:
        """Begin or continue a watch."""
        since = {} if watched.position is None else {"since": watched.position_field}
        watched.begin(self.node)
        self.say("watch", **watched.selector, **since)

    def act(self) -> None:
        """Do one thing."""
        if self.client is None:
            self.connect()
            return
        choice = self.random.random()
        if choice < 0.1:
            self.disconnect()
        elif choice < 0.2:
            self.begin_watch()
        elif choice < 0.32:
            self.read()
        elif len(self.asked) < UNDER_WAY_MAX:
            self.write()

    def begin_watch(self) -> None:
        selector = self.random.choice(
            ({"pattern": "*"}, {"pattern": "account*"}, {"keys": ["a", "b"]}, {"key": COUNTER})
        )
        name = str(selector)
        if name not in self.watches:
            self.watches[name] = Watched(self.world.checker, selector)
            self.watch(self.watches[name])

    def read(self) -> None:
        if self.is_dunena:
            self.ask("get", key=self.random.choice([*KEYS, COUNTER]), rev=True, json=True)
        else:
            self.ask("get", key=self.random.choice([*KEYS, COUNTER]), rev=True)

    def write(self) -> None:
        value = f"{self.name}-{next(self.world.values)}"
        key = self.random.choice(KEYS)
        kinds = ("set", "set", "ttl", "del", "del", "mset", "if", "txn", "incr", "then", "here")
        kind = self.random.choice(kinds)
        match kind:
            case "set":
                self.ask("set", key=key, value=value)
            case "ttl":
                self.ask("set", key=key, value=value, ttl=self.random.choice((20, 300, 5000)))
            case "then":
                self.ask("set", key=key, value=value, ttl=self.random.choice((20, 300)), then="end")
            case "here":
                self.ask("set", key=f"here-{self.name}", value=value, ephemeral=True)
            case "del":
                self.ask("del", key=key)
            case "if":
                entry = self.node.store.peek("", key, self.node.log.now)
                self.ask("set", key=key, value=value, ifRev=0 if entry is None else entry.revision)
            case "mset" if self.is_dunena:
                entries = [{"key": one, "value": value} for one in self.random.sample(KEYS, 2)]
                self.ask("mset", entries=entries)
            case "txn" | "mset":
                one, other = self.random.sample(ACCOUNTS, 2)
                ops = [
                    {"op": "incr", "key": one, "by": 1},
                    {"op": "incr", "key": other, "by": -1},
                    {"op": "set", "key": key, "value": value},
                ]
                self.ask("txn", ops=ops)
            case "incr" if self.increment is None:
                self.increment = value
                self.ask("incr", key=COUNTER, idempotencyKey=value)

    def hear(self) -> None:
        """Take what has arrived."""
        if self.client is None:
            return
        assert not self.client.failures, self.client.failures
        for message in self.client.received():
            update = message["data"] if message.get("type") == "update" else message.get("update")
            if update is not None:
                self.take_update(update)
            elif "id" in message:
                self.take_answer(message)

    def take_update(self, update: dict[str, Any]) -> None:
        names = ("key", "keys", "pattern")
        selector = {name: update[name] for name in names if name in update}
        self.watches[str(selector)].take(update)

    def take_answer(self, message: dict[str, Any]) -> None:
        asked = self.asked.pop(0)
        self.world.checker.answered(asked, message, self.node)
        if asked.fields.get("idempotencyKey") == self.increment is not None:
            unknown = "error" in (message.get("type"), *message)
            if not unknown:
                self.increment = None
            else:  # it is sent again, as nobody knows, or nothing was stored
                self.ask("incr", key=COUNTER, idempotencyKey=self.increment)
        revision = self.world.checker.revision_of(asked, message)
        if revision is not None:
            for watched in self.watches.values():
                watched.expect_told(asked.truth, revision)


class Browser:
    """A client over HTTP, with one request at a time."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.random = world.random
        self.name = f"h{number}"
        self.asked: Asked | None = None
        self.connection: HttpConnection | None = None
        self.unread = bytearray()
        self.node: SharedRooms

    # --- the transport ---

    def write(self, data: bytes) -> None:
        self.unread += data

    def get_extra_info(self, _name: str) -> None:
        return None

    def close(self) -> None:
        """Nobody waits for it."""

    abort = close
    pause_reading = close
    resume_reading = close

    # --- what it does ---

    def act(self) -> None:
        """Send a request, or leave."""
        if self.connection is None:
            self.node = self.random.choice(self.world.cluster.nodes)
            self.connection = HttpConnection(self.node.context)
            transport: Any = self
            self.connection.connection_made(transport)
        elif self.random.random() < 0.1:
            self.connection.connection_lost(None)
            self.connection = None
            self.unread.clear()
            if self.asked is not None:
                self.world.checker.lose([self.asked])
                self.asked = None
        elif self.asked is None:
            self.send()

    def send(self) -> None:
        key, value = self.random.choice(KEYS), f"{self.name}-{next(self.world.values)}"
        kind = self.random.choice(("PUT", "PUT", "DELETE", "GET", "flush"))
        if kind == "flush" and self.random.random() < 0.3:
            self._request("flush", {}, "POST /flush", b"")
        elif kind == "PUT":
            self._request(
                "set", {"key": key, "value": value}, f"PUT /kv/{key}", orjson.dumps(value)
            )
        elif kind == "DELETE":
            self._request("del", {"key": key}, f"DELETE /cache/{key}", b"")
        else:
            self._request("get", {"key": key}, f"GET /kv/{key}", b"")

    def _request(self, name: str, fields: dict[str, Any], line: str, body: bytes) -> None:
        assert self.connection is not None
        self.asked = self.world.checker.ask(self.node, name, fields)
        head = f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self.connection.data_received(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def hear(self) -> None:
        """Take the response, if it has arrived."""
        if self.asked is None or b"\r\n\r\n" not in self.unread:
            return
        head, _, body = bytes(self.unread).partition(b"\r\n\r\n")
        self.unread.clear()
        asked, self.asked = self.asked, None
        status = int(head.split(b" ")[1])
        self.world.checker.responded(asked, status, body, self.node)


class World:
    """One history from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.cluster = Cluster(self.random.choice((1, 2, 2, 3, 3)))
        for node in self.cluster.nodes:
            node.log.skew_ms = self.random.randrange(-15, 16)
        self.changes_log = self.random.random() < 0.15
        self.other_log: SharedLog | None = None
        self.loses_deliveries = self.random.random() < 0.5
        self.values = itertools.count(1)
        self.checker = Checker(self.cluster)
        self.programs = [Program(self, number) for number in range(4)]
        self.browsers = [Browser(self, number) for number in range(2)]

    def play(self) -> None:
        """Play the history to its end, and come to rest."""
        self.cluster.load()
        self.checker.listen()
        starts = {self.random.randrange(STEPS) for _ in range(self.random.choice((0, 1, 1, 2)))}
        for number in range(STEPS):
            if number in starts:
                self.start_node()
            self.step()
            self.settle()
        self.come_to_rest()

    def step(self) -> None:
        choice = self.random.random()
        node = self.random.choice(self.cluster.nodes)
        if choice < 0.4:
            self.random.choice([*self.programs, *self.programs, *self.browsers]).act()
        elif choice < 0.6:
            node.log.send()
        elif choice < 0.83:
            node.log.deliver(self.random.choice((1, 1, 2, None)))
        elif choice < 0.91:
            self.cluster.pass_time(self.random.choice((1, 10, 30, 300)))
        else:
            self.trouble(node)

    def trouble(self, node: SharedRooms) -> None:
        log, choice = node.log, self.random.random()
        if choice < 0.3 and log.under_way is not None:
            kind = self.random.choice((RefusalKind.UNAVAILABLE, RefusalKind.UNKNOWN))
            log.refuse(kind)
        elif choice < 0.45 and log.under_way is not None:
            log.store_unnoticed()
        elif choice < 0.65 and self.loses_deliveries:
            self.checker.tell_gap(node)
            log.lose(self.random.choice((1, 2, None)))
        elif choice < 0.85:
            log.repair(finds_own=self.random.random() < 0.5)
        elif choice < 0.92 and self.loses_deliveries:
            self.checker.tell_gap(node)
            log.load(finds_own=self.random.random() < 0.5)
        elif choice < 0.94:
            log.shared.forget_removals()
        elif choice < 0.96 and self.changes_log:
            self.change_log(node)
        else:
            state = LogState.READY if log.state is LogState.STALE else LogState.STALE
            log.change_state(state)

    def start_node(self) -> None:
        """A node starts, and clients go on there."""
        node = self.cluster.join()
        node.log.skew_ms = self.random.randrange(-15, 16)
        self.checker.listen_to(node)
        for program in self.programs:
            if self.random.random() < 0.5:
                program.disconnect()
                program.connect(node)

    def change_log(self, node: SharedRooms) -> None:
        """A node finds another log of the same name, which was made from what somebody had."""
        if self.other_log is None:
            self.other_log = other = SharedLog(lambda: self.cluster.now, "log2")
            self.checker.add_log(other)
            entries = list(self.cluster.log.entries.values())
            for entry in self.random.sample(entries, len(entries) // 2):
                if entry.key not in ACCOUNTS:
                    other.put((Op(OpKind.SET, key=entry.key, value=entry.value),))
        if node.log.shared is not self.other_log:
            self.checker.tell_gap(node)
            node.log.follow(self.other_log)

    def settle(self) -> None:
        """All nodes do what they can without the log; everybody reads."""
        for node in self.cluster.nodes:
            node.run()
        for one in [*self.programs, *self.browsers]:
            one.hear()
        self.checker.look()

    def come_to_rest(self) -> None:
        """The log works, and everything is answered and told."""
        for node in self.cluster.nodes:
            node.log.change_state(LogState.READY)
            node.log.repair()
            if self.other_log is not None:
                self.change_log(node)
        for _ in range(8):
            self.cluster.pass_time(700)
            for _ in range(2):
                self.cluster.work()
                self.settle()
        for program in self.programs:
            assert not program.asked, f"not answered: {program.asked}"
        for browser in self.browsers:
            assert browser.asked is None, f"not answered: {browser.asked}"
        self.checker.expect_rest()
        for program in self.programs:
            for watched in program.watches.values():
                if program.client is not None:
                    watched.expect_all(self.checker.truth_of(program.node))
