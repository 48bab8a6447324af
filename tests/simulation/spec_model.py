"""What the contract promises, as a plain dictionary: the model that whole servers are held against.

It is told of each request in the order in which the server takes them, and of how each commit
ended; it says what every peer is to receive for it. A request is answered when its round is over:
a round is what is kept or refused together.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from dunena.store import positions
from tests.simulation.committed import Committed, EntryId, Written, merged
from tests.support.rfc_examples import PATCHES

OPERATIONS = ("incr", "merge", "txn")
CHANNELS = ("news", "chat")

ANSWER_MS_MAX = 120_000
"""How long a request with an idempotency key is known."""

RETRY_MS = 1000
"""Time between two looks at whether something ended, while changes are refused."""

Stored = tuple[Any, int | None, Any]
"""A value, when it ends, and what is merged into it then; None for what is not."""

State = dict[EntryId, Stored]


class BrokenPromiseError(AssertionError):
    """The server did what it must not do."""


class RefusedOperationError(Exception):
    """An operation met a value that is no number."""

    def __init__(self, number: int, key: str) -> None:
        super().__init__()
        self.number = number
        self.key = key
        self.text = f'Not a number: "{key}"'


@dataclass(eq=False)
class Draft:
    """A key while operations are carried out; None stands for no value."""

    key: str
    before: Any
    value: Any
    expires_at: int | None
    then: Any
    then_before: Any
    is_change: bool = False

    def apply(self, op: Any, now: int) -> dict[str, Any]:
        """Carry out one operation; what it answers. Raise `TypeError` if there is no number."""
        kind, had_value = op["op"], self.value is not None
        answer: dict[str, Any] = {}
        if kind == "set":
            self.value = op["value"]
            self.expires_at = now + op["ttl"] if op.get("ttl") else None
            self.then = None
        elif kind == "delete":
            self.value = self.expires_at = self.then = None
            answer = {"deleted": had_value}
        elif kind == "incr":
            if had_value and type(self.value) is not int:
                raise TypeError
            self.value = (self.value or 0) + op["by"]
            answer = {"value": self.value}
        elif kind == "patch":
            self.value = next(
                after
                for before, patch, after in PATCHES
                if patch == op["patch"] and before == self.value
            )
        else:
            assert kind == "merge"
            self.value = merged(self.value, op["value"])
        touched = had_value or kind != "delete"
        self.is_change = (self.is_change or touched) and (
            self.before is not None or self.value is not None
        )
        return answer

    @property
    def growth(self) -> tuple[bool, int]:
        """Removals come first, and then what grows least: so a full store has room for it."""
        if self.value is None:
            return False, 0
        size = _size_of(self.value, self.then)
        if self.before is None:
            return True, len(self.key) + size
        return True, size - _size_of(self.before, self.then_before)


@dataclass(eq=False)
class Round:
    """Requests that are kept or refused together.

    ``before`` is the state that they began with, ``revision`` that of its last change.
    """

    before: State
    revision: int = 0
    requests: list["Request"] = field(default_factory=list)
    is_kept: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it may be answered."""
        return self.is_kept or not self.has_changes

    @property
    def has_changes(self) -> bool:
        return any(request.has_changed for request in self.requests)


@dataclass(eq=False)
class Request:
    """One request, or one look at what has expired.

    ``groups`` are its changes, those that are seen together in one list; ``answer_ids`` are the
    idempotency keys whose answers it gave. ``channels`` are those that each peer followed before.
    """

    round: Round
    has_changed: bool = False
    groups: list[list[Written]] = field(default_factory=list)
    answer_ids: list[str] = field(default_factory=list)
    channels: dict["Followed", frozenset[str]] = field(default_factory=dict)


@dataclass(eq=False)
class Item:
    """A message some peer is to receive; of updates only a place's newest one must arrive.

    One of a channel may be missed by a slow reader, which is told so.
    """

    request: Request
    message: dict[str, Any]
    entry_id: EntryId | None = None
    channel: str | None = None


class End(NamedTuple):
    """A place in what is expected, up to which all was heard or may be missing.

    ``missed`` has the channels of which messages are missing and how many, until that is told.
    """

    index: int
    missed: tuple[tuple[str, int], ...] = ()

    def missing(self, channel: str) -> "End":
        """Return the next place, where another message of a channel is missing."""
        counts = dict(self.missed)
        counts[channel] = counts.get(channel, 0) + 1
        return End(self.index + 1, tuple(sorted(counts.items())))

    def told(self, channel: str) -> "End":
        """Return the place where was told what is missing of a channel."""
        return End(self.index, tuple(one for one in self.missed if one[0] != channel))

    def count(self, channel: str | None) -> int:
        """Return how many messages of a channel are missing."""
        return next((count for name, count in self.missed if name == channel), 0)


@dataclass(frozen=True)
class Asked:
    """When a `watch` was carried out: what was the newest committed revision.

    ``can_resume``: the position that it names is not too old to be continued, and it
    ``may_be_of_other_rights`` if it is of before these were changed. ``overdue`` are the
    keys whose time was over, and which were not removed yet, as changes are refused.
    """

    revision: int
    can_resume: bool
    may_be_of_other_rights: bool
    overdue: set[str]


@dataclass(eq=False)
class Followed:
    """What a peer follows, and what it is to receive for that and for what it asks.

    ``ends`` are the places in ``expected`` to which all it has heard may have brought it: an
    update may look like the reply behind it. ``is_slow`` says that it once did not read in time.
    ``watched`` says when each `watch` was carried out, by its ``id``.
    """

    is_dunena: bool
    places: set[EntryId] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    events: bool = False
    expected: list[Item] = field(default_factory=list)
    ends: set[End] = field(default_factory=lambda: {End(0)})
    is_slow: bool = False
    is_open: bool = True
    watched: dict[Any, "Asked"] = field(default_factory=dict)

    def hear(self, message: dict[str, Any]) -> None:
        """It received a message: one that is to come, and that may come now."""
        message = without_position(message)
        ends = {end for start in self.ends for end in self._ends_of(message, start)}
        if not ends:
            at = max(self.ends).index
            expected = [item.message for item in self.expected[at : at + 3]]
            raise BrokenPromiseError(f"heard {message} in place of {expected}")
        self.ends = ends

    def expect_everything(self) -> None:
        """Nothing is left to hear."""
        if End(len(self.expected)) not in self.ends:
            end = max(self.ends)
            rest = [item.message for item in self.expected[end.index :]]
            raise BrokenPromiseError(f"never heard {rest}, nor that {end.missed} are missing")

    def forget(self, requests: set[Request]) -> None:
        """What was to be said of these is not."""
        at = max(self.ends).index
        self.expected[at:] = [item for item in self.expected[at:] if item.request not in requests]

    def _ends_of(self, message: dict[str, Any], end: End) -> Iterator[End]:
        is_gap = message.get("event") == "gap"
        while end.index < len(self.expected):
            item = self.expected[end.index]
            is_told = end.count(item.channel) == 0
            if item.message == message and item.request.round.is_over and is_told:
                yield end._replace(index=end.index + 1)
            if item.channel is not None and self.is_slow:
                end = end.missing(item.channel)
                # It stands in the place of the newest message that is missing.
                told = {"channel": item.channel, "missed": end.count(item.channel)}
                if is_gap and {"channel": message["channel"], **message["data"]} == told:
                    yield end.told(item.channel)
            elif self._may_miss(end.index):
                end = end._replace(index=end.index + 1)
            else:
                return

    def _may_miss(self, index: int) -> bool:
        """Whether this is an update that is out of date, to a peer that reads slowly."""
        entry_id = self.expected[index].entry_id
        return (
            self.is_slow
            and entry_id is not None
            and any(later.entry_id == entry_id for later in self.expected[index + 1 :])
        )


class Model:
    """The store, its followers, and what has been promised to whom; ``clock`` is Unix ms."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.state: State = {}
        self.kept: State = {}
        self.doubtful: list[State] = []
        self.peers: list[Followed] = []
        # All that may be found when what was not forced to the device is lost.
        self.unsynced: list[State] = []
        self.held: Round | None = None
        self.revision = 0
        self.committed = Committed("", 0, {}, 0)
        # How many removals and clears were made so far, refused ones too; and at each revision.
        self.removals = self.clears = 0
        self.forgotten_revision = -1  # positions up to here may be of other rights
        self.made: dict[int, tuple[int, int]] = {0: (0, 0)}
        self.answers: dict[str, tuple[dict[str, Any], int]] = {}
        self.trouble_at = 0  # when a change was last refused, or could not be made
        self.fault: Exception | None = None  # of a message that could not be answered
        self.latest_ms = 0  # how much later than its time something ended
        self._is_grouping = False
        self.round = Round({})
        self.request = Request(self.round)
        self.now = 0

    # --- requests ---

    def begin(self, now: int, *, may_expire: bool) -> None:
        """A request begins; what is due expires before it."""
        self.now = now
        self.request = Request(self.round)
        self.request.channels = {peer: frozenset(peer.channels) for peer in self.peers}
        self.round.requests.append(self.request)
        if not may_expire:
            self.trouble_at = now
        else:
            due = [(at, item) for item, (_, at, _) in self.state.items() if at and at <= now]
            for at, entry_id in sorted(due, key=lambda item: item[0]):
                value, _, then = stored = self.state[entry_id]
                if at > self.trouble_at + RETRY_MS and self.kept.get(entry_id) == stored:
                    late = now - max(at, self.committed.committed_at(entry_id))
                    self.latest_ms = max(self.latest_ms, late)
                if then is None:
                    self._change(entry_id, None, "expired")
                else:
                    self._change(entry_id, (merged(value, then), None, None), "set")

    def open(self, peer: Followed, now: int) -> None:
        """A peer is greeted."""
        if peer.is_dunena:
            self._say(peer, {"type": "connected", "data": {"id": "id"}, "timestamp": now})
            peer.events = True

    def schedule(self, key: str, value: Any, expires_at: int, then: Any) -> None:
        """A key is set, with what is merged into its value later."""
        self._change(("", key), (value, expires_at, then), "set")

    def edit(self, entry_id: EntryId, value: Any) -> None:
        """Another hand wrote the file of a key, or removed it for None."""
        if value is not None and value != self.state.get(entry_id, (None,))[0]:
            self._change(entry_id, (value, None, None), "set")
        elif value is None and entry_id in self.state:
            self._change(entry_id, None, "delete")

    def clear(self, order: list[EntryId]) -> None:
        """Everything is removed, as one change; ``order`` is that of the keys that are followed."""
        self.request.has_changed = True
        self.revision += 1
        self.clears += 1
        self.made[self.revision] = self.removals, self.clears
        gone, self.state = self.state, {}
        written = [
            Written(self.revision, entry_id, None, stored[0], "clear")
            for entry_id, stored in gone.items()
        ]
        self.request.groups.append(written or [Written(self.revision, None, None, None, "clear")])
        event = {"channel": "cache", "event": "clear", "data": {}, "timestamp": self.now}
        for peer in self.peers:
            for entry_id in order:
                if entry_id not in peer.places or entry_id not in gone:
                    continue
                update = {"key": entry_id[1], "value": None}
                peer.expected.append(Item(self.request, update, entry_id))
            if peer.events:
                self._say(peer, event)

    def close(self, peer: Followed) -> None:
        """A peer is gone, or is told nothing more."""
        peer.is_open = peer.events = False
        peer.places.clear()
        peer.channels.clear()

    def receive(self, peer: Followed, text: bytes, now: int, refusal: str | None) -> None:
        """A peer asks; with a refusal nothing can be changed."""
        self.now = now
        try:
            message = orjson.loads(text)
        except ValueError:
            said = "Invalid JSON" if peer.is_dunena else "Invalid message format"
            self._say_error(peer, said, None)
            return
        if message.get("type", message.get("action")) in ("watch", "unwatch"):
            self._watch(peer, message)
        elif message.get("channel") in CHANNELS:
            self._answer_channel(peer, message)
        elif peer.is_dunena:
            self._answer_dunena(peer, message, refusal)
        else:
            self._answer_objects(peer, message, refusal)

    def _answer_channel(self, peer: Followed, message: Any) -> None:
        """A message is published, or a channel followed or left; none of it is a change."""
        channel = message["channel"]
        kind = message.get("type", message.get("action"))
        if kind == "publish":
            said = {"channel": channel, "event": "message", "data": message["data"]}
            item = Item(self.request, {**said, "timestamp": self.now}, channel=channel)
            for one in self.peers:
                if channel in one.channels:
                    one.expected.append(item)
            self._answer(peer, message, {"channel": channel})
        elif kind == "unsubscribe":
            peer.channels.discard(channel)
        else:
            assert kind == "subscribe"
            if peer.is_open:
                peer.channels.add(channel)
            if peer.is_dunena:
                self._reply(peer, message, "subscribed", {"channel": channel})
            elif "id" in message:
                self._say(peer, {"subscribed": {"channel": channel}, "id": message["id"]})

    def _answer_dunena(self, peer: Followed, message: Any, refusal: str | None) -> None:
        kind, key = message["type"], message.get("key")
        data: Any
        if kind == "ping":
            self._say(peer, {"type": "pong", "timestamp": self.now, "id": message["id"]})
            return
        if kind == "subscribe":
            peer.events = peer.is_open
            self._reply(peer, message, "subscribed", {"channel": "cache-events"})
            return
        if kind == "unsubscribe":
            peer.events = False
            return
        if kind == "get":
            value = self._value(("", key)) if message.get("json") else self._text(("", key))
            data = {"key": key, "value": value}
        elif kind == "mget":
            data = {"result": {name: self._text(("", name)) for name in message["keys"]}}
        elif kind in OPERATIONS:
            self._answer_operations(peer, message, kind, refusal)
            return
        elif kind == "del" and ("", key) not in self.state:
            data = {"key": key, "deleted": False}
        elif refusal is not None:
            self._say_error(peer, _storage_error(refusal), message["id"])
            return
        elif kind == "del":
            self._change(("", key), None, "delete")
            data = {"key": key, "deleted": True}
        elif kind == "set":
            self._set(message)
            data = {"key": key, "ok": True}
        else:
            assert kind == "mset"
            with self._group():
                for entry in message["entries"]:
                    self._set(entry)
            data = {"stored": len(message["entries"])}
        self._reply(peer, message, "result", data)

    def _answer_objects(self, peer: Followed, message: Any, refusal: str | None) -> None:
        action = message["action"]
        if action in OPERATIONS:
            self._answer_operations(peer, message, action, refusal)
            return
        entry_id = ("", message["key"])
        value = self._value(entry_id)
        if action == "subscribe":
            if peer.is_open:
                peer.places.add(entry_id)
            if value is not None:
                self._say(peer, {"key": entry_id[1], "value": value})
        elif action == "unsubscribe":
            peer.places.discard(entry_id)
        elif action == "get":
            request_id = {"id": message["id"]} if message.get("rev") and "id" in message else {}
            self._say(peer, {"key": entry_id[1], "value": value, **request_id})
        elif action == "delete" and entry_id not in self.state:
            pass
        elif refusal is not None:
            self._say_error(peer, _storage_error(refusal), None)
        elif action == "delete":
            self._change(entry_id, None, "delete")
        else:
            assert action == "set"
            self._set(message)

    def _answer_operations(
        self, peer: Followed, message: Any, name: str, refusal: str | None
    ) -> None:
        """An operation, or several as a transaction."""
        is_transaction = name == "txn"
        answer_id = message.get("idempotencyKey")
        known, at = self.answers.get(answer_id, ({}, 0))
        if known and self.now - at <= ANSWER_MS_MAX:
            self._answer(peer, message, {**known, "duplicate": True})
            return
        ops = message["ops"] if is_transaction else [{**message, "op": name}]
        try:
            results, drafts = self._carry_out(ops)
        except RefusedOperationError as error:
            text = f"op {error.number}: {error.text}" if is_transaction else error.text
            number = {"op": error.number} if is_transaction else {}
            self._say_coded_error(peer, message, text, code="wrong_type", key=error.key, **number)
            return
        changed = [draft for draft in drafts if draft.is_change]
        if changed and refusal is not None:
            self._say_coded_error(peer, message, _storage_error(refusal), code="storage")
            return
        with self._group():
            for draft in sorted(changed, key=lambda draft: draft.growth):
                there = draft.value is not None
                stored = (draft.value, draft.expires_at, draft.then) if there else None
                self._change(("", draft.key), stored, "set" if stored else "delete")
        data = {"results": results} if is_transaction else {"key": message["key"], **results[0]}
        if answer_id is not None:
            self.answers[answer_id] = data, self.now
            self.request.answer_ids.append(answer_id)
        self._answer(peer, message, data)

    def _carry_out(self, ops: list[Any]) -> tuple[list[dict[str, Any]], list["Draft"]]:
        """What operations answer, and what they make of their keys; nothing has changed yet."""
        drafts: dict[str, Draft] = {}
        results = []
        for number, op in enumerate(ops):
            key = op["key"]
            if key not in drafts:
                value = self._value(("", key))
                _, expires_at, then = (value, None, None) if value is None else self.state["", key]
                drafts[key] = Draft(key, value, value, expires_at, then, then)
            try:
                results.append(drafts[key].apply(op, self.now))
            except TypeError:
                raise RefusedOperationError(number, key) from None
        return results, list(drafts.values())

    def _answer(self, peer: Followed, message: Any, data: Any) -> None:
        """Answer an operation, which in the object-store dialect wants one if it has an id."""
        if peer.is_dunena:
            self._reply(peer, message, "result", data)
        elif "id" in message:
            self._say(peer, {"result": data, "id": message["id"]})

    def _watch(self, peer: Followed, message: Any) -> None:
        """A watch begins or ends; what it is told is checked elsewhere."""
        if "id" not in message:
            return
        can_resume = may_be_of_other_rights = False
        since = message.get("since")
        if since is not None and since["epoch"] == self.committed.epoch:
            removals, clears = self.made[since["rev"]]
            is_remembered = self.removals - removals <= positions.REMOVALS_MAX
            may_be_of_other_rights = since["rev"] <= self.forgotten_revision
            can_resume = clears == self.clears and is_remembered and not may_be_of_other_rights
        overdue = self.overdue(self.now)
        peer.watched[message["id"]] = Asked(
            self.committed.revision, can_resume, may_be_of_other_rights, overdue
        )

    def overdue(self, now: int) -> set[str]:
        """Return the keys whose time is over, and which are not removed yet."""
        return {
            key
            for (_, key), (_, at, then) in self.state.items()
            if at is not None and at <= now and then is None
        }

    # --- commits ---

    def tick_ended(self) -> None:
        """What changed nothing is answered now, if nothing is waited for."""
        if self.held is None and not self.round.has_changes:
            self._next_round()

    def commit_kept(self) -> None:
        """The round's changes are kept."""
        self._keep(self.round, self.state)
        self._next_round()

    def commit_held(self) -> None:
        """It will be known later whether they are."""
        self.held = self.round
        self.doubtful.append(dict(self.state))
        self.unsynced.append(self.doubtful[-1])
        self._next_round()

    def held_kept(self) -> None:
        """They are."""
        assert self.held is not None
        self._keep(self.held, self.round.before)
        self.held = None

    def commit_refused(self) -> None:
        """They are not: its requests from the first change on are answered anew."""
        self._refuse(self.round, _from_first_change(self.round))

    def held_refused(self) -> None:
        """Nor are those that were made on top of them."""
        assert self.held is not None
        held, self.held = self.held, None
        self._refuse(held, _from_first_change(held) | set(self.round.requests))

    def synced(self) -> None:
        """What was appended is on the device: what is kept, and the round that is held."""
        self.unsynced = [self.kept if self.held is None else dict(self.round.before)]

    def restarted(self, state: State, epoch: str, revision: int, now: int) -> None:
        """Another process begins with this, in another epoch, at this revision."""
        self.state, self.kept, self.doubtful, self.held = dict(state), dict(state), [], None
        self.unsynced = [self.kept]
        self.revision = revision
        self.now = self.trouble_at = now
        self.answers.clear()
        self.made = {revision: (self.removals, self.clears)}
        self.forgotten_revision = -1
        values = {entry_id: stored[0] for entry_id, stored in state.items()}
        self.committed = Committed(epoch, revision, values, now)
        self._next_round()

    def _keep(self, kept: Round, state: State) -> None:
        kept.is_kept = True
        self.kept = dict(state)
        self.doubtful.clear()
        self.unsynced.append(self.kept)
        for request in kept.requests:
            for group in request.groups:
                self.committed.add(group, self.clock())

    def _refuse(self, refused: Round, dropped: set[Request]) -> None:
        self.doubtful.append(dict(self.state))
        self.unsynced.append(self.doubtful[-1])
        self.state = dict(refused.before)
        self.revision = refused.revision
        self.trouble_at = self.clock()
        for request in dropped:
            request.has_changed = False
            request.groups.clear()
            for answer_id in request.answer_ids:
                self.answers.pop(answer_id, None)
        first = next((one for one in refused.requests if one in dropped), None)
        for peer in self.peers:
            peer.forget(dropped)
            if first is not None and peer.is_open:
                peer.channels = set(first.channels.get(peer, ()))
        self._next_round()

    def _next_round(self) -> None:
        self.round = Round(dict(self.state), self.revision)
        self.request = Request(self.round)

    # --- inside ---

    @contextmanager
    def _group(self) -> Iterator[None]:
        """The changes inside the ``with`` are seen together."""
        self._is_grouping = True
        groups = self.request.groups
        groups.append([])
        yield
        self._is_grouping = False
        if not groups[-1]:
            groups.pop()

    def _set(self, message: Any) -> None:
        ttl = message.get("ttl", 0)
        stored = (message["value"], self.now + ttl if ttl else None, None)
        self._change(("", message["key"]), stored, "set")

    def _change(self, entry_id: EntryId, stored: Stored | None, kind: str) -> None:
        self.request.has_changed = True
        self.revision += 1
        before = self.state.get(entry_id, (None,))[0]
        value = None if stored is None else stored[0]
        written = Written(self.revision, entry_id, value, before, kind)
        if self._is_grouping:
            self.request.groups[-1].append(written)
        else:
            self.request.groups.append([written])
        data: dict[str, Any] = {"key": entry_id[1]}
        if stored is None:
            self.removals += 1
            del self.state[entry_id]
        else:
            self.state.pop(entry_id, None)  # so that the latest comes last, as its expiry does
            self.state[entry_id] = stored
            data["size"] = len(_as_text(stored[0]).encode())
        self.made[self.revision] = self.removals, self.clears
        update = {"key": entry_id[1], "value": None if stored is None else stored[0]}
        event = {"channel": "cache", "event": kind, "data": data, "timestamp": self.now}
        for peer in self.peers:
            if entry_id in peer.places:
                peer.expected.append(Item(self.request, update, entry_id))
            if peer.events:
                self._say(peer, event)

    def _value(self, entry_id: EntryId) -> Any:
        value, expires_at, then = self.state.get(entry_id, (None, None, None))
        # One that stays for good is seen as it is while nothing can be changed.
        is_over = expires_at is not None and expires_at <= self.now and then is None
        return None if is_over else value

    def _text(self, entry_id: EntryId) -> str | None:
        value = self._value(entry_id)
        return None if value is None else _as_text(value)

    def _reply(self, peer: Followed, message: Any, kind: str, data: Any) -> None:
        reply = {"type": kind, "data": data, "timestamp": self.now, "id": message["id"]}
        self._say(peer, reply)

    def _say_error(self, peer: Followed, text: str, request_id: Any) -> None:
        if not peer.is_dunena:
            self._say(peer, {"error": text})
            return
        error = {"type": "error", "data": text, "timestamp": self.now}
        self._say(peer, error if request_id is None else {**error, "id": request_id})

    def _say_coded_error(self, peer: Followed, message: Any, text: str, **fields: Any) -> None:
        if not peer.is_dunena:
            request_id = {"id": message["id"]} if "id" in message else {}
            self._say(peer, {"error": text, **fields, **request_id})
            return
        error = {"type": "error", "data": text, "timestamp": self.now, "id": message["id"]}
        self._say(peer, error | fields)

    def _say(self, peer: Followed, message: dict[str, Any]) -> None:
        peer.expected.append(Item(self.request, message))


def _storage_error(reason: str) -> str:
    return f"Storage error: {reason}; nothing was stored"


def without_position(message: dict[str, Any]) -> dict[str, Any]:
    """A message without revisions and epoch."""
    if "epoch" in message:
        return {name: part for name, part in message.items() if name not in ("rev", "epoch")}
    for name in ("data", "result"):
        data = message.get(name)
        if isinstance(data, dict) and "epoch" in data:
            rest = {name: part for name, part in data.items() if name not in ("rev", "epoch")}
            if "results" in rest:
                rest["results"] = [
                    {name: part for name, part in result.items() if name != "rev"}
                    for result in rest["results"]
                ]
            return {**message, name: rest}
    return message


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else _as_json(value)


def _size_of(value: Any, then: Any) -> int:
    return len(_as_json(value)) + (0 if then is None else len(_as_json(then)))


def _as_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _from_first_change(refused: Round) -> set[Request]:
    for index, request in enumerate(refused.requests):
        if request.has_changed:
            return set(refused.requests[index:])
    return set()
