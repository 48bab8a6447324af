"""What docs/asyncapi.json says of the server's messages; every test that hears one checks it."""

import json
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from tests.support.documents import ROOT

DOCUMENT = ROOT / "docs" / "asyncapi.json"


@cache
def document() -> Any:
    """The description."""
    return json.loads(DOCUMENT.read_text("utf-8"))


def check_message(message: Any) -> None:
    """One message of the server must have exactly one of the forms that are described."""
    errors = [error.message for error in _server_validator().iter_errors(message)]
    assert not errors, f"not as docs/asyncapi.json says: {message}: {errors}"


@cache
def validator_of(*names: str) -> Draft202012Validator:
    """Of the messages of these names."""
    forms = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return Draft202012Validator({**document(), "oneOf": forms})


@cache
def _server_validator() -> Draft202012Validator:
    sent = document()["operations"]["answer"]["messages"]
    return validator_of(*(reference["$ref"].rpartition("/")[2] for reference in sent))
