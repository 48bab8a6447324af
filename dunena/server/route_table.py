"""The table of routes: every request that each server answers, whatever its settings.

`dunena.server.routes` looks requests up in the table, `dunena.server.status.openapi` describes it.
Routes only name their schemas, which that module makes: a start does not need them.
"""

from dunena.dialects.grants import Right
from dunena.server.handlers import Handlers
from dunena.server.http.message import Request, Response
from dunena.server.route import Access, Route


def _describe(_handlers: Handlers, _request: Request, _now: int) -> Response:
    """Answer with the OpenAPI description of the interface."""
    from dunena.server.status import openapi  # imported here, as a start does not need it

    return openapi.respond(ROUTES)


_READ, _WRITE, _ADMIN = (Right.READ,), (Right.WRITE,), (Right.ADMIN,)
_UNSTORED = {507: "Error"}

ROUTES = (
    # --- the object store ---
    Route(
        "GET",
        "/get/{key}",
        Handlers.read_value,
        _READ,
        summary="A key's value, null if it has none",
        parameters=("key", "ns"),
        responses={200: "Value"},
    ),
    Route(
        "POST",
        "/set",
        Handlers.set_value,
        _WRITE,
        summary="Set a key to any JSON value",
        request="ValueToSet",
        responses={200: "Value"} | _UNSTORED,
    ),
    # --- the cache API ---
    Route(
        "GET",
        "/cache/{key}",
        Handlers.read_key,
        _READ,
        summary="A key's value as text",
        parameters=("ascii key", "ascii ns"),
        responses={200: "Text"},
    ),
    Route(
        "POST",
        "/cache/{key}",
        Handlers.write_key,
        _WRITE,
        summary="Set a key to a text",
        parameters=("ascii key", "ascii ns"),
        request="TextToSet",
        responses={201: "Stored"} | _UNSTORED,
    ),
    Route(
        "DELETE",
        "/cache/{key}",
        Handlers.delete_key,
        _WRITE,
        summary="Remove a key",
        parameters=("ascii key", "ascii ns", "durable"),
        responses={200: "Deleted"} | _UNSTORED,
    ),
    Route(
        "POST",
        "/cache",
        Handlers.batch,
        _READ + _WRITE,
        summary="Read or set several keys",
        request="Batch",
        responses={200: "BatchResult"} | _UNSTORED,
    ),
    Route(
        "GET",
        "/keys",
        Handlers.list_keys,
        summary="Names of keys, in order; cursor 0 at the end",
        parameters=("pattern", "ns", "cursor", "count"),
        responses={200: "Keys"},
    ),
    Route(
        "POST",
        "/flush",
        Handlers.flush,
        _ADMIN,
        summary="Remove everything",
        responses={200: "Flushed"} | _UNSTORED,
    ),
    # --- channels ---
    Route(
        "POST",
        "/publish/{channel}",
        Handlers.publish,
        _WRITE,
        summary="Send a message to a channel; text/plain is a text as it is",
        parameters=("channel",),
        request="AnyValue",
        responses={204: ""},
    ),
    # --- state that is followed ---
    Route(
        "GET",
        "/watch",
        Handlers.watch,
        summary="Updates of keys or messages of a channel, as events; with wait, one update",
        parameters=(
            "one key",
            "keys",
            "pattern",
            "one channel",
            "ns",
            "path",
            "maxRate",
            "since",
            "format",
            "wait",
        ),
        responses={200: "Update", 204: "", 503: "Error"},
    ),
    # --- for people who look ---
    Route(
        "GET",
        "/entries",
        Handlers.list_entries,
        summary="Entries of a namespace, page by page",
        parameters=("pattern", "offset", "count", "ns", "order"),
        responses={200: "Entries"},
    ),
    Route(
        "POST",
        "/entries",
        Handlers.find_entries,
        _READ,
        summary="Those of the keys named that exist",
        request="KeysToFind",
        responses={200: "Entries"},
    ),
    Route(
        "GET",
        "/entries/{key}",
        Handlers.read_entry,
        _READ,
        summary="One entry with its value",
        parameters=("key", "ns"),
        responses={200: "Entry"},
    ),
    Route(
        "DELETE",
        "/entries/{key}",
        Handlers.delete_entry,
        _WRITE,
        summary="Remove a key",
        parameters=("key", "ns", "durable"),
        responses={200: "Deleted"} | _UNSTORED,
    ),
    Route(
        "GET",
        "/namespaces",
        Handlers.list_namespaces,
        summary="Namespaces and how many keys each has",
        parameters=("pattern", "offset", "count"),
        responses={200: "Namespaces"},
    ),
    # --- about the server ---
    Route("GET", "/stats", Handlers.stats, summary="Counters", responses={200: "Stats"}),
    Route("GET", "/info", Handlers.info, summary="What this server is", responses={200: "Info"}),
    Route(
        "GET",
        "/server",
        Handlers.server,
        _ADMIN,
        summary="Addresses and connections",
        responses={200: "Server"},
    ),
    Route(
        "GET",
        "/metrics",
        Handlers.metrics,
        _ADMIN,
        summary="All counters for Prometheus",
        responses={200: "Metrics"},
    ),
    Route(
        "GET",
        "/ws",
        Handlers.upgrade_required,
        summary="The WebSocket",
        responses={426: "Error"},
    ),
    Route(
        "GET",
        "/health",
        Handlers.health,
        access=Access.PROBE,
        summary="Every check",
        responses={200: "Health", 503: "Health"},
    ),
    Route(
        "GET",
        "/health/live",
        Handlers.live,
        access=Access.PUBLIC,
        summary="The process answers",
        responses={200: "Status"},
    ),
    Route(
        "GET",
        "/health/ready",
        Handlers.ready,
        access=Access.PROBE,
        summary="Changes are stored",
        responses={200: "Status", 503: "Status"},
    ),
    Route(
        "GET",
        "/openapi.json",
        _describe,
        summary="This document",
        responses={200: "Object"},
    ),
    # --- for browsers: not described ---
    Route("GET", "/", Handlers.root, access=Access.PUBLIC),
    Route("POST", "/session", Handlers.open_session, access=Access.PUBLIC),
    Route("DELETE", "/session", Handlers.close_session, access=Access.PUBLIC),
    Route("POST", "/pages-from-disk", Handlers.decide_on_disk_pages, _ADMIN),
)
