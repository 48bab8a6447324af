"""Operations on values over the wire, in both dialects: ops, txn, repeated requests and errors."""

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import Client, Clients, open_dunena, open_objects, unique
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.shared_mode import is_later
from tests.support.tokens import write_tokens

DIALECTS = ("dunena", "object-store")

MISSING: Any = object()
"""Stands for a key that does not exist."""

TIMER = {"timer": {"at": 0, "ms": 5000, "rate": -1, "running": False}}
ENDED = {"timer": {"at": 0, "ms": 0, "rate": -1, "running": False}}


PATCH_TEXT = "Patch must be a list of operations"
REMOVE_TEXT = "Patch must not remove the whole value"
MS_TEXT = "Ms must be a number from -9007199254740992 to 9007199254740992"
RATE_TEXT = "Rate must be a number from -9007199254740992 to 9007199254740992"
POINTER_TEXT = "Path must be a JSON Pointer"
ONCE_TEXT = "idempotencyKey must be 1 to 64 printable characters"
USED_TEXT = "idempotencyKey was used for another request"
DO_TEXT = "Do must be one of: start, stop, toggle, set, add"
WHOLE_TEXT = "idempotencyKey must be that of the whole request"
OPERATIONS_TEXT = "there are set, delete, merge, patch, incr, append, touch, timer, revert"
COUNT_TEXT = "Operations exceed max count (1000)"


class Speaker:
    """A client of one of the dialects: the same requests, and the same data in the answers."""

    def __init__(self, client: Client, dialect: str) -> None:
        self.client = client
        self.speaks_dunena = dialect == "dunena"
        self._numbers = itertools.count(1)

    def message(self, name: str, **fields: Any) -> dict[str, Any]:
        """A request as it is sent."""
        if self.speaks_dunena:
            return {"type": "del" if name == "delete" else name, **fields}
        return {"action": name, **fields}

    def ask(self, name: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request, by its id; updates and events are left out."""
        number = next(self._numbers)
        self.client.send(self.message(name, **fields, id=number))
        while (answer := self.client.receive()).get("id") != number:
            pass
        del answer["id"]
        if self.speaks_dunena:
            assert answer.pop("timestamp") > 0
        return answer

    def do(self, name: str, **fields: Any) -> Any:
        """The data of the answer to a request that must succeed."""
        answer = self.ask(name, **fields)
        if self.speaks_dunena:
            assert answer.pop("type") == "result", answer
            data = answer.pop("data")
            data.pop("ok", None)  # what a `set` of this dialect always said
        else:
            data = answer.pop("result", None)
        assert answer == {}
        return data

    def refused(self, name: str, **fields: Any) -> dict[str, Any]:
        """The error that a request gets: its ``text`` and the fields for programs."""
        answer = self.ask(name, **fields)
        if self.speaks_dunena:
            assert answer.pop("type") == "error", answer
            return {"text": answer.pop("data"), **answer}
        return {"text": answer.pop("error"), **answer}

    def value(self, key: str, **fields: Any) -> Any:
        """The value of a key as JSON, or `MISSING`."""
        return self.position(key, **fields)[0]

    def rev(self, key: str, **fields: Any) -> int:
        """The revision of a key, 0 for one that does not exist."""
        return self.position(key, **fields)[1]

    def position(self, key: str, **fields: Any) -> tuple[Any, int]:
        """The value of a key, or `MISSING`, and its revision."""
        answer = self.ask("get", key=key, rev=True, json=True, **fields)
        data = answer["data"] if self.speaks_dunena else answer
        assert data["key"] == key
        return (data["value"] if data["rev"] else MISSING), data["rev"]

    def put(self, key: str, value: Any, **fields: Any) -> int:
        """Store a value; the revision. `MISSING` stores none."""
        return (
            0
            if value is MISSING
            else self.do("set", key=key, value=value, rev=True, **fields)["rev"]
        )


def opened(stack: ExitStack, server: ServerProcess, dialect: str, **options: Any) -> Speaker:
    """A client of a dialect, closed with the stack."""
    client = (
        open_dunena(server, **options) if dialect == "dunena" else open_objects(server, **options)
    )
    return Speaker(stack.enter_context(client), dialect)


@pytest.fixture(params=DIALECTS)
def speaker(request: pytest.FixtureRequest, shared_server: ServerProcess) -> Iterator[Speaker]:
    with ExitStack() as stack:
        yield opened(stack, shared_server, request.param)


# --- what each operation does ---


@pytest.mark.parametrize(
    ("before", "name", "fields", "after", "answer"),
    [
        (MISSING, "set", {"value": {"a": [1]}, "ifRev": 0}, {"a": [1]}, {}),
        (5, "set", {"value": None, "return": True}, None, {"value": None}),
        (MISSING, "set", {"path": "/a", "value": 1}, {"a": 1}, {}),
        ({"a": {"b": 1}}, "set", {"path": "/a/c", "value": 2}, {"a": {"b": 1, "c": 2}}, {}),
        ([1, 2], "set", {"path": "/0", "value": 9}, [9, 2], {}),
        ([1, 2], "set", {"path": "/-", "value": 9}, [1, 2, 9], {}),
        ({"a/b": {"~": 1}}, "set", {"path": "/a~1b/~0", "value": 2}, {"a/b": {"~": 2}}, {}),
        (5, "set", {"path": "", "value": 6, "rev": True}, 6, {}),
        (5, "delete", {"rev": True}, MISSING, {"deleted": True}),
        (MISSING, "delete", {"rev": True}, MISSING, {"deleted": False}),
        ({"a": 1, "b": 2}, "delete", {"path": "/a"}, {"b": 2}, {"deleted": True}),
        ([1, 2, 3], "delete", {"path": "/1"}, [1, 3], {"deleted": True}),
        ({"a": 1}, "delete", {"path": "/b/c"}, {"a": 1}, {"deleted": False}),
        (MISSING, "delete", {"path": "/b", "return": True}, MISSING,
         {"deleted": False, "value": None}),
        (MISSING, "merge", {"value": {"a": 1, "b": None}}, {"a": 1}, {}),
        ({"a": {"b": 1, "c": 2}}, "merge", {"value": {"a": {"b": None, "d": 3}}},
         {"a": {"c": 2, "d": 3}}, {}),
        ({"a": {"b": 1}}, "merge", {"path": "/a", "value": {"b": 2}}, {"a": {"b": 2}}, {}),
        ({"a": 1}, "merge", {"value": [1]}, [1], {}),
        ([1], "merge", {"value": {"a": 1}, "return": True}, {"a": 1}, {"value": {"a": 1}}),
        ({"a": 1}, "patch", {"patch": [{"op": "test", "path": "/a", "value": 1},
                                       {"op": "move", "from": "/a", "path": "/b"},
                                       {"op": "add", "path": "/c", "value": [1]},
                                       {"op": "add", "path": "/c/0", "value": 0}]},
         {"b": 1, "c": [0, 1]}, {}),
        (MISSING, "patch", {"patch": [{"op": "add", "path": "/a", "value": 1}]}, {"a": 1}, {}),
        ({"x": {"a": 1}}, "patch", {"path": "/x", "patch": [{"op": "remove", "path": "/a"}]},
         {"x": {}}, {}),
        (5, "patch", {"patch": []}, 5, {}),
        (MISSING, "incr", {}, 1, {"value": 1}),
        (5, "incr", {"by": -7}, -2, {"value": -2}),
        (5, "incr", {"by": 0.5}, 5.5, {"value": 5.5}),
        ("41", "incr", {}, "42", {"value": "42"}),
        ({"a": 1}, "incr", {"path": "/b", "by": 2}, {"a": 1, "b": 2}, {"value": 2}),
        ({"a": 1}, "incr", {"path": "/a", "return": True}, {"a": 2}, {"value": {"a": 2}}),
        (1, "incr", {"min": 0, "max": 2}, 2, {"value": 2}),
        (2**64 - 2, "incr", {}, 2**64 - 1, {"value": 2**64 - 1}),
        (MISSING, "append", {"value": 1}, [1], {"length": 1}),
        ([1], "append", {"values": [[2], 3]}, [1, [2], 3], {"length": 3}),
        ([1, 2], "append", {"value": 3, "max": 2}, [2, 3], {"length": 2}),
        ({"l": [1]}, "append", {"path": "/l", "values": []}, {"l": [1]}, {"length": 1}),
        (5, "touch", {"ttl": 60_000}, 5, {}),
        (MISSING, "timer", {"do": "set", "ms": 5000, "rate": -1}, TIMER, {"value": TIMER}),
        ({"x": TIMER}, "timer", {"do": "add", "ms": -7000, "path": "/x"},
         {"x": ENDED}, {"value": ENDED}),
    ],
)  # fmt: skip
def test_an_operation_changes_the_value_and_answers(
    speaker: Speaker,
    before: Any,
    name: str,
    fields: dict[str, Any],
    after: Any,
    answer: dict[str, Any],
) -> None:
    key = unique()
    first = speaker.put(key, before)
    data = speaker.do(name, key=key, **fields)
    value, rev = speaker.position(key)
    assert without_times(value) == without_times(after)
    assert type(data.pop("epoch")) is str
    assert data.pop("key") == key
    answered = data.pop("rev")
    assert without_times(data) == without_times(answer)
    if after is MISSING:
        assert answered > first or before is MISSING
    else:
        assert answered == rev
        assert rev == first if answer == {"deleted": False} else rev > first


def without_times(value: Any) -> Any:
    """A value without the time at which a timer was changed."""
    if isinstance(value, dict):
        return {name: without_times(part) for name, part in value.items() if name != "at"}
    return value


def test_an_operation_works_in_its_namespace(speaker: Speaker) -> None:
    key = unique()
    assert speaker.do("incr", key=key, ns="show", by=3)["value"] == 3
    assert speaker.value(key) is MISSING
    assert speaker.value(key, ns="show") == 3


def test_a_running_timer_goes_on_from_the_time_of_the_server(speaker: Speaker) -> None:
    key = unique()
    speaker.do("timer", key=key, do="set", ms=60_000, rate=-1)
    started = speaker.do("timer", key=key, do="start")["value"]["timer"]
    assert (started["ms"], started["running"]) == (60_000, True)
    assert speaker.do("timer", key=key, do="start")["value"]["timer"]["running"] is True
    stopped = speaker.do("timer", key=key, do="toggle")["value"]["timer"]
    assert stopped["running"] is False
    assert stopped["ms"] == 60_000 - (stopped["at"] - started["at"])
    assert speaker.do("timer", key=key, do="stop")["value"]["timer"]["ms"] == stopped["ms"]


def test_operations_but_set_keep_the_expiry(speaker: Speaker) -> None:
    kept, ended, touched = unique(), unique(), unique()
    for key in (kept, ended):
        speaker.do("incr", key=key, ttl=200)
        speaker.do("incr", key=key)
    speaker.do("set", key=ended, value=5, rev=True)
    speaker.do("set", key=touched, value=1, ttl=100, rev=True)
    speaker.do("touch", key=touched, ttl=0)
    wait_for_expiry(speaker, kept)
    assert speaker.value(kept) is MISSING
    assert speaker.value(ended) == 5
    assert speaker.value(touched) == 1


@pytest.mark.parametrize("name", ["set", "merge", "touch", "txn"])
def test_then_is_merged_into_the_value_when_the_ttl_ends(
    speaker: Speaker, objects: Client, name: str
) -> None:
    key = unique()
    speaker.put(key, {"on": True, "name": "Ada"})
    objects.send({"action": "subscribe", "key": key})
    assert objects.receive()["value"] == {"on": True, "name": "Ada"}
    fields: dict[str, Any] = {"key": key, "ttl": 50, "then": {"on": False, "name": None}}
    if name in ("set", "merge"):
        fields["value"] = {"on": True, "name": "Bob"}
    if name == "txn":
        speaker.do("txn", ops=[{"op": "touch", **fields}])
    else:
        speaker.do(name, **fields)
    while objects.receive()["value"] != {"on": False}:
        pass
    rev = speaker.rev(key)
    assert speaker.do("incr", key=key, path="/n")["rev"] > rev
    assert speaker.value(key) == {"on": False, "n": 1}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("set", {"value": {"on": 1}}),
        ("touch", {"ttl": 0}),
        ("touch", {"ttl": 60_000}),
        ("merge", {"value": {}, "ttl": 60_000, "then": {"on": 3}}),
    ],
)
def test_what_was_to_come_is_cancelled_by_another_expiry(
    speaker: Speaker, objects: Client, name: str, fields: dict[str, Any]
) -> None:
    key, later = unique(), unique()
    speaker.put(key, {"on": 1})
    objects.follow(later)
    speaker.do("touch", key=key, ttl=100, then={"on": 2})
    speaker.do(name, key=key, **fields, rev=True)
    speaker.do("set", key=later, value=1, ttl=150, rev=True)
    while objects.receive() != {"key": later, "value": None}:
        pass
    assert speaker.value(key) == {"on": 1}


def wait_for_expiry(speaker: Speaker, key: str) -> None:
    """Wait until a key has expired."""
    if not speaker.speaks_dunena:
        speaker.client.send({"action": "subscribe", "key": key})
    while speaker.rev(key):
        speaker.client.receive()


# --- conditions ---


def test_if_rev_is_the_revision_that_the_key_must_have(speaker: Speaker) -> None:
    key = unique()
    first = speaker.do("set", key=key, value=1, ifRev=0)["rev"]
    conflict = {
        "text": f'Revision conflict: "{key}" is at {first}',
        "code": "conflict",
        "key": key,
        "rev": first,
    }
    for name in ("set", "merge"):
        assert speaker.refused(name, key=key, value=2, ifRev=0) == conflict
        assert speaker.refused(name, key=key, value=2, ifRev=first + 1000) == conflict
    for name in ("incr", "delete"):
        assert speaker.refused(name, key=key, ifRev=first - 1) == conflict
    second = speaker.do("incr", key=key, ifRev=first)
    assert (
        speaker.do("delete", key=key, ifRev=second["rev"], epoch=second["epoch"])["deleted"] is True
    )
    gone = speaker.refused("incr", key=key, ifRev=first)
    assert (gone["text"], gone["rev"]) == (f'Revision conflict: "{key}" is at 0', 0)


def test_a_revision_of_another_epoch_is_a_conflict(speaker: Speaker) -> None:
    key = unique()
    rev = speaker.put(key, 1)
    assert speaker.refused("incr", key=key, ifRev=rev, epoch="another")["code"] == "conflict"
    assert speaker.position(key) == (1, rev)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_restart_begins_an_epoch_with_greater_revisions(
    start_server: StartServer, dialect: str
) -> None:
    server = start_server()
    with ExitStack() as stack:
        speaker = opened(stack, server, dialect)
        before = speaker.do("set", key="k", value=1, rev=True)
        assert speaker.do("incr", key="l")["epoch"] == before["epoch"]
    server.restart()
    with ExitStack() as stack:
        speaker = opened(stack, server, dialect)
        loaded = speaker.rev("k")
        assert loaded > before["rev"]
        held = {"ifRev": before["rev"], "epoch": before["epoch"]}
        assert speaker.refused("incr", key="k", **held)["rev"] == loaded
        assert speaker.refused("incr", key="k", **held | {"ifRev": loaded})["code"] == "conflict"
        assert speaker.refused("incr", key="k", ifRev=before["rev"])["code"] == "conflict"
        after = speaker.do("incr", key="k", ifRev=loaded)
        assert after["value"] == 2
        assert after["epoch"] != before["epoch"]


def test_history_has_what_stood_for_a_second_and_revert_brings_it_back(speaker: Speaker) -> None:
    key = unique()
    first = speaker.put(key, {"a": 1, "b": 1})
    second = speaker.put(key, {"a": 2, "b": 2}, ttl=1000)
    assert entries_of(speaker, key) == [(second, {"a": 2, "b": 2})], "the first stood too short"
    wait_for_expiry(speaker, key)
    third = speaker.put(key, {"c": 3})
    assert entries_of(speaker, key) == [(third, {"c": 3}), (second, {"a": 2, "b": 2})]
    assert entries_of(speaker, key, limit=1) == [(third, {"c": 3})]
    assert speaker.do("revert", key=key, path="/a")["value"] == 2
    assert speaker.value(key) == {"c": 3, "a": 2}
    assert speaker.do("revert", key=key, toRev=second)["value"] == {"a": 2, "b": 2}
    refused = speaker.refused("revert", key=key, toRev=first)
    assert refused == {"text": f"No such revision: {first}", "code": "no_rev"}
    refused = speaker.refused("revert", key=key, toRev=second, path="/d")
    assert refused == {"text": f'Nothing at "/d" of "{key}"', "code": "no_path", "key": key}


def test_revert_brings_back_what_differs_from_the_present(speaker: Speaker) -> None:
    key = unique()
    stood = {"score": 3, "name": "Reds"}
    speaker.put(key, stood, ttl=1000)
    wait_for_expiry(speaker, key)
    speaker.put(key, {"score": 4, "name": "Reds"}, ttl=1000)
    wait_for_expiry(speaker, key)
    speaker.put(key, {"score": 4, "name": "Blues"})
    assert speaker.do("revert", key=key, path="/score")["value"] == 3
    speaker.put(key, stood)
    assert speaker.do("revert", key=key)["value"] == {"score": 4, "name": "Reds"}
    speaker.put(key, {"score": 4, "name": "Reds"})
    assert speaker.do("revert", key=key)["value"] == stood, "and not the same again"
    refused = speaker.refused("revert", key=key, path="/score", toRev=4_000_000)
    assert refused["code"] == "no_rev"


def entries_of(speaker: Speaker, key: str, **fields: Any) -> list[tuple[int, Any]]:
    """The revisions and values of a key's history."""
    data = speaker.do("history", key=key, **fields)
    assert data["key"] == key
    assert all(type(entry["timestamp"]) is int for entry in data["entries"])
    return [(entry["rev"], entry["value"]) for entry in data["entries"]]


# --- errors ---


@pytest.mark.parametrize(
    ("before", "name", "fields", "text", "code"),
    [
        (1, "set", {"value": 2, "path": "/a"}, 'Nothing at "/a" of "KEY"', "no_path"),
        ({}, "incr", {"path": "/a/b"}, 'Nothing at "/a/b" of "KEY"', "no_path"),
        ([1], "set", {"value": 2, "path": "/5"}, 'Nothing at "/5" of "KEY"', "no_path"),
        (MISSING, "append", {"value": 2, "path": "/a/b"}, 'Nothing at "/a/b" of "KEY"', "no_path"),
        (MISSING, "touch", {"ttl": 5}, 'Nothing at "" of "KEY"', "no_path"),
        ({}, "patch", {"patch": [{"op": "replace", "path": "/a", "value": 1}]},
         'Nothing at "/a" of "KEY"', "no_path"),
        ("text", "incr", {}, 'Not a number: "KEY"', "wrong_type"),
        ([], "incr", {}, 'Not a number: "KEY"', "wrong_type"),
        (True, "incr", {}, 'Not a number: "KEY"', "wrong_type"),
        ("5", "incr", {"by": 0.5}, 'Not a number: "KEY"', "wrong_type"),
        ({"a": None}, "incr", {"path": "/a"}, 'Not a number: "KEY"', "wrong_type"),
        ({}, "append", {"value": 1}, 'Not a list: "KEY"', "wrong_type"),
        (5, "timer", {"do": "start"}, 'Not a timer: "KEY"', "wrong_type"),
        ({"timer": {}}, "timer", {"do": "start"}, 'Not a timer: "KEY"', "wrong_type"),
        ({"a": 1}, "patch", {"patch": [{"op": "test", "path": "/a", "value": True}]},
         'Patch test failed: "/a"', "test_failed"),
        (1, "incr", {"path": "a"}, POINTER_TEXT, "invalid"),
        (1, "set", {"value": 1, "path": "/~2"}, POINTER_TEXT, "invalid"),
        (1, "delete", {"path": 5}, POINTER_TEXT, "invalid"),
        (1, "patch", {"patch": [{"op": "add", "path": "a", "value": 1}]}, POINTER_TEXT, "invalid"),
        (1, "patch", {}, PATCH_TEXT, "invalid"),
        (1, "patch", {"patch": {"op": "add"}}, PATCH_TEXT, "invalid"),
        (1, "patch", {"patch": [{"op": "jump", "path": ""}]}, PATCH_TEXT, "invalid"),
        (1, "patch", {"patch": [{"op": "add", "path": "/a"}]}, PATCH_TEXT, "invalid"),
        (1, "patch", {"patch": [{"op": "move", "path": "/a"}]}, PATCH_TEXT, "invalid"),
        (1, "patch", {"patch": [5]}, PATCH_TEXT, "invalid"),
        (1, "patch", {"patch": [{"op": "remove", "path": ""}]}, REMOVE_TEXT, "invalid"),
        (1, "patch", {"patch": [{}] * 1001}, COUNT_TEXT, "limit"),
        (2**64 - 1, "incr", {}, 'Out of range: "KEY"', "range"),
        (-(2**63), "incr", {"by": -1}, 'Out of range: "KEY"', "range"),
        (str(2**64 - 1), "incr", {}, 'Out of range: "KEY"', "range"),
        (1e308, "incr", {"by": 1e308}, 'Out of range: "KEY"', "range"),
        (5, "incr", {"max": 5}, 'Out of range: "KEY"', "range"),
        (5, "incr", {"by": -1, "min": 5}, 'Out of range: "KEY"', "range"),
        (5, "revert", {"toRev": 4_000_000_000}, "No such revision: 4000000000", "no_rev"),
        (MISSING, "revert", {}, "No such revision: 0", "no_rev"),
        # fields of the wrong kind
        (1, "set", {"path": ""}, "Missing value", "invalid"),
        (1, "merge", {}, "Missing value", "invalid"),
        (1, "append", {}, "Missing value", "invalid"),
        ([], "append", {"value": 1, "values": [2]}, "Missing value", "invalid"),
        ([], "append", {"values": 5}, "Values must be a list", "invalid"),
        ([], "append", {"value": 1, "max": 0}, "Max must be a positive integer", "invalid"),
        ([], "append", {"value": 1, "max": "1"}, "Max must be a positive integer", "invalid"),
        (1, "incr", {"by": "1"}, "By must be a number", "invalid"),
        (1, "incr", {"by": True}, "By must be a number", "invalid"),
        (1, "incr", {"min": "0"}, "Min must be a number", "invalid"),
        (1, "incr", {"max": []}, "Max must be a number", "invalid"),
        (1, "touch", {}, "Missing field: ttl", "invalid"),
        (1, "touch", {"ttl": None}, "Missing field: ttl", "invalid"),
        (1, "touch", {"ttl": -1}, "TTL must be a non-negative integer", "invalid"),
        (1, "incr", {"ttl": "5"}, "TTL must be a non-negative integer", "invalid"),
        (TIMER, "timer", {}, DO_TEXT, "invalid"),
        (TIMER, "timer", {"do": ["start"]}, DO_TEXT, "invalid"),
        (TIMER, "timer", {"do": "add"}, "Missing field: ms", "invalid"),
        (TIMER, "timer", {"do": "set", "ms": "5"}, MS_TEXT, "invalid"),
        (TIMER, "timer", {"do": "set", "ms": 2**63 - 1}, MS_TEXT, "invalid"),
        (TIMER, "timer", {"do": "add", "ms": -(2**53) - 1}, MS_TEXT, "invalid"),
        (TIMER, "timer", {"do": "set", "rate": 1e300}, RATE_TEXT, "invalid"),
        (TIMER, "timer", {"do": "set", "rate": True}, RATE_TEXT, "invalid"),
        (1, "revert", {"toRev": -1}, "toRev must be a non-negative integer", "invalid"),
        (1, "revert", {"toRev": "1"}, "toRev must be a non-negative integer", "invalid"),
        (1, "incr", {"ifRev": -1}, "ifRev must be a non-negative integer", "invalid"),
        (1, "incr", {"ifRev": 1.5}, "ifRev must be a non-negative integer", "invalid"),
        (1, "delete", {"ifRev": True}, "ifRev must be a non-negative integer", "invalid"),
        (1, "incr", {"ifRev": 1, "epoch": 5}, "Epoch must be a string", "invalid"),
        (1, "incr", {"then": 5}, "Then needs a ttl", "invalid"),
        (1, "set", {"value": 5, "then": 5, "ttl": 0}, "Then needs a ttl", "invalid"),
        (1, "incr", {"return": 1}, "Return must be a boolean", "invalid"),
        (1, "incr", {"durable": 1}, "Durable must be a boolean", "invalid"),
        (1, "set", {"value": 1, "rev": 5}, "Rev must be a boolean", "invalid"),
        (1, "get", {"rev": "yes"}, "Rev must be a boolean", "invalid"),
        (1, "incr", {"ns": 5}, "Namespace must be a string", "invalid"),
        (1, "incr", {"idempotencyKey": ""}, ONCE_TEXT, "invalid"),
        (1, "incr", {"idempotencyKey": "x" * 65}, ONCE_TEXT, "invalid"),
        (1, "incr", {"idempotencyKey": "é"}, ONCE_TEXT, "invalid"),
        (1, "incr", {"idempotencyKey": 5}, ONCE_TEXT, "invalid"),
        (1, "history", {"limit": 0}, "Limit must be a positive integer", "invalid"),
        (1, "history", {"limit": "1"}, "Limit must be a positive integer", "invalid"),
    ],
)  # fmt: skip
def test_a_refused_operation_changes_nothing_and_says_why(
    speaker: Speaker, before: Any, name: str, fields: dict[str, Any], text: str, code: str
) -> None:
    key = unique()
    rev = speaker.put(key, before)
    error = speaker.refused(name, key=key, **fields)
    assert (error["text"], error["code"]) == (text.replace("KEY", key), code)
    assert set(error) - {"path", "example", "min", "max"} <= {"text", "code", "key"}
    assert ("key" in error) == ("KEY" in text)
    assert speaker.position(key) == (before, rev)
    if name not in ("get", "history") and "idempotencyKey" not in fields:
        op = {"op": name, "key": key, **fields}
        others = [{"op": "incr", "key": unique()}, op, {"op": "incr", "key": unique()}]
        if "rev" not in fields:  # belongs to messages alone
            refused = speaker.refused("txn", ops=others)
            assert refused == error | {"text": f"op 1: {error['text']}", "op": 1}
            assert speaker.value(others[0]["key"]) is MISSING
    assert speaker.position(key) == (before, rev)


@pytest.mark.parametrize("name", ["incr", "touch", "history", "set"])
@pytest.mark.parametrize(
    ("key", "text"),
    [
        (MISSING, "Missing field: key"),
        (5, "Key must be a string"),
        ("", "Key must not be empty"),
        ("\u0000", "Key contains invalid characters"),
        ("x" * 513, "Key exceeds max length (512)"),
    ],
)
def test_an_operation_needs_a_valid_key(speaker: Speaker, name: str, key: Any, text: str) -> None:
    fields = {} if key is MISSING else {"key": key}
    assert speaker.refused(name, ifRev=0, ttl=5, if_rev=1, **fields)["text"] == text


@pytest.mark.parametrize(
    ("name", "fields", "known"),
    [
        ("incr", {"key": "misspelt", "value": 1}, None),
        ("merge", {"key": "misspelt", "value": 1, "if_rev": 0}, None),
        ("txn", {"ops": [], "if_rev": 0}, "ops, ns, durable, idempotencyKey"),
        ("history", {"key": "misspelt", "count": 1}, "key, ns, limit"),
        ("watch", {"key": "k", "max": 1}, "key, keys, pattern, ns, path, maxRate, since"),
        ("unwatch", {"key": "k", "max": 1}, "key, keys, pattern, ns, path, maxRate, since"),
        ("session", {"graze": 1}, "timeout, grace, name, will, resume"),
        ("publish", {"channel": "c", "data": 1, "retain": True}, "channel, data"),
    ],
)
def test_an_unknown_field_of_a_message_is_refused(
    speaker: Speaker, name: str, fields: dict[str, Any], known: str | None
) -> None:
    refused = speaker.refused(name, **fields)
    field = list(fields)[-1]
    assert refused["code"] == "invalid"
    if known is None:
        assert refused["text"].startswith(f"Unknown field: {field} (there are ")
    else:
        assert refused["text"] == f"Unknown field: {field} (there are {known})"


def test_a_message_about_no_key_may_name_a_namespace(speaker: Speaker) -> None:
    for name, fields in (("session", {}), ("publish", {"channel": "c", "data": 1})):
        answer = speaker.ask(name, ns="show", **fields)
        assert "error" not in (*answer, answer.get("type")), answer


def test_what_an_older_message_does_not_know_is_ignored_as_ever(speaker: Speaker) -> None:
    key = unique()
    assert speaker.do("set", key=key, value="v", if_rev=5)
    assert speaker.do("set", key=key, value="w", if_rev=5, ifRev=speaker.rev(key))
    assert speaker.do("delete", key=key, if_rev=5, return_=True)["deleted"] is True


@pytest.mark.parametrize("field", ["by", "value", "ttl", "ifRev", "max"])
def test_a_number_past_64_bits_is_no_message(speaker: Speaker, field: str) -> None:
    key = unique()
    text = json.dumps(speaker.message("incr", key=key, **{field: 2**64}))
    speaker.client.send(text)
    answers = [message for message in speaker.client.heard() if message.get("channel") != "cache"]
    (answer,) = answers
    if speaker.speaks_dunena:
        assert (answer["type"], answer["data"]) == ("error", "Invalid JSON")
    else:
        assert answer == {"error": "Invalid message format"}
    assert speaker.value(key) is MISSING


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_value_does_not_grow_past_the_limits(start_server: StartServer, dialect: str) -> None:
    with ExitStack() as stack:
        speaker = opened(stack, start_server("--max-value", "100"), dialect)
        speaker.put("k", {"a": "x" * 60})
        full = {"text": "Value exceeds max size (100 bytes)", "code": "limit"}
        copy = {"op": "copy", "from": "/a", "path": "/b"}
        assert speaker.refused("patch", key="k", patch=[copy]) == full
        assert speaker.refused("patch", key="k", patch=[copy] * 1000) == full
        assert speaker.refused("merge", key="k", value={"b": "y" * 60}) == full
        assert speaker.refused("append", key="l", values=["y" * 60] * 2) == full
        assert speaker.refused("txn", ops=[{"op": "set", "key": "l", "value": "y" * 101}]) == (
            full | {"text": f"op 0: {full['text']}", "op": 0}
        )
        assert speaker.value("k") == {"a": "x" * 60}
        assert speaker.value("l") is MISSING


def test_a_large_value_is_not_changed_in_part(speaker: Speaker) -> None:
    key = unique()
    speaker.put(key, ["x" * 1_048_576])
    large = {"text": "Value exceeds max size for partial changes (1048576 bytes)", "code": "limit"}
    assert speaker.refused("append", key=key, value=1) == large
    assert speaker.refused("set", key=key, path="/0", value=1) == large
    assert speaker.do("touch", key=key, ttl=60_000)["rev"] > 0
    assert speaker.do("set", key=key, value=1, rev=True)["rev"] > 0


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_values_may_not_be_nested_deeper_by_an_operation(speaker: Speaker, opening: str) -> None:
    key = unique()
    deep = json.loads(opening * 200 + "1" + {"[": "]", "{": "}"}[opening[0]] * 200)
    speaker.put(key, deep)
    path = {"[": "/0", "{": "/a"}[opening[0]] * 200
    refused = speaker.refused("set", key=key, path=path, value=deep)
    assert refused == {"text": "Value is nested too deeply", "code": "limit"}
    assert speaker.value(key) == deep


# --- the older messages with new fields ---


def test_mget_adds_revisions_and_json(dunena: Client) -> None:
    speaker, a, b, c = Speaker(dunena, "dunena"), unique(), unique(), unique()
    first, second = speaker.put(a, {"x": [1]}), speaker.put(b, "text", ns="show")
    data = speaker.do("mget", keys=[a, c], rev=True, json=True)
    assert data.pop("epoch") == speaker.do("incr", key=unique())["epoch"]
    assert data == {"result": {a: {"x": [1]}, c: None}, "revs": {a: first, c: 0}}
    assert speaker.do("mget", keys=[b], ns="show", json=True) == {"result": {b: "text"}}
    data = speaker.do("mget", keys=[a], rev=True)
    assert (data["result"], data["revs"]) == ({a: '{"x":[1]}'}, {a: first})
    assert speaker.do("mget", keys=[b], ns="show", rev=True)["revs"] == {b: second}
    assert speaker.do("get", key=a, json=True) == {"key": a, "value": {"x": [1]}}
    assert speaker.refused("mget", keys=[a], json=1)["text"] == "Json must be a boolean"
    assert speaker.refused("get", key=a, json=1)["text"] == "Json must be a boolean"


def test_mset_takes_the_fields_of_operations(dunena: Client) -> None:
    speaker, a, b = Speaker(dunena, "dunena"), unique(), unique()
    first = speaker.put(a, {"x": 1})
    entries = [
        {"key": a, "path": "/x", "value": [2], "ifRev": first, "return": True},
        {"key": b, "value": None, "ttl": 60_000, "ifRev": 0},
    ]
    data = speaker.do("mset", entries=entries, idempotencyKey=unique(), durable=True)
    revs = [part["rev"] for part in data["results"]]
    assert data["rev"] == max(revs)
    assert sorted(revs) == [data["rev"] - 1, data["rev"]]
    assert is_later(data["rev"], first, 2)
    assert data["stored"] == 2
    assert data["results"][0]["value"] == {"x": [2]}
    assert speaker.position(a) == ({"x": [2]}, revs[0])
    assert speaker.position(b) == (None, revs[1])


def test_an_mset_with_revisions_stores_text_in_a_namespace(dunena: Client) -> None:
    speaker, a, b = Speaker(dunena, "dunena"), unique(), unique()
    entries = [{"key": a, "value": "1"}, {"key": b, "value": "2"}]
    data = speaker.do("mset", entries=entries, rev=True, ns="show")
    assert [part["rev"] for part in data["results"]] == [data["rev"] - 1, data["rev"]]
    assert speaker.value(b, ns="show") == "2"


@pytest.mark.parametrize(
    ("entry", "text", "code"),
    [
        ({"key": "KEY", "value": 1, "ifRev": 5},
         'mset value error for "KEY": Revision conflict: "KEY" is at 0', "conflict"),
        ({"key": "KEY", "value": 1, "path": "x"},
         'mset value error for "KEY": Path must be a JSON Pointer', "invalid"),
        ({"key": "KEY", "value": 1, "path": "/" + "x" * 1024},
         'mset value error for "KEY": Path exceeds max length (1024)', "limit"),
        ({"key": "KEY", "ifRev": 0}, 'mset value error for "KEY": Missing value', "invalid"),
        ({"key": "KEY", "value": 1, "idempotencyKey": "x"},
         'mset value error for "KEY": idempotencyKey must be that of the whole request', "invalid"),
        ({"key": "", "value": 1, "ifRev": 0}, "mset key error: Key must not be empty", "limit"),
        ({"value": 1, "ifRev": 0}, "mset key error: Key must be a string", "invalid"),
    ],
)  # fmt: skip
def test_an_mset_with_one_bad_entry_stores_nothing(
    dunena: Client, entry: dict[str, Any], text: str, code: str
) -> None:
    speaker, key, other = Speaker(dunena, "dunena"), unique(), unique()
    entry = {name: key if value == "KEY" else value for name, value in entry.items()}
    entries = [{"key": other, "value": "1"}, entry]
    refused = speaker.refused("mset", entries=entries)
    assert (refused["text"], refused["code"], refused["op"]) == (text.replace("KEY", key), code, 1)
    assert speaker.value(other) is MISSING
    entries = [{"key": f"k{number}", "value": ""} for number in range(10_001)]
    refused = speaker.refused("mset", entries=entries, rev=True)
    assert refused == {"text": "Entries exceed max count (10000)", "code": "limit"}
    assert speaker.refused("mset", rev=True)["text"] == "Missing field: entries"
    refused = speaker.refused("mset", entries=[], ifRev=0)
    assert refused == {"text": "ifRev must be that of an operation", "code": "invalid"}


def test_the_object_store_answers_a_write_only_if_it_has_an_id(objects: Client) -> None:
    key = unique()
    for name in ("set", "merge", "append", "incr", "touch", "delete", "txn"):
        fields = {"key": key, "ttl": 60_000, "rev": True}
        if name == "txn":
            fields = {"ops": [{"op": "set", "key": key, "value": []}]}
        elif name in ("set", "merge", "append"):
            fields["value"] = 1
        objects.send({"action": name, **fields})
    errors = objects.heard()
    assert [error["error"] for error in errors] == [f'Not a list: "{key}"']
    assert objects.ask({"action": "get", "key": key}) == {"key": key, "value": []}
    assert objects.ask({"action": "set", "key": key, "value": 1, "id": "a"})["id"] == "a"
    assert objects.ask({"action": "delete", "key": key, "id": 1.5})["result"]["deleted"] is True
    error = objects.ask({"action": "set", "key": key, "id": 2})
    assert error == {"error": "Missing value", "code": "invalid", "id": 2}
    pong = objects.ask({"action": "ping", "id": 3})
    assert set(pong["pong"]) == {"timestamp"}
    missing = objects.ask({"action": "get", "key": key, "ns": "show", "rev": True, "id": 4})
    assert type(missing.pop("epoch")) is str
    assert missing == {"key": key, "ns": "show", "value": None, "rev": 0, "id": 4}


def test_a_message_is_answered_in_its_own_dialect(clients: Clients) -> None:
    client, key = clients.any(), unique()
    client.receive()
    assert client.ask({"type": "incr", "key": key, "id": 1})["data"]["value"] == 1
    assert client.ask({"action": "incr", "key": key, "id": 2})["result"]["value"] == 2
    assert client.ask({"type": "incr", "key": key, "by": "", "action": "incr"})["code"] == "invalid"
    objects = clients.objects()
    both = {"type": "x", "action": "incr", "key": key, "by": ""}
    assert objects.ask(both) == {"error": "By must be a number", "code": "invalid"}
    old = {"type": "incr", "action": "get", "key": ""}
    assert objects.ask(old) == {"error": "Key must not be empty"}


# --- transactions ---


def test_a_txn_changes_each_key_once_with_consecutive_revisions(
    speaker: Speaker, objects: Client
) -> None:
    a, b, c, d = unique(), unique(), unique(), unique()
    first = speaker.put(a, {"n": 1})
    second = speaker.put(c, 5)
    for key in (a, b, c):
        objects.send({"action": "subscribe", "key": key})
    objects.send({"action": "subscribe", "key": b, "ns": "show"})
    objects.heard()
    data = speaker.do("txn", ops=[
        {"op": "incr", "key": a, "path": "/n", "ifRev": first},
        {"op": "merge", "key": a, "value": {"x": 1}, "ifRev": first, "return": True},
        {"op": "append", "key": b, "value": 1, "ifRev": 0},
        {"op": "append", "key": b, "value": 2, "ifRev": 0},
        {"op": "delete", "key": c, "ifRev": second},
        {"op": "set", "key": b, "ns": "show", "value": "s"},
        {"op": "del", "key": d},
    ])  # fmt: skip
    revs = [result.pop("rev") for result in data["results"]]
    assert data["results"] == [
        {"value": 2}, {"value": {"n": 2, "x": 1}}, {"length": 1}, {"length": 2}, {"deleted": True},
        {}, {"deleted": False},
    ]  # fmt: skip
    assert revs[0] == revs[1]
    assert revs[2] == revs[3]
    assert revs[6] == 0
    assert is_later(data["rev"], second, 4)
    made = list(range(data["rev"] - 3, data["rev"] + 1))
    assert sorted({revs[0], revs[2], revs[4], revs[5]}) == made
    assert type(data["epoch"]) is str
    heard = {(message["key"], message.get("ns")): message["value"] for message in objects.heard()}
    assert heard == {
        (a, None): {"n": 2, "x": 1},
        (b, None): [1, 2],
        (c, None): None,
        (b, "show"): "s",
    }
    assert speaker.position(b) == ([1, 2], revs[2])


def test_subscribers_get_one_update_for_each_key_of_a_txn(
    speaker: Speaker, objects: Client
) -> None:
    key = unique()
    objects.follow(key)
    speaker.do("txn", ops=[{"op": "incr", "key": key}] * 1000)
    assert objects.updates(key) == [1000]


def test_ops_of_a_txn_are_in_its_namespace_unless_they_name_one(speaker: Speaker) -> None:
    a, b = unique(), unique()
    speaker.do(
        "txn", ns="show", ops=[{"op": "incr", "key": a}, {"op": "incr", "key": b, "ns": "app"}]
    )
    assert (speaker.value(a, ns="show"), speaker.value(b, ns="app")) == (1, 1)
    assert (speaker.value(a), speaker.value(b, ns="show")) == (MISSING, MISSING)


@pytest.mark.parametrize(
    ("fields", "text", "code"),
    [
        ({}, "Missing field: ops", "invalid"),
        ({"ops": {"op": "incr"}}, "Missing field: ops", "invalid"),
        ({"ops": [{"op": "incr", "key": "a"}] * 1001}, COUNT_TEXT, "limit"),
        ({"ops": [5]}, "op 0: Missing field: op", "invalid"),
        ({"ops": [{"key": "a"}]}, "op 0: Missing field: op", "invalid"),
        ({"ops": [{"op": "incr"}]}, "op 0: Missing field: key", "invalid"),
        ({"ops": [{"op": ["incr"], "key": "a"}]},
         f'op 0: Unknown operation: ["incr"] ({OPERATIONS_TEXT})',
         "invalid"),
        ({"ops": [{"op": "txn", "key": "a"}]},
         f'op 0: Unknown operation: "txn" ({OPERATIONS_TEXT})',
         "invalid"),
        ({"ops": [], "ns": 5}, "Namespace must be a string", "invalid"),
        ({"ops": [], "durable": 5}, "Durable must be a boolean", "invalid"),
        ({"ops": [], "ifRev": 0}, "ifRev must be that of an operation", "invalid"),
        ({"ops": [{"op": "incr", "key": "a", "idempotencyKey": "x"}]},
         "op 0: idempotencyKey must be that of the whole request", "invalid"),
    ],
)  # fmt: skip
def test_a_txn_that_is_none_is_refused(
    speaker: Speaker, fields: dict[str, Any], text: str, code: str
) -> None:
    refused = speaker.refused("txn", **fields)
    assert (refused["text"], refused["code"]) == (text, code)
    assert refused.get("op", 0) == 0
    assert speaker.value("a") is MISSING


def test_an_empty_txn_changes_nothing(speaker: Speaker) -> None:
    rev = speaker.put(unique(), 1)
    data = speaker.do("txn", ops=[])
    assert (data["rev"], data["results"]) == (rev, [])


def test_a_conflict_in_a_txn_names_the_operation_and_nothing_happens(
    speaker: Speaker, objects: Client
) -> None:
    a, b = unique(), unique()
    rev = speaker.put(b, 1)
    objects.follow(a)
    refused = speaker.refused(
        "txn", ops=[{"op": "incr", "key": a}, {"op": "incr", "key": b, "ifRev": 0}]
    )
    text = f'op 1: Revision conflict: "{b}" is at {rev}'
    assert refused == {"text": text, "code": "conflict", "key": b, "rev": rev, "op": 1}
    assert objects.updates(a) == []
    assert speaker.position(b) == (1, rev)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("durable", [{"durable": True}, {}])
def test_a_txn_is_on_disk_after_a_crash(
    start_server: StartServer, dialect: str, durable: dict[str, bool]
) -> None:
    server = start_server("--fsync", "no") if durable else start_server()
    with ExitStack() as stack:
        speaker = opened(stack, server, dialect)
        speaker.put("gone", 1)
        ops = [{"op": "incr", "key": "a"}, {"op": "set", "key": "b", "value": [1], "ns": "show"},
               {"op": "delete", "key": "gone"}]  # fmt: skip
        speaker.do("txn", ops=ops, **durable)
    server.kill()
    server.start()
    with ExitStack() as stack:
        speaker = opened(stack, server, dialect)
        assert (speaker.value("a"), speaker.value("b", ns="show")) == (1, [1])
        assert speaker.value("gone") is MISSING


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_txn_fits_a_full_store_as_a_whole_or_not_at_all(
    start_server: StartServer, dialect: str
) -> None:
    with ExitStack() as stack:
        speaker = opened(stack, start_server("--max-entries", "3"), dialect)
        for key in ("a", "b", "c"):
            speaker.put(key, 1)
        fits = [
            {"op": "set", "key": "d", "value": 1},
            {"op": "delete", "key": "a"},
            {"op": "incr", "key": "b"},
        ]
        speaker.do("txn", ops=fits)
        assert [speaker.value(key) for key in "abcd"] == [MISSING, 2, 1, 1]
        rev = speaker.rev("d")
        more = [
            {"op": "delete", "key": "b"},
            {"op": "incr", "key": "e"},
            {"op": "incr", "key": "f"},
        ]
        full = "Storage error: store is full (max 3 entries); nothing was stored"
        assert speaker.refused("txn", ops=more) == {"text": full, "code": "storage"}
        assert [speaker.value(key) for key in "abcdef"] == [MISSING, 2, 1, 1, MISSING, MISSING]
        assert speaker.refused("incr", key="e") == {"text": full, "code": "storage"}
        assert speaker.do("incr", key="d")["rev"] > rev


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_txn_evicts_others_and_never_its_own_keys(
    start_server: StartServer, dialect: str
) -> None:
    with ExitStack() as stack:
        speaker = opened(stack, start_server("--max-entries", "3", "--eviction", "lru"), dialect)
        for key in ("own", "b", "c"):
            speaker.put(key, [])
        ops = [
            {"op": "set", "key": "new", "value": 1},
            {"op": "append", "key": "own", "values": ["x" * 50]},
        ]
        data = speaker.do("txn", ops=ops)
        assert sorted(result["rev"] for result in data["results"]) == [data["rev"] - 1, data["rev"]]
        assert [speaker.value(key) for key in ("own", "b", "c", "new")] == [
            ["x" * 50],
            MISSING,
            [],
            1,
        ]
        never = [{"op": "incr", "key": f"k{number}"} for number in range(4)]
        assert speaker.refused("txn", ops=never)["code"] == "storage"
        assert speaker.value("own") == ["x" * 50]


# --- idempotency ---


@pytest.mark.parametrize("name", ["incr", "txn", "mset", "set"])
def test_the_same_request_twice_is_one_change(speaker: Speaker, name: str) -> None:
    if name == "mset" and not speaker.speaks_dunena:
        return
    key, once = unique(), unique("once")
    request = {
        "incr": {"key": key},
        "txn": {"ops": [{"op": "incr", "key": key}]},
        "mset": {"entries": [{"key": key, "value": 1}]},
        "set": {"key": key, "value": 1},
    }[name]
    first = speaker.do(name, **request, idempotencyKey=once)
    rev = speaker.rev(key)
    assert speaker.do(name, **request, idempotencyKey=once) == first | {"duplicate": True}
    assert speaker.position(key) == (1, rev)
    other = speaker.do(name, **request, idempotencyKey=unique("once"))
    assert "duplicate" not in other
    assert speaker.rev(key) > rev


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("set", {"value": "hello"}),
        ("incr", {"by": 2}),
        ("incr", {"ns": "other"}),
        ("append", {"value": 1}),
        ("txn", {"ops": []}),
    ],
)
def test_an_idempotency_key_is_of_one_request(
    speaker: Speaker, name: str, fields: dict[str, Any]
) -> None:
    key, once = unique(), unique("once")
    first = speaker.do("incr", key=key, idempotencyKey=once)
    refused = speaker.refused(name, key=key, **fields, idempotencyKey=once)
    assert refused == {"text": USED_TEXT, "code": "invalid"}
    assert speaker.value(key) == 1
    # The order of the members and the id do not make another request.
    again = speaker.do("incr", idempotencyKey=once, key=key)
    assert again == first | {"duplicate": True}


def test_the_idempotency_key_of_a_refused_request_is_not_remembered(speaker: Speaker) -> None:
    key, once = unique(), unique("once")
    speaker.put(key, "text")
    assert speaker.refused("incr", key=key, idempotencyKey=once)["code"] == "wrong_type"
    speaker.put(key, 1)
    data = speaker.do("incr", key=key, idempotencyKey=once)
    assert data["value"] == 2
    assert "duplicate" not in data


# --- rights ---

TOKENS = """
[all]
token = "all"
rights = ["read", "write"]
[writer]
token = "writer"
rights = ["write"]
keys = ["mine-*"]
[other]
token = "other"
rights = ["read", "write"]
keys = ["mine-*"]
[reader]
token = "reader"
rights = ["read"]
keys = ["mine-*"]
"""


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    file = write_tokens(tmp_path, TOKENS)
    return start_server("--tokens", str(file))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_token_has_its_rights_in_operations(guarded: ServerProcess, dialect: str) -> None:
    with ExitStack() as stack:

        def by(token: str) -> Speaker:
            headers = {"Authorization": f"Bearer {token}"}
            return opened(stack, guarded, dialect, additional_headers=headers)

        everything, writer, other, reader = map(by, ("all", "writer", "other", "reader"))
        everything.put("secret", 1)

        # who may not read is told no value
        data = writer.do("incr", key="mine-1")
        assert set(data) == {"key", "rev", "epoch"}
        assert set(writer.do("timer", key="mine-t", do="start")) == {"key", "rev", "epoch"}
        data = writer.do(
            "txn",
            ops=[{"op": "incr", "key": "mine-1"}, {"op": "append", "key": "mine-l", "value": 1}],
        )
        assert [set(result) for result in data["results"]] == [{"rev"}, {"rev"}]
        refused = writer.refused("incr", key="mine-1", **{"return": True})
        assert refused == {"text": 'Not permitted: read "mine-1"', "code": "forbidden"}
        assert writer.refused("history", key="mine-1")["text"] == 'Not permitted: read "mine-1"'
        assert writer.refused("get", key="mine-1", rev=True)["code"] == "forbidden"

        # nor what is there, by a condition
        rev = other.rev("mine-1")
        test = {"op": "test", "path": "", "value": 2}
        for name, fields in [
            ("incr", {"by": 0, "max": 1}),
            ("incr", {"by": 0, "min": 1}),
            ("incr", {"by": 2**43 + 1}),
            ("incr", {"by": -(2.0**44)}),
            ("patch", {"patch": [{"op": "add", "path": "", "value": 2}, test]}),
            ("set", {"value": 5, "ifRev": rev}),
            ("touch", {"ttl": 5, "ifRev": 0}),
        ]:
            refused = writer.refused(name, key="mine-1", **fields)
            assert refused == {"text": 'Not permitted: read "mine-1"', "code": "forbidden"}
            refused = writer.refused("txn", ops=[{"op": name, "key": "mine-1", **fields}])
            assert refused["text"] == 'op 0: Not permitted: read "mine-1"'
        assert other.rev("mine-1") == rev
        copies = [{"op": "copy", "from": "", "path": ""}]
        assert set(writer.do("patch", key="mine-1", patch=copies)) == {"key", "rev", "epoch"}
        steps = [{"op": "incr", "key": "mine-1", "by": 2**43 * sign} for sign in (1, -1)]
        assert len(writer.do("txn", ops=steps)["results"]) == 2
        gone = writer.do("delete", key="mine-1", path="/a")
        assert set(gone) == {"key", "epoch", "deleted"}
        ops = [{"op": "delete", "key": "mine-1", "path": "/a"}, {"op": "delete", "key": "mine-0"}]
        results = [{"deleted": False}] * 2
        assert writer.do("txn", ops=ops)["results"] == results

        # who may not write changes nothing
        refused = reader.refused("incr", key="mine-1")
        assert refused == {"text": 'Not permitted: write "mine-1"', "code": "forbidden"}
        assert reader.value("mine-1") == 2

        # keys outside of the grant
        refused = other.refused(
            "txn", ops=[{"op": "incr", "key": "mine-1"}, {"op": "incr", "key": "secret"}]
        )
        assert refused == {
            "text": 'op 1: Not permitted: write "secret"',
            "code": "forbidden",
            "op": 1,
        }
        assert (
            other.refused("set", key="secret", value=2, ifRev=0)["text"]
            == 'Not permitted: write "secret"'
        )
        assert everything.value("secret") == 1
        assert everything.value("mine-1") == 2

        # the idempotency keys of one token are not those of another
        once = "once"
        assert "duplicate" not in other.do("incr", key="mine-1", idempotencyKey=once)
        assert "duplicate" not in writer.do("incr", key="mine-1", idempotencyKey=once)
        assert "duplicate" not in everything.do("incr", key="mine-1", idempotencyKey=once)
        assert other.do("incr", key="mine-1", idempotencyKey=once)["duplicate"] is True
        assert everything.value("mine-1") == 5
        assert (
            other.do("incr", key="mine-1")["epoch"] == everything.do("incr", key="mine-1")["epoch"]
        )
