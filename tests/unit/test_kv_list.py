"""The values of all keys of a pattern: one state of the store, whatever happens meanwhile."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from dunena.dialects import kv_list
from dunena.dialects.errors import InvalidFieldError, TooLargeError, TooManyError
from dunena.dialects.grants import Grant, Right
from dunena.dialects.guarded_store import GuardedStore
from dunena.dialects.kv_list import ValueList
from dunena.dialects.kv_request import KvAnswer
from dunena.dialects.preconditions import NO_PRECONDITIONS, PreconditionError, parse_preconditions
from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.store.store import Store

NOW = 1_710_000_000_000


class Room:
    """A store with the changes of one tick, and requests for all its values."""

    def __init__(self) -> None:
        self.changes: list[Any] = []
        self.store = Store(self.changes.append)
        self.services = Services(self.store, self.store, Hub())

    def set(self, key: str, value: Any, ns: str = "", **more: Any) -> None:
        self.store.set(ns, key, orjson.dumps(value), **more)

    def undo(self) -> None:
        """Refuse the commit of this tick."""
        self.store.undo(self.changes)
        self.commit()

    def commit(self) -> None:
        self.changes.clear()

    def list(
        self,
        meanwhile: Callable[[int], object] | None = None,
        services: Services | None = None,
        conditions: Any = NO_PRECONDITIONS,
        **query: str,
    ) -> KvAnswer:
        """The answer; ``meanwhile`` is called with the number of each portion."""
        work = ValueList(services or self.services, query, conditions).work()
        late = None
        number = 0
        while late is None:
            try:
                next(work)
                if meanwhile:
                    meanwhile(number)
                number += 1
            except StopIteration as end:
                late = end.value
        if meanwhile:
            meanwhile(-1)
        assert late(NOW) == late(NOW)
        return late(NOW)

    def values(self, *args: Any, **query: str) -> Any:
        answer = self.list(*args, **query)
        assert answer.status == 200
        return json.loads(answer.body)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(kv_list, "PORTION_KEYS_MAX", 1)
    return Room()


def test_json_is_one_object_in_the_order_of_the_keys(room: Room) -> None:
    room.set("b", [1])
    room.set('a"', None)
    room.set("c", 1, ns="other")
    assert room.list().body == b'{"a\\"":null,"b":[1]}'
    assert room.values(ns="other") == {"c": 1}
    assert room.values(pattern="b*") == {"b": [1]}
    assert room.list(pattern="x").body == b"{}"
    assert room.list(pattern="x", format="rows").body == b"[]"
    assert room.list(pattern="x", format="csv").body == b""


def test_rows_and_csv_begin_with_the_key(room: Room) -> None:
    room.set("a", {"x": 1})
    room.set("b", [{"y": 2}, 3])
    room.set("c", [])
    rows = [{"key": "a", "x": 1}, {"key": "b", "y": 2}, {"key": "b", "value": 3}]
    assert room.values(format="rows") == rows
    answer = room.list(format="csv")
    assert answer.content_type.startswith("text/csv")
    assert answer.body == b"key,x,y,value\r\na,1,,\r\nb,,2,\r\nb,,,3\r\n"


def test_a_running_timer_is_shown_at_the_time_of_sending(room: Room) -> None:
    room.set("a", {"timer": {"at": NOW - 5_000, "ms": 0, "rate": 1, "running": True}})
    room.store.now = NOW - 60_000
    assert room.values(format="rows") == [{"key": "a", "timer": "0:05"}]


def test_what_changes_meanwhile_is_in_the_answer_as_it_is_at_the_end(room: Room) -> None:
    for key in "abcde":
        room.set(key, {"n": 0})

    def meanwhile(number: int) -> None:
        if number == 3:
            room.set("a", {"n": 1, "new": True})
            room.set("aa", {"n": 2})
            room.set("bb", {"n": 3}, ns="other")
            room.store.delete("", "b")
        if number == -1:
            room.set("c", {"n": 4})

    expected = {"a": {"n": 1, "new": True}, "aa": {"n": 2}, "c": {"n": 4}, "d": {"n": 0},
                "e": {"n": 0}}  # fmt: skip
    assert room.values(meanwhile) == expected


@pytest.mark.parametrize("form", ["json", "rows", "csv"])
def test_an_answer_is_a_state_that_was_there(room: Room, form: str) -> None:
    """Money moves between accounts in groups all the time: the sum is never another one."""
    names = [f"account-{number}" for number in range(8)]
    balances = dict.fromkeys(names, 100)
    for name in names:
        room.set(name, {"balance": 100})

    def move(number: int) -> None:
        source, target = names[number % 8], names[(number * 3 + 1) % 8]
        if source == target:
            return
        balances[source] -= 7
        balances[target] += 7
        with room.store.group():
            for name in (source, target):
                room.set(name, {"balance": balances[name]})

    answer = room.list(move, format=form)
    text = answer.body.decode()
    if form == "csv":
        rows: Iterator[Any] = csv.DictReader(io.StringIO(text, newline=""))
        found = {row["key"]: int(row["balance"]) for row in rows}
    elif form == "rows":
        found = {row["key"]: row["balance"] for row in json.loads(text)}
    else:
        found = {name: value["balance"] for name, value in json.loads(text).items()}
    assert found == balances


def test_a_change_that_was_taken_back_is_not_in_the_answer(room: Room) -> None:
    room.set("a", 1)
    room.set("b", 2)
    room.commit()
    room.store.delete("", "a")
    room.set("b", 3)
    room.set("c", 4)

    def refuse(number: int) -> None:
        if number == -1:
            room.undo()

    assert room.values(refuse) == {"a": 1, "b": 2}


def test_after_a_clear_there_are_only_the_keys_that_came_since(room: Room) -> None:
    room.set("a", 1)

    def clear(number: int) -> None:
        if number == -1:
            room.store.clear()
            room.set("z", 2)

    assert room.values(clear) == {"z": 2}


def test_an_expired_key_is_not_in_the_answer(room: Room) -> None:
    room.set("a", 1, expires_at=NOW)
    room.set("b", {"on": True}, expires_at=NOW, then=b'{"on":false}')
    room.set("c", 1, expires_at=NOW + 1)
    assert set(room.values()) == {"b", "c"}


def test_keys_that_may_not_be_read_are_not_there(room: Room) -> None:
    room.set("own-1", 1)
    room.set("other", 2)
    grant = Grant("own", frozenset({Right.READ}), ("own-*",))
    services = Services(GuardedStore(room.store, grant), room.store, Hub())

    def add(number: int) -> None:
        if number == -1:
            room.set("own-2", 3)
            room.set("other-2", 4)

    assert json.loads(room.list(add, services).body) == {"own-1": 1, "own-2": 3}
    assert json.loads(room.list(services=services, pattern="oth*").body) == {}


def test_the_tag_is_that_of_the_text(room: Room) -> None:
    room.set("a", 1)
    first = room.list()
    room.set("a", 1)
    assert room.list().tag == first.tag, "it is the same text, at another revision"
    room.set("a", 2)
    assert room.list().tag != first.tag
    known = parse_preconditions(None, room.list().tag)
    assert room.list(conditions=known) == KvAnswer(304, tag=room.list().tag)
    with pytest.raises(PreconditionError):
        room.list(conditions=parse_preconditions(first.tag, None))


def test_more_keys_or_bytes_than_permitted_are_an_error(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_list, "LISTED_KEYS_MAX", 3)
    monkeypatch.setattr(kv_list, "LISTED_BYTES_MAX", 1_000)
    for key in "abc":
        room.set(key, "x" * 100)
    room.list()
    with pytest.raises(TooManyError) as caught:
        room.list(lambda number: number == -1 and room.set("d", 1))
    assert caught.value.text == "Keys exceed max count (3)"
    with pytest.raises(TooManyError):
        room.list()
    room.store.delete("", "d")
    room.set("a", "x" * 800)
    for form in ("json", "rows", "csv"):
        with pytest.raises(TooLargeError) as large:
            room.list(format=form)
        assert "(1000 bytes)" in large.value.text


def test_empty_cells_of_csv_count_for_its_size(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_list, "LISTED_BYTES_MAX", 10_000)
    for number in range(110):
        room.set(str(number), {f"c{number}": 1})
    room.list(format="rows")
    # Before any line is made, since these could take much more.
    monkeypatch.setattr(kv_list, "csv_lines", None)
    with pytest.raises(TooLargeError):
        room.list(format="csv")


def test_a_value_too_large_for_rows_is_named(room: Room) -> None:
    room.set("large", "x" * 1_048_576)
    room.list()
    with pytest.raises(TooLargeError) as caught:
        room.list(format="rows")
    assert caught.value.fields == {"key": "large"}


@pytest.mark.parametrize("form", ["text", "xml"])
def test_an_unknown_format_is_an_error(room: Room, form: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        room.list(format=form)
    assert caught.value.text == "format must be one of: json, rows, csv"
