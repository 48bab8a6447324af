"""The handlers of HTTP requests: a method for each row of `dunena.server.route_table`."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import orjson

from dunena.dialects import http_api
from dunena.dialects.errors import ClientError, ForbiddenError
from dunena.dialects.fields import refuse_unknown
from dunena.dialects.grants import EVERYTHING, Right
from dunena.dialects.http_api import HttpResult
from dunena.dialects.key_search import Work
from dunena.dialects.listing import Listing
from dunena.dialects.services import Services, unicode_name
from dunena.dialects.views import Views
from dunena.server.access.admission import Admission
from dunena.server.backups import Backups
from dunena.server.http.message import (
    EVENT_STREAM,
    JSON,
    Request,
    Response,
    Search,
    decode_component,
)
from dunena.server.sharing import Sharing
from dunena.server.static.page_reports import PageReport
from dunena.server.static.request_path import parse_request_path
from dunena.server.static.user_pages import UserPages
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.server.status.overview import Overview
from dunena.server.updates import UpdateChecks

if TYPE_CHECKING:
    from dunena.server.access.sign_in import SignIn

_PARTS_OF_THE_ORIGINAL = frozenset(["ttl", "touch", "version", "cas", "incr", "decr"])
"""Paths of the original dunena below ``/cache/{key}/``. A key may end like that too; if no such key
exists, the error must not say that a key is missing."""


class Handlers:
    """Answers admitted requests of one server; ``now`` is in Unix ms.

    The methods raise `ClientError` for wrong requests, `WriteRefusedError` if a change cannot be
    stored and `BadTargetError` for a target that cannot be decoded.
    """

    def __init__(
        self,
        views: Views,
        admission: Admission,
        introspection: Introspection,
        metrics: Metrics,
        overview: Overview,
        user_pages: UserPages,
        sharing: Sharing,
        sign_in: "Callable[[], SignIn]",
        backups: Backups,
    ) -> None:
        self._views = views
        self._admission = admission
        self._introspection = introspection
        self._metrics = metrics
        self._overview = overview
        self._user_pages = user_pages
        self._sharing = sharing
        self._sign_in = sign_in
        self._backups = backups
        self._updates = UpdateChecks()
        self._services = views.of(EVERYTHING)

    # --- pages ---

    def root(self, request: Request, now: int) -> Response:
        """Redirect a browser to the test page; answer others as `info` does."""
        if "text/html" in request.headers.get("accept", ""):
            return Response(302, headers={"Location": "./test"})
        # Only the redirect to the public page needs no token.
        refusal = self._admission.refusal(request, needs_token=True)
        return refusal or self.info(request, now)

    def info(self, request: Request, now: int) -> Response:
        """Answer with name, version, limits and state of the server."""
        return self._introspection.info(now, self._services_of(request).store, request.grant)

    # --- the object store ---

    def read_value(self, request: Request, now: int) -> Response:
        """Answer with a key's value as JSON; null if it has none."""
        key = _key_below("/get/", request)
        return _answer(http_api.get_object(self._services_of(request), key, request.query(), now))

    def set_value(self, request: Request, now: int) -> Response:
        """Store any JSON value under a key; answer with the stored value."""
        if not request.has_body:
            return _length_required()
        return _answer(http_api.set_object(self._services_of(request), request.body, now))

    # --- the cache API ---

    def read_key(self, request: Request, now: int) -> Response:
        """Answer with a key's value as text; raise `NotFoundError` if it has none."""
        key = _key_below("/cache/", request)
        try:
            return _answer(http_api.read_key(self._services_of(request), key, request.query(), now))
        except http_api.NotFoundError:
            if part_below_key(request) is None:
                raise
            raise no_such_part(request) from None

    def write_key(self, request: Request, now: int) -> Response:
        """Store a text under a key."""
        if part_below_key(request) is not None and not http_api.has_value(request.body):
            raise no_such_part(request)
        if not request.has_body:
            return _length_required()
        key = _key_below("/cache/", request)
        return _answer(
            http_api.write_key(self._services_of(request), key, request.query(), request.body, now)
        )

    def delete_key(self, request: Request, now: int) -> Response:
        """Delete a key by the names of the dunena dialect; answer whether it existed."""
        key = _key_below("/cache/", request)
        return _answer(http_api.delete_key(self._services_of(request), key, request.query(), now))

    def batch(self, request: Request, now: int) -> Response:
        """Read or store several keys."""
        if not request.has_body:
            return _length_required()
        return _answer(http_api.batch(self._services_of(request), request.body, now))

    def list_keys(self, request: Request, now: int) -> Response:
        """Answer with one page of the names of keys."""
        return _searched(
            request,
            now,
            lambda: _as_response(
                http_api.list_keys(self._services_of(request), request.query(), now)
            ),
        )

    def flush(self, _request: Request, _now: int) -> Response:
        """Delete all keys of all namespaces."""
        return _answer(http_api.flush(self._services))  # of all clients: the right was checked

    # --- channels ---

    def publish(self, request: Request, now: int) -> Response:
        """Send the body to all who are subscribed to a channel."""
        from dunena.dialects.kv_request import value_of_body  # a start does not need it

        body = request.body if request.has_body else None
        data = value_of_body(body, request.headers.get("content-type", ""))
        channel = _key_below("/publish/", request)
        return _answer(http_api.publish(self._services_of(request), channel, data, now))

    # --- keys, by operations ---

    def key_request(self, request: Request, now: int) -> Response:
        """Read or change the value of a key, or a part of it."""
        return self._answer_kv("/kv/", request, now)

    def list_values(self, request: Request, now: int) -> Response:
        """Answer with the values of all keys that match a pattern."""
        from dunena.server import kv_requests

        return _searched(
            request, now, lambda: kv_requests.list_values(self._services_of(request), request)
        )

    def transact(self, request: Request, now: int) -> Response:
        """Carry out operations together, all or none."""
        return self._answer_kv("/txn", request, now)

    def read_history(self, request: Request, now: int) -> Response:
        """Answer with the earlier values of a key."""
        return self._answer_kv("/history/", request, now)

    def _answer_kv(self, prefix: str, request: Request, now: int) -> Response:
        from dunena.server import kv_requests  # imported here, as a start does not need it

        return kv_requests.respond(self._services_of(request), prefix, request, now)

    # --- state that is followed ---

    def watch(self, request: Request, _now: int) -> Response:
        """Begin a response that follows keys or a channel; the connection continues it."""
        # Imported when needed, so that the server starts faster.
        from dunena.dialects.following import read_following

        follows = read_following(request.query_lists(), request.headers.get("last-event-id"))
        is_stream = follows.wait_seconds is None
        headers = {"X-Accel-Buffering": "no"} if is_stream else {}  # nginx would gather the events
        return Response(
            200,
            content_type=EVENT_STREAM if is_stream else JSON,
            headers=headers,
            follows=None if request.method == "HEAD" else follows,
            is_stream=True,
        )

    # --- for people who look ---

    def list_entries(self, request: Request, now: int) -> Response:
        """Answer with one page of a namespace's entries."""
        listing = self._listing_of(request)
        return _searched(request, now, lambda: _as_response(listing.page(request.query())))

    def search(self, request: Request, now: int) -> Response:
        """Answer with the entries in whose name or value a text is."""
        from dunena.dialects.store_search import StoreSearch  # a start does not need it

        services, query = self._services_of(request), request.query()
        return _searched(request, now, lambda: _as_response(StoreSearch(services, query).work()))

    def find_entries(self, request: Request, now: int) -> Response:
        """Answer with the entries of the given keys that exist."""
        if not request.has_body:
            return _length_required()
        return _answer(self._listing_of(request).some(request.body, now))

    def read_entry(self, request: Request, now: int) -> Response:
        """Answer with one entry and its value; null if the key does not exist."""
        key = _key_below("/entries/", request)
        return _answer(self._listing_of(request).one(key, request.query(), now))

    def delete_entry(self, request: Request, now: int) -> Response:
        """Delete a key of either dialect; answer whether it existed."""
        key = _key_below("/entries/", request)
        return _answer(
            http_api.delete_key(
                self._services_of(request), key, request.query(), now, name_rule=unicode_name
            )
        )

    def list_namespaces(self, request: Request, now: int) -> Response:
        """Answer with one page of the namespaces."""
        listing = self._listing_of(request)
        return _searched(request, now, lambda: _as_response(listing.namespaces(request.query())))

    def decide_on_disk_pages(self, request: Request, _now: int) -> Response:
        """Admit or refuse pages opened from disk from now on."""
        if not request.has_body:
            return _length_required()
        let_in = http_api.body_object(request.body).get("letIn")
        return self._overview.decide_on_disk_pages(request, let_in)

    def from_folder(self, request: Request, now: int) -> Response:
        """Answer with a file of the user's folder of pages, which a worker thread reads."""
        pages = self._user_pages
        request_path = parse_request_path(request.path.removeprefix("/www/"))
        if request_path is None:
            return pages.www.missing(request)
        pages.note_load(request, now)
        headers = self._admission.framing_headers()
        return Response(
            200, headers=headers, later=partial(pages.serve, request, request_path, now)
        )

    def list_templates(self, request: Request, _now: int) -> Response:
        """Answer with what pages can be made from."""
        is_for_admin = Right.ADMIN in request.grant.rights
        later = partial(self._user_pages.new.list_templates, is_for_admin=is_for_admin)
        return Response(200, later=later)

    def preview_template(self, request: Request, _now: int) -> Response:
        """Answer with a file of what shows a template."""
        path = request.path.removeprefix("/templates/")
        return Response(200, later=partial(self._user_pages.new.preview, path))

    def make_pages(self, request: Request, _now: int) -> Response:
        """Answer with pages that were made from a template."""
        if not request.has_body:
            return _length_required()
        fields = http_api.body_object(request.body)
        refuse_unknown(fields, ("template", "name"))
        template, name = fields.get("template"), fields.get("name", "")
        if not isinstance(template, str) or not isinstance(name, str):
            raise ClientError("template and name are texts")
        return Response(201, later=partial(self._user_pages.new.make, template, name))

    def list_pages(self, _request: Request, _now: int) -> Response:
        """Answer with the pages in the folder, who has them open, and the errors they reported."""
        return Response(200, later=self._user_pages.overview.gather())

    def report_page_error(self, request: Request, now: int) -> Response:
        """Remember an error that a page reports of itself."""
        if not request.has_body:
            return _length_required()
        fields = http_api.body_object(request.body)
        refuse_unknown(fields, ("page", "text", "where"))
        page, text, where = (fields.get(name, "") for name in ("page", "text", "where"))
        if not (isinstance(page, str) and isinstance(text, str) and isinstance(where, str)):
            raise ClientError("page, text and where are texts")
        if not page or not text:
            raise ClientError("Missing page or text")
        report = PageReport(page, text, where)
        return Response(204, later=partial(self._user_pages.take, report, now))

    # --- backups ---

    def make_backup(self, request: Request, _now: int) -> Response:
        """Answer with a backup of this moment, as a zip."""
        _require_everything(request)
        return Response(200, later=self._backups.make(request))

    def compare_backup(self, request: Request, _now: int) -> Response:
        """Answer with what restoring the backup in the body would change."""
        _require_everything(request)
        if not request.has_body:
            return _length_required()
        from dunena.server import restores  # imported here, as a start does not need it

        return Response(200, later=restores.compare(self._backups, request))

    # --- about the server ---

    def stats(self, _request: Request, now: int) -> Response:
        """Answer with the server's counters as JSON."""
        return self._introspection.stats(now)

    def health(self, request: Request, now: int) -> Response:
        """Answer with every health check that the grant may see."""
        return self._introspection.health(now, request.grant)

    def live(self, _request: Request, now: int) -> Response:
        """Answer that the process is running."""
        return self._introspection.live(now)

    def ready(self, request: Request, now: int) -> Response:
        """Answer whether changes can be stored; 503 if they cannot."""
        return self._introspection.ready(now, request.grant)

    def metrics(self, _request: Request, now: int) -> Response:
        """Answer with all figures in Prometheus' format."""
        return self._metrics.respond(now)

    def server(self, _request: Request, now: int) -> Response:
        """Answer with the server's addresses, connections and refused origins."""
        return self._overview.server(now)

    def upgrade_required(self, _request: Request, _now: int) -> Response:
        """Refuse a request for ``/ws`` that is no upgrade."""
        return Response.error(426, "Upgrade required", {"Upgrade": "websocket"})

    # --- a browser's session ---

    def open_session(self, request: Request, _now: int) -> Response:
        """Answer a token with the session cookie that stands for it."""
        if "x-www-form" in request.headers.get("content-type", ""):
            from dunena.server.access.sign_in import is_form

            if is_form(request):
                return self._sign_in().take_form(request)
        if not self._admission.wants_token(request):
            return Response(204)
        if not request.has_body:
            return _length_required()
        token = http_api.body_object(request.body).get("token")
        # A token that is no text cannot be right.
        return self._admission.session(request, token if isinstance(token, str) else "")

    def close_session(self, _request: Request, _now: int) -> Response:
        """Answer with a header that deletes the session cookie."""
        return Response(204, headers={"Set-Cookie": self._admission.expired_cookie()})

    # --- phones ---

    def qr_code(self, request: Request, _now: int) -> Response:
        """Answer with a text of the query as a QR code."""
        from dunena.qr_code import TEXT_BYTES_MAX, TextTooLongError, qr_svg  # seldom needed

        text = request.query().get("text", "")
        if not text:
            raise ClientError("text is missing: /qr?text=http://192.168.1.10:3000/test")
        try:
            picture = qr_svg(text)
        except TextTooLongError:
            raise ClientError(f"text may have {TEXT_BYTES_MAX} bytes at most") from None
        headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(200, picture, "image/svg+xml", headers)

    def list_invitable(self, request: Request, _now: int) -> Response:
        """Answer with the tokens that an invitation may have the rights of."""
        return self._sign_in().list_tokens(request)

    def invite(self, request: Request, _now: int) -> Response:
        """Answer with an address that signs one browser in."""
        if not request.has_body:
            return _length_required()
        fields = http_api.body_object(request.body)
        refuse_unknown(fields, ("page", "token"))
        return self._sign_in().make(request, fields.get("page"), fields.get("token"))

    def show_invite(self, request: Request, _now: int) -> Response:
        """Answer with the page of an invitation, which is not used by that."""
        return self._sign_in().show(request)

    def use_invite(self, request: Request, _now: int) -> Response:
        """Sign a browser in."""
        return self._sign_in().use(request)

    def sharing(self, _request: Request, _now: int) -> Response:
        """Answer whether the server is shared on the network, and where."""
        return Response(200, orjson.dumps(self._sharing.state()))

    def share(self, request: Request, _now: int) -> Response:
        """Share the server on the network, or no longer."""
        if not request.has_body:
            return _length_required()
        is_wanted = http_api.body_object(request.body).get("on")
        refusal = self._admission.refusal_of_decision(request) or self._sharing.refusal(request)
        if refusal is not None:
            return refusal
        if not isinstance(is_wanted, bool):
            return Response.error(400, "on must be a boolean")
        act = self._sharing.answer_begin if is_wanted else self._sharing.answer_end
        return Response(200, later=act)

    def check_for_update(self, request: Request, _now: int) -> Response:
        """Ask the project for its newest release, for a page of this server."""
        refusal = self._admission.refusal_of_decision(request)
        return refusal or Response(200, later=self._updates.answer)

    def _services_of(self, request: Request) -> Services:
        return self._views.of(request.grant)

    def _listing_of(self, request: Request) -> Listing:
        return Listing(self._services_of(request))


def _require_everything(request: Request) -> None:
    """Raise `ForbiddenError` unless every value may be read; the right admin was checked."""
    if not request.grant.may_read_everything:
        raise ForbiddenError.needs_everything()


def _length_required() -> Response:
    return Response.error(411, "Length Required")


def _searched(
    request: Request, now: int, begin: Callable[[], Work[Callable[[int], Response]]]
) -> Response:
    """Begin a search and return its answer, or a response that is made later in portions.

    A search that needs only one portion is answered at once. If a request is run again, it
    continues the search that it began, which sends the answer.
    """
    if request.search is not None:
        return Response(200, later=request.search)
    search = Search(begin())
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
    """Return the part below a key that the path names as in the original dunena; None if none."""
    key, _, part = request.path.removeprefix("/cache/").rpartition("/")
    is_part = bool(key) and part in _PARTS_OF_THE_ORIGINAL and request.path.startswith("/cache/")
    return part if is_part else None


def no_such_part(request: Request) -> http_api.NotFoundError:
    """Make the error for such a part if no key has that name."""
    return http_api.NotFoundError(f"No such path: /cache/{{key}}/{part_below_key(request)}")
