"""Reads at /kv and /history: which tag, which status, which format."""

from typing import Any

import orjson
import pytest

from dunena.dialects.errors import ClientError, ConflictError, TooLargeError
from dunena.dialects.kv_reading import CSV, TEXT, check_rows_size, hashed_answer, history, read
from dunena.dialects.kv_request import JSON, KvAnswer, KvRequest
from dunena.dialects.preconditions import NO_PRECONDITIONS, PreconditionError, parse_preconditions
from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.store.limits import PARTIAL_BYTES_MAX
from dunena.store.store import Store

NOW = 1_710_000_000_000
TIMER = {"timer": {"at": NOW - 61_000, "ms": 0, "rate": 1, "running": True}}


def answer(
    value: Any, if_match: str | None = None, if_none_match: str | None = None, **query: str
) -> KvAnswer:
    store = Store(epoch="epoch")
    services = Services(store, store, Hub())
    store.set("", "k", orjson.dumps(value))
    conditions = parse_preconditions(if_match, if_none_match)
    return read(services, KvRequest("GET", "k", query, conditions), NOW)


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        ({}, b'{"a":{"b":"=1"}}', JSON),
        ({"path": "/a/b"}, b'"=1"', JSON),
        ({"path": "/a/b", "format": "text"}, b"=1", TEXT),
        ({"format": "rows"}, b'[{"a.b":"=1"}]', JSON),
        ({"format": "csv"}, b"a.b\r\n'=1\r\n", CSV),
    ],
)
def test_a_value_has_the_tag_of_its_key_in_each_format(
    query: dict[str, str], body: bytes, content_type: str
) -> None:
    value = {"a": {"b": "=1"}}
    tag = '"epoch-1"'
    assert answer(value, **query) == (200, body, tag, content_type)
    assert answer(value, if_match=tag, **query).status == 200
    assert answer(value, if_none_match=tag, **query) == KvAnswer(304, tag=tag)
    with pytest.raises(ConflictError):
        answer(value, if_match='"epoch-2"', **query)


def test_a_running_timer_has_no_tag_where_its_time_is_shown() -> None:
    assert answer(TIMER, format="text") == (200, b"1:01", "", TEXT)
    assert answer(TIMER, if_none_match='"epoch-1"', format="csv").body == b"timer\r\n1:01\r\n"
    assert answer(TIMER, if_none_match="*", format="text").status == 304
    assert answer(TIMER, if_none_match='"epoch-1"').status == 304
    assert answer({"other": 1, "clock": TIMER}, path="/other", format="text").tag


def test_a_part_that_is_missing_is_404() -> None:
    with pytest.raises(ClientError) as caught:
        answer({"a": 1}, path="/b")
    assert (caught.value.status, caught.value.text) == (404, 'Nothing at "/b" of "k"')


def test_rows_are_made_of_values_up_to_a_size() -> None:
    check_rows_size(b"x" * PARTIAL_BYTES_MAX)
    with pytest.raises(TooLargeError):
        check_rows_size(b"x" * (PARTIAL_BYTES_MAX + 1))


def test_a_hashed_answer_is_known_by_its_body() -> None:
    first = hashed_answer(NO_PRECONDITIONS, b"[]", JSON)
    assert first == (200, b"[]", first.tag, JSON)
    assert hashed_answer(NO_PRECONDITIONS, b"{}", JSON).tag != first.tag
    known = parse_preconditions(None, f"W/{first.tag}")
    assert hashed_answer(known, b"[]", JSON) == KvAnswer(304, tag=first.tag)
    with pytest.raises(PreconditionError):
        hashed_answer(parse_preconditions(f"W/{first.tag}", None), b"[]", JSON)


def test_history_takes_a_limit_and_a_namespace() -> None:
    store = Store()
    services = Services(store, store, Hub())
    store.set("n", "k", b"1")

    def entries(**query: str) -> Any:
        answered = history(services, KvRequest("GET", "k", query), NOW)
        return orjson.loads(answered.body)["entries"]

    assert entries() == []
    assert [entry["value"] for entry in entries(ns="n", limit="1")] == [1]
    for wrong in ("0", "-1", "x"):
        with pytest.raises(ClientError):
            entries(limit=wrong)
