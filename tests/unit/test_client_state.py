"""Watches of state in the client: parts, gaps, other epochs, and feeds that are read slowly."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunena.client import feeds
from dunena.client.errors import ClosedError, RequestError
from dunena.client.feeds import KeyChange, StateUpdate, Update
from dunena.client.protocol import ClientProtocol
from dunena.client.state import Selection, StateSource, StateUpdates, StateWatch


class Talk:
    """A client, and a hand that plays its server."""

    def __init__(self, *, is_connected: bool = True) -> None:
        self.woken = 0
        self.protocol = ClientProtocol(lambda: None, lambda: (0.0, 0.0))
        self.number = 0
        if is_connected:
            self.connect()

    def connect(self) -> list[Any]:
        self.protocol.connected()
        return self.sent()

    def sent(self) -> list[Any]:
        """What is to be sent, without pings and the first word about events."""
        messages = [json.loads(raw) for raw in self.protocol.outgoing]
        self.protocol.outgoing.clear()
        for message in messages:
            if message.get("action") == "watch":
                self.number = message.pop("id")
        return [message for message in messages if "action" in message]

    def hear(self, *messages: Any) -> None:
        for message in messages:
            self.protocol.receive(json.dumps(message).encode())

    def tell(self, rev: int, *changes: Any, epoch: str = "e", **more: Any) -> None:
        """Tell an update of the pattern ``*``; ``first`` says that it answers the request."""
        message: dict[str, Any] = {"id": self.number} if more.pop("first", False) else {}
        data = {"pattern": "*", "epoch": epoch, "rev": rev, "changes": list(changes), **more}
        self.hear({"update": data, **message})

    def follow(self, make: Callable[..., Any], *keys: str, **options: Any) -> Any:
        pattern = options.get("pattern", None if keys else "*")
        selection = Selection.of(keys, pattern, options.get("path"), options.get("ns", ""))
        source = make(selection, options.get("rate"), self._wake)
        self.protocol.follow(source)
        return source

    def _wake(self) -> None:
        self.woken += 1


def value(key: str, rev: int, value: Any) -> dict[str, Any]:
    return {"key": key, "rev": rev, "value": value}


def removal(key: str, rev: int, event: str = "delete") -> dict[str, Any]:
    return {"key": key, "rev": rev, "event": event}


def taken(source: StateSource[Any]) -> list[Any]:
    items = []
    while (item := source.take()) is not None:
        items.append(item)
    return items


def said(source: StateSource[Any]) -> list[Any]:
    """What was taken, as texts: the revision, the keys with their values, and a reset."""
    texts = []
    for update in taken(source):
        changes = [
            f"{key}={change.value}" if change.event is None else f"{key}!{change.event}"
            for key, change in update.changes.items()
        ]
        texts.append(" ".join([str(update.rev), *changes, *["reset"] * update.reset]))
    return texts


# --- what is asked for ---


def test_a_watch_names_a_key_keys_or_a_pattern_and_nothing_that_was_not_given() -> None:
    talk = Talk()
    talk.follow(StateWatch, "k", path="/a")
    assert talk.sent() == [{"action": "watch", "key": "k", "path": "/a"}]
    talk.follow(StateUpdates, "b", "a", "b", ns="app", rate=0.5)
    fields = {"action": "watch", "keys": ["a", "b"], "ns": "app", "maxRate": 0.5}
    assert talk.sent() == [fields]
    talk.follow(StateUpdates, pattern="team-*", path="")
    assert talk.sent() == [{"action": "watch", "pattern": "team-*", "path": ""}]


@pytest.mark.parametrize(("keys", "pattern"), [((), None), (("a",), "a*")])
def test_keys_or_a_pattern_have_to_be_given(keys: tuple[str, ...], pattern: str | None) -> None:
    with pytest.raises(ValueError, match="keys or a pattern"):
        Selection.of(keys, pattern, None, "")


@pytest.mark.parametrize("options", [{"pattern": "\ud800"}, {"rate": float("nan")}])
def test_what_json_cannot_express_is_refused_and_not_sent(options: Any) -> None:
    talk = Talk()
    with pytest.raises(TypeError):
        talk.follow(StateUpdates, **options)
    assert talk.sent() == []


def test_feeds_of_one_selection_share_a_watch_at_the_highest_rate() -> None:
    talk = Talk()
    first = talk.follow(StateUpdates, rate=2)
    talk.sent()
    talk.tell(1, value("a", 1, 1), reset=True, first=True)
    second = talk.follow(StateWatch, rate=1)
    assert talk.sent() == []
    assert taken(second) == [("a", 1)], "what is known is told at once"
    third = talk.follow(StateUpdates, rate=5)
    since = {"epoch": "e", "rev": 1}
    assert talk.sent() == [{"action": "watch", "pattern": "*", "maxRate": 5, "since": since}]
    talk.tell(2, value("a", 2, 2))  # of the watch before, on its way meanwhile
    talk.tell(3, value("a", 2, 2), value("b", 3, 3), first=True)
    talk.follow(StateUpdates)
    assert "maxRate" not in talk.sent()[0]
    assert taken(second) == [("a", 2), ("b", 3)]
    assert said(first) == ["1 a=1 reset", "2 a=2", "3 b=3"]
    assert said(third) == ["1 a=1 reset", "2 a=2", "3 b=3"]


def test_the_last_feed_that_ends_ends_the_watch() -> None:
    talk = Talk()
    feeds = [talk.follow(StateUpdates, ns="app", path="/a") for _ in range(2)]
    talk.sent()
    talk.protocol.unfollow(feeds[0])
    assert talk.sent() == []
    talk.protocol.unfollow(feeds[1])
    talk.protocol.unfollow(feeds[1])
    assert talk.sent() == [{"action": "unwatch", "pattern": "*", "ns": "app", "path": "/a"}]


def test_an_update_of_a_watch_that_has_ended_is_none_of_the_next_one() -> None:
    talk = Talk()
    before = talk.follow(StateUpdates)
    talk.sent()
    old = talk.number
    talk.protocol.unfollow(before)
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.number, new = old, talk.number
    talk.tell(1, value("a", 1, 1), reset=True, first=True)
    talk.tell(2, value("b", 2, 2))
    talk.number = new
    assert said(source) == []
    talk.tell(3, value("a", 3, 3), reset=True, first=True)
    assert said(source) == ["3 a=3 reset"]


def test_an_abandoned_feed_is_unfollowed_at_the_next_beat() -> None:
    talk = Talk()
    talk.follow(StateUpdates).is_closed = True
    talk.sent()
    talk.protocol.beat()
    assert talk.sent() == [{"action": "unwatch", "pattern": "*"}]


def test_a_refusal_ends_the_feeds_and_the_next_feed_asks_again() -> None:
    talk = Talk()
    source = talk.follow(StateWatch, "k", path="home")
    talk.sent()
    refused = {"error": "Path must be a JSON Pointer", "code": "invalid", "id": talk.number}
    talk.hear(refused, {"type": "pong", "timestamp": 1, "id": talk.number})
    with pytest.raises(RequestError, match="JSON Pointer"):
        source.take()
    talk.protocol.disconnected()
    assert talk.connect() == []
    talk.follow(StateWatch, "k", path="home")
    assert len(talk.sent()) == 1
    talk.protocol.unfollow(source)
    assert talk.sent() == []


def test_closing_the_store_ends_the_feeds_after_what_waits() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(1, reset=True, first=True)
    talk.protocol.close()
    assert source.is_ended
    assert source.take() == StateUpdate({}, 1, "e", reset=True)
    with pytest.raises(ClosedError):
        source.take()


# --- what is told ---


def test_an_update_has_the_changes_by_key_and_its_position() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(7, value("a", 3, None), value("b", 5, {"x": [1]}), reset=True, first=True)
    changes = {"a": KeyChange(3, None, None), "b": KeyChange(5, {"x": [1]}, None)}
    assert source.take() == StateUpdate(changes, 7, "e", reset=True)
    assert source.take() is None
    talk.tell(9, removal("a", 8, "expired"), value("c", 9, 1))
    changes = {"a": KeyChange(8, None, "expired"), "c": KeyChange(9, 1, None)}
    assert source.take() == StateUpdate(changes, 9, "e", reset=False)
    assert talk.woken == 2


def test_the_first_update_is_told_without_changes_and_no_later_one() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(7, reset=True, first=True)
    talk.tell(8)
    assert said(source) == ["7 reset"]
    talk.protocol.disconnected()
    assert talk.connect()[0]["since"] == {"epoch": "e", "rev": 8}
    talk.tell(9, first=True)
    assert said(source) == []


def test_a_watch_tells_key_by_key_and_that_a_named_key_is_missing() -> None:
    talk = Talk()
    source = talk.follow(StateWatch, "a", "b", rate=5)
    talk.sent()
    keys = {"keys": ["a", "b"], "epoch": "e"}
    first = {**keys, "rev": 1, "reset": True, "changes": [value("b", 1, 1)]}
    talk.hear({"update": first, "id": talk.number})
    assert taken(source) == [Update("b", 1), Update("a", None)]
    talk.hear({"update": {**keys, "rev": 3, "changes": [value("a", 2, 0), removal("b", 3)]}})
    assert taken(source) == [Update("a", 0), Update("b", None)]


def test_a_value_is_a_new_object_for_each_feed() -> None:
    talk = Talk()
    sources = [talk.follow(StateUpdates), talk.follow(StateUpdates)]
    talk.sent()
    talk.tell(1, value("a", 1, [1]), reset=True, first=True)
    first, second = (source.take().changes["a"].value for source in sources)
    first.append(2)
    assert second == [1]


def test_a_value_that_is_set_again_is_told_again() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(1, value("a", 1, 1), reset=True, first=True)
    talk.tell(2, value("a", 2, 1))
    assert said(source) == ["1 a=1 reset", "2 a=1"]


def test_parts_are_applied_together() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(5, value("a", 1, 1), reset=True, first=True, more=True)
    talk.tell(5, value("b", 2, 2), more=True)
    assert said(source) == []
    talk.tell(5, value("c", 3, 3))
    assert said(source) == ["5 a=1 b=2 c=3 reset"]
    talk.tell(6, value("d", 6, 4), more=True)
    talk.tell(7, value("e", 7, 5), reset=True)
    assert said(source) == ["7 a!delete b!delete c!delete e=5"], "a reset drops what was collected"


def test_parts_whose_rest_never_came_are_not_applied() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(5, value("a", 1, 1), reset=True, first=True, more=True)
    talk.protocol.disconnected()
    assert "since" not in talk.connect()[0]
    talk.tell(6, value("b", 6, 1), reset=True, first=True)
    talk.tell(8, value("c", 7, 1), more=True)
    talk.protocol.disconnected()
    assert talk.connect()[0]["since"] == {"epoch": "e", "rev": 6}
    talk.tell(9, value("d", 9, 1), first=True)
    assert said(source) == ["6 b=1 reset", "9 d=1"]


def test_after_a_gap_only_what_differs_is_told() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(3, *(value(key, 1, key) for key in "abc"), reset=True, first=True)
    talk.protocol.disconnected()
    talk.connect()
    talk.tell(
        9,
        value("a", 4, "a"),
        value("b", 5, "new"),
        removal("c", 6),
        removal("never seen", 7),
        first=True,
    )
    assert said(source) == ["3 a=a b=b c=c reset", "9 b=new c!delete"]
    talk.tell(10, value("a", 10, "a"))
    assert said(source) == ["10 a=a"]


def test_another_epoch_is_compared_with_what_was_told() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(30, *(value(key, 20, key) for key in "abc"), reset=True, first=True)
    talk.protocol.disconnected()
    talk.connect()
    changes = [value("a", 5, "a"), value("b", 5, "new"), value("d", 5, "d")]
    talk.tell(5, *changes, epoch="f", reset=True, first=True)
    talk.tell(6, value("a", 6, "x"), epoch="f")
    assert said(source) == ["30 a=a b=b c=c reset", "5 c!delete b=new d=d", "6 a=x"]
    talk.protocol.disconnected()
    assert talk.connect()[0]["since"] == {"epoch": "f", "rev": 6}


def test_a_clear_is_told_as_removals() -> None:
    talk = Talk()
    source, watch = talk.follow(StateUpdates), talk.follow(StateWatch)
    talk.sent()
    talk.tell(2, value("a", 1, 1), value("b", 2, 2), reset=True, first=True)
    assert len(taken(source) + taken(watch)) == 3
    talk.tell(3, reset=True)
    assert said(source) == ["3 a!delete b!delete"]
    assert taken(watch) == [("a", None), ("b", None)]


def test_a_change_that_was_told_before_is_not_told_again() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(5, value("a", 5, "new"), reset=True, first=True)
    talk.tell(6, value("a", 5, "new"), removal("a", 4), value("b", 6, 1))
    assert said(source) == ["5 a=new reset", "6 b=1"]


def test_a_feed_opened_during_a_gap_begins_with_the_state_after_it() -> None:
    talk = Talk()
    talk.follow(StateUpdates)
    talk.sent()
    talk.tell(2, value("a", 1, 1), value("b", 2, 1), reset=True, first=True)
    talk.protocol.disconnected()
    source = talk.follow(StateUpdates)
    assert said(source) == []
    talk.connect()
    talk.tell(3, removal("a", 3), first=True)
    assert said(source) == ["3 b=1 reset"]


# --- feeds that are read slowly ---


def test_a_feed_read_slowly_gets_one_update_with_the_newest_of_each_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dunena.client.state.UPDATES_PENDING_MAX", 5)
    talk = Talk()
    source, watch = talk.follow(StateUpdates), talk.follow(StateWatch)
    talk.sent()
    talk.tell(1, value("a", 1, 0), value("b", 1, 0), reset=True, first=True)
    assert source.take() is not None
    for rev in range(2, 8):
        talk.tell(rev, value("a", rev, rev))
    talk.tell(8, removal("b", 8))
    assert said(source) == ["7 a=7", "8 b!delete"]
    assert taken(watch)[-1] == ("b", None)
    talk.tell(9, value("a", 9, 9))
    assert said(source) == ["9 a=9"]


def test_keys_that_come_and_go_leave_nothing_in_a_feed_that_is_not_read() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(1, value("known", 1, 0), reset=True, first=True)
    assert source.take() is not None
    talk.tell(2, removal("known", 2))
    rev = 2
    for number in range(3 * feeds.UPDATES_PENDING_MAX):
        talk.tell(rev + 1, value(f"key {number}", rev + 1, 0))
        talk.tell(rev + 2, removal(f"key {number}", rev + 2, "expired"))
        rev += 2
    waiting = taken(source)
    assert sum(len(update.changes) for update in waiting) <= feeds.UPDATES_PENDING_MAX
    assert waiting[0].changes["known"].event == "delete"
    assert waiting[-1].rev == rev


def test_an_update_over_two_epochs_has_the_revisions_of_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dunena.client.state.UPDATES_PENDING_MAX", 3)
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    talk.tell(7, value("a", 1, 1), value("b", 1, 1), reset=True, first=True)
    assert source.take() is not None
    talk.tell(8, value("a", 8, 2))
    talk.tell(9, removal("b", 9))
    talk.protocol.disconnected()
    talk.connect()
    changes = value("a", 5, 2), value("c", 5, 3), value("d", 5, 4)
    talk.tell(5, *changes, epoch="f", reset=True, first=True)
    assert source.take() == StateUpdate(
        {
            "a": KeyChange(5, 2, None),
            "b": KeyChange(5, None, "delete"),
            "c": KeyChange(5, 3, None),
            "d": KeyChange(5, 4, None),
        },
        5,
        "f",
        reset=False,
    )
    assert source.take() is None


def test_a_large_state_is_not_merged_at_each_update() -> None:
    talk = Talk()
    source = talk.follow(StateUpdates)
    talk.sent()
    large = 2 * feeds.UPDATES_PENDING_MAX
    talk.tell(1, *(value(str(number), 1, 0) for number in range(large)), reset=True, first=True)
    for rev in range(2, 12):
        talk.tell(rev, value("0", rev, rev))
    assert len(taken(source)) == 11


# --- any order of changes, parts and lost connections ---


@dataclass
class Follower:
    """A reader of a feed, with what it knows of the keys."""

    source: StateUpdates
    values: dict[str, Any] = field(default_factory=dict)
    revs: dict[tuple[str, str], int] = field(default_factory=dict)
    position: tuple[str, int] = ("", 0)
    count: int = 0

    def read(self, times: int) -> None:
        for _ in range(times):
            update = self.source.take()
            if update is None:
                return
            assert update.reset == (self.count == 0)
            assert self.count == 0 or update.changes
            self.count += 1
            if update.epoch == self.position[0]:
                assert update.rev > self.position[1]
            self.position = update.epoch, update.rev
            for key, change in update.changes.items():
                assert self.revs.get((update.epoch, key), 0) <= change.rev <= update.rev
                self.revs[update.epoch, key] = change.rev
                if change.event is None:
                    self.values[key] = change.value
                else:
                    del self.values[key]  # only a key that it knew of can go


class Model:
    """A server that follows docs/state.md, with one watch, whose updates may be cut off."""

    def __init__(self, talk: Talk, random: Random) -> None:
        self.talk = talk
        self.random = random
        self.epoch = 1
        self.rev = 0
        self.values: dict[str, tuple[int, int]] = {}
        self.gone: dict[str, int] = {}
        self.forgotten = 0  # removals up to this revision are not known any more
        self.told = 0
        self.states: dict[tuple[str, int], dict[str, int]] = {}
        self.is_connected = True

    def change(self) -> None:
        """One change of one to three keys; not told yet."""
        for key in self.random.sample("abcdef", self.random.randint(1, 3)):
            self.rev += 1
            if self.random.random() < 0.6:
                self.values[key] = self.rev, self.random.randint(0, 2)
                self.gone.pop(key, None)
            elif self.values.pop(key, None):
                self.gone[key] = self.rev
        self.remember()

    def remember(self) -> None:
        state = {key: value for key, (_, value) in self.values.items()}
        self.states[f"e{self.epoch}", self.rev] = state

    def clear(self) -> None:
        self.rev += 1
        self.forgotten = self.rev
        self.values.clear()
        self.gone.clear()
        self.remember()
        if self.is_connected:
            self.tell(since=None)

    def restart(self) -> None:
        """Another epoch; somebody edited a file meanwhile."""
        self.cut()
        self.epoch += 1
        self.rev = self.random.randint(0, self.rev) + 1
        self.values = {key: (self.rev, value) for key, (_, value) in self.values.items()}
        self.values["a"] = self.rev, 9
        self.forgotten = self.rev
        self.gone.clear()
        self.remember()

    def cut(self) -> None:
        if self.is_connected:
            self.talk.protocol.disconnected()
        self.is_connected = False

    def connect(self) -> None:
        """Answer the watch of a new connection."""
        if self.is_connected:
            return
        self.is_connected = True
        since = self.talk.connect()[0].get("since")
        if self.random.random() < 0.1:
            self.forgotten = self.rev
            self.gone.clear()
        is_known = since is not None and since["epoch"] == f"e{self.epoch}"
        is_known = is_known and since["rev"] >= self.forgotten
        self.tell(since=since["rev"] if is_known else None, is_first=True)

    def tell(self, since: int | None, *, is_first: bool = False) -> None:
        """Tell what changed since a revision, all without one; in parts, of which some are lost."""
        after = -1 if since is None else since
        changes = [value(key, rev, it) for key, (rev, it) in self.values.items() if rev > after]
        if since is not None:
            changes += [removal(key, rev) for key, rev in self.gone.items() if rev > after]
        self.random.shuffle(changes)
        parts = [changes[:2], *([changes[2:]] if changes[2:] else [])]
        for index, part in enumerate(parts):
            if index and self.random.random() < 0.3:
                self.cut()
                return
            fields: dict[str, Any] = {"more": True} if index + 1 < len(parts) else {}
            fields |= {"reset": True} if since is None and index == 0 else {}
            fields |= {"first": True} if is_first and index == 0 else {}
            self.talk.tell(self.rev, *part, epoch=f"e{self.epoch}", **fields)
        self.told = self.rev

    def tell_news(self) -> None:
        if self.is_connected and self.told < self.rev:
            self.tell(since=self.told)


STEPS = st.sampled_from(["change", "tell", "read", "cut", "connect", "clear", "restart", "join"])


@settings(max_examples=200)
@given(steps=st.lists(STEPS, max_size=60), seed=st.integers(0, 2**32), limit=st.integers(1, 8))
def test_a_view_ends_as_the_store_whatever_is_lost(steps: list[str], seed: int, limit: int) -> None:
    random = Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dunena.client.state.UPDATES_PENDING_MAX", limit)
        talk = Talk()
        server = Model(talk, random)
        followers = [Follower(talk.follow(StateUpdates))]
        talk.sent()
        server.tell(since=None, is_first=True)
        for step in steps:
            if step == "read":
                random.choice(followers).read(random.randint(1, 3))
            elif step == "join":
                followers.append(Follower(talk.follow(StateUpdates)))
                talk.sent()
            elif step == "tell":
                server.tell_news()
            else:
                getattr(server, step)()
            for follower in followers:
                position = follower.position
                if follower.count:
                    assert follower.values == server.states.get(position, {}), position
        while not (server.is_connected and server.told == server.rev):
            server.connect()
            server.tell_news()
        for follower in followers:
            follower.read(1000)
            assert follower.values == {key: it for key, (_, it) in server.values.items()}
