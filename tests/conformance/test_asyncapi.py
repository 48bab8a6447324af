"""docs/asyncapi.json: complete references, strict schemas, and exactly the existing messages.

What the server says is held to it wherever the tests of the protocols hear it.
"""

from typing import Any

import pytest

from dunena.dialects import dunena, object_store
from tests.support.described import check_message, document, validator_of


def references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for item in part for found in references(item)]
    if isinstance(part, dict):
        here = [part["$ref"]] if "$ref" in part else []
        return here + [found for item in part.values() for found in references(item)]
    return []


def test_every_reference_in_the_document_resolves() -> None:
    assert references(document())
    for reference in references(document()):
        part = document()
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_the_document_lists_every_request_type_and_action() -> None:
    schemas = document()["components"]["schemas"]
    assert set(schemas["request"]["properties"]["type"]["enum"]) == set(dunena._HANDLERS)
    assert set(schemas["action"]["properties"]["action"]["enum"]) == set(object_store._HANDLERS)


@pytest.mark.parametrize(
    "message",
    [
        {"key": "k", "value": 1, "more": 1},
        {"type": "result", "data": {"key": "k"}, "timestamp": 1},
        {"type": "pong"},
        {"type": "pong", "timestamp": "1"},
        {"channel": "cache", "event": "other", "data": {}, "timestamp": 1},
        {"key": "k"},
        [],
    ],
)
def test_the_document_rejects_invalid_messages(message: Any) -> None:
    with pytest.raises(AssertionError):
        check_message(message)


def test_the_document_accepts_documented_requests() -> None:
    assert validator_of("request").is_valid({"type": "set", "key": "k", "value": "v", "ttl": 5})
    assert validator_of("action").is_valid({"action": "set", "key": "k", "value": {"x": [1]}})


@pytest.mark.parametrize("unset", [{"ttl": None}, {"ns": None}, {"ns": ""}, {"ttl": 60000.0}])
def test_the_document_accepts_unset_fields_of_typed_clients(unset: dict[str, Any]) -> None:
    assert validator_of("request").is_valid({"type": "set", "key": "k", "value": "v", **unset})
    assert validator_of("action").is_valid({"action": "set", "key": "k", "value": 1, **unset})
    bad = dict.fromkeys(unset, 1.5)
    assert not validator_of("action").is_valid({"action": "set", "key": "k", "value": 1, **bad})
