"""The OpenAPI 3.1 document of the HTTP interface, served at ``/openapi.json``.

It is made from `dunena.server.route_table` and from the schemas here, which that table names. It
describes the requests of programs, not the files of the test page and of the browser client.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from dunena import NAME, __version__
from dunena.qr_code import TEXT_BYTES_MAX as QR_BYTES_MAX
from dunena.server.http.message import Response
from dunena.server.route import Access, Route
from dunena.store.limits import (
    IDEMPOTENCY_KEY_CHARS_MAX,
    KEY_BYTES_MAX,
    OPERATIONS_MAX,
    PAGE_KEYS_MAX,
    SEARCH_CHARS_MAX,
)
from dunena.templates.catalogue import TEMPLATES
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


_CONTENTS: dict[str, _Json] = {
    "Picture": {"image/svg+xml": {}},
    "Metrics": {"text/plain": {}},
    "Zip": {"application/zip": {"schema": {"contentMediaType": "application/zip"}}},
    "ZipToSend": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    "Shown": {
        "application/json": {"schema": {}},
        "text/plain": {"schema": _STRING},
        "text/csv": {"schema": _STRING},
    },
    "ShownList": {
        "application/json": {"schema": {"type": ["object", "array"]}},
        "text/csv": {"schema": _STRING},
    },
    "AnyValue": {"application/json": {"schema": {}}, "text/plain": {"schema": _STRING}},
    "Patch": {
        "application/merge-patch+json": {"schema": {}},
        "application/json": {"schema": {}},
        "application/json-patch+json": {"schema": {"type": "array", "items": _OBJECT}},
    },
}
"""Bodies that are not only JSON, by name: their media types."""

_ALSO_EVENTS = "Update"
"""Name of the answer that is also sent as a stream of events."""

_SAID_BY_STATUS = {
    200: "Done",
    201: "Made",
    204: "Done",
    304: "The same as before",
    404: "It is not there",
    409: "It cannot be done at present, or something of that name is there already",
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
            "schemas": {"Error": _fields(error=_STRING, optional={"code": _STRING})},
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
        "responses": responses | {"4XX": {"description": "Refused", "content": _body("Error")}},
    }
    if route.request:
        operation["requestBody"] = {"required": True, "content": _body(route.request)}
    if route.access is Access.PUBLIC:
        operation["security"] = []
    elif route.rights:
        # Roles in the sense of OpenAPI, of which one is enough.
        operation["security"] = [{}, *({"token": [right.value]} for right in route.rights)]
    return operation


def _response(status: int, name: str) -> _Json:
    described: _Json = {"description": _SAID_BY_STATUS[status]}
    return described | ({"content": _body(name)} if name else {})


def _body(name: str) -> _Json:
    """Make the content of a body by the name of its schema."""
    content = _CONTENTS.get(name) or {"application/json": {"schema": _SCHEMAS[name]}}
    return content | {"text/event-stream": {}} if name == _ALSO_EVENTS else content


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


def _header(name: str, schema: _Json) -> _Json:
    return {"name": name, "in": "header", "schema": schema}


def _number(name: str, minimum: int = 0) -> _Json:
    return _query(name, {**_COUNT, "minimum": minimum, "maximum": 10**15 - 1})


_TAGS: _Json = {
    "type": "string",
    "pattern": r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$',
    "description": "* or a list of entity tags (RFC 9110, 13.1).",
}

_PARAMETERS: dict[str, _Json] = {
    "key": _key(_NAME),
    "ascii key": _key(_ASCII_NAME),
    "channel": _key(_NAME, "channel"),
    "ns": _ns(_NAME),
    "ascii ns": _ns(_ASCII_NAME),
    "pattern": _query("pattern", _STRING),
    "durable": _query("durable", _STRING),
    "pages": _query("pages", {"enum": ["true", "false"]}),
    "mode": _query("mode", {"enum": ["replace", "merge"]}),
    "batches": _query(
        "batches", {"enum": ["true", "false"], "description": "Add the bodies for /txn."}
    ),
    "order": _query("order", {"enum": ["asc", "desc"]}),
    "cursor": _number("cursor"),
    "cursor of search": _query("cursor", _STRING),
    "q": {
        **_query("q", {**_STRING, "minLength": 1, "maxLength": SEARCH_CHARS_MAX}),
        "required": True,
    },
    "offset": _number("offset"),
    "count": _number("count", minimum=1),
    "path": _query("path", {**_STRING, "description": "A JSON Pointer (RFC 6901)."}),
    "format": _query("format", {"enum": ["json", "text", "rows", "csv"]}),
    "format of list": _query("format", {"enum": ["json", "rows", "csv"]}),
    "format of stream": _query("format", {"enum": ["value"]}),
    "one key": _query("key", _NAME),
    "one channel": _query("channel", _NAME),
    "keys": _query(
        "keys", {**_STRING, "description": "Separated by commas, or one in each parameter."}
    ),
    "maxRate": _query("maxRate", {"type": "number", "minimum": RATE_MIN, "maximum": RATE_MAX}),
    "since": _query("since", {**_STRING, "description": "<epoch>-<rev>"}),
    "rev": _query("rev", {**_STRING, "description": "<epoch>-<rev>, or 0 for a missing key"}),
    "wait": _query(
        "wait", {"type": "number", "minimum": WAIT_SECONDS_MIN, "maximum": WAIT_SECONDS_MAX}
    ),
    "ttl": _number("ttl"),
    "then": _query("then", {**_STRING, "description": "JSON that is merged in when the ttl ends."}),
    "limit": _number("limit", minimum=1),
    "text": _query("text", {**_STRING, "minLength": 1, "maxLength": QR_BYTES_MAX})
    | {"required": True},
    "If-Match": _header("If-Match", _TAGS),
    "If-None-Match": _header("If-None-Match", _TAGS),
    "Idempotency-Key": _header(
        "Idempotency-Key",
        {"type": "string", "pattern": f"^[!-~]{{1,{IDEMPOTENCY_KEY_CHARS_MAX}}}$"},
    ),
}

_MGET = _fields(action={"const": "mget"}, keys=_list_of(_ASCII_NAME), optional={"ns": _ASCII_NS})
_MSET = _fields(
    action={"const": "mset"},
    entries=_list_of(_fields(key=_ASCII_NAME, value=_STRING, optional={"ttl": _TTL})),
    optional={"ns": _ASCII_NS, "durable": _DURABLE},
)
_TEXTS: _Json = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
_OPERATION = _fields(
    op={"enum": [
        "set", "delete", "merge", "patch", "incr", "append", "touch", "timer", "revert"
    ]},
    optional={
        "ns": _NS,
        "path": {"type": ["string", "null"]},
        "ttl": _TTL,
        "durable": _DURABLE,
        "return": {"type": ["boolean", "null"]},
        "ifRev": {"type": ["integer", "null"], "minimum": 0},
        "value": {},
    },
)  # fmt: skip
_KEYED_OPERATION: _Json = {
    **_OPERATION,
    "required": ["op", "key"],
    "properties": {**_OPERATION["properties"], "key": _NAME},
}
_MADE: _Json = _fields(
    template=_STRING, name=_STRING, title=_STRING, text=_STRING, isMade=_BOOLEAN, pages=_OBJECT
)
_PATH: _Json = {
    "type": ["string", "null"],
    "pattern": "^/",
    "description": "Of this server, as in an address.",
}
_LISTED: _Json = {"type": "object", "required": ["key", "size", "revision", "expiresAt"]}

_SCHEMAS: dict[str, _Json] = {
    "Error": {"$ref": "#/components/schemas/Error"},
    "Object": _OBJECT,
    # --- bodies of requests ---
    "ValueToSet": _fields(
        key=_NAME,
        value={},
        optional={"ns": _NS, "ttl": _TTL, "durable": _DURABLE, "ifRev": _COUNT},
    ),
    "TextToSet": _fields(
        value=_STRING, optional={"ttl": _TTL, "ns": _ASCII_NS, "durable": _DURABLE}
    ),
    "Batch": {"oneOf": [_MGET, _MSET]},
    "Operation": _OPERATION,
    "Transaction": _fields(
        ops={"type": "array", "items": _KEYED_OPERATION, "maxItems": OPERATIONS_MAX},
        optional={"ns": _NS, "durable": _DURABLE},
    ),
    "KeysToFind": _fields(
        keys={"type": "array", "items": _NAME, "maxItems": PAGE_KEYS_MAX}, optional={"ns": _NS}
    ),
    "PagesToMake": _fields(
        template={"enum": list(TEMPLATES)}, optional={"name": {"type": "string"}}
    ),
    "PageToOpen": _fields(optional={"page": _PATH, "token": {"type": ["string", "null"]}}),
    # --- answers ---
    "Value": _fields(key=_STRING, value={}, optional={"ns": _STRING}),
    "Text": _fields(key=_STRING, value=_STRING),
    "Any": {},
    "Operated": _fields(key=_STRING, epoch=_STRING, optional={"rev": _COUNT}),
    "Transacted": _fields(rev=_COUNT, epoch=_STRING, results=_list_of(_OBJECT)),
    "History": _fields(key=_STRING, rev=_COUNT, epoch=_STRING, entries=_list_of(_OBJECT)),
    "Stored": _fields(ok=_BOOLEAN),
    "Deleted": _fields(deleted=_BOOLEAN),
    "Flushed": _fields(flushed=_BOOLEAN),
    "BatchResult": {"anyOf": [_fields(result=_TEXTS), _fields(stored=_COUNT)]},
    "Keys": _fields(cursor=_COUNT, keys=_list_of(_STRING)),
    "Entries": _fields(entries=_list_of(_LISTED), revision=_COUNT, timestamp=_COUNT),
    "Found": _fields(
        searched=_COUNT,
        cursor={"type": ["string", "null"]},
        revision=_COUNT,
        timestamp=_COUNT,
        entries=_list_of({**_LISTED, "required": ["ns", *_LISTED["required"], "match"]}),
    ),
    "Entry": _fields(timestamp=_COUNT, entry={"type": ["object", "null"]}),
    "Namespaces": _fields(total=_COUNT, offset=_COUNT, namespaces={"type": "array"}),
    "Update": _fields(
        epoch=_STRING,
        rev=_COUNT,
        changes=_list_of(_fields(key=_STRING, rev=_COUNT, optional={"event": _STRING})),
        optional={"reset": _BOOLEAN},
    ),
    "Templates": _fields(templates=_list_of(_MADE), mayMake=_BOOLEAN, optional={"folder": {}}),
    "MadePages": _MADE,
    "Pages": _fields(folder={}, problem={}, pages=_list_of(_OBJECT), hasMore=_BOOLEAN),
    "Invitable": _fields(
        tokens=_list_of(_fields(name=_STRING, rights=_list_of(_STRING))), urls=_list_of(_STRING)
    ),
    "Invite": _fields(
        path=_STRING, urls=_list_of(_STRING), page=_STRING, token=_STRING, seconds=_COUNT
    ),
    "Comparison": _fields(
        madeAt=_COUNT,
        dunena=_STRING,
        keys=_COUNT,
        pages=_COUNT,
        new=_COUNT,
        changed=_COUNT,
        same=_COUNT,
        deleted=_COUNT,
        kept=_COUNT,
        expired=_COUNT,
        optional={"batches": _list_of(_STRING)},
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
