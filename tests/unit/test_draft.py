"""Values are decoded once, encoded once, and only so many of them for one request."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import TooLargeError
from dunena.dialects.ops import draft as draft_module
from dunena.dialects.ops.draft import Costs, DraftValue, copy_of
from dunena.dialects.ops.missing import MISSING
from dunena.store.history import History
from dunena.store.limits import (
    COPIES_BYTES_MAX,
    OPERATIONS_MAX,
    PARTIAL_BYTES_MAX,
    REPLY_VALUES_BYTES_MAX,
    Limits,
)
from tests.support.rooms import Client, Rooms

Op = dict[str, Any]


@pytest.fixture
def rooms() -> Rooms:
    rooms = Rooms()
    rooms.store.history = History(10)
    return rooms


@pytest.fixture
def client(rooms: Rooms) -> Client:
    return rooms.client(Dialect.OBJECT_STORE)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Bytes that are decoded and encoded for drafts, and how often."""
    counts: Counter[str] = Counter()
    encode = draft_module.encode

    class Counting:
        JSONEncodeError = orjson.JSONEncodeError

        @staticmethod
        def loads(text: bytes) -> Any:
            counts["decoded"] += 1
            counts["bytes"] += len(text)
            return orjson.loads(text)

    def encoded(value: Any) -> bytes:
        counts["encoded"] += 1
        return encode(value)

    monkeypatch.setattr(draft_module, "orjson", Counting)
    monkeypatch.setattr(draft_module, "encode", encoded)
    return counts


def store(rooms: Rooms, key: str, size: int, then: bytes | None = None) -> None:
    """Store a value with a counter whose JSON has so many bytes."""
    text = b'{"n":0,"b":"%b"}' % (b"x" * (size - len(b'{"n":0,"b":""}')))
    rooms.tick.run(lambda name, _now: rooms.store.set("", name, text), key)
    rooms.tick.end()


def incr(key: str, **fields: Any) -> Op:
    return {"op": "incr", "key": key, "path": "/n", **fields}


def txn(client: Client, *ops: Op) -> dict[str, Any]:
    (answer,) = client.ask({"action": "txn", "ops": list(ops), "id": 1})
    return answer


def mset(rooms: Rooms, entries: list[Op]) -> dict[str, Any]:
    (answer,) = rooms.client(Dialect.DUNENA).ask({"type": "mset", "entries": entries, "id": 1})
    return answer


def unchanged(rooms: Rooms) -> bool:
    return all(b'"n":0' in entry.value for entry in rooms.store.entries())


def test_a_transaction_decodes_and_encodes_a_value_once(
    rooms: Rooms, client: Client, work: Counter[str]
) -> None:
    for key in ("a", "b"):
        store(rooms, key, 1000)
    answer = txn(client, *[incr(key, ttl=9, then={"x": 1}) for key in "ab" for _ in range(50)])
    assert [result["value"] for result in answer["result"]["results"]] == [*range(1, 51)] * 2
    assert work == Counter(decoded=2, encoded=2, bytes=2000)


def test_the_values_that_one_request_changes_in_part_are_limited_together(
    rooms: Rooms, client: Client
) -> None:
    half = PARTIAL_BYTES_MAX // 2
    for key in ("a", "b"):
        store(rooms, key, half)
    store(rooms, "c", 20)
    text = "Values exceed max size for partial changes (1048576 bytes)"
    refused = txn(client, incr("a"), incr("b"), incr("c"))
    assert refused == {"error": f"op 2: {text}", "code": "limit", "op": 2, "id": 1}
    assert unchanged(rooms)
    entries = [{"key": key, "path": "/n", "value": 1} for key in "abc"]
    assert mset(rooms, entries)["data"] == f'mset value error for "c": {text}'
    assert unchanged(rooms)
    assert "result" in txn(client, incr("a"), incr("b"), incr("a"))


@pytest.mark.parametrize("name", ["touch", "set"])
def test_what_a_then_is_merged_into_counts_too(rooms: Rooms, client: Client, name: str) -> None:
    for key in ("a", "b"):
        store(rooms, key, PARTIAL_BYTES_MAX // 2 + 1)
    ops = [{"op": "touch", "key": key, "ttl": 5, "then": {"x": 1}} for key in "ab"]
    if name == "set":
        ops = [{**op, "op": "set", "value": "x" * PARTIAL_BYTES_MAX} for op in ops]
    assert txn(client, *ops)["code"] == "limit"
    assert unchanged(rooms)
    assert all(entry.expires_at is None for entry in rooms.store.entries())
    if name == "touch":
        assert "result" in txn(client, *ops[:1])


def test_the_parts_that_are_reverted_count_too(rooms: Rooms, client: Client) -> None:
    store(rooms, "a", PARTIAL_BYTES_MAX // 2 - 10)
    rooms.now += 10_000
    client.ask({"action": "set", "key": "a", "value": {}, "id": 1})
    revert = {"op": "revert", "key": "a", "path": "/n", "toRev": 1}
    assert txn(client, revert, revert, revert)["op"] == 2
    assert "result" in txn(client, revert)


def test_a_value_that_was_never_decoded_is_not_encoded(
    rooms: Rooms, client: Client, work: Counter[str]
) -> None:
    store(rooms, "a", 4_000_000)
    rooms.now += 10_000
    client.ask({"action": "set", "key": "a", "value": 1, "id": 1})
    work.clear()
    (answer,) = client.ask({"action": "revert", "key": "a", "id": 1})
    assert answer["result"]["value"]["n"] == 0
    assert work == Counter()


# --- patches ---


def doublings(key: str, count: int) -> Op:
    return {
        "op": "patch",
        "key": key,
        "patch": [{"op": "copy", "from": "/a", "path": "/a/-"}] * count,
    }


def test_the_copies_of_one_request_are_limited_together(client: Client, work: Counter[str]) -> None:
    client.ask({"action": "set", "key": "a", "value": {"a": []}, "id": 1})
    text = f"Copies exceed max size ({COPIES_BYTES_MAX} bytes)"
    assert txn(client, doublings("a", 30))["error"] == f"op 0: {text}"
    once = doublings("a", 16)
    once["patch"].append({"op": "replace", "path": "/a", "value": []})
    refused = txn(client, *[once] * 20)
    assert refused["error"].partition(": ")[2] == text
    assert "result" in txn(client, once)


def test_the_operations_in_the_patches_of_a_transaction_are_counted_together(
    client: Client, rooms: Rooms
) -> None:
    patch = [{"op": "test", "path": "", "value": 1}] * (OPERATIONS_MAX // 2)
    client.ask({"action": "set", "key": "a", "value": 1, "id": 1})
    op = {"op": "patch", "key": "a", "patch": patch}
    assert "result" in txn(client, op, op)
    refused = txn(client, op, op, {**op, "patch": patch[:1]})
    assert refused["error"] == f"op 2: Operations exceed max count ({OPERATIONS_MAX})"


# --- answers ---


def test_the_values_in_an_answer_are_limited_together(rooms: Rooms, client: Client) -> None:
    store(rooms, "a", 1_000_000)
    count = REPLY_VALUES_BYTES_MAX // 1_000_000
    ops = [incr("a", **{"return": True})] * (count + 1)
    text = f"Values exceed max size of one reply ({REPLY_VALUES_BYTES_MAX} bytes)"
    assert txn(client, *ops) == {"error": text, "code": "limit", "id": 1}
    assert unchanged(rooms)
    entries = [{"key": "a", "path": "/n", "value": 1, "return": True}] * (count + 1)
    assert mset(rooms, entries)["data"] == text
    assert unchanged(rooms)
    assert len(txn(client, *ops[:count])["result"]["results"]) == count


@pytest.mark.parametrize("name", ["timer", "revert"])
def test_values_that_an_operation_answers_with_count_too(
    rooms: Rooms, client: Client, name: str
) -> None:
    timer = {"timer": {"at": 0, "ms": 0, "rate": 1, "running": False}, "b": "x" * 900_000}
    client.ask({"action": "set", "key": "a", "value": timer, "id": 1})
    rooms.now += 10_000
    client.ask({"action": "timer", "key": "a", "do": "start", "id": 1})
    op = {"op": name, "key": "a"} | ({"do": "toggle"} if name == "timer" else {})
    refused = txn(client, *[op] * 10)
    assert refused["error"].endswith("exceed max size of one reply (8388608 bytes)")
    answers = txn(client, *[op] * 2)["result"]["results"]
    if name == "timer":
        assert [answer["value"]["timer"]["running"] for answer in answers] == [False, True]


def test_one_value_of_any_permitted_size_is_returned() -> None:
    rooms = Rooms(Limits(value_bytes_max=REPLY_VALUES_BYTES_MAX + 1000))
    client = rooms.client(Dialect.OBJECT_STORE)
    value = "x" * (REPLY_VALUES_BYTES_MAX + 100)
    (answer,) = client.ask({"action": "set", "key": "a", "value": value, "return": True, "id": 1})
    assert answer["result"]["value"] == value


# --- drafts ---


def test_a_draft_has_its_value_in_both_forms() -> None:
    draft = DraftValue(b'{"a":1}')
    assert not draft.is_missing
    value = draft.decoded(Costs())
    assert draft.encoded() == b'{"a":1}'
    value["a"] = 2
    draft.put(value)
    assert draft.present_encoded is None
    assert draft.encoded() == b'{"a":2}'
    draft.put_encoded(None)
    assert draft.is_missing
    assert draft.decoded(Costs()) is MISSING
    assert draft.encoded() is None


def test_null_is_a_value_of_a_draft() -> None:
    draft = DraftValue(b"null")
    assert draft.decoded(Costs()) is None
    draft.put(None)
    assert not draft.is_missing
    assert draft.encoded() == b"null"


def test_a_copy_shares_nothing() -> None:
    value = {"a": [1, {}]}
    copied = copy_of(value)
    assert copied == value
    assert copied["a"] is not value["a"]


def test_later_operations_do_not_change_what_earlier_ones_put(client: Client) -> None:
    value = {"list": []}
    ops = [
        {"op": "set", "key": "a", "path": "/x", "value": value},
        {"op": "merge", "key": "a", "path": "/y", "value": value},
        {"op": "append", "key": "a", "path": "/z", "value": value},
        *[{"op": "append", "key": "a", "path": f"/{name}/list", "value": 1} for name in "xyyz"],
    ]
    ops[-1]["path"] = "/z/0/list"
    assert "result" in txn(client, *ops)
    (answer,) = client.ask({"action": "get", "key": "a", "id": 1})
    assert answer["value"] == {"x": {"list": [1]}, "y": {"list": [1, 1]}, "z": [{"list": [1]}]}


def test_errors_of_counts_name_what_is_too_large() -> None:
    costs = Costs()
    with pytest.raises(TooLargeError, match=r"^Value exceeds max size for partial changes"):
        costs.add_decoded(b"x" * (PARTIAL_BYTES_MAX + 1))
    costs = Costs()
    costs.add_decoded(b"x" * PARTIAL_BYTES_MAX)
    with pytest.raises(TooLargeError, match=r"^Values exceed max size for partial changes"):
        costs.add_decoded(b"x")
