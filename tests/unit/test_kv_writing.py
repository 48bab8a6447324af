"""Writes at /kv: once, under conditions, and again after a refused commit."""

import json
from typing import Any

import pytest

from dunena.dialects.errors import ClientError, ConflictError
from dunena.dialects.kv_reading import read
from dunena.dialects.kv_request import KvAnswer, KvRequest, MissingKeyError
from dunena.dialects.kv_writing import delete, patch, post, put, transact
from dunena.dialects.preconditions import PreconditionError, parse_preconditions
from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.store.errors import WriteRefusedError
from dunena.store.store import Store

NOW = 1_710_000_000_000
FUNCTIONS = {"PUT": put, "PATCH": patch, "POST": post, "DELETE": delete}


class Room:
    """A store, and the changes of one tick."""

    def __init__(self) -> None:
        self.changes: list[Any] = []
        self.store = Store(self.changes.append)
        self.services = Services(self.store, self.store, Hub())
        self.store.on_undo(self.services.answers.undo)

    def ask(
        self,
        method: str,
        body: Any = None,
        once: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        media_type: str = "application/json",
        **query: str,
    ) -> KvAnswer:
        encoded = None if body is None else json.dumps(body).encode()
        conditions = parse_preconditions(if_match, if_none_match)
        request = KvRequest(
            method, "k", query, conditions, (if_match, if_none_match), encoded, media_type, once
        )
        return FUNCTIONS[method](self.services, request, NOW)

    @property
    def value(self) -> Any:
        try:
            return json.loads(read(self.services, KvRequest("GET", "k", {}), NOW).body)
        except MissingKeyError:
            return None


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.mark.parametrize(
    ("method", "body", "more"),
    [
        ("PUT", 2, {"if_match": "*"}),
        ("PATCH", {"a": 2}, {}),
        ("PATCH", [{"op": "add", "path": "/b", "value": 1}],
         {"media_type": "application/json-patch+json"}),
        ("POST", {"op": "incr", "path": "/a"}, {}),
        ("DELETE", None, {"if_match": "*"}),
    ],
)  # fmt: skip
def test_a_request_is_answered_as_new_after_its_commit_was_refused(
    room: Room, method: str, body: Any, more: dict[str, Any]
) -> None:
    room.ask("PUT", {"a": 1})
    room.changes.clear()
    first = room.ask(method, body, "once", **more)
    room.store.undo(room.changes)
    room.changes.clear()
    room.store.refusal = "No space left on device"
    with pytest.raises(WriteRefusedError):
        room.ask(method, body, "once", **more)
    assert room.value == {"a": 1}
    room.store.refusal = None
    assert room.ask(method, body, "once", **more) == first, "its answer was not remembered"
    assert room.ask(method, body, "once", **more).status == first.status
    assert len(room.changes) == 1


def test_a_condition_is_not_asked_again_of_a_request_that_was_done(room: Room) -> None:
    tag = room.ask("PUT", 1).tag
    first = room.ask("PUT", 2, "once", tag)
    assert room.ask("PUT", 2, "once", tag) == first
    with pytest.raises(ClientError) as caught:
        room.ask("PUT", 2, "once", first.tag)
    assert caught.value.text == "idempotencyKey was used for another request"
    with pytest.raises(ConflictError):
        room.ask("PUT", 2, "another", tag)
    room.ask("PUT", 2, "another", first.tag)  # what was refused is not remembered


def test_the_same_body_in_another_method_is_another_request(room: Room) -> None:
    room.ask("PUT", {"a": 1}, "once")
    with pytest.raises(ClientError) as caught:
        room.ask("PATCH", {"a": 1}, "once")
    assert caught.value.text == "idempotencyKey was used for another request"


def test_a_remembered_patch_answers_with_its_own_value(room: Room) -> None:
    first = room.ask("PATCH", {"a": 1.0, "b": 2**64 - 1}, "once")
    room.ask("PUT", {})
    assert room.ask("PATCH", {"a": 1.0, "b": 2**64 - 1}, "once") == first


def test_a_delete_of_nothing_is_404_whatever_its_conditions(room: Room) -> None:
    for more in ({}, {"if_match": "*"}, {"if_none_match": "*"}, {"once": "once"}):
        with pytest.raises(MissingKeyError):
            room.ask("DELETE", **more)
    room.ask("PUT", {"a": 1})
    with pytest.raises(ClientError) as caught:
        room.ask("DELETE", path="/b")
    assert (caught.value.status, caught.value.code) == (404, "no_path")
    assert room.ask("DELETE", path="/a").status == 204
    assert room.value == {}


def test_nothing_changes_if_a_condition_is_not_met(room: Room) -> None:
    room.ask("PUT", {"a": 1})
    room.changes.clear()
    for method, body in (("PUT", 2), ("PATCH", {}), ("POST", {"op": "delete"}), ("DELETE", None)):
        with pytest.raises(ConflictError) as caught:
            room.ask(method, body, if_match='"other-1"')
        assert caught.value.status == 412
    assert room.changes == []


def test_a_transaction_has_no_tag_to_match(room: Room) -> None:
    def ask(if_match: str | None, if_none_match: str | None) -> int:
        body = b'{"ops":[{"op":"incr","key":"k"}]}'
        conditions = parse_preconditions(if_match, if_none_match)
        return transact(room.services, KvRequest("POST", "", {}, conditions, body=body), NOW).status

    for if_match in ("*", '"a-1"'):
        with pytest.raises(PreconditionError):
            ask(if_match, None)
    assert room.value is None
    assert ask(None, "*") == ask(None, '"a-1"') == ask(None, None) == 200
    assert room.value == 3
