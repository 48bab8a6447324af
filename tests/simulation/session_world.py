"""A world of nodes, clients and their sessions on one log, played from a seed, and its checker.

The checker reads what the log has stored: when a session may end, it knows from what happened to
its client and its node. It holds property 11 of the contract: no ephemeral key outlives its
session, none goes while that can be resumed, and that of a new owner stays.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from dunena.persistence.log import LEASE_MS, LogState, OpKind, Record, RefusalKind
from dunena.server.shared.session_notes import PREFIX, id_of
from tests.support.shared_rooms import Cluster, LaneClient, SharedRooms

NEVER: Final = 2**62
KEYS: Final = ("k0", "k1", "k2")
SETTLE_MS: Final = 40_000
"""Time in which all that is to end has ended: the longest grace, the lease, and who stands by."""


class ViolationError(AssertionError):
    """A property does not hold."""


@dataclass
class Known:
    """What is known of a session: it may end from ``may_end_at`` on."""

    grace: int
    will: str | None
    secret: str
    may_end_at: int = NEVER


@dataclass
class User:
    """Somebody who has a connection or none, and would like to have a session."""

    name: str
    node: SharedRooms | None = None
    client: LaneClient | None = None
    session: str | None = None
    asked: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)


class SessionWorld:
    """A history of so many steps; `play` raises `ViolationError`."""

    def __init__(self, seed: int, *, node_count: int = 3, user_count: int = 4) -> None:
        self.random = Random(seed)
        self.cluster = Cluster(node_count).load()
        self.users = [User(f"u{number}") for number in range(user_count)]
        self.cut: list[SharedRooms] = []
        self.known: dict[str, Known] = {}
        self.owners: dict[str, str | None] = {}
        self.ended: set[str] = set()
        self._checked = 0
        self._request_id = 0

    def play(self, steps: int) -> None:
        """Play, then let everything come to its end."""
        actions = [
            *[self._connect] * 4,
            *[self._begin] * 4,
            *[self._put] * 6,
            *[self._lose] * 3,
            self._leave,
            self._cut_off,
            *[self._rejoin] * 2,
            self._kill,
            *[self._pass_time] * 6,
            *[self._work] * 6,
            *[self._trouble] * 2,
            *[self._race] * 2,
        ]
        for _ in range(steps):
            self.random.choice(actions)()
            self._progress()
            self._hear()
            self._check_log()
        self._finish()

    # --- users ---

    def _connect(self) -> None:
        user = self.random.choice(self.users)
        if user.client is None:
            user.node = self.random.choice(self.cluster.nodes)
            user.client = user.node.client()
            user.asked = {}

    def _begin(self) -> None:
        """Ask for a session: the one before, if there was one."""
        user = self.random.choice(self.users)
        if user.client is None or user.asked:
            return
        fields: dict[str, Any] = {"grace": self.random.choice((0, 3000, 15_000))}
        if self.random.random() < 0.5:
            key = f"will-{self._request_id}"
            fields["will"] = [{"op": "set", "key": key, "value": 1}]
        if user.session is not None:
            fields = {"resume": self.known[user.session].secret}
        self._ask(user, "session", fields)

    def _put(self) -> None:
        user = self.random.choice(self.users)
        if user.client is not None:
            fields = {"key": self.random.choice(KEYS), "value": user.name, "ephemeral": True}
            self._ask(user, "set", fields)

    def _lose(self) -> None:
        self._end_connection(self.random.choice(self.users), on_purpose=False)

    def _leave(self) -> None:
        self._end_connection(self.random.choice(self.users), on_purpose=True)

    def _end_connection(self, user: User, *, on_purpose: bool) -> None:
        client, user.client = user.client, None
        if client is None:
            return
        session = client.holder.session
        lost = set() if session is None else {session.id}
        if user.session is not None and any(
            "resume" in fields for _, fields in user.asked.values()
        ):
            lost.add(user.session)  # nobody knows whether it was resumed
        for known in [self.known[session_id] for session_id in lost if session_id in self.known]:
            grace = 0 if on_purpose else known.grace
            known.may_end_at = min(known.may_end_at, self.cluster.now + grace)
        client.leave(on_purpose=on_purpose)
        if on_purpose:
            user.session = None

    def _ask(self, user: User, kind: str, fields: dict[str, Any]) -> None:
        self._request_id += 1
        user.asked[self._request_id] = (kind, fields)
        assert user.client is not None
        user.client.say({"type": kind, "id": self._request_id, **fields})

    def _hear(self) -> None:
        for user in self.users:
            client = user.client
            if client is None:
                continue
            for answer in client.heard():
                asked = user.asked.pop(answer.get("id", 0), None)
                if asked is not None and answer["type"] == "result":
                    self._learn(user, client, asked, answer["data"])
                elif asked is not None and "resume" in asked[1] and user.session is not None:
                    # If it was resumed after all, nobody has it.
                    known = self.known[user.session]
                    known.may_end_at = min(known.may_end_at, self.cluster.now + known.grace)
            if client.is_displaced or client.is_expelled:
                self._end_connection(user, on_purpose=False)

    def _learn(
        self, user: User, client: LaneClient, asked: tuple[str, dict[str, Any]], data: Any
    ) -> None:
        kind, fields = asked
        if kind == "session":
            session_id = data["session"]
            will = fields["will"][0]["key"] if "will" in fields else None
            if data["resumed"]:
                known = self.known[session_id]
                if session_id in self.ended and not client.is_expelled:
                    raise ViolationError(f"{session_id} was resumed after its end")
            else:
                known = self.known.setdefault(session_id, Known(data["grace"], will, ""))
                known.grace, known.will = data["grace"], will or known.will
            known.secret = data["resume"]
            known.may_end_at = NEVER
            user.session = session_id
        elif client.holder.session is not None:
            session = client.holder.session
            self.known.setdefault(session.id, Known(0, None, session.secret))
            user.session = session.id

    # --- nodes and time ---

    def _cut_off(self) -> None:
        if len(self.cluster.nodes) > 1:
            node = self.random.choice(self.cluster.nodes)
            self.cluster.nodes.remove(node)
            self.cut.append(node)
            node.log.is_alive, node.log.last_sign = False, self.cluster.now
            node.log.change_state(LogState.STALE, "cut off")
            self._refuse(node)
            for session_id, terms in node.parts.session_table.terms.items():
                known = self.known.get(session_id)
                if terms.node == node.log.node and known is not None:
                    due = max(self.cluster.now + LEASE_MS, self.cluster.now + known.grace)
                    known.may_end_at = min(known.may_end_at, due)

    def _rejoin(self) -> None:
        if self.cut:
            node = self.cut.pop()
            self.cluster.nodes.append(node)
            node.log.is_alive = True
            node.log.change_state(LogState.READY)
            node.log.work()
            node.run()
            for user in self.users:
                session = None if user.client is None else user.client.holder.session
                known = None if session is None else self.known.get(session.id)
                if known is not None and user.node is node and known.may_end_at > self.cluster.now:
                    known.may_end_at = NEVER  # else its end may be under way

    def _kill(self) -> None:
        """A node dies, and another one starts in its place."""
        if self.random.random() < 0.5 or len(self.cluster.nodes) < 2:
            return
        self._cut_off()
        node = self.cut.pop()
        for user in self.users:
            if user.node is node:
                user.client = user.node = None
        started = SharedRooms(self.cluster, f"n{len(self.cluster.log.nodes)}")
        self.cluster.nodes.append(started)
        started.log.load()
        started.run()

    def _pass_time(self) -> None:
        """Time passes, while everybody works."""
        for _ in range(self.random.randrange(1, 12)):
            self._pass(250)
            self._hear()

    def _pass(self, ms: int) -> None:
        self.cluster.pass_time(ms)
        for node in self.cut:
            node.ring()
            node.run()
            self._refuse(node)
        self.cluster.work()
        self._check_log()

    def _race(self) -> None:
        """A session is resumed in the moment in which it ends."""
        user = self.random.choice(self.users)
        known = None if user.session is None else self.known[user.session]
        if user.client is not None or known is None or not self._is_soon(known.may_end_at):
            return
        for node in self.cluster.nodes:
            node.log.work()
            node.run()
        self.cluster.now = max(self.cluster.now, known.may_end_at)
        for node in self.cluster.nodes:
            node.ring()
            node.run()
        user.node = self.random.choice(self.cluster.nodes)
        user.client, user.asked = user.node.client(), {}
        self._ask(user, "session", {"resume": known.secret})
        for node in self.random.sample(self.cluster.nodes, len(self.cluster.nodes)):
            node.run()
            node.log.send()

    def _is_soon(self, time: int) -> bool:
        return time <= self.cluster.now + 20_000

    def _work(self) -> None:
        self.cluster.work()

    def _trouble(self) -> None:
        """A proposal is refused, or stored without an answer, or deliveries are lost."""
        node = self.random.choice(self.cluster.nodes)
        node.run()
        if node.log.under_way is not None:
            if self.random.random() < 0.5:
                node.log.refuse(RefusalKind.UNAVAILABLE)
            elif node.log.lost_from is None and self._is_storable(node):
                node.log.store_unnoticed()
        elif node.log.lost_from is None and self.random.random() < 0.3:
            node.log.lose(1)
            node.log.repair()

    def _is_storable(self, node: SharedRooms) -> bool:
        node.log.deliver()  # then no condition can fail
        return node.log.under_way is not None and node.log.is_current

    def _refuse(self, node: SharedRooms) -> None:
        node.run()
        if node.log.under_way is not None:
            node.log.refuse(RefusalKind.UNAVAILABLE)
            node.run()

    def _progress(self) -> None:
        """Some nodes do a little."""
        for node in self.cluster.nodes:
            if self.random.random() < 0.7:
                node.run()
            if self.random.random() < 0.5:
                node.log.send()
            if self.random.random() < 0.5:
                node.log.deliver()
            node.run()

    # --- the checker ---

    def _check_log(self) -> None:
        batches = self.cluster.log.batches
        for batch in batches[self._checked :]:
            for group in batch.groups:
                self._check_group(group, batch.timestamp)
        self._checked = len(batches)

    def _check_group(self, group: tuple[Record, ...], now: int) -> None:
        ended = {
            session_id
            for record in group
            if (session_id := id_of(record.op.key)) is not None and not record.op.value
        }
        for record in group:
            op = record.op
            if op.kind is OpKind.REMOVE:
                owner = self.owners.get(op.key)
                if owner not in ended and owner not in self.ended:
                    raise ViolationError(f"{op.key} of {owner} was removed by the end of {ended}")
                self.owners[op.key] = None
            elif op.kind is OpKind.SET:
                self.owners[op.key] = op.owner
        wills = {record.op.key for record in group if record.op.key.startswith("will-")}
        for session_id in ended:
            known = self.known.get(session_id)
            if known is None:
                continue
            if now < known.may_end_at:
                raise ViolationError(f"{session_id} ended {known.may_end_at - now} ms too early")
            if known.will is not None and known.will not in wills:
                raise ViolationError(f"the will of {session_id} did not run")
        self.ended |= ended

    def _finish(self) -> None:
        """All come back, and those who have a session keep it; then all of them go."""
        while self.cut:
            self._rejoin()
        self._settle()
        self._check_holders()
        for user in self.users:
            self._end_connection(user, on_purpose=False)
        self._settle()
        for node in self.cluster.nodes:
            left = [entry.key for entry in node.store.entries() if entry.key in KEYS]
            if left:
                raise ViolationError(f"{left} outlived their sessions at {node.log.node}")
            if node.parts.session_table.terms or len(node.parts.session_table):
                raise ViolationError(f"a session never ended: {node.parts.session_table.terms}")
        notes = self.cluster.log.notes.items()
        assert not [name for name, note in notes if name.startswith(PREFIX) and note.op.value]

    def _settle(self) -> None:
        for _ in range(SETTLE_MS // 500):
            self._pass(500)
            self._hear()

    def _check_holders(self) -> None:
        """Who believes to have a session has it, and nobody else has that."""
        holders: dict[str, User] = {}
        for user in self.users:
            session = None if user.client is None else user.client.holder.session
            if session is None or user.node is None:
                continue
            for node in self.cluster.nodes:
                terms = node.parts.session_table.terms.get(session.id)
                if terms is None or terms.node != user.node.log.node or terms.lost_at is not None:
                    raise ViolationError(f"{user.name} does not have {session.id}: {terms}")
            if session.id in holders:
                raise ViolationError(f"{session.id} has two holders")
            holders[session.id] = user
