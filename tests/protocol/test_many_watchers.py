"""Ten thousand watches of one pattern, and ten thousand changes that one watch has missed."""

import json
from contextlib import ExitStack
from typing import Any

import pytest

from tests.protocol.clients import PING, PONG, TEXT, RawConnection, frame, text
from tests.support.fixtures import StartServer
from tests.support.watched_state import WatchedState, update_in

CONNECTIONS = 100
WATCHES_PER_CONNECTION = 100  # as many patterns as one may have

CHANGES = 10_000
KEYS = 100


def open_quietly(connection: RawConnection, dialect: str) -> None:
    """Become a WebSocket of a dialect that gets no events."""
    connection.upgrade("/ws?protocol=dunena" if dialect == "dunena" else "/")
    if dialect == "dunena":
        connection.send(text({"type": "unsubscribe", "channel": "cache-events"}))
        connection.send(text({"type": "ping"}))
        while next_message(connection).get("type") != "pong":
            pass  # what came before


def next_message(connection: RawConnection) -> Any:
    """The next message, without comparing it with its description: that takes longer than it."""
    while (taken := connection.read_frame()).opcode == PING:
        connection.send(frame(PONG, taken.payload))
    assert taken.opcode == TEXT, taken
    return json.loads(taken.payload)


def watch_parts(connection: RawConnection, dialect: str) -> dict[str, WatchedState]:
    """Watch one pattern as often as may be: values as a whole, and elements of them."""
    paths = ["", *(f"/{number}" for number in range(1, WATCHES_PER_CONNECTION))]
    name = "type" if dialect == "dunena" else "action"
    watches = [{name: "watch", "pattern": "all-*", "path": path} for path in paths]
    connection.send(b"".join(text(watch) for watch in watches))
    return {path: WatchedState() for path in paths}


def take_one_each(connection: RawConnection, states: dict[str, WatchedState]) -> None:
    """Take one update of each watch."""
    paths = set()
    for _ in states:
        update = update_in(next_message(connection))
        assert states[update["path"]].take(update)
        paths.add(update["path"])
    assert paths == states.keys()


def test_each_of_ten_thousand_watches_of_a_pattern_gets_each_update(
    start_server: StartServer,
) -> None:
    server = start_server("--no-persist")
    with ExitStack() as stack:
        watching = []
        for number in range(CONNECTIONS):
            dialect = ("dunena", "objects")[number % 2]
            connection = stack.enter_context(RawConnection(server))
            open_quietly(connection, dialect)
            watching.append((connection, watch_parts(connection, dialect)))
        writer = stack.enter_context(RawConnection(server))
        writer.open("/")
        for connection, states in watching:
            take_one_each(connection, states)
        first, second = (
            [f"{key}{number}" for number in range(WATCHES_PER_CONNECTION)] for key in "ab"
        )
        writer.send(text({"action": "set", "key": "all-a", "value": first}))
        for connection, states in watching:
            take_one_each(connection, states)
            assert states[""].values == {"all-a": first}
        # Two keys at once are one update; of an element that stays it says nothing.
        ops = [
            {"op": "set", "key": "all-a", "path": "/0", "value": "other"},
            {"op": "set", "key": "all-b", "value": second},
        ]
        writer.send(text({"action": "txn", "ops": ops}))
        for connection, states in watching:
            take_one_each(connection, states)
            for path, state in states.items():
                number = int(path.removeprefix("/") or 0)
                expected = {"all-a": first[number], "all-b": second[number]}
                if path == "":
                    expected = {"all-a": ["other", *first[1:]], "all-b": second}
                assert state.values == expected
                assert state.entries == (3 if path == "" else 2)


@pytest.mark.parametrize("dialect", ["dunena", "objects"])
def test_a_watch_that_missed_ten_thousand_changes_of_a_hundred_keys_gets_a_hundred(
    start_server: StartServer, dialect: str
) -> None:
    server = start_server("--no-persist")
    name = "type" if dialect == "dunena" else "action"
    state = WatchedState()

    def go_on() -> None:
        """Watch from the last position until all is known."""
        since = {} if state.since is None else {"since": state.since}
        with RawConnection(server) as connection:
            open_quietly(connection, dialect)
            connection.send(text({name: "watch", "pattern": "*", **since}))
            while not state.take(update_in(next_message(connection))):
                pass

    with RawConnection(server) as writer:
        writer.open("/")
        for number in range(KEYS):
            writer.send(text({"action": "set", "key": f"key-{number}", "value": "before"}))
        writer.send(text({"action": "get", "key": "mark"}))
        writer.read_message()
        go_on()
        assert (state.entries, state.resets) == (KEYS, 1)
        for number in range(CHANGES):
            message = {"action": "set", "key": f"key-{number % KEYS}", "value": number}
            writer.send(text(message))
        for number in range(KEYS // 2):
            writer.send(text({"action": "delete", "key": f"key-{number}"}))
        writer.send(text({"action": "get", "key": "mark"}))
        writer.read_message()
    go_on()
    assert (state.entries, state.resets) == (2 * KEYS, 1)
    last = range(CHANGES - KEYS // 2, CHANGES)
    assert state.values == {f"key-{number % KEYS}": number for number in last}
    go_on()
    assert state.entries == 2 * KEYS, "there was nothing more to tell"
