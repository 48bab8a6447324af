"""The promises of the WebSocket: its dialects, their messages, the fields and values in these."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dunena.dialects.dialect import Dialect
from dunena.dialects.ops.operation import fields_of
from dunena.hub import CACHE_EVENTS
from dunena.server.websocket.closing import SESSION_RESUMED
from surfacekit.facts import PART, Surface, values_of
from surfacekit.schemas import Reader


def surface(description: Path) -> Surface:
    """Return the promises of an AsyncAPI document, and those that stand in the code alone."""
    document = json.loads(description.read_text("utf-8"))
    dialects = [kind.value for kind in Dialect]
    found: Surface = {"subprotocol": {}, "query protocol": {}, "channel": {}, "close code": {}}
    found |= values_of("query protocol", dialects)
    found |= values_of("subprotocol", [name for name in dialects if name != Dialect.AUTO.value])
    found |= values_of("channel", [CACHE_EVENTS])
    found |= values_of("close code", [SESSION_RESUMED])
    for operation, names in fields_of().items():
        found[f"op {operation}"] = {}
        found |= {f"op {operation}{PART}{name}": {} for name in names}
    for operation in document["operations"].values():
        address = _found(document, operation["channel"])["address"]
        is_given = operation["action"] == "receive"
        reader = Reader(document["components"]["schemas"], is_given=is_given)
        for message in operation["messages"]:
            name = message["$ref"].rpartition("/")[2]
            payload = _found(document, _found(document, _found(document, message)))["payload"]
            found[f"{address}{PART}{name}"] = {"sent by": "clients" if is_given else "the server"}
            found |= reader.read(name, payload, is_required=False)
    return found


def _found(document: Mapping[str, Any], reference: Mapping[str, Any]) -> Any:
    """Return what a ``$ref`` names; anything else is what it is."""
    if "$ref" not in reference:
        return reference
    place: Any = document
    for part in reference["$ref"].removeprefix("#/").split("/"):
        place = place[part]
    return place
