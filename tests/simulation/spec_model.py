"""What the contract promises, as a plain dictionary: the model that whole servers are held against.

It is told of each request in the order in which the server takes them, and of how each commit
ended; it says what every peer is to receive for it. A request is answered when its round is over:
a round is what is kept or refused together.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

EntryId = tuple[str, str]
Stored = tuple[Any, int | None]
State = dict[EntryId, Stored]


class BrokenPromiseError(AssertionError):
    """The server did what it must not do."""


@dataclass(eq=False)
class Round:
    """Requests that are kept or refused together; ``before`` is the state they began with."""

    before: State
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
    """One request, or one look at what has expired."""

    round: Round
    has_changed: bool = False


@dataclass(eq=False)
class Item:
    """A message some peer is to receive; of updates only a place's newest one must arrive."""

    request: Request
    message: dict[str, Any]
    entry_id: EntryId | None = None


@dataclass(eq=False)
class Followed:
    """What a peer follows, and what it is to receive for that and for what it asks.

    ``ends`` are the places in ``expected`` to which all it has heard may have brought it: an
    update may look like the reply behind it. ``is_slow`` says that it once did not read in time.
    """

    is_dunena: bool
    places: set[EntryId] = field(default_factory=set)
    events: bool = False
    expected: list[Item] = field(default_factory=list)
    ends: set[int] = field(default_factory=lambda: {0})
    is_slow: bool = False
    is_open: bool = True

    def hear(self, message: dict[str, Any]) -> None:
        """It received a message: one that is to come, and that may come now."""
        ends = {end for start in self.ends for end in self._ends_of(message, start)}
        if not ends:
            at = max(self.ends)
            expected = [item.message for item in self.expected[at : at + 3]]
            raise BrokenPromiseError(f"heard {message} in place of {expected}")
        self.ends = ends

    def expect_everything(self) -> None:
        """Nothing is left to hear."""
        if len(self.expected) not in self.ends:
            rest = [item.message for item in self.expected[max(self.ends) :]]
            raise BrokenPromiseError(f"never heard {rest}")

    def forget(self, requests: set[Request]) -> None:
        """What was to be said of these is not."""
        at = max(self.ends)
        self.expected[at:] = [item for item in self.expected[at:] if item.request not in requests]

    def _ends_of(self, message: dict[str, Any], start: int) -> Iterator[int]:
        for index in range(start, len(self.expected)):
            item = self.expected[index]
            if item.message == message and item.request.round.is_over:
                yield index + 1
            if not self._may_miss(index):
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
    """The store, its followers, and what has been promised to whom."""

    def __init__(self) -> None:
        self.state: State = {}
        self.kept: State = {}
        self.doubtful: list[State] = []
        self.peers: list[Followed] = []
        self.held: Round | None = None
        self.round = Round({})
        self.request = Request(self.round)
        self.now = 0

    # --- requests ---

    def begin(self, now: int, *, may_expire: bool) -> None:
        """A request begins; what is due expires before it."""
        self.now = now
        self.request = Request(self.round)
        self.round.requests.append(self.request)
        if may_expire:
            due = [(at, entry_id) for entry_id, (_, at) in self.state.items() if at and at <= now]
            for _, entry_id in sorted(due, key=lambda item: item[0]):
                self._change(entry_id, None, "expired")

    def open(self, peer: Followed, now: int) -> None:
        """A peer is greeted."""
        if peer.is_dunena:
            self._say(peer, {"type": "connected", "data": {"id": "id"}, "timestamp": now})
            peer.events = True

    def close(self, peer: Followed) -> None:
        """A peer is gone, or is told nothing more."""
        peer.is_open = peer.events = False
        peer.places.clear()

    def receive(self, peer: Followed, text: bytes, now: int, refusal: str | None) -> None:
        """A peer asks; with a refusal nothing can be changed."""
        self.now = now
        try:
            message = json.loads(text)
        except ValueError:
            said = "Invalid JSON" if peer.is_dunena else "Invalid message format"
            self._say_error(peer, said, None)
            return
        if peer.is_dunena:
            self._answer_dunena(peer, message, refusal)
        else:
            self._answer_objects(peer, message, refusal)

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
            data = {"key": key, "value": self._text(("", key))}
        elif kind == "mget":
            data = {"result": {name: self._text(("", name)) for name in message["keys"]}}
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
            for entry in message["entries"]:
                self._set(entry)
            data = {"stored": len(message["entries"])}
        self._reply(peer, message, "result", data)

    def _answer_objects(self, peer: Followed, message: Any, refusal: str | None) -> None:
        action, entry_id = message["action"], ("", message["key"])
        value = self._value(entry_id)
        if action == "subscribe":
            if peer.is_open:
                peer.places.add(entry_id)
            if value is not None:
                self._say(peer, {"key": entry_id[1], "value": value})
        elif action == "unsubscribe":
            peer.places.discard(entry_id)
        elif action == "get":
            self._say(peer, {"key": entry_id[1], "value": value})
        elif action == "delete" and entry_id not in self.state:
            pass
        elif refusal is not None:
            self._say_error(peer, _storage_error(refusal), None)
        elif action == "delete":
            self._change(entry_id, None, "delete")
        else:
            assert action == "set"
            self._set(message)

    # --- commits ---

    def tick_ended(self) -> None:
        """What changed nothing is answered now, if nothing is waited for."""
        if self.held is None and not self.round.has_changes:
            self._next_round()

    def commit_kept(self) -> None:
        """The round's changes are kept."""
        self.round.is_kept = True
        self._keep(self.state)
        self._next_round()

    def commit_held(self) -> None:
        """It will be known later whether they are."""
        self.held = self.round
        self.doubtful.append(dict(self.state))
        self._next_round()

    def held_kept(self) -> None:
        """They are."""
        assert self.held is not None
        self.held.is_kept = True
        self._keep(self.round.before)
        self.held = None

    def commit_refused(self) -> None:
        """They are not: its requests from the first change on are answered anew."""
        self._refuse(self.round, _from_first_change(self.round))

    def held_refused(self) -> None:
        """Nor are those that were made on top of them."""
        assert self.held is not None
        held, self.held = self.held, None
        self._refuse(held, _from_first_change(held) | set(self.round.requests))

    def restarted(self, state: State) -> None:
        """Another process begins with this."""
        self.state, self.kept, self.doubtful, self.held = dict(state), dict(state), [], None
        self._next_round()

    def _keep(self, state: State) -> None:
        self.kept = dict(state)
        self.doubtful.clear()

    def _refuse(self, refused: Round, dropped: set[Request]) -> None:
        self.doubtful.append(dict(self.state))
        self.state = dict(refused.before)
        for request in dropped:
            request.has_changed = False
        for peer in self.peers:
            peer.forget(dropped)
        self._next_round()

    def _next_round(self) -> None:
        self.round = Round(dict(self.state))
        self.request = Request(self.round)

    # --- inside ---

    def _set(self, message: Any) -> None:
        ttl = message.get("ttl", 0)
        stored = (message["value"], self.now + ttl if ttl else None)
        self._change(("", message["key"]), stored, "set")

    def _change(self, entry_id: EntryId, stored: Stored | None, kind: str) -> None:
        self.request.has_changed = True
        data: dict[str, Any] = {"key": entry_id[1]}
        if stored is None:
            del self.state[entry_id]
        else:
            self.state.pop(entry_id, None)  # so that the latest comes last, as its expiry does
            self.state[entry_id] = stored
            data["size"] = len(_as_text(stored[0]).encode())
        update = {"key": entry_id[1], "value": None if stored is None else stored[0]}
        event = {"channel": "cache", "event": kind, "data": data, "timestamp": self.now}
        for peer in self.peers:
            if entry_id in peer.places:
                peer.expected.append(Item(self.request, update, entry_id))
            if peer.events:
                self._say(peer, event)

    def _value(self, entry_id: EntryId) -> Any:
        value, expires_at = self.state.get(entry_id, (None, None))
        return None if expires_at is not None and expires_at <= self.now else value

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

    def _say(self, peer: Followed, message: dict[str, Any]) -> None:
        peer.expected.append(Item(self.request, message))


def _storage_error(reason: str) -> str:
    return f"Storage error: {reason}; nothing was stored"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _from_first_change(refused: Round) -> set[Request]:
    for index, request in enumerate(refused.requests):
        if request.has_changed:
            return set(refused.requests[index:])
    return set()
