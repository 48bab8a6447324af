"""The HTTP interface as an OpenAPI 3.1 document, served at ``/openapi.json``.

The contract decides what it says; a test holds its paths against `Routes`. What programs ask is in
it, the files of the test page and of the browser client are not.
"""

from typing import Any

import orjson

from dunena import NAME, __version__
from dunena.server.http.message import Response
from dunena.store.limits import KEY_BYTES_MAX, PAGE_KEYS_MAX

_Json = dict[str, Any]

_STRING: _Json = {"type": "string"}
_BOOLEAN: _Json = {"type": "boolean"}
_COUNT: _Json = {"type": "integer", "minimum": 0}
_OBJECT: _Json = {"type": "object"}
_ASCII_NAME: _Json = {"type": "string", "pattern": f"^[ -~]{{1,{KEY_BYTES_MAX}}}$"}
"""A key or namespace of the dunena dialect."""
_NAME: _Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": KEY_BYTES_MAX,
    "description": f"At most {KEY_BYTES_MAX} bytes of UTF-8, without control characters.",
}
_NS: _Json = {**_NAME, "type": ["string", "null"], "minLength": 0}
"""A namespace in a body, where null and an empty one are none."""
_ASCII_NS: _Json = {"type": ["string", "null"], "pattern": f"^[ -~]{{0,{KEY_BYTES_MAX}}}$"}
_TTL: _Json = {
    "type": ["integer", "null"],
    "minimum": 0,
    "description": "ms; 0 for no expiry, null as if it were not there",
}
_DURABLE: _Json = {"type": ["boolean", "null"]}
_ERROR: _Json = {"$ref": "#/components/schemas/Error"}


def document() -> Response:
    """The response to ``GET /openapi.json``."""
    return Response(200, orjson.dumps(_document()))


def _document() -> _Json:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": NAME,
            "version": __version__,
            "description": "A realtime JSON store. docs/asyncapi.json describes its WebSocket.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": _object_store() | _cache() | _looking() | _serving(),
        "components": {
            "schemas": {"Error": _fields(error=_STRING)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # The token is wanted only where the server was started with one.
        "security": [{}, {"token": []}],
    }


def _object_store() -> _Json:
    value = _fields(key=_STRING, value={}, optional={"ns": _STRING})
    body = _fields(
        key=_NAME,
        value={},
        optional={"ns": _NS, "ttl": _TTL, "durable": _DURABLE, "ifRev": _COUNT},
    )
    return {
        "/get/{key}": {
            "parameters": [_key(_NAME)],
            "get": _operation("A key's value, null if it has none", value, [_ns(_NAME)]),
        },
        "/set": {"post": _operation("Set a key to any JSON value", value, body=body)},
    }


def _cache() -> _Json:
    entry = {"key": _ASCII_NAME, "value": _STRING}
    write = _fields(value=_STRING, optional={"ttl": _TTL, "ns": _ASCII_NS, "durable": _DURABLE})
    mget = _fields(
        action={"const": "mget"},
        keys={"type": "array", "items": _ASCII_NAME},
        optional={"ns": _ASCII_NS},
    )
    mset = _fields(
        action={"const": "mset"},
        entries={"type": "array", "items": _fields(**entry, optional={"ttl": _TTL})},
        optional={"ns": _ASCII_NS, "durable": _DURABLE},
    )
    text = {"type": ["string", "null"]}
    results = _fields(result={"type": "object", "additionalProperties": text})
    read = _operation("A key's value as text", _fields(key=_STRING, value=_STRING))
    stored = _operation("Set a key to a text", _fields(ok=_BOOLEAN), body=write, status="201")
    return {
        "/cache/{key}": {
            "parameters": [_key(_ASCII_NAME), _ns(_ASCII_NAME)],
            "get": read,
            "post": stored,
            "delete": _operation("Remove a key", _fields(deleted=_BOOLEAN), [_query("durable")]),
        },
        "/cache": {
            "post": _operation(
                "Read or set several keys",
                {"anyOf": [results, _fields(stored=_COUNT)]},
                body={"oneOf": [mget, mset]},
            )
        },
        "/keys": {
            "get": _operation(
                "Names of keys, in order; cursor 0 at the end",
                _fields(cursor=_COUNT, keys={"type": "array", "items": _STRING}),
                [_query("pattern"), _ns(_NAME), _number("cursor"), _number("count", minimum=1)],
            )
        },
        "/flush": {"post": _operation("Remove everything", _fields(flushed=_BOOLEAN))},
    }


def _looking() -> _Json:
    entry = {"type": "object", "required": ["key", "size", "revision", "expiresAt"]}
    entries = {"type": "array", "items": entry}
    page = [_query("pattern"), _number("offset"), _number("count", minimum=1)]
    order = {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"]}}
    keys = {"type": "array", "items": _NAME, "maxItems": PAGE_KEYS_MAX}
    return {
        "/entries": {
            "get": _operation(
                "Entries of a namespace, page by page",
                _fields(entries=entries, revision=_COUNT, timestamp=_COUNT),
                [*page, _ns(_NAME), order],
            ),
            "post": _operation(
                "Those of the keys named that exist",
                _fields(entries=entries, revision=_COUNT, timestamp=_COUNT),
                body=_fields(keys=keys, optional={"ns": _NS}),
            ),
        },
        "/entries/{key}": {
            "parameters": [_key(_NAME), _ns(_NAME)],
            "get": _operation(
                "One entry with its value",
                _fields(timestamp=_COUNT, entry={"type": ["object", "null"]}),
            ),
            "delete": _operation("Remove a key", _fields(deleted=_BOOLEAN), [_query("durable")]),
        },
        "/namespaces": {
            "get": _operation(
                "Namespaces and how many keys each has",
                _fields(total=_COUNT, offset=_COUNT, namespaces={"type": "array"}),
                page,
            )
        },
        "/stats": {"get": _operation("Counters", _fields(cache=_OBJECT, latency=_OBJECT))},
        "/info": {
            "get": _operation(
                "What this server is",
                _fields(name=_STRING, version=_STRING, entries=_COUNT, uptime=_COUNT),
            )
        },
        "/server": {
            "get": _operation(
                "Addresses and connections", _fields(port=_COUNT, connections=_OBJECT)
            )
        },
        "/metrics": {
            "get": {
                "summary": "All counters for Prometheus",
                "responses": {"200": {"description": "Done", "content": {"text/plain": {}}}}
                | _refusals(),
            }
        },
    }


def _serving() -> _Json:
    health = _fields(status=_STRING, optional={"checks": _OBJECT, "uptime": _COUNT})
    status = _fields(status=_STRING)
    upgrade = {"426": _response("Asked without an upgrade", _ERROR)}
    return {
        "/ws": {
            "get": {"summary": "The WebSocket", "responses": upgrade | _refusals()},
        },
        "/health": {"get": _operation("Every check", health, failing=health)},
        "/health/live": {"get": _operation("The process answers", status)},
        "/health/ready": {"get": _operation("Changes are stored", status, failing=status)},
        "/openapi.json": {"get": _operation("This document", _OBJECT)},
    }


# --- parts ---


def _operation(
    summary: str,
    result: _Json,
    parameters: list[_Json] | None = None,
    *,
    body: _Json | None = None,
    status: str = "200",
    failing: _Json | None = None,
) -> _Json:
    operation: _Json = {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {status: _response("Done", result)} | _refusals(),
    }
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
        operation["responses"]["507"] = _response("It could not be stored", _ERROR)
    if failing is not None:
        operation["responses"]["503"] = _response("Something is wrong", failing)
    return operation


def _refusals() -> _Json:
    return {"4XX": _response("Refused", _ERROR)}


def _response(description: str, schema: _Json) -> _Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _fields(*, optional: _Json | None = None, **required: _Json) -> _Json:
    """The schema of an object."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
    }


def _key(schema: _Json) -> _Json:
    return {"name": "key", "in": "path", "required": True, "schema": schema}


def _ns(schema: _Json) -> _Json:
    """A namespace in a query, where an empty one is none."""
    return {"name": "ns", "in": "query", "schema": {"anyOf": [{"const": ""}, schema]}}


def _query(name: str) -> _Json:
    return {"name": name, "in": "query", "schema": _STRING}


def _number(name: str, minimum: int = 0) -> _Json:
    schema = {**_COUNT, "minimum": minimum, "maximum": 10**15 - 1}
    return {"name": name, "in": "query", "schema": schema}
