"""The promises of the HTTP interface, from the table of routes and its OpenAPI document.

Requests that the document does not have are for the test page and for browsers alone, and are not
promised. `_OTHERS` and `_GET_WRITE` are promised and no routes of the table.
"""

from typing import Any

from dunena.dialects.get_writes import FIELDS as GET_WRITE_FIELDS
from dunena.server.http.message import GET_WRITES_PREFIX
from dunena.server.route import Access
from dunena.server.route_table import ROUTES
from dunena.server.static import client_files
from dunena.server.status.openapi import describe
from surfacekit.facts import PART, Surface
from surfacekit.schemas import Reader

_OTHERS = (
    client_files.MODULE_PATH,
    client_files.CLASSIC_PATH,
    client_files.TYPES_PATH,
    client_files.LOADER_PATH,
    "/test",
    "/www/{file}",
)
"""Paths of files."""

_GET_WRITE = f"GET {GET_WRITES_PREFIX}{{secret}}/{{op}}/{{key}}"

_ERROR = {"$ref": "#/components/schemas/Error"}


def surface() -> Surface:
    """Return the promises of all requests."""
    document = describe(ROUTES)
    found: Surface = {f"GET {path}": {} for path in _OTHERS}
    found[_GET_WRITE] = {}
    found |= {f"{_GET_WRITE}{PART}query {field}": {} for field in GET_WRITE_FIELDS}
    for route in ROUTES:
        if not route.summary:
            continue
        name = f"{route.method} {route.path}"
        path = document["paths"][route.path]
        operation = path[route.method.lower()]
        found[name] = {
            "rights": [right.value for right in route.rights],
            # Anybody may ask what is public; a token is one that a server without tokens ignores.
            "needs": "nothing" if route.access is Access.PUBLIC else "a token, if there are any",
            "errors": "error" if route.is_original else "error, code",
        }
        given = Reader(document["components"]["schemas"], is_given=True)
        for parameter in path.get("parameters", []) + operation["parameters"]:
            found |= given.read(
                f"{name}{PART}{parameter['in']} {parameter['name']}",
                parameter["schema"],
                is_required=parameter.get("required", False),
            )
        body = operation.get("requestBody", {}).get("content", {})
        if body:
            found[f"{name}{PART}body"] = {}
        found |= _bodies(f"{name}{PART}body", body, given)
        for status, answer in operation["responses"].items():
            place = f"{name}{PART}{status}"
            found[place] = {}
            answered = Reader(document["components"]["schemas"], is_given=False)
            found |= _bodies(place, answer.get("content", {}), answered)
    return found


def _bodies(name: str, content: dict[str, Any], reader: Reader) -> Surface:
    surface: Surface = {}
    for media_type, described in content.items():
        if described.get("schema") == _ERROR:
            continue  # its form is a fact of the request
        place = f"{name}{PART}{media_type}"
        # It is one of several types, of which the sender chooses.
        surface |= reader.read(place, described.get("schema", {}), is_required=not reader.is_given)
    return surface
