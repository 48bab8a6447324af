"""The OpenAPI 3.1 document of the HTTP interface, served at ``/openapi.json``.

It is made from `dunena.server.route_table` and from the schemas here, which that table names. It
describes the requests of programs, not the files of the test page and of the browser client.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from dunena import NAME, __version__
from dunena.server.http.message import Response
from dunena.server.route import Access, Route
from dunena.store.limits import KEY_BYTES_MAX, PAGE_KEYS_MAX
from dunena.watches.limits import RATE_MAX, RATE_MIN, WAIT_SECONDS_MAX, WAIT_SECONDS_MIN

_Json = dict[str, Any]

_STRING: _Json = {"type": "string"}
_BOOLEAN: _Json = {"type": "boolean"}
_COUNT: _Json = {"type": "integer", "minimum": 0}
_OBJECT: _Json = {"type": "object"}
_ASCII_NAME: _Json = {"type": "string", "pattern": f"^[ -~]{{1,{KEY_BYTES_MAX}}}$"}
"""Schema of a key or namespace of the dunena dialect."""
_NAME: _Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": KEY_BYTES_MAX,
    "description": f"At most {KEY_BYTES_MAX} bytes of UTF-8, without control characters.",
}
_NS: _Json = {**_NAME, "type": ["string", "null"], "minLength": 0}
"""Schema of a namespace in a body, where null and "" stand for none."""
_ASCII_NS: _Json = {"type": ["string", "null"], "pattern": f"^[ -~]{{0,{KEY_BYTES_MAX}}}$"}
_TTL: _Json = {
    "type": ["integer", "null"],
    "minimum": 0,
    "description": "ms; 0 for no expiry, null as if it were not there",
}
_DURABLE: _Json = {"type": ["boolean", "null"]}


_TEXT = "Metrics"
"""Name of the answer that is no JSON."""

_EVENTS = "Update"
"""Name of the answer that is also sent as a stream of events."""

_SAID_BY_STATUS = {
    200: "Done",
    201: "Done",
    204: "Nothing",
    426: "Asked without an upgrade",
    503: "Something is wrong",
    507: "It could not be stored",
}


def respond(routes: Sequence[Route]) -> Response:
    """Answer ``GET /openapi.json`` with the document of ``routes``."""
    return Response(200, orjson.dumps(describe(routes)))


def describe(routes: Sequence[Route]) -> _Json:
    """Make the document of the routes that have a summary."""
    by_path: dict[str, list[Route]] = {}
    for route in routes:
        if route.summary:
            by_path.setdefault(route.path, []).append(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": NAME,
            "version": __version__,
            "description": "A realtime JSON store. docs/asyncapi.json describes its WebSocket.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {path: _path(found) for path, found in by_path.items()},
        "components": {
            "schemas": {"Error": _fields(error=_STRING)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # A token is needed only if the server has one.
        "security": [{}, {"token": []}],
    }


def _path(routes: list[Route]) -> _Json:
    """Make the item of one path: its methods, and the parameters that all of them share."""
    shared = [
        name
        for name in routes[0].parameters
        if _PARAMETERS[name]["in"] == "path"
        or (len(routes) > 1 and all(name in route.parameters for route in routes))
    ]
    path: _Json = {"parameters": [_PARAMETERS[name] for name in shared]} if shared else {}
    for route in routes:
        own = [_PARAMETERS[name] for name in route.parameters if name not in shared]
        path[route.method.lower()] = _operation(route, own)
    return path


def _operation(route: Route, parameters: list[_Json]) -> _Json:
    responses = {str(status): _response(status, name) for status, name in route.responses.items()}
    operation: _Json = {
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses | {"4XX": _content("Refused", _SCHEMAS["Error"])},
    }
    if route.request:
        body = {"application/json": {"schema": _SCHEMAS[route.request]}}
        operation["requestBody"] = {"required": True, "content": body}
    if route.access is Access.PUBLIC:
        operation["security"] = []
    elif route.rights:
        # Roles in the sense of OpenAPI, of which one is enough.
        operation["security"] = [{}, *({"token": [right.value]} for right in route.rights)]
    return operation


def _response(status: int, name: str) -> _Json:
    said: _Json = {"description": _SAID_BY_STATUS[status]}
    if not name:
        return said
    if name == _TEXT:
        return said | {"content": {"text/plain": {}}}
    described = _content(_SAID_BY_STATUS[status], _SCHEMAS[name])
    if name == _EVENTS:
        described["content"]["text/event-stream"] = {}
    return described


def _content(description: str, schema: _Json) -> _Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _fields(*, optional: _Json | None = None, **required: _Json) -> _Json:
    """Make the schema of an object with required and optional members."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
    }


def _list_of(items: _Json) -> _Json:
    return {"type": "array", "items": items}


def _key(schema: _Json, name: str = "key") -> _Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _ns(schema: _Json) -> _Json:
    """Make the parameter of a namespace in a query, where "" stands for none."""
    return _query("ns", {"anyOf": [{"const": ""}, schema]})


def _query(name: str, schema: _Json) -> _Json:
    return {"name": name, "in": "query", "schema": schema}


def _number(name: str, minimum: int = 0) -> _Json:
    return _query(name, {**_COUNT, "minimum": minimum, "maximum": 10**15 - 1})


_PARAMETERS: dict[str, _Json] = {
    "key": _key(_NAME),
    "ascii key": _key(_ASCII_NAME),
    "channel": _key(_NAME, "channel"),
    "ns": _ns(_NAME),
    "ascii ns": _ns(_ASCII_NAME),
    "pattern": _query("pattern", _STRING),
    "durable": _query("durable", _STRING),
    "order": _query("order", {"enum": ["asc", "desc"]}),
    "cursor": _number("cursor"),
    "offset": _number("offset"),
    "count": _number("count", minimum=1),
    "one key": _query("key", _NAME),
    "one channel": _query("channel", _NAME),
    "keys": _query(
        "keys", {"type": "string", "description": "separated by commas, or one a parameter"}
    ),
    "path": _query("path", {"type": "string", "description": "JSON Pointer"}),
    "maxRate": _query("maxRate", {"type": "number", "minimum": RATE_MIN, "maximum": RATE_MAX}),
    "since": _query("since", {"type": "string", "description": "<epoch>-<rev>"}),
    "format": _query("format", {"enum": ["value"]}),
    "wait": _query(
        "wait",
        {
            "type": "number",
            "minimum": WAIT_SECONDS_MIN,
            "maximum": WAIT_SECONDS_MAX,
            "description": "seconds; without it the answer is a stream",
        },
    ),
}

_MGET = _fields(action={"const": "mget"}, keys=_list_of(_ASCII_NAME), optional={"ns": _ASCII_NS})
_MSET = _fields(
    action={"const": "mset"},
    entries=_list_of(_fields(key=_ASCII_NAME, value=_STRING, optional={"ttl": _TTL})),
    optional={"ns": _ASCII_NS, "durable": _DURABLE},
)
_TEXTS: _Json = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
_LISTED: _Json = {"type": "object", "required": ["key", "size", "revision", "expiresAt"]}

_SCHEMAS: dict[str, _Json] = {
    "Error": {"$ref": "#/components/schemas/Error"},
    "Object": _OBJECT,
    # --- bodies of requests ---
    "AnyValue": {},
    "ValueToSet": _fields(
        key=_NAME,
        value={},
        optional={"ns": _NS, "ttl": _TTL, "durable": _DURABLE, "ifRev": _COUNT},
    ),
    "TextToSet": _fields(
        value=_STRING, optional={"ttl": _TTL, "ns": _ASCII_NS, "durable": _DURABLE}
    ),
    "Batch": {"oneOf": [_MGET, _MSET]},
    "KeysToFind": _fields(
        keys={"type": "array", "items": _NAME, "maxItems": PAGE_KEYS_MAX}, optional={"ns": _NS}
    ),
    # --- answers ---
    "Value": _fields(key=_STRING, value={}, optional={"ns": _STRING}),
    "Text": _fields(key=_STRING, value=_STRING),
    "Stored": _fields(ok=_BOOLEAN),
    "Deleted": _fields(deleted=_BOOLEAN),
    "Flushed": _fields(flushed=_BOOLEAN),
    "BatchResult": {"anyOf": [_fields(result=_TEXTS), _fields(stored=_COUNT)]},
    "Keys": _fields(cursor=_COUNT, keys=_list_of(_STRING)),
    "Entries": _fields(entries=_list_of(_LISTED), revision=_COUNT, timestamp=_COUNT),
    "Entry": _fields(timestamp=_COUNT, entry={"type": ["object", "null"]}),
    "Namespaces": _fields(total=_COUNT, offset=_COUNT, namespaces={"type": "array"}),
    "Update": _fields(
        epoch=_STRING,
        rev=_COUNT,
        changes=_list_of(_fields(key=_STRING, rev=_COUNT, optional={"event": _STRING})),
        optional={"reset": _BOOLEAN},
    ),
    "Stats": _fields(cache=_OBJECT, latency=_OBJECT),
    "Info": _fields(
        name=_STRING,
        version=_STRING,
        entries=_COUNT,
        revision=_COUNT,
        epoch=_STRING,
        uptime=_COUNT,
    ),
    "Server": _fields(port=_COUNT, connections=_OBJECT),
    "Health": _fields(status=_STRING, optional={"checks": _OBJECT, "uptime": _COUNT}),
    "Status": _fields(status=_STRING),
}
