"""A changed value is decoded once for all watches with a path, and their number is limited."""

from collections.abc import Callable, Collection
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects import messages
from dunena.dialects.dialect import Dialect
from dunena.dialects.ops.pointer import NothingThereError, encoded_parts, value_at
from dunena.watches.limits import (
    PART_DECODED_BYTES_MAX,
    PARTS_KEPT_BYTES_MAX,
    PATHS_MAX,
)
from dunena.watches.parts import DecodedPath, Parts
from tests.support.rooms import Client, Rooms
from tests.support.watching import entry

VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "0"]), inner),
)
POINTERS = st.sets(st.lists(st.sampled_from(["a", "0", "1", "-"]), max_size=4).map(tuple))


@given(VALUES, POINTERS)
def test_parts_that_overlap_are_what_stands_there(value: Any, pointers: set[DecodedPath]) -> None:
    expected: dict[DecodedPath, bytes | None] = {}
    for pointer in pointers:
        try:
            expected[pointer] = orjson.dumps(value_at(value, pointer))
        except NothingThereError:
            expected[pointer] = None
    assert encoded_parts(orjson.dumps(value), pointers) == expected


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of each value that was decoded for watches."""
    sizes: list[int] = []

    def read(encoded: bytes, pointers: Collection[DecodedPath]) -> dict[DecodedPath, bytes | None]:
        sizes.append(len(encoded))
        return encoded_parts(encoded, pointers)

    monkeypatch.setattr(messages, "encoded_parts", read)
    return sizes


def watching(rooms: Rooms, count: int, **fields: Any) -> Client:
    """A client that watches so many members of the value of "k"."""
    client = rooms.client(Dialect.OBJECT_STORE)
    for number in range(count):
        client.ask({"action": "watch", "key": "k", "path": f"/m{number}", **fields})
    return client


def members(count: int, change: int, size: int = 1) -> dict[str, Any]:
    return {f"m{number}": [change, "x" * size] for number in range(count)}


Write = Callable[[Client, dict[str, Any]], None]


def write_alone(client: Client, value: dict[str, Any]) -> None:
    client.ask({"action": "set", "key": "k", "value": value})


def write_in_group(client: Client, value: dict[str, Any]) -> None:
    others = [{"op": "set", "key": key, "value": 1} for key in ("a", "b", "c")]
    ops = [{"op": "set", "key": "k", "value": value}, *others]
    client.ask({"action": "txn", "ops": ops})


@pytest.mark.parametrize("write", [write_alone, write_in_group])
@pytest.mark.parametrize("size", [1, messages.UPDATE_BYTES_MAX])
def test_a_change_decodes_the_old_and_the_new_value_once(
    rooms: Rooms, decoded: list[int], write: Write, size: int
) -> None:
    count = 20
    watcher, writer = watching(rooms, count), rooms.client(Dialect.OBJECT_STORE)
    write(writer, members(count, 1, size))
    assert len(watcher.received()) == count
    decoded.clear()
    write(writer, members(count, 2, size))
    heard = watcher.received()
    assert sorted(update["update"]["path"] for update in heard) == sorted(
        f"/m{number}" for number in range(count)
    )
    assert all(update["update"]["changes"][0]["value"][0] == 2 for update in heard)
    assert len(decoded) <= 2


def test_watches_that_are_told_later_share_what_was_decoded(
    rooms: Rooms, decoded: list[int]
) -> None:
    watcher, writer = watching(rooms, 20, maxRate=1), rooms.client(Dialect.OBJECT_STORE)
    write_alone(writer, members(20, 1))
    rooms.pass_time(5000)
    rooms.tick.end()
    watcher.received()
    decoded.clear()
    write_alone(writer, members(20, 2))
    write_alone(writer, members(20, 3))
    rooms.pass_time(5000)
    rooms.tick.end()
    told = [update["update"]["changes"][-1]["value"][0] for update in watcher.received()]
    assert set(told) >= {3}
    assert len(decoded) <= 3


def test_the_parts_of_no_more_than_two_entries_are_kept() -> None:
    is_grouping = True
    read: list[bytes] = []

    def read_parts(
        encoded: bytes, pointers: Collection[DecodedPath]
    ) -> dict[DecodedPath, bytes | None]:
        read.append(encoded)
        return dict.fromkeys(pointers, encoded)

    parts = Parts(lambda _entry: {("a",)}, lambda: is_grouping)
    entries = [entry(str(number), b"%d" % number) for number in range(5)]
    for one in entries * 2:
        assert parts.find(one, ("a",), read_parts) == one.value
    assert len(read) == 5
    parts.trim()
    assert len(parts) == 2
    is_grouping = False
    parts.find(entries[0], ("b",), read_parts)
    assert len(parts) == 2
    parts.find(entry("large", b"x" * (PARTS_KEPT_BYTES_MAX + 1)), ("a",), read_parts)
    parts.trim()
    assert len(parts) == 0


def test_a_part_of_an_update_decodes_a_limited_size(rooms: Rooms, decoded: list[int]) -> None:
    for number in range(8):
        text = b'"%b"' % (b"x" * (PART_DECODED_BYTES_MAX // 2 - 10))
        rooms.tick.run(lambda name, _now, text=text: rooms.store.set("", name, text), f"k{number}")
    rooms.tick.end()
    client = rooms.client(Dialect.OBJECT_STORE)
    client.say({"action": "watch", "pattern": "*", "path": "/a"})
    updates = client.heard()
    sent = [update["update"] for update in updates]
    assert [update["changes"] for update in sent] == [[]] * len(sent)
    assert [update.get("more", False) for update in sent] == [True] * (len(sent) - 1) + [False]
    assert len(sent) == 4
    assert len(decoded) == 8


def test_the_paths_of_a_connection_are_limited(rooms: Rooms) -> None:
    client = watching(rooms, PATHS_MAX)
    one_more = {"action": "watch", "key": "k", "path": "/more", "id": 1}
    text = f"Paths exceed max count ({PATHS_MAX})"
    assert client.ask(one_more) == [{"error": text, "code": "limit", "id": 1}]
    assert "update" in client.ask({"action": "watch", "key": "k", "id": 1})[0]
    assert "update" in client.ask({**one_more, "path": "/m0"})[0]
    client.say({"action": "unwatch", "key": "k", "path": "/m0"})
    assert "update" in client.ask(one_more)[0]
