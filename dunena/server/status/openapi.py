"""The OpenAPI 3.1 document of the HTTP interface, served at ``/openapi.json``.

It is made from `dunena.server.route_table` and from the schemas here, which that table names. It
describes the requests of programs, not the files of the test page and of the browser client.
"""

from collections.abc import Sequence

import orjson

from dunena import NAME, __version__
from dunena.qr_code import TEXT_BYTES_MAX as QR_BYTES_MAX
from dunena.server.http.message import Response
from dunena.server.route import Access, Route
from dunena.server.status.json_schema import (
    BOOLEAN,
    COUNT,
    OBJECT,
    STRING,
    Schema,
    fields,
    list_of,
)
from dunena.server.status.status_schemas import HEALTH, INFO, STATS, STATUS
from dunena.store.limits import (
    IDEMPOTENCY_KEY_CHARS_MAX,
    KEY_BYTES_MAX,
    OPERATIONS_MAX,
    PAGE_KEYS_MAX,
    SEARCH_CHARS_MAX,
)
from dunena.templates.catalogue import TEMPLATES
from dunena.watches.limits import RATE_MAX, RATE_MIN, WAIT_SECONDS_MAX, WAIT_SECONDS_MIN

_ASCII_NAME: Schema = {"type": "string", "pattern": f"^[ -~]{{1,{KEY_BYTES_MAX}}}$"}
"""Schema of a key or namespace of the dunena dialect."""
_NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": KEY_BYTES_MAX,
    "description": f"At most {KEY_BYTES_MAX} bytes of UTF-8, without control characters.",
}
_NS: Schema = {**_NAME, "type": ["string", "null"], "minLength": 0}
"""Schema of a namespace in a body, where null and "" stand for none."""
_ASCII_NS: Schema = {"type": ["string", "null"], "pattern": f"^[ -~]{{0,{KEY_BYTES_MAX}}}$"}
_TTL: Schema = {
    "type": ["integer", "null"],
    "minimum": 0,
    "description": "ms; 0 for no expiry, null as if it were not there",
}
_DURABLE: Schema = {"type": ["boolean", "null"]}


_CONTENTS: dict[str, Schema] = {
    "Picture": {"image/svg+xml": {}},
    "Metrics": {"text/plain": {}},
    "Zip": {"application/zip": {"schema": {"contentMediaType": "application/zip"}}},
    "ZipToSend": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    "Shown": {
        "application/json": {"schema": {}},
        "text/plain": {"schema": STRING},
        "text/csv": {"schema": STRING},
    },
    "ShownList": {
        "application/json": {"schema": {"type": ["object", "array"]}},
        "text/csv": {"schema": STRING},
    },
    "AnyValue": {"application/json": {"schema": {}}, "text/plain": {"schema": STRING}},
    "Patch": {
        "application/merge-patch+json": {"schema": {}},
        "application/json": {"schema": {}},
        "application/json-patch+json": {"schema": {"type": "array", "items": OBJECT}},
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


def describe(routes: Sequence[Route]) -> Schema:
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
            "schemas": {"Error": fields(error=STRING, optional={"code": STRING})},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # A token is needed only if the server has one.
        "security": [{}, {"token": []}],
    }


def _path(routes: list[Route]) -> Schema:
    """Make the item of one path: its methods, and the parameters that all of them share."""
    shared = [
        name
        for name in routes[0].parameters
        if _PARAMETERS[name]["in"] == "path"
        or (len(routes) > 1 and all(name in route.parameters for route in routes))
    ]
    path: Schema = {"parameters": [_PARAMETERS[name] for name in shared]} if shared else {}
    for route in routes:
        own = [_PARAMETERS[name] for name in route.parameters if name not in shared]
        path[route.method.lower()] = _operation(route, own)
    return path


def _operation(route: Route, parameters: list[Schema]) -> Schema:
    responses = {str(status): _response(status, name) for status, name in route.responses.items()}
    operation: Schema = {
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


def _response(status: int, name: str) -> Schema:
    described: Schema = {"description": _SAID_BY_STATUS[status]}
    return described | ({"content": _body(name)} if name else {})


def _body(name: str) -> Schema:
    """Make the content of a body by the name of its schema."""
    content = _CONTENTS.get(name) or {"application/json": {"schema": _SCHEMAS[name]}}
    return content | {"text/event-stream": {}} if name == _ALSO_EVENTS else content


def _key(schema: Schema, name: str = "key") -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _ns(schema: Schema) -> Schema:
    """Make the parameter of a namespace in a query, where "" stands for none."""
    return _query("ns", {"anyOf": [{"const": ""}, schema]})


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _header(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "schema": schema}


def _number(name: str, minimum: int = 0) -> Schema:
    return _query(name, {**COUNT, "minimum": minimum, "maximum": 10**15 - 1})


_TAGS: Schema = {
    "type": "string",
    "pattern": r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$',
    "description": "* or a list of entity tags (RFC 9110, 13.1).",
}

_PARAMETERS: dict[str, Schema] = {
    "key": _key(_NAME),
    "ascii key": _key(_ASCII_NAME),
    "channel": _key(_NAME, "channel"),
    "ns": _ns(_NAME),
    "ascii ns": _ns(_ASCII_NAME),
    "pattern": _query("pattern", STRING),
    "durable": _query("durable", STRING),
    "pages": _query("pages", {"enum": ["true", "false"]}),
    "mode": _query("mode", {"enum": ["replace", "merge"]}),
    "batches": _query(
        "batches", {"enum": ["true", "false"], "description": "Add the bodies for /txn."}
    ),
    "order": _query("order", {"enum": ["asc", "desc"]}),
    "cursor": _number("cursor"),
    "cursor of search": _query("cursor", STRING),
    "q": {
        **_query("q", {**STRING, "minLength": 1, "maxLength": SEARCH_CHARS_MAX}),
        "required": True,
    },
    "offset": _number("offset"),
    "count": _number("count", minimum=1),
    "path": _query("path", {**STRING, "description": "A JSON Pointer (RFC 6901)."}),
    "format": _query("format", {"enum": ["json", "text", "rows", "csv"]}),
    "format of list": _query("format", {"enum": ["json", "rows", "csv"]}),
    "format of stream": _query("format", {"enum": ["value"]}),
    "one key": _query("key", _NAME),
    "one channel": _query("channel", _NAME),
    "keys": _query(
        "keys", {**STRING, "description": "Separated by commas, or one in each parameter."}
    ),
    "maxRate": _query("maxRate", {"type": "number", "minimum": RATE_MIN, "maximum": RATE_MAX}),
    "since": _query("since", {**STRING, "description": "<epoch>-<rev>"}),
    "rev": _query("rev", {**STRING, "description": "<epoch>-<rev>, or 0 for a missing key"}),
    "wait": _query(
        "wait", {"type": "number", "minimum": WAIT_SECONDS_MIN, "maximum": WAIT_SECONDS_MAX}
    ),
    "ttl": _number("ttl"),
    "then": _query("then", {**STRING, "description": "JSON that is merged in when the ttl ends."}),
    "limit": _number("limit", minimum=1),
    "text": _query("text", {**STRING, "minLength": 1, "maxLength": QR_BYTES_MAX})
    | {"required": True},
    "If-Match": _header("If-Match", _TAGS),
    "If-None-Match": _header("If-None-Match", _TAGS),
    "Idempotency-Key": _header(
        "Idempotency-Key",
        {"type": "string", "pattern": f"^[!-~]{{1,{IDEMPOTENCY_KEY_CHARS_MAX}}}$"},
    ),
}

_MGET = fields(action={"const": "mget"}, keys=list_of(_ASCII_NAME), optional={"ns": _ASCII_NS})
_MSET = fields(
    action={"const": "mset"},
    entries=list_of(fields(key=_ASCII_NAME, value=STRING, optional={"ttl": _TTL})),
    optional={"ns": _ASCII_NS, "durable": _DURABLE},
)
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
_OPERATION = fields(
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
_KEYED_OPERATION: Schema = {
    **_OPERATION,
    "required": ["op", "key"],
    "properties": {**_OPERATION["properties"], "key": _NAME},
}
_MADE: Schema = fields(
    template=STRING, name=STRING, title=STRING, text=STRING, isMade=BOOLEAN, pages=OBJECT
)
_PATH: Schema = {
    "type": ["string", "null"],
    "pattern": "^/",
    "description": "Of this server, as in an address.",
}
_LISTED: Schema = {"type": "object", "required": ["key", "size", "revision", "expiresAt"]}

_SCHEMAS: dict[str, Schema] = {
    "Error": {"$ref": "#/components/schemas/Error"},
    "Object": OBJECT,
    # --- bodies of requests ---
    "ValueToSet": fields(
        key=_NAME,
        value={},
        optional={"ns": _NS, "ttl": _TTL, "durable": _DURABLE, "ifRev": COUNT},
    ),
    "TextToSet": fields(value=STRING, optional={"ttl": _TTL, "ns": _ASCII_NS, "durable": _DURABLE}),
    "Batch": {"oneOf": [_MGET, _MSET]},
    "Operation": _OPERATION,
    "Transaction": fields(
        ops={"type": "array", "items": _KEYED_OPERATION, "maxItems": OPERATIONS_MAX},
        optional={"ns": _NS, "durable": _DURABLE},
    ),
    "KeysToFind": fields(
        keys={"type": "array", "items": _NAME, "maxItems": PAGE_KEYS_MAX}, optional={"ns": _NS}
    ),
    "PagesToMake": fields(
        template={"enum": list(TEMPLATES)}, optional={"name": {"type": "string"}}
    ),
    "PageToOpen": fields(optional={"page": _PATH, "token": {"type": ["string", "null"]}}),
    # --- answers ---
    "Value": fields(key=STRING, value={}, optional={"ns": STRING}),
    "Text": fields(key=STRING, value=STRING),
    "Any": {},
    "Operated": fields(key=STRING, epoch=STRING, optional={"rev": COUNT}),
    "Transacted": fields(rev=COUNT, epoch=STRING, results=list_of(OBJECT)),
    "History": fields(key=STRING, rev=COUNT, epoch=STRING, entries=list_of(OBJECT)),
    "Stored": fields(ok=BOOLEAN),
    "Deleted": fields(deleted=BOOLEAN),
    "Flushed": fields(flushed=BOOLEAN),
    "BatchResult": {"anyOf": [fields(result=_TEXTS), fields(stored=COUNT)]},
    "Keys": fields(cursor=COUNT, keys=list_of(STRING)),
    "Entries": fields(entries=list_of(_LISTED), revision=COUNT, timestamp=COUNT),
    "Found": fields(
        searched=COUNT,
        cursor={"type": ["string", "null"]},
        revision=COUNT,
        timestamp=COUNT,
        entries=list_of({**_LISTED, "required": ["ns", *_LISTED["required"], "match"]}),
    ),
    "Entry": fields(timestamp=COUNT, entry={"type": ["object", "null"]}),
    "Namespaces": fields(total=COUNT, offset=COUNT, namespaces={"type": "array"}),
    "Update": fields(
        epoch=STRING,
        rev=COUNT,
        changes=list_of(fields(key=STRING, rev=COUNT, optional={"event": STRING})),
        optional={"reset": BOOLEAN},
    ),
    "Templates": fields(templates=list_of(_MADE), mayMake=BOOLEAN, optional={"folder": {}}),
    "MadePages": _MADE,
    "Pages": fields(folder={}, problem={}, pages=list_of(OBJECT), hasMore=BOOLEAN),
    "Invitable": fields(
        tokens=list_of(fields(name=STRING, rights=list_of(STRING))), urls=list_of(STRING)
    ),
    "Invite": fields(path=STRING, urls=list_of(STRING), page=STRING, token=STRING, seconds=COUNT),
    "Comparison": fields(
        madeAt=COUNT,
        dunena=STRING,
        keys=COUNT,
        pages=COUNT,
        new=COUNT,
        changed=COUNT,
        same=COUNT,
        deleted=COUNT,
        kept=COUNT,
        expired=COUNT,
        optional={"batches": list_of(STRING)},
    ),
    "Stats": STATS,
    "Info": INFO,
    "Server": fields(port=COUNT, connections=OBJECT),
    "Health": HEALTH,
    "Status": STATUS,
}
