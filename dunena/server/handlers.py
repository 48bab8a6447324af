"""What answers each request: a method for each line of `dunena.server.route_table`."""

from collections.abc import Callable
from functools import partial

from dunena.dialects import http_api
from dunena.dialects.grants import EVERYTHING
from dunena.dialects.http_api import HttpResult
from dunena.dialects.key_search import Work
from dunena.dialects.listing import Listing
from dunena.dialects.services import Services, unicode_name
from dunena.dialects.views import Views
from dunena.server.access.admission import Admission
from dunena.server.http.message import Request, Response, Search, decode_component
from dunena.server.static.folder import WwwFolder
from dunena.server.static.request_path import parse_request_path
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.server.status.overview import Overview

_PARTS_OF_THE_ORIGINAL = frozenset(["ttl", "touch", "version", "cas", "incr", "decr"])
"""What the original dunena has below ``/cache/{key}/``. A key may end so too; where none does, its
clients must not read that their key is missing."""


class Handlers:
    """Answers requests that were let in, for one server; ``now`` in Unix ms.

    Raises `ClientError` for what the client did wrong, `WriteRefusedError` where a change cannot be
    kept and `BadTargetError` for a target that cannot be read.
    """

    def __init__(
        self,
        views: Views,
        admission: Admission,
        introspection: Introspection,
        metrics: Metrics,
        overview: Overview,
    ) -> None:
        self._views = views
        self._admission = admission
        self._introspection = introspection
        self._metrics = metrics
        self._overview = overview
        self._services = views.of(EVERYTHING)

    # --- pages ---

    def root(self, request: Request, now: int) -> Response:
        """The way to the test page for a browser; what this server is for all others."""
        if "text/html" in request.headers.get("accept", ""):
            return Response(302, headers={"Location": "./test"})
        # Only the way to the public page is public.
        refusal = self._admission.refusal(request, needs_token=True)
        return refusal or self.info(request, now)

    def info(self, request: Request, now: int) -> Response:
        """What this server is."""
        return self._introspection.info(now, self._core_of(request).store, request.grant)

    # --- the object store ---

    def read_value(self, request: Request, now: int) -> Response:
        """A key's value, null if it has none."""
        key = _key_below("/get/", request)
        return _answer(http_api.get_object(self._core_of(request), key, request.query(), now))

    def set_value(self, request: Request, now: int) -> Response:
        """Set a key to any JSON value."""
        if not request.has_body:
            return _length_required()
        return _answer(http_api.set_object(self._core_of(request), request.body, now))

    # --- the cache API ---

    def read_key(self, request: Request, now: int) -> Response:
        """A key's value as text; not found if it has none."""
        key = _key_below("/cache/", request)
        try:
            return _answer(http_api.read_key(self._core_of(request), key, request.query(), now))
        except http_api.NotFoundError:
            if part_below_key(request) is None:
                raise
            raise no_such_part(request) from None

    def write_key(self, request: Request, now: int) -> Response:
        """Set a key to a text."""
        if part_below_key(request) is not None and not http_api.has_value(request.body):
            raise no_such_part(request)
        if not request.has_body:
            return _length_required()
        key = _key_below("/cache/", request)
        return _answer(
            http_api.write_key(self._core_of(request), key, request.query(), request.body, now)
        )

    def delete_key(self, request: Request, now: int) -> Response:
        """Remove a key."""
        key = _key_below("/cache/", request)
        return _answer(http_api.delete_key(self._core_of(request), key, request.query(), now))

    def batch(self, request: Request, now: int) -> Response:
        """Read or set several keys."""
        if not request.has_body:
            return _length_required()
        return _answer(http_api.batch(self._core_of(request), request.body, now))

    def list_keys(self, request: Request, now: int) -> Response:
        """Names of keys, page by page."""
        return _searched(
            request, now, lambda: http_api.list_keys(self._core_of(request), request.query(), now)
        )

    def flush(self, _request: Request, _now: int) -> Response:
        """Remove everything."""
        return _answer(http_api.flush(self._services))  # everybody's: the right admin was asked for

    # --- for people who look ---

    def list_entries(self, request: Request, now: int) -> Response:
        """Entries of a namespace, page by page."""
        listing = self._listing_of(request)
        return _searched(request, now, lambda: listing.page(request.query()))

    def find_entries(self, request: Request, now: int) -> Response:
        """Those of the keys named that exist."""
        if not request.has_body:
            return _length_required()
        return _answer(self._listing_of(request).some(request.body, now))

    def read_entry(self, request: Request, now: int) -> Response:
        """One entry with its value."""
        key = _key_below("/entries/", request)
        return _answer(self._listing_of(request).one(key, request.query(), now))

    def delete_entry(self, request: Request, now: int) -> Response:
        """Remove a key, whichever dialect named it."""
        key = _key_below("/entries/", request)
        return _answer(
            http_api.delete_key(
                self._core_of(request), key, request.query(), now, name_rule=unicode_name
            )
        )

    def list_namespaces(self, request: Request, now: int) -> Response:
        """Namespaces, page by page."""
        listing = self._listing_of(request)
        return _searched(request, now, lambda: listing.namespaces(request.query()))

    def decide_on_disk_pages(self, request: Request, _now: int) -> Response:
        """Let pages opened from disk in, or refuse them."""
        if not request.has_body:
            return _length_required()
        let_in = http_api.body_object(request.body).get("letIn")
        return self._overview.decide_on_disk_pages(request, let_in)

    def from_folder(self, www: WwwFolder, request: Request, _now: int) -> Response:
        """One of the user's own pages, read by another thread."""
        place = parse_request_path(request.path.removeprefix("/www/"))
        if place is None:
            return Response.error(404, "Not found")
        headers = self._admission.framing_headers()
        return Response(200, headers=headers, later=partial(www.prepare, request, place))

    # --- about the server ---

    def stats(self, _request: Request, now: int) -> Response:
        """Counters."""
        return self._introspection.stats(now)

    def health(self, request: Request, now: int) -> Response:
        """Every check, as far as the grant may know it."""
        return self._introspection.health(now, request.grant)

    def live(self, _request: Request, now: int) -> Response:
        """The process answers."""
        return self._introspection.live(now)

    def ready(self, request: Request, now: int) -> Response:
        """Whether changes are stored."""
        return self._introspection.ready(now, request.grant)

    def metrics(self, _request: Request, now: int) -> Response:
        """All counters for Prometheus."""
        return self._metrics.respond(now)

    def server(self, _request: Request, now: int) -> Response:
        """Addresses and connections."""
        return self._overview.server(now)

    def upgrade_required(self, _request: Request, _now: int) -> Response:
        """``/ws`` asked for as a page."""
        return Response.error(426, "Upgrade required", {"Upgrade": "websocket"})

    # --- a browser's session ---

    def open_session(self, request: Request, _now: int) -> Response:
        """A cookie for a token."""
        if not self._admission.wants_token:
            return Response(204)
        if not request.has_body:
            return _length_required()
        token = http_api.body_object(request.body).get("token")
        # Whatever is no text is no token either.
        return self._admission.session(request, token if isinstance(token, str) else "")

    def close_session(self, _request: Request, _now: int) -> Response:
        """Take the cookie back."""
        return Response(204, headers={"Set-Cookie": self._admission.expired_cookie()})

    def _core_of(self, request: Request) -> Services:
        return self._views.of(request.grant)

    def _listing_of(self, request: Request) -> Listing:
        return Listing(self._core_of(request))


def _length_required() -> Response:
    return Response.error(411, "Length Required")


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


def part_below_key(request: Request) -> str | None:
    """The part that a path names below a key as the original dunena has it; None for any other."""
    key, _, part = request.path.removeprefix("/cache/").rpartition("/")
    is_part = bool(key) and part in _PARTS_OF_THE_ORIGINAL and request.path.startswith("/cache/")
    return part if is_part else None


def no_such_part(request: Request) -> http_api.NotFoundError:
    """What a request for such a part gets where there is no such key."""
    return http_api.NotFoundError(f"No such path: /cache/{{key}}/{part_below_key(request)}")
