"""Watches over the wire, in both dialects."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import (
    Client,
    Clients,
    RawConnection,
    http,
    is_event,
    open_client,
    open_dunena,
    open_objects,
    text,
    unique,
)
from tests.protocol.test_limits import metric_of
from tests.protocol.test_tokens import Guarded, bearer
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.shared_mode import ENTRIES_MAX, is_later, is_shared
from tests.support.tokens import ALL, OVERLAY, write_tokens

MEBIBYTE = 1024 * 1024


class Watcher:
    """A client of one dialect, with the words of that dialect."""

    def __init__(self, client: Client, dialect: str) -> None:
        self.client = client
        self.dialect = dialect
        self.is_dunena = dialect == "dunena"

    def send(self, name: str, **fields: Any) -> None:
        """Send a message of docs/state.md, or one that both dialects have."""
        self.client.send({"type" if self.is_dunena else "action": name, **fields})

    def receive(self) -> Any:
        """The next message that is no event."""
        while True:
            message = self.client.receive()
            if not is_event(message):
                return message

    def update(self) -> Any:
        """The data of the next message, which is an update."""
        return self.data_of(self.receive())

    def data_of(self, message: Any) -> Any:
        if self.is_dunena:
            assert message["type"] == "update", message
            return message["data"]
        return message["update"]

    def watch(self, **fields: Any) -> Any:
        """Begin a watch; the first update."""
        number = unique("id")
        self.send("watch", id=number, **fields)
        message = self.receive()
        assert message.get("id") == number, message
        return self.data_of(message)

    def refused(self, name: str, **fields: Any) -> tuple[str, str]:
        """The text and code of the error that a message gets."""
        self.send(name, id=7, **fields)
        message = self.receive()
        assert message["id"] == 7
        return message["data" if self.is_dunena else "error"], message["code"]

    def heard(self) -> list[Any]:
        """All that is on its way, without events."""
        return [message for message in self.client.heard() if not is_event(message)]

    def set(self, key: str, value: Any, **fields: Any) -> None:
        """Store a value, and wait until that is done; nothing else may be on its way."""
        self.send("set", key=key, value=value, **fields)
        assert [m for m in self.heard() if m.get("type") != "result"] == []


@pytest.fixture(params=["dunena", "objects"])
def watcher(request: pytest.FixtureRequest, clients: Clients) -> Watcher:
    client = clients.dunena() if request.param == "dunena" else clients.objects()
    return Watcher(client, request.param)


@pytest.fixture
def writer(clients: Clients) -> Watcher:
    return Watcher(clients.objects(), "objects")


@contextmanager
def open_watcher(server: ServerProcess, **options: Any) -> Iterator[Watcher]:
    with open_objects(server, **options) as client:
        yield Watcher(client, "objects")


def values_of(update: Any) -> dict[str, Any]:
    return {change["key"]: change.get("value", change.get("event")) for change in update["changes"]}


# --- what a watch is told ---


def test_a_watch_begins_with_what_stands_and_goes_on_with_changes(
    watcher: Watcher, writer: Watcher
) -> None:
    ns = unique("ns")
    writer.set("team-a", {"score": 2}, ns=ns)
    writer.set("other", 1, ns=ns)
    first = watcher.watch(pattern="team-*", ns=ns)
    epoch, rev = first["epoch"], first["rev"]
    change = {"key": "team-a", "rev": first["changes"][0]["rev"], "value": {"score": 2}}
    assert is_later(rev, change["rev"], 1)
    where = {"pattern": "team-*", "ns": ns, "epoch": epoch}
    assert first == {**where, "rev": rev, "reset": True, "changes": [change]}
    writer.set("team-b", "x", ns=ns)
    second = watcher.update()
    assert is_later(second["rev"], rev, 1)
    change = {"key": "team-b", "rev": second["rev"], "value": "x"}
    assert second == {**where, "rev": second["rev"], "changes": [change]}
    writer.send("delete", key="team-a", ns=ns)
    third = watcher.update()
    assert is_later(third["rev"], second["rev"], 1)
    change = {"key": "team-a", "rev": third["rev"], "event": "delete"}
    assert third == {**where, "rev": third["rev"], "changes": [change]}
    writer.set("team-b", "y", ns=ns, ttl=1)
    assert watcher.update()["changes"][0]["value"] == "y"
    assert watcher.update()["changes"][0]["event"] == "expired"


@pytest.mark.parametrize(("pattern", "count"), [("*7", 1_000), ("*", 10_000), ("*77777", 0)])
def test_a_large_namespace_is_told_in_parts_while_others_are_answered(
    start_server: StartServer, pattern: str, count: int
) -> None:
    server = start_server()
    with open_dunena(server) as writer, open_watcher(server) as watcher:
        for first in range(0, 10_000, 500):
            entries = [{"key": str(number), "value": "x"} for number in range(first, first + 500)]
            writer.ask({"type": "mset", "entries": entries})
        watcher.send("watch", pattern=pattern)
        watcher.send("ping", id="pong")
        writer.ask({"type": "set", "key": "77777", "value": "new"})
        messages = []
        while not all(sign in str(messages) for sign in ("77777", "pong")):
            messages.append(watcher.receive())
    updates = [message["update"] for message in messages if "update" in message]
    more = [update.get("more", False) for update in updates]
    parts = updates[: more.index(False) + 1]
    assert [part.get("reset", False) for part in parts] == [True] + [False] * (len(parts) - 1)
    assert len({part["rev"] for part in parts}) == 1
    keys = [change["key"] for part in parts for change in part["changes"]]
    assert len(set(keys)) == len(keys)
    assert len(set(keys) - {"77777"}) == count


def test_messages_have_the_envelope_of_their_dialect(clients: Clients) -> None:
    key = unique()
    dunena, objects = clients.dunena(), clients.objects()
    told = {"key": key, "reset": True, "changes": []}
    first = dunena.ask({"type": "watch", "key": key, "id": "a"})
    assert set(first) == {"type", "data", "timestamp", "id"}
    assert first["data"].items() >= told.items()
    first = objects.ask({"action": "watch", "key": key, "id": 1.5})
    assert set(first) == {"update", "id"}
    assert first["update"].items() >= told.items()
    objects.send({"action": "set", "key": key, "value": None})
    assert set(objects.receive()) == {"update"}
    dunena.event(key)
    assert set(dunena.receive()) == {"type", "data", "timestamp"}


@pytest.mark.parametrize(
    ("selector", "matching"),
    [
        ({"key": "a1"}, {"a1"}),
        ({"keys": ["b1", "a2", "a2", "none"]}, {"b1", "a2"}),
        ({"pattern": "a*"}, {"a1", "a2"}),
        ({"pattern": "*"}, {"a1", "a2", "b1"}),
        ({"pattern": "?1"}, {"a1", "b1"}),
        ({"pattern": "*2"}, {"a2"}),
        ({"pattern": "a1"}, {"a1"}),
    ],
)
def test_each_kind_of_selector_is_told_of_its_keys(
    watcher: Watcher, writer: Watcher, selector: dict[str, Any], matching: set[str]
) -> None:
    ns = unique("ns")
    for key in ("a1", "a2", "b1"):
        writer.set(key, 1, ns=ns)
    first = watcher.watch(**selector, ns=ns)
    assert first.items() >= selector.items()
    assert set(values_of(first)) == matching
    for key in ("a1", "a2", "b1"):
        writer.set(key, 2, ns=ns)
    assert {key for m in watcher.heard() for key in values_of(watcher.data_of(m))} == matching


def test_an_update_arrives_before_the_reply_to_the_request_that_made_it(clients: Clients) -> None:
    key = unique()
    watcher = Watcher(clients.dunena(), "dunena")
    watcher.watch(key=key)
    watcher.send("set", key=key, value="1", id="reply")
    assert watcher.receive()["type"] == "update"
    assert watcher.receive()["id"] == "reply"


def test_an_mset_and_a_txn_are_one_update_each(
    clients: Clients, watcher: Watcher, writer: Watcher
) -> None:
    ns = unique("ns")
    watcher.watch(pattern="*", ns=ns)
    dunena = clients.dunena()
    entries = [{"key": key, "value": key} for key in "abc"]
    dunena.ask({"type": "mset", "entries": entries, "ns": ns})
    update = watcher.update()
    assert values_of(update) == {"a": "a", "b": "b", "c": "c"}
    assert update["rev"] == max(change["rev"] for change in update["changes"])
    ops = [{"op": "delete", "key": "a"}, {"op": "set", "key": "d", "value": 1}]
    writer.send("txn", ops=ops, ns=ns)
    assert values_of(watcher.update()) == {"a": "delete", "d": 1}


def test_a_change_elsewhere_in_a_value_is_not_told(watcher: Watcher, writer: Watcher) -> None:
    key = unique()
    writer.set(key, {"home": {"score": 1}, "away": 0})
    first = watcher.watch(key=key, path="/home/score")
    assert (first["path"], first["changes"][0]["value"]) == ("/home/score", 1)
    for value in (
        {"home": {"score": 1}, "away": 1},
        {"home": {"score": 2}},
        {"home": {}},
        {"home": []},
        {"home": {"score": None}},
    ):
        writer.set(key, value)
    changes = [change for m in watcher.heard() for change in watcher.data_of(m)["changes"]]
    shown = [change.get("value", change.get("event")) for change in changes]
    assert shown == [2, "delete", None]


def test_a_watch_of_a_path_that_is_missing_begins_empty(watcher: Watcher, writer: Watcher) -> None:
    key = unique()
    writer.set(key, [1])
    assert watcher.watch(key=key, path="/1")["changes"] == []
    writer.send("delete", key=key)
    assert writer.heard() == watcher.heard() == []


def test_watches_and_subscriptions_live_side_by_side(clients: Clients, writer: Watcher) -> None:
    key = unique()
    client = clients.any("/ws")
    client.send({"type": "ping"})
    client.send({"action": "subscribe", "key": key})
    client.send({"type": "watch", "key": key})
    client.heard()
    writer.set(key, 1)
    told = client.heard()
    assert {"key": key, "value": 1} in told
    assert [m["type"] for m in told if m.get("type") == "update"] == ["update"]
    assert [m["event"] for m in told if is_event(m)] == ["set"]


def test_a_clear_is_an_update_with_a_reset(start_server: StartServer) -> None:
    server = start_server()
    with open_watcher(server) as watcher:
        watcher.set("k", 1)
        watcher.watch(pattern="*")
        assert http(server, "POST", "/flush", {}).status == 200
        update = watcher.update()
        assert (update["reset"], update["changes"]) == (True, [])
        watcher.send("set", key="k", value=2)
        assert values_of(watcher.update()) == {"k": 2}


# --- ending and replacing ---


def test_an_unwatched_selector_is_told_no_more(watcher: Watcher, writer: Watcher) -> None:
    key, other = unique(), unique()
    watcher.watch(key=key)
    watcher.watch(key=key, path="")
    watcher.watch(keys=[key, other])
    watcher.send("unwatch", key=key)
    watcher.send("unwatch", key=other)  # is not watched: nothing happens
    writer.set(key, 1)
    told = [watcher.data_of(message) for message in watcher.heard()]
    assert [data.get("path", data.get("keys")) for data in told] == ["", [key, other]]


def test_a_selector_that_is_watched_already_is_replaced(watcher: Watcher, writer: Watcher) -> None:
    key = unique()
    watcher.watch(key=key, maxRate=0.1)
    watcher.watch(key=key)
    writer.set(key, 1)
    assert [values_of(watcher.data_of(message)) for message in watcher.heard()] == [{key: 1}]


# --- since ---


def test_a_position_is_continued_on_another_connection(clients: Clients, writer: Watcher) -> None:
    ns = unique("ns")
    for key in "abc":
        writer.set(key, 1, ns=ns)
    before = Watcher(clients.objects(), "objects").watch(pattern="*", ns=ns)
    writer.set("b", 2, ns=ns)
    writer.set("b", 3, ns=ns)
    writer.send("delete", key="a", ns=ns)
    writer.heard()
    since = {"epoch": before["epoch"], "rev": before["rev"]}
    for watcher in (Watcher(clients.dunena(), "dunena"), Watcher(clients.objects(), "objects")):
        update = watcher.watch(pattern="*", ns=ns, since=since)
        assert "reset" not in update
        assert values_of(update) == {"b": 3, "a": "delete"}
        assert is_later(update["rev"], before["rev"], 3)
        again = watcher.watch(key="c", ns=ns, since=since)
        assert ("reset" in again, again["changes"]) == (False, [])


def test_a_position_of_another_start_is_a_reset(start_server: StartServer) -> None:
    server = start_server()
    with open_watcher(server) as watcher:
        watcher.set("k", 1)
        before = watcher.watch(key="k")
    server.restart()
    with open_watcher(server) as watcher:
        since = {"epoch": before["epoch"], "rev": before["rev"]}
        update = watcher.watch(key="k", since=since)
        assert update["reset"] is True
        assert update["epoch"] != before["epoch"]
        assert update["rev"] > before["rev"]
        assert values_of(update) == {"k": 1}


def test_a_position_ahead_is_waited_for_and_then_closed_with_1013(
    shared_server: ServerProcess, clients: Clients, writer: Watcher
) -> None:
    key = unique()
    here = writer.watch(key=key)
    watcher = Watcher(clients.objects(), "objects")
    since = {"epoch": here["epoch"], "rev": here["rev"] + 1}
    watcher.send("watch", key=key, since=since, id=1)
    assert watcher.heard() == []
    writer.send("set", key=key, value=1)
    update = watcher.receive()["update"]
    # A change at just that position is known already.
    is_news = update["rev"] > since["rev"]
    assert values_of(update) == ({key: 1} if is_news else {})
    with RawConnection(shared_server) as raw:
        raw.open("/")
        started = time.monotonic()
        since = {"epoch": here["epoch"], "rev": here["rev"] + 1000}
        raw.send(text({"action": "watch", "key": key, "since": since}))
        closed = raw.read_close()
        assert closed.close_code == 1013
        assert closed.payload[2:] == b"the position is ahead of this server"
        assert time.monotonic() - started >= 1.9


# --- slow and paced readers ---


def test_a_paced_watch_gets_the_first_at_once_and_the_last_always(
    watcher: Watcher, writer: Watcher
) -> None:
    key = unique()
    started = time.monotonic()
    assert watcher.watch(key=key, maxRate=4)["changes"] == []
    for number in range(100):
        writer.set(key, number)
    seen = [values_of(watcher.update())[key]]
    while seen[-1] != 99:
        seen.append(values_of(watcher.update())[key])
    elapsed = time.monotonic() - started
    assert seen == sorted(set(seen))
    assert len(seen) <= 4 * elapsed + 1


def test_a_slow_reader_gets_the_newest_of_each_key_in_one_update(
    start_server: StartServer,
) -> None:
    server = start_server("--no-persist")
    with RawConnection(server) as slow, open_watcher(server) as writer:
        slow.open("/")
        slow.send(text({"action": "watch", "pattern": "*", "id": 1}))
        assert slow.read_message()["id"] == 1
        for number in range(60):
            writer.set(f"k{number % 3}", [number, "x" * MEBIBYTE])
        state: dict[str, int] = {}
        updates = []
        while sorted(state.values()) != [57, 58, 59]:
            update = slow.read_message()["update"]
            updates.append(update)
            state |= {change["key"]: change["value"][0] for change in update["changes"]}
        assert len(updates) < 40
        assert [update["rev"] for update in updates] == sorted(update["rev"] for update in updates)
        writer.set("k0", "after")
        assert values_of(slow.read_message()["update"]) == {"k0": "after"}


def test_a_stopped_reader_of_many_keys_goes_on_with_the_newest_of_each(
    start_server: StartServer,
) -> None:
    server = start_server("--no-persist", "--history", "0")
    count = 20_000 if is_shared() else 50_000  # an update of more than buffers hold
    with ExitStack() as stack:
        writer = stack.enter_context(open_dunena(server, speaks_dunena=True))
        writer.send({"type": "unsubscribe", "channel": "cache-events"})

        def write_all(value: str) -> None:
            for start in range(0, count, ENTRIES_MAX):
                keys = range(start, min(start + ENTRIES_MAX, count))
                entries = [{"key": f"key-{number}", "value": value} for number in keys]
                writer.send({"type": "mset", "entries": entries})
                assert writer.receive()["data"] == {"stored": len(keys)}

        def read_until(value: str) -> int:
            """Read until all keys have a value; the number of updates."""
            left, count_read = set(range(count)), 0
            while left:
                update = stopped.read_message()["update"]
                count_read += 1
                for change in update["changes"]:
                    if change["value"] == value:
                        left.discard(int(change["key"].removeprefix("key-")))
            return count_read

        write_all("x" * 100)
        stopped = stack.enter_context(RawConnection(server))
        stopped.open("/")
        stopped.send(text({"action": "watch", "pattern": "*"}))
        assert read_until("x" * 100) >= count // 2_500, "in parts"
        for letter in "zvw":
            write_all(letter * 100)
        read_until("w" * 100)
        writer.send({"type": "set", "key": "key-0", "value": "after"})
        assert values_of(stopped.read_message()["update"]) == {"key-0": "after"}


# --- refused commits, rights ---


def test_rights_are_those_of_the_token(guarded: Guarded) -> None:
    director = bearer("director")
    with ExitStack() as stack:
        writer = stack.enter_context(open_watcher(guarded.server, additional_headers=director))
        writer.set("score", 1)
        writer.set("secret", 2)
        overlay = stack.enter_context(
            open_watcher(guarded.server, additional_headers=bearer("overlay"))
        )
        assert values_of(overlay.watch(pattern="*")) == {"score": 1}
        assert overlay.watch(key="secret")["changes"] == []
        writer.set("secret", 3)
        writer.set("score", 4)
        assert values_of(overlay.update()) == {"score": 4}
        # Rights that change while it is open: everything is said anew.
        guarded.change(ALL + '[overlay]\ntoken = "overlay"\nrights = ["read"]\nkeys = ["secret"]\n')
        for update in (overlay.update(), overlay.update()):
            assert (update["reset"], values_of(update)) == (True, {"secret": 3})
        writer.set("score", 5)
        writer.set("secret", 6)
        assert [values_of(overlay.update()) for _ in range(2)] == [{"secret": 6}] * 2


def test_a_position_of_other_rights_is_not_continued(guarded: Guarded) -> None:
    overlay = {"additional_headers": bearer("overlay")}
    with ExitStack() as stack:
        director = bearer("director")
        writer = stack.enter_context(open_watcher(guarded.server, additional_headers=director))
        writer.set("score", 1)
        writer.set("secret", 2)
        with open_watcher(guarded.server, **overlay) as before:
            update = before.watch(pattern="*")
            assert values_of(update) == {"score": 1}
        since = {"epoch": update["epoch"], "rev": update["rev"]}
        meanwhile = stack.enter_context(open_watcher(guarded.server, **overlay))
        assert "reset" not in meanwhile.watch(pattern="*", since=since)
        guarded.change(ALL + '[overlay]\ntoken = "overlay"\nrights = ["read"]\nkeys = ["secret"]\n')
        assert meanwhile.update()["reset"]
        after = stack.enter_context(open_watcher(guarded.server, **overlay))
        update = after.watch(pattern="*", since=since)
        assert (update["reset"], values_of(update)) == (True, {"secret": 2})


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> Guarded:
    file = write_tokens(tmp_path, ALL + OVERLAY)
    return Guarded(start_server("--tokens", str(file)), file)


# --- wrong requests, limits ---


@pytest.mark.parametrize(
    ("fields", "error", "code"),
    [
        ({}, "Missing field: key", "invalid"),
        ({"key": "k", "pattern": "*"}, "A watch has one of key, keys and pattern", "invalid"),
        ({"key": ""}, "Key must not be empty", "limit"),
        ({"key": 5}, "Key must be a string", "invalid"),
        ({"pattern": "x" * 513}, "Pattern exceeds max length (512)", "limit"),
        ({"pattern": "a*b*c*d*e*"}, "Asterisks of a pattern exceed max count (4)", "limit"),
        ({"pattern": "a*b?c*"}, 'Pattern has a "?" between two "*"', "limit"),
        ({"keys": "k"}, "Keys must be a list", "invalid"),
        ({"keys": ["k", 5]}, "Key must be a string", "invalid"),
        ({"keys": ["k"] * 1001}, "Keys exceed max count (1000)", "limit"),
        ({"key": "k", "ns": 5}, "Namespace must be a string", "invalid"),
        ({"key": "k", "path": "x"}, "Path must be a JSON Pointer", "invalid"),
        ({"key": "k", "path": "/" + "x" * 1024}, "Path exceeds max length (1024)", "limit"),
        ({"key": "k", "maxRate": 0.09}, "maxRate must be a number from 0.1 to 100", "invalid"),
        ({"key": "k", "maxRate": 101}, "maxRate must be a number from 0.1 to 100", "invalid"),
        ({"key": "k", "maxRate": True}, "maxRate must be a number from 0.1 to 100", "invalid"),
        ({"key": "k", "since": 5}, "since must have an epoch and a rev", "invalid"),
        ({"key": "k", "since": {"rev": 1}}, "since must have an epoch and a rev", "invalid"),
        (
            {"key": "k", "since": {"epoch": "e", "rev": -1}},
            "since must have an epoch and a rev",
            "invalid",
        ),
    ],
)
def test_a_wrong_watch_is_answered_with_the_reason(
    watcher: Watcher, fields: dict[str, Any], error: str, code: str
) -> None:
    assert watcher.refused("watch", **fields) == (error, code)


def test_the_patterns_of_a_connection_are_limited(watcher: Watcher) -> None:
    ns = unique("ns")
    for number in range(100):
        watcher.watch(pattern=f"{number}*", ns=ns)
    too_many = ("Patterns exceed max count (100)", "limit")
    assert watcher.refused("watch", pattern="more*", ns=ns) == too_many
    watcher.watch(key="more", ns=ns)
    watcher.watch(pattern="0*", ns=ns)
    watcher.send("unwatch", pattern="0*", ns=ns)
    watcher.watch(pattern="more*", ns=ns)


def test_patterns_that_are_no_prefix_are_limited_for_all_clients(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    with ExitStack() as stack:
        watchers = [stack.enter_context(open_watcher(server)) for _ in range(4)]
        for number in range(256):
            watchers[number // 100].watch(pattern=f"*{number}")
        refused = watchers[3].refused("watch", pattern="*one-more")
        assert refused == ("Patterns of all clients exceed max count (256)", "limit")
        watchers[3].watch(pattern="*0")
        watchers[3].watch(pattern="prefix*")


def test_watches_count_as_subscriptions(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    with open_watcher(server) as watcher, open_client(server, "/"):
        watcher.watch(key="a")
        watcher.watch(keys=["a", "b"])
        watcher.watch(pattern="*")
        assert subscriptions_of(server) == 4
        watcher.send("unwatch", keys=["a", "b"])
        watcher.heard()
        assert subscriptions_of(server) == 2


def subscriptions_of(server: ServerProcess) -> float:
    return metric_of(http(server, "GET", "/metrics").body.decode(), "subscriptions")


def test_info_says_that_keys_can_be_watched(shared_server: ServerProcess) -> None:
    features = http(shared_server, "GET", "/info").json["features"]
    assert features == [
        "channels",
        "history",
        "http",
        "http-watch",
        "ops",
        "session",
        "txn",
        "watch",
    ]
