"""Finding the handler of a request, and the checks before it is called."""

from collections.abc import Callable
from functools import cached_property
from types import MethodType
from typing import TYPE_CHECKING

from dunena.dialects.errors import (
    ClientError,
    ForbiddenError,
    StorageFailedError,
)
from dunena.dialects.fields import refuse_unknown
from dunena.dialects.grants import EVERYTHING, Right
from dunena.dialects.views import Views
from dunena.server.access.admission import Admission
from dunena.server.backups import Backups
from dunena.server.handlers import Handlers, no_such_part, part_below_key
from dunena.server.http.message import GET_WRITES_PREFIX, BadTargetError, Request, Response
from dunena.server.limits import PUBLIC_BODY_BYTES_MAX
from dunena.server.route import Access, Route
from dunena.server.route_table import ROUTES
from dunena.server.sharing import Sharing
from dunena.server.static.client_files import LOADER_PATH, ClientFiles
from dunena.server.static.user_pages import UserPages
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.server.status.overview import Overview
from dunena.store.errors import WriteRefusedError

if TYPE_CHECKING:
    from dunena.server.access.sign_in import SignIn
    from dunena.server.get_writes import GetWrites

RouteHandler = Callable[[Request, int], Response]

_UNAUTHORIZED = 401

_METHODS_WITH_BODY = ("PATCH", "POST", "PUT")
"""Methods of which a handler may read a body; that of another one is skipped."""


class _Path:
    """The handlers of one path by method; a path that ends in a slash is for all paths below it.

    ``is_live`` and ``is_original`` are those of its routes (`dunena.server.route`). The other
    attributes are its `Access` in the form that every request needs.
    """

    __slots__ = ("is_for_probes", "is_live", "is_original", "is_page", "is_public", "methods")

    def __init__(self, access: Access, *, is_live: bool = False, is_original: bool = False) -> None:
        self.methods: dict[str, RouteHandler] = {}
        self.is_live = is_live
        self.is_original = is_original
        self.is_for_probes = access is Access.PROBE
        self.is_public = access is Access.PUBLIC
        self.is_page = access in (Access.PUBLIC, Access.PAGE)

    @property
    def allowed(self) -> str:
        names = [*self.methods, "OPTIONS"]
        if "GET" in self.methods:
            names.append("HEAD")
        return ", ".join(sorted(names))


class Routes:
    """Answers the HTTP requests of one server that are no upgrades."""

    def __init__(
        self,
        views: Views,
        admission: Admission,
        introspection: Introspection,
        metrics: Metrics,
        overview: Overview,
        pages: dict[str, Response],
        client_files: ClientFiles,
        user_pages: UserPages,
        sharing: Sharing,
        sign_in: "Callable[[], SignIn]",
        backups: Backups,
    ) -> None:
        self._admission = admission
        self._user_pages = user_pages
        self._stats = views.of(EVERYTHING).stats
        handlers = Handlers(
            views,
            admission,
            introspection,
            metrics,
            overview,
            user_pages,
            sharing,
            sign_in,
            backups,
        )
        self._exact: dict[str, _Path] = {}
        self._below: dict[str, _Path] = {}
        for route in ROUTES:
            handler = _bound(route, handlers)
            self._add(
                route.method,
                route.path,
                route.access,
                handler,
                is_live=route.is_live,
                is_original=route.is_original,
            )
        for path, page in (pages | client_files.constant).items():
            self._add("GET", path, Access.PUBLIC, _constant(page))
        self._add("GET", LOADER_PATH, Access.PUBLIC, client_files.loader)
        # Not in the table: whoever describes the interface to programs should not offer them this.
        self._views = views
        self._below[GET_WRITES_PREFIX] = self._for_get_writes = _Path(Access.PUBLIC)
        self._add("GET", "/templates/{file}", Access.PUBLIC, handlers.preview_template)
        self._add("GET", "/www", Access.PAGE, lambda request, _: request.with_slash)
        self._add("GET", "/www/{file}", Access.PAGE, handlers.from_folder)

    def _add(
        self,
        method: str,
        path: str,
        access: Access,
        handler: RouteHandler,
        *,
        is_live: bool = False,
        is_original: bool = False,
    ) -> None:
        """Add a route. A name in braces at the end of a path stands for any text."""
        prefix, brace, _ = path.partition("{")
        paths = self._below if brace else self._exact
        found = paths.setdefault(prefix, _Path(access, is_live=is_live, is_original=is_original))
        found.methods[method] = handler

    def wants_body(self, request: Request) -> bool:
        """Decide by a request's head whether to receive its body before answering.

        If it returns False, `respond` can answer without the body: with a refusal, or because the
        handler reads none. So the body of a request that is not admitted needs no memory.
        """
        if request.method not in _METHODS_WITH_BODY:
            return False
        route = self._find(request.path)
        if route is self._for_get_writes:
            return False
        refusal = self._refusal(route, request)
        if refusal is None:
            found = self._handler_of(route, request)
            if isinstance(found, Response):
                refusal = self._readable(route, request, found)
        request.refusal = refusal
        if route is not None and route.is_public:
            request.body_bytes_max = PUBLIC_BODY_BYTES_MAX
        else:
            request.is_admitted = refusal is None
        return refusal is None

    def respond(self, request: Request, now: int) -> Response:
        """Answer a request; every error of the client becomes a response. ``now`` is Unix ms."""
        if request.refusal is not None:
            return request.refusal
        route = self._find(request.path)
        if route is self._for_get_writes:
            return self._get_writes.respond(request, now)
        if not request.is_admitted:
            refusal = self._refusal(route, request)
            if refusal is not None:
                return refusal
        return self._readable(route, request, self._dispatch(route, request, now))

    def refusal_of_upgrade(self) -> Response | None:
        """Return why no WebSocket is accepted at present; None if it is."""
        return None

    def readable(self, request: Request, response: Response) -> Response:
        """Add CORS headers to a response that was made elsewhere; the page was admitted."""
        return self._readable(self._find(request.path), request, response)

    @cached_property
    def _get_writes(self) -> "GetWrites":
        from dunena.server.get_writes import GetWrites  # imported here: few servers have a use

        return GetWrites(self._views, self._admission, self._stats)

    def _refusal(self, route: _Path | None, request: Request) -> Response | None:
        refusal = self._admission.refusal(
            request,
            needs_token=self._needs_token(route, request),
            is_page=_is_page(route),
        )
        if refusal is not None and refusal.status == _UNAUTHORIZED:
            if request.is_navigation:
                from dunena.server.access import plain_pages  # few servers have a use

                page = plain_pages.sign_in_page(request, request.target)
                page.headers |= refusal.headers
                return page
            # An admitted page may also read that it lacks the token.
            return self._readable(route, request, refusal)
        return refusal

    def _needs_token(self, route: _Path | None, request: Request) -> bool:
        if request.method == "OPTIONS":
            return False  # a preflight has no credentials (Fetch standard)
        if route is None:
            return True
        is_probe = route.is_for_probes and not self._admission.shows_token(request)
        # On a server without tokens the admission sets the grant to everything.
        return not (route.is_public or (is_probe and self._admission.wants_token(request)))

    def _readable(self, route: _Path | None, request: Request, response: Response) -> Response:
        """Add CORS headers to a response, for the requesting page, which was admitted."""
        headers = self._admission.cors_headers(request, is_page=_is_page(route))
        response.headers = headers | response.headers
        return response

    def _find(self, path: str) -> _Path | None:
        route = self._exact.get(path)
        if route is None:
            for prefix, below in self._below.items():
                if path.startswith(prefix):
                    return below
        return route

    def _handler_of(self, route: _Path | None, request: Request) -> RouteHandler | Response:
        if route is None:
            return Response.error(404, "Not found")
        method = "GET" if request.method == "HEAD" else request.method
        handler = route.methods.get(method)
        if handler is None and part_below_key(request) is not None:
            return Response.refusal(no_such_part(request), has_fields=False)
        return handler or Response.error(405, "Method not allowed", {"Allow": route.allowed})

    def _dispatch(self, route: _Path | None, request: Request, now: int) -> Response:
        if route is not None and request.method == "OPTIONS":
            return self._admission.preflight(request, route.allowed)
        handler = self._handler_of(route, request)
        if isinstance(handler, Response):
            return handler if route is not None else self._user_pages.say_unknown(request, now)
        try:
            response = handler(request, now)
        except (ClientError, WriteRefusedError, BadTargetError) as error:
            response = self._explained(route, error)
        if route is not None and route.is_live:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def explain(self, request: Request, error: ClientError | WriteRefusedError) -> Response:
        """Make the response of an error that answering an admitted request came to."""
        route = self._find(request.path)
        response = self._explained(route, error)
        if route is not None and route.is_live:
            response.headers["Cache-Control"] = "no-store"
        return self._readable(route, request, response)

    def _explained(
        self, route: _Path | None, error: ClientError | WriteRefusedError | BadTargetError
    ) -> Response:
        if isinstance(error, ClientError):
            self._stats.count(error)
        elif isinstance(error, WriteRefusedError):
            error = StorageFailedError(error.reason)
        else:
            error = ClientError("Bad request target")
        return Response.refusal(error, has_fields=route is None or not route.is_original)


def _bound(route: Route, handlers: Handlers) -> RouteHandler:
    """Bind a route's handler to the handlers of this server, with the checks before it."""
    handler: RouteHandler = MethodType(route.handler, handlers)  # a little faster than a partial
    if route.is_live:
        handler = _for_known_fields(handler, route.query_fields)
    return _for_admin(handler) if Right.ADMIN in route.rights else handler


def _for_known_fields(handler: RouteHandler, known: tuple[str, ...]) -> RouteHandler:
    """Return a handler that raises `InvalidFieldError` for an unknown field of the query."""

    def respond(request: Request, now: int) -> Response:
        refuse_unknown(request.query(), known)
        return handler(request, now)

    return respond


def _for_admin(handler: RouteHandler) -> RouteHandler:
    """Return a handler that raises `ForbiddenError` for requests without the right admin."""

    def respond(request: Request, now: int) -> Response:
        if Right.ADMIN not in request.grant.rights:
            raise ForbiddenError.needs_admin()
        return handler(request, now)

    return respond


def _constant(page: Response) -> RouteHandler:
    """Return a handler that answers with a copy of ``page``, or with 304 if the client has it."""

    def respond(request: Request, _now: int) -> Response:
        etag = page.headers.get("ETag")
        if etag is not None and request.knows(etag):
            return Response(304, headers=dict(page.headers))
        return Response(page.status, page.body, page.content_type, dict(page.headers))

    return respond


def _is_page(route: _Path | None) -> bool:
    """Return whether a route is a page, to which any site may link."""
    return route is not None and route.is_page
