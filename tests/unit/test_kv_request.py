"""The parts of requests for keys: what a query and a body come to."""

from typing import Any

import pytest

from dunena.dialects.errors import ClientError, TooLargeError
from dunena.dialects.kv_request import (
    KvRequest,
    UnsupportedPatchError,
    fields_of_query,
    media_type_of,
    part_of,
    place_of,
    value_of_body,
)
from dunena.store.entry import Entry
from dunena.store.limits import PARTIAL_BYTES_MAX


def request(query: Any = None, body: bytes | None = None, content_type: str = "") -> KvRequest:
    return KvRequest("PUT", "k", query or {}, body=body, content_type=content_type)


def test_a_query_has_fields_as_an_operation_has_them() -> None:
    query = {"ns": "a", "path": "/b", "ttl": "5.0", "then": '{"on":[1]}', "durable": "true"}
    fields = {"key": "k", "ns": "a", "path": "/b", "ttl": 5, "then": {"on": [1]}, "durable": True}
    assert fields_of_query(request(query | {"format": "text", "value": "1"})) == fields
    assert fields_of_query(request(query), ("ns",)) == {"key": "k", "ns": "a"}
    assert fields_of_query(request(dict.fromkeys(query, ""))) == {"key": "k"}
    once = KvRequest("PUT", "k", {}, idempotency_key="once")
    assert fields_of_query(once) == {"key": "k", "idempotencyKey": "once"}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("ttl", "1.5", "ttl must be a non-negative integer of milliseconds"),
        ("then", "NaN", "then must be JSON"),
        ("durable", "1", "durable must be true or false"),
    ],
)
def test_a_wrong_field_of_a_query_is_an_error(name: str, value: str, text: str) -> None:
    with pytest.raises(ClientError) as caught:
        fields_of_query(request({name: value}))
    assert (caught.value.text, caught.value.status) == (text, 400)


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("", b"[1]", [1]),
        ("text/plain2", b"1", 1),
        ("TEXT/PLAIN ; format=flowed; Charset=utf8", b"1", "1"),
        ("text/plain; charset=", b"\xff", None),
    ],
)
def test_the_type_of_a_body_says_whether_it_is_a_text(
    content_type: str, body: bytes, value: Any
) -> None:
    asked = request(body=body, content_type=content_type)
    if value is None:
        with pytest.raises(ClientError) as caught:
            value_of_body(asked.body, asked.content_type)
        assert caught.value.status == 415
    else:
        assert value_of_body(asked.body, asked.content_type) == value


def test_a_body_that_is_missing_is_411() -> None:
    with pytest.raises(ClientError) as caught:
        value_of_body(None, "")
    assert caught.value.status == 411


def test_a_media_type_is_compared_without_its_parameters() -> None:
    assert media_type_of(" Application/JSON ; charset=x") == "application/json"


def test_a_place_is_checked_as_that_of_an_operation() -> None:
    assert place_of("k", {}) == ("", "k", "", ())
    assert place_of("k", {"ns": "n", "path": "/a~1b/0"}) == ("n", "k", "/a~1b/0", ("a/b", "0"))
    for key, fields in (("", {}), ("k", {"path": "a"}), ("k", {"ns": "\n"}), ("k", {"path": 1})):
        with pytest.raises(ClientError):
            place_of(key, fields)


def test_a_part_is_read_of_values_that_may_be_taken_apart() -> None:
    entry = Entry("", "k", b'{"a":[null,1.0]}', None, 1)
    assert part_of(entry, ()) == entry.value
    assert part_of(entry, ("a", "1")) == b"1.0"
    assert part_of(entry, ("a", "0")) == b"null"
    assert part_of(entry, ("a", "2")) is None
    large = Entry("", "k", b'{"a":"%b"}' % (b"x" * PARTIAL_BYTES_MAX), None, 1)
    assert part_of(large, ()) == large.value
    with pytest.raises(TooLargeError):
        part_of(large, ("a",))


def test_the_error_for_another_patch_says_which_there_are() -> None:
    assert UnsupportedPatchError().headers["Accept-Patch"].split(", ")[0] == (
        "application/merge-patch+json"
    )
    assert ClientError("other").headers == {}
