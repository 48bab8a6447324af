"""Which request is answered by whom."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dunena.dialects import http_api
from dunena.dialects.errors import (
    ClientError,
    ForbiddenError,
    StorageFailedError,
)
from dunena.dialects.grants import EVERYTHING, Right
from dunena.dialects.http_api import HttpResult
from dunena.dialects.key_search import Work
from dunena.dialects.listing import Listing
from dunena.dialects.services import Services, unicode_name
from dunena.dialects.views import Views
from dunena.server.access.admission import Admission
from dunena.server.http.message import BadTargetError, Request, Response, Search, decode_component
from dunena.server.limits import PUBLIC_BODY_BYTES_MAX
from dunena.server.static.client_files import LOADER_PATH, ClientFiles
from dunena.server.static.folder import WwwFolder
from dunena.server.static.request_path import parse_request_path
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.server.status.overview import Overview
from dunena.store.store import WriteRefusedError

Handler = Callable[[Request, int], Response]
_Methods = dict[str, Handler]

_UNAUTHORIZED = 401

_PARTS_OF_THE_ORIGINAL = frozenset(["ttl", "touch", "version", "cas", "incr", "decr"])
"""What the original dunena has below ``/cache/{key}/``. A key may end so too; where none does, its
clients must not read that their key is missing."""


@dataclass(frozen=True, slots=True)
class _Route:
    """Handlers by method; ``is_public`` needs no token, ``is_for_admin`` one with that right.

    ``is_for_probes`` is answered in short to who shows none. ``is_from_folder`` are the user's own
    pages.
    """

    methods: _Methods
    is_public: bool = False
    is_from_folder: bool = False
    is_for_admin: bool = False
    is_for_probes: bool = False

    @property
    def allowed(self) -> str:
        names = [*self.methods, "OPTIONS"]
        if "GET" in self.methods:
            names.append("HEAD")
        return ", ".join(sorted(names))


class Routes:
    """Every request of the contract, for one server."""

    def __init__(
        self,
        views: Views,
        admission: Admission,
        introspection: Introspection,
        metrics: Metrics,
        overview: Overview,
        pages: dict[str, Response],
        client_files: ClientFiles,
        www: WwwFolder | None,
    ) -> None:
        self._views = views
        self._admission = admission
        self._introspection = introspection
        self._overview = overview
        self._core = views.of(EVERYTHING)
        self._exact: dict[str, _Route] = {
            "/": _Route({"GET": self._root}, is_public=True),
            "/ws": _Route({"GET": _upgrade_required}),
            "/set": _Route({"POST": self._set}),
            "/cache": _Route({"POST": self._batch}),
            "/keys": _Route({"GET": self._keys}),
            "/stats": _Route({"GET": lambda _, now: introspection.stats(now)}),
            "/info": _Route({"GET": self._info}),
            "/health": _Route(
                {"GET": lambda one, now: introspection.health(now, one.grant)}, is_for_probes=True
            ),
            "/health/live": _Route({"GET": lambda _, now: introspection.live(now)}, is_public=True),
            "/health/ready": _Route(
                {"GET": lambda one, now: introspection.ready(now, one.grant)}, is_for_probes=True
            ),
            "/metrics": _Route({"GET": lambda _, now: metrics.respond(now)}, is_for_admin=True),
            "/openapi.json": _Route({"GET": _description}),
            "/flush": _Route({"POST": self._flush}, is_for_admin=True),
            "/entries": _Route({"GET": self._list_entries, "POST": self._some_entries}),
            "/namespaces": _Route({"GET": self._list_namespaces}),
            "/server": _Route({"GET": lambda _, now: overview.server(now)}, is_for_admin=True),
            "/pages-from-disk": _Route({"POST": self._decide_on_disk_pages}, is_for_admin=True),
            "/session": _Route(
                {"POST": self._open_session, "DELETE": self._close_session}, is_public=True
            ),
        }
        for path, page in (pages | client_files.constant).items():
            self._exact[path] = _Route({"GET": _constant(page)}, is_public=True)
        self._exact[LOADER_PATH] = _Route({"GET": client_files.loader}, is_public=True)
        self._below: dict[str, _Route] = {
            "/get/": _Route({"GET": self._get}),
            "/entries/": _Route({"GET": self._one_entry, "DELETE": self._delete_entry}),
            "/cache/": _Route(
                {
                    "GET": self._read_key,
                    "POST": self._write_key,
                    "DELETE": self._delete_key,
                }
            ),
        }
        if www is not None:
            self._exact["/www"] = _Route(
                {"GET": lambda request, _: request.with_slash}, is_from_folder=True
            )
            self._below["/www/"] = _Route(
                {"GET": partial(self._from_folder, www)}, is_from_folder=True
            )

    def wants_body(self, request: Request) -> bool:
        """Decide by the head alone whether a request's body is to be taken before the answer.

        Where it is not, `respond` has the answer already: a refusal, or one for which no body is
        read. What a stranger sends behind a head is so nobody's to keep.
        """
        if request.method != "POST":
            return False
        route = self._find(request.path)
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
        """The answer to any request that is not an upgrade; never raises for a client's fault."""
        if request.refusal is not None:
            return request.refusal
        route = self._find(request.path)
        if not request.is_admitted:
            refusal = self._refusal(route, request)
            if refusal is not None:
                return refusal
        return self._readable(route, request, self._dispatch(route, request, now))

    def readable(self, request: Request, response: Response) -> Response:
        """A response that somebody else made, for the page that asked, which was let in."""
        return self._readable(self._find(request.path), request, response)

    def _refusal(self, route: _Route | None, request: Request) -> Response | None:
        refusal = self._admission.refusal(
            request,
            needs_token=self._needs_token(route, request),
            is_page=_is_page(route),
        )
        if refusal is not None and refusal.status == _UNAUTHORIZED:
            # A page that was let in may also read that it lacks the token.
            return self._readable(route, request, refusal)
        return refusal

    def _needs_token(self, route: _Route | None, request: Request) -> bool:
        if request.method == "OPTIONS":
            return False  # a preflight carries no credentials by the Fetch standard's design
        if route is None:
            return True
        is_probe = route.is_for_probes and not self._admission.shows_token(request)
        # Without a token the admission also says that everything is permitted.
        return not (route.is_public or (is_probe and self._admission.wants_token))

    def _readable(self, route: _Route | None, request: Request, response: Response) -> Response:
        """The same for the page that asked, which was let in."""
        headers = self._admission.cors_headers(request, is_page=_is_page(route))
        response.headers = headers | response.headers
        return response

    def _find(self, path: str) -> _Route | None:
        route = self._exact.get(path)
        if route is None:
            for prefix, below in self._below.items():
                if path.startswith(prefix):
                    return below
        return route

    def _handler_of(self, route: _Route | None, request: Request) -> Handler | Response:
        if route is None:
            return Response.error(404, "Not found")
        method = "GET" if request.method == "HEAD" else request.method
        handler = route.methods.get(method)
        if handler is None and _part_below_key(request) is not None:
            return Response.error(404, _no_such_part(request).text)
        return handler or Response.error(405, "Method not allowed", {"Allow": route.allowed})

    def _dispatch(self, route: _Route | None, request: Request, now: int) -> Response:
        if route is not None and request.method == "OPTIONS":
            return self._admission.preflight(request, route.allowed)
        handler = self._handler_of(route, request)
        if isinstance(handler, Response):
            return handler
        try:
            if route is not None and route.is_for_admin and Right.ADMIN not in request.grant.rights:
                raise ForbiddenError.needs_admin()
            return handler(request, now)
        except ClientError as error:
            self._core.stats.count(error)
            return Response.error(error.status, error.text)
        except WriteRefusedError as refused:
            failed = StorageFailedError(refused.reason)
            return Response.error(failed.status, failed.text)
        except BadTargetError:
            return Response.error(400, "Bad request target")

    # --- pages ---

    def _root(self, request: Request, now: int) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return Response(302, headers={"Location": "./test"})
        # Only the way to the public page is public.
        refusal = self._admission.refusal(request, needs_token=True)
        return refusal or self._info(request, now)

    def _info(self, request: Request, now: int) -> Response:
        return self._introspection.info(now, self._core_of(request).store, request.grant)

    def _core_of(self, request: Request) -> Services:
        return self._views.of(request.grant)

    def _listing_of(self, request: Request) -> Listing:
        return Listing(self._core_of(request))

    # --- the object store ---

    def _get(self, request: Request, now: int) -> Response:
        key = _key_below("/get/", request)
        return _answer(http_api.get_object(self._core_of(request), key, request.query(), now))

    def _set(self, request: Request, now: int) -> Response:
        if not request.has_body:
            return _length_required()
        return _answer(http_api.set_object(self._core_of(request), request.body, now))

    # --- the cache API ---

    def _read_key(self, request: Request, now: int) -> Response:
        key = _key_below("/cache/", request)
        try:
            return _answer(http_api.read_key(self._core_of(request), key, request.query(), now))
        except http_api.NotFoundError:
            if _part_below_key(request) is None:
                raise
            raise _no_such_part(request) from None

    def _write_key(self, request: Request, now: int) -> Response:
        if _part_below_key(request) is not None and not http_api.has_value(request.body):
            raise _no_such_part(request)
        if not request.has_body:
            return _length_required()
        key = _key_below("/cache/", request)
        return _answer(
            http_api.write_key(self._core_of(request), key, request.query(), request.body, now)
        )

    def _delete_key(self, request: Request, now: int) -> Response:
        key = _key_below("/cache/", request)
        return _answer(http_api.delete_key(self._core_of(request), key, request.query(), now))

    def _batch(self, request: Request, now: int) -> Response:
        if not request.has_body:
            return _length_required()
        return _answer(http_api.batch(self._core_of(request), request.body, now))

    def _keys(self, request: Request, now: int) -> Response:
        return _searched(
            request, now, lambda: http_api.list_keys(self._core_of(request), request.query(), now)
        )

    def _flush(self, _request: Request, _now: int) -> Response:
        return _answer(http_api.flush(self._core))  # everybody's: the right admin was asked for

    # --- for people who look ---

    def _list_entries(self, request: Request, now: int) -> Response:
        listing = self._listing_of(request)
        return _searched(request, now, lambda: listing.page(request.query()))

    def _some_entries(self, request: Request, now: int) -> Response:
        if not request.has_body:
            return _length_required()
        return _answer(self._listing_of(request).some(request.body, now))

    def _one_entry(self, request: Request, now: int) -> Response:
        key = _key_below("/entries/", request)
        return _answer(self._listing_of(request).one(key, request.query(), now))

    def _delete_entry(self, request: Request, now: int) -> Response:
        key = _key_below("/entries/", request)
        return _answer(
            http_api.delete_key(
                self._core_of(request), key, request.query(), now, name_rule=unicode_name
            )
        )

    def _list_namespaces(self, request: Request, now: int) -> Response:
        listing = self._listing_of(request)
        return _searched(request, now, lambda: listing.namespaces(request.query()))

    def _decide_on_disk_pages(self, request: Request, _now: int) -> Response:
        if not request.has_body:
            return _length_required()
        let_in = http_api.body_object(request.body).get("letIn")
        return self._overview.decide_on_disk_pages(request, let_in)

    def _from_folder(self, www: WwwFolder, request: Request, _now: int) -> Response:
        """One of the user's own pages, read by another thread."""
        place = parse_request_path(request.path.removeprefix("/www/"))
        if place is None:
            return Response.error(404, "Not found")
        headers = self._admission.framing_headers()
        return Response(200, headers=headers, later=partial(www.prepare, request, place))

    # --- a browser's session ---

    def _open_session(self, request: Request, _now: int) -> Response:
        if not self._admission.wants_token:
            return Response(204)
        if not request.has_body:
            return _length_required()
        token = http_api.body_object(request.body).get("token")
        # Whatever is no text is no token either.
        return self._admission.session(request, token if isinstance(token, str) else "")

    def _close_session(self, _request: Request, _now: int) -> Response:
        return Response(204, headers={"Set-Cookie": self._admission.expired_cookie()})


def _upgrade_required(_request: Request, _now: int) -> Response:
    return Response.error(426, "Upgrade required", {"Upgrade": "websocket"})


def _description(request: Request, now: int) -> Response:
    from dunena.server.status import openapi  # a start can do without it

    return _constant(openapi.document())(request, now)


def _length_required() -> Response:
    return Response.error(411, "Length Required")


def _constant(page: Response) -> Handler:
    """The same file every time, each with headers of its own; not sent to who has it."""

    def respond(request: Request, _now: int) -> Response:
        etag = page.headers.get("ETag")
        if etag is not None and request.knows(etag):
            return Response(304, headers=dict(page.headers))
        return Response(page.status, page.body, page.content_type, dict(page.headers))

    return respond


def _searched(
    request: Request, now: int, begin: Callable[[], Work[http_api.LateHttpResult]]
) -> Response:
    """The answer to a search, at once if it takes one portion.

    A request that is carried out once more goes on with the search it began: its answer is sent
    from there.
    """
    if request.search is not None:
        return Response(200, later=request.search)
    search = Search(_as_response(begin()))
    result = search.advance()
    if result is not None:
        return result(now)
    request.search = search
    return Response(200, later=search)


def _as_response(work: Work[http_api.LateHttpResult]) -> Work[Callable[[int], Response]]:
    answer = yield from work
    return lambda now: _answer(answer(now))


def _answer(answer: HttpResult) -> Response:
    status, body = answer
    return Response(status, body)


def _key_below(prefix: str, request: Request) -> str:
    return decode_component(request.path.removeprefix(prefix))


def _part_below_key(request: Request) -> str | None:
    """The part that a path names below a key as the original dunena has it; None for any other."""
    key, _, part = request.path.removeprefix("/cache/").rpartition("/")
    is_part = bool(key) and part in _PARTS_OF_THE_ORIGINAL and request.path.startswith("/cache/")
    return part if is_part else None


def _no_such_part(request: Request) -> http_api.NotFoundError:
    return http_api.NotFoundError(f"No such path: /cache/{{key}}/{_part_below_key(request)}")


def _is_page(route: _Route | None) -> bool:
    """Whether a route is for people: a link from anywhere may lead to it."""
    return route is not None and (route.is_public or route.is_from_folder)
